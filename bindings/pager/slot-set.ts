/**
 * A set of slot numbers as a growing bitmap. Counting, union and the search for free extents run over 32-bit
 * words, so a file of a GiB (262,144 slots) costs 8,192 steps. The set is unbounded: slots past the last word are
 * not in it.
 */
import type { Run } from "../format/superblock.js";

/** Shorter extents are counted by their lengths, to see which are worth a list. */
const COUNTED_LENGTHS = 64;

export class SlotSet {
  private words: Uint32Array;

  constructor(words: Uint32Array = new Uint32Array(64)) {
    this.words = words;
  }

  has(slot: number): boolean {
    const word = Math.floor(slot / 32);
    return word < this.words.length && (this.words[word] & (1 << (slot & 31))) !== 0;
  }

  add(slot: number): void {
    const word = Math.floor(slot / 32);
    if (word >= this.words.length) this.grow(word + 1);
    this.words[word] |= 1 << (slot & 31);
  }

  delete(slot: number): void {
    const word = Math.floor(slot / 32);
    if (word < this.words.length) this.words[word] &= ~(1 << (slot & 31));
  }

  addRange(slot: number, count: number): void {
    let at = slot;
    const end = slot + count;
    if (count > 0) this.add(end - 1);
    for (; at < end && (at & 31) !== 0; at++) this.add(at);
    for (; at + 32 <= end; at += 32) this.words[at / 32] = 0xffffffff;
    for (; at < end; at++) this.add(at);
  }

  addAll(other: SlotSet): void {
    if (other.words.length > this.words.length) this.grow(other.words.length);
    for (let i = 0; i < other.words.length; i++) this.words[i] |= other.words[i];
  }

  clone(): SlotSet {
    return new SlotSet(this.words.slice());
  }

  count(): number {
    let total = 0;
    for (const word of this.words) {
      let bits = word - ((word >>> 1) & 0x55555555);
      bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
      total += (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
    }
    return total;
  }

  /** One more than the greatest slot in the set; 0 when it is empty. */
  end(): number {
    let word = this.words.length - 1;
    while (word >= 0 && this.words[word] === 0) word--;
    return word < 0 ? 0 : word * 32 + 32 - Math.clz32(this.words[word]);
  }

  *slots(): IterableIterator<number> {
    for (let word = 0; word < this.words.length; word++) {
      for (let bits = this.words[word]; bits !== 0; bits &= bits - 1) {
        yield word * 32 + 31 - Math.clz32(bits & -bits);
      }
    }
  }

  /**
   * Calls `visit` with each maximal extent of at least `least` slots in [from, limit) that are not in the set, in order, until it
   * returns true.
   */
  gaps(from: number, limit: number, visit: (slot: number, count: number) => unknown, least = 1): void {
    /** Of the gap under way, or -1. */
    let start = -1;
    const end = Math.min(limit, this.words.length * 32);
    for (let base = from - (from % 32); base < end; base += 32) {
      let word = this.words[base / 32] | 0;
      // What lies outside counts as taken.
      if (base < from) word |= (1 << (from - base)) - 1;
      if (end - base < 32) word |= -1 << (end - base);
      let changes = word ^ ((word << 1) | (start < 0 ? 1 : 0));
      if (least >= 4 && word !== 0 && !mayHaveFree(word, least)) {
        // Only a gap that reaches over an edge of the word can be long enough.
        if (start >= 0) {
          const count = base + trailingZeros(word) - start;
          if (count >= least && visit(start, count) === true) return;
        }
        const free = Math.clz32(word);
        start = free === 0 ? -1 : base + 32 - free;
        continue;
      }
      for (; changes !== 0; changes &= changes - 1) {
        const at = base + trailingZeros(changes);
        if (start < 0) {
          start = at;
          continue;
        }
        if (at - start >= least && visit(start, at - start) === true) return;
        start = -1;
      }
    }
    if (start < 0 && limit > end) start = Math.max(from, end);
    if (start >= 0 && limit - start >= least) visit(start, limit - start);
  }

  /** The longest of these extents, the longest first: `most` of them, or as few as have `slots` slots together. */
  longestGaps(from: number, limit: number, least: number, slots: number, most: number): Run[] {
    const lengths = new Uint32Array(COUNTED_LENGTHS + 1);
    this.gaps(from, limit, (_, count) => lengths[Math.min(count, COUNTED_LENGTHS)]++ < 0, least);
    let shortest = COUNTED_LENGTHS;
    let counted = lengths[shortest];
    for (let sum = counted * shortest; shortest > least && counted < most && sum < slots; ) {
      shortest--;
      counted += lengths[shortest];
      sum += lengths[shortest] * shortest;
    }
    const found: Run[] = [];
    this.gaps(
      from,
      limit,
      (slot, count) => found.push({ slot, slots: count }) < 0,
      Math.max(least, shortest),
    );
    found.sort((a, b) => b.slots - a.slots);
    let left = slots;
    const end = found.findIndex((gap, i) => {
      const enough = left <= 0 || i === most;
      left -= gap.slots;
      return enough;
    });
    return end < 0 ? found : found.slice(0, end);
  }

  /** The 8 × `into.length` slots from `slot` (a multiple of 8) on, as bytes; bit i is bit i mod 8 of byte i div 8. */
  copyBits(slot: number, into: Uint8Array): void {
    const bytes = new Uint8Array(this.words.buffer, this.words.byteOffset, this.words.byteLength);
    const from = Math.min(slot / 8, bytes.length);
    const part = bytes.subarray(from, Math.min(from + into.length, bytes.length));
    into.fill(0);
    into.set(part);
  }

  /** Replaces the 8 × `bits.length` slots from `slot` (a multiple of 8) on. */
  setBits(slot: number, bits: Uint8Array): void {
    const needed = Math.ceil((slot + bits.length * 8) / 32);
    if (needed > this.words.length) this.grow(needed);
    new Uint8Array(this.words.buffer, this.words.byteOffset, this.words.byteLength).set(bits, slot / 8);
  }

  private grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, this.words.length * 2));
    grown.set(this.words);
    this.words = grown;
  }
}

/** False when the word has no `least` adjoining zero bits for certain; `least` is at least 4. */
function mayHaveFree(word: number, least: number): boolean {
  let free = ~word & (~word >>> 1);
  free &= free >>> 2;
  if (least >= 8) free &= free >>> 4;
  if (least >= 16) free &= free >>> 8;
  return free !== 0;
}

/** Of a word that is not 0. */
function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
