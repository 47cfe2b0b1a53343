// What is done to a pager while it is crashed: operations that keep a history in step, and seeded sequences of them.

import { openPager } from "../../bindings/pager/open.js";
import type { Change, Pager } from "../../bindings/pager/pager.js";
import { Reader } from "../../bindings/pager/reader.js";
import type { Limits } from "../../bindings/pager/writer-state.js";
import { hasher, smallLimits, stateName } from "./crash-explorer.js";
import { fillVersion, History, type Image, versionBytes } from "./crash-oracle.js";
import { CrashProcess } from "./crash-processes.js";
import type { Random } from "./random.js";
import type { SimulatedDisk } from "./simulated-disk.js";

export interface WorkloadOptions {
  limits?: Partial<Limits>;
  /** Low blocks in use. */
  blocks?: number;
  /** Now and then high ones too; their trees are five nodes deep. */
  high?: boolean;
  /** Blocks of the largest commits. */
  largest?: number;
}

/** One writer, and readers beside it, on a simulated disk. */
export class Workload {
  pager: Pager;
  readonly living = new Set<number>();
  readonly spilled = new Map<number, number>();
  private readonly readers: Reader[] = [];
  private process: CrashProcess;
  private readonly limits: Partial<Limits>;
  private readonly lowBlocks: number;
  private readonly high: boolean;
  private readonly largest: number;
  private lastSnapshot = 0;

  constructor(
    readonly disk: SimulatedDisk,
    readonly history: History,
    private readonly random: Random,
    options: WorkloadOptions = {},
  ) {
    this.limits = options.limits ?? smallLimits;
    this.lowBlocks = options.blocks ?? 24;
    this.high = options.high ?? false;
    this.largest = options.largest ?? 40;
    this.process = new CrashProcess(this.living);
    this.pager = this.openPager();
  }

  private openPager(takeover = false): Pager {
    this.process = new CrashProcess(this.living);
    this.living.add(this.process.self.pid);
    return openPager(this.disk, stateName, hasher, this.process, { limits: this.limits, takeover });
  }

  block(): number {
    const { random } = this;
    if (this.high && random.oneIn(12)) return 2 ** 30 + random.below(3) * 256;
    if (this.high && random.oneIn(40)) return 2 ** 40 - 1 - random.below(2);
    return random.below(this.lowBlocks);
  }

  /** Changes of `count` blocks, neighbours together, and the image after them. */
  changes(count: number): { changes: Change[]; image: Image } {
    const { history, random } = this;
    const image = new Map(history.now.image);
    for (const [block, version] of this.spilled) image.set(block, version);
    const blocks = new Set<number>();
    for (let tries = 0; blocks.size < count && tries < count * 3; tries++) blocks.add(this.block());
    const ordered = [...blocks].sort((a, b) => a - b);
    const changes: Change[] = [];
    for (let i = 0; i < ordered.length; ) {
      let end = i + 1;
      while (end < ordered.length && ordered[end] === ordered[end - 1]! + 1 && !random.oneIn(6)) end++;
      const block = ordered[i]!;
      const versions = ordered.slice(i, end).map((each) => {
        const version = history.newVersion();
        image.set(each, version);
        return version;
      });
      changes.push({ block, count: versions.length, bytes: versionBytes(...versions) });
      i = end;
    }
    return { changes, image };
  }

  commit(count: number, durable: boolean): void {
    const { changes, image } = this.changes(count);
    this.commitChanges(changes, image, durable);
  }

  commitChanges(changes: Change[], image: Image, durable: boolean): void {
    this.history.attempt(image);
    this.pager.commit(changes, durable);
    this.history.acknowledge(durable);
    this.spilled.clear();
  }

  /** A commit that discards some blocks and writes others. */
  discard(count: number, durable: boolean): void {
    const image = new Map(this.history.now.image);
    for (const [block, version] of this.spilled) image.set(block, version);
    const present = this.random.shuffle([...image.keys()]).slice(0, count);
    const changes = present.map((block) => ({ block, count: 1, bytes: null }));
    for (const block of present) image.delete(block);
    this.commitChanges(changes, image, durable);
  }

  spill(): void {
    const block = this.block();
    const version = this.history.newVersion();
    const bytes = new Uint8Array(4096);
    fillVersion(bytes, version);
    this.pager.spill(block, bytes);
    this.spilled.set(block, version);
  }

  rollback(): void {
    this.pager.rollback();
    this.spilled.clear();
  }

  flush(): void {
    this.commitSpilled();
    this.pager.flush();
    this.history.flushed();
  }

  checkpoint(): void {
    this.pager.checkpoint();
    this.history.flushed();
  }

  /** What was spilled becomes a commit of its own. */
  commitSpilled(): void {
    if (this.spilled.size === 0) return;
    const image = new Map(this.history.now.image);
    for (const [block, version] of this.spilled) image.set(block, version);
    this.commitChanges([], image, false);
  }

  async flushed(): Promise<void> {
    const issued = this.history.acknowledged;
    await this.pager.flushed();
    this.history.durable = Math.max(this.history.durable, issued);
  }

  createSnapshot(): void {
    const name = `snapshot ${++this.lastSnapshot}`;
    const { now } = this.history;
    this.history.attempt(now.image, new Map(now.snapshots).set(name, now.image));
    this.pager.createSnapshot(name);
    this.history.acknowledge(true);
  }

  deleteSnapshot(): boolean {
    const { now } = this.history;
    if (now.snapshots.size === 0) return false;
    const name = this.random.pick([...now.snapshots.keys()]);
    const snapshots = new Map(now.snapshots);
    snapshots.delete(name);
    this.history.attempt(now.image, snapshots);
    this.pager.deleteSnapshot(name);
    this.history.acknowledge(true);
    return true;
  }

  restoreSnapshot(): boolean {
    const { now } = this.history;
    if (now.snapshots.size === 0) return false;
    const [, image] = this.random.pick([...now.snapshots]);
    const name = [...now.snapshots].find(([, each]) => each === image)![0];
    this.history.attempt(image);
    this.pager.restoreSnapshot(name);
    this.history.acknowledge(true);
    this.spilled.clear();
    return true;
  }

  async compact(): Promise<void> {
    this.rollback();
    await this.pager.compact();
    this.history.flushed();
  }

  reopen(): void {
    this.spilled.clear();
    this.pager.close();
    this.history.flushed();
    this.living.delete(this.process.self.pid);
    this.pager = this.openPager();
  }

  /** Another process takes the file over; the old handle is left as it is. */
  takeover(): Pager {
    const before = this.pager;
    this.pager = this.openPager(true);
    this.history.settle(this.history.acknowledged);
    this.spilled.clear();
    return before;
  }

  /** Readers come, move on and go. */
  read(): void {
    const { random, readers } = this;
    const choice = random.below(3);
    if (choice === 0 && readers.length < 2) {
      const process = new CrashProcess(this.living);
      this.living.add(process.self.pid);
      readers.push(new Reader(this.disk.process("reader"), stateName, hasher, process));
    } else if (choice === 1) readers.at(-1)?.refresh();
    else readers.shift()?.close();
  }

  /** One operation, drawn at random. */
  async step(): Promise<string> {
    const { random, history } = this;
    const durable = random.oneIn(2);
    const choice = random.below(100);
    if (choice < 40) {
      this.commit(1 + random.below(3), durable);
      return "commit";
    }
    if (choice < 48) {
      this.commit(4 + random.below(12), durable);
      return "commit of some";
    }
    if (choice < 51) {
      this.commit(1 + random.below(this.largest), durable);
      return "commit of many";
    }
    if (choice < 56) {
      this.discard(1 + random.below(4), durable);
      return "discard";
    }
    if (choice < 64) {
      for (let i = random.below(4); i >= 0; i--) this.spill();
      if (!random.oneIn(4)) this.commit(1, durable);
      return "spill";
    }
    if (choice < 67) {
      this.rollback();
      return "rollback";
    }
    if (choice < 71) {
      this.flush();
      return "flush";
    }
    if (choice < 76) {
      await this.flushed();
      return "flushed";
    }
    if (choice < 79) {
      this.checkpoint();
      return "checkpoint";
    }
    if (choice < 84) {
      if (history.now.snapshots.size < 3) this.createSnapshot();
      return "create snapshot";
    }
    if (choice < 88) {
      this.deleteSnapshot();
      return "delete snapshot";
    }
    if (choice < 91) {
      this.restoreSnapshot();
      return "restore";
    }
    if (choice < 95) {
      this.read();
      return "reader";
    }
    if (choice < 96) {
      await this.compact();
      return "compact";
    }
    this.reopen();
    return "close and open";
  }
}
