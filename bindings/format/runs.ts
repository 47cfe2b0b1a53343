/**
 * Lists of log runs, as superblocks and records carry them, and what makes a root or a run plausible. Everything here refuses
 * NaN, which is how a u64 of 2⁵³ or more arrives.
 */
import { readU64, u64Text, writeU64 } from "../base/bytes.js";
import { FIRST_SLOT, MAX_FILE_SLOTS, MAX_HEIGHT, MAX_RUNS } from "./constants.js";
import { type Root, RUN, type Run } from "./schema.js";

export function writeRuns(view: DataView, at: number, runs: readonly Run[]): void {
  if (runs.length < 1 || runs.length > MAX_RUNS) throw new RangeError(`${runs.length} log runs`);
  runs.forEach(({ slot, slots }, i) => {
    writeU64(view, at + i * RUN.bytes, slot);
    view.setUint32(at + i * RUN.bytes + RUN.fields.slots.offset, slots, true);
  });
}

/** Reads `count` runs; the caller has seen to it that `view` holds as many. */
export function readRuns(view: DataView, at: number, count: number): Run[] {
  return Array.from({ length: count }, (_, i) => ({
    slot: readU64(view, at + i * RUN.bytes),
    slots: view.getUint32(at + i * RUN.bytes + RUN.fields.slots.offset, true),
  }));
}

/** What is wrong with a run by itself; null when nothing is. */
export function runProblem({ slot, slots }: Run): string | null {
  const fits = slot >= FIRST_SLOT && slots >= 1 && slot + slots <= MAX_FILE_SLOTS;
  return fits ? null : `a log run of ${slots} slots at ${u64Text(slot)}`;
}

export function runCountProblem(runCount: number): string | null {
  return runCount >= 1 && runCount <= MAX_RUNS ? null : `${runCount} log runs`;
}

/** What is wrong with a list of log runs whose next header begins at `next`; null when nothing is. */
export function runsProblem(runs: readonly Run[], next: number): string | null {
  for (const run of runs) {
    const problem = runProblem(run);
    if (problem !== null) return problem;
  }
  let end = 0;
  for (const { slot, slots } of [...runs].sort((a, b) => a.slot - b.slot)) {
    if (slot < end) return `log runs that overlap at slot ${slot}`;
    end = slot + slots;
  }
  const holdsNext = runs.some(({ slot, slots }) => next >= slot && next + 2 <= slot + slots);
  return holdsNext ? null : `no two slots from ${u64Text(next)} on in one of the log runs`;
}

/** What is wrong with a root in a file of `fileSlots` slots; null when nothing is. */
export function rootProblem({ slot, digest, height }: Root, fileSlots = MAX_FILE_SLOTS): string | null {
  if (slot === 0) return digest === 0n && height === 0 ? null : "an empty root that is not all zero";
  if (!(slot >= FIRST_SLOT && slot < fileSlots))
    return `a root in slot ${u64Text(slot)} of ${u64Text(fileSlots)}`;
  return height >= 1 && height <= MAX_HEIGHT ? null : `a tree of height ${height}`;
}
