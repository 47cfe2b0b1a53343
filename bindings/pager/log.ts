/**
 * Where the chain goes on: the log runs, the slot of the next header, and how a segment is laid out in them. Pure
 * arithmetic. Invariant: two slots from `next` on are in one run and not given out, so that the record of a checkpoint
 * always fits.
 */
import type { Run } from "../format/superblock.js";

/** Slots kept from `next` on; the largest record takes both. */
export const RECORD_SLOTS = 2;
/** A segment lies in four pieces at most and one more for each so many slots; a more fragmented one checkpoints first. */
export const PIECE_SLOTS = 16;
const MIN_PIECES = 4;

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

  /** Lays out a header slot at `next` and `slots` more, of which the first `further` lie in one piece; null when they do not fit. */
  place(slots: number, further = 0): Placement | null {
    const pieces: Run[] = [{ slot: this.next, slots: 1 }];
    const at = this.spillAt === null ? { run: this.run, slot: this.next + 1 } : { ...this.spillAt };
    if (!this.skipTo(at, further)) return null;
    if (!this.take(at, slots, pieces)) return null;
    if (!this.skipTo(at, RECORD_SLOTS)) return null;
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
    const most = MIN_PIECES + Math.floor(slots / PIECE_SLOTS);
    let left = slots;
    while (left > 0) {
      const run = this.runs[at.run];
      const here = Math.min(left, run.slot + run.slots - at.slot);
      if (here > 0) append(pieces, at.slot, here);
      left -= here;
      at.slot += here;
      if (left === 0) break;
      if (at.run + 1 >= this.runs.length || pieces.length >= most) return false;
      at.run++;
      at.slot = this.runs[at.run].slot;
    }
    return true;
  }

  /** Moves `at` to the first place that has so many slots in one run; false when there is none. */
  private skipTo(at: Position, slots: number): boolean {
    for (;;) {
      const run = this.runs[at.run];
      if (run.slot + run.slots - at.slot >= slots) return true;
      if (at.run + 1 >= this.runs.length) return false;
      at.run++;
      at.slot = this.runs[at.run].slot;
    }
  }
}

/** Adds an extent to a list of pieces, to the last of them when it adjoins that. */
function append(pieces: Run[], slot: number, slots: number): void {
  const last = pieces.at(-1);
  if (last !== undefined && last.slot + last.slots === slot) last.slots += slots;
  else pieces.push({ slot, slots });
}
