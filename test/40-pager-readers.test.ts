// Readers beside a writer, in one process: each sees one commit, whole, until it moves on; what it sees is protected
// by its pin; and one that cannot write a pin sees the right bytes or STALE, never others.

import assert from "node:assert/strict";
import { PerdureError } from "../bindings/base/errors.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { Reader } from "../bindings/pager/reader.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { NodePlace } from "../bindings/storage/node.js";
import { type Access, type Place, readOnlyError, type Storage } from "../bindings/storage/storage.js";
import { expectCode } from "./support/expect-code.js";
import { FakeMachine, type FakeProcess } from "./support/fake-processes.js";
import {
  assertSound,
  blockBytes,
  blockLimit,
  type Extent,
  type Image,
  PagerModel,
  performCommit,
  performRandom,
  performRecord,
  performSpill,
  randomExtents,
  verifyAgainst,
  verifyImage,
  verifyRange,
  wideShape,
} from "./support/pager-model.js";
import { type Random, withSeed } from "./support/random.js";
import { temporaryDirectory } from "./support/temporary-directory.js";

const hasher = await WasmHasher.create();

/** A directory whose files may be read and nothing else. */
class ReadOnlyPlace implements Place {
  constructor(
    private readonly inner: Place,
    readonly label = inner.label,
  ) {}

  open(name: string, access: Access): Storage {
    if (access === "write") this.refuse();
    return this.inner.open(name, access);
  }

  createExclusive = (): never => this.refuse();
  link = (): never => this.refuse();
  rename = (): never => this.refuse();
  remove = (): never => this.refuse();
  flush = (): never => this.refuse();
  list = (prefix: string) => this.inner.list(prefix);
  readFile = (name: string) => this.inner.readFile(name);
  exists = (name: string) => this.inner.exists(name);

  private refuse(): never {
    throw readOnlyError(this.label);
  }
}

describe("readers", () => {
  let place: Place;
  let machine: FakeMachine;
  let writer: FakeProcess;
  let pager: Pager;
  let model: PagerModel;

  const open = (limits: Partial<Limits> = {}) => {
    pager = openPager(place, "state", hasher, writer, { limits });
  };
  const reopen = (limits: Partial<Limits> = {}) => {
    pager.close();
    model.rollback();
    open(limits);
  };
  const newReader = (process = machine.start(), where = place) => new Reader(where, "state", hasher, process);
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);
  const checkpoint = () => performRecord(pager, () => pager.checkpoint());
  const create = (name: string) =>
    model.createSnapshot(
      name,
      performRecord(pager, () => pager.createSnapshot(name)),
    );
  const pins = () => place.list("state.pin-").length;
  const imageNow = (): Image => new Map(model.image);

  beforeEach(() => {
    place = new MemoryPlace();
    machine = new FakeMachine();
    writer = machine.start();
    model = new PagerModel();
    open();
  });

  afterEach(() => {
    verifyAgainst(pager, model);
    pager.close();
    assert.deepEqual(place.list(""), ["state"]);
  });

  it("see one commit until they refresh, and then the last one", () => {
    const reader = newReader();
    assert.equal(reader.sequence, 0);
    verifyImage(reader, new Map(), "an empty image");
    for (let i = 0; i < 30; i++) {
      const sequence: number = reader.sequence;
      const image = imageNow();
      commit(write(i * 10 + 50, 15), { block: i, count: 1, stamp: null });
      if (i % 7 === 3) checkpoint();
      if (i % 7 === 5) create(`s${i}`);
      assert.equal(reader.sequence, sequence);
      verifyImage(reader, image, "before refresh");
      assert.equal(reader.refresh(), pager.sequence);
      assert.equal(reader.sequence, pager.sequence);
      verifyImage(reader, model.image, "after refresh");
      assert.equal(reader.refresh(), pager.sequence);
      assert.equal(pins(), 1);
    }
    reader.close();
  });

  it("that start in the midst of a chain see its last commit", () => {
    for (let i = 0; i < 20; i++) {
      commit(write(i, 40));
      if (i % 6 === 5) checkpoint();
      const reader = newReader();
      assert.equal(reader.sequence, pager.sequence);
      verifyImage(reader, model.image, "the reader");
      reader.close();
      reader.close();
      assert.equal(pins(), 0);
    }
  });

  it("do not see what is not committed", () => {
    const reader = newReader();
    commit(write(0, 5));
    performSpill(pager, model, 2);
    performSpill(pager, model, 9);
    reader.refresh();
    verifyImage(reader, model.image, "the reader");
    reader.close();
  });

  it("see snapshots as of their commit", () => {
    commit(write(0, 300));
    create("a");
    commit(write(5, 20));
    create("b");
    const reader = newReader();
    const names = () => reader.snapshots.map(({ name }) => name).sort();
    const view = (name: string) => ({
      read: (block: number, count: number, into: Uint8Array) => reader.readSnapshot(name, block, count, into),
    });
    const images = new Map([...model.snapshots].map(([name, { image }]) => [name, image]));
    performRecord(pager, () => pager.deleteSnapshot("a"));
    model.snapshots.delete("a");
    create("c");
    for (let i = 0; i < 50; i++) {
      commit(write(i, 30));
      checkpoint();
    }
    assert.deepEqual(names(), ["a", "b"]);
    for (const [name, image] of images) verifyImage(view(name), image, `snapshot "${name}"`);
    const bytes = new Uint8Array(blockBytes);
    expectCode("NOT_FOUND", () => reader.readSnapshot("c", 0, 1, bytes));
    reader.refresh();
    assert.deepEqual(names(), ["b", "c"]);
    for (const [name, { image }] of model.snapshots) verifyImage(view(name), image, `snapshot "${name}"`);
    expectCode("NOT_FOUND", () => reader.readSnapshot("a", 0, 1, bytes));
    reader.close();
  });

  it("follow restoring and the writer's opening again", () => {
    commit(write(0, 50));
    create("a");
    const reader = newReader();
    commit(write(20, 50));
    performRecord(pager, () => pager.restoreSnapshot("a"));
    model.restore("a");
    reader.refresh();
    verifyImage(reader, model.image, "after restoring");
    for (const end of ["close", "abandon"] as const) {
      const image = imageNow();
      commit(write(30, 5));
      pager[end]();
      open();
      verifyImage(reader, image, `after ${end}`);
      assert.equal(reader.refresh(), pager.sequence);
      verifyImage(reader, model.image, `refreshed after ${end}`);
    }
    reader.close();
  });

  it("follow a compaction, and keep what they saw until then", async () => {
    commit(write(0, 400));
    create("a");
    const reader = newReader();
    const image = imageNow();
    for (let round = 0; round < 3; round++) {
      commit(write(100 * round, 150));
      await pager.compact();
      commit(write(100 * round, 9));
      for (let i = 0; i < 5; i++) checkpoint();
      if (round === 0) verifyImage(reader, image, "before refresh");
      assert.equal(reader.refresh(), pager.sequence);
      verifyImage(reader, model.image, "after refresh");
      commit(write(7));
      assert.equal(reader.refresh(), pager.sequence);
      assert.equal(pins(), 1);
      checkpoint();
      assert.equal(pins(), 1, "the pin belongs to the new file");
    }
    reader.close();
  });

  it("keep what they see over thousands of commits in tiny chains", () =>
    withSeed("pinned", (random) => {
      const limits = { chainSlots: 60, chainCommits: 9, mapNodes: 4 };
      reopen(limits);
      const regions = [
        { block: 0, count: 150 },
        { block: 2 ** 30, count: 10 },
      ];
      const seen: { reader: Reader; image: Image }[] = [];
      for (let i = 0; i < 2500; i++) {
        if (i % 500 === 100) seen.push({ reader: newReader(), image: imageNow() });
        commit(...randomExtents(random, model, regions, 4));
        if (i % 500 === 499)
          for (const { reader, image } of seen) verifyImage(reader, image, "a pinned image");
      }
      for (const { reader, image } of seen) {
        verifyImage(reader, image, "a pinned image at the end");
        reader.refresh();
        verifyImage(reader, model.image, "the last commit");
        reader.close();
      }
    }));

  it("are protected by their pins from a writer that has only now opened the file", () =>
    withSeed("earlier pins", (random) => {
      const limits = { chainSlots: 60, chainCommits: 9 };
      reopen(limits);
      const regions = [{ block: 0, count: 150 }];
      const seen: { reader: Reader; image: Image }[] = [];
      for (let round = 0; round < 12; round++) {
        for (let i = random.below(30); i > 0; i--) commit(...randomExtents(random, model, regions, 4));
        if (random.oneIn(2)) checkpoint();
        const reader = newReader();
        if (random.oneIn(2)) {
          // Moves on along the chain that its pin names the beginning of.
          commit(...randomExtents(random, model, regions, 4));
          reader.refresh();
        }
        seen.push({ reader, image: imageNow() });
        if (random.oneIn(2)) pager.close();
        else pager.abandon();
        writer = machine.start();
        open(limits);
        for (const each of seen) verifyImage(each.reader, each.image, "a pinned image");
      }
      for (const { reader } of seen) reader.close();
    }));

  it("are protected where they have followed to a block that was spilled before a checkpoint", () => {
    commit(write(0, 10));
    performSpill(pager, model, 5);
    checkpoint();
    const reader = newReader();
    commit();
    reader.refresh();
    const image = imageNow();
    reopen({ chainCommits: 2 });
    for (let i = 0; i < 40; i++) {
      commit(write(5));
      verifyRange(reader, image, 5, 1, `after ${i} commits`);
    }
    verifyImage(reader, image, "the reader");
    reader.close();
  });

  it("with a dead process hold nothing back: the pin goes at the next checkpoint", () => {
    reopen({ chainSlots: 300 });
    commit(write(0, 1000));
    const other = machine.start();
    newReader(other);
    newReader(other);
    const alive = newReader();
    assert.equal(pins(), 3);
    commit(write(0, 1000));
    checkpoint();
    assert.equal(pins(), 3);
    other.kill();
    checkpoint();
    assert.equal(pins(), 1);
    alive.close();
    for (let i = 0; i < 3; i++) checkpoint();
    const { fileBytes } = pager.stats();
    for (let i = 0; i < 10; i++) commit(write(2000 + i * 60, 60));
    assert.equal(pager.stats().fileBytes, fileBytes, "what the dead saw is used again");
  });

  it("take their pins away in the end, also when the writer was faster", () => {
    commit(write(0, 5));
    const process = machine.start();
    const reader = newReader(process);
    process.kill();
    checkpoint();
    assert.equal(pins(), 0);
    reader.close();
    expectCode("CLOSED", () => reader.refresh());
    expectCode("CLOSED", () => reader.read(0, 1, new Uint8Array(blockBytes)));
    expectCode("CLOSED", () => reader.readSnapshot("a", 0, 1, new Uint8Array(blockBytes)));
    expectCode("CLOSED", () => reader.snapshots);
  });

  it("refuse ranges that no image has", () => {
    commit(write(0, 5));
    create("a");
    const reader = newReader();
    for (const block of [-1, 0.5, blockLimit, Number.NaN, Number.POSITIVE_INFINITY]) {
      expectCode("INVALID_ARGUMENT", () => reader.read(block, 1, new Uint8Array(blockBytes)));
      expectCode("INVALID_ARGUMENT", () => reader.readSnapshot("a", block, 1, new Uint8Array(blockBytes)));
    }
    expectCode("INVALID_ARGUMENT", () => reader.read(0, 2, new Uint8Array(blockBytes)));
    expectCode("INVALID_ARGUMENT", () => reader.read(blockLimit - 1, 2, new Uint8Array(2 * blockBytes)));
    reader.close();
  });

  it("of what is not there", () => {
    expectCode("NOT_FOUND", () => new Reader(place, "other", hasher, machine.start()));
    place.createExclusive("empty")!.close();
    expectCode("CORRUPT", () => new Reader(place, "empty", hasher, machine.start()));
    place.remove("empty");
    assert.equal(pins(), 0);
  });

  it("of a damaged file: CORRUPT, no STALE, and no pin is left", () => {
    commit(write(0, 300));
    checkpoint();
    commit(write(5));
    const whole = place.readFile("state")!;
    const damaged = new MemoryPlace();
    const storage = damaged.createExclusive("state")!;
    storage.write(0, whole);
    // Everything but superblocks and the newest header: some node or block that is needed is hit.
    const { superblock } = newReaderOnce(place);
    const at = superblock.image.slot * 4096 + 17;
    storage.write(at, new Uint8Array([whole[at] ^ 1]));
    storage.close();
    expectCode("CORRUPT", () => new Reader(damaged, "state", hasher, machine.start()));
    assert.deepEqual(damaged.list(""), ["state"]);
  });

  it("never show a mix of two commits when moving on fails half way", () => {
    commit(write(0, 10), write(5000, 10));
    checkpoint();
    const reader = newReader();
    const before = imageNow();
    // The node above block 5000, which the reader has not read yet, is damaged; the writer has it in memory.
    const node = pagerNodeAbove(5000);
    commit(write(3), write(5003));
    const file = place.open("state", "write");
    const byte = new Uint8Array(1);
    file.read(node * blockBytes + 4000, byte);
    file.write(node * blockBytes + 4000, new Uint8Array([byte[0] ^ 1]));
    expectCode("CORRUPT", () => reader.refresh());
    const into = new Uint8Array(blockBytes);
    try {
      verifyRange(reader, before, 3, 1, "after a refresh that failed", into);
    } catch (error) {
      if (!(error instanceof PerdureError)) throw error;
      assert.equal(error.code, "STALE");
    }
    expectCode("CORRUPT", () => reader.refresh());
    file.write(node * blockBytes + 4000, byte);
    file.close();
    assert.equal(reader.refresh(), pager.sequence);
    verifyImage(reader, model.image, "after the damage was repaired");
    reader.close();
  });

  /** The slot of the tree node whose entries describe this block. */
  function pagerNodeAbove(block: number): number {
    const reader = newReader();
    const { slot } = reader.view().replayed.map.locate(block)!;
    reader.close();
    return slot;
  }

  function newReaderOnce(where: Place): Reader {
    const reader = newReader(machine.start(), where);
    reader.close();
    return reader;
  }

  describe("that cannot write a pin", () => {
    it("see the right bytes or say STALE, and go on after refresh", () =>
      withSeed("without a pin", (random) => {
        const readOnly = new ReadOnlyPlace(place);
        const regions = [
          { block: 0, count: 80 },
          { block: 2 ** 24, count: 20 },
        ];
        let stale = 0;
        let right = 0;
        for (const limits of [{ chainCommits: 1 }, { chainSlots: 40 }, { chainCommits: 30 }]) {
          reopen(limits);
          const reader = newReader(machine.start(), readOnly);
          assert.equal(reader.pinned, false);
          let image: Image = imageNow();
          for (let i = 0; i < 250; i++) {
            commit(...randomExtents(random, model, regions, 12));
            if (random.oneIn(20)) create(`s${model.nextStamp()}`);
            if (random.oneIn(30)) {
              assert.equal(reader.refresh(), pager.sequence);
              image = imageNow();
            }
            for (let j = 0; j < 4; j++) {
              if (readsRight(reader, image, random)) right++;
              else stale++;
            }
          }
          reader.close();
        }
        assert.ok(stale > 10 && right > 1000, `${stale} stale, ${right} right`);
      }));

    /** False when the reader says STALE. */
    function readsRight(reader: Reader, image: Image, random: Random): boolean {
      const block = random.oneIn(4) ? random.below(90) : random.pick([...image.keys(), 0]);
      const count = Math.min(1 + random.below(3), blockLimit - block);
      try {
        verifyRange(reader, image, block, count, "a reader without a pin");
        return true;
      } catch (error) {
        if (!(error instanceof PerdureError)) throw error;
        assert.equal(error.code, "STALE");
        return false;
      }
    }

    it("nothing is written", () => {
      commit(write(0, 5));
      const before = place.list("");
      const reader = newReader(machine.start(), new ReadOnlyPlace(place));
      verifyImage(reader, model.image, "the reader");
      assert.deepEqual(place.list(""), before);
      reader.close();
    });
  });

  for (const kind of ["memory", "a directory"]) {
    it(`come, move on and go in any order beside everything a writer does, in ${kind}`, () =>
      withSeed(`readers in ${kind}`, async (random) => {
        pager.close();
        const directory = temporaryDirectory();
        if (kind === "a directory") place = new NodePlace(directory.path);
        try {
          await mingle(random, kind === "memory" ? 500 : 120);
        } finally {
          pager.close();
          directory.remove();
          place = new MemoryPlace();
          model = new PagerModel();
          open();
        }
      }));
  }

  async function mingle(random: Random, steps: number): Promise<void> {
    const limits = { chainSlots: 80, chainCommits: 6, mapNodes: 5 };
    const shape = { ...wideShape, commitBlocks: 12, spills: 6 };
    const seen: { reader: Reader; image: Image; process: FakeProcess }[] = [];
    open(limits);
    for (let step = 0; step < steps; step++) {
      const choice = random.below(30);
      const one = seen[random.below(seen.length)];
      if (choice < 3 && seen.length < 6) {
        const process = machine.start();
        seen.push({ reader: newReader(process), image: imageNow(), process });
      } else if (choice < 6 && one) {
        assert.equal(one.reader.refresh(), pager.sequence);
        one.image = imageNow();
      } else if (choice === 6 && one) {
        if (random.oneIn(2)) one.reader.close();
        else one.process.kill();
        seen.splice(seen.indexOf(one), 1);
      } else if (choice === 7) {
        model.rollback();
        if (random.oneIn(2)) pager.close();
        else pager.abandon();
        open(limits);
      } else if (choice === 8) {
        if (!pager.hasPending) await pager.compact();
      } else await performRandom(random, pager, model, shape);
      if (step % 20 === 0) for (const { reader, image } of seen) verifyImage(reader, image, "a reader");
      if (step % 100 === 99) assertSound(pager);
    }
    verifyAgainst(pager, model);
    for (const { reader, image } of seen) {
      verifyImage(reader, image, "a reader at the end");
      reader.close();
    }
    checkpoint();
    assert.equal(pins(), 0);
  }
});
