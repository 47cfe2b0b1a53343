/**
 * A set of slot numbers as a growing bitmap. Counting, union and the search for free extents run over 32-bit
 * words, so a file of a GiB (262,144 slots) costs 8,192 steps. The set is unbounded: slots past the last word are
 * not in it.
 */
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

  /** Calls `visit` with each maximal extent of slots in [from, limit) that are not in the set. */
  gaps(from: number, limit: number, visit: (slot: number, count: number) => void): void {
    let start = -1;
    let at = from;
    while (at < limit) {
      const word = at >= this.words.length * 32 ? 0 : this.words[Math.floor(at / 32)];
      if ((at & 31) === 0 && at + 32 <= limit && (word === 0 || word === 0xffffffff)) {
        if (word === 0 && start < 0) start = at;
        if (word !== 0 && start >= 0) {
          visit(start, at - start);
          start = -1;
        }
        at += 32;
        continue;
      }
      const taken = (word & (1 << (at & 31))) !== 0;
      if (!taken && start < 0) start = at;
      if (taken && start >= 0) {
        visit(start, at - start);
        start = -1;
      }
      at++;
    }
    if (start >= 0) visit(start, limit - start);
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
