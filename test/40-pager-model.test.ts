// The pager does what plain maps do: random operations on both, on every kind of storage, with everything compared
// and every slot accounted for.

import assert from "node:assert/strict";
import type { ErrorCode } from "../bindings/base/errors.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPagerOn } from "../bindings/pager/open.js";
import type { Change, Pager } from "../bindings/pager/pager.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryStorage } from "../bindings/storage/memory.js";
import { expectCode } from "./support/expect-code.js";
import {
  assertSound,
  blockBytes,
  blockLimit,
  bytesOf,
  type Extent,
  PagerModel,
  performCommit,
  performRandom,
  performRecord,
  randomExtents,
  type Shape,
  verifyAgainst,
  verifyRange,
  wideShape,
} from "./support/pager-model.js";
import { type Subject, subjects, verifyKilled } from "./support/pager-subjects.js";
import { type Random, withSeed } from "./support/random.js";

const hasher = await WasmHasher.create();

/** Opens a new state in memory, for this test alone. */
function openAlone(limits: Partial<Limits> = {}): Pager {
  return openPagerOn(new MemoryStorage(), hasher, { limits });
}

interface Campaign {
  steps: number;
  /** Everything is compared after each so many steps. */
  verifyEvery: number;
  limits: Partial<Limits>;
  shape: Shape;
}

/** Random operations, opening again after a close or as after a kill. */
async function run(random: Random, subject: Subject, campaign: Campaign): Promise<void> {
  const { steps, verifyEvery, limits, shape } = campaign;
  const model = new PagerModel();
  let pager = subject.open(hasher, { limits });
  const log: string[] = [];
  try {
    for (let step = 1; step <= steps; step++) {
      if (random.oneIn(25)) {
        const { sequence } = pager;
        const { commits } = pager.stats().chain;
        const killed = random.oneIn(2);
        if (killed) pager.abandon();
        else pager.close();
        model.rollback();
        pager = subject.open(hasher, { limits });
        log.push(killed ? "abandon" : "close");
        // Whoever ends the chain, the one who closes or the one who opens, takes a sequence number for it.
        assert.equal(pager.sequence, sequence + (commits > 0 ? 1 : 0));
        assert.equal(pager.lastFlushed, pager.sequence);
      } else log.push(await performRandom(random, pager, model, shape));
      if (step % verifyEvery !== 0) continue;
      verifyAgainst(pager, model);
      const killed = model.copy();
      killed.rollback();
      verifyKilled(subject.bytes(), hasher, killed);
    }
    verifyAgainst(pager, model);
    pager.close();
    model.rollback();
    pager = subject.open(hasher, { limits, create: false });
    verifyAgainst(pager, model);
  } catch (error) {
    console.error(`    after ${log.slice(-12).join(", ")} (step ${log.length})`);
    throw error;
  } finally {
    pager.close();
  }
}

describe("the pager against plain maps", () => {
  for (const [name, make] of subjects) {
    it(`random operations in ${name}`, () =>
      withSeed(`random operations in ${name}`, async (random) => {
        const subject = make();
        try {
          await run(random, subject, { steps: 250, verifyEvery: 50, limits: {}, shape: wideShape });
        } finally {
          subject.dispose();
        }
      }));
  }

  it("random operations while every commit checkpoints", () =>
    withSeed("every commit checkpoints", async (random) => {
      for (const limits of [{ chainCommits: 1 }, { chainSlots: 1 }, { chainSlots: 24, mapNodes: 1 }]) {
        const [, make] = subjects[random.below(3)];
        const subject = make();
        try {
          await run(random, subject, { steps: 120, verifyEvery: 40, limits, shape: wideShape });
        } finally {
          subject.dispose();
        }
      }
    }));

  it("random operations in a small image that is overwritten again and again", () =>
    withSeed("a small image", async (random) => {
      const shape = { regions: [{ block: 250, count: 24 }], commitBlocks: 24, spills: 8, snapshots: 3 };
      const [, make] = subjects[0];
      const limits = { chainSlots: 64, chainCommits: 5, mapNodes: 2 };
      await run(random, make(), { steps: 600, verifyEvery: 25, limits, shape });
    }));
});

describe("commits", () => {
  let pager: Pager;
  let model: PagerModel;

  const begin = (limits: Partial<Limits> = {}) => {
    pager = openAlone(limits);
    model = new PagerModel();
  };
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const discard = (block: number, count = 1): Extent => ({ block, count, stamp: null });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);

  beforeEach(() => begin());
  afterEach(() => pager.close());

  it("of every size around what one header, the staging area and a chain hold", () => {
    begin({ chainSlots: 300 });
    for (const count of [1, 2, 164, 165, 166, 167, 253, 254, 255, 256, 257, 335, 336, 337, 505, 506, 2000]) {
      commit(write(1000, count));
      verifyRange(pager, model.image, 999, count + 2, `${count} blocks`);
    }
    verifyAgainst(pager, model);
  });

  it("of 300 extents at once, in any order", () =>
    withSeed("300 extents", (random) => {
      const extents = Array.from({ length: 300 }, (_, i) => write(i * 7, 1 + (i % 6)));
      commit(...random.shuffle(extents));
      verifyAgainst(pager, model);
    }));

  it("at both ends of the image and where trees of each height end", () => {
    for (const end of [1, 2, 3, 4, 5].map((height) => 256 ** height)) {
      commit(write(end - 1));
      verifyAgainst(pager, model);
      if (end < blockLimit) commit(write(end));
      performRecord(pager, () => pager.checkpoint());
      verifyAgainst(pager, model);
    }
    commit(write(0), write(blockLimit - 300, 300));
    verifyAgainst(pager, model);
  });

  it("of trees that grow and shrink to nothing, at each height", () => {
    for (const block of [0, 256, 256 ** 2, 256 ** 3, 256 ** 4, blockLimit - 1]) {
      commit(write(block));
      performRecord(pager, () => pager.checkpoint());
      commit(discard(block));
      performRecord(pager, () => pager.checkpoint());
      verifyAgainst(pager, model);
      assert.equal(pager.stats().liveSlots, 0);
    }
  });

  it("that discard: blocks there, blocks never written, and some of them twice", () => {
    commit(write(10, 20), discard(40, 3));
    commit(discard(5, 10), write(15, 2));
    commit(discard(5, 10));
    verifyAgainst(pager, model);
    assert.equal(pager.has(14), false);
    assert.equal(pager.has(15), true);
  });

  it("of nothing take no sequence number", () => {
    assert.equal(pager.commit([], false), 0);
    assert.equal(pager.flush(), 0);
    commit(write(3));
    const { sequence, lastFlushed } = pager;
    assert.equal(pager.commit([], false), sequence);
    assert.equal(pager.lastFlushed, lastFlushed);
    assert.equal(pager.commit([], true), sequence);
    assert.equal(pager.lastFlushed, sequence);
  });

  it("do not keep the caller's bytes", () => {
    const bytes = bytesOf(4, model.nextStamp());
    model.commit([{ block: 4, count: 1, stamp: 1 }]);
    pager.commit([{ block: 4, count: 1, bytes }], false);
    bytes.fill(7);
    verifyAgainst(pager, model);
  });

  it("take bytes that begin anywhere in their buffer", () => {
    const bytes = new Uint8Array(3 * blockBytes + 5).subarray(5);
    const stamp = model.nextStamp();
    bytes.set(bytesOf(77, stamp, 3));
    pager.commit([{ block: 77, count: 3, bytes }]);
    model.commit([{ block: 77, count: 3, stamp }]);
    verifyAgainst(pager, model);
  });

  it("300 in a chain that ends after each, with one node in memory", () =>
    withSeed("300 tiny chains", (random) => {
      begin({ chainCommits: 1, mapNodes: 1 });
      for (let i = 0; i < 300; i++) {
        commit(...randomExtents(random, model, wideShape.regions, i % 50 === 0 ? 300 : 3));
        if (i % 60 === 59) verifyAgainst(pager, model);
      }
      assert.ok(pager.stats().checkpoints >= 299);
    }));

  it("do not depend on how many nodes stay in memory", () =>
    withSeed("nodes in memory", (random) => {
      const pagers = [1, 2, 5, 1000].map((mapNodes) => openAlone({ mapNodes, chainCommits: 3 }));
      for (let i = 0; i < 60; i++) {
        const extents = randomExtents(random, model, wideShape.regions, 10);
        model.commit(extents);
        for (const each of pagers) {
          each.commit(
            extents.map(({ block, count, stamp }) => ({
              block,
              count,
              bytes: stamp === null ? null : bytesOf(block, stamp, count),
            })),
            false,
          );
        }
      }
      for (const each of pagers) {
        verifyAgainst(each, model);
        each.close();
      }
    }));
});

describe("arguments that are not what they should be", () => {
  let storage: MemoryStorage;
  let pager: Pager;
  let model: PagerModel;
  let before: Uint8Array;

  const content = (): Uint8Array => {
    const bytes = new Uint8Array(storage.size());
    storage.read(0, bytes);
    return bytes;
  };

  beforeEach(() => {
    storage = new MemoryStorage();
    pager = openPagerOn(storage, hasher);
    model = new PagerModel();
    performCommit(pager, model, [{ block: 5, count: 10, stamp: model.nextStamp() }], true);
    pager.spill(7, bytesOf(7, 99));
    model.spill(7, 99);
    before = content();
  });

  /** Nothing was written or forgotten, and the pager goes on. */
  afterEach(() => {
    assert.deepEqual(content(), before);
    verifyAgainst(pager, model);
    performCommit(pager, model, [{ block: 6, count: 3, stamp: model.nextStamp() }], false);
    verifyAgainst(pager, model);
    pager.close();
  });

  const zeros = (count: number) => new Uint8Array(count * blockBytes);
  const numbers = [-1, -0.5, 0.5, 1.5, Number.NaN, Number.POSITIVE_INFINITY, blockLimit, 2 ** 53, 2 ** 60];

  it("blocks that no image has", () => {
    for (const block of numbers) {
      expectCode("INVALID_ARGUMENT", () => pager.commit([{ block, count: 1, bytes: zeros(1) }]));
      expectCode("INVALID_ARGUMENT", () => pager.commit([{ block, count: 1, bytes: null }]));
      expectCode("INVALID_ARGUMENT", () => pager.spill(block, zeros(1)));
      expectCode("INVALID_ARGUMENT", () => pager.read(block, 1, zeros(1)));
    }
  });

  it("counts that no image has", () => {
    for (const count of [0, ...numbers]) {
      const bytes = new Uint8Array(0);
      expectCode("INVALID_ARGUMENT", () => pager.commit([{ block: 1, count, bytes }]));
      expectCode("INVALID_ARGUMENT", () => pager.commit([{ block: 1, count, bytes: null }]));
      if (count !== 0) expectCode("INVALID_ARGUMENT", () => pager.read(1, count, bytes));
    }
    expectCode("INVALID_ARGUMENT", () => pager.commit([{ block: blockLimit - 1, count: 2, bytes: null }]));
    expectCode("INVALID_ARGUMENT", () => pager.read(blockLimit - 1, 2, zeros(2)));
  });

  it("bytes of another length", () => {
    for (const length of [0, 1, blockBytes - 1, blockBytes + 1, 2 * blockBytes]) {
      const bytes = new Uint8Array(length);
      expectCode("INVALID_ARGUMENT", () => pager.commit([{ block: 1, count: 1, bytes }]));
      expectCode("INVALID_ARGUMENT", () => pager.spill(1, bytes));
      if (length < blockBytes) expectCode("INVALID_ARGUMENT", () => pager.read(6, 1, bytes));
    }
    expectCode("INVALID_ARGUMENT", () => pager.read(5, 3, zeros(2)));
  });

  it("a block twice in one commit", () => {
    const write = (block: number, count: number): Change => ({ block, count, bytes: zeros(count) });
    const discard = (block: number, count: number): Change => ({ block, count, bytes: null });
    const twice: Change[][] = [
      [write(1, 1), write(1, 1)],
      [write(1, 4), write(4, 1)],
      [write(4, 1), write(1, 4)],
      [write(1, 9), write(3, 1)],
      [write(3, 1), write(1, 9)],
      [discard(1, 1), write(1, 1)],
      [write(1, 1), discard(0, 2)],
      [discard(7, 2), discard(8, 1)],
      [write(20, 1), write(1, 1), write(10, 2), write(11, 9)],
      [write(1, 30), write(40, 1), write(5, 1)],
    ];
    for (const changes of twice) {
      expectCode("INVALID_ARGUMENT", () => pager.commit(changes));
      expectCode("INVALID_ARGUMENT", () => pager.commit([...changes].reverse(), false));
    }
  });

  it("the valid ones before an invalid one are not done either", () => {
    expectCode("INVALID_ARGUMENT", () =>
      pager.commit([
        { block: 7, count: 1, bytes: null },
        { block: -1, count: 1, bytes: zeros(1) },
      ]),
    );
  });

  it("more blocks than one commit can name", () => {
    for (const count of [2 ** 28, 2 ** 32, blockLimit]) {
      const error = expectCode("LIMIT", () => pager.commit([{ block: 0, count, bytes: null }]));
      assert.match(error.message, /blocks/);
    }
  });

  it("a closed handle", () => {
    const other = openAlone();
    other.close();
    other.close();
    const calls: [string, () => unknown][] = [
      ["read", () => other.read(0, 1, zeros(1))],
      ["has", () => other.has(0)],
      ["commit", () => other.commit([])],
      ["spill", () => other.spill(0, zeros(1))],
      ["rollback", () => other.rollback()],
      ["flush", () => other.flush()],
      ["checkpoint", () => other.checkpoint()],
      ["createSnapshot", () => other.createSnapshot("a")],
      ["deleteSnapshot", () => other.deleteSnapshot("a")],
      ["restoreSnapshot", () => other.restoreSnapshot("a")],
      ["openSnapshot", () => other.openSnapshot("a")],
      ["snapshots", () => other.snapshots],
      ["check", () => other.check()],
      ["stats", () => other.stats()],
    ];
    const code: ErrorCode = "CLOSED";
    for (const [, call] of calls) expectCode(code, call);
  });

  it("names of snapshots that cannot be", () => {
    for (const name of ["", "x".repeat(1025), "ä".repeat(513), "half \ud800 a pair"]) {
      expectCode("INVALID_ARGUMENT", () => pager.createSnapshot(name));
      expectCode("NOT_FOUND", () => pager.openSnapshot(name));
      expectCode("NOT_FOUND", () => pager.deleteSnapshot(name));
      expectCode("NOT_FOUND", () => pager.restoreSnapshot(name));
    }
  });
});

describe("sequences", () => {
  it("go on over opening again, whatever happened", () =>
    withSeed("sequences", (random) => {
      const [, make] = subjects[0];
      const subject = make();
      let last = 0;
      for (let i = 0; i < 40; i++) {
        const pager = subject.open(hasher);
        assert.ok(pager.sequence >= last, `opened at ${pager.sequence} after ${last}`);
        assert.equal(pager.lastFlushed, pager.sequence);
        for (let n = random.below(4); n > 0; n--) {
          const { sequence } = pager;
          last = pager.commit([{ block: n, count: 1, bytes: bytesOf(n, i) }], random.oneIn(2));
          assert.equal(last, sequence + 1);
        }
        assertSound(pager);
        if (random.oneIn(2)) pager.close();
        else pager.abandon();
      }
    }));
});
