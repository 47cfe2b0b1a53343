// What is done to a pager while it is crashed: operations that keep a history in step, and seeded sequences of them.

import assert from "node:assert/strict";
import { PerdureError } from "../../bindings/base/errors.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Change, Pager } from "../../bindings/pager/pager.js";
import { Reader } from "../../bindings/pager/reader.js";
import type { Limits } from "../../bindings/pager/writer-state.js";
import { hasher, smallLimits, stateName } from "./crash-explorer.js";
import { equalImages, type History, type Image, versionBytes } from "./crash-oracle.js";
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

/** A reader, and what it saw when it looked. */
interface Onlooker {
  reader: Reader;
  process: CrashProcess;
  image: Image;
}

const mostSnapshots = 3;
const mostReaders = 2;

/** One writer, and readers beside it, on a simulated disk. */
export class Workload {
  /** Null before it is opened and after it was dropped. */
  handle: Pager | null = null;
  /** What the writer spilled and has not committed. */
  readonly spilled = new Map<number, number>();
  private readonly living = new Set<number>();
  private process = new CrashProcess(this.living);
  private onlookers: Onlooker[] = [];
  private readonly options: Required<WorkloadOptions>;

  constructor(
    readonly disk: SimulatedDisk,
    readonly history: History,
    private readonly random: Random,
    options: WorkloadOptions = {},
  ) {
    this.options = { limits: smallLimits, blocks: 24, high: false, largest: 40, ...options };
  }

  get pager(): Pager {
    assert.ok(this.handle, "there is no open handle");
    return this.handle;
  }

  /** Opens the file, or creates it; a takeover leaves the handle before alone. */
  open(takeover = false): Pager {
    this.spilled.clear();
    const process = new CrashProcess(this.living);
    const { limits } = this.options;
    this.handle = openPager(this.disk, stateName, hasher, process, { limits, takeover });
    this.process = process;
    this.living.add(process.self.pid);
    this.history.created = true;
    return this.handle;
  }

  /** Forgets the handle, as if its process were dead. */
  drop(): void {
    this.living.delete(this.process.self.pid);
    this.handle = null;
  }

  close(): void {
    const { pager } = this;
    try {
      pager.close();
      this.history.flushed();
    } finally {
      this.drop();
    }
  }

  commit(count: number, durable: boolean): void {
    const image = this.imageNow();
    const blocks = new Set<number>();
    for (let tries = 0; blocks.size < count && tries < count * 3; tries++) blocks.add(this.block());
    const ordered = [...blocks].sort((a, b) => a - b);
    const changes: Change[] = [];
    for (let i = 0; i < ordered.length; ) {
      let end = i + 1;
      while (end < ordered.length && ordered[end] === ordered[end - 1]! + 1 && !this.random.oneIn(6)) end++;
      const versions = ordered.slice(i, end).map((block) => this.newVersion(image, block));
      changes.push({ block: ordered[i]!, count: versions.length, bytes: versionBytes(...versions) });
      i = end;
    }
    this.commitChanges(changes, image, durable);
  }

  /** Discards some blocks and writes one. */
  discard(count: number, durable: boolean): void {
    const image = this.imageNow();
    const gone = this.random.shuffle([...image.keys()]).slice(0, count);
    const changes: Change[] = gone.map((block) => ({ block, count: 1, bytes: null }));
    for (const block of gone) image.delete(block);
    const block = this.block();
    if (this.random.oneIn(2) && !gone.includes(block)) {
      changes.push({ block, count: 1, bytes: versionBytes(this.newVersion(image, block)) });
    }
    this.commitChanges(changes, image, durable);
  }

  commitChanges(changes: Change[], image: Image, durable: boolean): void {
    this.history.attempt(image);
    this.pager.commit(changes, durable);
    this.history.acknowledge(durable, this.pager.sequence);
    this.spilled.clear();
  }

  spill(block = this.block()): void {
    const version = this.history.newVersion();
    this.pager.spill(block, versionBytes(version));
    this.spilled.set(block, version);
  }

  rollback(): void {
    this.pager.rollback();
    this.spilled.clear();
  }

  flush(): void {
    this.pager.flush();
    this.history.flushed();
  }

  /** A flush beside the thread, with commits while it is under way. */
  async flushed(commitsMeanwhile: number): Promise<void> {
    const issued = this.history.acknowledged;
    const done = this.pager.flushed();
    try {
      for (let i = 0; i < commitsMeanwhile; i++) this.commit(1, false);
    } finally {
      await done;
      this.history.durable = Math.max(this.history.durable, issued);
    }
  }

  checkpoint(): void {
    this.pager.checkpoint();
    this.history.flushed();
  }

  createSnapshot(): void {
    const name = `snapshot ${this.history.newVersion()}`;
    const { now } = this.history;
    this.history.attempt(now.image, new Map(now.snapshots).set(name, now.image));
    this.pager.createSnapshot(name);
    this.history.acknowledge(true, this.pager.sequence);
  }

  deleteSnapshot(): void {
    const { now } = this.history;
    const name = this.random.pick([...now.snapshots.keys()]);
    const snapshots = new Map(now.snapshots);
    snapshots.delete(name);
    this.history.attempt(now.image, snapshots);
    this.pager.deleteSnapshot(name);
    this.history.acknowledge(true, this.pager.sequence);
  }

  restoreSnapshot(): void {
    const [name, image] = this.random.pick([...this.history.now.snapshots]);
    this.spilled.clear();
    this.history.attempt(image);
    this.pager.restoreSnapshot(name);
    this.history.acknowledge(true, this.pager.sequence);
  }

  async compact(): Promise<void> {
    this.rollback();
    await this.pager.compact();
    this.history.flushed();
  }

  /** Another process takes the file over. The one before goes on, and is told so with its next commit. */
  takeover(): void {
    const before = this.pager;
    const { pid } = this.process.self;
    this.open(true);
    this.history.flushed();
    try {
      before.commit([{ block: 0, count: 1, bytes: versionBytes(1) }], this.random.oneIn(2));
      assert.fail("a fenced handle has committed");
    } catch (error) {
      // Or the device fails just then, which is the caller's to judge.
      if (!(error instanceof PerdureError && error.code === "FENCED")) throw error;
    } finally {
      before.close();
      this.living.delete(pid);
    }
  }

  /** A copy, which must hold the same. */
  async backup(): Promise<void> {
    const name = `copy ${this.history.newVersion()}`;
    const expectation = this.history.expectation();
    await this.pager.backup(this.disk, name);
    const copy = openPager(this.disk.kill(), name, hasher, new CrashProcess(), { create: false });
    assert.equal(expectation.find(copy, expectation.acknowledged), expectation.acknowledged);
    this.disk.remove(name);
  }

  /** Readers come, move on and go, and see what they saw. */
  read(): void {
    const { random, onlookers } = this;
    const expectation = this.history.expectation();
    for (const { reader, image } of onlookers) {
      assert.ok(
        equalImages(image, expectation.readImage(reader, "reader: ")),
        "a reader sees something else now",
      );
    }
    const choice = random.below(3);
    if (choice === 0 && onlookers.length < mostReaders) {
      const process = new CrashProcess(this.living);
      this.living.add(process.self.pid);
      const reader = new Reader(this.disk.process("reader"), stateName, hasher, process);
      onlookers.push({ reader, process, image: new Map() });
    } else if (choice === 1) onlookers.at(-1)?.reader.refresh();
    else {
      onlookers.shift()?.reader.close();
      return;
    }
    const last = onlookers.at(-1);
    if (last === undefined) return;
    last.image = expectation.readImage(last.reader, "reader: ");
    assert.ok(equalImages(this.history.now.image, last.image), "a reader does not see the last commit");
  }

  /** All readers die. */
  dropReaders(): void {
    for (const { process } of this.onlookers) this.living.delete(process.self.pid);
    this.onlookers = [];
  }

  /** One operation, drawn at random. `name` is told which before it begins. */
  async step(name: (operation: string) => void = () => {}): Promise<void> {
    const { random, history } = this;
    const durable = random.oneIn(2);
    const snapshots = history.now.snapshots.size;
    const small = 1 + random.below(4);
    const steps: [weight: number, operation: string, run: () => void | Promise<void>][] = [
      [36, "commit", () => this.commit(small, durable)],
      [9, "commit of some", () => this.commit(4 + random.below(12), durable)],
      [3, "commit of many", () => this.commit(1 + random.below(this.options.largest), durable)],
      [5, "discard", () => this.discard(small, durable)],
      [
        8,
        "spill",
        () => {
          for (let i = 0; i < small; i++) this.spill();
          if (!random.oneIn(4)) this.commit(1, durable);
        },
      ],
      [3, "rollback", () => this.rollback()],
      [4, "flush", () => this.flush()],
      [5, "flushed", () => this.flushed(random.below(3))],
      [3, "checkpoint", () => this.checkpoint()],
      [snapshots < mostSnapshots ? 5 : 0, "create snapshot", () => this.createSnapshot()],
      [snapshots > 0 ? 4 : 0, "delete snapshot", () => this.deleteSnapshot()],
      [snapshots > 0 ? 3 : 0, "restore", () => this.restoreSnapshot()],
      [5, "reader", () => this.read()],
      [1, "compact", () => this.compact()],
      [1, "backup", () => this.backup()],
      [1, "takeover", () => this.takeover()],
      [
        5,
        "close and open",
        () => {
          this.close();
          this.open();
        },
      ],
    ];
    let left = random.below(steps.reduce((sum, [weight]) => sum + weight, 0));
    const [, operation, run] = steps.find(([weight]) => {
      left -= weight;
      return left < 0;
    })!;
    name(operation);
    await run();
  }

  private imageNow(): Map<number, number> {
    const image = new Map(this.history.now.image);
    for (const [block, version] of this.spilled) image.set(block, version);
    return image;
  }

  private newVersion(image: Map<number, number>, block: number): number {
    const version = this.history.newVersion();
    image.set(block, version);
    return version;
  }

  private block(): number {
    const { random } = this;
    const { high, blocks } = this.options;
    if (high && random.oneIn(12)) return 2 ** 30 + random.below(3) * 256;
    if (high && random.oneIn(40)) return 2 ** 40 - 1 - random.below(2);
    return random.below(blocks);
  }
}
