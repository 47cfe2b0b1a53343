/**
 * Where the records of a pipe come from. A source is a description; `open` gives a reader that goes on behind a position. Positions are the
 * source's own: a byte of a file, a count, a page and slot of a table.
 *
 * Invariant: a record and the position behind it belong together. Whoever goes on from a position gets the record after it, and none twice.
 */
import type { Session } from "../session.js";

export interface Position {
  /** Bytes, records or pages: whatever the source counts. A whole number. */
  readonly offset: number;
  /** Within that, where the source has anything within it. */
  readonly slot: number;
}

/** What a source needs to know to go on. */
export interface Start extends Position {
  readonly memory: Session;
  /** Name of the pipe. */
  readonly pipe: string;
  /** Records that the pipe has had from this source. */
  readonly records: number;
  /** What the reader said of itself when the position was saved; 0 at the beginning. */
  readonly fingerprint: bigint;
  /** Wait for more where there are no more. */
  readonly follow: boolean;
  /** A record that cannot be read: kept with its reason, if the pipe has a place for such, or else thrown. */
  reject(error: Error, bytes: Uint8Array): void;
}

export interface Reader<T> extends Position {
  /** Calls `push` with at most `most` records that are at hand, the position being behind each when it is called. Returns how many. */
  take(push: (record: T) => void, most: number): number;
  /** Waits until there may be more at hand; false when there is no more. Ends early when the signal aborts. */
  more(signal: AbortSignal): boolean | Promise<boolean>;
  /** Records that are still to come, or undefined. `records` were had from there on which the reader was opened. */
  remaining(records: number): number | undefined;
  /** What tells, together with the position, whether the source is still the one that was read; 0 when nothing can. */
  fingerprint(): bigint;
  close(): void;
}

export interface Source<T = unknown> {
  /** "table", "lines", … */
  readonly kind: string;
  /** The table's name, the path. */
  readonly label: string;
  open(start: Start): Reader<T> | Promise<Reader<T>>;
}

/** What an asynchronous source gives: a record and the offset behind it. */
export interface Located<T> {
  readonly record: T;
  readonly offset: number;
}

/** One that may not be readable. */
export interface MaybeLocated<T> extends Located<T> {
  readonly problem?: Error | undefined;
}

/** A reader of records that have to be waited for, and come some at a time. */
export class LocatedReader<T> implements Reader<T> {
  readonly slot = 0;
  private readonly batches: AsyncIterator<readonly MaybeLocated<T>[]>;
  private batch: readonly MaybeLocated<T>[] = [];
  private next = 0;
  private ended = false;
  /** Asked for once only, however often it is waited for. */
  private asked: Promise<IteratorResult<readonly MaybeLocated<T>[]>> | null = null;

  constructor(
    batches: AsyncIterable<readonly MaybeLocated<T>[]>,
    public offset: number,
  ) {
    this.batches = batches[Symbol.asyncIterator]();
  }

  take(push: (record: T) => void, most: number): number {
    let taken = 0;
    while (taken < most && this.next < this.batch.length) {
      const { record, offset, problem } = this.batch[this.next++];
      const from = this.offset;
      this.offset = offset;
      if (problem === undefined) {
        push(record);
        taken++;
      } else this.reject(problem, from, offset);
    }
    return taken;
  }

  /** For what lies between two offsets and cannot be read. */
  protected reject(problem: Error, _from: number, _to: number): void {
    throw problem;
  }

  more(signal: AbortSignal): boolean | Promise<boolean> {
    if (this.next < this.batch.length) return true;
    return this.ended ? false : this.ask(signal);
  }

  private async ask(signal: AbortSignal): Promise<boolean> {
    this.asked ??= this.batches.next();
    const result = await abortable(this.asked, signal);
    if (result === null) return true;
    this.asked = null;
    this.ended = result.done === true;
    this.batch = result.done === true ? [] : result.value;
    this.next = 0;
    return !this.ended;
  }

  remaining(_records: number): number | undefined {
    return undefined;
  }

  fingerprint(): bigint {
    return 0n;
  }

  close(): void {
    const ended = this.batches.return?.();
    // Nobody waits for it: what it was about to give is given the next time.
    ended?.catch(() => {});
  }
}

/** The promise's value, or null as soon as the signal aborts. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const abort = () => resolve(null);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
