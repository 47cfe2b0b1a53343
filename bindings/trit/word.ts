import { PerdureError } from "../base/errors.js";
import { BalancedInteger } from "./balanced.js";
import { parseTrits, valueOfTrits } from "./digits.js";
import type { Trit } from "./trit.js";

/** 27 trits: an integer from −3,812,798,742,493 to 3,812,798,742,493. */
export class Word extends BalancedInteger<Word> {
  static readonly TRITS = 27;
  static readonly MAX_VALUE = 3_812_798_742_493;
  static readonly MIN_VALUE = -3_812_798_742_493;

  private constructor(value: number) {
    super(value, Word.TRITS);
  }

  /** INVALID_ARGUMENT for anything but an integer in range. */
  static from(value: number): Word {
    return new Word(verifyWord(value));
  }

  /** Of up to 27 trits, the least significant first; those that are not given are 0. */
  static fromTrits(trits: readonly Trit[]): Word {
    return new Word(valueOfTrits(trits, Word.TRITS));
  }

  /** Of balanced notation, the most significant trit first: `0t+0-` or `+0-` is 8. */
  static parse(text: string): Word {
    return new Word(parseTrits(text, Word.TRITS));
  }

  protected make(value: number): Word {
    return new Word(value);
  }

  protected operand(other: Word | number): number {
    return other instanceof Word ? other.valueOf() : verifyWord(other);
  }
}

/** −0 becomes 0. */
function verifyWord(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) <= Word.MAX_VALUE) return value + 0;
  const message = `a word is an integer from −${Word.MAX_VALUE} to ${Word.MAX_VALUE}, not ${String(value)}`;
  throw new PerdureError("INVALID_ARGUMENT", message);
}
