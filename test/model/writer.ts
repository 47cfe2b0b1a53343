// What an owner does between opening and closing: commit, flush in the background, spill, roll back, close.

import { checkpoint } from "./checkpoint.js";
import { checkForwarding, type Edits, flushOrPoison, type Handle, writeCommit } from "./handle.js";
import type { Block } from "./values.js";
import { zero } from "./values.js";
import { failureOf, flushCall, nameCall, type Run } from "./world.js";

/** Two slots always stay for the next header, so that a checkpoint can begin. */
export function* commit(handle: Handle, edits: Edits, flushed: boolean): Run<void> {
  let fresh = 0;
  for (const [block, digest] of edits) {
    if (digest !== null && handle.spilled.get(block)?.digest !== digest) fresh++;
  }
  while (handle.log.length < 1 + fresh + 2) yield* checkpoint(handle, "checkpoint", "");
  yield* writeCommit(handle, edits, flushed);
}

/** Makes everything committed durable, while the caller waits. */
export function* flush(handle: Handle): Run<void> {
  const { sequence, state } = handle;
  if (handle.lastFlushed >= sequence) return;
  yield* flushOrPoison(handle);
  handle.lastFlushed = sequence;
  yield* checkForwarding(handle);
  handle.world.oracle.acknowledge(handle, state, true);
}

/** A task of its own, beside the calls of the handle. */
export function* flushInBackground(handle: Handle): Run<void> {
  const { world, background } = handle;
  const issuedAt = handle.sequence;
  const { state } = handle;
  handle.flushing = true;
  let failed = false;
  try {
    yield* background.flush();
  } catch (caught) {
    failureOf(caught);
    failed = true;
  }
  do yield flushCall;
  while (handle.busy && !handle.frozen);
  handle.flushing = false;
  if (failed) {
    handle.poison("background flush failed");
    return;
  }
  // A compaction sets the slot itself; what was committed before it is in the copy, too.
  const asks = world.rules.forwardingBeforeAck && handle.status !== "closed" && !handle.frozen;
  if (asks && background.inode.read(2) !== zero) {
    handle.status = "fenced";
    return;
  }
  handle.lastFlushed = Math.max(
    handle.lastFlushed,
    world.rules.lastFlushedAtIssue ? issuedAt : handle.sequence,
  );
  world.oracle.acknowledge(handle, state, true);
}

/** Writes a block before its commit, into the log runs but never where the next header goes. */
export function* spill(handle: Handle, block: number, digest: Block): Run<void> {
  if (handle.log.length < 4) yield* checkpoint(handle, "checkpoint", "");
  const before = handle.spilled.get(block);
  const slot = handle.log.splice(2, 1)[0] as number;
  yield* handle.file.write(slot, digest);
  handle.spilled.set(block, { slot, digest });
  if (before !== undefined) release(handle, before.slot);
}

/** Forgets what was not committed. */
export function rollback(handle: Handle): void {
  for (const { slot } of handle.spilled.values()) release(handle, slot);
  handle.spilled.clear();
}

/** A spilled slot goes back to the log, unless a checkpoint has come between. */
function release(handle: Handle, slot: number): void {
  if (handle.newest.superblock.runs.includes(slot)) handle.log.push(slot);
}

/** A checkpoint, unless there is nothing to save; then the lock record goes. */
export function* close(handle: Handle): Run<void> {
  const { world, process, number } = handle;
  while (handle.flushing) yield flushCall;
  try {
    if (handle.status === "open" && handle.newest.chain.length > 0)
      yield* checkpoint(handle, "checkpoint", "");
  } catch (caught) {
    failureOf(caught);
    // Without room for a checkpoint the chain stays as it is; what it holds is made durable all the same.
    if (handle.status === "open") {
      try {
        yield* flushOrPoison(handle);
      } catch (again) {
        failureOf(again);
      }
    }
  }
  handle.status = "closed";
  yield nameCall;
  world.directory.remove(`lock-${number}`);
  world.trace?.(`${process.label}: closed`);
}
