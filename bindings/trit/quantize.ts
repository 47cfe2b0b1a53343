/** From real numbers to trits and small integers, and the factor that is lost on the way. */
import { PerdureError } from "../base/errors.js";

export interface QuantizedTrits {
  readonly trits: Int8Array;
  /** vector ≈ scale × trits. */
  readonly scale: number;
}

/**
 * The nearest multiple of a vector of trits: what is at least `threshold` times the mean absolute value becomes its sign, the rest 0. The scale is the mean size of what became
 * ±1, which for these trits gives the least squared error. The default threshold is that of Fengfu Li, Bin Liu and others, "Ternary Weight Networks" (2016), arXiv:1605.04711; 0.5
 * gives the trits of BitNet b1.58 (Shuming Ma and others, 2024, arXiv:2402.17764). INVALID_ARGUMENT for what is not finite.
 */
export function quantizeTrits(
  vector: Float32Array | Float64Array,
  options: { threshold?: number; into?: Int8Array } = {},
): QuantizedTrits {
  const { length } = vector;
  const trits = options.into ?? new Int8Array(length);
  if (trits.length !== length)
    throw new PerdureError("INVALID_ARGUMENT", `\`into\` has ${trits.length} elements, the vector ${length}`);
  let total = 0;
  for (let i = 0; i < length; i++) total += Math.abs(vector[i]);
  verifyFinite(total);
  // Zeros are of no size: whatever the threshold, they are 0.
  const threshold = Math.max(((options.threshold ?? 0.7) * total) / length, Number.MIN_VALUE);
  let sum = 0;
  let count = 0;
  for (let i = 0; i < length; i++) {
    const size = Math.abs(vector[i]);
    const keeps = size >= threshold;
    trits[i] = keeps ? Math.sign(vector[i]) : 0;
    if (!keeps) continue;
    sum += size;
    count++;
  }
  return { trits, scale: count === 0 ? 0 : sum / count };
}

export interface QuantizedBytes {
  readonly bytes: Int8Array;
  /** vector ≈ scale × bytes. */
  readonly scale: number;
}

/** The nearest multiple of a vector of integers from −127 to 127, the greatest of which is ±127. INVALID_ARGUMENT for what is not finite. */
export function quantizeBytes(vector: Float32Array | Float64Array): QuantizedBytes {
  let most = 0;
  for (let i = 0; i < vector.length; i++) {
    verifyFinite(vector[i]);
    most = Math.max(most, Math.abs(vector[i]));
  }
  const scale = most / 127;
  const bytes = new Int8Array(vector.length);
  if (scale > 0) for (let i = 0; i < vector.length; i++) bytes[i] = Math.round(vector[i] / scale);
  return { bytes, scale };
}

function verifyFinite(value: number): void {
  if (!Number.isFinite(value))
    throw new PerdureError("INVALID_ARGUMENT", "a vector to be quantized has finite numbers only");
}
