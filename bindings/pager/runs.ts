/**
 * Chooses the log runs of the next chain. Three wishes pull apart: few pieces (a segment is one contiguous write), a long chain (checkpoints
 * are rare) and a small file. Free extents inside the file are used, the largest first. The file grows for a longer chain only up to a multiple
 * of what it must hold, and beyond that only when a few segments would not find room.
 */
import { FIRST_SLOT, MAX_RUNS } from "../format/constants.js";
import type { Run } from "../format/superblock.js";
import { Log, PIECE_SLOTS, RECORD_SLOTS } from "./log.js";
import type { SlotSet } from "./slot-set.js";

/** Runs in a new file and after a close: little to scan when the file is opened. */
export const SMALL_BUDGET_SLOTS = 256;
/** Shorter extents are not worth a run. */
const MIN_RUN_SLOTS = 4;
/** How large the file may grow for the sake of a long chain: multiples of live slots and the chain that is wanted, or the longest there may be. */
const GROWTH_FOR_WANTED = 3;
const GROWTH_FOR_LONGEST = 1.75;
/** It does not grow for the last quarter of a chain: then it keeps its size under updates that repeat. */
const CONTENT_WITH = 0.75;
/** Segments for which there is room in any case. */
const LEAST_SEGMENTS = 4;

export interface RunWish {
  /** Slots wanted in all. */
  budget: number;
  /** Slots of a segment that waits to be written, 0 when none does, and how many of them continue its header. */
  needed: number;
  further: number;
  /** Slots of the largest segment of late. */
  typical: number;
  /** Slots in use by image and snapshots. */
  live: number;
  /** The longest chain there may be. */
  chainSlots: number;
}

export function chooseRuns(busy: SlotSet, wish: RunWish): Run[] {
  const end = busy.end();
  // However little is wanted: the first run has room for a header and for the record behind it.
  const budget = Math.max(wish.budget, wish.needed + 2 * RECORD_SLOTS, MIN_RUN_SLOTS);
  const segment = Math.max(wish.needed, Math.min(wish.typical, Math.ceil(budget / LEAST_SEGMENTS)));
  const least = Math.max(MIN_RUN_SLOTS, Math.min(segment, PIECE_SLOTS) + RECORD_SLOTS);
  const chosen = largestGaps(busy, end, least, budget);
  const total = chosen.reduce((sum, run) => sum + run.slots, 0);

  const enough = Math.min(budget, Math.max(SMALL_BUDGET_SLOTS / 4, LEAST_SEGMENTS * segment));
  const most = Math.min(
    GROWTH_FOR_WANTED * (wish.live + budget),
    GROWTH_FOR_LONGEST * (wish.live + wish.chainSlots),
  );
  const grows = total < CONTENT_WITH * budget && end + budget - total <= most;
  const wanted = grows ? budget : enough;
  if (total < wanted) chosen.push({ slot: end, slots: Math.max(MIN_RUN_SLOTS, wanted - total) });
  // The segment that waits begins in the largest; the rest in file order, so that the disk is written in one direction.
  const [largest, ...rest] = chosen.sort((a, b) => b.slots - a.slots);
  const runs = [largest, ...rest.sort((a, b) => a.slot - b.slot)];
  if (holdsWaiting(runs, wish)) return runs;
  return [{ slot: end, slots: wish.needed + 2 * RECORD_SLOTS }, ...runs.filter((run) => run.slot < end)];
}

/** Free extents of at least `least` slots before `end`, the largest, until they have `budget` slots together. */
function largestGaps(busy: SlotSet, end: number, least: number, budget: number): Run[] {
  let left = budget;
  return busy.longestGaps(FIRST_SLOT, end, least, budget, MAX_RUNS - 1).map(({ slot, slots }) => {
    const taken = Math.min(slots, Math.max(MIN_RUN_SLOTS, left));
    left -= taken;
    return { slot, slots: taken };
  });
}

/** Whether the segment that waits can be laid out in these runs. */
function holdsWaiting(runs: readonly Run[], { needed, further }: RunWish): boolean {
  return needed === 0 || new Log(runs, runs[0].slot).place(needed - 1, further) !== null;
}
