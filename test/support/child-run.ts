// Child processes of tests, as their parent sees them. A child is a program test/support/child-*.ts; it hears lines on its standard input
// and says lines on descriptor 3, each with one system call, so that nothing that was said is lost when it is killed.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const directory = fileURLToPath(new URL(".", import.meta.url));

export interface StartOptions {
  /** Run by this command, such as `unshare --pid`, instead of directly. */
  under?: readonly string[];
  /** As this user and group. */
  user?: number;
}

const running = new Set<Child>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Child {
  /** Settled when the process has ended and everything that it said has been heard. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  private readonly process: ChildProcess;
  private readonly heard: string[] = [];
  private rest = "";
  private over = false;
  private wake: () => void = () => {};

  /** Starts `child-<program>.js` with these arguments. What it prints on its standard error appears on ours. */
  constructor(
    readonly program: string,
    args: readonly (string | number)[] = [],
    { under = [], user }: StartOptions = {},
  ) {
    const command = [...under, process.execPath, join(directory, `child-${program}.js`), ...args.map(String)];
    this.process = spawn(command[0], command.slice(1), {
      stdio: ["pipe", "ignore", "inherit", "pipe"],
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
    running.add(this);
    const output = this.process.stdio[3] as Readable;
    output.setEncoding("utf8");
    output.on("data", (text: string) => {
      const lines = (this.rest + text).split("\n");
      this.rest = lines.pop()!;
      this.heard.push(...lines);
      this.wake();
    });
    // A child that was killed does not read what was sent to it.
    this.input.on("error", () => {});
    this.ended = new Promise((resolve, reject) => {
      this.process.on("error", reject);
      this.process.on("close", (code, signal) => {
        running.delete(this);
        this.over = true;
        this.wake();
        resolve({ code, signal });
      });
    });
    this.ended.catch(() => {});
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The next line that it says; null when it has ended. */
  async line(): Promise<string | null> {
    while (this.heard.length === 0 && !this.over) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.heard.shift() ?? null;
  }

  /** The next line, which must begin with this word; returns what follows it. */
  async expect(word: string): Promise<string> {
    const line = await this.line();
    if (line === null) throw new Error(`child ${this.program} ended instead of saying "${word}"`);
    const [first] = line.split(" ", 1);
    if (first !== word) throw new Error(`child ${this.program} said "${line}" instead of "${word}"`);
    return line.slice(word.length + 1);
  }

  /** All lines that have come by now. */
  takeLines(): string[] {
    return this.heard.splice(0);
  }

  send(line: string): void {
    this.input.write(`${line}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Kills it and waits until it is gone; returns what it had said and nobody has taken. */
  async killed(): Promise<string[]> {
    this.kill("SIGKILL");
    await this.ended;
    return this.takeLines();
  }

  /** Waits until it has stopped itself. */
  async stopped(): Promise<void> {
    await untilState(this.pid, "T");
  }

  /** Resident memory in bytes; 0 when it has ended or the system does not tell. */
  residentBytes(): number {
    try {
      const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
      return Number(kibibytes?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  private get input(): Writable {
    return this.process.stdin!;
  }
}

/** Waits until /proc shows the process in this state. */
export async function untilState(pid: number, state: string): Promise<void> {
  for (let wait = 0; stateOf(pid) !== state; wait++) {
    if (wait > 10_000) throw new Error(`process ${pid} is in state ${stateOf(pid)} and not ${state}`);
    await sleep(1);
  }
}

/** The letter of proc(5); empty when there is no such process. */
export function stateOf(pid: number): string {
  try {
    return /\) (.) [^)]*$/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}
