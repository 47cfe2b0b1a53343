/**
 * Slot 2: all zeros while the file is the state; anything else, even damaged, says "open it by name again". FORMAT.md §5.
 * A writer reads it before every acknowledgement, so the question is asked without decoding.
 */
import { isZero, viewOf } from "../base/bytes.js";
import type { Hasher } from "../hash/hasher.js";
import { Kind, SLOT_BYTES } from "./constants.js";
import { type Decoded, damaged, decoded } from "./decoded.js";
import { openSlot, sealDigest, writePreamble } from "./preamble.js";
import { FORWARDING, firstProblem, PREAMBLE, readFields, readPlain, writeFields } from "./schema.js";

export interface Forwarding {
  /** Of the file that was left. */
  uuid: Uint8Array;
  /** 16 bytes that name the relocation. */
  nonce: Uint8Array;
  writer: number;
  /** Milliseconds since 1970. */
  time: number;
}

const zeros = new Uint8Array(SLOT_BYTES);
/** memcmp, where the runtime has it: 90 instead of 470 ns, within a commit of a few microseconds. */
const compare = globalThis.Buffer?.compare;

/** Whether any byte of slot 2 is not zero. */
export function isForwarded(bytes: Uint8Array): boolean {
  if (compare !== undefined && bytes.length === SLOT_BYTES) return compare(bytes, zeros) !== 0;
  return !isZero(bytes);
}

/** The 4096 bytes of a forwarding slot. */
export function encodeForwarding(forwarding: Forwarding, hasher: Hasher): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = viewOf(bytes);
  writePreamble(bytes, view, Kind.Forwarding, forwarding.uuid);
  writeFields(view, 0, FORWARDING, forwarding);
  sealDigest(bytes, view, hasher);
  return bytes;
}

export function decodeForwarding(bytes: Uint8Array, hasher: Hasher): Decoded<Forwarding> {
  const slot = openSlot(bytes, Kind.Forwarding, hasher);
  if (!slot.ok) return slot;
  const fields = readFields(slot.value, 0, FORWARDING);
  const problem = firstProblem(FORWARDING, fields);
  if (problem !== null) return damaged(problem);
  return decoded({ uuid: readPlain(slot.value, PREAMBLE.fields.uuid.offset, "id") as Uint8Array, ...fields });
}
