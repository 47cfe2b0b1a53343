/**
 * Arithmetic on rows of trytes, as Int16Array of values from −364 to 364: element by element, by SIMD. A row may be a view of persistent memory. Nothing wraps: an
 * overflow is LIMIT and names the element; what comes before it, and some elements after it, may have been written to `into` then. An operand that is no tryte is
 * INVALID_ARGUMENT.
 */
import { PerdureError } from "../base/errors.js";
import { FIRST, PIECE_BYTES, RESULT, SECOND, type TritFunctions, tritKernels } from "./kernels.js";
import { Tryte } from "./tryte.js";

const PIECE = PIECE_BYTES / Int16Array.BYTES_PER_ELEMENT;

type Binary = "addTrytes" | "subtractTrytes" | "lesserTrytes" | "greaterTrytes";

export const trytes = {
  /** a + b. The result goes to `into`, which may be an operand, or to a new row. */
  add: (a: Int16Array, b: Int16Array, into?: Int16Array): Int16Array => combine("addTrytes", a, b, into),
  sub: (a: Int16Array, b: Int16Array, into?: Int16Array): Int16Array => combine("subtractTrytes", a, b, into),
  /** The lesser number of each two; trit-wise it is `Tryte.min`. */
  lesser: (a: Int16Array, b: Int16Array, into?: Int16Array): Int16Array =>
    combine("lesserTrytes", a, b, into),
  /** The greater number of each two. */
  greater: (a: Int16Array, b: Int16Array, into?: Int16Array): Int16Array =>
    combine("greaterTrytes", a, b, into),
  neg: (a: Int16Array, into?: Int16Array): Int16Array =>
    map(a, a, into, (functions, count) => functions.negateTrytes(FIRST, count, RESULT)),
} as const;

function combine(name: Binary, a: Int16Array, b: Int16Array, into?: Int16Array): Int16Array {
  return map(a, b, into, (functions, count) => functions[name](FIRST, SECOND, count, RESULT));
}

function map(
  a: Int16Array,
  b: Int16Array,
  into: Int16Array | undefined,
  kernel: (functions: TritFunctions, count: number) => number,
): Int16Array {
  const { length } = a;
  const result = into ?? new Int16Array(length);
  for (const row of [a, b, result]) {
    if (!(row instanceof Int16Array) || row.length !== length)
      throw new PerdureError("INVALID_ARGUMENT", "rows of trytes are Int16Arrays of one length");
  }
  const { functions, trytes } = tritKernels();
  for (let at = 0; at < length; at += PIECE) {
    const count = Math.min(PIECE, length - at);
    trytes.set(a.subarray(at, at + count), FIRST / 2);
    if (b !== a) trytes.set(b.subarray(at, at + count), SECOND / 2);
    else trytes.copyWithin(SECOND / 2, FIRST / 2, FIRST / 2 + count);
    const wrong = kernel(functions, count);
    if (wrong >= 0) throw refusal(at + wrong, trytes[FIRST / 2 + wrong], trytes[SECOND / 2 + wrong]);
    result.set(trytes.subarray(RESULT / 2, RESULT / 2 + count), at);
  }
  return result;
}

function refusal(index: number, a: number, b: number): PerdureError {
  for (const value of [a, b]) {
    if (Math.abs(value) > Tryte.MAX_VALUE)
      return new PerdureError("INVALID_ARGUMENT", `element ${index} is ${value}, which is no tryte`);
  }
  return new PerdureError("LIMIT", `overflow: the result of ${a} and ${b}, element ${index}, is no tryte`);
}
