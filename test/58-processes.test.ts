import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ProcessIdentity } from "../bindings/format/side-files.js";
import { NodeProcesses, type System } from "../bindings/storage/node-processes.js";
import { Child, untilState } from "./support/child-run.js";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

const INITIAL = "pid:[4026531836]";
const CONTAINER = "pid:[4026532500]";

interface FakeProcess {
  state?: string;
  threads?: number;
  start: number;
  /** As hidepid does it: the process exists, but its directory is closed. */
  hidden?: boolean;
}

/** A Linux machine with its processes, seen by the one with `pid`. */
class FakeSystem implements System {
  platform = "linux";
  hostname = "alpha";
  machineId: string | null = "m-alpha";
  boot: string | null = "boot-1";
  bootDevice = 21;
  pidNamespace: string | null = INITIAL;
  timeNamespace: string | null = "time:[4026531834]";
  /** What /proc/self leads to, and the pids that status shows: more than one in a /proc of an outer namespace. */
  procPid: number;
  nestedPids: number[];
  fileSystemType: number | null = 0xef53;
  path = "/data";
  readonly processes = new Map<number, FakeProcess>();

  constructor(readonly pid: number) {
    this.procPid = pid;
    this.nestedPids = [pid];
    this.processes.set(pid, { start: 1000 });
  }

  text(path: string): string | null {
    if (path === "/etc/machine-id") return this.machineId;
    if (path === "/proc/sys/kernel/random/boot_id") return this.boot;
    const [, process, file] = /^\/proc\/(self|\d+)\/(stat|status)$/.exec(path) ?? [];
    const pid = process === "self" ? this.procPid : Number(process);
    const found = this.processes.get(pid);
    if (found === undefined || found.hidden || this.platform !== "linux") return null;
    if (file === "status") return `Name:\tnode\nNSpid:\t${this.nestedPids.join("\t")}\nVmRSS:\t1 kB`;
    const { state = "S", threads = 11, start } = found;
    return `${pid} (no) (de) ${state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 ${threads} 0 ${start} 0 0`;
  }

  link(path: string): string | null {
    if (path === "/proc/self") return this.platform === "linux" ? String(this.procPid) : null;
    if (path === "/proc/self/ns/pid") return this.pidNamespace;
    return path === "/proc/self/ns/time" ? this.timeNamespace : null;
  }

  device(path: string): number {
    return path.endsWith("boot_id") ? this.bootDevice : 21;
  }

  fileSystem(): number | null {
    return this.fileSystemType;
  }

  realPath(): string {
    return this.path;
  }

  exists(pid: number): boolean {
    return this.processes.has(pid);
  }
}

type Change = Partial<FakeSystem>;

/** The record of process 500, started at 2000, on a machine that differs from the usual one by `change`. */
function recordOf(change: Change = {}): ProcessIdentity {
  const system = Object.assign(new FakeSystem(500), change);
  system.processes.set(system.procPid, { start: 2000 });
  return new NodeProcesses("/data", system).self;
}

/** Whether process 7 takes it for dead; `owner` is what it sees under pid 500. */
function judge(record: ProcessIdentity, owner: FakeProcess | null, change: Change = {}): boolean {
  const system = Object.assign(new FakeSystem(7), change);
  if (owner) system.processes.set(500, owner);
  return new NodeProcesses("/data", system).isDead(record);
}

const other: Change = { boot: "boot-2", hostname: "beta", machineId: "m-beta" };
const nfs: Change = { fileSystemType: 0x6969 };
const container: Change = { pidNamespace: CONTAINER };

describe("processes: what proves death", () => {
  it("the same boot and namespace: no such pid, another start, or ended and not yet noticed", () => {
    const record = recordOf();
    assert.equal(record.startTime, "2000");
    assert.equal(judge(record, { start: 2000 }), false);
    assert.equal(judge(record, { start: 2000, state: "T" }), false);
    assert.equal(judge(record, { start: 2000, state: "D" }), false);
    assert.equal(judge(record, null), true);
    assert.equal(judge(record, { start: 2001 }), true);
    for (const state of ["Z", "X", "x"]) {
      assert.equal(judge(record, { start: 2000, state, threads: 1 }), true);
      assert.equal(judge(record, { start: 2000, state, threads: 0 }), true);
    }
    assert.equal(judge(record, null, nfs), true);
    assert.equal(judge(recordOf(nfs), null), true);
  });

  it("a first thread that has ended proves nothing while others run", () => {
    assert.equal(judge(recordOf(), { start: 2000, state: "Z", threads: 2 }), false);
  });

  it("a process that is hidden from us counts as alive", () => {
    assert.equal(judge(recordOf(), { start: 2000, hidden: true }), false);
    assert.equal(judge(recordOf(), { start: 2001, hidden: true }), false);
  });

  it("our own pid with another start was somebody else", () => {
    const record = { ...recordOf(), pid: 7 };
    assert.equal(judge(record, null), true);
    assert.equal(judge({ ...record, startTime: "1000" }, null), false);
    assert.equal(judge({ ...record, startTime: null }, null), false);
  });

  it("another pid namespace, time namespace or none at all proves nothing", () => {
    assert.equal(judge(recordOf(container), null), false);
    assert.equal(judge(recordOf(), null, container), false);
    assert.equal(judge(recordOf({ pidNamespace: null }), null, { pidNamespace: null }), false);
    assert.equal(judge(recordOf({ timeNamespace: "time:[9]" }), { start: 1900 }), false);
    assert.equal(judge(recordOf({ timeNamespace: null }), null, { timeNamespace: null }), true);
    assert.equal(judge(recordOf(container), null, container), true);
  });

  it("a /proc of an outer namespace is not asked, only kill(2)", () => {
    const outer: Change = { ...container, procPid: 4242, nestedPids: [4242, 500] };
    const record = recordOf(outer);
    assert.equal(record.startTime, null);
    const reader: Change = { ...container, procPid: 4243, nestedPids: [4243, 7] };
    assert.equal(judge(record, { start: 5, state: "Z", threads: 1 }, reader), false);
    assert.equal(judge({ ...record, startTime: "6" }, { start: 5 }, reader), false);
    assert.equal(judge(record, null, reader), true);
    // By chance the two pids are equal.
    assert.equal(recordOf({ ...container, nestedPids: [500, 500] }).startTime, null);
  });

  it("another boot: only when both see a local file system and the kernel's own boot id", () => {
    assert.equal(judge(recordOf(other), { start: 2000 }), true);
    assert.equal(judge(recordOf(other), null), true);
    assert.equal(judge(recordOf({ ...other, ...nfs }), null), false, "we are the server of its NFS");
    assert.equal(judge(recordOf(other), null, nfs), false, "it is the server of ours");
    assert.equal(judge(recordOf({ ...other, fileSystemType: null }), null), false);
    assert.equal(judge(recordOf({ ...other, bootDevice: 40 }), null), false, "its boot id is mounted over");
    assert.equal(judge(recordOf(other), null, { bootDevice: 40 }), false, "ours is");
    assert.equal(judge(recordOf({ ...other, ...container }), null, container), true);
  });

  it("another boot of the same machine, which a container does not know", () => {
    const reboot: Change = { ...nfs, boot: "boot-2" };
    assert.equal(judge(recordOf(reboot), null, nfs), true);
    assert.equal(judge(recordOf({ ...reboot, hostname: "beta" }), null, nfs), false, "a copied machine-id");
    assert.equal(judge(recordOf({ ...reboot, ...container }), null, { ...nfs, ...container }), false);
    assert.equal(judge(recordOf({ ...reboot, machineId: null }), null, { ...nfs, machineId: null }), false);
  });

  it("a Linux that does not tell its boot proves nothing", () => {
    const silent: Change = { boot: null };
    assert.equal(judge(recordOf(silent), null, silent), false);
    assert.equal(judge(recordOf(silent), null), false);
    assert.equal(judge(recordOf(), null, silent), false);
  });

  it("elsewhere: no such pid on a machine of the same name", () => {
    const mac: Change = {
      platform: "darwin",
      boot: null,
      machineId: null,
      pidNamespace: null,
      timeNamespace: null,
    };
    assert.deepEqual(recordOf(mac), {
      machine: "alpha",
      boot: null,
      pidNamespace: null,
      pid: 500,
      startTime: null,
    });
    assert.equal(judge(recordOf(mac), { start: 1 }, mac), false);
    assert.equal(judge(recordOf(mac), null, mac), true);
    assert.equal(judge(recordOf({ ...mac, hostname: "beta" }), null, mac), false);
    assert.equal(judge(recordOf(), null, mac), false, "a Linux machine of the same name");
    assert.equal(judge(recordOf(mac), null), false);
    const share: Change = { ...mac, platform: "win32", path: "\\\\server\\share\\data" };
    assert.equal(judge(recordOf(share), null, share), false, "a drive of the network");
    assert.equal(judge(recordOf(share), null, { ...share, path: "C:\\data" }), true);
  });
});

describe("processes: real ones", function () {
  this.timeout(60_000);
  const linux = process.platform === "linux";
  const onLinux = linux ? it : it.skip;
  const namespaces = linux && spawnSync("unshare", ["--pid", "--mount", "--fork", "true"]).status === 0;
  const withNamespaces = namespaces ? it : it.skip;
  let directory: TemporaryDirectory;
  let here: NodeProcesses;

  before(() => {
    directory = temporaryDirectory();
    here = new NodeProcesses(directory.path);
  });

  after(() => directory.remove());

  async function start(mode: string, under: readonly string[] = []) {
    const child = new Child("identity", [directory.path, mode], { under });
    const identity: ProcessIdentity = JSON.parse((await child.line()) ?? "null");
    const judges = async (record: ProcessIdentity) => {
      child.send(JSON.stringify(record));
      return (await child.line()) === "true";
    };
    return { child, identity, judges };
  }

  it("this one is alive, and its worker threads are the same process", async () => {
    assert.equal(here.self.pid, process.pid);
    assert.equal(here.isDead(here.self), false);
    const module = new URL("../bindings/storage/node-processes.js", import.meta.url).href;
    const code = `import("${module}").then(({ NodeProcesses }) =>
      require("node:worker_threads").parentPort.postMessage(new NodeProcesses(${JSON.stringify(directory.path)}).self))`;
    const worker = new Worker(code, { eval: true });
    const [identity] = await once(worker, "message");
    assert.deepEqual(identity, here.self);
    await worker.terminate();
  });

  it("a child is alive until it is killed, and dead as soon as it is gone", async () => {
    const { child, identity, judges } = await start("");
    assert.equal(identity.pid, child.pid);
    assert.deepEqual({ ...identity, pid: 0, startTime: "" }, { ...here.self, pid: 0, startTime: "" });
    assert.equal(here.isDead(identity), false);
    assert.equal(await judges(here.self), false);
    if (linux) {
      child.kill("SIGSTOP");
      await untilState(child.pid, "T");
      assert.equal(here.isDead(identity), false, "stopped");
      child.kill("SIGCONT");
    }
    assert.equal(await judges(identity), false);
    await child.killed();
    assert.equal(here.isDead(identity), true);
  });

  onLinux("a pid that was given away again is not its first owner", () => {
    assert.notEqual(here.self.startTime, null);
    assert.equal(here.isDead({ ...here.self, startTime: `${here.self.startTime}0` }), true);
  });

  onLinux("a killed process that its parent has not noticed is dead", async () => {
    const { child } = await start("nested");
    const nested: ProcessIdentity = JSON.parse((await child.line()) ?? "null");
    await child.stopped();
    assert.equal(here.isDead(nested), false);
    process.kill(nested.pid, "SIGKILL");
    await untilState(nested.pid, "Z");
    while (!here.isDead(nested)) await untilState(nested.pid, "Z");
    process.kill(nested.pid, 0);
    child.kill("SIGCONT");
    await child.killed();
    assert.equal(here.isDead(nested), true);
  });

  withNamespaces("a container and its host know nothing of each other", async () => {
    const { child, identity, judges } = await start("", [
      "unshare",
      "--pid",
      "--mount-proc",
      "--fork",
      "--kill-child",
    ]);
    assert.equal(identity.pid, 1);
    assert.notEqual(identity.startTime, null);
    assert.equal(identity.machine, null);
    assert.equal(here.isDead(identity), false);
    assert.equal(await judges(identity), false);
    assert.equal(await judges(here.self), false);
    assert.equal(await judges({ ...identity, startTime: "1" }), true);
    assert.equal(await judges({ ...identity, pid: 4_000_000 }), true);
    await child.killed();
    assert.equal(here.isDead(identity), false);
  });

  withNamespaces("a namespace with the /proc of its host", async () => {
    const { child, identity, judges } = await start("", ["unshare", "--pid", "--fork", "--kill-child"]);
    assert.equal(identity.pid, 1);
    assert.equal(identity.startTime, null);
    assert.equal(await judges(identity), false);
    assert.equal(await judges({ ...identity, startTime: "1" }), false);
    assert.equal(await judges({ ...identity, pid: 4_000_000 }), true);
    await child.killed();
  });

  withNamespaces("a boot id that was mounted over", async () => {
    const script = `mount -t tmpfs none /mnt && cp /proc/sys/kernel/random/uuid /mnt/boot &&
      mount --bind /mnt/boot /proc/sys/kernel/random/boot_id && exec "$@"`;
    const { child, identity, judges } = await start("", ["unshare", "--mount", "sh", "-c", script, "sh"]);
    assert.notEqual(identity.boot, here.self.boot);
    assert.equal(identity.local, undefined);
    assert.equal(identity.machine, null);
    assert.equal(here.isDead(identity), false);
    assert.equal(await judges(here.self), false);
    assert.equal(await judges(identity), false);
    await child.killed();
  });
});
