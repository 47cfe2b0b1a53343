/**
 * What the process that adds records tells the one that has started it. It waits for an answer after each commit, so that it is not at its end
 * before a parent that gets little time can kill it.
 */
import type { ErrorCode } from "../../base/errors.js";

export type Message =
  /** It has opened the state, in so many milliseconds; it is the process of that number, and goes on after `records`. */
  | { kind: "resumed"; run: number; records: number; offset: number; openMilliseconds: number }
  /** This is durable. The process has taken so many milliseconds for what it has added. */
  | { kind: "committed"; records: number; offset: number; workMilliseconds: number }
  /** An error of that code; null for a mistake in the program. */
  | { kind: "failed"; code: ErrorCode | null; message: string };
