/**
 * A set of slot numbers as a growing bitmap. Counting, union and the search for free extents run over 32-bit
 * words, so a file of a GiB (262,144 slots) costs 8,192 steps. The set is unbounded: slots past the last word are
 * not in it.
 */
import type { Run } from "../format/superblock.js";

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

  /** Calls `visit` with each maximal extent of at least `least` slots in [from, limit) that are not in the set. */
  gaps(from: number, limit: number, visit: (slot: number, count: number) => void, least = 1): void {
    let start = -1;
    let at = from;
    const end = Math.min(limit, this.words.length * 32);
    while (at < end) {
      const word = this.words[Math.floor(at / 32)];
      const bit = at & 31;
      if (bit === 0 && least >= 4 && word !== 0 && !hasFourFree(word)) {
        // Only a gap that reaches over the edge of the word can be long enough.
        const gapEnd = Math.min(at + trailingZeros(word), limit);
        if (start >= 0 && gapEnd - start >= least) visit(start, gapEnd - start);
        const free = Math.clz32(word);
        start = free === 0 ? -1 : at + 32 - free;
        at += 32;
        continue;
      }
      const differing = (start < 0 ? ~word : word) >>> bit;
      if (differing === 0) {
        at += 32 - bit;
        continue;
      }
      at += trailingZeros(differing);
      if (start < 0) {
        start = at;
        continue;
      }
      const gapEnd = Math.min(at, limit);
      if (gapEnd - start >= least) visit(start, gapEnd - start);
      start = -1;
    }
    if (start < 0) start = Math.max(from, end);
    if (start < limit && limit - start >= least) visit(start, limit - start);
  }

  /** The same extents, the longest first; of those of one length the first first. */
  longestGaps(from: number, limit: number, least: number): Run[] {
    const long: Run[] = [];
    const short: Run[][] = Array.from({ length: 64 }, () => []);
    this.gaps(from, limit, (slot, slots) => (short[slots] ?? long).push({ slot, slots }), least);
    long.sort((a, b) => b.slots - a.slots);
    return [long, ...short.reverse()].flat();
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

/** Whether four adjoining bits are zero. */
function hasFourFree(word: number): boolean {
  const pairs = ~word & (~word >>> 1);
  return (pairs & (pairs >>> 2)) !== 0;
}

/** 32 for 0. */
function trailingZeros(word: number): number {
  return word === 0 ? 32 : 31 - Math.clz32(word & -word);
}
