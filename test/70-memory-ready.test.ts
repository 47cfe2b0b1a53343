// What accesses remember of blocks that were ready is forgotten whenever a block may have ceased to be. Each test makes sure that the blocks are remembered,
// to be read and to be written; lets something happen to them; and sees that it is noticed.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { ReadyBlocks } from "../bindings/api/ready-blocks.js";
import { HEAP } from "../bindings/api/session.js";
import type { Memory } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";
import { readyBlocksOf } from "./support/ready-blocks.js";

const BLOCK = 4096;
const BLOCKS = 40;
const CLEAN = 3;

describe("memory: blocks that are known to be ready", () => {
  const states = States.forEachTest();
  let memory: Memory;
  let address: number;

  const open = (options = {}) => {
    memory = states.open({ autoCommit: false, durability: "none", ...options });
    address = memory.root("data", () => memory.alloc(BLOCKS * BLOCK, { align: BLOCK })).address;
    memory.commit();
  };

  /** Stores and loads until accesses to these blocks are looked at no more. */
  function know(value: number, start = address, blocks = BLOCKS): void {
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < blocks; i++) {
        memory.setU32(start + i * BLOCK + 8 * round, value);
        assert.equal(memory.getU32(start + i * BLOCK + 8 * round), value);
      }
    }
    const { reading, writing } = readyBlocksOf(memory);
    for (let i = 0; i < blocks; i++)
      for (const ready of [reading, writing]) assert.ok(ready.has(start + i * BLOCK), `block ${i}`);
  }

  function store(value: number): void {
    for (let i = 0; i < BLOCKS; i++) memory.setU32(address + i * BLOCK, value);
  }

  function expectEverywhere(value: number, shown: Memory = memory): void {
    for (let i = 0; i < BLOCKS; i++) assert.equal(shown.getU32(address + i * BLOCK), value, `block ${i}`);
  }

  function expectRefused(code: "CLOSED" | "SUSPENDED" | "INVALID_ADDRESS", start: number, blocks: number) {
    for (let i = 0; i < blocks; i++) expectCode(code, () => memory.setU32(start + i * BLOCK, 1));
  }

  it("after a commit a store makes its block part of the next one", () => {
    open();
    know(1);
    memory.commit();
    store(2);
    expectEverywhere(2);
    memory.rollback();
    expectEverywhere(1);
  });

  it("after a commit that came by itself, too", async () => {
    open({ autoCommit: true });
    know(1);
    const before = memory.sequence;
    while (memory.sequence === before) await setTimeout(1);
    store(2);
    memory.rollback();
    expectEverywhere(1);
  });

  it("after a rollback a load sees the last commit, and a store is part of the next", () => {
    open();
    know(1);
    memory.commit();
    know(2);
    memory.rollback();
    expectEverywhere(1);
    know(3);
    memory.rollback();
    store(4);
    memory.commit();
    memory.close();
    open();
    expectEverywhere(4);
  });

  it("after a transaction, committed or not", () => {
    open();
    know(1);
    memory.transaction(() => know(2));
    store(3);
    memory.rollback();
    expectEverywhere(2);
    assert.throws(() =>
      memory.transaction(() => {
        know(4);
        throw new Error("no");
      }),
    );
    expectEverywhere(2);
  });

  it("after another commit is shown: in a reader by refresh, in a writer by restore", () => {
    open();
    know(1);
    memory.snapshots.create("one");
    const reader = states.open({ readOnly: true });
    for (let round = 0; round < 10; round++) expectEverywhere(1, reader);
    know(2);
    memory.commit();
    expectEverywhere(1, reader);
    reader.refresh();
    expectEverywhere(2, reader);
    know(3);
    memory.commit();
    memory.snapshots.restore("one");
    expectEverywhere(1);
    store(4);
    memory.rollback();
    expectEverywhere(1);
  });

  it("after what it was remembered for was closed or suspended, until it is rolled back", () => {
    open();
    know(1);
    memory.commit();
    know(2);
    assert.throws(() =>
      memory.engine.changeAll(() => {
        throw new Error("half way");
      }),
    );
    expectRefused("SUSPENDED", address, BLOCKS);
    memory.getU32(address);
    expectRefused("SUSPENDED", address, BLOCKS);
    memory.rollback();
    expectEverywhere(1);
    know(3);
    memory.close();
    expectRefused("CLOSED", address, BLOCKS);
    const reader = states.open({ readOnly: true });
    for (let round = 0; round < 10; round++) expectEverywhere(3, reader);
    reader.close();
    for (let i = 0; i < BLOCKS; i++) expectCode("CLOSED", () => reader.getU32(address + i * BLOCK));
  });

  it("after memory went back: a large block, the end of one, and the last small one of many", () => {
    open();
    const run = memory.alloc(8 * BLOCK);
    know(1, run.address, 8);
    assert.equal(memory.realloc(run, 5 * BLOCK), run);
    expectRefused("INVALID_ADDRESS", run.address + 5 * BLOCK, 3);
    know(1, run.address, 5);
    memory.release(run);
    expectRefused("INVALID_ADDRESS", run.address, 5);

    // Four of them lie in one span. The first one's has a free slot, so that the second one's goes back when it is empty.
    const small = Array.from({ length: 8 }, () => memory.alloc(4 * BLOCK));
    const second = small.slice(4);
    for (const { address } of second) know(1, address, 4);
    memory.release(small[0]);
    for (const p of second) memory.release(p);
    for (const { address } of second) expectRefused("INVALID_ADDRESS", address, 4);
    for (const { address } of second) expectCode("INVALID_ADDRESS", () => memory.getU32(address));
  });

  it("a block that a view may change is part of a commit by a store as any other", () => {
    open();
    know(1);
    const view = memory.view(memory.ptr(address), Uint32Array, 1024 * BLOCKS);
    store(2);
    memory.commit();
    store(3);
    memory.rollback();
    expectEverywhere(2);
    know(4);
    view.close();
    store(5);
    memory.commit();
    store(6);
    memory.rollback();
    expectEverywhere(5);
    assert.equal(memory.getU32(address + 8), 4);
  });

  it("after memory has grown the same addresses lead to the same numbers", () => {
    open({ reserve: 0 });
    know(1);
    const { buffer } = memory.engine.core.bytes;
    memory.alloc(64 * 2 ** 20);
    assert.notEqual(memory.engine.core.bytes.buffer, buffer);
    expectEverywhere(1);
    know(2);
    memory.commit();
    memory.close();
    open();
    expectEverywhere(2);
  });

  it("nothing is remembered with checks", () => {
    open({ checks: true });
    const p = memory.alloc(64);
    for (let i = 0; i < 1000; i++) p.u32 = i;
    expectCode("INVALID_ADDRESS", () => p.add(64).u32);
    expectCode("INVALID_ADDRESS", () => (p.add(62).u32 = 1));
    memory.release(p);
    expectCode("INVALID_ADDRESS", () => p.u32);
  });

  describe("ranges", () => {
    const first = HEAP / BLOCK;

    it("have ready blocks only, and all bytes of any number in them", () =>
      withSeed("ready blocks", (random) => {
        for (const end of [first + 300, 2 ** 20]) {
          const start = end - 300;
          const all = new Uint8Array(2 ** 20);
          // What lies below the heap is never remembered, whatever its state.
          all.fill(6, first - 100, first);
          const ready = new ReadyBlocks(CLEAN);
          for (let step = 0; step < 3000; step++) {
            const block = start + random.below(300);
            if (random.oneIn(3)) {
              const count = Math.min(1 + random.below(40), end - block);
              // They only rise.
              all.fill(random.pick([3, 4, 5, 6]), block, block + count);
            }
            if (!ready.has(block * BLOCK)) ready.note(all, block);
            assert.ok(!ready.has(HEAP - 1));
            for (let i = 0; i < 20; i++) {
              const at = start * BLOCK - 16 + random.below(300 * BLOCK + 32);
              if (!ready.has(at)) continue;
              assert.ok(at >= HEAP && at + 8 <= 2 ** 32, `${at} of ${end}`);
              assert.ok(all[Math.floor(at / BLOCK)] >= CLEAN && all[Math.floor((at + 7) / BLOCK)] >= CLEAN);
            }
          }
          for (let round = 0; round < 500; round++)
            if (!ready.has(start * BLOCK)) ready.note(all.fill(CLEAN, start, end), start);
          assert.ok(ready.has(start * BLOCK));
        }
      }));

    it("follow a walk over blocks that become ready one by one", () => {
      const all = new Uint8Array(2 ** 20);
      const ready = new ReadyBlocks(CLEAN);
      for (let i = 0; i < 1000; i++) {
        all[first + i] = CLEAN;
        assert.ok(!ready.has((first + i) * BLOCK));
        ready.note(all, first + i);
        assert.ok(ready.has((first + i) * BLOCK + BLOCK - 8));
        assert.ok(!ready.has((first + i) * BLOCK + BLOCK - 7));
      }
      assert.ok(ready.has(first * BLOCK));
    });

    it("know two areas, and all of a large one after few accesses", () => {
      const all = new Uint8Array(2 ** 20).fill(CLEAN, first, first + 2 ** 15);
      all.fill(CLEAN, first + 2 ** 16, first + 2 ** 16 + 10);
      const ready = new ReadyBlocks(CLEAN);
      let others = 0;
      for (let i = 0; i < 100_000; i++) {
        const block = first + ((i * 7919) % 2 ** 15);
        for (const found of i % 2 === 0 ? [block, first + 2 ** 16 + (i % 10)] : [block]) {
          if (ready.has(found * BLOCK)) continue;
          ready.note(all, found);
          others++;
        }
      }
      assert.ok(others < 2 ** 15, `${others} accesses were elsewhere`);
    });

    it("have no number that is no address", () => {
      const all = new Uint8Array(2 ** 20).fill(CLEAN, first);
      const ready = new ReadyBlocks(CLEAN);
      for (let i = 0; i < 200_000; i++) if (!ready.has(HEAP)) ready.note(all, first);
      for (let block = first; block < 2 ** 20; block += 1000) ready.note(all, block);
      for (const wrong of [HEAP - 1, HEAP - 4096, -HEAP, 2 ** 32 - 7, 2 ** 32, 2 ** 32 + HEAP, Number.NaN])
        assert.ok(!ready.has(wrong), String(wrong));
    });
  });
});
