/** Commits as they happen, as an async iteration. */
import type { Session } from "./session.js";

/** How often a reader looks whether there is a new commit, in milliseconds. */
const POLL_MS = 25;

/**
 * Each iteration has a beginning of its own. In a writer it gives every commit from then on, however slowly it is read; in a reader the newest one
 * whenever that has changed. It ends when the memory is closed or the signal aborts.
 */
export function followCommits(memory: Session, signal: AbortSignal | undefined): AsyncIterable<number> {
  return { [Symbol.asyncIterator]: () => (memory.readOnly ? poll(memory, signal) : listen(memory, signal)) };
}

function listen(memory: Session, signal: AbortSignal | undefined): AsyncIterator<number> {
  const waiting: number[] = [];
  let wake = () => {};
  const heard = (event: { sequence: number }) => {
    waiting.push(event.sequence);
    wake();
  };
  // Before anybody asks for the first one: what is committed until then counts.
  memory.addEventListener("commit", heard);
  const steps = (async function* () {
    try {
      for (;;) {
        while (waiting.length > 0 && signal?.aborted !== true) yield waiting.shift() as number;
        if (signal?.aborted === true || !memory.isOpen) return;
        await pause(memory, signal, (done) => {
          wake = done;
          return () => {};
        });
      }
    } finally {
      memory.removeEventListener("commit", heard as never);
    }
  })();
  return {
    next: () => steps.next(),
    // A generator that was never started does not run its end.
    return: () => {
      memory.removeEventListener("commit", heard as never);
      return steps.return();
    },
  };
}

async function* poll(memory: Session, signal: AbortSignal | undefined): AsyncGenerator<number, void> {
  const { reader } = memory.origin;
  let last = memory.sequence;
  while (signal?.aborted !== true && memory.isOpen) {
    const now = reader?.latest() ?? last;
    if (now !== last) {
      last = now;
      yield now;
    } else
      await pause(memory, signal, (done) => {
        // A snapshot has no commits; waiting for its end keeps no process alive.
        const timer = reader === null ? undefined : setTimeout(done, POLL_MS);
        return () => clearTimeout(timer);
      });
  }
}

/** Resolves when `begin` says so, when the memory is closed, or when it is aborted; then calls what `begin` has returned. */
export function pause(
  memory: Session,
  signal: AbortSignal | undefined,
  begin: (done: () => void) => () => void,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      end();
      memory.removeEventListener("close", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    memory.addEventListener("close", done);
    signal?.addEventListener("abort", done);
    const end = begin(done);
  });
}
