/**
 * Bytes as numbers and as text. A u64 of the formats is a JavaScript number below 2⁵³: a greater one reads as NaN, which
 * every comparison refuses, so a decoder that checks its ranges also checks this. Writing one is a bug and throws.
 */

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The little-endian u64 at `at`; NaN from 2⁵³ on. */
export function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + view.getUint32(at, true) : Number.NaN;
}

/** A number that came from `readU64`, for messages. */
export function u64Text(value: number): string {
  return Number.isNaN(value) ? "2^53 or more" : String(value);
}

/** Throws RangeError for anything but an integer in [0, 2⁵³). */
export function writeU64(view: DataView, at: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a u64 below 2^53`);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, value / 0x1_0000_0000, true);
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += hexPairs[byte];
  return text;
}

/** The bytes that `text` names, two digits each; null when it is not that. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = 16 * hexDigit(text.charCodeAt(2 * i)) + hexDigit(text.charCodeAt(2 * i + 1));
  return bytes;
}

/** The low four bits of letters count from 1. */
function hexDigit(character: number): number {
  return (character & 15) + 9 * (character >> 6);
}

/** A digest as people compare it: 16 hex digits, the most significant first. */
export function digestHex(digest: bigint): string {
  return digest.toString(16).padStart(16, "0");
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Order of byte strings: negative, zero or positive. For UTF-8 it is the order of the code points. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** Whether all bytes are zero, sixteen of them at a time where their alignment allows it. */
export function isZero(bytes: Uint8Array): boolean {
  let at = 0;
  if (bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    const paired = words.length & ~3;
    for (let i = 0; i < paired; i += 4)
      if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) !== 0) return false;
    at = paired * 4;
  }
  for (; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}
