/** The proof that every record is in memory exactly once, and that no process started over. It reads the source again, from its beginning. */
import { openSync } from "../../index.js";
import type { Run } from "./runs.js";
import { recordsOf, type Source } from "./source.js";
import { Store, type StoredRecord } from "./store.js";

export interface Proof {
  /** Empty when it is one. */
  problems: string[];
  /** Of the source. */
  records: number;
  /** Processes that have added some of them. */
  runs: number;
  /** Live blocks of memory. */
  liveBlocks: number;
  /** Blocks of the file whose digest was verified. */
  verifiedBlocks: number;
  commits: number;
  fileBytes: number;
}

/** Of each kind; the others are only counted. */
const EXAMPLES_SHOWN = 3;

export async function prove(
  source: Source,
  state: string,
  runs: readonly Run[],
  signal: AbortSignal,
): Promise<Proof> {
  using memory = openSync(state, { create: false, autoCommit: false });
  const store = Store.open(memory, source);
  const problems: string[] = [];
  const firstOfRun = new Map<number, number>();
  const rows = watched(store.rows(), (run, row) => {
    if (!firstOfRun.has(run)) firstOfRun.set(run, row);
  });
  const { records, differences } = await compare(source, rows, signal);
  problems.push(...shown(differences));
  if (store.cursor.records !== records)
    problems.push(`the cursor stands after ${store.cursor.records} records, the file has ${records}`);
  problems.push(...startedOver(runs, firstOfRun));
  const report = memory.check({ all: true });
  problems.push(...shown(report.problems));
  if (report.liveBlocks !== store.expectedBlocks)
    problems.push(`${report.liveBlocks} blocks of memory are live, ${store.expectedBlocks} should be`);
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

/** Record by record, byte by byte, in order: so one that is missing, twice or changed cannot hide. */
async function compare(source: Source, rows: Iterator<StoredRecord>, signal: AbortSignal) {
  const differences: string[] = [];
  let records = 0;
  let row = rows.next();
  for await (const { text } of recordsOf(source)) {
    signal.throwIfAborted();
    records++;
    if (row.done === true) {
      differences.push(`record ${records} is not in memory: ${text}`);
      continue;
    }
    const stored = Buffer.from(row.value.text);
    if (!stored.equals(Buffer.from(text)))
      differences.push(`record ${records} is ${text}, in memory it is ${stored.toString("utf8")}`);
    row = rows.next();
  }
  for (; row.done !== true; row = rows.next())
    differences.push(`in memory, not in the file: ${Buffer.from(row.value.text).toString("utf8")}`);
  return { records, differences };
}

/** Every process must have begun after all that was acknowledged before, and its first record must be the one after those it found. */
function startedOver(runs: readonly Run[], firstOfRun: ReadonlyMap<number, number>): string[] {
  const problems: string[] = [];
  let acknowledged = 0;
  for (const { number, foundRecords, acknowledgedRecords } of runs) {
    if (foundRecords < acknowledged)
      problems.push(`run ${number} found ${foundRecords} records, but ${acknowledged} were acknowledged`);
    const first = firstOfRun.get(number);
    if (first !== undefined && first !== foundRecords)
      problems.push(`run ${number} found ${foundRecords} records, but its first is record ${first + 1}`);
    acknowledged = acknowledgedRecords;
  }
  const numbers = [...firstOfRun.keys()];
  if (numbers.some((number, i) => i > 0 && number < numbers[i - 1]))
    problems.push(`records of runs stand in the order ${numbers.join(", ")}`);
  return problems;
}

function* watched(
  rows: Iterable<StoredRecord>,
  see: (run: number, row: number) => void,
): Generator<StoredRecord, void, undefined> {
  let row = 0;
  for (const each of rows) {
    see(each.run, row++);
    yield each;
  }
}

function shown(problems: readonly string[]): string[] {
  const lines = problems.slice(0, EXAMPLES_SHOWN).map((line) => line.slice(0, 300));
  if (problems.length > EXAMPLES_SHOWN)
    lines.push(`… and ${problems.length - EXAMPLES_SHOWN} more like these`);
  return lines;
}
