/** Starts processes that add records, and kills them. */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { PerdureError } from "../../base/errors.js";
import type { Input } from "../ingest/input.js";
import type { Message } from "./messages.js";

/** A process, as its parent has seen it. */
export interface Run {
  /** Counted from 1 in the life of the state. */
  number: number;
  /** Records that it found when it began. */
  foundRecords: number;
  /** Records whose commit it has acknowledged, those that it found included. */
  acknowledgedRecords: number;
  wasKilled: boolean;
  /** From its beginning, or from the kill before it, until it was ready to add records. */
  startMilliseconds: number;
  /** Of that, for opening the state. */
  openMilliseconds: number;
  /** For adding what was acknowledged: reading, storing, committing. */
  workMilliseconds: number;
  /** From when it was ready to its end. */
  lifeMilliseconds: number;
}

export interface RunOptions {
  /** Records between two commits. */
  checkpoint: number;
  kills: number;
  signal: AbortSignal;
  onProgress(records: number, offset: number): void;
  onRun(run: Run): void;
}

/** After the commit that decides on a kill: so it comes at any instant, be it in parsing, in a write or in a flush. */
const KILL_DELAY_MILLISECONDS = 12;
/** No kill is planned for the last part of a source, where the process could be faster. */
const KILLED_PART = 0.93;

/** Until a process comes to the end of the source. Errors of a process are thrown here; an abort ends it at once. */
export async function runAll(source: Input, state: string, options: RunOptions): Promise<Run[]> {
  const runs: Run[] = [];
  let plan: number[] | null = null;
  let since = performance.now();
  for (;;) {
    const run = await runOnce(source, state, since, options, (offset) => {
      plan ??= planOf(offset, source.bytes, options.kills);
      return plan.shift() ?? Infinity;
    });
    since = performance.now();
    runs.push(run);
    options.onRun(run);
    if (!run.wasKilled) return runs;
  }
}

/** Offsets after which a process is killed: one drawn from each of `kills` parts of what is left, so that they differ. */
function planOf(start: number, end: number, kills: number): number[] {
  const part = ((end - start) * KILLED_PART) / kills;
  return Array.from({ length: kills }, (_, i) => start + part * (i + Math.random()));
}

function runOnce(
  source: Input,
  state: string,
  since: number,
  { checkpoint, signal, onProgress }: RunOptions,
  nextKill: (offset: number) => number,
): Promise<Run> {
  const run: Run = {
    number: 0,
    foundRecords: 0,
    acknowledgedRecords: 0,
    wasKilled: false,
    startMilliseconds: 0,
    openMilliseconds: 0,
    workMilliseconds: 0,
    lifeMilliseconds: 0,
  };
  let begun = since;
  let killAfter = Infinity;
  let failure: Error | null = null;
  let timer: NodeJS.Timeout | undefined;
  const receive = (child: ChildProcess, message: Message): void => {
    switch (message.kind) {
      case "resumed":
        begun = performance.now();
        run.number = message.run;
        run.foundRecords = message.records;
        run.acknowledgedRecords = message.records;
        run.startMilliseconds = begun - since;
        run.openMilliseconds = message.openMilliseconds;
        killAfter = nextKill(message.offset);
        break;
      case "committed":
        run.acknowledgedRecords = message.records;
        run.workMilliseconds = message.workMilliseconds;
        onProgress(message.records, message.offset);
        // Without an answer of its own: to one that was killed it cannot be delivered.
        if (child.connected) child.send("heard", () => {});
        if (message.offset < killAfter || timer !== undefined) break;
        timer = setTimeout(() => {
          run.wasKilled = child.kill("SIGKILL");
        }, Math.random() * KILL_DELAY_MILLISECONDS);
        break;
      case "failed":
        failure =
          message.code === null
            ? new Error(message.message)
            : new PerdureError(message.code, message.message);
    }
  };
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = fork(childPath(), [source.path, state, String(checkpoint)]);
    const abort = (): void => void child.kill("SIGKILL");
    signal.addEventListener("abort", abort, { once: true });
    child.on("message", (message) => receive(child, message as Message));
    child.on("error", reject);
    child.on("exit", (code, killedBy) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      run.lifeMilliseconds = performance.now() - begun;
      run.wasKilled &&= killedBy === "SIGKILL";
      if (signal.aborted) reject(signal.reason);
      else if (failure !== null) reject(failure);
      else if (code === 0 || run.wasKilled) resolve(run);
      else
        reject(
          new PerdureError(
            "IO",
            `the process that adds records was ended by ${killedBy ?? `exit code ${code}`}`,
          ),
        );
    });
  });
}

/** Compiled, it lies beside this file; bundled, it is an entry of its own. */
function childPath(): string {
  const paths = ["./child.js", "./demo-child.js", "../demo-child.js"].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const path = paths.find((each) => existsSync(each));
  if (path === undefined) throw new Error(`there is none of ${paths.join(", ")}`);
  return path;
}
