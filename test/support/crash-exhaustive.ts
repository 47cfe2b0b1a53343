// Every sequence of a few operations, each crashed at every boundary.

import assert from "node:assert/strict";
import { type CrashCounts, type ExploreOptions, Explorer, explain, stateName } from "./crash-explorer.js";
import { History } from "./crash-oracle.js";
import { Workload } from "./crash-workloads.js";
import { Random } from "./random.js";
import { SimulatedDisk } from "./simulated-disk.js";

/** What the operations find: a snapshot that differs from the image, and a commit without flush, so that each of them does something. */
const setup = (workload: Workload): void => {
  workload.open();
  workload.commit(2, true);
  workload.createSnapshot();
  workload.commit(1, true);
  workload.commit(1, false);
};

/** Those that need a snapshot pass when there is none. */
const operations = {
  "durable commit": (workload) => workload.commit(2, true),
  commit: (workload) => workload.commit(2, false),
  "commit of several runs": (workload) => workload.commit(28, true),
  discard: (workload) => workload.discard(2, true),
  flush: (workload) => workload.flush(),
  "flush beside a commit": (workload) => workload.flushed(1),
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
  "kill and open": (workload) => {
    workload.drop();
    workload.open();
    // Opening makes durable what it shows.
    workload.history.flushed();
  },
  compact: (workload) => workload.compact(),
  backup: (workload) => workload.backup(),
  takeover: (workload) => workload.takeover(),
} satisfies Record<string, (workload: Workload) => void | Promise<void>>;

export type OperationName = keyof typeof operations;
export const operationNames = Object.keys(operations) as OperationName[];

/** All sequences of so many of the operations. */
export function* sequences(length: number): Generator<OperationName[], void, undefined> {
  if (length === 0) yield [];
  else for (const before of sequences(length - 1)) for (const name of operationNames) yield [...before, name];
}

interface Beginning {
  readonly disk: SimulatedDisk;
  readonly history: History;
}

let fragmentedOnce: Beginning | null = null;

/** A file whose free slots lie in pieces, so that the log runs are several and short; its owner was killed. */
function fragmented(): Beginning {
  if (fragmentedOnce !== null) return fragmentedOnce;
  const [disk, history] = [new SimulatedDisk(), new History()];
  const workload = new Workload(disk, history, new Random(2), { blocks: 40 });
  let pager = workload.open();
  for (let i = 0; pager.stats().chain.runs < 5; i++) {
    assert.ok(i < 200, "the file does not become fragmented");
    workload.commit(6, true);
    if (i % 3 === 0) workload.checkpoint();
    if (i === 20) workload.createSnapshot();
    if (i % 20 === 19) {
      workload.close();
      pager = workload.open();
    }
  }
  workload.drop();
  fragmentedOnce = { disk, history };
  return fragmentedOnce;
}

/** The workload that a sequence begins with: a small file, or for one with a commit of several runs the fragmented one. */
function begin(names: readonly OperationName[], random: Random): Workload {
  if (!names.includes("commit of several runs")) {
    const workload = new Workload(new SimulatedDisk(), new History(), random, { blocks: 6 });
    setup(workload);
    return workload;
  }
  const { disk, history } = fragmented();
  const workload = new Workload(disk.kill(), history.fork(), random, { blocks: 40 });
  workload.open();
  workload.history.flushed();
  return workload;
}

/** In how many pieces the last write of a commit went to the disk. */
function lastPieces(disk: SimulatedDisk): number {
  const kinds = disk.log.map(({ kind, name }) => (name === stateName ? kind : "list"));
  const last = kinds.lastIndexOf("write");
  let pieces = 0;
  while (kinds[last - pieces] === "write") pieces++;
  return pieces;
}

/**
 * Explores one sequence; crashes of what comes before its last operation belong to the sequences that end there. Returns in how many pieces the last
 * of its writes went to the disk.
 */
export async function exploreSequence(
  names: readonly OperationName[],
  seed: number,
  explore: Omit<ExploreOptions, "random">,
  counts: CrashCounts,
): Promise<number> {
  const random = new Random(seed);
  try {
    const workload = begin(names, random);
    for (const name of names.slice(0, -1)) await operations[name](workload);
    const explorer = new Explorer(workload.disk, workload.history, { ...explore, random }, counts);
    explorer.watch();
    for (const name of names.slice(-1)) await operations[name](workload);
    const pieces = lastPieces(workload.disk);
    explorer.explore();
    return pieces;
  } catch (error) {
    explain(error, `the sequence ${names.join(", ")}, seed ${seed}`);
  }
}
