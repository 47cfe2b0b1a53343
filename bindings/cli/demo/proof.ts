/**
 * The proof that every record is in memory exactly once, and that no process started over. It reads the file again, from its beginning, by the same pipe in a memory of
 * its own that nobody kills.
 */
import { MemoryStorage, openSync } from "../../index.js";
import { type Input, sourceOf } from "../ingest/input.js";
import type { Run } from "./runs.js";
import { RECORDS, Store } from "./store.js";

export interface Proof {
  /** Empty when it is one. */
  problems: string[];
  /** Of the file. */
  records: number;
  /** Processes that have added some of them. */
  runs: number;
  /** Live blocks of memory. */
  liveBlocks: number;
  /** Blocks of the state whose digest was verified. */
  verifiedBlocks: number;
  commits: number;
  fileBytes: number;
}

/** Of each kind; the others are only counted. */
const EXAMPLES_SHOWN = 3;

export async function prove(
  input: Input,
  state: string,
  runs: readonly Run[],
  signal: AbortSignal,
): Promise<Proof> {
  using memory = openSync(state, { create: false, autoCommit: false });
  const store = Store.open(memory);
  using scratch = openSync("reference", { storage: new MemoryStorage(), autoCommit: false });
  const reference = Store.open(scratch);
  const comparison = new Comparison(store);
  await reference.pipe(sourceOf(input), (record) => comparison.add(record)).run({ signal });
  signal.throwIfAborted();
  const { records, firstOfRun } = comparison;
  const problems = shown(comparison.end());
  const cursor = memory.pipe(RECORDS, sourceOf(input)).cursor.records;
  if (cursor !== records) problems.push(`the cursor stands after ${cursor} records, the file has ${records}`);
  problems.push(...startedOver(runs, firstOfRun));
  const report = memory.check({ all: true });
  problems.push(...shown(report.problems));
  const expected = scratch.check();
  const strays = report.liveBlocks - report.tableBlocks - (expected.liveBlocks - expected.tableBlocks);
  if (strays !== 0) problems.push(`${report.liveBlocks} blocks of memory are live: ${strays} too many`);
  return {
    problems,
    records,
    runs: firstOfRun.size,
    liveBlocks: report.liveBlocks,
    verifiedBlocks: report.verified,
    commits: memory.sequence,
    fileBytes: memory.stats().file?.bytes ?? 0,
  };
}

/** Record by record, character by character, in order and through the index: so one that is missing, twice or changed cannot hide. */
class Comparison {
  records = 0;
  /** Run → number of its first record. */
  readonly firstOfRun = new Map<number, number>();
  private readonly differences: string[] = [];
  private readonly rows;

  constructor(private readonly store: Store) {
    this.rows = store.table.scan();
  }

  /** The next record of the file. */
  add(record: unknown): void {
    const { table } = this.store;
    const { differences } = this;
    const number = ++this.records;
    const text = JSON.stringify(record);
    const row = this.rows.next().value;
    if (row === undefined) {
      differences.push(`record ${number} is not in memory: ${text}`);
      return;
    }
    const stored = JSON.stringify(row.record);
    if (stored !== text) differences.push(`record ${number} is ${text}, in memory it is ${stored}`);
    if (row.number !== number) differences.push(`record ${number} has the number ${row.number}`);
    const found = table.find("number", number);
    if (found === undefined || table.rowIdOf(found) !== table.rowIdOf(row))
      differences.push(`record ${number} is not where the index says`);
    if (!this.firstOfRun.has(row.run)) this.firstOfRun.set(row.run, number);
  }

  /** What differs, when all were added. */
  end(): string[] {
    for (const row of this.rows)
      this.differences.push(`in memory, not in the file: ${JSON.stringify(row.record)}`);
    return this.differences;
  }
}

/** Every process must have begun after all that was acknowledged before, and its first record must be the one after those it found. */
function startedOver(runs: readonly Run[], firstOfRun: ReadonlyMap<number, number>): string[] {
  const problems: string[] = [];
  let acknowledged = 0;
  for (const { number, foundRecords, acknowledgedRecords } of runs) {
    if (foundRecords < acknowledged)
      problems.push(`run ${number} found ${foundRecords} records, but ${acknowledged} were acknowledged`);
    const first = firstOfRun.get(number);
    if (first !== undefined && first !== foundRecords + 1)
      problems.push(`run ${number} found ${foundRecords} records, but its first is record ${first}`);
    acknowledged = acknowledgedRecords;
  }
  const numbers = [...firstOfRun.keys()];
  if (numbers.some((number, i) => i > 0 && number < numbers[i - 1]))
    problems.push(`records of runs stand in the order ${numbers.join(", ")}`);
  return problems;
}

function shown(problems: readonly string[]): string[] {
  const lines = problems.slice(0, EXAMPLES_SHOWN).map((line) => line.slice(0, 300));
  if (problems.length > EXAMPLES_SHOWN)
    lines.push(`… and ${problems.length - EXAMPLES_SHOWN} more like these`);
  return lines;
}
