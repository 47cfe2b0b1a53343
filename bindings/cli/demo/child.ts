/**
 * The process that adds records, and that is killed: `child.js <source> <state>`. It goes on where the cursor in the state is, and knows
 * nothing of how often it was killed before.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { PerdureError } from "../../base/errors.js";
import { type Memory, openSync } from "../../index.js";
import type { Message } from "./messages.js";
import { openSource, recordsOf, type Source, type SourceRecord } from "./source.js";
import { Store } from "./store.js";

/** About that many commits for a source, unless its batches would become too large. */
const COMMITS = 250;
const BATCH_BYTES_MAX = 2 ** 20;

/** A small source would be read before anybody can kill the process that reads it: it waits a little after each commit. */
const SMALL_BYTES = 2 ** 20;
const PAUSE_MILLISECONDS = 5;

async function ingest(path: string, statePath: string): Promise<void> {
  const source = openSource(path);
  const begun = performance.now();
  const memory = openSync(statePath, { autoCommit: false });
  try {
    await addRecords(source, memory, begun);
  } catch (error) {
    // What was committed is safe. An error while closing would have the same reason, and hide it.
    try {
      memory.close();
    } catch {}
    throw error;
  }
  memory.close();
}

async function addRecords(source: Source, memory: Memory, begun: number): Promise<void> {
  const store = Store.open(memory, source);
  store.beginRun();
  const openMilliseconds = performance.now() - begun;
  tell({ kind: "resumed", run: store.runs, ...store.cursor, openMilliseconds });
  if (store.isDone) return;
  let workMilliseconds = 0;
  let since = performance.now();
  for await (const batch of batchesOf(source, store)) {
    store.append(batch);
    workMilliseconds += performance.now() - since;
    const heard = once(process, "message");
    tell({ kind: "committed", ...store.cursor, workMilliseconds });
    await heard;
    if (source.bytes < SMALL_BYTES) await sleep(PAUSE_MILLISECONDS);
    since = performance.now();
  }
  store.finish();
}

async function* batchesOf(source: Source, store: Store): AsyncGenerator<SourceRecord[], void, undefined> {
  const bytes = Math.min(source.bytes / COMMITS, BATCH_BYTES_MAX);
  let batch: SourceRecord[] = [];
  let start = store.cursor.offset;
  for await (const record of recordsOf(source, store.cursor)) {
    batch.push(record);
    if (record.end - start < bytes) continue;
    yield batch;
    batch = [];
    start = record.end;
  }
  if (batch.length > 0) yield batch;
}

function tell(message: Message): void {
  process.send?.(message);
}

// Ctrl-C reaches every process on the terminal; the parent decides what becomes of this one. Without it there is nobody to report to.
process.on("SIGINT", () => {});
const orphaned = (): never => process.exit(1);
process.on("disconnect", orphaned);

try {
  await ingest(process.argv[2], process.argv[3]);
} catch (error) {
  const code = error instanceof PerdureError ? error.code : null;
  const message = error instanceof PerdureError ? error.message : String((error as Error)?.stack ?? error);
  tell({ kind: "failed", code, message });
  process.exitCode = 1;
}
process.off("disconnect", orphaned);
process.disconnect?.();
