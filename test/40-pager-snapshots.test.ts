// Snapshots: a commit that is kept under a name, read after thousands of others, restored, deleted; and that its
// slots come back when nothing needs them any more.

import assert from "node:assert/strict";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { writePin } from "../bindings/pager/pins.js";
import { Reader } from "../bindings/pager/reader.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { expectCode } from "./support/expect-code.js";
import { FakeMachine, type FakeProcess } from "./support/fake-processes.js";
import {
  assertSound,
  blockBytes,
  type Extent,
  PagerModel,
  performCommit,
  performRandom,
  performRecord,
  performSpill,
  randomExtents,
  verifyAgainst,
  verifyImage,
  wideShape,
} from "./support/pager-model.js";
import { verifyKilled } from "./support/pager-subjects.js";
import { withSeed } from "./support/random.js";

const hasher = await WasmHasher.create();

describe("snapshots", () => {
  let place: MemoryPlace;
  let machine: FakeMachine;
  let writer: FakeProcess;
  let pager: Pager;
  let model: PagerModel;

  const open = (limits: Partial<Limits> = {}): Pager => openPager(place, "state", hasher, writer, { limits });
  const reopen = (limits: Partial<Limits> = {}): void => {
    pager.close();
    model.rollback();
    pager = open(limits);
  };
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);
  const create = (name: string) =>
    model.createSnapshot(
      name,
      performRecord(pager, () => pager.createSnapshot(name)),
    );
  const restore = (name: string) => {
    performRecord(pager, () => pager.restoreSnapshot(name));
    model.restore(name);
  };
  const remove = (name: string) => {
    performRecord(pager, () => pager.deleteSnapshot(name));
    model.snapshots.delete(name);
  };
  const pins = () => place.list("state.pin-").length;

  beforeEach(() => {
    place = new MemoryPlace();
    machine = new FakeMachine();
    writer = machine.start();
    pager = open();
    model = new PagerModel();
  });

  afterEach(() => {
    verifyAgainst(pager, model);
    pager.close();
    pager = open();
    model.rollback();
    verifyAgainst(pager, model);
    pager.close();
    assert.deepEqual(place.list(""), ["state"]);
  });

  it("of an empty image, and of one that became empty again", () => {
    create("nothing");
    commit(write(5, 3));
    create("three");
    commit({ block: 5, count: 3, stamp: null });
    create("nothing again");
    verifyAgainst(pager, model);
    restore("three");
    verifyAgainst(pager, model);
    restore("nothing");
  });

  it("two of the same commit share everything", () => {
    commit(write(0, 300));
    create("a");
    const { held } = pager.check().slots;
    create("b");
    assert.equal(pager.check().slots.held, held);
    remove("a");
    assert.equal(pager.check().slots.held, held);
  });

  it("take a name once, each name, and names of every kind", () => {
    const names = [
      "a",
      "A",
      "ä",
      "日本語",
      "x".repeat(1024),
      "ß".repeat(512),
      "with / slash",
      " ",
      "\u0000",
      "𝄞",
    ];
    for (const name of names) {
      commit(write(names.indexOf(name)));
      create(name);
      expectCode("INVALID_ARGUMENT", () => pager.createSnapshot(name));
    }
    verifyAgainst(pager, model);
    reopen();
    for (const name of names) expectCode("INVALID_ARGUMENT", () => pager.createSnapshot(name));
  });

  it("as many as fill several slots of the directory", () =>
    withSeed("many snapshots", (random) => {
      const nameOf = (i: number) => `${"long ".repeat(1 + random.below(200))}${i}`.slice(-1024);
      for (let i = 0; i < 60; i++) {
        commit(...randomExtents(random, model, [{ block: 0, count: 60 }], 5));
        create(nameOf(i));
      }
      verifyAgainst(pager, model);
      reopen();
      for (const name of random.shuffle([...model.snapshots.keys()])) {
        if (random.oneIn(10)) verifyAgainst(pager, model);
        remove(name);
      }
      assert.equal(pager.check().slots.held, 0);
    }));

  it("are listed with the commit and the time that they were made", () => {
    commit(write(1));
    const before = Date.now();
    create("a");
    const [entry] = pager.snapshots;
    assert.equal(entry.sequence, pager.sequence);
    assert.ok(entry.time >= before && entry.time <= Date.now());
    reopen();
    assert.deepEqual(
      pager.snapshots.map(({ name, sequence, time }) => ({ name, sequence, time })),
      [{ name: "a", sequence: entry.sequence, time: entry.time }],
    );
  });

  it("show the last commit, not what was spilled since; that is committed later", () => {
    commit(write(10, 5));
    performSpill(pager, model, 12);
    performSpill(pager, model, 99);
    create("without spills");
    verifyAgainst(pager, model);
    commit(write(11));
    verifyAgainst(pager, model);
  });

  it("are still there, unchanged, after thousands of commits and many openings", () =>
    withSeed("old snapshots", (random) => {
      const limits = { chainSlots: 200, chainCommits: 40, mapNodes: 3 };
      reopen(limits);
      const regions = [
        { block: 100, count: 200 },
        { block: 2 ** 33, count: 20 },
      ];
      commit(...randomExtents(random, model, regions, 150, false));
      create("old");
      const view = pager.openSnapshot("old");
      for (let i = 0; i < 3000; i++) {
        commit(...randomExtents(random, model, regions, 3));
        if (i === 700) create("newer");
        if (i % 1000 === 999) verifyImage(view, model.snapshots.get("old")!.image, "the open snapshot");
      }
      view.close();
      verifyAgainst(pager, model);
      reopen(limits);
      verifyAgainst(pager, model);
      remove("old");
      for (let i = 0; i < 200; i++) commit(...randomExtents(random, model, regions, 3));
    }));

  it("restored: the image is that one again, as a new commit, and goes on from there", () =>
    withSeed("restored", (random) => {
      for (let i = 0; i < 40; i++) {
        commit(...randomExtents(random, model, wideShape.regions, 8));
        if (i % 8 === 0) create(`after ${i}`);
      }
      for (const name of ["after 16", "after 0", "after 32", "after 32"]) {
        performSpill(pager, model, 3);
        restore(name);
        assert.equal(pager.has(2 ** 39), model.image.has(2 ** 39));
        verifyAgainst(pager, model);
        for (let i = 0; i < 5; i++) commit(...randomExtents(random, model, wideShape.regions, 8));
        verifyAgainst(pager, model);
        if (random.oneIn(2)) reopen();
      }
    }));

  it("restored and then lost to a kill: the restoring is a commit like others", () => {
    commit(write(1, 10));
    create("a");
    commit(write(5, 10));
    restore("a");
    commit(write(3));
    pager.abandon();
    pager = open();
    verifyAgainst(pager, model);
  });

  it("deleted: what only it held becomes free", () => {
    commit(write(0, 500));
    create("a");
    commit(write(0, 500));
    performRecord(pager, () => pager.checkpoint());
    const { liveSlots } = pager.stats();
    assert.ok(liveSlots >= 1000);
    remove("a");
    assert.ok(pager.stats().liveSlots <= 500 + 10);
    // Two checkpoints later neither superblock knows the snapshot any more.
    performRecord(pager, () => pager.checkpoint());
    performRecord(pager, () => pager.checkpoint());
    const { fileBytes } = pager.stats();
    commit(write(1000, 400));
    assert.equal(pager.stats().fileBytes, fileBytes);
  });

  it("deleted while open: LOCKED until the last look at it is closed", () => {
    commit(write(0, 5));
    create("a");
    create("b");
    const first = pager.openSnapshot("a");
    const second = pager.openSnapshot("a");
    remove("b");
    first.close();
    first.close();
    const error = expectCode("LOCKED", () => pager.deleteSnapshot("a"));
    assert.match(error.message, /"a"/);
    expectCode("CLOSED", () => first.read(0, 1, new Uint8Array(blockBytes)));
    verifyImage(second, model.snapshots.get("a")!.image, "the second look");
    second.close();
    remove("a");
    expectCode("NOT_FOUND", () => pager.openSnapshot("a"));
    expectCode("NOT_FOUND", () => pager.deleteSnapshot("a"));
    expectCode("NOT_FOUND", () => pager.restoreSnapshot("a"));
  });

  it("deleted while a reader of another process has it pinned: LOCKED until it is gone, also after a compaction", async () => {
    commit(write(0, 5));
    create("a");
    for (let round = 0; round < 2; round++) {
      const other = machine.start();
      const reader = new Reader(place, "state", hasher, other);
      const { superblock, sequence } = reader;
      reader.close();
      const unpin = writePin(place, "state", { superblock, commit: sequence, snapshot: "a" }, hasher, other);
      expectCode("LOCKED", () => pager.deleteSnapshot("a"));
      if (round === 0) unpin();
      else other.kill();
      remove("a");
      assert.equal(pins(), 0);
      create("a");
      await pager.compact();
    }
  });

  it("a look at one ends with its pager", () => {
    commit(write(0, 5));
    create("a");
    const view = pager.openSnapshot("a");
    reopen();
    expectCode("CLOSED", () => view.read(0, 1, new Uint8Array(blockBytes)));
    view.close();
    remove("a");
  });

  it("cannot be read out of range", () => {
    commit(write(0, 5));
    create("a");
    const view = pager.openSnapshot("a");
    for (const block of [-1, 0.5, 2 ** 40, Number.NaN]) {
      expectCode("INVALID_ARGUMENT", () => view.read(block, 1, new Uint8Array(blockBytes)));
    }
    expectCode("INVALID_ARGUMENT", () => view.read(0, 2, new Uint8Array(blockBytes)));
    view.close();
  });

  it("made, restored and deleted in any order, killed in between", () =>
    withSeed("snapshots in any order", async (random) => {
      const limits = { chainCommits: 7, mapNodes: 4 };
      const shape = { ...wideShape, commitBlocks: 20, spills: 5 };
      reopen(limits);
      for (let i = 0; i < 500; i++) {
        const names = [...model.snapshots.keys()];
        const choice = random.below(12);
        if (choice === 0 && names.length < 6) create(`s${model.nextStamp()}`);
        else if (choice === 1 && names.length > 0) restore(random.pick(names));
        else if (choice === 2 && names.length > 0) remove(random.pick(names));
        else if (choice === 3) {
          model.rollback();
          if (random.oneIn(2)) pager.abandon();
          else pager.close();
          pager = open(limits);
        } else await performRandom(random, pager, model, shape);
        if (i % 100 === 99) {
          verifyAgainst(pager, model);
          const killed = model.copy();
          killed.rollback();
          verifyKilled(place.readFile("state")!, hasher, killed);
        } else if (i % 10 === 9) assertSound(pager);
      }
    }));

  it("a chain of commits and records is replayed whole, from either superblock", () => {
    commit(write(0, 300));
    create("a");
    for (let i = 0; i < 12; i++) {
      commit(write(i * 20, 3), { block: i * 20 + 10, count: 2, stamp: null });
      if (i === 4) create("b");
      if (i === 7) restore("a");
      if (i === 9) remove("b");
      verifyKilled(place.readFile("state")!, hasher, model);
    }
  });
});
