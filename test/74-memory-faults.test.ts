// Errors of the machine under a memory: reading, writing, flushing, room in the file and room in memory fail, each at every call in turn. The
// error has a code, a change that was half done suspends the memory until `rollback`, and the file stays at its last commit.

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { type Memory, type OpenOptions, PerdureError } from "../bindings/index.js";
import { CrashProcess } from "./support/crash-processes.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { fewWindows, openIn } from "./support/memory-site.js";
import { assertSame, type MemoryState, memoryDifference } from "./support/memory-state.js";
import { MemoryWorkload } from "./support/memory-workload.js";
import { Random, withSeed } from "./support/random.js";
import { type FaultKind, SimulatedDisk } from "./support/simulated-disk.js";

const DEEP = process.env.PERDURE_DEEP === "1";
const NAME = "state";
const limits = { chainSlots: 120, chainCommits: 6, mapNodes: 8 };

const open = (disk: SimulatedDisk, options: OpenOptions = {}): Memory =>
  openIn(disk, NAME, new CrashProcess(), { limits, windowBytes: fewWindows, ...options });

const workOn = (memory: Memory, random: Random): MemoryWorkload =>
  new MemoryWorkload(memory, random, {
    blocks: 25,
    blockBytes: 40_000,
    writeBytes: 100_000,
    regions: ["a", "b"],
    tables: ["t"],
    rows: 12,
    tablesOneIn: 5,
    views: true,
    tight: true,
  });

/** A disk with a closed memory that has something of everything, and what it has. */
function prepared(random: Random): { disk: SimulatedDisk; state: MemoryState } {
  const disk = new SimulatedDisk();
  const memory = open(disk);
  const work = workOn(memory, random);
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 30; i++) work.step();
    memory.commit({ durability: "none" });
  }
  work.closeViews();
  memory.close();
  return { disk, state: work.state };
}

/** Opens, works and commits. Returns how often an error has struck; after each, everything must be as it should. */
function workUntilError(
  disk: SimulatedDisk,
  state: MemoryState,
  random: Random,
): "done" | "refused" | "suspended" {
  let memory: Memory;
  try {
    memory = open(disk);
  } catch (error) {
    assertCoded(error);
    disk.clearFaults();
    const again = open(disk);
    assertSame(again, state);
    again.close();
    return "refused";
  }
  const work = workOn(memory, random);
  work.continueWith(state);
  let committed = work.state.copy();
  let attempted = committed;
  let outcome: "done" | "refused" | "suspended" = "done";
  try {
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 12; i++) work.step();
      attempted = work.state.copy();
      memory.commit({ durability: round % 2 === 0 ? "flush" : "none" });
      committed = attempted;
    }
  } catch (error) {
    assertCoded(error);
    outcome = "refused";
    // What is refused for being suspended may have to read first.
    disk.clearFaults();
    if (memory.engine.halt !== null) {
      outcome = "suspended";
      assert.equal(memory.engine.halt.code, "SUSPENDED");
      for (const change of [
        () => memory.alloc(1),
        () => memory.commit(),
        () => memory.transaction(() => {}),
        () => memory.roots.delete("x"),
        () => memory.region("new", 1),
        () => memory.snapshots.create("new"),
      ])
        expectCode("SUSPENDED", change);
    }
    memory.rollback();
    work.continueWith(committed);
    assert.equal(memory.engine.halt, null);
    assert.equal(memoryDifference(memory, committed), null, "after the rollback");
    work.verifyViews();
  }
  disk.clearFaults();
  // What failed to be flushed may be there all the same.
  const possible = [committed, attempted];
  try {
    for (let i = 0; i < 5; i++) work.step();
    possible.push(work.state.copy());
    memory.close();
    possible.splice(0, 2);
  } catch (error) {
    // After a failed flush the handle writes nothing any more.
    assertCoded(error);
  }
  const again = open(disk);
  const differences = possible.map((each) => memoryDifference(again, each));
  assert.ok(differences.includes(null), differences.join("; "));
  assert.deepEqual(again.check({ all: true }).problems, []);
  again.close();
  return outcome;
}

function assertCoded(error: unknown): void {
  if (!(error instanceof PerdureError)) throw error;
  const expected = ["IO", "NO_SPACE", "CORRUPT", "SUSPENDED", "OUT_OF_MEMORY"];
  assert.ok(expected.includes(error.code), `${error.code}: ${error.message}`);
}

describe("a memory and errors of the machine", function () {
  this.timeout(DEEP ? 3_600_000 : 60_000);

  for (const kind of ["EIO", "ENOSPC", "SHORT", "FLUSH"] as const satisfies readonly FaultKind[]) {
    it(`${kind} at each call`, () =>
      withSeed(`memory faults ${kind}`, (random) => {
        const { disk, state } = prepared(random);
        const seed = random.next();
        const outcomes = { done: 0, refused: 0, suspended: 0 };
        const whole = disk.kill();
        assert.equal(workUntilError(whole, state, new Random(seed)), "done");
        const calls = whole.operationCount;
        const step = DEEP ? 1 : Math.max(1, Math.floor(calls / 7));
        const failAt = (call: number) => {
          const copy = disk.kill();
          copy.failAt(call, kind, { sticky: random.oneIn(3) });
          outcomes[workUntilError(copy, state, new Random(seed))]++;
        };
        for (let call = random.below(step); call < calls; call += step) failAt(call);
        // Not every call is of a kind that can fail so: a few of them may all have been of the others.
        const failed = () => outcomes.refused + outcomes.suspended > 0;
        for (let extra = 0; extra < 50 && !failed(); extra++) failAt(random.below(calls));
        assert.ok(failed());
        if (DEEP) console.log(`      ${kind}: ${JSON.stringify(outcomes)}`);
      }));
  }

  it("damaged blocks", () =>
    withSeed("memory damage", (random) => {
      const { disk, state } = prepared(random);
      let found = 0;
      for (let i = 0; i < (DEEP ? 2000 : 8); i++) {
        const copy = disk.kill();
        const slots = copy.contents(NAME).length / 4096;
        copy.flipBit(NAME, 4096 * (3 + random.below(slots - 3)) + random.below(4096), random.below(8));
        const memory = tryTo(() => open(copy));
        if (memory === null) {
          found++;
          continue;
        }
        const work = workOn(memory, random);
        work.continueWith(state);
        // It is found when it is looked at; what is shown is right.
        const before = tryTo(() =>
          assert.equal(memoryDifference(memory, state)?.includes(" has ") ?? false, false),
        );
        const during = tryTo(() => {
          for (let step = 0; step < 40; step++) work.step();
        });
        if (before === null || during === null) found++;
        tryTo(() => memory.rollback());
        const lock = copy.names().some((name) => name.includes("lock"));
        assert.ok(lock);
        tryTo(() => memory.close());
      }
      if (DEEP) assert.ok(found > 0);
    }));

  it("no memory to grow into, at each size", () => {
    const { Memory: Original } = WebAssembly;
    for (let pages = 1; pages <= 33; pages += DEEP ? 1 : 11) {
      withSeed("memory growth", (random) => {
        WebAssembly.Memory = class extends Original {
          constructor(descriptor: WebAssembly.MemoryDescriptor) {
            super({ ...descriptor, maximum: Math.min(descriptor.maximum ?? 65536, 5120 + pages) });
          }
        };
        try {
          growUntilRefused(random);
        } finally {
          WebAssembly.Memory = Original;
        }
      });
    }
  });

  it("no memory at all for what is reserved", () => {
    const disk = new SimulatedDisk();
    const { Memory } = WebAssembly;
    WebAssembly.Memory = class extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (descriptor.initial > 1) throw new RangeError("refused by the test");
        super(descriptor);
      }
    };
    try {
      expectCode("OUT_OF_MEMORY", () => open(disk));
    } finally {
      WebAssembly.Memory = Memory;
    }
    open(disk).close();
  });

  it("an automatic commit that finds no room", async () => {
    const disk = new SimulatedDisk();
    const memory = open(disk, { autoCommit: true, durability: "none" });
    const errors: unknown[] = [];
    memory.addEventListener("error", ({ error }) => errors.push(error));
    const p = memory.alloc(8);
    disk.failAt(({ kind }) => kind === "write", "ENOSPC", { sticky: true });
    p.u8 = 1;
    await turn();
    await turn();
    assert.equal(errors.length, 1);
    expectCode("NO_SPACE", () => memory.setU8(p.address, 2));
    expectCode("NO_SPACE", () => memory.alloc(1));
    assert.equal(p.u8, 1);
    expectCode("NO_SPACE", () => memory.commit());
    disk.clearFaults();
    memory.commit();
    p.u8 = 3;
    memory.close();
    const again = open(disk);
    assert.equal(again.getU8(p.address), 3);
    again.close();
  });

  it("a flush in the background that fails", async () => {
    const disk = new SimulatedDisk();
    const memory = open(disk, { autoCommit: true });
    const p = memory.alloc(8);
    p.u8 = 1;
    memory.commit();
    const errors: PerdureError[] = [];
    memory.addEventListener("error", ({ error }) => errors.push(error as PerdureError));
    disk.failAt(({ kind }) => kind === "flushAsync", "FLUSH");
    p.u8 = 2;
    for (let i = 0; i < 6; i++) await turn();
    assert.deepEqual(
      errors.map(({ code }) => code),
      ["IO"],
    );
    expectCode("IO", () => memory.setU8(p.address, 3));
    expectCode("IO", () => memory.commit());
    await expectCodeAsync("IO", memory.flushed());
    tryTo(() => memory.close());
    const again = open(disk);
    assert.ok(again.getU8(p.address) === 1 || again.getU8(p.address) === 2);
    again.close();
  });
});

/** Allocates until there is no more; a refusal has changed nothing, and room that is given back can be had again. */
function growUntilRefused(random: Random): void {
  const disk = new SimulatedDisk();
  const memory = open(disk);
  const work = workOn(memory, random);
  for (let i = 0; i < 60; i++) {
    const before = work.state.copy();
    const spilled = tryTo(() => work.step());
    // Only one thing is ever refused, and before it has changed anything.
    if (spilled === null) work.continueWith(before);
  }
  work.closeViews();
  let refused = 0;
  const made: number[] = [];
  for (const size of [200_000, 20_000, 2000, 200]) {
    for (let i = 0; i < 200; i++) {
      const p = tryTo(() => memory.alloc(size));
      if (p === null) {
        refused++;
        break;
      }
      made.push(p.address);
    }
  }
  assert.ok(refused > 0);
  for (const address of made) memory.release(memory.ptr(address));
  assert.equal(memory.engine.halt, null);
  assertSame(memory, work.state);
  memory.close();
  const again = open(disk);
  assertSame(again, work.state, true);
  again.close();
}

/** Null when it throws an error with a code that errors of the machine may have. */
function tryTo<T>(body: () => T): T | null {
  try {
    return body();
  } catch (error) {
    assertCoded(error);
    return null;
  }
}
