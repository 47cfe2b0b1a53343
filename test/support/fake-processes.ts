// Processes that a test starts and kills at will, on machines of its own making. Nothing runs in them: a "process" is
// the identity that a pager or reader opened in its name leaves in locks and pins.

import type { ProcessIdentity } from "../../bindings/format/side-files.js";
import type { Processes } from "../../bindings/storage/processes.js";

export class FakeProcess implements Processes {
  /** Called by `wait`, which takes no time. */
  onWait: (milliseconds: number) => void = () => {};

  constructor(
    private readonly machine: FakeMachine,
    readonly self: ProcessIdentity,
  ) {}

  isDead(other: ProcessIdentity): boolean {
    return this.machine.isDead(other);
  }

  wait(milliseconds: number): void {
    this.onWait(milliseconds);
  }

  kill(): void {
    this.machine.kill(this);
  }
}

/** One machine that was booted once. What it does not know counts as alive, as `Processes` demands. */
export class FakeMachine {
  private readonly killed = new Set<string>();
  private started = 0;

  constructor(
    private readonly machine = "machine-1",
    private readonly boot = "boot-1",
  ) {}

  start(): FakeProcess {
    this.started++;
    return new FakeProcess(this, {
      machine: this.machine,
      boot: this.boot,
      pidNamespace: "pid:[1]",
      pid: 1000 + this.started,
      startTime: String(100 * this.started),
    });
  }

  kill(process: FakeProcess): void {
    this.killed.add(keyOf(process.self));
  }

  isDead(other: ProcessIdentity): boolean {
    return this.killed.has(keyOf(other));
  }
}

const keyOf = ({ machine, boot, pidNamespace, pid, startTime }: ProcessIdentity): string =>
  JSON.stringify([machine, boot, pidNamespace, pid, startTime]);
