/**
 * The process that adds records, and that is killed: `child.js <file> <state> <records a commit>`. It goes on where the cursor of the pipe is, and
 * knows nothing of how often it was killed before.
 */
import { PerdureError } from "../../base/errors.js";
import { type Memory, openSync } from "../../index.js";
import { type Input, inputFile, sourceOf } from "../ingest/input.js";
import type { Message } from "./messages.js";
import { Gate, paced } from "./pace.js";
import { Store } from "./store.js";

/** A small file would be read before anybody can kill the process that reads it: it waits a little after each commit. */
const SMALL_BYTES = 2 ** 20;
const PAUSE_MILLISECONDS = 5;

async function ingest(path: string, statePath: string, checkpoint: number): Promise<void> {
  const input = inputFile(path);
  const begun = performance.now();
  const memory = openSync(statePath, { autoCommit: false });
  try {
    await addRecords(input, memory, checkpoint, begun);
  } catch (error) {
    // What was committed is safe. An error while closing would have the same reason, and hide it.
    try {
      memory.close();
    } catch {}
    throw error;
  }
  memory.close();
}

async function addRecords(input: Input, memory: Memory, checkpoint: number, begun: number): Promise<void> {
  const store = Store.open(memory);
  store.beginRun();
  const gate = new Gate();
  const pipe = store.pipe(paced(sourceOf(input), gate)).checkpointAt(checkpoint);
  let told = pipe.cursor.records;
  const openMilliseconds = performance.now() - begun;
  tell({ kind: "resumed", run: store.runs, records: told, offset: pipe.cursor.page, openMilliseconds });
  let workMilliseconds = 0;
  let since = performance.now();
  memory.addEventListener("commit", () => {
    const { records, page: offset } = pipe.cursor;
    if (records === told) return;
    told = records;
    workMilliseconds += performance.now() - since;
    // Nothing more until the parent has heard of it.
    gate.close();
    tell({ kind: "committed", records, offset, workMilliseconds });
  });
  const goOn = (): void => {
    since = performance.now();
    gate.open();
  };
  process.on("message", () => {
    if (input.bytes < SMALL_BYTES) setTimeout(goOn, PAUSE_MILLISECONDS);
    else goOn();
  });
  await pipe.run();
}

function tell(message: Message): void {
  process.send?.(message);
}

// Ctrl-C reaches every process on the terminal; the parent decides what becomes of this one. Without it there is nobody to report to.
process.on("SIGINT", () => {});
const orphaned = (): never => process.exit(1);
process.on("disconnect", orphaned);

try {
  const [path, state, checkpoint] = process.argv.slice(2);
  await ingest(path, state, Number(checkpoint));
} catch (error) {
  const code = error instanceof PerdureError ? error.code : null;
  const message = error instanceof PerdureError ? error.message : String((error as Error)?.stack ?? error);
  tell({ kind: "failed", code, message });
  process.exitCode = 1;
}
process.off("disconnect", orphaned);
process.disconnect?.();
