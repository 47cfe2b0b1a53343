// A memory in a place in main memory, worked on at random, and everything that can be done to it as a whole: commits, rollbacks, transactions,
// snapshots, readers, copies, closing and killing. After each batch it is compared with its model.

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { type Memory, PerdureError } from "../../bindings/index.js";
import { MemoryPlace } from "../../bindings/storage/memory.js";
import { expectCode } from "./expect-code.js";
import { FakeMachine, type FakeProcess } from "./fake-processes.js";
import { fewWindows, openIn, smallLimits } from "./memory-site.js";
import { assertSame, assertSound, MemoryState, memoryDifference } from "./memory-state.js";
import { MemoryWorkload } from "./memory-workload.js";
import type { Random } from "./random.js";
import { assertReadyBlocks } from "./ready-blocks.js";

export interface Shape {
  fewWindows?: boolean;
  /** No memory in reserve. */
  tight?: boolean;
  autoCommit?: boolean;
  checks?: boolean;
  /** Only tables are worked on. */
  tables?: boolean;
}

const NAME = "state";

class Intended extends Error {}

export class MemoryCampaign {
  commits = 0;
  rollbacks = 0;
  openings = 0;
  private readonly place = new MemoryPlace();
  private readonly machine = new FakeMachine();
  private process!: FakeProcess;
  private committed = new MemoryState();
  private readonly snapshots = new Map<string, MemoryState>();
  private readonly readers: { memory: Memory; state: MemoryState }[] = [];
  private auditor: Memory | null = null;
  private readonly opened: { name: string; memory: Memory; state: MemoryState }[] = [];
  private readonly work: MemoryWorkload;
  private readonly steps: string[] = [];

  constructor(
    private readonly random: Random,
    private readonly shape: Shape,
  ) {
    const options = {
      blocks: 60,
      blockBytes: 200_000,
      writeBytes: 120_000,
      regions: ["a", "b", "c"],
      tables: ["t", "u"],
      rows: 40,
      tablesOneIn: shape.tables === true ? 1 : 6,
      views: true,
      tight: shape.tight === true,
    };
    this.work = new MemoryWorkload(this.open(), random, options);
  }

  async run(batches: number): Promise<void> {
    try {
      for (let i = 0; i < batches; i++) await this.batch();
    } catch (error) {
      console.error(`    after ${this.steps.slice(-12).join(", ")}`);
      if (error instanceof PerdureError) assert.fail(`what must succeed has failed: ${error.stack}`);
      throw error;
    }
  }

  close(): void {
    for (const { memory } of [...this.readers, ...this.opened]) memory.close();
    this.auditor?.close();
    this.memory.close();
  }

  private get memory(): Memory {
    return this.work.memory;
  }

  private open(readOnly = false): Memory {
    this.openings++;
    const { tight, fewWindows: few, autoCommit = false, checks = false } = this.shape;
    this.process = readOnly ? this.process : this.machine.start();
    return openIn(this.place, NAME, readOnly ? this.machine.start() : this.process, {
      readOnly,
      autoCommit,
      checks,
      limits: smallLimits,
      ...(few ? { windowBytes: fewWindows } : {}),
      reserve: tight ? 0 : 2 ** 24,
    });
  }

  private async batch(): Promise<void> {
    const { random, work } = this;
    const choice = random.below(100);
    if (choice < 30) this.note("steps", () => this.manySteps());
    else if (choice < 45) this.note("commit", () => this.commit());
    else if (choice < 55) this.note("rollback", () => this.rollback());
    else if (choice < 65) this.note("transaction", () => this.transaction());
    else if (choice < 73) this.note("snapshot", () => this.changeSnapshots());
    else if (choice < 79) this.note("reader", () => this.useReaders());
    else if (choice < 83) await this.note("copy", () => this.copy());
    else if (choice < 87) this.note("close", () => this.reopen(true));
    else if (choice < 90) this.note("kill", () => this.reopen(false));
    else this.note("snapshot views", () => this.useSnapshots());
    if (this.shape.autoCommit) {
      await this.note("turn", async () => {
        if (random.oneIn(3)) {
          const hold = this.memory.hold();
          // Not the sequence: what is spilled may need a checkpoint, which takes one.
          const commits = this.memory.stats().work?.commits;
          this.manySteps();
          await turn();
          await turn();
          assert.equal(this.memory.stats().work?.commits, commits);
          hold[Symbol.dispose]();
        }
        await turn();
        await turn();
        this.hasCommitted();
      });
    }
    assert.equal(this.memory.sequence, this.memory.refresh());
    assertSame(this.memory, work.state, random.oneIn(10));
    work.verifyViews();
    assertReadyBlocks(this.memory);
  }

  private note<T>(what: string, body: () => T): T {
    this.steps.push(what);
    return body();
  }

  private manySteps(): void {
    for (let i = this.random.below(25); i > 0; i--) {
      this.work.step();
      assertReadyBlocks(this.memory);
    }
  }

  /** What is there now was committed by something that commits first. */
  private hasCommitted(): void {
    this.committed = this.work.state.copy();
  }

  private commit(): void {
    this.manySteps();
    const durability = this.random.pick(["flush", "none", undefined] as const);
    const before = this.memory.sequence;
    const sequence = this.memory.commit(durability === undefined ? undefined : { durability });
    assert.ok(sequence >= before && sequence === this.memory.sequence);
    this.commits++;
    this.hasCommitted();
    this.audit();
  }

  /** The file has all of the commit, whatever the writer's memory shows. */
  private audit(): void {
    this.auditor ??= this.open(true);
    assert.equal(this.auditor.refresh(), this.memory.sequence);
    assert.equal(memoryDifference(this.auditor, this.committed), null, "in the file");
  }

  private rollback(): void {
    this.manySteps();
    this.memory.rollback();
    this.rollbacks++;
    this.work.continueWith(this.committed);
  }

  private transaction(): void {
    const { random, work, memory } = this;
    this.manySteps();
    const ends = random.below(4);
    const body = (depth: number): number => {
      this.manySteps();
      expectCode("BUSY", () => memory.commit());
      if (depth < 3 && random.oneIn(2)) {
        try {
          memory.transaction(() => body(depth + 1));
        } catch (error) {
          // What an inner transaction did before it threw stays: it has joined the outer one.
          if (!(error instanceof Intended) || random.oneIn(2)) throw error;
        }
        this.manySteps();
      }
      if (depth > 0 ? random.oneIn(3) : ends === 0) throw new Intended();
      return 7;
    };
    let isCommitted = false;
    const before = work.state.copy();
    try {
      const durability = random.oneIn(2) ? "flush" : "none";
      assert.equal(
        memory.transaction(() => body(0), { durability }),
        7,
      );
      isCommitted = true;
    } catch (error) {
      if (!(error instanceof Intended)) throw error;
    }
    // What was pending before is committed in any case.
    this.committed = before;
    if (isCommitted) this.hasCommitted();
    else work.continueWith(before);
    this.audit();
  }

  private changeSnapshots(): void {
    const { random, memory, work, snapshots } = this;
    this.manySteps();
    const names = [...snapshots.keys()];
    const name = names.length === 0 ? "" : random.pick(names);
    const choice = random.below(3);
    if (choice === 0 || names.length === 0) {
      const made = `s${random.below(1000)}`;
      if (snapshots.has(made)) return;
      memory.snapshots.create(made);
      this.hasCommitted();
      snapshots.set(made, this.committed);
    } else if (choice === 1) {
      // A snapshot may need more memory than there is, and it cannot grow under a view.
      if (this.shape.tight) work.closeViews();
      memory.snapshots.restore(name);
      work.continueWith(snapshots.get(name)!);
      this.hasCommitted();
    } else if (this.opened.some((each) => each.name === name)) {
      expectCode("LOCKED", () => memory.snapshots.delete(name));
    } else {
      memory.snapshots.delete(name);
      snapshots.delete(name);
    }
    const listed = memory.snapshots.list().map((each) => each.name);
    assert.deepEqual(listed, [...snapshots.keys()].sort());
  }

  private useSnapshots(): void {
    const { random, opened, snapshots } = this;
    if (opened.length > 2) opened.shift()!.memory.close();
    if (snapshots.size > 0) {
      const name = random.pick([...snapshots.keys()]);
      opened.push({ name, memory: this.memory.snapshots.open(name), state: snapshots.get(name)! });
    }
    for (const { memory, state } of opened) assertSame(memory, state);
  }

  private useReaders(): void {
    const { random, readers, work } = this;
    if (readers.length > 2) readers.shift()!.memory.close();
    if (readers.length === 0 || random.oneIn(3))
      readers.push({ memory: this.open(true), state: this.committed });
    this.manySteps();
    for (const reader of readers) {
      const { memory } = reader;
      assert.equal(memoryDifference(memory, reader.state), null, "a reader without refresh");
      if (random.oneIn(2)) {
        assert.equal(memory.refresh(), this.memory.sequence);
        reader.state = this.committed;
        assertSame(memory, reader.state);
      }
      expectCode("READ_ONLY", () => memory.alloc(1));
    }
    assertSound(this.memory, work.state);
  }

  private async copy(): Promise<void> {
    const { random, memory, place } = this;
    this.manySteps();
    if (random.oneIn(2)) {
      await memory.compact();
      this.hasCommitted();
      assertSound(memory, this.committed, true);
      return;
    }
    const reader = this.readers.at(-1);
    const byReader = reader !== undefined && random.oneIn(2);
    const expected = byReader ? reader.state : this.work.state.copy();
    if (!byReader) this.hasCommitted();
    await (byReader ? reader.memory : memory).backup("copy");
    const copy = openIn(place, "copy", this.machine.start());
    assertSame(copy, expected, true);
    if (!byReader) assert.equal(copy.snapshots.list().length, this.snapshots.size);
    copy.close();
    place.remove("copy");
  }

  private reopen(properly: boolean): void {
    const { work, opened } = this;
    this.manySteps();
    for (const { memory } of opened.splice(0)) memory.close();
    if (properly) {
      this.hasCommitted();
      this.memory.close();
    } else {
      this.memory.auto.stop();
      this.machine.kill(this.process);
    }
    work.continueWith(this.committed, this.open());
  }
}
