/** What was done and proven, in lines for people. */
import { FORMATS, type Input } from "../ingest/input.js";
import { count, plural, size } from "../text.js";
import type { Proof } from "./proof.js";
import type { Run } from "./runs.js";

export interface Outcome {
  source: Input;
  state: string;
  /** Whether the state stays where it is. */
  isKept: boolean;
  runs: Run[];
  proof: Proof;
  /** From the first process to the end of the last one. */
  ingestMilliseconds: number;
  proofMilliseconds: number;
}

export interface Figures {
  records: number;
  added: number;
  commits: number;
  kills: number;
  /** Records found after each kill. */
  found: number[];
  restartMilliseconds: number;
  openMilliseconds: number;
  recordsPerSecond: number;
  recordsPerSecondWithKills: number;
  fileBytes: number;
}

/** Fewer are added too quickly for a rate to mean anything. */
const RATE_RECORDS_MIN = 1000;

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;

export function introLines({ path, bytes, format }: Input, kills: number): string[] {
  return [
    `The records of ${path} (${FORMATS[format].name}, ${size(bytes)}) go into persistent memory.`,
    kills === 0
      ? "The process that adds them is not killed."
      : `The process that adds them is killed with SIGKILL ${plural(kills, "time")}, at random instants.`,
  ];
}

export function runLine({
  number,
  foundRecords,
  acknowledgedRecords,
  wasKilled,
  lifeMilliseconds,
}: Run): string {
  const begin = foundRecords === 0 ? "begins" : `goes on after record ${count(foundRecords)}`;
  const end = wasKilled ? "killed" : "done";
  return `  run ${number} ${begin}, ${end} after ${seconds(lifeMilliseconds)}: ${count(acknowledgedRecords)} records committed`;
}

export function figuresOf({ runs, proof, ingestMilliseconds }: Outcome): Figures {
  const restarts = runs.filter((_, i) => i > 0 && runs[i - 1].wasKilled);
  const sum = (of: readonly Run[], figure: (run: Run) => number): number =>
    of.reduce((total, run) => total + figure(run), 0);
  const added = runs.length === 0 ? 0 : runs[runs.length - 1].acknowledgedRecords - runs[0].foundRecords;
  return {
    records: proof.records,
    added,
    commits: proof.commits,
    kills: runs.filter((run) => run.wasKilled).length,
    found: restarts.map((run) => run.foundRecords),
    restartMilliseconds: sum(restarts, (run) => run.startMilliseconds),
    openMilliseconds: sum(restarts, (run) => run.openMilliseconds),
    recordsPerSecond: (1000 * added) / sum(runs, (run) => run.workMilliseconds),
    recordsPerSecondWithKills: (1000 * added) / ingestMilliseconds,
    fileBytes: proof.fileBytes,
  };
}

/** How this command, and the command line, are called. */
export interface Commands {
  demo: string;
  perdure: string;
}

export function outcomeLines(outcome: Outcome, commands: Commands): string[] {
  const { source, proof, proofMilliseconds, state, isKept } = outcome;
  if (proof.problems.length > 0)
    return [
      `NOT PROVEN: ${state} does not hold the records of ${source.path}:`,
      ...proof.problems.map((line) => `  ${line}`),
    ];
  const figures = figuresOf(outcome);
  const runs =
    proof.runs > 1
      ? `${count(proof.runs)} runs, each from the last commit before it`
      : plural(proof.runs, "run");
  const lines = [
    `Proven: each of the ${plural(proof.records, "record")} is in memory exactly once, in order (compared with the file, and found by the index, in ${seconds(proofMilliseconds)}).`,
    `Proven: nothing started over (${runs}; ${plural(proof.liveBlocks, "block")} of memory, not one more).`,
    "",
  ];
  const { kills, added } = figures;
  const row = (name: string, value: string): void => void lines.push(`  ${name.padEnd(18)} ${value}`);
  row("records", count(figures.records));
  row("commits", `${count(figures.commits)}; what is acknowledged is on the device`);
  row(
    "kills survived",
    kills === 0 ? "0" : `${kills}; records found after them: ${figures.found.map(count).join(" · ")}`,
  );
  if (kills > 0) {
    const each = (total: number): string => `${(total / kills).toFixed(0)} ms`;
    row(
      "time lost",
      `${seconds(figures.restartMilliseconds)}: ${each(figures.restartMilliseconds)} a kill, ${each(figures.openMilliseconds)} of them to open the state`,
    );
  }
  if (added >= RATE_RECORDS_MIN)
    row(
      "records a second",
      `${count(Math.round(figures.recordsPerSecond))}${kills === 0 ? "" : `; ${count(Math.round(figures.recordsPerSecondWithKills))} with kills and restarts`}`,
    );
  row("state file", size(figures.fileBytes));
  lines.push("", "What to try next:");
  const next: [string, string][] = [
    [`${commands.demo} your.csv`, "your own records: CSV, TSV, JSON Lines, a JSON array, or lines"],
    [`${commands.demo} --kills 20`, "more kills"],
  ];
  if (!isKept)
    next.push([
      `${commands.demo} --state demo.state`,
      "keep the state; after a Ctrl-C the same command goes on",
    ]);
  else {
    next.push(["the same again", "finds everything in place, and proves it again"]);
    next.push([`${commands.perdure} tables ${state}`, "what is in the state; also: pipes, export, inspect"]);
  }
  const width = Math.max(...next.map(([what]) => what.length));
  for (const [what, meaning] of next) lines.push(`  ${what.padEnd(width)}   ${meaning}`);
  return lines;
}
