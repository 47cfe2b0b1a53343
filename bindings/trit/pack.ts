/**
 * Trits packed five a byte, 1.6 bits each: byte = Σ (tᵢ + 1) × 3ⁱ, which is 121 + Σ tᵢ × 3ⁱ, so 0 … 242, the first trit the least significant. What is missing
 * of the last byte counts as trits of 0. This is for exchange; a `TernaryMatrix` lays its rows out in another way.
 */
import { PerdureError } from "../base/errors.js";
import { FIRST, PIECE_BYTES, RESULT, tritKernels, UNPACK_TABLE } from "./kernels.js";

const TRITS_PER_BYTE = 5;
/** Bytes whose trits are one piece. */
const PIECE = Math.floor(PIECE_BYTES / TRITS_PER_BYTE);
/** The greatest byte that packs trits. */
const BYTE_MAX = 242;

/** Bytes that so many trits take. */
export function packedLength(count: number): number {
  return Math.ceil(count / TRITS_PER_BYTE);
}

/**
 * ⌈length / 5⌉ bytes, written to the beginning of `into` when it is given; answers the array written to. INVALID_ARGUMENT when an element is not −1, 0 or 1, or
 * when `into` has no room.
 */
export function pack(trits: Int8Array, into?: Uint8Array): Uint8Array {
  if (!(trits instanceof Int8Array)) throw new PerdureError("INVALID_ARGUMENT", "pack takes an Int8Array");
  const length = packedLength(trits.length);
  const packed = into ?? new Uint8Array(length);
  verifyRoom(packed, Uint8Array, length);
  const kernels = tritKernels();
  for (let at = 0; at < length; at += PIECE) {
    const count = Math.min(PIECE, length - at);
    const some = trits.subarray(at * TRITS_PER_BYTE, (at + count) * TRITS_PER_BYTE);
    kernels.trits.set(some, FIRST);
    kernels.trits.fill(0, FIRST + some.length, FIRST + count * TRITS_PER_BYTE);
    if (kernels.functions.packBytes(FIRST, count, RESULT) >= 0) throw noTrit(trits);
    packed.set(kernels.bytes.subarray(RESULT, RESULT + count), at);
  }
  return packed;
}

/**
 * The first `count` trits, written to the beginning of `into` when it is given; answers the array written to. INVALID_ARGUMENT when a byte is above 242, when
 * there are fewer trits, or when `into` has no room.
 */
export function unpack(bytes: Uint8Array, count: number, into?: Int8Array): Int8Array {
  if (!(bytes instanceof Uint8Array)) throw new PerdureError("INVALID_ARGUMENT", "unpack takes a Uint8Array");
  if (!Number.isInteger(count) || count < 0 || packedLength(count) > bytes.length) {
    const message = `${bytes.length} bytes hold ${TRITS_PER_BYTE * bytes.length} trits, not ${String(count)}`;
    throw new PerdureError("INVALID_ARGUMENT", message);
  }
  const trits = into ?? new Int8Array(count);
  verifyRoom(trits, Int8Array, count);
  const length = packedLength(count);
  const kernels = tritKernels();
  for (let at = 0; at < length; at += PIECE) {
    const some = bytes.subarray(at, Math.min(at + PIECE, length));
    kernels.bytes.set(some, FIRST);
    if (kernels.functions.unpackBytes(FIRST, some.length, UNPACK_TABLE, RESULT) !== 0) throw noTrits(bytes);
    const first = at * TRITS_PER_BYTE;
    const end = RESULT + Math.min(some.length * TRITS_PER_BYTE, count - first);
    trits.set(kernels.trits.subarray(RESULT, end), first);
  }
  return trits;
}

function verifyRoom(
  into: Uint8Array | Int8Array,
  type: Uint8ArrayConstructor | Int8ArrayConstructor,
  length: number,
): void {
  if (into instanceof type && into.length >= length) return;
  throw new PerdureError("INVALID_ARGUMENT", `\`into\` is a ${type.name} of at least ${length} elements`);
}

function noTrit(trits: Int8Array): PerdureError {
  const at = trits.findIndex((trit) => trit < -1 || trit > 1);
  return new PerdureError("INVALID_ARGUMENT", `a trit is −1, 0 or 1; element ${at} is ${trits[at]}`);
}

function noTrits(bytes: Uint8Array): PerdureError {
  const at = bytes.findIndex((byte) => byte > BYTE_MAX);
  return new PerdureError("INVALID_ARGUMENT", `byte ${at} is ${bytes[at]}; 0 to ${BYTE_MAX} pack trits`);
}
