/**
 * Logic on single trits: −1 is false, 0 unknown, +1 true. Names and tables are those of Douglas W. Jones, "Standard Ternary Logic" (The University
 * of Iowa, 2012 on); the three implications carry the names of their logics (Kleene 1938, Łukasiewicz 1920, Gödel and Heyting 1930–32).
 */
import { PerdureError } from "../base/errors.js";

export type Trit = -1 | 0 | 1;

export function isTrit(value: unknown): value is Trit {
  return value === -1 || value === 0 || value === 1;
}

/** INVALID_ARGUMENT for anything else. −0 is 0. */
export function tritOf(value: number): Trit {
  if (!isTrit(value))
    throw new PerdureError("INVALID_ARGUMENT", `a trit is −1, 0 or 1, not ${String(value)}`);
  return (value + 0) as Trit;
}

/** Back to the other end from beyond: the value mod 3. */
const wrapped = (value: number): Trit => (value > 1 ? value - 3 : value < -1 ? value + 3 : value) as Trit;
const truth = (value: boolean): Trit => (value ? 1 : -1);
const negated = (a: Trit): Trit => (0 - a) as Trit;
const lesser = (a: Trit, b: Trit): Trit => (a < b ? a : b);
const greater = (a: Trit, b: Trit): Trit => (a > b ? a : b);

export const trit = {
  // Of one trit

  /** −a: what is true becomes false; unknown stays. */
  neg: negated,
  /** The same, as logic calls it. */
  not: negated,
  /** a + 1, and −1 after +1: the cycle in one direction. */
  increment: (a: Trit): Trit => wrapped(a + 1),
  /** a − 1, and +1 before −1: the cycle in the other. */
  decrement: (a: Trit): Trit => wrapped(a - 1),
  abs: (a: Trit): Trit => (a === 0 ? 0 : 1),
  /** + for +, else −. Łukasiewicz's L: it is necessary. */
  isTrue: (a: Trit): Trit => truth(a === 1),
  /** + for 0, else −. */
  isUnknown: (a: Trit): Trit => truth(a === 0),
  /** + for −, else −. */
  isFalse: (a: Trit): Trit => truth(a === -1),
  /** − for −, else +. Łukasiewicz's M: it is possible. */
  isPossible: (a: Trit): Trit => truth(a !== -1),
  /** + becomes 0. */
  clampDown: (a: Trit): Trit => lesser(a, 0),
  /** − becomes 0. */
  clampUp: (a: Trit): Trit => greater(a, 0),

  // Of two

  min: lesser,
  max: greater,
  /** Both: the minimum. */
  and: lesser,
  /** Either: the maximum. */
  or: greater,
  /** The negated minimum. */
  nand: (a: Trit, b: Trit): Trit => negated(lesser(a, b)),
  /** The negated maximum. */
  nor: (a: Trit, b: Trit): Trit => negated(greater(a, b)),
  /** What both agree on; 0 when they do not. */
  consensus: (a: Trit, b: Trit): Trit => (a === b ? a : 0),
  /** What either says, as long as the other does not say the opposite: the sign of a + b. */
  any: (a: Trit, b: Trit): Trit => Math.sign(a + b) as Trit,
  /** a × b: + when both are known and the same. Also called XNOR. */
  product: (a: Trit, b: Trit): Trit => (a * b + 0) as Trit,
  /** −(a × b): + when both are known and differ. */
  xor: (a: Trit, b: Trit): Trit => (0 - a * b) as Trit,
  /** a + b mod 3: what an adder leaves in this place. */
  sum: (a: Trit, b: Trit): Trit => wrapped(a + b),
  /** What the same adder carries into the next: the consensus. */
  carry: (a: Trit, b: Trit): Trit => (a === b ? a : 0),
  /** + when they are the same, else −. */
  equals: (a: Trit, b: Trit): Trit => truth(a === b),
  /** The sign of a − b. */
  compare: (a: Trit, b: Trit): Trit => Math.sign(a - b) as Trit,
  /** Kleene's implication: not a, or b. Unknown implies unknown is unknown. */
  implies: (a: Trit, b: Trit): Trit => greater(negated(a), b),
  /** Łukasiewicz's: as Kleene's, but unknown implies unknown is true. */
  impliesLukasiewicz: (a: Trit, b: Trit): Trit => Math.min(1, 1 + b - a) as Trit,
  /** Gödel's and Heyting's: true as long as b is no less true than a, else b. */
  impliesHeyting: (a: Trit, b: Trit): Trit => (a <= b ? 1 : b),
} as const;
