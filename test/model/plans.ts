// Swarm testing (Groce et al., "Swarm Testing", ISSTA 2012): every run enables a random subset of what can happen, with
// random weights, so that rare combinations are not drowned by frequent ones.

import type { Random } from "./choice.js";
import type { Plan } from "./schedule.js";

/** How probable it is that a run of a theme has a feature at all. */
interface Chances {
  readonly failures?: number;
  readonly rot?: number;
  readonly readers?: number;
  readonly takers?: number;
  readonly compact?: number;
  readonly snapshots?: number;
  readonly spills?: number;
  readonly cuts?: number;
  /** Power cuts follow each other closely. */
  readonly storm?: number;
  readonly kills?: number;
  readonly stops?: number;
  /** What a write-back has lost is soon dropped from the cache. */
  readonly losses?: number;
  /** One cut after the other, in the middle of commits and checkpoints of a file that is no longer new. */
  readonly torn?: number;
  /** How much of what owners do is checkpoints. */
  readonly checkpoints?: number;
  /** Many short owners, one after the other and at once. */
  readonly relay?: number;
}

/** What a run concentrates on. */
const chances = {
  crash: { cuts: 0.9, kills: 0.5, spills: 0.3 },
  storm: { cuts: 1, storm: 1, rot: 0.3, snapshots: 0.1 },
  failures: { failures: 1, cuts: 0.8, kills: 0.6, spills: 0.2 },
  rot: { rot: 1, compact: 0.1, snapshots: 0.5, spills: 0.4, cuts: 0.6, kills: 0.4, failures: 0.2 },
  readers: { readers: 1, snapshots: 0.4, spills: 0.4, cuts: 0.3, kills: 0.5, stops: 0.5 },
  doubt: { readers: 1, failures: 1, kills: 0.5, stops: 0.5, losses: 0.5 },
  glimpse: { readers: 1, failures: 1, losses: 1, relay: 1, kills: 1 },
  takeover: { takers: 1, compact: 0.4, readers: 0.2, snapshots: 0.2, cuts: 0.4, kills: 0.7, stops: 0.9 },
  dispute: { takers: 1, failures: 1, snapshots: 0.3, stops: 0.9, kills: 0.3 },
  inheritance: { takers: 1, rot: 1, snapshots: 0.3, stops: 0.5, kills: 0.3 },
  glance: { takers: 1, checkpoints: 20 },
  relay: { takers: 1, relay: 1, stops: 1, kills: 0.5, compact: 0.2, failures: 0.2 },
  torn: { cuts: 1, storm: 1, torn: 1, snapshots: 0.3 },
  decay: { failures: 1, cuts: 1, storm: 0.7, kills: 1 },
  spilled: { rot: 1, spills: 1, kills: 0.5 },
  snapshots: { snapshots: 1, spills: 0.5, cuts: 0.7, kills: 0.4, failures: 0.2 },
  everything: {
    failures: 0.5,
    rot: 0.3,
    readers: 0.5,
    takers: 0.5,
    compact: 0.3,
    snapshots: 0.6,
    spills: 0.5,
    cuts: 0.7,
    kills: 0.7,
    stops: 0.6,
  },
} satisfies Record<string, Chances>;

export type Theme = keyof typeof chances;
export const themes = Object.keys(chances) as Theme[];

export function drawPlan(random: Random, theme: Theme): Plan {
  const given: Chances = chances[theme];
  const { checkpoints = 0 } = given;
  const has = (feature: keyof Chances): boolean => random.chance(given[feature] ?? 0);
  const [failures, rot, readers, takers] = [has("failures"), has("rot"), has("readers"), has("takers")];
  const [compact, snapshots, spills] = [has("compact"), has("snapshots"), has("spills")];
  const [cuts, storm, kills, stops] = [has("cuts"), has("storm"), has("kills"), has("stops")];
  const [relay, torn, losses] = [has("relay"), has("torn"), has("losses")];
  const weight = (enabled: boolean, ...choices: number[]): number => (enabled ? random.oneOf(choices) : 0);
  const length = relay ? random.below(3) : 2 + random.below(rot || readers ? 14 : 9);
  const work = [
    random.oneOf([1, 4, 8]), // commit
    random.oneOf([0, 1, 4, 8]), // commit and flush
    random.oneOf([0, 0, 1, 2]), // flush
    random.oneOf([0, 0, 2, 4]), // flush in background
    random.oneOf(checkpoints === 0 ? [0, 1, 3] : [checkpoints, 2 * checkpoints, 4 * checkpoints]), // checkpoint
    weight(snapshots, 1, 3), // create a snapshot
    weight(snapshots, 0, 1, 2), // delete one
    weight(snapshots, 0, 1, 2), // restore one
    weight(spills, 1, 3, 6), // spill and commit
    weight(spills, 0, 1, 3), // spill and roll back
    weight(compact, 1, 2), // compact
    random.oneOf([0, 0, 1]), // close
    random.oneOf([0, 0, 1]), // exit without closing
  ];
  const crowded = readers || takers || compact;
  return {
    shape: { blockCount: random.oneOf([2, 3, 5]), logSlots: random.oneOf([6, 6, 7, 9, 12]) },
    quietSteps: torn ? random.oneOf([0, 60, 120]) : 0,
    steps: random.oneOf(torn ? [300, 600] : storm ? [100, 200] : [60, 120, 200, 300]),
    weights: [
      100, // go on
      random.oneOf(crowded ? [3, 10, 30, 100] : [10, 30]), // another task
      random.oneOf([1, 3, 6]), // a writer
      weight(takers, 2, 5, 10), // a taker
      weight(readers, 3, 10), // a reader
      weight(stops, 1, 4), // stop
      weight(stops, 1, 4), // resume
      weight(kills, 0.3, 1, 3), // kill
      storm ? random.oneOf(torn ? [3, 10, 30] : [3, 10]) : weight(cuts, 0.3, 1, 3), // cut the power
      weight(rot, 1, 3), // rot
      losses ? 5 : weight(failures, 0, 0, 0.5, 2), // a write-back fails
      losses ? random.oneOf([10, 30]) : weight(failures, 0, 2, 10), // memory pressure
    ],
    limits: {
      writer: torn ? 40 : 6,
      taker: relay ? 8 : 4,
      reader: 4,
      rot: 1,
      kill: 3,
      "power cut": torn ? 40 : storm ? 9 : 3,
      "write-back fails": losses ? 6 : 2,
      "memory pressure": losses ? 20 : 3,
      stop: relay ? 8 : 4,
    },
    failuresPerMille: weight(failures, 0, 5, 20, 60),
    writer: { forced: false, length, weights: work },
    taker: { forced: true, length: random.oneOf(relay ? [0, 1] : [0, 2, 6]), weights: work },
    reader: { length: random.oneOf([1, 4]), pinned: true },
    unpinnedReader: { length: random.oneOf([1, 4]), pinned: false },
    crowd: crowded ? random.oneOf([2, 3, 4]) : 1,
  };
}
