// How a child program talks with its parent (child-run.ts): in lines, each written with one system call, and without the event loop, so
// that nothing waits in a buffer when the process is stopped or killed.

import { readSync, writeSync } from "node:fs";

const INPUT = 0;
const OUTPUT = 3;

const chunk = Buffer.alloc(65536);
let rest = "";

/** Says a line to the parent; it is in the pipe when this returns. */
export function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(OUTPUT, bytes, done);
}

/** The next line of the parent. Without a parent there is nothing left to do, and the process ends. */
export function hear(): string {
  for (;;) {
    const end = rest.indexOf("\n");
    if (end >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      return line;
    }
    const count = readSync(INPUT, chunk, 0, chunk.length, null);
    if (count === 0) process.exit(0);
    rest += chunk.toString("utf8", 0, count);
  }
}
