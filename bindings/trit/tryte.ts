import { PerdureError } from "../base/errors.js";
import { BalancedInteger } from "./balanced.js";
import { parseTrits, valueOfTrits } from "./digits.js";
import type { Trit } from "./trit.js";

/** Six trits: an integer from −364 to 364. There is one object for each, so trytes can be compared with `===`. */
export class Tryte extends BalancedInteger<Tryte> {
  static readonly TRITS = 6;
  static readonly MAX_VALUE = 364;
  static readonly MIN_VALUE = -364;
  private static readonly all = Array.from({ length: 729 }, (_, i) => new Tryte(i - Tryte.MAX_VALUE));

  private constructor(value: number) {
    super(value, Tryte.TRITS);
  }

  /** INVALID_ARGUMENT for anything but an integer from −364 to 364. */
  static from(value: number): Tryte {
    return Tryte.all[verifyTryte(value) + Tryte.MAX_VALUE];
  }

  /** Of up to six trits, the least significant first; those that are not given are 0. */
  static fromTrits(trits: readonly Trit[]): Tryte {
    return Tryte.from(valueOfTrits(trits, Tryte.TRITS));
  }

  /** Of balanced notation, the most significant trit first: `0t+0-` or `+0-` is 8. */
  static parse(text: string): Tryte {
    return Tryte.from(parseTrits(text, Tryte.TRITS));
  }

  protected make(value: number): Tryte {
    return Tryte.all[value + Tryte.MAX_VALUE];
  }

  protected operand(other: Tryte | number): number {
    return other instanceof Tryte ? other.valueOf() : verifyTryte(other);
  }
}

function verifyTryte(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) <= Tryte.MAX_VALUE) return value;
  throw new PerdureError("INVALID_ARGUMENT", `a tryte is an integer from −364 to 364, not ${String(value)}`);
}
