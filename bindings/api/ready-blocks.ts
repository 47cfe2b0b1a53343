/**
 * Blocks that are known to be ready, either to be read or to be written: an access to them costs two comparisons. Two ranges are remembered, because a loop often goes
 * through two areas in turn.
 *
 * Invariant: every block of a range has the state that is needed. States only rise while a program stores and loads; whoever lowers one drops this object.
 *
 * How far a range reaches is found out by looking at the states of its neighbours, at twice as many as were ever found. It pays for itself: a range that goes on is looked at
 * from its end only, and any other after one access for every eight blocks that the last look has cost.
 */

import { BLOCK_BYTES } from "../core.js";

/** More than the end of any range, and a small integer: as one that is none, infinity, it would make comparing slower. */
const NOWHERE = 0x7fff_ffff;
/** Of the heap. */
const FIRST_BLOCK = 0x1_4000;
/** The most bytes that one access has. */
const ACCESS_BYTES = 8;

export class ReadyBlocks {
  // First and last position at which any access lies within the range. The longer one comes first, as they were found.
  private from = NOWHERE;
  private to = 0;
  private otherFrom = NOWHERE;
  private otherTo = 0;
  /** Blocks in each direction that the next look may take in. */
  private reach = 16;
  /** Accesses elsewhere before it. */
  private patience = 0;

  constructor(
    /** The state from which on a block is ready. */
    readonly least: number,
  ) {}

  /** Whether any number at `address` is ready; false as well when that is not known, or it is no whole number. */
  has(address: number): boolean {
    // V8 makes plain branches of conditions that end in constants, and nothing at all of the first one where addresses are small integers.
    if (Math.floor(address) !== address) return false;
    if (address >= this.from && address <= this.to) return true;
    if (address >= this.otherFrom && address <= this.otherTo) return true;
    return false;
  }

  /** There was an access to this block, which is in no range. */
  note(states: Uint8Array, block: number): void {
    if (!(states[block] >= this.least)) return;
    const start = addressOf(block);
    if (start === this.to + ACCESS_BYTES) this.to = this.endOf(states, block, block);
    else if (start === this.otherTo + ACCESS_BYTES) this.otherTo = this.endOf(states, block, block);
    else if (this.patience > 0) this.patience--;
    else this.look(states, block);
  }

  private look(states: Uint8Array, block: number): void {
    let first = block;
    const limit = Math.max(FIRST_BLOCK, block - this.reach);
    while (first > limit && states[first - 1] >= this.least) first--;
    const from = addressOf(first);
    const to = this.endOf(states, first, block);
    const isLonger = to - from >= this.to - this.from;
    this.otherFrom = isLonger ? this.from : from;
    this.otherTo = isLonger ? this.to : to;
    if (!isLonger) return;
    this.from = from;
    this.to = to;
  }

  /** The last position of the range that has these two blocks. */
  private endOf(states: Uint8Array, first: number, block: number): number {
    const limit = block + this.reach;
    let end = block + 1;
    while (end < limit && states[end] >= this.least) end++;
    this.reach = Math.max(this.reach, 2 * (end - first));
    this.patience = (end - first) >>> 3;
    return addressOf(end - 1) + BLOCK_BYTES - ACCESS_BYTES;
  }
}

/** A small integer wherever it can be one. */
const addressOf = (block: number): number => (block << 12) >>> 0;
