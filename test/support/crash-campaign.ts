// Traces to be crashed: what is done in one, and how densely its crash states are explored. A trace depends on its seed alone.

import type { Limits } from "../../bindings/pager/writer-state.js";
import { type CrashCounts, type ExploreOptions, Explorer, explain, smallLimits } from "./crash-explorer.js";
import { History } from "./crash-oracle.js";
import { Workload, type WorkloadOptions } from "./crash-workloads.js";
import { Random } from "./random.js";
import { SimulatedDisk } from "./simulated-disk.js";

export interface Theme {
  /** Operations of the workload. */
  steps: number;
  limits?: Partial<Limits>;
  workload: WorkloadOptions;
  explore: Omit<ExploreOptions, "random" | "limits">;
}

export const themes = {
  /** A few samples at every boundary, and now and then everything else that is tried of a state. */
  wide: {
    steps: 24,
    limits: { ...smallLimits, chainSlots: 32 },
    workload: { largest: 24 },
    explore: { samples: 4, exhaustiveLimit: 4, recoveryEvery: 96, fallbackEvery: 16 },
  },
  /** Every subset of the unflushed sectors, as long as no more than two slots are unflushed. */
  subsets: {
    steps: 4,
    workload: { blocks: 3, largest: 2 },
    explore: { samples: 6, exhaustiveLimit: 10, instantEvery: 2, fallbackEvery: 64 },
  },
  /** Crashes inside the opening of what a crash has left. */
  recovery: {
    steps: 16,
    limits: { chainSlots: 16, chainCommits: 4, mapNodes: 8 },
    workload: { blocks: 12, largest: 8 },
    explore: { samples: 2, exhaustiveLimit: 2, instantEvery: 6, recoveryEvery: 6, fallbackEvery: 6 },
  },
  /** Trees five nodes deep, and chains short enough that most commits checkpoint. */
  deep: {
    steps: 16,
    limits: { chainSlots: 16, chainCommits: 3, mapNodes: 8 },
    workload: { high: true, blocks: 16 },
    explore: { samples: 3, exhaustiveLimit: 3, instantEvery: 2, recoveryEvery: 128, fallbackEvery: 16 },
  },
} satisfies Record<string, Theme>;

export type ThemeName = keyof typeof themes;

/** Makes one trace, crashes it all along, and adds to the counts. */
export async function exploreTrace(name: ThemeName, seed: number, counts: CrashCounts): Promise<void> {
  const theme: Theme = themes[name];
  const { limits = smallLimits } = theme;
  const random = new Random(seed);
  const disk = new SimulatedDisk();
  const history = new History();
  const workload = new Workload(disk, history, random, { ...theme.workload, limits });
  const explorer = new Explorer(disk, history, { ...theme.explore, limits, random }, counts);
  const done: string[] = [];
  explorer.watch();
  try {
    workload.open();
    explorer.explore();
    for (let i = 0; i < theme.steps; i++) {
      await workload.step((operation) => done.push(operation));
      explorer.explore();
    }
  } catch (error) {
    explain(error, `the trace ${name} ${seed}: ${done.join(", ")}`);
  }
}
