// What the processes of a run do with the library: a writer opens, works and closes; a reader opens, reads and refreshes.
// What they do next is decided by the run.

import { checkpoint } from "./checkpoint.js";
import { type Handle, newEdits } from "./handle.js";
import { create, openByName, removeLock, takeLock } from "./lock.js";
import { openInPlace } from "./opening.js";
import { openReader, type Reader, type ReaderOptions, readEverything, refresh, unpin } from "./reader.js";
import { compact, relocate } from "./relocation.js";
import { type State, zero } from "./values.js";
import { Failure, failureOf, nameCall, type Process, type Run, type World } from "./world.js";
import { close, commit, flush, flushInBackground, rollback, spill } from "./writer.js";

/** What a writer can do between opening and closing, in the order of the weights that a plan gives. */
export const operations = [
  "commit",
  "commit and flush",
  "flush",
  "flush in background",
  "checkpoint",
  "create snapshot",
  "delete snapshot",
  "restore snapshot",
  "spill and commit",
  "spill and roll back",
  "compact",
  "close",
  "exit without closing",
] as const;
export type Operation = (typeof operations)[number];

export interface WriterPlan {
  readonly forced: boolean;
  /** How many operations at most. */
  readonly length: number;
  readonly weights: readonly number[];
  /** Instead of weights: what all writers together do, one operation after the other. */
  readonly script?: readonly Operation[];
}

export function* openForWriting(world: World, process: Process, forced: boolean): Run<Handle> {
  for (let tries = 0; tries < 3; tries++) {
    if ((yield* openByName(world, process)) === null) yield* create(world, process);
    const lock = yield* takeLock(world, process, forced);
    try {
      const { file, number } = lock;
      if (lock.relocates || (yield* file.read(2)) !== zero) return yield* relocate(file, process, number);
      return yield* openInPlace(process, file, number);
    } catch (caught) {
      const failure = failureOf(caught);
      yield* removeLock(world, process, lock.number);
      if (failure.code !== "BUSY") throw failure;
    }
  }
  throw new Failure("LOCKED", "the file keeps changing");
}

export function* writer(world: World, process: Process, plan: WriterPlan): Run<void> {
  let handle: Handle;
  try {
    handle = yield* openForWriting(world, process, plan.forced);
  } catch (caught) {
    const failure = failureOf(caught);
    world.trace?.(`${process.label}: cannot open: ${failure.code}, ${failure.reason}`);
    if (failure.code === "CORRUPT") world.oracle.reportedCorrupt(process.label, failure.reason);
    return;
  }
  world.trace?.(`${process.label}: is open at ${handle.state.label}, sequence ${handle.sequence}`);
  for (let count = 0; count < plan.length && handle.status === "open"; count++) {
    const operation = plan.script
      ? (plan.script[world.scriptPosition++] ?? "close")
      : (operations[world.choose.weighted(plan.weights)] as Operation);
    world.trace?.(`${process.label}: ${operation}`);
    if (operation === "exit without closing") return;
    if (operation === "close") break;
    handle.busy = true;
    try {
      handle = yield* perform(world, process, handle, operation);
    } catch (caught) {
      const failure = failureOf(caught);
      world.trace?.(`${process.label}: ${operation} failed: ${failure.code}, ${failure.reason}`);
    }
    handle.busy = false;
  }
  yield* close(handle);
}

function* perform(world: World, process: Process, handle: Handle, operation: Operation): Run<Handle> {
  const { choose } = world;
  const names = handle.snapshots.map(({ name }) => name);
  const name = names[choose.pick(names.length)];
  switch (operation) {
    case "commit":
    case "commit and flush":
      yield* commit(handle, newEdits(world, handle.image), operation === "commit and flush");
      break;
    case "flush":
      yield* flush(handle);
      break;
    case "flush in background":
      if (!handle.flushing) process.tasks.push(flushInBackground(handle));
      handle.flushing = true;
      world.crowded = true;
      break;
    case "checkpoint":
      yield* checkpoint(handle, "checkpoint", "");
      break;
    case "create snapshot":
      if (names.length < 2) yield* checkpoint(handle, "create", `s${world.unique()}`);
      break;
    case "restore snapshot":
      if (name !== undefined) yield* checkpoint(handle, "restore", name);
      break;
    case "delete snapshot":
      yield nameCall;
      for (const entry of world.directory.values()) {
        if (entry.kind === "pin" && entry.snapshot === name && entry.process.alive) return handle; // LOCKED
      }
      if (name !== undefined) yield* checkpoint(handle, "delete", name);
      break;
    case "spill and commit":
    case "spill and roll back": {
      const edits = newEdits(world, handle.image);
      try {
        for (const [block, content] of edits) {
          if (content !== null && choose.pick(3) > 0) yield* spill(handle, block, content);
          if (choose.pick(4) === 3) yield* checkpoint(handle, "checkpoint", "");
        }
        if (operation === "spill and commit") yield* commit(handle, edits, choose.pick(2) === 1);
      } finally {
        rollback(handle);
      }
      break;
    }
    case "compact":
      return yield* compact(handle);
    default:
  }
  return handle;
}

export interface ReaderPlan {
  readonly length: number;
  readonly pinned: boolean;
}

export function* reader(world: World, process: Process, plan: ReaderPlan): Run<void> {
  const { choose, oracle } = world;
  const snapshot = (state: State): string | null => {
    const names = [...state.snapshots.keys()];
    return choose.pick(3) === 2 ? (names[choose.pick(names.length)] ?? null) : null;
  };
  let options: ReaderOptions = { pinned: plan.pinned, snapshot: null };
  let current: Reader | null = null;
  for (let times = 0; times < plan.length; times++) {
    try {
      const before = oracle.latestAcknowledged;
      const known: Reader | null = choose.pick(3) === 2 ? null : current;
      const opened: Reader = yield* known === null
        ? openReader(world, process, options)
        : refresh(known, options);
      if (known === null && current !== null) yield* unpin(world, current.pin);
      current = opened;
      const { state } = current;
      world.trace?.(`${process.label}: sees ${state.label}`);
      oracle.isFresh(state, before, process.label);
      for (let reads = choose.pick(3); reads > 0; reads--) {
        const { snapshot } = options;
        const expected = snapshot === null ? state.image : state.snapshots.get(snapshot);
        if (expected === undefined) break; // deleted before it was pinned
        const blocks = yield* readEverything(current, snapshot);
        oracle.hasRead(blocks, expected, `${process.label}, ${state.label}`);
        world.trace?.(`${process.label}: has read ${state.label}`);
      }
      options = { ...options, snapshot: snapshot(state) };
    } catch (caught) {
      const { code, reason } = failureOf(caught);
      world.trace?.(`${process.label}: ${code}, ${reason}`);
      if (code === "CORRUPT") oracle.reportedCorrupt(process.label, reason);
      if (code === "STALE") oracle.reportedStale(process.label, plan.pinned);
    }
  }
  yield* unpin(world, current?.pin ?? null);
}
