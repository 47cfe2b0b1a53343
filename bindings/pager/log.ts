/**
 * Where the chain goes on: the log runs, the slot of the next header, and how a segment is laid out in them. Pure
 * arithmetic. Invariant: two slots from `next` on are in one run and not given out, so that the record of a checkpoint
 * always fits.
 */
import type { Run } from "../format/superblock.js";

/** Slots kept from `next` on; the largest record takes both. */
export const RECORD_SLOTS = 2;
/** A segment is written in at most this many pieces; a more fragmented one checkpoints first. */
const MAX_PIECES = 4;

export interface Placement {
  /** Extents in writing order; the first begins with the header. */
  pieces: Run[];
  /** Slot of the header after this segment, and the run in which it lies. */
  next: number;
  run: number;
}

interface Position {
  run: number;
  slot: number;
}

export class Log {
  /** Slots and segments that the chain has taken since the checkpoint. */
  spentSlots = 0;
  segments = 0;
  /** Slots of the largest segment since the checkpoint. */
  largestSegment = 0;
  private run: number;
  /** Where the next spilled block or, after one, the next segment's blocks go. */
  private spillAt: Position | null = null;
  private spilledSlots = 0;

  constructor(
    readonly runs: readonly Run[],
    public next: number,
  ) {
    this.run = runs.findIndex((run) => next >= run.slot && next < run.slot + run.slots);
    if (this.run < 0) throw new RangeError(`slot ${next} is not in the log runs`);
  }

  contains(slot: number): boolean {
    return this.runs.some((run) => slot >= run.slot && slot < run.slot + run.slots);
  }

  /** Lays out a header slot at `next` and `slots` more; null when they do not fit. */
  place(slots: number): Placement | null {
    const pieces: Run[] = [];
    let at: Position;
    if (this.spillAt === null) {
      at = { run: this.run, slot: this.next };
      if (!this.take(at, slots + 1, pieces)) return null;
    } else {
      pieces.push({ slot: this.next, slots: 1 });
      at = { ...this.spillAt };
      if (!this.take(at, slots, pieces)) return null;
    }
    if (!this.roomForRecord(at)) return null;
    return { pieces, next: at.slot, run: at.run };
  }

  /** The segment is in the chain: the next one follows it. */
  advance(placement: Placement): void {
    let slots = 0;
    for (const piece of placement.pieces) slots += piece.slots;
    if (this.spillAt) slots += this.spilledSlots;
    this.spilledSlots = 0;
    this.spentSlots += slots;
    this.segments++;
    this.largestSegment = Math.max(this.largestSegment, slots);
    this.next = placement.next;
    this.run = placement.run;
    this.spillAt = null;
  }

  /** A slot for a block that is written before its commit; 0 when the runs are full. */
  takeForSpill(): number {
    const at = this.spillAt ?? { run: this.run, slot: this.next + RECORD_SLOTS };
    const pieces: Run[] = [];
    if (!this.take(at, 1, pieces)) return 0;
    this.spillAt = at;
    this.spilledSlots++;
    return pieces[0].slot;
  }

  /** Spilled blocks were dropped: their slots are free again. */
  dropSpills(): void {
    this.spillAt = null;
    this.spilledSlots = 0;
  }

  /** Moves `at` over `slots` slots and appends their extents; false when the runs end or too many pieces are needed. */
  private take(at: Position, slots: number, pieces: Run[]): boolean {
    let left = slots;
    while (left > 0) {
      const run = this.runs[at.run];
      const here = Math.min(left, run.slot + run.slots - at.slot);
      if (here > 0) pieces.push({ slot: at.slot, slots: here });
      left -= here;
      at.slot += here;
      if (left === 0) break;
      if (at.run + 1 >= this.runs.length || pieces.length === MAX_PIECES) return false;
      at.run++;
      at.slot = this.runs[at.run].slot;
    }
    return true;
  }

  private roomForRecord(at: Position): boolean {
    for (;;) {
      const run = this.runs[at.run];
      if (run.slot + run.slots - at.slot >= RECORD_SLOTS) return true;
      if (at.run + 1 >= this.runs.length) return false;
      at.run++;
      at.slot = this.runs[at.run].slot;
    }
  }
}
