// Ranges that are discarded before their commit: zeros for their writer alone, gone from the image with the next commit or back
// after a rollback, and as cheap for 2⁴⁰ blocks as for one.

import assert from "node:assert/strict";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { BlockRanges } from "../bindings/pager/block-ranges.js";
import { openPager } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { Reader } from "../bindings/pager/reader.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { FakeMachine } from "./support/fake-processes.js";
import {
  blockLimit,
  changeOf,
  type Extent,
  PagerModel,
  performCommit,
  performDiscard,
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

describe("discarded ranges", () => {
  let place: MemoryPlace;
  let machine: FakeMachine;
  let pager: Pager;
  let model: PagerModel;

  const open = (limits: Partial<Limits> = {}) => {
    pager = openPager(place, "state", hasher, machine.start(), { limits });
  };
  const reopen = (limits: Partial<Limits> = {}) => {
    pager.close();
    model.rollback();
    open(limits);
  };
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);
  const discard = (block: number, count: number) => performDiscard(pager, model, block, count);
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
    reopen();
    verifyAgainst(pager, model);
    pager.close();
  });

  it("read as zeros, but belong to no commit before theirs", () => {
    commit(write(10, 30));
    discard(15, 20);
    assert.equal(pager.has(20), true);
    verify();
    const { sequence } = pager;
    assert.equal(pager.flush(), sequence);
    commit();
    assert.equal(pager.sequence, sequence + 1);
    assert.equal(pager.has(20), false);
    assert.equal(pager.has(14) && pager.has(35), true);
  });

  it("come back with a rollback, close, a kill, and another image", () => {
    commit(write(0, 20));
    const kill = () => {
      pager.abandon();
      model.rollback();
      open();
    };
    for (const drop of [rollback, reopen, kill]) {
      discard(0, blockLimit);
      verify();
      drop();
      verify();
      commit();
      verify();
    }
    model.createSnapshot(
      "a",
      performRecord(pager, () => pager.createSnapshot("a")),
    );
    discard(3, 5);
    performRecord(pager, () => pager.restoreSnapshot("a"));
    model.restore("a");
    commit(write(30));
  });

  it("of the whole image cost nothing for what was never written", () => {
    commit(...wideShape.regions.map(({ block }) => write(block, 3)));
    const before = pager.stats().bytesWritten;
    discard(0, blockLimit);
    verify();
    commit();
    verify();
    for (const { block } of wideShape.regions) assert.equal(pager.has(block + 1), false);
    // One header: the entries of 15 blocks.
    assert.ok(pager.stats().bytesWritten - before <= 20 * 4096);
    assert.equal(pager.stats().liveSlots, model.image.size);
  });

  it("without a written block make no commit, and are done with", async () => {
    commit(write(10, 5));
    const { sequence } = pager;
    discard(15, blockLimit - 15);
    discard(0, 10);
    discard(12, 0);
    assert.equal(pager.commit([]), sequence);
    await pager.compact();
    const compacted = pager.sequence;
    discard(20, 5);
    spill(22);
    rollback();
    assert.equal(pager.commit([]), compacted);
  });

  it("and spilled: the later one counts", () => {
    commit(write(0, 20));
    spill(3, 4);
    discard(5, 10);
    verify();
    spill(7, 2);
    verify();
    commit();
    verify();
    discard(0, 100);
    spill(2, 3);
    spill(50, 3);
    discard(51, 1);
    discard(3, 1);
    commit(write(4, 2));
  });

  it("and committed otherwise: the commit counts", () => {
    commit(write(0, 600));
    discard(100, 400);
    commit(write(90, 20), { block: 200, count: 50, stamp: null }, write(499, 2), write(300), write(302));
    verify();
    discard(0, 700);
    commit(write(650, 100), write(0, 3), { block: 5, count: 3, stamp: null });
  });

  it("with a checkpoint in between, asked for or needed", () => {
    commit(write(0, 300));
    discard(50, 100);
    checkpoint();
    verify();
    discard(200, 2 ** 30);
    spill(210, 700);
    verify();
    checkpoint();
    commit(write(5));
    verify();
    checkpoint();
  });

  it("are not seen by readers, nor in a snapshot or a backup", async () => {
    commit(write(0, 10));
    const image = new Map(model.image);
    const reader = new Reader(place, "state", hasher, machine.start());
    discard(2, 5);
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
    discard(3, 1);
    await expectCodeAsync("BUSY", pager.compact());
    verify();
    commit();
    await pager.compact();
  });

  it("are refused when one commit cannot list them, with nothing changed", () => {
    commit(write(0, 60), write(2 ** 33, 60));
    reopen({ commitBlocks: 100 });
    spill(5);
    expectCode("LIMIT", () => pager.discard(0, blockLimit));
    verify();
    discard(0, 2 ** 33 + 40);
    verify();
    expectCode("LIMIT", () => pager.discard(2 ** 33 + 39, 2));
    verify();
    // What was never written, or was counted already, is free.
    discard(2 ** 34, 2 ** 34);
    discard(0, 2 ** 33 + 40);
    expectCode("LIMIT", () => pager.commit([changeOf({ block: 1000, count: 1, stamp: 99 })]));
    verify();
    commit(write(7, 20));
    verify();
    discard(0, blockLimit);
    commit();
  });

  it("need no blocks that verify", () => {
    commit(write(0, 10));
    pager.close();
    const content = Buffer.from(changeOf({ block: 4, count: 1, stamp: 1 }).bytes!);
    const at = Buffer.from(place.readFile("state")!).indexOf(content);
    assert.ok(at > 0);
    const storage = place.open("state", "write");
    storage.write(at + 100, new Uint8Array([~content[100]!]));
    storage.close();
    open();
    const into = new Uint8Array(10 * 4096);
    expectCode("CORRUPT", () => pager.read(0, 10, into));
    discard(4, 1);
    pager.read(0, 10, into);
    commit();
    pager.read(0, 10, into);
  });

  it("of what are no blocks are refused", () => {
    for (const [block, count] of [
      [-1, 2],
      [0, -1],
      [0.5, 1],
      [0, 0.5],
      [1, blockLimit],
      [blockLimit, 1],
      [0, Number.NaN],
    ] as const) {
      expectCode("INVALID_ARGUMENT", () => pager.discard(block, count));
    }
    discard(0, 100);
    expectCode("INVALID_ARGUMENT", () => pager.read(0, 2, new Uint8Array(8191)));
  });

  it("in random order with everything else", () =>
    withSeed("random discards", (random) => {
      for (const limits of [{ chainSlots: 20 }, { chainSlots: 90, chainCommits: 4 }, { chainSlots: 2000 }]) {
        reopen(limits);
        for (let i = 0; i < 150; i++) {
          step(random);
          if (i % 30 === 29) verify();
        }
        rollback();
      }
    }));

  function step(random: Random): void {
    const { regions } = wideShape;
    const { block, count } = random.pick(regions);
    const from = block + random.below(count);
    const choice = random.below(20);
    if (choice < 6) {
      const most = random.pick([3, 60, count, 2 ** 25, blockLimit]);
      discard(from, Math.min(1 + random.below(most), blockLimit - from));
    } else if (choice < 9) spill(from, Math.min(1 + random.below(10), block + count - from));
    else if (choice < 15) {
      const blocks = random.pick([2, 30, 250]);
      performCommit(pager, model, randomExtents(random, model, regions, blocks), random.oneIn(2));
    } else if (choice < 17) checkpoint();
    else if (choice < 19) rollback();
    else commit();
  }
});

describe("block ranges", () => {
  it("are those of a plain set", () =>
    withSeed("block ranges", (random) => {
      for (let round = 0; round < 200; round++) {
        const ranges = new BlockRanges();
        const set = new Set<number>();
        for (let i = 0; i < 12; i++) {
          const block = random.below(60);
          const count = random.below(10);
          ranges.add(block, count);
          for (let j = 0; j < count; j++) set.add(block + j);
          const listed = [...ranges];
          assert.deepEqual(
            listed.flatMap((range) => Array.from({ length: range.count }, (_, j) => range.block + j)),
            [...set].sort((a, b) => a - b),
          );
          for (let j = 1; j < listed.length; j++) {
            assert.ok(
              listed[j - 1]!.block + listed[j - 1]!.count < listed[j]!.block,
              "adjoining ranges are one",
            );
          }
          const [from, length] = [random.below(70), random.below(20)];
          assert.deepEqual(
            ranges
              .gaps(from, length)
              .flatMap((gap) => Array.from({ length: gap.count }, (_, j) => gap.block + j)),
            Array.from({ length }, (_, j) => from + j).filter((each) => !set.has(each)),
          );
        }
        assert.equal(ranges.isEmpty, set.size === 0);
        ranges.clear();
        assert.ok(ranges.isEmpty);
      }
    }));
});
