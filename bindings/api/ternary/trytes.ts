/** Trytes as programs give them: whole numbers from −364 to 364. */
import { PerdureError } from "../../base/errors.js";

const TRYTE_MAX = 364;

/** A copy. INVALID_ARGUMENT when one of them is no tryte. */
export function verifiedTrytes(trytes: ArrayLike<number>): Int16Array {
  if (typeof trytes?.length !== "number")
    throw new PerdureError("INVALID_ARGUMENT", "trytes come as an array of numbers");
  const copy = new Int16Array(trytes.length);
  for (let i = 0; i < copy.length; i++) {
    const value = trytes[i]!;
    if (!Number.isInteger(value) || value < -TRYTE_MAX || value > TRYTE_MAX) throw noTryte(value);
    copy[i] = value;
  }
  return copy;
}

export function noTryte(value: unknown): PerdureError {
  return new PerdureError("INVALID_ARGUMENT", `a tryte is −364 … 364, not ${String(value)}`);
}
