/** Random identifiers: uuids of files, nonces of relocations, locks and pins. */
import { toHex } from "../base/bytes.js";

export function randomId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

export function randomNonce(): string {
  return toHex(randomId());
}
