// The size of the file, and that space comes back: under updates without end the file keeps to twice what lives in it
// and in its chain, and fragmented space is used in pieces.

import assert from "node:assert/strict";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { FakeMachine } from "./support/fake-processes.js";
import {
  assertSound,
  blockBytes,
  bytesOf,
  type Extent,
  PagerModel,
  performCommit,
  performRecord,
  randomExtents,
  verifyAgainst,
} from "./support/pager-model.js";
import { verifyKilled } from "./support/pager-subjects.js";
import { withSeed } from "./support/random.js";

const hasher = await WasmHasher.create();

describe("space in the file", () => {
  let place: MemoryPlace;
  let pager: Pager;
  let model: PagerModel;

  const begin = (limits: Partial<Limits>) => {
    place = new MemoryPlace();
    pager = openPager(place, "state", hasher, new FakeMachine().start(), { limits });
    model = new PagerModel();
  };
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);
  const checkpoint = () => performRecord(pager, () => pager.checkpoint());
  const fileSlots = () => pager.stats().fileBytes / blockBytes;

  afterEach(() => {
    verifyAgainst(pager, model);
    verifyKilled(place.readFile("state")!, hasher, model);
    pager.close();
  });

  for (const [what, blocks] of [
    ["single blocks", 1],
    ["a few blocks", 9],
  ] as const) {
    it(`stays below twice what lives and one chain, under updates of ${what}`, () =>
      withSeed(`updates of ${what}`, (random) => {
        const chainSlots = 1024;
        begin({ chainSlots, chainCommits: 1e9 });
        const live = 2000;
        for (let block = 0; block < live; block += 100) commit(write(block, 100));
        const commits = 2 * Math.floor(12000 / blocks);
        let most = 0;
        let atHalf = 0;
        for (let i = 1; i <= commits; i++) {
          commit(...randomExtents(random, model, [{ block: 0, count: live }], blocks, false));
          if (i % 20 === 0) most = Math.max(most, fileSlots());
          if (i === commits / 2) atHalf = most;
        }
        assert.ok(most <= 2 * (live + chainSlots), `${most} slots for ${live} live blocks`);
        assert.ok(most <= atHalf * 1.12, `${most} slots after ${atHalf}: the file keeps growing`);
        assertSound(pager);
      }));
  }

  it("of blocks far apart, each below nodes of its own, is bounded too", () =>
    withSeed("far apart", (random) => {
      begin({ chainSlots: 512, chainCommits: 1e9 });
      const regions = Array.from({ length: 300 }, (_, i) => ({ block: i * 2 ** 26, count: 1 }));
      for (const { block } of regions) commit(write(block));
      let most = 0;
      let atHalf = 0;
      for (let i = 1; i <= 6000; i++) {
        commit(...randomExtents(random, model, regions, 2, false));
        if (i % 20 === 0) most = Math.max(most, fileSlots());
        if (i === 3000) atHalf = most;
      }
      // Nearly every node is rewritten by each checkpoint: the two retained generations and the new one exist at once.
      checkpoint();
      const live = pager.stats().liveSlots;
      assert.ok(most <= 4 * (live + 512), `${most} slots for ${live} that live`);
      assert.ok(most <= atHalf * 1.12, `${most} slots after ${atHalf}: the file keeps growing`);
    }));

  it("does not grow while the same snapshot is made and deleted", () =>
    withSeed("same snapshot", (random) => {
      begin({ chainSlots: 256 });
      commit(write(0, 500));
      let atHalf = 0;
      for (let i = 0; i < 200; i++) {
        pager.createSnapshot("a");
        for (let j = 0; j < 10; j++) commit(...randomExtents(random, model, [{ block: 0, count: 500 }], 5));
        pager.deleteSnapshot("a");
        if (i === 100) atHalf = fileSlots();
      }
      assert.ok(fileSlots() <= atHalf, `${fileSlots()} slots after ${atHalf}`);
    }));

  it("of discarded blocks is used again", () => {
    begin({ chainSlots: 256 });
    let most = 0;
    for (let i = 0; i < 60; i++) {
      commit(write(i * 1000, 800));
      commit({ block: i * 1000, count: 800, stamp: null });
      if (i === 10) most = fileSlots();
    }
    checkpoint();
    assert.ok(fileSlots() <= most, `${fileSlots()} slots after ${most}`);
    assert.equal(pager.stats().liveSlots, 0);
  });

  it("does not grow by opening and closing", () => {
    begin({});
    commit(write(0, 300));
    let sizes = new Set<number>();
    for (let i = 0; i < 60; i++) {
      if (i === 20) sizes = new Set();
      if (i % 2 === 0) commit(write(i % 7));
      pager.close();
      pager = openPager(place, "state", hasher, new FakeMachine().start());
      sizes.add(fileSlots());
    }
    assert.ok(sizes.size <= 2, `sizes of the file: ${[...sizes]}`);
  });

  it("comes back after one large commit, for many small ones", () => {
    begin({ chainSlots: 64 });
    commit(write(0, 2000));
    commit(write(0, 2000));
    checkpoint();
    checkpoint();
    checkpoint();
    const before = fileSlots();
    for (let i = 0; i < 1000; i++) commit(write(3000 + (i % 1500)));
    assert.equal(fileSlots(), before);
  });

  it("a commit larger than any chain goes through, again and again", () => {
    begin({ chainSlots: 16 });
    for (let i = 0; i < 12; i++) {
      commit(write(i, 2000));
      commit(write(5));
    }
    assert.ok(fileSlots() <= 4 * 2050, `${fileSlots()} slots`);
  });

  it("fragmented: segments lie in several pieces", () =>
    withSeed("fragmented", (random) => {
      begin({ chainSlots: 512, chainCommits: 1e9 });
      // Every second group of 12 blocks is given up, so that only short extents are free.
      for (let block = 0; block < 6000; block += 12) commit(write(block, 12));
      for (let block = 0; block < 6000; block += 24) commit({ block, count: 12, stamp: null });
      for (let i = 0; i < 4; i++) {
        checkpoint();
        commit(write(7000 + i));
      }
      let several = 0;
      for (let i = 0; i < 300; i++) {
        const { runs, slots } = pager.stats().chain;
        commit(...randomExtents(random, model, [{ block: 0, count: 7000 }], random.pick([3, 20, 40])));
        if (runs > 1 && pager.stats().chain.slots - slots > 16) several++;
        if (i % 100 === 99) verifyKilled(place.readFile("state")!, hasher, model);
      }
      assert.ok(several > 20, `only ${several} commits could lie in several pieces`);
    }));

  it("fragmented: headers of several slots, with spills between header and blocks", () =>
    withSeed("fragmented headers", (random) => {
      begin({ chainSlots: 700, chainCommits: 1e9 });
      for (let block = 0; block < 4000; block += 10) commit(write(block, 10));
      for (let block = 0; block < 4000; block += 20) commit({ block, count: 10, stamp: null });
      checkpoint();
      checkpoint();
      for (let i = 0; i < 40; i++) {
        for (let count = random.below(30); count > 0; count--) {
          const block = random.below(4000);
          const stamp = model.nextStamp();
          pager.spill(block, bytesOf(block, stamp));
          model.spill(block, stamp);
        }
        // Discards need room in the header and nowhere else.
        const discarded = { block: 5000, count: 160 + random.below(400), stamp: null };
        commit(discarded, ...randomExtents(random, model, [{ block: 0, count: 4000 }], 20, false));
        if (i % 13 === 0) verifyKilled(place.readFile("state")!, hasher, model);
      }
    }));
});
