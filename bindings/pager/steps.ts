/** Long work in steps, so that it can be watched and stopped while the rest of the program goes on. */
import { nextTurn } from "../base/turn.js";

export interface CopyOptions {
  signal?: AbortSignal | undefined;
  /** Slots done so far and in all, about once a MiB. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Runs `steps`, which yields how much is done, to its end. When the signal aborts, `steps` is told by an exception, so that it can
 * remove what it has made. `finish` is called in the turn of the last step.
 */
export async function runSteps<T>(
  steps: Generator<number, T>,
  total: number,
  { signal, onProgress }: CopyOptions,
  finish?: () => void,
): Promise<T> {
  let result: T;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = steps.next();
      if (step.done) {
        result = step.value;
        break;
      }
      onProgress?.(Math.min(step.value, total), total);
      await nextTurn();
    }
  } catch (error) {
    steps.throw(error);
    throw error;
  }
  finish?.();
  onProgress?.(total, total);
  return result;
}
