/**
 * Rows as they come: those there are from some id on, then those that are committed, as an async iteration. A row is given when it is committed, so none is
 * given that a rollback takes back.
 */
import { pause } from "../commits.js";
import type { TableHandle } from "./handle.js";
import { Scanner } from "./scan.js";

export function followTable<R>(
  handle: TableHandle,
  from: number,
  signal: AbortSignal | undefined,
): AsyncIterable<R> {
  return { [Symbol.asyncIterator]: () => new Follower<R>(handle, from, signal).begin() };
}

class Follower<R> {
  private readonly scanner: Scanner;
  private wake = () => {};
  private ended = false;
  private failure: unknown = null;

  constructor(
    private readonly handle: TableHandle,
    from: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.scanner = new Scanner(handle, from, 0);
  }

  begin(): AsyncIterator<R> {
    const { memory, shared } = this.handle;
    // From now on, not from the first time that somebody waits: what comes meanwhile must lie ahead.
    shared.followers++;
    memory.addEventListener(this.eventType, this.committed);
    if (memory.readOnly || !memory.engine.dirty) this.committed();
    const rows = this.rows();
    return {
      next: () => rows.next(),
      // A generator that was never started does not run its end.
      return: () => {
        this.end();
        return rows.return();
      },
    };
  }

  /** A reader sees commits when it is refreshed. */
  private get eventType(): string {
    return this.handle.memory.readOnly ? "refresh" : "commit";
  }

  /** All rows there are now are committed. */
  private readonly committed = (): void => {
    try {
      this.handle.ensureCurrent();
      this.scanner.to = this.handle.storage.end;
    } catch (error) {
      this.failure = error;
    }
    this.wake();
  };

  private async *rows(): AsyncGenerator<R, void> {
    const { handle, scanner, signal } = this;
    const { memory } = handle;
    try {
      while (signal?.aborted !== true && memory.isOpen && !this.ended) {
        if (this.failure !== null) throw this.failure;
        if (scanner.next()) yield handle.rowAt(scanner.id, scanner.address) as R;
        else
          await pause(memory, signal, (done) => {
            this.wake = done;
            return () => {};
          });
      }
    } finally {
      this.end();
    }
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    const { memory, shared } = this.handle;
    shared.followers--;
    memory.removeEventListener(this.eventType, this.committed);
    this.wake();
  }
}
