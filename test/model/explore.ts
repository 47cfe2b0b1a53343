// Exploration: many random runs, and what to do with one that breaks a promise: shrink its decisions and print what
// happened. A schedule is named by its theme and seed; a shrunk one also by its decisions.

import { Random, RandomChooser, ReplayChooser } from "./choice.js";
import { Violation } from "./oracle.js";
import { drawPlan, type Theme, themes } from "./plans.js";
import { protocol, type Rules } from "./rules.js";
import { type Plan, Schedule } from "./schedule.js";

export interface Finding {
  readonly theme: Theme;
  readonly seed: number;
  readonly message: string;
  readonly decisions: readonly number[];
}

export interface Counts {
  schedules: number;
  steps: number;
}

/** Runs one schedule; the finding when it breaks a promise. */
export function runSeed(
  theme: Theme,
  seed: number,
  rules: Rules,
  accounting: boolean,
  counts?: Counts,
): Finding | null {
  const random = new Random(seed);
  const plan = drawPlan(random, theme);
  const chooser = new RandomChooser(random);
  const schedule = new Schedule(plan, rules, chooser, null, accounting);
  try {
    schedule.run();
    return null;
  } catch (caught) {
    return { theme, seed, message: messageOf(caught), decisions: chooser.taken };
  } finally {
    if (counts !== undefined) {
      counts.schedules++;
      counts.steps += schedule.stepCount;
    }
  }
}

/** A generator that gets stuck or meets a state that cannot be is a violation, too: it shows as another error. */
function messageOf(caught: unknown): string {
  if (caught instanceof Violation) return caught.message;
  if (caught instanceof Error) return `unexpected: ${caught.stack}`;
  return `unexpected: ${JSON.stringify(caught)}`;
}

/** Schedules until one breaks a promise, the deadline (milliseconds of `performance.now`) or the number is reached. */
export function explore(
  rules: Rules,
  options: {
    seed: number;
    themes?: readonly Theme[];
    schedules?: number;
    deadline?: number;
    accounting?: boolean;
    counts?: Counts;
  },
): Finding | null {
  const { seed, schedules = Number.POSITIVE_INFINITY, deadline = Number.POSITIVE_INFINITY } = options;
  const among = options.themes ?? themes;
  for (let index = 0; index < schedules; index++) {
    if ((index & 63) === 0 && performance.now() > deadline) return null;
    const theme = among[index % among.length] as Theme;
    const finding = runSeed(theme, (seed + index) >>> 0, rules, options.accounting ?? true, options.counts);
    if (finding !== null) return finding;
  }
  return null;
}

/** Replays decisions under the plan of a seed. */
export function replay(
  { theme, seed }: Pick<Finding, "theme" | "seed">,
  decisions: readonly number[],
  rules: Rules,
  accounting: boolean,
  trace: ((text: string) => void) | null = null,
): { message: string | null; taken: readonly number[] } {
  const plan = drawPlan(new Random(seed), theme);
  return replayPlan(plan, decisions, rules, accounting, trace);
}

function replayPlan(
  plan: Plan,
  decisions: readonly number[],
  rules: Rules,
  accounting: boolean,
  trace: ((text: string) => void) | null,
): { message: string | null; taken: readonly number[] } {
  const chooser = new ReplayChooser(decisions);
  try {
    new Schedule(plan, rules, chooser, trace, accounting).run();
    return { message: null, taken: chooser.taken };
  } catch (caught) {
    return { message: messageOf(caught), taken: chooser.taken };
  }
}

/** Fewer and duller decisions that break the same kind of promise. */
export function shrink(finding: Finding, rules: Rules, accounting: boolean, attempts = 4000): Finding {
  let best = [...finding.decisions];
  let left = attempts;
  const kind = kindOf(finding.message);
  const tryThis = (candidate: readonly number[]): boolean => {
    if (left-- <= 0) return false;
    const { message } = replay(finding, candidate, rules, accounting);
    if (message === null || kindOf(message) !== kind) return false;
    best = [...candidate];
    return true;
  };
  for (let improved = true; improved && left > 0; ) {
    improved = false;
    for (let size = 64; size >= 1; size >>= 1) {
      for (let start = best.length - size; start >= 0 && left > 0; start -= Math.max(1, size >> 1)) {
        if (tryThis([...best.slice(0, start), ...best.slice(start + size)])) improved = true;
      }
    }
    for (let index = 0; index < best.length && left > 0; index++) {
      if (best[index] === 0) continue;
      if (tryThis(best.with(index, 0))) improved = true;
    }
    while (best.at(-1) === 0) best.pop();
  }
  const { message } = replay(finding, best, rules, accounting);
  return { ...finding, decisions: best, message: message ?? finding.message };
}

function kindOf(message: string): string {
  return message.replace(/\d+/g, "#").slice(0, 40);
}

/** What happened, call by call. */
export function report(finding: Finding, rules: Rules = protocol, accounting = true): string {
  const lines: string[] = [];
  const { message } = replay(finding, finding.decisions, rules, accounting, (line) => lines.push(line));
  return [
    `${finding.message}`,
    `theme ${finding.theme}, PERDURE_SEED=${finding.seed}, decisions ${finding.decisions.join(",")}`,
    ...lines,
    `→ ${message}`,
  ].join("\n");
}
