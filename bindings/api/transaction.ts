/** Transactions: all of what a function did becomes one commit, or none of it. */
import { PerdureError } from "../base/errors.js";
import type { Session } from "./session.js";

/** Functions that would return before they are done. */
const ASYNC_KINDS = new Set(["AsyncFunction", "AsyncGeneratorFunction"]);

/**
 * What was pending is committed first. A transaction inside another joins it: it is committed or rolled back by the outer one. A body that
 * returns a promise, a function that is not called for being async, or a commit that fails: rolled back, and thrown.
 */
export function runTransaction<T>(memory: Session, body: () => T, durable: boolean): T {
  if (typeof body !== "function")
    throw new PerdureError("INVALID_ARGUMENT", "a transaction takes a function");
  if (ASYNC_KINDS.has(body.constructor.name)) throw asyncError();
  if (memory.depth > 0) return runJoined(memory, body);
  const { engine } = memory;
  engine.ensureWritable();
  if (engine.dirty) memory.commitNow(false);
  memory.depth = 1;
  let result: T;
  try {
    result = body();
    if (isPromiseLike(result)) throw asyncError();
    memory.depth = 0;
    memory.commitNow(durable);
  } catch (error) {
    memory.depth = 0;
    memory.ensureOpen();
    engine.rollback();
    throw error;
  }
  return result;
}

function runJoined<T>(memory: Session, body: () => T): T {
  memory.depth++;
  try {
    const result = body();
    if (isPromiseLike(result)) throw asyncError();
    return result;
  } finally {
    memory.depth--;
  }
}

function isPromiseLike(value: unknown): boolean {
  if (typeof (value as { then?: unknown } | null)?.then !== "function") return false;
  // Nobody will look at it any more.
  Promise.resolve(value).catch(() => {});
  return true;
}

function asyncError(): PerdureError {
  const message =
    "a transaction cannot wait: its function must not be async; use hold() to keep commits off across awaits";
  return new PerdureError("INVALID_ARGUMENT", message);
}
