// What random operations seldom meet: changes that fail half way, several handles of one thing, growth in the middle of a call.

import assert from "node:assert/strict";
import { type Memory, type OpenOptions, PerdureError } from "../bindings/index.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { expectCode } from "./support/expect-code.js";
import { FakeMachine } from "./support/fake-processes.js";
import { fewWindows, openIn } from "./support/memory-site.js";

const CLUSTER = 40_960;
const HIGH = 2 ** 20;

describe("a memory at its edges", () => {
  let place: MemoryPlace;
  let machine: FakeMachine;

  beforeEach(() => {
    place = new MemoryPlace();
    machine = new FakeMachine();
  });

  const open = (options: OpenOptions & { limits?: Partial<Limits> } = {}) =>
    openIn(place, "state", machine.start(), options);

  /** Closes and opens again, so that nothing is present. */
  const reopen = (memory: Memory, options: OpenOptions & { limits?: Partial<Limits> } = {}) => {
    memory.close();
    return open(options);
  };

  const sound = (memory: Memory) => assert.deepEqual(memory.check({ all: true }).problems, []);

  /** From now on a block of the file cannot be read; returns how to mend it. */
  const damage = (memory: Memory, bad: (block: number) => boolean) => {
    const pager = memory.engine.pager;
    const read = pager.read.bind(pager);
    pager.read = (block, count, into) => {
      for (let at = block; at < block + count; at++)
        if (bad(at)) throw new PerdureError("CORRUPT", "damaged by the test");
      read(block, count, into);
    };
    return () => {
      pager.read = read;
    };
  };

  it("brings blocks in after memory has grown within the same call", () => {
    assert.doesNotThrow(() => {
      let memory = open({ reserve: 0 });
      const first = memory.alloc(100_000);
      first.u32 = 7;
      memory = reopen(memory, { reserve: 0 });
      const again = memory.ptr(first.address);
      assert.equal(again.u32, 7);
      const large = memory.alloc(300 << 20);
      large.add((300 << 20) - 4).u32 = 9;
      assert.equal(again.u32, 7);
      assert.equal(large.add((300 << 20) - 4).u32, 9);
      sound(memory);
      memory.close();
    });
  });

  it("writes all of a range or, when an end of it cannot be read, nothing", () => {
    let memory = open();
    const p = memory.alloc(5 * 4096);
    memory.write(p.address, new Uint8Array(5 * 4096).fill(1));
    memory = reopen(memory);
    const last = Math.floor(p.address / 4096) + 4;
    const mend = damage(memory, (block) => block === last);
    const range = new Uint8Array(4 * 4096 + 10).fill(2);
    expectCode("CORRUPT", () => memory.write(p.address, range));
    mend();
    memory.commit();
    assert.deepEqual(memory.read(p.address, 5 * 4096), new Uint8Array(5 * 4096).fill(1));
    memory.close();
  });

  it("has one truth for all handles of a region", () => {
    const memory = open();
    const one = memory.region("r", 5 * CLUSTER);
    const other = memory.region("r");
    one.resize(2 * CLUSTER);
    assert.equal(other.length, 2 * CLUSTER);
    expectCode("INVALID_ADDRESS", () => other.setU8(3 * CLUSTER, 1));
    // The next region is in the way, so it moves.
    memory.region("next", 10);
    other.setU8(CLUSTER, 5);
    one.resize(2 ** 41);
    other.setU8(CLUSTER + 1, 6);
    assert.deepEqual([...one.read(CLUSTER, 2)], [5, 6]);
    sound(memory);
    one.drop();
    expectCode("NOT_FOUND", () => other.setU8(0, 1));
    sound(memory);
    memory.close();
  });

  it("looks a window up again after it had to go", () => {
    const memory = open({ windowBytes: fewWindows });
    const one = memory.region("r", 40 * CLUSTER);
    const other = memory.region("r");
    for (let round = 1; round < 4; round++) {
      one.setU8(5, round);
      for (let cluster = 1; cluster < 40; cluster++) other.setU8(cluster * CLUSTER + 5, 100 + cluster);
      assert.equal(one.getU8(5), round);
      one.setU8(6, round);
      for (let cluster = 1; cluster < 40; cluster++) other.setU8(cluster * CLUSTER + 5, 100 + cluster);
      one.setU8(6, round + 1);
      assert.deepEqual([...other.read(5, 2)], [round, round + 1]);
      for (let cluster = 1; cluster < 40; cluster++)
        assert.deepEqual([...other.read(cluster * CLUSTER + 5, 2)], [100 + cluster, 0]);
    }
    memory.close();
  });

  it("forgets what a window shows that was spilled and is rolled back", () => {
    const memory = open({ windowBytes: fewWindows });
    const region = memory.region("r", 20 * CLUSTER);
    region.setU8(0, 1);
    memory.commit();
    for (let cluster = 0; cluster < 20; cluster++) region.setU8(cluster * CLUSTER, 2);
    // It comes back from where it was spilled.
    assert.equal(region.getU8(0), 2);
    memory.rollback();
    assert.equal(region.getU8(0), 1);
    for (let cluster = 1; cluster < 20; cluster++) assert.equal(region.getU8(cluster * CLUSTER), 0);
    memory.close();
  });

  it("moves a region by what was written of it, however long it is", () => {
    let memory = open({ windowBytes: fewWindows });
    const region = memory.region("r", 2 ** 40);
    memory.region("next", 1);
    const spots = [0, 2 ** 20 + 40_955, 2 ** 33, 2 ** 40 - 9];
    for (const spot of spots) region.setU64(spot, BigInt(spot) + 1n);
    memory.commit();
    memory = reopen(memory, { windowBytes: fewWindows });
    const again = memory.region("r");
    again.setU64(3 * CLUSTER - 4, 77n);
    let blocks = 0;
    damage(memory, () => {
      blocks++;
      return false;
    });
    again.resize(2 ** 43);
    assert.ok(blocks < 1000, `${blocks} blocks were read`);
    for (const spot of spots) assert.equal(again.getU64(spot), BigInt(spot) + 1n);
    assert.equal(again.getU64(3 * CLUSTER - 4), 77n);
    sound(memory);
    memory.close();
  });

  it("refuses to drop or cut what one commit cannot give back, and leaves it whole", () => {
    const limits = { commitBlocks: 16 };
    const memory = open({ limits });
    const region = memory.region("r", 4 * CLUSTER);
    for (let block = 0; block < 40; block++) {
      region.setU8(block * 4096, block + 1);
      if (block % 4 === 3) memory.commit();
    }
    expectCode("LIMIT", () => region.drop());
    expectCode("LIMIT", () => region.resize(10));
    assert.equal(memory.region("r").length, 4 * CLUSTER);
    memory.commit();
    for (let block = 0; block < 40; block++) assert.equal(region.getU8(block * 4096), block + 1);
    region.resize(3 * CLUSTER);
    sound(memory);
    memory.close();
  });

  it("shows zeros where a region was cut, also when its windows had to go meanwhile", () => {
    const memory = open({ windowBytes: fewWindows });
    const region = memory.region("r", 30 * CLUSTER);
    for (let cluster = 0; cluster < 30; cluster++)
      region.write(cluster * CLUSTER, new Uint8Array(CLUSTER).fill(7));
    for (let cluster = 29; cluster > 0; cluster--) region.setU8(cluster * CLUSTER, 8);
    region.resize(12 * CLUSTER + 5);
    memory.commit();
    region.resize(30 * CLUSTER);
    assert.ok(region.read(12 * CLUSTER + 5, 17 * CLUSTER).every((byte) => byte === 0));
    sound(memory);
    memory.close();
  });

  it("gives clusters back when there is no memory for the name of a region", () => {
    const memory = open({ maxBytes: 64 * 4096 });
    memory.region("first", 1);
    memory.commit();
    for (const size of [4096, 512, 64]) {
      try {
        for (;;) memory.alloc(size);
      } catch (error) {
        if (!(error instanceof PerdureError) || error.code !== "OUT_OF_MEMORY") throw error;
      }
    }
    // One object of 64 bytes is what an extent needs; a long name needs more.
    const spare = memory.ptr(memory.roots.size === 0 ? lastOf(memory) : 0);
    memory.release(spare);
    const before = memory.check().liveBlocks;
    expectCode("OUT_OF_MEMORY", () => memory.region("x".repeat(900), 1));
    assert.equal(memory.check().liveBlocks, before);
    sound(memory);
    memory.close();
  });

  it("drops everything that was not committed when a restore fails", () => {
    const memory = open({ windowBytes: fewWindows });
    const region = memory.region("r", 40 * CLUSTER);
    region.setU8(0, 1);
    memory.snapshots.create("s");
    for (let cluster = 0; cluster < 40; cluster++) region.setU8(cluster * CLUSTER, 2);
    const { pager } = memory.engine;
    const { restoreSnapshot } = pager;
    pager.restoreSnapshot = () => {
      pager.rollback();
      throw new PerdureError("NO_SPACE", "by the test");
    };
    expectCode("NO_SPACE", () => memory.snapshots.restore("s"));
    pager.restoreSnapshot = restoreSnapshot;
    memory.commit();
    assert.equal(region.getU8(0), 1);
    for (let cluster = 1; cluster < 40; cluster++) assert.equal(region.getU8(cluster * CLUSTER), 0);
    memory.close();
  });

  it("drops what a view has stored that is closed while the memory is suspended", () => {
    let memory = open();
    const p = memory.alloc(8);
    const far = memory.alloc(200_000);
    memory = reopen(memory);
    const view = memory.view(memory.ptr(p.address), Uint8Array, 8);
    view.array[0] = 5;
    const mend = damage(memory, () => true);
    expectCode("CORRUPT", () => memory.release(memory.ptr(far.address)));
    assert.equal(memory.engine.halt?.code, "SUSPENDED");
    mend();
    view.close();
    expectCode("SUSPENDED", () => memory.commit());
    memory.rollback();
    assert.equal(memory.getU8(p.address), 0);
    memory.commit();
    assert.equal(memory.getU8(p.address), 0);
    sound(memory);
    memory.close();
  });

  it("stays suspended when a rollback cannot show the last commit", () => {
    const memory = open();
    const p = memory.alloc(8);
    p.u8 = 1;
    memory.commit();
    p.u8 = 2;
    memory.roots.set("p", p);
    const mend = damage(memory, () => true);
    expectCode("CORRUPT", () => memory.rollback());
    expectCode("SUSPENDED", () => p.memory.setU8(p.address, 3));
    expectCode("SUSPENDED", () => memory.commit());
    mend();
    memory.rollback();
    assert.equal(p.u8, 1);
    p.u8 = 4;
    memory.commit();
    assert.equal(p.u8, 4);
    memory.close();
  });

  it("suspends when a write to several clusters stops half way", () => {
    let memory = open();
    memory.region("r", 3 * CLUSTER).write(0, new Uint8Array(3 * CLUSTER).fill(1));
    memory = reopen(memory);
    const region = memory.region("r");
    const mend = damage(memory, (block) => block >= HIGH + 25);
    expectCode("CORRUPT", () => region.write(5, new Uint8Array(3 * CLUSTER - 10).fill(2)));
    mend();
    expectCode("SUSPENDED", () => memory.commit());
    memory.rollback();
    assert.ok(region.read(0, 3 * CLUSTER).every((byte) => byte === 1));
    memory.close();
  });

  it("shows a snapshot that is open while the file is compacted", async () => {
    const memory = open();
    const p = memory.alloc(100_000);
    memory.write(p.address, new Uint8Array(100_000).fill(3));
    memory.snapshots.create("b");
    memory.snapshots.create("a");
    const snapshot = memory.snapshots.open("b");
    memory.write(p.address, new Uint8Array(100_000).fill(4));
    await memory.compact();
    assert.ok(snapshot.read(p.address, 100_000).every((byte) => byte === 3));
    sound(snapshot);
    assert.deepEqual(
      memory.snapshots.list().map(({ name }) => name),
      ["a", "b"],
    );
    snapshot.close();
    memory.close();
  });

  it("finds nothing wrong with an image in which nothing was committed", () => {
    const memory = open();
    const reader = openIn(place, "state", machine.start(), { readOnly: true });
    assert.equal(reader.roots.size, 0);
    expectCode("INVALID_ADDRESS", () => reader.getU8(0x1400_0000));
    sound(reader);
    memory.alloc(1);
    memory.commit();
    reader.refresh();
    sound(reader);
    reader.close();
    memory.close();
  });
});

/** The live object of the highest address. */
function lastOf(memory: Memory): number {
  let last = 0;
  for (let address = 0x1400_0000; ; address += 16) {
    try {
      last = memory.sizeOf(memory.ptr(address)) === 64 ? address : last;
    } catch {
      if (address > 0x1400_0000 + 64 * 4096) return last;
    }
  }
}
