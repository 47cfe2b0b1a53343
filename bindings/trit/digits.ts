/**
 * Integers as balanced digits: the representation that trytes, words and addresses share. Trits are listed the least significant first, so
 * that trit i counts 3ⁱ; text is written the most significant first, as numbers are.
 *
 * Two bit planes hold up to 30 trits: bit i of `positive` is set when trit i is +, of `negative` when it is −. Conversion goes six trits at a time,
 * through tables of 729 and 64 entries, which are made when this file is loaded.
 */
import { PerdureError } from "../base/errors.js";
import { type Trit, tritOf } from "./trit.js";

const TRYTE_TRITS = 6;
const TRYTE_VALUES = 729;
const TRYTE_MAX = 364;

/** What six bits count: bit i is 3ⁱ. */
const weights = Int16Array.from({ length: 64 }, (_, bits) => {
  let weight = 0;
  for (let i = 0; i < TRYTE_TRITS; i++) if ((bits >> i) & 1) weight += 3 ** i;
  return weight;
});

/** Planes of a tryte, at its value plus 364. */
const positives = new Uint8Array(TRYTE_VALUES);
const negatives = new Uint8Array(TRYTE_VALUES);
for (let positive = 0; positive < 64; positive++) {
  for (let negative = 0; negative < 64; negative++) {
    if ((positive & negative) !== 0) continue;
    const at = weights[positive] - weights[negative] + TRYTE_MAX;
    positives[at] = positive;
    negatives[at] = negative;
  }
}

export interface Planes {
  readonly positive: number;
  readonly negative: number;
}

/** What is left of `value` by the nearest multiple of `modulus`, an odd number: −(modulus − 1)/2 … (modulus − 1)/2. */
export function balancedRemainder(value: number, modulus: number): number {
  const remainder = value % modulus;
  const half = (modulus - 1) / 2;
  return (remainder > half ? remainder - modulus : remainder < -half ? remainder + modulus : remainder) + 0;
}

/** Of an integer of at most 30 trits. */
export function planesOf(value: number): Planes {
  let positive = 0;
  let negative = 0;
  for (let shift = 0; value !== 0; shift += TRYTE_TRITS) {
    const low = balancedRemainder(value, TRYTE_VALUES);
    positive |= positives[low + TRYTE_MAX] << shift;
    negative |= negatives[low + TRYTE_MAX] << shift;
    value = (value - low) / TRYTE_VALUES;
  }
  return { positive, negative };
}

export function valueOfPlanes(positive: number, negative: number): number {
  let value = 0;
  for (let shift = 24; shift >= 0; shift -= TRYTE_TRITS) {
    value = value * TRYTE_VALUES + weights[(positive >>> shift) & 63] - weights[(negative >>> shift) & 63];
  }
  return value;
}

/** Its `count` lowest trits. */
export function tritsOf(value: number, count: number): Trit[] {
  const trits: Trit[] = [];
  for (let i = 0; i < count; i++) {
    const low = balancedRemainder(value, 3) as Trit;
    trits.push(low);
    value = (value - low) / 3;
  }
  return trits;
}

/** INVALID_ARGUMENT when there are more than `most`, or one is no trit. */
export function valueOfTrits(trits: readonly number[], most: number): number {
  if (trits.length > most)
    throw new PerdureError("INVALID_ARGUMENT", `there is room for ${most} trits, not for ${trits.length}`);
  let value = 0;
  for (let i = trits.length - 1; i >= 0; i--) value = value * 3 + tritOf(trits[i]);
  return value;
}

/** `0t` and the trits as `+`, `0` and `-`. */
export function textOf(value: number, count: number): string {
  let text = "";
  for (const trit of tritsOf(value, count)) text = "-0+"[trit + 1] + text;
  return `0t${text}`;
}

/** The number that such a text is, with or without `0t`. INVALID_ARGUMENT when it is none, or has more than `most` trits. */
export function parseTrits(text: string, most: number): number {
  const [, digits] = /^(?:0t)?([-+0]+)$/.exec(text) ?? [];
  if (digits === undefined || digits.length > most) {
    const message = `${JSON.stringify(text)} is not 0t and 1 to ${most} of the digits + 0 -`;
    throw new PerdureError("INVALID_ARGUMENT", message);
  }
  let value = 0;
  for (const digit of digits) value = value * 3 + "-0+".indexOf(digit) - 1;
  return value;
}
