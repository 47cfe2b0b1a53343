// Times the cases of a workload against each other in one process.
//
// A number from another run, or from another minute of this one, says little: clocks, caches, the disk and the
// neighbours of a machine all drift. So the cases take turns, round by round, in an order that shifts every round,
// and a ratio is the median of the ratios within each round, where both sides met the same conditions. A case
// brings its own loop (`run(iterations)`), so that the harness adds nothing to an operation of a nanosecond.
//
// What is compared is a cost: nanoseconds an operation or, where a workload is about size, the bytes that a run answers with.
// Both are better when they are less, so one ratio serves for both.

import { mkdirSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { max, median, min } from "simple-statistics";

export interface Case {
  name: string;
  /** Once, before the first round. */
  setup?(): void | Promise<void>;
  /** Before every timed run, untimed. */
  prepare?(iterations: number): void | Promise<void>;
  /** The timed part: performs the operation `iterations` times. Answers with bytes where the workload is about size. */
  run(iterations: number): unknown;
  /** Once, after the last round, also after a failure. */
  teardown?(): void | Promise<void>;
  bars?: Bar[];
}

/** What a case must reach: a speed, a time or a size as a multiple of another case's, or a figure by itself. */
export type Bar =
  | { of: string; speedAtLeast: number }
  | { of: string; timeAtMost: number }
  | { of: string; sizeAtMost: number }
  | { nanosecondsAtMost: number }
  | { millisecondsAtMost: number }
  | { kibibytesAtMost: number }
  | { mebibytesAtMost: number };

export type Unit = "ops/s" | "ns/op" | "ms" | "MB/s" | "KiB" | "MiB";

/** The units of workloads that are about size and not about time. */
const bytesIn: { readonly [unit in Unit]?: number } = { KiB: 2 ** 10, MiB: 2 ** 20 };

export interface Workload {
  name: string;
  /** What the table shows. "MB/s" needs `bytesPerOperation`; "KiB" and "MiB" are about size and not about time. */
  unit: Unit;
  bytesPerOperation?: number;
  /** The case that the ratio column compares with; the first one if not given. */
  reference?: string;
  cases: Case[];
  /** Operations in one timed run. Chosen to fill `roundMs` if not given. */
  iterations?: number;
  rounds?: number;
}

export interface Options {
  rounds: number;
  /** How long one timed run of one case should take, in milliseconds. */
  roundMs: number;
}

export const defaultOptions: Options = { rounds: 9, roundMs: 150 };

export interface BarResult {
  text: string;
  ok: boolean;
}

export interface CaseResult {
  name: string;
  iterations: number;
  /** Nanoseconds an operation or bytes, one figure for each round. */
  costs: number[];
  /** The reference's cost as a multiple of this one's, which is the ratio of their speeds: the median of the rounds' ratios. */
  ratio: number;
  bars: BarResult[];
}

export interface WorkloadResult {
  name: string;
  unit: Unit;
  bytesPerOperation: number;
  reference: string;
  rounds: number;
  cases: CaseResult[];
}

/** The folder for the files of one workload, made if it is not there. `PERDURE_BENCH_DIR` moves it to another disk. */
export function scratchFolder(name: string): string {
  const root = resolve(fileURLToPath(import.meta.url), "../../..");
  const folder = join(process.env.PERDURE_BENCH_DIR ?? join(root, "build", "bench-data"), name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function describeMachine(): string {
  const [cpu] = cpus();
  return `Node ${process.versions.node}, V8 ${process.versions.v8}, ${cpus().length} × ${cpu?.model ?? "unknown CPU"}`;
}

export async function measure(workload: Workload, options: Options): Promise<WorkloadResult> {
  const rounds = workload.rounds ?? options.rounds;
  const referenceName = workload.reference ?? workload.cases[0]?.name;
  const reference = workload.cases.findIndex((entry) => entry.name === referenceName);
  if (reference < 0) throw new Error(`${workload.name}: no case is named ${referenceName}`);
  const begun: Case[] = [];
  try {
    const iterations: number[] = [];
    for (const entry of workload.cases) {
      begun.push(entry);
      await entry.setup?.();
      iterations.push(workload.iterations ?? (await calibrate(entry, options.roundMs)));
    }
    const costs: number[][] = workload.cases.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < workload.cases.length; turn++) {
        const index = (round + turn) % workload.cases.length;
        const count = iterations[index];
        const { milliseconds, answer } = await runOnce(workload.cases[index], count);
        costs[index].push(workload.unit in bytesIn ? (answer as number) : (milliseconds * 1e6) / count);
      }
    }
    return summarize(workload, rounds, reference, iterations, costs);
  } finally {
    for (const entry of begun.reverse()) await entry.teardown?.();
  }
}

/**
 * One run. A turn of the event loop beforehand lets what the last one left under way come to its end, a descriptor that waits to be closed
 * with the memory of its file for example, and a collection keeps one case from paying for the garbage of another.
 */
async function runOnce(entry: Case, iterations: number): Promise<{ milliseconds: number; answer: unknown }> {
  await entry.prepare?.(iterations);
  await setTimeout(1);
  globalThis.gc?.();
  const start = performance.now();
  let answer = entry.run(iterations);
  if (answer instanceof Promise) answer = await answer;
  return { milliseconds: performance.now() - start, answer };
}

/** Operations that fill about `roundMs`. The growing runs are the warm-up, too. */
async function calibrate(entry: Case, roundMs: number): Promise<number> {
  let iterations = 1;
  for (;;) {
    let elapsedMs = (await runOnce(entry, iterations)).milliseconds;
    // Once more: what took long may have been the machine, and a count too small would measure its cold caches for good.
    if (elapsedMs >= roundMs / 2)
      elapsedMs = Math.min(elapsedMs, (await runOnce(entry, iterations)).milliseconds);
    if (elapsedMs >= roundMs / 2) return Math.max(1, Math.round((iterations * roundMs) / elapsedMs));
    const wanted = (iterations * roundMs) / Math.max(elapsedMs, 0.01);
    iterations = Math.ceil(Math.min(iterations * 10, Math.max(wanted, iterations * 2)));
  }
}

function summarize(
  workload: Workload,
  rounds: number,
  reference: number,
  iterations: number[],
  costs: number[][],
): WorkloadResult {
  const speedRatio = (index: number, other: number): number =>
    median(costs[index].map((cost, round) => costs[other][round] / cost));
  const cases = workload.cases.map((entry, index): CaseResult => {
    const bars = (entry.bars ?? []).map((bar) => judge(bar, workload, costs, index, speedRatio));
    const ratio = speedRatio(index, reference);
    return { name: entry.name, iterations: iterations[index], costs: costs[index], ratio, bars };
  });
  return {
    name: workload.name,
    unit: workload.unit,
    bytesPerOperation: workload.bytesPerOperation ?? 0,
    reference: workload.cases[reference].name,
    rounds,
    cases,
  };
}

function judge(
  bar: Bar,
  workload: Workload,
  costs: number[][],
  index: number,
  speedRatio: (index: number, other: number) => number,
): BarResult {
  if (!("of" in bar)) return judgeAlone(bar, median(costs[index]));
  const other = workload.cases.findIndex((entry) => entry.name === bar.of);
  if (other < 0) throw new Error(`${workload.name}: a bar names ${bar.of}, which is no case`);
  const speed = speedRatio(index, other);
  if ("speedAtLeast" in bar) {
    return verdict(speed >= bar.speedAtLeast, `≥ ${bar.speedAtLeast} × ${bar.of}`, speed.toFixed(2));
  }
  const cost = 1 / speed;
  if ("sizeAtMost" in bar) {
    return verdict(cost <= bar.sizeAtMost, `≤ ${bar.sizeAtMost} × ${bar.of}`, cost.toFixed(3));
  }
  return verdict(cost <= bar.timeAtMost, `time ≤ ${bar.timeAtMost} × ${bar.of}`, cost.toFixed(2));
}

function judgeAlone(bar: Exclude<Bar, { of: string }>, cost: number): BarResult {
  if ("nanosecondsAtMost" in bar) return limit(cost, bar.nanosecondsAtMost, "ns");
  if ("millisecondsAtMost" in bar) return limit(cost / 1e6, bar.millisecondsAtMost, "ms");
  if ("kibibytesAtMost" in bar) return limit(cost / 2 ** 10, bar.kibibytesAtMost, "KiB");
  return limit(cost / 2 ** 20, bar.mebibytesAtMost, "MiB");
}

function limit(value: number, most: number, unit: string): BarResult {
  return verdict(value <= most, `≤ ${formatNumber(most)} ${unit}`, `${formatNumber(value)} ${unit}`);
}

function verdict(ok: boolean, bar: string, value: string): BarResult {
  return { ok, text: `${bar}: ${value} ${ok ? "ok" : "short"}` };
}

export function formatTable(result: WorkloadResult): string {
  const table = new Table({
    head: ["case", result.unit, "min – max", `× ${result.reference}`, "bar"],
    colAligns: ["left", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const entry of result.cases) {
    const values = entry.costs.map((cost) => inUnit(result, cost));
    table.push([
      entry.name,
      formatNumber(median(values)),
      `${formatNumber(min(values))} – ${formatNumber(max(values))}`,
      entry.ratio.toFixed(2),
      entry.bars.map((bar) => bar.text).join("\n"),
    ]);
  }
  return `${result.name} (${result.rounds === 1 ? "one round" : `median of ${result.rounds} rounds`})\n${table.toString()}\n`;
}

function inUnit({ unit, bytesPerOperation }: WorkloadResult, cost: number): number {
  if (unit === "ns/op") return cost;
  if (unit === "ms") return cost / 1e6;
  const size = bytesIn[unit];
  if (size !== undefined) return cost / size;
  return unit === "ops/s" ? 1e9 / cost : (bytesPerOperation * 1e3) / cost;
}

function formatNumber(value: number): string {
  if (value >= 999.5) return Math.round(value).toLocaleString("en-US");
  return value.toPrecision(3);
}
