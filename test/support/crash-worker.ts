// One of the threads of the campaign of crash states: explores the traces it is told of, one after the other.

import { parentPort } from "node:worker_threads";
import { exploreTrace, type ThemeName } from "./crash-campaign.js";
import { CrashCounts } from "./crash-explorer.js";

export interface TraceOrder {
  theme: ThemeName;
  seed: number;
}

/** What the thread answers: the counts of the trace, or what went wrong. */
export interface TraceAnswer {
  counts: CrashCounts;
  error: string | null;
}

parentPort?.on("message", async ({ theme, seed }: TraceOrder) => {
  const counts = new CrashCounts();
  let error: string | null = null;
  try {
    await exploreTrace(theme, seed, counts);
  } catch (cause) {
    error = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  }
  // Methods do not survive the way to the other thread.
  parentPort?.postMessage({ counts: { ...counts }, error });
});
