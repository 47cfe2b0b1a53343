/**
 * What trytes and words have in common: an integer of a fixed number of trits, with exact arithmetic. Nothing wraps: a result that has no
 * place is LIMIT; what a machine does with it instead, carry it on, is `addWithCarry` and `multiplyWide`. Values are immutable.
 *
 * Single values are numbers in JavaScript, not calls into Wasm: a sum of trytes takes 6 ns, and a call alone 4, after which the object would have to be found all the
 * same (Node 20). What works on many at once is in vectors.ts and in the kernels of assembly/trit; `npm run bench -- ternary-kernels` has the figures.
 *
 * Trit-wise logic works on two bit planes (digits.ts): min is (p ∧ q, m ∨ n) for p, m and q, n the planes of both, and so on.
 */
import { PerdureError } from "../base/errors.js";
import { balancedRemainder, POWERS, planesOf, textOf, tritsOf, valueOfPlanes } from "./digits.js";
import type { Trit } from "./trit.js";

/** Which whole quotient a division answers with. */
export type Rounding = "nearest" | "truncate" | "floor";

export abstract class BalancedInteger<Self extends BalancedInteger<Self>> {
  protected constructor(
    private readonly value: number,
    /** How many trits it has. */
    private readonly width: number,
  ) {}

  /** One of the same kind, of a value that is in its range. */
  protected abstract make(value: number): Self;
  /** The value of an operand. INVALID_ARGUMENT when it is not of this kind. */
  protected abstract operand(other: Self | number): number;

  /** The integer. */
  valueOf(): number {
    return this.value;
  }

  /** Its trits, the least significant first. */
  trits(): Trit[] {
    return tritsOf(this.value, this.width);
  }

  /** All trits in balanced notation, the most significant first: `0t000+0-` is the tryte 8. */
  toString(): string {
    return textOf(this.value, this.width);
  }

  toJSON(): number {
    return this.value;
  }

  // Arithmetic

  /** LIMIT when the sum has no place. */
  add(other: Self | number): Self {
    return this.fit(this.value + this.operand(other), "+");
  }

  /** LIMIT. */
  sub(other: Self | number): Self {
    return this.fit(this.value - this.operand(other), "−");
  }

  /** LIMIT. */
  mul(other: Self | number): Self {
    // A product that a double does not have exactly is far out of range.
    return this.fit(this.value * this.operand(other), "×");
  }

  neg(): Self {
    return this.make(0 - this.value);
  }

  abs(): Self {
    return this.make(Math.abs(this.value));
  }

  /**
   * Quotient and remainder: this = quotient × other + remainder. By default the quotient is the one nearest to the exact one, as dropping trits gives it, of two that
   * are equally near the one nearer to 0; so the remainder is balanced too, |remainder| ≤ |other| / 2, and signs are symmetric. `truncate` and `floor` round towards
   * zero and downwards. INVALID_ARGUMENT for 0.
   */
  divmod(other: Self | number, rounding: Rounding = "nearest"): [quotient: Self, remainder: Self] {
    const divisor = this.operand(other);
    if (divisor === 0) throw new PerdureError("INVALID_ARGUMENT", `${this.value} divided by 0`);
    let remainder = this.value % divisor;
    let quotient = (this.value - remainder) / divisor;
    if (rounding === "nearest" && 2 * Math.abs(remainder) > Math.abs(divisor)) {
      const step = Math.sign(remainder) * Math.sign(divisor);
      quotient += step;
      remainder -= step * divisor;
    } else if (rounding === "floor" && remainder * divisor < 0) {
      quotient--;
      remainder += divisor;
    }
    return [this.make(quotient + 0), this.make(remainder + 0)];
  }

  /** Left by n trits, or right by −n. To the left LIMIT when trits that are not 0 would go; to the right they go, which rounds to the nearest. */
  shift(trits: number): Self {
    if (!Number.isInteger(trits))
      throw new PerdureError("INVALID_ARGUMENT", `${String(trits)} is no whole number of trits`);
    if (this.value === 0 || trits <= -this.width) return this.make(0);
    if (trits >= 0)
      return this.fit(this.value * (POWERS[trits] ?? Number.POSITIVE_INFINITY), `shifted left by ${trits}:`);
    const divisor = POWERS[-trits];
    return this.make((this.value - balancedRemainder(this.value, divisor)) / divisor);
  }

  /** The sum as a machine of this width makes it: what stays in it, and what is carried on. */
  addWithCarry(other: Self | number, carry: Trit = 0): [sum: Self, carry: Trit] {
    const modulus = POWERS[this.width];
    const sum = this.value + this.operand(other) + carry;
    const low = balancedRemainder(sum, modulus);
    return [this.make(low), ((sum - low) / modulus + 0) as Trit];
  }

  /** The product in two of this width: it is low + high × 3^width. */
  multiplyWide(other: Self | number): [low: Self, high: Self] {
    const modulus = POWERS[this.width];
    const factor = this.operand(other);
    const product = this.value * factor;
    if (Number.isSafeInteger(product)) {
      const low = balancedRemainder(product, modulus);
      return [this.make(low), this.make((product - low) / modulus + 0)];
    }
    const exact = BigInt(this.value) * BigInt(factor);
    const low = balancedRemainder(Number(exact % BigInt(modulus)), modulus);
    return [this.make(low), this.make(Number((exact - BigInt(low)) / BigInt(modulus)))];
  }

  /** −1, 0 or 1: less than the other, the same, more. */
  compare(other: Self | number): Trit {
    return Math.sign(this.value - this.operand(other)) as Trit;
  }

  equals(other: Self | number): boolean {
    return this.value === this.operand(other);
  }

  /** The sign: that of the highest trit that is not 0. */
  sign(): Trit {
    return Math.sign(this.value) as Trit;
  }

  // Logic, trit by trit: each function as `trit` has it.

  /** The lesser of each two trits. */
  min(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [p & q, m | n]);
  }

  max(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [p | q, m & n]);
  }

  consensus(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [p & q, m & n]);
  }

  any(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [(p | q) & ~(m | n), (m | n) & ~(p | q)]);
  }

  product(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [(p & q) | (m & n), (p & n) | (m & q)]);
  }

  xor(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [(p & n) | (m & q), (p & q) | (m & n)]);
  }

  /** Without carries: mod 3. */
  sum(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [
      (m & n) | (p & ~(q | n)) | (q & ~(p | m)),
      (p & q) | (m & ~(q | n)) | (n & ~(p | m)),
    ]);
  }

  /** Kleene's implication. */
  implies(other: Self | number): Self {
    return this.combine(other, (p, m, q, n) => [m | q, p & n]);
  }

  private combine(
    other: Self | number,
    logic: (p: number, m: number, q: number, n: number) => [positive: number, negative: number],
  ): Self {
    const a = planesOf(this.value);
    const b = planesOf(this.operand(other));
    const [positive, negative] = logic(a.positive, a.negative, b.positive, b.negative);
    return this.make(valueOfPlanes(positive, negative));
  }

  private fit(value: number, what: string): Self {
    if (2 * Math.abs(value) < POWERS[this.width]) return this.make(value + 0);
    throw new PerdureError("LIMIT", `overflow: ${this.value} ${what} does not fit into ${this.width} trits`);
  }
}
