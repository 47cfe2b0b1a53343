// Bounded exhaustive exploration: one writer after the other works off a short script, the power is cut at every point and
// every subset of the sectors not yet flushed survives, up to twice in a run; one superblock may rot while nobody has the file open.

import { ExhaustiveChooser } from "./choice.js";
import type { Counts } from "./explore.js";
import { type Operation, operations } from "./programs.js";
import type { Rules } from "./rules.js";
import { events, type Plan, Schedule } from "./schedule.js";

export interface Case {
  readonly script: readonly Operation[];
  readonly powerCuts: number;
  /** One of the superblocks may rot while nobody has the file open. */
  readonly rot?: boolean;
  /** Steps at the beginning in which nothing goes wrong, so that the file is no longer new. */
  readonly quietSteps?: number;
  readonly writers?: number;
}

function planOf({ script, powerCuts, rot = false, quietSteps = 0, writers = 2 }: Case): Plan {
  const likely: readonly (typeof events)[number][] = ["go on", "writer", "power cut", "rot"];
  const idle = { forced: false, length: 0, weights: operations.map(() => 0) };
  return {
    shape: { blockCount: 2, logSlots: 6 },
    steps: 1000,
    quietSteps,
    // A writer starts only when there is no other.
    weights: events.map((event) => (likely.includes(event) ? 1 : 0)),
    limits: { "power cut": powerCuts, rot: rot ? 1 : 0, writer: writers - 1 },
    rotSlots: 2,
    rotAtRest: true,
    failuresPerMille: 0,
    writer: { ...idle, length: script.length + 1, script },
    taker: idle,
    reader: { length: 0, pinned: false },
    unpinnedReader: { length: 0, pinned: false },
    crowd: 1,
  };
}

/** Tries everything; returns what broke a promise first, with a trace, or null. */
export function exhaust(
  given: Case,
  rules: Rules,
  accounting: boolean,
  counts: Counts,
  limit = Number.POSITIVE_INFINITY,
): string | null {
  const plan = planOf(given);
  const chooser = new ExhaustiveChooser();
  let more = true;
  for (let runs = 0; more && runs < limit; runs++) {
    const message = runOnce(plan, rules, chooser, accounting, counts, null);
    if (message !== null) {
      const lines: string[] = [];
      const replayed = new ExhaustiveChooser(chooser.taken);
      runOnce(plan, rules, replayed, accounting, { schedules: 0, steps: 0 }, (line) => lines.push(line));
      return [message, `script: ${given.script.join(", ")}`, ...lines, `→ ${message}`].join("\n");
    }
    more = chooser.advance();
  }
  return null;
}

function runOnce(
  plan: Plan,
  rules: Rules,
  chooser: ExhaustiveChooser,
  accounting: boolean,
  counts: Counts,
  trace: ((line: string) => void) | null,
): string | null {
  const schedule = new Schedule(plan, rules, chooser, trace, accounting);
  try {
    schedule.run();
    return null;
  } catch (caught) {
    return caught instanceof Error ? caught.message : JSON.stringify(caught);
  } finally {
    counts.schedules++;
    counts.steps += schedule.stepCount;
  }
}

/** All scripts of up to `length` of the given operations. */
export function* scripts(of: readonly Operation[], length: number): Generator<Operation[]> {
  yield [];
  if (length === 0) return;
  for (const shorter of scripts(of, length - 1)) {
    if (shorter.length === length - 1) for (const operation of of) yield [...shorter, operation];
    else if (shorter.length > 0) yield shorter;
  }
}
