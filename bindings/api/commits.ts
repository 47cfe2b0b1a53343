/** Commits as they happen, as an async iteration. */
import type { Session } from "./session.js";

/** How often a reader looks whether there is a new commit, in milliseconds. */
const POLL_MS = 25;

export async function* followCommits(
  memory: Session,
  signal: AbortSignal | undefined,
): AsyncGenerator<number> {
  const { reader } = memory.origin;
  let last = memory.sequence;
  while (signal?.aborted !== true && memory.isOpen) {
    if (reader === null) {
      await nextCommit(memory, signal);
      if (!memory.isOpen && memory.sequence === last) return;
    } else {
      await pause(memory, signal);
      if (!memory.isOpen) return;
    }
    const now = reader === null ? memory.sequence : reader.latest();
    if (now === last) continue;
    last = now;
    yield now;
  }
}

/** Resolves at the next commit, when the memory is closed, or when it is aborted. */
function nextCommit(memory: Session, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      memory.removeEventListener("commit", done);
      memory.removeEventListener("close", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    memory.addEventListener("commit", done);
    memory.addEventListener("close", done);
    signal?.addEventListener("abort", done);
  });
}

function pause(memory: Session, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      memory.removeEventListener("close", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, POLL_MS);
    memory.addEventListener("close", done);
    signal?.addEventListener("abort", done);
  });
}
