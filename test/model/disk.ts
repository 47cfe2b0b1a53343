// The medium, with exactly the promises of docs/FORMAT.md §2 and no more.
//
// An inode has, for every sector, what the cache shows and what may be on the platter. A write goes to the cache; until a
// flush succeeds the platter may hold any value the sector had since the last one. A failed write-back leaves pages that
// are clean although they never arrived: the cache shows them, no later flush writes them, a power cut (or memory
// pressure) loses them. The growth of the file persists or not on its own. A flush has a beginning and an end, and covers
// what was written before the beginning.
//
// The directory maps names to inodes and to the small records (locks, pins), which need no inode of their own here.

import type { Chooser } from "./choice.js";
import { junk, type Value, zero } from "./values.js";

/** What one thing may be on the platter: `values` are all it has been since it was certain, oldest first. */
interface Uncertain<T> {
  values: T[];
  stamps: number[];
  /** Whether a flush would write it. */
  dirty: boolean;
}

export class Inode {
  private readonly cache: Value[] = [];
  private readonly unsure = new Map<number, Uncertain<Value>>();
  private unsureSize: Uncertain<number> | null = null;
  private clock = 0;
  /** Slots in the file. */
  size = 0;
  /** Counts failed write-backs; every open file reports each of them once. */
  errorCount = 0;

  constructor(readonly id: number) {}

  /** What the cache shows of a slot: a value, zeros, or junk when the two sectors do not belong together. */
  read(slot: number): Value {
    if (slot >= this.size) return zero;
    const first = this.cache[2 * slot] ?? zero;
    const second = this.cache[2 * slot + 1] ?? zero;
    return second === (first.whole ? first : zero) ? first : junk;
  }

  readFirstSector(slot: number): Value {
    return slot < this.size ? (this.cache[2 * slot] ?? zero) : zero;
  }

  write(slot: number, value: Value): void {
    this.writeSector(2 * slot, value);
    this.writeSector(2 * slot + 1, value.whole ? value : zero);
  }

  writeSector(sector: number, value: Value): void {
    const slots = (sector >> 1) + 1;
    if (slots > this.size) {
      this.unsureSize ??= { values: [this.size], stamps: [0], dirty: true };
      note(this.unsureSize, slots, ++this.clock);
      this.size = slots;
    }
    let entry = this.unsure.get(sector);
    if (entry === undefined) {
      entry = { values: [this.cache[sector] ?? zero], stamps: [0], dirty: true };
      this.unsure.set(sector, entry);
    }
    note(entry, value, ++this.clock);
    this.cache[sector] = value;
  }

  beginFlush(): number {
    return this.clock;
  }

  /** Everything written before `beginning` is on the platter now. */
  endFlush(beginning: number): void {
    for (const [sector, entry] of this.unsure) {
      if (entry.dirty && settle(entry, beginning)) this.unsure.delete(sector);
    }
    if (this.unsureSize?.dirty && settle(this.unsureSize, beginning)) this.unsureSize = null;
  }

  get isDirty(): boolean {
    for (const entry of this.unsure.values()) if (entry.dirty) return true;
    return false;
  }

  /** A write-back fails: some dirty pages become clean without having arrived. */
  fail(choose: Chooser): void {
    const all = choose.fate(2) === 0;
    for (const entry of this.unsure.values()) {
      if (entry.dirty && (all || choose.fate(2) === 0)) entry.dirty = false;
    }
    this.errorCount++;
  }

  get hasLostPages(): boolean {
    for (const entry of this.unsure.values()) if (!entry.dirty) return true;
    return false;
  }

  /** Memory pressure: clean pages are dropped, and read again as what the platter has. */
  evict(choose: Chooser): void {
    for (const [sector, entry] of this.unsure) {
      if (entry.dirty || choose.fate(3) === 0) continue;
      this.cache[sector] = entry.values[choose.fate(entry.values.length)] as Value;
      this.unsure.delete(sector);
    }
  }

  cutPower(choose: Chooser): void {
    if (this.unsure.size === 0 && this.unsureSize === null) return;
    // 0: all newest; 1: nothing; otherwise each sector for itself.
    const manner = choose.exhaustive ? 2 : choose.fate(4);
    const survivor = <T>(values: readonly T[]): T => {
      if (manner === 0) return values[values.length - 1] as T;
      if (manner === 1) return values[0] as T;
      const different = values.length > 2 || values[0] === values[1] ? [...new Set(values)] : values;
      return different[choose.fate(different.length)] as T;
    };
    for (const [sector, entry] of this.unsure) this.cache[sector] = survivor(entry.values);
    this.unsure.clear();
    if (this.unsureSize !== null) {
      const size = survivor(this.unsureSize.values);
      this.cache.length = Math.min(this.cache.length, 2 * size);
      this.size = size;
      this.unsureSize = null;
    }
  }

  /** One slot rots, in the cache and on the platter. */
  rot(slot: number): void {
    for (const sector of [2 * slot, 2 * slot + 1]) {
      this.cache[sector] = junk;
      this.unsure.delete(sector);
    }
  }

  /** All values a slot may turn out to hold after a power cut, junk aside; for the accounting of the oracle. */
  possible(slot: number): Value[] {
    const entry = this.unsure.get(2 * slot);
    return entry === undefined ? [this.cache[2 * slot] ?? zero] : entry.values;
  }
}

function note<T>(entry: Uncertain<T>, value: T, stamp: number): void {
  entry.values.push(value);
  entry.stamps.push(stamp);
  entry.dirty = true;
}

/** Forgets what was overwritten before `beginning`; true when only one value is left. */
function settle<T>(entry: Uncertain<T>, beginning: number): boolean {
  let first = entry.stamps.length - 1;
  while (first > 0 && (entry.stamps[first] as number) > beginning) first--;
  if (first > 0) {
    entry.values.splice(0, first);
    entry.stamps.splice(0, first);
  }
  return entry.values.length === 1;
}

export class Directory<Entry> {
  private readonly entries = new Map<string, Entry>();
  private readonly undo: (readonly (readonly [string, Entry | undefined])[])[] = [];

  get(name: string): Entry | undefined {
    return this.entries.get(name);
  }

  names(): IterableIterator<string> {
    return this.entries.keys();
  }

  /** A copy, for who looks at one after the other. */
  all(): [string, Entry][] {
    return [...this.entries];
  }

  values(): IterableIterator<Entry> {
    return this.entries.values();
  }

  /** False when the name is taken. */
  link(name: string, entry: Entry): boolean {
    if (this.entries.has(name)) return false;
    this.undo.push([[name, undefined]]);
    this.entries.set(name, entry);
    return true;
  }

  /** False when there is no such name. */
  remove(name: string): boolean {
    if (!this.entries.has(name)) return false;
    this.undo.push([[name, this.entries.get(name)]]);
    return this.entries.delete(name);
  }

  /** Replaces what `to` named; false when there is no `from`. */
  rename(from: string, to: string): boolean {
    const entry = this.entries.get(from);
    if (entry === undefined) return false;
    this.undo.push([
      [from, entry],
      [to, this.entries.get(to)],
    ]);
    this.entries.delete(from);
    this.entries.set(to, entry);
    return true;
  }

  flush(): void {
    this.undo.length = 0;
  }

  /** Undoes some of the latest operations that were not flushed. */
  cutPower(choose: Chooser): void {
    const undone = choose.fate(this.undo.length + 1);
    for (const operation of this.undo.splice(this.undo.length - undone).reverse()) {
      for (const [name, entry] of operation) {
        if (entry === undefined) this.entries.delete(name);
        else this.entries.set(name, entry);
      }
    }
    this.undo.length = 0;
  }
}
