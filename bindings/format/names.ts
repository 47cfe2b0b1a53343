/** Names of snapshots: as bytes, 1 … 1024 of UTF-8 and ordered as such; and in messages. */
import { MAX_SNAPSHOT_NAME_BYTES } from "./constants.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a name; null when it is empty, too long, or has half of a surrogate pair, which UTF-8 cannot say. */
export function snapshotNameBytes(name: string): Uint8Array | null {
  if (name.length > MAX_SNAPSHOT_NAME_BYTES || /\p{Surrogate}/u.test(name)) return null;
  const bytes = encoder.encode(name);
  return bytes.length >= 1 && bytes.length <= MAX_SNAPSHOT_NAME_BYTES ? bytes : null;
}

/** The same for names that the caller has checked already; throws RangeError. */
export function encodeName(name: string): Uint8Array {
  const bytes = snapshotNameBytes(name);
  if (bytes === null) throw new RangeError("the name of a snapshot is 1 to 1024 bytes of UTF-8");
  return bytes;
}

/** Null when the bytes are not the name of a snapshot. */
export function decodeName(bytes: Uint8Array): string | null {
  if (bytes.length < 1 || bytes.length > MAX_SNAPSHOT_NAME_BYTES) return null;
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** A text from the file in quotes, with everything escaped that a terminal would act on. */
export function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
