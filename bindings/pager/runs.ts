/**
 * Chooses the log runs of the next chain. Two wishes pull apart: long extents (a segment is one contiguous write) and a small file (free
 * extents inside it are used before it grows). Large free extents are taken first; the file grows only while it is smaller than
 * 1.5 × what is live, or when the extents inside would not hold even one typical segment.
 */
import { FIRST_SLOT, MAX_RUNS } from "../format/constants.js";
import type { Run } from "../format/superblock.js";
import { RECORD_SLOTS } from "./log.js";
import type { SlotSet } from "./slot-set.js";

/** Runs in a new file and after a close: little to scan when the file is opened. */
export const SMALL_BUDGET_SLOTS = 256;
/** Shorter extents are not worth a run. */
const MIN_RUN_SLOTS = 8;

export interface RunWish {
  /** Slots wanted in all. */
  budget: number;
  /** Slots of a segment that waits to be written, 0 when none does: must fit in one piece. */
  needed: number;
  /** Slots of the largest segment of late; shorter extents would force checkpoints. */
  typical: number;
  /** Slots in use by image and snapshots. */
  live: number;
}

export function chooseRuns(busy: SlotSet, wish: RunWish): Run[] {
  const end = busy.end();
  const least = Math.max(MIN_RUN_SLOTS, Math.min(wish.typical, wish.budget / 4) + RECORD_SLOTS);
  const gaps: Run[] = [];
  busy.gaps(FIRST_SLOT, end, (slot, slots) => {
    if (slots >= least) gaps.push({ slot, slots });
  });
  gaps.sort((a, b) => b.slots - a.slots);

  const needed = wish.needed === 0 ? 0 : wish.needed + 2 * RECORD_SLOTS;
  const chosen: Run[] = [];
  let total = 0;
  if (needed > 0) {
    const roomy = gaps.filter((gap) => gap.slots >= needed).at(-1);
    const slots = Math.max(needed, Math.min(wish.budget, roomy?.slots ?? wish.budget));
    const first = { slot: roomy?.slot ?? end, slots };
    if (roomy) gaps.splice(gaps.indexOf(roomy), 1);
    chosen.push(first);
    total = slots;
  }
  const tailTaken = chosen.some((run) => run.slot >= end);
  for (const gap of gaps) {
    if (total >= wish.budget || chosen.length === MAX_RUNS - 1) break;
    const slots = Math.min(gap.slots, Math.max(MIN_RUN_SLOTS, wish.budget - total));
    chosen.push({ slot: gap.slot, slots });
    total += slots;
  }
  const mayGrow = end + wish.budget <= 1.5 * (wish.live + wish.budget);
  if (
    !tailTaken &&
    total < wish.budget &&
    (mayGrow || total < Math.max(SMALL_BUDGET_SLOTS / 4, 4 * wish.typical))
  ) {
    chosen.push({ slot: end, slots: wish.budget - total });
  }
  // The waiting segment goes first; the rest in file order, so that the disk is written in one direction.
  const [first, ...rest] = needed > 0 ? chosen : [...chosen].sort((a, b) => a.slot - b.slot);
  return [first, ...rest.sort((a, b) => a.slot - b.slot)];
}
