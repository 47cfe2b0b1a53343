// Processes of a simulated machine: each has an identity of its own, and is alive until somebody says otherwise.

import type { ProcessIdentity } from "../../bindings/format/side-files.js";
import type { Processes } from "../../bindings/storage/processes.js";

let lastPid = 0;

export class CrashProcess implements Processes {
  readonly self: ProcessIdentity;

  /** `living` are the processes that this one takes for alive, all others for dead. */
  constructor(private readonly living: ReadonlySet<number> = new Set()) {
    const pid = ++lastPid;
    this.self = { machine: "machine", boot: "boot", pidNamespace: "namespace", pid, startTime: `${pid}` };
  }

  isDead(other: ProcessIdentity): boolean {
    return other.pid !== this.self.pid && !this.living.has(other.pid);
  }

  wait(): void {}
}
