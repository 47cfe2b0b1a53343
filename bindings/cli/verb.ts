/**
 * What a verb of the command line is. To add one, write `verbs/<name>.ts` and enter it in `verbs.ts`: parsing, help, JSON, errors, exit
 * codes and progress are the same for all and done in `main.ts`.
 */
import type { CopyOptions } from "../pager/steps.js";

export interface Verb {
  /** One word; two for a verb in a group, such as `snapshot list`. */
  name: string;
  /** One line, for the list of verbs. */
  summary: string;
  /** Paragraphs, for the help of the verb. */
  description: string;
  /** In the notation of commander: `<file>`, `[what...]`. */
  arguments: readonly (readonly [name: string, meaning: string])[];
  options?: readonly (readonly [flags: string, meaning: string])[];
  examples: readonly (readonly [command: string, meaning: string])[];
  /** What exit codes 0 and 1 mean here. */
  exits: readonly [ok: string, problem: string];
  run(task: Task, args: Arguments, options: Options): Report | Promise<Report>;
}

/** By position; a list for an argument that may be repeated. */
export type Arguments = readonly (string | string[] | undefined)[];
/** By name, as commander names them. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** What the verb has to say. */
export interface Report {
  /** With `--json`: one object, printed as it is. */
  json: object;
  /** Without: lines. */
  text: readonly string[];
  /** Exit code 1 instead of 0. */
  problem?: boolean;
}

/** What `main.ts` gives to a verb that runs. */
export interface Task {
  /** Aborts at SIGINT. */
  signal: AbortSignal;
  /** Runs work with a progress bar, where there is a terminal to show it on. */
  watch<T>(label: string, work: (options: CopyOptions) => T | Promise<T>): Promise<T>;
  /** Writes to standard output what is too much for a report; false when nobody reads it any more. */
  write(text: string): Promise<boolean>;
  /** Asks on the terminal; throws a UsageError where there is none. */
  confirm(question: string): Promise<boolean>;
}

/** The command was typed wrong: exit code 2. */
export class UsageError extends Error {}
