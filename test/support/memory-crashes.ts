// A memory on a simulated disk, worked on at random, and what crashes leave of it at each instant: it opens, and is then exactly one of the
// commits from the last that was promised to the last that was attempted.

import assert from "node:assert/strict";
import type { MemoryOrigin } from "../../bindings/api/memory.js";
import { settingsOf } from "../../bindings/api/options.js";
import { Engine } from "../../bindings/engine.js";
import { Memory, PerdureError } from "../../bindings/index.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { CrashProcess } from "./crash-processes.js";
import { type Instant, type Promised, Recorder } from "./crash-recorder.js";
import { fewWindows, openIn } from "./memory-site.js";
import { accountingDifference, assertSame, MemoryState, memoryDifference } from "./memory-state.js";
import { MemoryWorkload } from "./memory-workload.js";
import type { Random } from "./random.js";
import { SimulatedDisk } from "./simulated-disk.js";

const NAME = "state";
const limits = { chainSlots: 80, chainCommits: 5, mapNodes: 8 };

interface Point {
  readonly state: MemoryState;
  readonly snapshots: ReadonlyMap<string, MemoryState>;
}

/** The points that may be found at an instant. */
interface Found extends Promised {
  readonly points: readonly Point[];
}

export interface CrashShape {
  /** Commits and the like, and random operations between two of them. */
  rounds: number;
  steps: number;
  /** One instant in so many is explored. */
  every: number;
  /** States drawn at an instant whose pending sectors are many; up to `exhaustive` of them every subset is. */
  samples: number;
  exhaustive: number;
  /** One state in so many has its opening crashed too. */
  recoveryEvery: number;
}

class Intended extends Error {}

export class MemoryCrashes {
  powerCuts = 0;
  kills = 0;
  insideRecovery = 0;
  readonly found = new Set<Point>();
  private readonly disk = new SimulatedDisk();
  private points: Point[] = [{ state: new MemoryState(), snapshots: new Map() }];
  private acknowledged = 0;
  private durable = 0;
  private created = false;
  private work!: MemoryWorkload;
  private readonly steps: string[] = [];
  private readonly recorder: Recorder<Found>;

  constructor(
    private readonly random: Random,
    private readonly shape: CrashShape,
    private readonly looker: Looker,
  ) {
    this.recorder = new Recorder<Found>(this.disk, () => this.promised(), random, shape.every);
  }

  async run(): Promise<void> {
    const { random, shape } = this;
    this.recorder.watch();
    const options = {
      blocks: 20,
      blockBytes: 30_000,
      writeBytes: 60_000,
      regions: ["a", "b"],
      tables: ["t"],
      rows: 12,
      tablesOneIn: 5,
      views: true,
      tight: true,
    };
    try {
      this.work = new MemoryWorkload(this.open(), random, options);
      for (let round = 0; round < shape.rounds; round++) {
        for (let i = random.below(shape.steps); i > 0; i--) this.work.step();
        await this.round();
        this.explore();
      }
    } catch (error) {
      console.error(`    after ${this.steps.join(", ")}`);
      if (error instanceof PerdureError) assert.fail(`what must succeed has failed: ${error.stack}`);
      throw error;
    }
  }

  private get memory(): Memory {
    return this.work.memory;
  }

  private get now(): Point {
    return this.points[this.acknowledged]!;
  }

  private open(): Memory {
    const memory = openIn(this.disk, NAME, new CrashProcess(), { limits, windowBytes: fewWindows });
    this.created = true;
    // Opening makes durable what it shows.
    this.durable = this.acknowledged;
    return memory;
  }

  private promised(): Found {
    const { durable, acknowledged, created, points } = this;
    return { durable, acknowledged, created, last: points.length - 1, points: points.slice() };
  }

  /** From here on this may be found. */
  private attempt(state = this.work.state, snapshots = this.points.at(-1)!.snapshots): void {
    this.points.push({ state: state.copy(), snapshots });
  }

  private acknowledge(durable: boolean): void {
    this.acknowledged = this.points.length - 1;
    if (durable) this.durable = this.acknowledged;
  }

  private async round(): Promise<void> {
    const { random, work, memory } = this;
    const choice = random.below(20);
    const names = [...this.now.snapshots.keys()];
    if (choice < 8) {
      const durability = random.oneIn(2) ? "flush" : "none";
      this.steps.push(`commit ${durability}`);
      this.attempt();
      memory.commit({ durability });
      this.acknowledge(durability === "flush");
    } else if (choice < 11) {
      this.steps.push("transaction");
      this.transaction();
    } else if (choice < 13) {
      this.steps.push("rollback");
      memory.rollback();
      work.continueWith(this.now.state);
    } else if (choice < 14) {
      this.steps.push("flushed");
      const acknowledged = this.acknowledged;
      await memory.flushed();
      this.durable = acknowledged;
    } else if (choice < 16 && names.length < 3) {
      const name = `s${this.points.length}`;
      this.steps.push(`create ${name}`);
      this.attempt();
      this.attempt(work.state, new Map(this.now.snapshots).set(name, work.state.copy()));
      memory.snapshots.create(name);
      this.acknowledge(true);
    } else if (choice < 17 && names.length > 0) {
      const name = random.pick(names);
      this.steps.push(`restore ${name}`);
      work.closeViews();
      this.attempt(this.now.snapshots.get(name)!);
      memory.snapshots.restore(name);
      this.acknowledge(true);
      work.continueWith(this.now.state);
    } else if (choice < 18 && names.length > 0) {
      const name = random.pick(names);
      this.steps.push(`delete ${name}`);
      const left = new Map(this.now.snapshots);
      left.delete(name);
      this.attempt(this.now.state, left);
      memory.snapshots.delete(name);
      this.acknowledge(true);
    } else if (choice < 19) {
      this.steps.push("close");
      this.attempt();
      memory.close();
      this.acknowledge(true);
      work.continueWith(this.now.state, this.open());
    } else {
      this.steps.push("compact");
      this.attempt();
      await memory.compact();
      this.acknowledge(true);
    }
  }

  private transaction(): void {
    const { random, work, memory } = this;
    const durable = random.oneIn(2);
    // What is pending is committed first.
    this.attempt();
    try {
      memory.transaction(
        () => {
          this.acknowledge(false);
          for (let i = random.below(10); i > 0; i--) work.step();
          if (random.oneIn(3)) throw new Intended();
          this.attempt();
        },
        { durability: durable ? "flush" : "none" },
      );
      this.acknowledge(durable);
    } catch (error) {
      if (!(error instanceof Intended)) throw error;
      work.continueWith(this.now.state);
    }
  }

  /** Opens what crashes leave at the instants that were noted. */
  private explore(): void {
    const { random, shape } = this;
    const { instants, cutWrites } = this.recorder.take();
    for (const { disk, expectation, where } of cutWrites) {
      this.kills++;
      this.examine(disk, expectation, expectation.acknowledged, `a kill before ${where}`);
    }
    for (const { disk, expectation, where } of instants) {
      const options = { random, samples: shape.samples, exhaustiveLimit: shape.exhaustive };
      for (const state of disk.crashStates(options)) {
        this.powerCuts++;
        this.examine(state, expectation, expectation.durable, `a power cut before ${where}`);
      }
      this.kills++;
      this.examine(disk, expectation, expectation.acknowledged, `a kill before ${where}`);
    }
  }

  private examine(left: SimulatedDisk, found: Found, from: number, what: string): void {
    const { random, shape } = this;
    if (!found.created && !left.exists(NAME)) return;
    const recovery = random.oneIn(shape.recoveryEvery) ? left.kill() : null;
    try {
      const point = this.looker.look(left, found, from);
      this.found.add(point);
      if (recovery !== null) this.exploreRecovery(recovery, found);
      if (random.oneIn(16)) this.goOn(left, point);
    } catch (error) {
      console.error(`    after ${what}`);
      throw error;
    }
  }

  /** Crashes the opening of a state, and opens again. */
  private exploreRecovery(left: SimulatedDisk, found: Found): void {
    const { random } = this;
    const recorder = new Recorder<Found>(left, () => found, random, this.shape.every);
    recorder.watch();
    this.looker.open(left);
    recorder.stop();
    const { instants, cutWrites } = recorder.take();
    const again = ({ where }: Instant<Found>, disk: SimulatedDisk) => {
      if (!found.created && !disk.exists(NAME)) return;
      this.insideRecovery++;
      try {
        this.looker.look(disk, found, found.durable);
      } catch (error) {
        console.error(`    and a crash in the opening before ${where}`);
        throw error;
      }
    };
    for (const instant of cutWrites) again(instant, instant.disk);
    for (const instant of instants) {
      for (const disk of instant.disk.crashStates({ random, samples: 2, exhaustiveLimit: 2 }))
        again(instant, disk);
      again(instant, instant.disk);
    }
  }

  /** Work goes on after the crash, as if nothing had been. */
  private goOn(disk: SimulatedDisk, { state }: Point): void {
    const { random, work } = this;
    const memory = openIn(disk, NAME, new CrashProcess(), { limits, windowBytes: fewWindows });
    const further = new MemoryWorkload(memory, random, { ...work.options, views: false });
    further.continueWith(state);
    for (let i = 0; i < 10; i++) further.step();
    memory.commit();
    memory.close();
    const again = openIn(disk, NAME, new CrashProcess(), { limits });
    assertSame(again, further.state, true);
    again.close();
  }
}

/** Opens one state after the other; its engine shows each without being made anew. */
export class Looker {
  private pager!: Pager;
  private readonly engine: Engine;
  private readonly memory: Memory;

  constructor() {
    const settings = settingsOf({ reserve: 0, readOnly: true, windowBytes: fewWindows });
    this.engine = new Engine({ reserveBytes: 0, maxBytes: 0, windowBytes: fewWindows });
    const self = this;
    const source = {
      get sequence() {
        return self.pager.sequence;
      },
      read: (block: number, count: number, into: Uint8Array) => self.pager.read(block, count, into),
      has: (block: number) => self.pager.has(block),
      written: (block: number, count: number) => self.pager.written(block, count),
    };
    const unused = () => assert.fail("nothing was asked for");
    const origin = { path: "", pager: null, reader: null, source, close() {}, locate: unused };
    this.pager = this.open(new SimulatedDisk());
    this.memory = new Memory(this.engine, { ...origin, openSnapshot: unused } as MemoryOrigin, settings);
  }

  open(disk: SimulatedDisk): Pager {
    return openPager(disk, NAME, this.engine.core.hasher, new CrashProcess(), { limits });
  }

  /** The point that a state is; fails when it is none. */
  look(disk: SimulatedDisk, { points, last }: Found, from: number): Point {
    this.pager = this.open(disk);
    this.engine.showAnother();
    const names = this.pager.snapshots.map(({ name }) => name).sort();
    const reasons: string[] = [];
    const { problems } = this.pager.check(true);
    assert.deepEqual(problems, []);
    for (let point = last; point >= from; point--) {
      const { state, snapshots } = points[point]!;
      const listed = [...snapshots.keys()].sort().join();
      const reason =
        listed === names.join()
          ? (memoryDifference(this.memory, state) ?? accountingDifference(this.memory, state))
          : `snapshots ${names}`;
      if (reason !== null) {
        reasons.push(`${point}: ${reason}`);
        continue;
      }
      for (const [name, kept] of snapshots) this.lookAtSnapshot(name, kept);
      return points[point]!;
    }
    return assert.fail(`none of the points from ${from} to ${last}: ${reasons.join("; ")}`);
  }

  private lookAtSnapshot(name: string, state: MemoryState): void {
    const { pager } = this;
    const view = pager.openSnapshot(name);
    this.pager = view as unknown as Pager;
    this.engine.showAnother();
    assert.equal(memoryDifference(this.memory, state), null, `snapshot ${name}`);
    this.pager = pager;
    view.close();
  }
}
