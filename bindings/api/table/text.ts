/**
 * Short text in memory, faster than the runtime's own coders: those cost more than the text does until it has a few dozen characters. Longer text, and what is not
 * ASCII, goes to them.
 */
import { isWellFormed } from "../../base/text.js";

const encoder = new TextEncoder();
/** A byte order mark at the front is part of the text. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Measured: from here on the runtime's coders win. */
const DECODED_BY_HAND = 16;
const ENCODED_BY_HAND = 24;

export const NO_ROOM = -1;
export const MALFORMED = -2;

/** Writes UTF-8 from `at` on, to `limit` at most; where it ends, or NO_ROOM, or MALFORMED for half of a surrogate pair. */
export function putText(bytes: Uint8Array, text: string, at: number, limit: number): number {
  const { length } = text;
  if (length <= ENCODED_BY_HAND) {
    if (at + length > limit) return NO_ROOM;
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) break;
      bytes[at + i] = unit;
    }
    if (i === length) return at + length;
  }
  if (!isWellFormed(text)) return MALFORMED;
  if (at > limit) return NO_ROOM;
  const { read, written } = encoder.encodeInto(text, bytes.subarray(at, limit));
  return read === length ? at + written : NO_ROOM;
}

/** The bytes of a text; null when it is malformed. */
export function encodeText(text: string): Uint8Array | null {
  return isWellFormed(text) ? encoder.encode(text) : null;
}

export function getText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= DECODED_BY_HAND) {
    const text = getAscii(bytes, start, end);
    if (text !== null) return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

/** Null when a byte is not ASCII. */
function getAscii(b: Uint8Array, start: number, end: number): string | null {
  const units = String.fromCharCode;
  let text = "";
  let i = start;
  for (; i + 8 <= end; i += 8) {
    const any = b[i] | b[i + 1] | b[i + 2] | b[i + 3] | b[i + 4] | b[i + 5] | b[i + 6] | b[i + 7];
    if (any >= 0x80) return null;
    text += units(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7]);
  }
  if (i + 4 <= end) {
    if ((b[i] | b[i + 1] | b[i + 2] | b[i + 3]) >= 0x80) return null;
    text += units(b[i], b[i + 1], b[i + 2], b[i + 3]);
    i += 4;
  }
  for (; i < end; i++) {
    if (b[i] >= 0x80) return null;
    text += units(b[i]);
  }
  return text;
}
