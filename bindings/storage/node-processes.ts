/**
 * Processes as Node (and Bun and Deno, through node: modules) can tell them apart. Everything here errs on one side: a process counts as
 * alive unless it is proven dead, because two owners of one file are worse than one that has to be unlocked by hand.
 *
 * On Linux a process is its boot, pid namespace, pid and start time. Numbers of namespaces are reused, but only when everything in
 * them has ended, so equal numbers still say the truth. Elsewhere (macOS, Windows, BSD) there is only the name of the machine and a pid that
 * does not exist any more; a pid that went to another process counts as its first owner.
 *
 * What is not believed, because each of these has a case where the process lives on:
 *  - another boot, by itself: the owner may sit on another machine, behind NFS, sshfs or a folder shared with a virtual machine;
 *  - a boot id that is not the kernel's: systemd-nspawn and LXC mount one of their own over it;
 *  - the machine-id of a container: it comes with the image;
 *  - a /proc of another pid namespace, where this process has a different pid: its numbers are other processes;
 *  - the state Z of a process with more than one thread: its first thread has ended, another may still be inside a write.
 */
import fs from "node:fs";
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

/** The namespaces of a kernel that are not a container's; these numbers are part of its interface (linux/nsfs.h). */
const INITIAL_PID_NAMESPACE = "pid:[4026531836]";
const INITIAL_TIME_NAMESPACE = "time:[4026531834]";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** What is asked of the system, so that a test can put another one in its place. Null where there is no answer. */
export interface System {
  readonly platform: string;
  readonly pid: number;
  readonly hostname: string;
  /** A small text file. */
  text(path: string): string | null;
  /** Where a symbolic link leads to. */
  link(path: string): string | null;
  /** Number of the device that a file lies on. */
  device(path: string): number | null;
  /** The type of statfs(2). */
  fileSystem(directory: string): number | null;
  /** The whole path, drives of a network resolved to their server. */
  realPath(path: string): string | null;
  /** False only when the system says that there is no process or thread with this pid. */
  exists(pid: number): boolean;
}

export class NodeProcesses implements Processes {
  readonly self: ProcessIdentity;
  /** Whether /proc/<pid> is the process that has this pid here. */
  private readonly ownProc: boolean;

  /** `directory` is where the state file lies: whether another boot proves death depends on its file system. */
  constructor(
    private readonly directory: string,
    private readonly system: System = nodeSystem,
  ) {
    this.ownProc = isOwnProc(system);
    this.self = identify(directory, system, this.ownProc);
  }

  isDead(other: ProcessIdentity): boolean {
    const { self } = this;
    if (self.boot !== null && other.boot !== null && self.boot !== other.boot) {
      const sameMachine = self.machine !== null && self.machine === other.machine;
      return sameMachine || (self.local === true && other.local === true);
    }
    return this.sharesPids(other) && this.hasEnded(other);
  }

  wait(milliseconds: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  }

  /** Whether the other one's pid means here what it means there. */
  private sharesPids(other: ProcessIdentity): boolean {
    const { self, system } = this;
    if (self.boot !== other.boot || self.pidNamespace !== other.pidNamespace) return false;
    if (self.boot !== null) return self.pidNamespace !== null;
    // A Linux that does not tell its boot is a sandbox that may have neighbours with the same pids.
    if (isLinux(system) || self.machine === null || self.machine !== other.machine) return false;
    return !system.realPath(this.directory)?.startsWith("\\\\");
  }

  private hasEnded({ pid, startTime }: ProcessIdentity): boolean {
    const { system } = this;
    if (!system.exists(pid)) return true;
    if (!this.ownProc) return false;
    const stat = statOf(system, `${pid}`);
    // Hidden from us (hidepid), or it has ended since.
    if (stat === null) return !system.exists(pid);
    if (/[ZXx]/.test(stat.state) && stat.threads <= 1) return true;
    return startTime !== null && stat.startTime !== startTime;
  }
}

function identify(directory: string, system: System, ownProc: boolean): ProcessIdentity {
  const boot = system.text(BOOT_ID);
  const namespace = namespaceOf(system);
  const machineId = system.text("/etc/machine-id");
  const identity: ProcessIdentity = {
    machine: isLinux(system) ? null : system.hostname,
    boot,
    pidNamespace: namespace,
    pid: system.pid,
    startTime: ownProc ? (statOf(system, "self")?.startTime ?? null) : null,
  };
  if (boot === null || system.device(BOOT_ID) !== system.device("/proc/self/stat")) return identity;
  // Copies of a virtual machine share its id more often than its name.
  if (machineId && namespace === INITIAL_PID_NAMESPACE) identity.machine = `${machineId} ${system.hostname}`;
  const type = system.fileSystem(directory);
  if (type !== null && LOCAL_FILE_SYSTEMS.has(type)) identity.local = true;
  return identity;
}

const isLinux = ({ platform }: System): boolean => platform === "linux" || platform === "android";

/** Start times are told in the time namespace of the reader, so pids of another one cannot be compared either. */
function namespaceOf(system: System): string | null {
  const pids = system.link("/proc/self/ns/pid");
  const times = system.link("/proc/self/ns/time");
  return pids === null || times === null || times === INITIAL_TIME_NAMESPACE ? pids : `${pids} ${times}`;
}

/** A new pid namespace whose /proc was not mounted anew shows the processes of the outer one; NSpid then has a pid for each. */
function isOwnProc(system: System): boolean {
  if (system.link("/proc/self") !== `${system.pid}`) return false;
  const pids = /^NSpid:(.*)$/m.exec(system.text("/proc/self/status") ?? "");
  return pids === null || pids[1].trim() === `${system.pid}`;
}

/**
 * From proc(5): the third field is the state, the 20th the number of threads, the 22nd the start in ticks since boot; the second
 * may contain anything in parentheses.
 */
function statOf(
  system: System,
  process: string,
): { state: string; threads: number; startTime: string } | null {
  const fields = system
    .text(`/proc/${process}/stat`)
    ?.replace(/^.*\) /s, "")
    .split(" ");
  if (fields === undefined || fields.length < 20) return null;
  return { state: fields[0], threads: Number(fields[17]), startTime: fields[19] };
}

const nodeSystem: System = {
  get platform() {
    return process.platform;
  },
  get pid() {
    return process.pid;
  },
  get hostname() {
    return hostname();
  },
  text: (path) => attempt(() => fs.readFileSync(path, "utf8").trim() || null),
  link: (path) => attempt(() => fs.readlinkSync(path)),
  device: (path) => attempt(() => fs.statSync(path).dev),
  fileSystem: (directory) => attempt(() => Number(fs.statfsSync(directory).type) >>> 0),
  realPath: (path) => attempt(() => fs.realpathSync.native(path)),
  exists(pid) {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== "ESRCH";
    }
  },
};

function attempt<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch {
    return null;
  }
}
