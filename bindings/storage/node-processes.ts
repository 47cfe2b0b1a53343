/**
 * Processes as Node (and Bun and Deno, through node: modules) can tell them apart. On Linux a process is its boot, pid namespace, pid and start
 * time; elsewhere only a pid that does not exist any more proves anything.
 */
import { readFileSync, readlinkSync, statfsSync } from "node:fs";
import { hostname } from "node:os";
import type { ProcessIdentity } from "../format/side-files.js";
import type { Processes } from "./processes.js";

/**
 * File systems that only one machine can have mounted, by the numbers of statfs(2): ext, xfs, btrfs, f2fs, tmpfs, overlay, zfs, bcachefs,
 * reiserfs, jfs, ntfs3, exfat, vfat.
 */
const LOCAL_FILE_SYSTEMS = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xca451a4e, 0x52654973,
  0x3153464a, 0x7366746e, 0x2011bab0, 0x4d44,
]);

export class NodeProcesses implements Processes {
  readonly self: ProcessIdentity;

  /** `directory` is where the state file lies: whether another boot proves death depends on its file system. */
  constructor(private readonly directory: string) {
    this.self = identity;
  }

  isDead(other: ProcessIdentity): boolean {
    const { self } = this;
    const sameMachine = other.machine !== null && other.machine === self.machine;
    if (other.boot !== null && self.boot !== null && other.boot !== self.boot) {
      return sameMachine || this.isLocal();
    }
    const comparable = self.boot !== null ? other.boot === self.boot : sameMachine && other.boot === null;
    if (!comparable || other.pidNamespace !== self.pidNamespace) return false;
    return !exists(other.pid) || hasOtherStart(other);
  }

  wait(milliseconds: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  }

  private isLocal(): boolean {
    try {
      return LOCAL_FILE_SYSTEMS.has(Number(statfsSync(this.directory).type) >>> 0);
    } catch {
      return false;
    }
  }
}

const identity: ProcessIdentity = Object.freeze({
  machine: textOf("/etc/machine-id") ?? (textOf("/proc/sys/kernel/random/boot_id") ? null : hostname()),
  boot: textOf("/proc/sys/kernel/random/boot_id"),
  pidNamespace: namespaceOf(),
  pid: process.pid,
  startTime: statOf(process.pid)?.startTime ?? null,
});

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim() || null;
  } catch {
    return null;
  }
}

function namespaceOf(): string | null {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return null;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** True when the pid belongs to a later process, or to one that has ended and only waits for its parent to notice. */
function hasOtherStart({ pid, startTime }: ProcessIdentity): boolean {
  const stat = statOf(pid);
  if (stat === null) return false;
  if (stat.state === "Z" || stat.state === "X") return true;
  return startTime !== null && stat.startTime !== startTime;
}

/** From proc(5): the third field is the state, the 22nd the start in ticks since boot; the second may contain anything in parentheses. */
function statOf(pid: number): { state: string; startTime: string } | null {
  const fields = textOf(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, "")
    .split(" ");
  return fields && fields.length > 19 ? { state: fields[0], startTime: fields[19] } : null;
}
