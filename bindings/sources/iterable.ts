/** Records that a program hands over by itself, and streams. */
import { type Located, LocatedReader, type Source } from "../api/pipe/source.js";
import { PerdureError } from "../base/errors.js";

type Many<T> = AsyncIterable<T> | Iterable<T>;

/**
 * What an iterable gives, each record with the offset behind it: whole numbers that grow. Either a function that is called with the offset from which to go on, or
 * an iterable that begins at the beginning: then what lies at or before the offset is passed over.
 */
export function iterable<T>(records: Many<Located<T>> | ((offset: number) => Many<Located<T>>)): Source<T> {
  return {
    kind: "iterable",
    label: "",
    open: ({ offset }) => {
      const from = typeof records === "function" ? records(offset) : records;
      return new LocatedReader(after(from, offset), offset);
    },
  };
}

/** As many of what needs no waiting are handed on at once. */
const BATCH = 256;

async function* after<T>(records: Many<Located<T>>, offset: number): AsyncGenerator<Located<T>[], void> {
  let last = offset;
  let batch: Located<T>[] = [];
  const most = Symbol.asyncIterator in records ? 1 : BATCH;
  for await (const each of records) {
    if (!Number.isSafeInteger(each?.offset))
      throw new PerdureError(
        "INVALID_ARGUMENT",
        "an iterable source gives objects with a record and an offset",
      );
    if (each.offset <= offset) continue;
    if (each.offset <= last)
      throw new PerdureError("INVALID_ARGUMENT", `offset ${each.offset} comes after ${last}; offsets grow`);
    last = each.offset;
    if (batch.push(each) < most) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

export interface StreamOptions {
  /**
   * True for a stream that gives only what is new each time it is opened, such as a feed. Otherwise it is taken to give the same chunks again, and those that were had
   * are passed over.
   */
  live?: boolean;
}

/** The chunks of a stream, whatever they are; a pipe counts them. */
export function stream<T>(
  readable: ReadableStream<T> | AsyncIterable<T>,
  options: StreamOptions = {},
): Source<T> {
  return {
    kind: "stream",
    label: "",
    open: ({ offset }) =>
      new LocatedReader(counted(readable, options.live === true ? 0 : offset, offset), offset),
  };
}

async function* counted<T>(
  readable: ReadableStream<T> | AsyncIterable<T>,
  skipped: number,
  offset: number,
): AsyncGenerator<Located<T>[], void> {
  let left = skipped;
  for await (const record of readable as AsyncIterable<T>) {
    if (left > 0) left--;
    else yield [{ record, offset: ++offset }];
  }
}
