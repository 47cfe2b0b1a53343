// Every sequence of a few operations, each crashed at every boundary.

import { type CrashCounts, type ExploreOptions, Explorer, explain } from "./crash-explorer.js";
import { History } from "./crash-oracle.js";
import { Workload } from "./crash-workloads.js";
import { Random } from "./random.js";
import { SimulatedDisk } from "./simulated-disk.js";

/** What the operations find: a snapshot that differs from the image, so that each of them does something. */
const setup = (workload: Workload): void => {
  workload.open();
  workload.commit(2, true);
  workload.createSnapshot();
  workload.commit(1, true);
};

/** Those that need a snapshot pass when there is none. */
const operations = {
  "durable commit": (workload) => workload.commit(2, true),
  commit: (workload) => workload.commit(2, false),
  flush: (workload) => workload.flush(),
  checkpoint: (workload) => workload.checkpoint(),
  "create snapshot": (workload) => workload.createSnapshot(),
  "delete snapshot": (workload) => {
    if (workload.history.now.snapshots.size > 0) workload.deleteSnapshot();
  },
  restore: (workload) => {
    if (workload.history.now.snapshots.size > 0) workload.restoreSnapshot();
  },
  "spill and commit": (workload) => {
    workload.spill();
    workload.commit(1, false);
  },
  "spill and rollback": (workload) => {
    workload.spill();
    workload.rollback();
  },
  "close and open": (workload) => {
    workload.close();
    workload.open();
  },
} satisfies Record<string, (workload: Workload) => void>;

export type OperationName = keyof typeof operations;
export const operationNames = Object.keys(operations) as OperationName[];

/** All sequences of so many of the operations. */
export function* sequences(length: number): Generator<OperationName[], void, undefined> {
  if (length === 0) yield [];
  else for (const before of sequences(length - 1)) for (const name of operationNames) yield [...before, name];
}

/** Explores one sequence; crashes of what comes before its last operation belong to the sequences that end there. */
export function exploreSequence(
  names: readonly OperationName[],
  seed: number,
  explore: Omit<ExploreOptions, "random">,
  counts: CrashCounts,
): void {
  const random = new Random(seed);
  const disk = new SimulatedDisk();
  const history = new History();
  const workload = new Workload(disk, history, random, { blocks: 6 });
  try {
    setup(workload);
    for (const name of names.slice(0, -1)) operations[name](workload);
    const explorer = new Explorer(disk, history, { ...explore, random }, counts);
    explorer.watch();
    for (const name of names.slice(-1)) operations[name](workload);
    explorer.explore();
  } catch (error) {
    explain(error, `the sequence ${names.join(", ")}, seed ${seed}`);
  }
}
