// Workloads with one fault in each run: which faults there are, and the files that the runs begin with.

import { type FaultBase, type FaultCounts, type FaultPlan, FaultRun } from "./crash-faults.js";
import { History } from "./crash-oracle.js";
import { Workload } from "./crash-workloads.js";
import { canFail } from "./disk-faults.js";
import type { OperationKind } from "./disk-operations.js";
import { Random } from "./random.js";
import { type FaultKind, SeededChooser, SimulatedDisk } from "./simulated-disk.js";

export const faultKinds: readonly FaultKind[] = ["EIO", "ENOSPC", "SHORT", "ZERO", "FLUSH"];

/** What all runs of a plan do: where they begin, and the seed of what follows. */
export interface FaultScript {
  base: FaultBase;
  seed: number;
  steps: number;
  /** Of the disk, when nothing fails. */
  operations: readonly OperationKind[];
}

/** The calls at which such a fault can strike. */
export function callsFor({ operations }: FaultScript, kind: FaultKind): number[] {
  return [...operations.keys()].filter((index) => canFail(operations[index]!, kind));
}

/** A script that begins without a file when `before` is 0, else with one on which so many operations were done. */
export async function faultScript(
  seed: number,
  before: number,
  steps: number,
  counts: FaultCounts,
): Promise<FaultScript> {
  const random = new Random(seed);
  const [disk, history] = [new SimulatedDisk(), new History()];
  if (before > 0) {
    const workload = new Workload(disk, history, random);
    workload.open();
    for (let i = 0; i < before; i++) await workload.step();
    workload.dropReaders();
    workload.close();
  }
  const base = { disk, history };
  const plan: FaultPlan = { index: -1, kind: "EIO", sticky: false };
  const operations = await new FaultRun(base, plan, seed, counts).run(steps);
  return { base, seed, steps, operations };
}

/** One run with a fault at that operation of the disk; what chance decides of the fault follows from the script and the index. */
export async function runFault(
  { base, seed, steps }: FaultScript,
  index: number,
  kind: FaultKind,
  sticky: boolean,
  counts: FaultCounts,
): Promise<void> {
  const random = new Random(seed ^ Math.imul(index + 1, 0x9e3779b1));
  const plan: FaultPlan = { index, kind, sticky, persisted: new SeededChooser(random) };
  if (kind === "SHORT") plan.appliedBytes = random.pick([1, 511, 512, 2048, 4095, 4096, 6000]);
  await new FaultRun(base, plan, seed, counts).run(steps);
}
