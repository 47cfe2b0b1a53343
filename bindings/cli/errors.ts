/** How errors are told: code, message and remedy, as lines or as `{error: {code, message, remedy}}`. */
import { errorTable, PerdureError } from "../base/errors.js";
import { UsageError } from "./verb.js";

export interface ToldError {
  code: string;
  message: string;
  remedy: string;
}

export const EXIT = { ok: 0, problem: 1, usage: 2, interrupted: 130 } as const;

export function tell(error: unknown, signal: AbortSignal): { told: ToldError; exitCode: number } {
  if (signal.aborted) {
    const remedy = "Run it again; nothing is left half done.";
    return { told: { code: "INTERRUPTED", message: "interrupted", remedy }, exitCode: EXIT.interrupted };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof PerdureError) {
    const { code } = error;
    return { told: { code, message, remedy: errorTable[code].remedy }, exitCode: EXIT.problem };
  }
  if (error instanceof UsageError) {
    const remedy = "Add --help to see the arguments, the options and examples.";
    return { told: { code: "USAGE", message, remedy }, exitCode: EXIT.usage };
  }
  const remedy = "This is a mistake in perdure itself: please report it with the lines below.";
  const trace = error instanceof Error && error.stack ? `\n${error.stack}` : "";
  return { told: { code: "INTERNAL", message: `${message}${trace}`, remedy }, exitCode: EXIT.problem };
}

export function errorLines({ code, message, remedy }: ToldError): string[] {
  return [`perdure: ${code}: ${message}`, `  ${remedy}`];
}
