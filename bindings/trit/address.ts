/**
 * Addresses of ternary memory, in trytes.
 *
 * A virtual address v lies on page ⌊v / 729⌋, at offset v − 729 × page, 0 … 728; so pages begin at multiples of 729, and the sign of an address is the half it
 * lies in: negative is the kernel's. Pages are the numbers of 27 trits, so virtual addresses are −729 × P … 729 × P + 728 with P = (3²⁷ − 1) / 2: 33 trits hold all but the
 * last 364 of them. In three balanced groups of nine trits, each plus 9841, the page number gives the indices into the tables of three levels; the same are the
 * digits, in base 19,683, of the page plus P.
 */
import { PerdureError } from "../base/errors.js";
import { textOf, valueOfTrits } from "./digits.js";
import type { Trit } from "./trit.js";
import { Tryte } from "./tryte.js";

/** Trytes of a base page and of a frame: 3⁶. */
export const PAGE_TRYTES = 729;
/** Of a large page, three aligned base pages: 3⁷. */
export const LARGE_PAGE_TRYTES = 2187;
/** Of a page table: 3⁹. */
export const TABLE_ENTRIES = 19683;

/** The greatest number of 27 trits. */
export const PAGE_MAX = 3_812_798_742_493;
export const VIRTUAL_MIN = -PAGE_TRYTES * PAGE_MAX;
export const VIRTUAL_MAX = PAGE_TRYTES * PAGE_MAX + PAGE_TRYTES - 1;
/** The greatest number of 21 trits, which is the last frame. */
export const FRAME_MAX = 5_230_176_601;
/** Physical addresses are 0 to this. */
export const PHYSICAL_MAX = PAGE_TRYTES * FRAME_MAX + PAGE_TRYTES - 1;

export function isVirtual(address: number): boolean {
  return Number.isInteger(address) && address >= VIRTUAL_MIN && address <= VIRTUAL_MAX;
}

export function isPhysical(address: number): boolean {
  return Number.isInteger(address) && address >= 0 && address <= PHYSICAL_MAX;
}

/** Of a virtual address. Exact: the error of the quotient is less than a third of 1/729. */
export function pageOf(address: number): number {
  return Math.floor(address / PAGE_TRYTES);
}

/** Within its page. */
export function offsetOf(address: number): number {
  return address - PAGE_TRYTES * pageOf(address);
}

/** Of a page, in the tables of levels 3, 2 and 1. */
export function tableIndices(page: number): [l3: number, l2: number, l1: number] {
  const digits = page + PAGE_MAX;
  const upper = Math.floor(digits / TABLE_ENTRIES);
  const l3 = Math.floor(upper / TABLE_ENTRIES);
  return [l3, upper - TABLE_ENTRIES * l3, digits - TABLE_ENTRIES * upper];
}

/** A virtual address: an immutable value. INVALID_ADDRESS where one would be out of range. */
export class TernaryAddress {
  private constructor(private readonly value: number) {}

  static fromInteger(value: number): TernaryAddress {
    if (isVirtual(value)) return new TernaryAddress(value + 0);
    const message = `a ternary address is an integer from ${VIRTUAL_MIN} to ${VIRTUAL_MAX}, not ${String(value)}`;
    throw new PerdureError("INVALID_ADDRESS", message);
  }

  /** Of up to 33 trits, the least significant first; those that are not given are 0. */
  static fromTrits(trits: readonly Trit[]): TernaryAddress {
    return TernaryAddress.fromInteger(valueOfTrits(trits, 33));
  }

  /**
   * Of up to five trytes, the least significant first. Four give 24 trits, zero-extended; a fifth gives the three that are missing to 27, so it is −13 … 13. INVALID_ARGUMENT
   * otherwise.
   */
  static fromTrytes(trytes: readonly number[]): TernaryAddress {
    if (trytes.length > 5 || Math.abs(trytes[4] ?? 0) > 13) {
      const message = `27 trits are four trytes and one from −13 to 13, not ${trytes.join(", ")}`;
      throw new PerdureError("INVALID_ARGUMENT", message);
    }
    let value = 0;
    for (let i = trytes.length - 1; i >= 0; i--) value = value * 729 + Tryte.from(trytes[i]).valueOf();
    return TernaryAddress.fromInteger(value);
  }

  toInteger(): number {
    return this.value;
  }

  valueOf(): number {
    return this.value;
  }

  toJSON(): number {
    return this.value;
  }

  /** In balanced notation: 33 trits, or 34 for the last 364 addresses. */
  toString(): string {
    return textOf(this.value, Math.abs(this.value) <= (3 ** 33 - 1) / 2 ? 33 : 34);
  }

  /** `trytes` further on, or back when negative. */
  addOffset(trytes: number): TernaryAddress {
    return TernaryAddress.fromInteger(this.value + trytes);
  }

  /** The last multiple of `trytes` that is not beyond this. INVALID_ALIGNMENT unless it is a whole number from 1 on. */
  alignDown(trytes: number): TernaryAddress {
    return TernaryAddress.fromInteger(this.value - this.modulo(trytes));
  }

  /** The first multiple of `trytes` that is not before this. */
  alignUp(trytes: number): TernaryAddress {
    const beyond = this.modulo(trytes);
    return beyond === 0 ? this : TernaryAddress.fromInteger(this.value - beyond + trytes);
  }

  isAligned(trytes: number): boolean {
    return this.modulo(trytes) === 0;
  }

  /** −1, 0 or 1: below the other, the same, above. */
  compare(other: TernaryAddress): Trit {
    return Math.sign(this.value - other.value) as Trit;
  }

  equals(other: TernaryAddress): boolean {
    return this.value === other.value;
  }

  /** Whether it lies in the kernel's half. */
  get isKernel(): boolean {
    return this.value < 0;
  }

  get page(): number {
    return pageOf(this.value);
  }

  get offset(): number {
    return offsetOf(this.value);
  }

  /** Where a walk goes: an index into a table of each level, 0 … 19,682, and the offset in the page. */
  indices(): [l3: number, l2: number, l1: number, offset: number] {
    return [...tableIndices(this.page), this.offset];
  }

  private modulo(trytes: number): number {
    if (!Number.isSafeInteger(trytes) || trytes < 1)
      throw new PerdureError("INVALID_ALIGNMENT", `${String(trytes)} is no whole number of trytes from 1 on`);
    const remainder = this.value % trytes;
    return remainder < 0 ? remainder + trytes : remainder;
  }
}
