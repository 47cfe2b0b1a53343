/** What needs a terminal: progress bars and questions, both on standard error, so that standard output is the result alone. */
import { createInterface } from "node:readline/promises";
import { Presets, SingleBar } from "cli-progress";
import type { CopyOptions } from "../pager/steps.js";
import { UsageError } from "./verb.js";

/** Work that is done sooner shows no bar. */
const PATIENCE_MILLISECONDS = 300;

export async function watch<T>(
  label: string,
  work: (options: CopyOptions) => T | Promise<T>,
  { signal, visible }: { signal: AbortSignal; visible: boolean },
): Promise<T> {
  const begun = performance.now();
  let bar: SingleBar | null = null;
  const onProgress = (done: number, total: number): void => {
    if (!visible || (bar === null && performance.now() - begun < PATIENCE_MILLISECONDS)) return;
    if (bar === null) {
      const format = `${label} {bar} {percentage}% | {eta_formatted} left`;
      bar = new SingleBar(
        { format, stream: process.stderr, clearOnComplete: true, hideCursor: true, gracefulExit: false },
        Presets.shades_classic,
      );
      bar.start(total, done);
    } else {
      bar.setTotal(total);
      bar.update(done);
    }
  };
  try {
    return await work({ signal, onProgress });
  } finally {
    (bar as SingleBar | null)?.stop();
  }
}

export async function confirm(question: string, signal: AbortSignal, silent: boolean): Promise<boolean> {
  if (silent || !process.stdin.isTTY || !process.stderr.isTTY)
    throw new UsageError("there is no terminal to ask for confirmation on; add --yes to go ahead");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^\s*y(?:es)?\s*$/i.test(await terminal.question(`${question} [y/N] `, { signal }));
  } finally {
    terminal.close();
  }
}
