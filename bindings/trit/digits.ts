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
const TWO_TRYTES = TRYTE_VALUES ** 2;
const THREE_TRYTES = TRYTE_VALUES ** 3;

/** 3ⁱ: `**` with an exponent that is not a constant costs more than all else of a sum. */
export const POWERS: readonly number[] = Array.from({ length: 34 }, (_, i) => 3 ** i);

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
  if (Math.abs(value) <= TRYTE_MAX)
    return { positive: positives[value + TRYTE_MAX], negative: negatives[value + TRYTE_MAX] };
  // From here on in 32 bits. Plus (3¹⁸ − 1) / 2, its three trytes are digits of base 729, each plus 364.
  const low = balancedRemainder(value, THREE_TRYTES);
  const first = low + (THREE_TRYTES - 1) / 2;
  const second = Math.floor(first / TRYTE_VALUES);
  const third = Math.floor(second / TRYTE_VALUES);
  const a = first - TRYTE_VALUES * second;
  const b = second - TRYTE_VALUES * third;
  let positive = positives[a] | (positives[b] << 6) | (positives[third] << 12);
  let negative = negatives[a] | (negatives[b] << 6) | (negatives[third] << 12);
  if (value !== low) {
    const fourth = (value - low) / THREE_TRYTES + (TWO_TRYTES - 1) / 2;
    const fifth = Math.floor(fourth / TRYTE_VALUES);
    const d = fourth - TRYTE_VALUES * fifth;
    positive |= (positives[d] << 18) | (positives[fifth] << 24);
    negative |= (negatives[d] << 18) | (negatives[fifth] << 24);
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

/** Its `count` lowest trits, at most 30; it has no others. */
export function tritsOf(value: number, count: number): Trit[] {
  const { positive, negative } = planesOf(value);
  const trits: Trit[] = [];
  for (let i = 0; i < count; i++) trits.push((((positive >> i) & 1) - ((negative >> i) & 1)) as Trit);
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

/** Six digits of each tryte, at its value plus 364; made when they are first needed. */
let texts: readonly string[] | null = null;

function textsOfTrytes(): readonly string[] {
  return Array.from({ length: TRYTE_VALUES }, (_, i) =>
    tritsOf(i - TRYTE_MAX, TRYTE_TRITS).reduce((text: string, trit) => "-0+"[trit + 1] + text, ""),
  );
}

/** `0t` and the trits as `+`, `0` and `-`. */
export function textOf(value: number, count: number): string {
  texts ??= textsOfTrytes();
  let text = "";
  for (let i = 0; i < count; i += TRYTE_TRITS) {
    const low = balancedRemainder(value, TRYTE_VALUES);
    text = texts[low + TRYTE_MAX] + text;
    value = (value - low) / TRYTE_VALUES;
  }
  return `0t${text.length === count ? text : text.slice(text.length - count)}`;
}

/** The number that such a text is, with or without `0t`. INVALID_ARGUMENT when it is none, or has more than `most` trits. */
export function parseTrits(text: string, most: number): number {
  const digits = String(text);
  const start = digits.startsWith("0t") ? 2 : 0;
  let value = 0;
  let isWrong = digits.length === start || digits.length > start + most;
  for (let i = start; i < digits.length && !isWrong; i++) {
    const digit = digits.charCodeAt(i);
    isWrong = digit !== ZERO && digit !== PLUS && digit !== MINUS;
    value = 3 * value + (digit === PLUS ? 1 : digit === MINUS ? -1 : 0);
  }
  if (!isWrong) return value;
  const message = `${JSON.stringify(text)} is not 0t and 1 to ${most} of the digits + 0 -`;
  throw new PerdureError("INVALID_ARGUMENT", message);
}

const [ZERO, PLUS, MINUS] = [..."0+-"].map((digit) => digit.charCodeAt(0));
