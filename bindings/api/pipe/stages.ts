/**
 * The stages of a pipe, and how they become one function. A stage is data: its kind, the function or table it was given, and how it is
 * connected to the stage behind it. Connected from the last to the first, a record passes all of them within one call, and no array or
 * iterator stands between two.
 */
import { PerdureError } from "../../base/errors.js";

/** Takes a record; a promise when a stage behind it is asynchronous. */
export type Sink = (record: unknown) => void | Promise<void>;

/** What the stages of one run share. */
export interface RunContext {
  readonly pipe: string;
  /** Records read before the one that is on its way. */
  records: number;
  emitted: number;
  sequence: number;
  accumulator: unknown;
  /** Records that wait in stages for others. */
  pending: number;
  /** What passes on those that wait, in the order of the stages. */
  readonly flushes: (() => void | Promise<void>)[];
  /** The error to throw for what a stage threw. */
  failed(stage: Stage, error: unknown): unknown;
}

export interface Stage {
  readonly kind: string;
  /** Number within the pipe, from 1. */
  readonly place: number;
  /** Differs when the stage does something else. */
  readonly signature: string;
  readonly isAsync: boolean;
  connect(next: Sink, context: RunContext): Sink;
}

/** Where records can go: a table. */
export interface Target {
  readonly name: string;
  insert(record: never): unknown;
}

/** With which an outside system can tell that it has had a record before. */
export interface RecordKey {
  readonly pipe: string;
  readonly sequence: number;
}

const AsyncFunction = (async () => {}).constructor;

type Make = (place: number) => Stage;

function stage(
  kind: string,
  signature: string,
  isAsync: boolean,
  connect: (self: Stage, next: Sink, context: RunContext) => Sink,
): Make {
  return (place) => {
    const self: Stage = {
      kind,
      place,
      signature: `${kind}(${signature})`,
      isAsync,
      connect: (next, context) => connect(self, next, context),
    };
    return self;
  };
}

/** A stage around a function that is called for each record. */
function calling(
  kind: string,
  f: (record: never, key: RecordKey) => unknown,
  pass: (result: unknown, record: unknown, next: Sink) => void | Promise<void>,
  key: (context: RunContext) => RecordKey | undefined = () => undefined,
): Make {
  verifyFunction(kind, f);
  const call = f as (record: unknown, key?: RecordKey) => unknown;
  const isAsync = f instanceof AsyncFunction;
  const connect = (self: Stage, next: Sink, context: RunContext): Sink =>
    isAsync
      ? async (record) => {
          let result: unknown;
          try {
            result = await call(record, key(context));
          } catch (error) {
            throw context.failed(self, error);
          }
          await pass(result, record, next);
        }
      : (record) => {
          let result: unknown;
          try {
            result = call(record, key(context));
            if (result instanceof Promise) throw promiseError();
          } catch (error) {
            throw context.failed(self, error);
          }
          return pass(result, record, next);
        };
  return stage(kind, String(f), isAsync, connect);
}

export const filterStage = (f: (record: never) => unknown): Make =>
  calling("filter", f, (result, record, next) => {
    if (result) return next(record);
  });

export const mapStage = (f: (record: never) => unknown): Make =>
  calling("map", f, (result, _record, next) => next(result));

export const flatMapStage = (f: (record: never) => Iterable<unknown>): Make =>
  calling("flatMap", f, (result, _record, next) =>
    passAll((result as Iterable<unknown>)[Symbol.iterator](), next),
  );

export const tapStage = (f: (record: never, key: RecordKey) => unknown): Make =>
  calling(
    "tap",
    f,
    (_result, record, next) => next(record),
    (context) => ({ pipe: context.pipe, sequence: ++context.sequence }),
  );

export function batchStage(size: number): Make {
  if (!Number.isSafeInteger(size) || size < 1)
    throw new PerdureError("INVALID_ARGUMENT", `a batch has at least one record, not ${String(size)}`);
  return stage("batch", String(size), false, (_self, next, context) => {
    let batch: unknown[] = [];
    const flush = () => {
      const full = batch;
      batch = [];
      context.pending -= full.length;
      if (full.length > 0) return next(full);
    };
    context.flushes.unshift(flush);
    return (record) => {
      batch.push(record);
      context.pending++;
      if (batch.length === size) return flush();
    };
  });
}

export function intoStage(table: Target): Make {
  if (typeof table?.insert !== "function") throw new PerdureError("INVALID_ARGUMENT", "into takes a table");
  return stage("into", JSON.stringify(table.name), false, (self, next, context) => (record) => {
    try {
      table.insert(record as never);
    } catch (error) {
      throw context.failed(self, error);
    }
    return next(record);
  });
}

export function reduceStage(initial: unknown, f: (accumulator: never, record: never) => unknown): Make {
  verifyFunction("reduce", f);
  if (f instanceof AsyncFunction) throw promiseError();
  const call = f as (accumulator: unknown, record: unknown) => unknown;
  return stage("reduce", `${JSON.stringify(initial)}, ${f}`, false, (self, next, context) => {
    if (context.accumulator === undefined) context.accumulator = structuredClone(initial);
    return (record) => {
      try {
        context.accumulator = call(context.accumulator, record);
      } catch (error) {
        throw context.failed(self, error);
      }
      return next(record);
    };
  });
}

/** All stages as one function. */
export function connect(stages: readonly Stage[], context: RunContext): Sink {
  let sink: Sink = () => {
    context.emitted++;
  };
  for (const each of [...stages].reverse()) sink = each.connect(sink, context);
  return sink;
}

function passAll(records: Iterator<unknown>, next: Sink): void | Promise<void> {
  for (;;) {
    const { done, value } = records.next();
    if (done) return;
    const waiting = next(value);
    if (waiting !== undefined) return waiting.then(() => passAll(records, next));
  }
}

function verifyFunction(kind: string, f: unknown): void {
  if (typeof f !== "function") throw new PerdureError("INVALID_ARGUMENT", `${kind} takes a function`);
}

function promiseError(): PerdureError {
  return new PerdureError(
    "INVALID_ARGUMENT",
    "the function returned a promise; declare it as an async function",
  );
}
