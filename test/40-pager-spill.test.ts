// Blocks that are written before their commit: visible to their writer alone, part of the next commit or gone, and
// safe over checkpoints, which change the runs that they lie in.

import assert from "node:assert/strict";
import { PerdureError } from "../bindings/base/errors.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager, openPagerOn } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { Reader } from "../bindings/pager/reader.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace, MemoryStorage } from "../bindings/storage/memory.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { FakeMachine } from "./support/fake-processes.js";
import {
  changeOf,
  type Extent,
  PagerModel,
  performCommit,
  performRecord,
  performSpill,
  randomExtents,
  verifyAgainst,
  verifyImage,
  wideShape,
} from "./support/pager-model.js";
import { verifyKilled } from "./support/pager-subjects.js";
import { type Random, withSeed } from "./support/random.js";

const hasher = await WasmHasher.create();

/** Refuses what `refuse` says; nothing at first. */
class FullStorage extends MemoryStorage {
  refuse = false;

  override writeParts(offset: number, parts: readonly Uint8Array[]): void {
    if (this.refuse) {
      this.refuse = false;
      throw new PerdureError("NO_SPACE", "the device is full");
    }
    super.writeParts(offset, parts);
  }
}

describe("spilled blocks", () => {
  let place: MemoryPlace;
  let machine: FakeMachine;
  let pager: Pager;
  let model: PagerModel;

  const open = (limits: Partial<Limits> = {}) => {
    pager = openPager(place, "state", hasher, machine.start(), { limits });
  };
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);
  const spill = (block: number, count = 1) => {
    for (let i = 0; i < count; i++) performSpill(pager, model, block + i);
  };
  const rollback = () => {
    pager.rollback();
    model.rollback();
  };
  const checkpoint = () => performRecord(pager, () => pager.checkpoint());
  /** Also what a kill would leave now: the last commit. */
  const verify = () => {
    verifyAgainst(pager, model);
    const killed = model.copy();
    killed.rollback();
    verifyKilled(place.readFile("state")!, hasher, killed);
  };

  beforeEach(() => {
    place = new MemoryPlace();
    machine = new FakeMachine();
    open();
    model = new PagerModel();
  });

  afterEach(() => {
    verify();
    pager.close();
    model.rollback();
    open();
    verifyAgainst(pager, model);
    pager.close();
  });

  it("are read, but belong to no commit before theirs", () => {
    commit(write(10, 3));
    spill(11);
    spill(500);
    assert.equal(pager.has(500), false);
    verify();
    const { sequence } = pager;
    assert.equal(pager.flush(), sequence);
    assert.equal(pager.has(500), false);
    verify();
    commit();
    assert.equal(pager.has(500), true);
    assert.equal(pager.sequence, sequence + 1);
  });

  it("are flushed with their commit", async () => {
    spill(1, 3);
    assert.equal(await pager.flushed(), 0);
    performCommit(pager, model, [], true);
    assert.equal(pager.lastFlushed, 1);
  });

  it("are gone after rollback, close, a kill, and restoring a snapshot", () => {
    commit(write(0, 20));
    performRecord(pager, () => pager.createSnapshot("a"));
    model.createSnapshot("a", pager.sequence);
    spill(5, 30);
    rollback();
    verify();
    spill(5, 30);
    model.rollback();
    pager.close();
    open();
    verify();
    spill(5, 30);
    model.rollback();
    pager.abandon();
    open();
    verify();
    spill(5, 30);
    performRecord(pager, () => pager.restoreSnapshot("a"));
    model.restore("a");
  });

  it("twice, and then committed otherwise: the last one counts", () => {
    commit(write(0, 10));
    spill(3, 4);
    spill(4, 2);
    verify();
    commit(write(4), { block: 5, count: 1, stamp: null });
    verify();
    spill(8, 3);
    commit(write(7, 5));
    verify();
    spill(2);
    commit({ block: 0, count: 20, stamp: null });
    assert.equal(pager.has(2), false);
  });

  it("all committed otherwise: nothing of them is left", () => {
    spill(0, 50);
    commit(write(0, 50));
    verify();
    const { liveSlots } = pager.stats();
    assert.ok(liveSlots <= 55, `${liveSlots} live slots`);
  });

  for (const count of [1, 100, 163, 164, 165, 166, 250, 251, 252, 253, 254, 600, 1500]) {
    it(`${count} of them, committed alone, and with other blocks`, () => {
      spill(1000, count);
      commit();
      verify();
      spill(1000, count);
      commit(write(5000, count), write(10, 7));
      verify();
      spill(900, count);
      rollback();
      spill(950, count);
      commit(write(0, 170), { block: 170, count: 170, stamp: null });
    });
  }

  it("with a checkpoint in between, asked for or needed", () => {
    commit(write(0, 100));
    spill(50, 100);
    checkpoint();
    verify();
    spill(100, 20);
    checkpoint();
    checkpoint();
    checkpoint();
    verify();
    // More than the runs hold, so that spilling itself checkpoints.
    spill(2000, 700);
    spill(60, 3);
    verify();
    commit(write(140, 5));
    verify();
    for (let i = 0; i < 30; i++) commit(write(50 + i * 3, 2));
    verify();
    checkpoint();
    verify();
  });

  it("with a checkpoint in between, then dropped: their slots are used again", () => {
    commit(write(0, 50));
    for (let i = 0; i < 80; i++) {
      spill(0, 100);
      checkpoint();
      spill(100, 50);
      rollback();
      commit(write(i % 50));
    }
    // Three times what lives and the runs that are wanted, which hold 256 slots at least.
    assert.ok(pager.stats().fileBytes / 4096 <= 3 * (60 + 256), `${pager.stats().fileBytes} bytes`);
  });

  it("committed after a checkpoint survive the reuse of everything else, read from the fallback too", () => {
    open2({ chainCommits: 3 });
    for (let round = 0; round < 30; round++) {
      spill(round, 20);
      checkpoint();
      commit(write(round + 10));
      commit(write(200));
      verify();
    }
  });

  /** The same state with other limits. */
  function open2(limits: Partial<Limits>): void {
    pager.close();
    open(limits);
  }

  it("are not seen by readers, nor in a snapshot or a backup", async () => {
    commit(write(0, 10));
    const image = new Map(model.image);
    const reader = new Reader(place, "state", hasher, machine.start());
    spill(5, 10);
    reader.refresh();
    verifyImage(reader, image, "the reader");
    model.createSnapshot(
      "a",
      performRecord(pager, () => pager.createSnapshot("a")),
    );
    await pager.backup(place, "backup");
    const backup = new Reader(place, "backup", hasher, machine.start());
    verifyImage(backup, image, "the backup");
    backup.close();
    place.remove("backup");
    commit();
    verifyImage(reader, image, "the reader before it moves on");
    reader.refresh();
    verifyImage(reader, model.image, "the reader after it moved on");
    reader.close();
  });

  it("stand in the way of a compaction", async () => {
    commit(write(0, 10));
    spill(3);
    await expectCodeAsync("BUSY", pager.compact());
    verify();
    commit();
    await pager.compact();
  });

  it("outlive a commit that fails, those too that it would have replaced", () => {
    const storage = new FullStorage();
    const other = openPagerOn(storage, hasher);
    performCommit(other, model, [write(0, 5)], true);
    performSpill(other, model, 1);
    performSpill(other, model, 7);
    storage.refuse = true;
    expectCode("NO_SPACE", () => other.commit([changeOf({ block: 1, count: 2, stamp: 99 })]));
    verifyAgainst(other, model);
    performCommit(other, model, [write(2)], false);
    verifyAgainst(other, model);
    other.close();
    model = new PagerModel();
  });

  it("in random order with everything else, in runs of every length", () =>
    withSeed("random spills", (random) => {
      for (const limits of [{ chainSlots: 20 }, { chainSlots: 90, chainCommits: 4 }, { chainSlots: 2000 }]) {
        open2(limits);
        for (let i = 0; i < 150; i++) {
          step(random);
          if (i % 30 === 29) verify();
        }
        rollback();
      }
    }));

  function step(random: Random): void {
    const { regions } = wideShape;
    const choice = random.below(20);
    if (choice < 8) {
      const region = random.pick(regions);
      for (let count = 1 + random.below(random.pick([3, 60])); count > 0; count--)
        spill(region.block + random.below(region.count));
    } else if (choice < 15) {
      const blocks = random.pick([2, 30, 250]);
      performCommit(pager, model, randomExtents(random, model, regions, blocks), random.oneIn(2));
    } else if (choice < 17) checkpoint();
    else if (choice < 18) rollback();
    else commit();
  }
});
