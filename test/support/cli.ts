// The command line as a user types it: the program is started, and what it says on its two outputs is kept.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { main } from "../../bindings/cli/main.js";

const program = fileURLToPath(new URL("../../bindings/cli.js", import.meta.url));

export interface Said {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  errors: string;
}

export interface RunOptions {
  /** As this user and group. */
  user?: number;
  /** Called when it runs. */
  started?(kill: (signal: NodeJS.Signals) => void, child: ChildProcess): void;
}

/** Runs `perdure` with these words. */
export function perdure(words: readonly string[], { user, started }: RunOptions = {}): Promise<Said> {
  const child = spawn(process.execPath, [program, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  const said: Said = { code: null, signal: null, out: "", errors: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.errors += text;
  });
  started?.((signal) => child.kill(signal), child);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ ...said, code, signal }));
  });
}

/** The same within this process, which costs a tenth of it: for the many ways to be told that something is wrong. */
export async function perdureHere(words: readonly string[]): Promise<Said> {
  const said: Said = { code: null, signal: null, out: "", errors: "" };
  said.code = await main(words, {
    out: (text) => {
      said.out += text;
    },
    errors: (text) => {
      said.errors += text;
    },
  });
  return said;
}

/** With `--json`: what it printed as an object, and its exit code; nothing may be on standard error. */
export async function perdureJson(
  words: readonly string[],
  options: RunOptions = {},
  run: typeof perdure = perdure,
): Promise<{ code: number | null; json: Record<string, unknown> }> {
  const { code, out, errors } = await run([...words, "--json"], options);
  if (errors !== "") throw new Error(`perdure ${words.join(" ")} said on standard error: ${errors}`);
  return { code, json: JSON.parse(out) };
}
