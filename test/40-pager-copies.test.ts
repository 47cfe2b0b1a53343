// Backups and compaction: copies of a commit with all its snapshots, made while the pager goes on, whole or not at all.

import assert from "node:assert/strict";
import { nextTurn } from "../bindings/base/turn.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager, openPagerOn } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { Reader } from "../bindings/pager/reader.js";
import type { Limits } from "../bindings/pager/writer-state.js";
import { MemoryPlace, MemoryStorage } from "../bindings/storage/memory.js";
import type { Access, Storage } from "../bindings/storage/storage.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { FakeMachine } from "./support/fake-processes.js";
import {
  assertSound,
  blockBytes,
  bytesOf,
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
/** So many blocks that a copy takes several steps of a MiB. */
const many = 1500;

describe("copies", () => {
  let place: MemoryPlace;
  let machine: FakeMachine;
  let pager: Pager;
  let model: PagerModel;

  const open = (limits: Partial<Limits> = {}, name = "state") =>
    openPager(place, name, hasher, machine.start(), { limits });
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const commit = (...extents: Extent[]) => performCommit(pager, model, extents, false);
  const create = (name: string) =>
    model.createSnapshot(
      name,
      performRecord(pager, () => pager.createSnapshot(name)),
    );
  /** What is beside the state and its lock. */
  const others = () => place.list("").filter((name) => name !== "state" && !name.startsWith("state.lock-"));
  const fileSlots = () => pager.stats().fileBytes / blockBytes;

  beforeEach(() => {
    place = new MemoryPlace();
    machine = new FakeMachine();
    pager = open();
    model = new PagerModel();
  });

  afterEach(() => {
    verifyAgainst(pager, model);
    verifyKilled(place.readFile("state")!, hasher, model);
    pager.close();
    for (const name of others()) assert.ok(name.startsWith("backup"), `${name} was left behind`);
    assert.deepEqual(place.list("state"), ["state"]);
  });

  /** Opens the copy and compares it with the model of when it was begun. */
  function verifyCopy(name: string, copied: PagerModel, sequence: number): void {
    const copy = open({}, name);
    assert.equal(copy.sequence, sequence);
    verifyAgainst(copy, copied);
    performCommit(copy, copied, [{ block: 3, count: 4, stamp: copied.nextStamp() }], true);
    verifyAgainst(copy, copied);
    copy.close();
  }

  describe("backup by a reader", () => {
    it("is of the commit that it sees, while its writer goes on and checkpoints", async () => {
      commit(write(0, many));
      create("a");
      commit(write(7, 40));
      const reader = new Reader(place, "state", hasher, machine.start());
      const copied = model.copy();
      const { sequence } = reader;
      let steps = 0;
      const backup = reader.backup(place, "backup", {
        onProgress: () => {
          steps++;
          for (let i = 0; i < 3; i++) commit(write(400 * i, 30));
          pager.checkpoint();
        },
      });
      expectCode("BUSY", () => reader.refresh());
      await backup;
      assert.ok(steps > 3);
      assert.equal(reader.refresh(), pager.sequence);
      reader.close();
      verifyCopy("backup", copied, sequence);
    });

    it("leaves nothing behind when it is stopped, or when what it sees is damaged", async () => {
      commit(write(0, many));
      pager.checkpoint();
      const reader = new Reader(place, "state", hasher, machine.start());
      const interruption = new AbortController();
      const onProgress = () => interruption.abort(new Error("enough"));
      const stopped = reader.backup(place, "backup", { signal: interruption.signal, onProgress });
      await assert.rejects(stopped, /enough/);
      const slot = reader.view().replayed.map.slotOf(many - 1);
      const storage = place.open("state", "write");
      const before = new Uint8Array(blockBytes);
      storage.read(slot * blockBytes, before);
      storage.write(slot * blockBytes, new Uint8Array(blockBytes));
      await expectCodeAsync("CORRUPT", reader.backup(place, "backup"));
      storage.write(slot * blockBytes, before);
      storage.close();
      reader.close();
      assert.deepEqual(others(), [], "neither a copy nor a pin");
    });
  });

  describe("backup", () => {
    it("of an empty state, of a small one, and of blocks at every height", async () => {
      await pager.backup(place, "backup-1");
      verifyCopy("backup-1", model.copy(), pager.sequence);
      commit(write(5, 3));
      create("a");
      await pager.backup(place, "backup-2");
      verifyCopy("backup-2", model.copy(), pager.sequence);
      for (const { block, count } of wideShape.regions) commit(write(block, count));
      create("b");
      commit({ block: 0, count: 600, stamp: null });
      await pager.backup(place, "backup-3");
      verifyCopy("backup-3", model.copy(), pager.sequence);
    });

    it("is dense, and what snapshots share is shared in it too", async () => {
      for (let i = 0; i < 20; i++) {
        commit(write(0, 300));
        commit(write(100 * i, 20));
      }
      for (const name of ["a", "b", "c"]) {
        create(name);
        commit(write(17, 2));
      }
      const copied = model.copy();
      await pager.backup(place, "backup");
      const copy = open({}, "backup");
      const { slots } = copy.check();
      copy.close();
      const distinct = new Set(
        [...copied.snapshots.values(), copied].flatMap(({ image }) => [...image]).map(String),
      );
      assert.ok(slots.file <= distinct.size + 80, `${slots.file} slots for ${distinct.size} blocks`);
      verifyCopy("backup", copied, pager.sequence);
    });

    it("shows the commit it began with, while thousands follow", () =>
      withSeed("backup beside commits", async (random) => {
        pager.close();
        pager = open({ chainSlots: 60, chainCommits: 7, mapNodes: 3 });
        commit(write(0, many));
        create("a");
        commit(write(many, 200));
        const copied = model.copy();
        const regions = [{ block: 0, count: many + 300 }];
        const done: number[] = [];
        let sequence = 0;
        const copy = pager.backup(place, "backup", {
          onProgress: (slots, total) => {
            assert.ok(slots <= total);
            if (done.length === 0) sequence = pager.sequence;
            done.push(slots);
            for (let i = 0; i < 300; i++) commit(...randomExtents(random, model, regions, 6));
            if (done.length === 2) {
              pager.deleteSnapshot("a");
              model.snapshots.delete("a");
            }
          },
        });
        let running = true;
        const commits = (async () => {
          while (running) {
            commit(...randomExtents(random, model, regions, 6));
            await nextTurn();
          }
        })();
        await copy;
        running = false;
        await commits;
        assert.ok(done.length >= 4, `only ${done.length} steps`);
        assert.deepEqual(
          done,
          [...done].sort((a, b) => a - b),
        );
        verifyCopy("backup", copied, sequence);
        const { fileBytes } = pager.stats();
        for (let i = 0; i < 200; i++) commit(...randomExtents(random, model, regions, 6));
        assert.equal(pager.stats().fileBytes, fileBytes, "what was kept for the backup is used again");
      }));

    it("does not contain what was spilled", async () => {
      commit(write(0, 10));
      const copied = model.copy();
      performSpill(pager, model, 5);
      await pager.backup(place, "backup");
      verifyCopy("backup", copied, pager.sequence);
      verifyAgainst(pager, model);
      commit();
    });

    it("two at once, to two places", async () => {
      commit(write(0, many));
      const other = new MemoryPlace("elsewhere");
      const copied = model.copy();
      const both = Promise.all([pager.backup(place, "backup"), pager.backup(other, "backup")]);
      const { sequence } = pager;
      commit(write(7, 90));
      await both;
      assert.deepEqual(other.list(""), ["backup"]);
      verifyCopy("backup", copied.copy(), sequence);
      const reader = new Reader(other, "backup", hasher, machine.start());
      verifyImage(reader, copied.image, "the other backup");
      reader.close();
    });

    it("refuses a name that exists, before it writes anything", async () => {
      commit(write(0, many));
      await pager.backup(place, "backup");
      const before = place.readFile("backup");
      let progress = 0;
      const again = pager.backup(place, "backup", { onProgress: () => progress++ });
      const error = await expectCodeAsync("INVALID_ARGUMENT", again);
      assert.match(error.message, /backup/);
      await expectCodeAsync("INVALID_ARGUMENT", pager.backup(place, "state"));
      assert.equal(progress, 0);
      assert.deepEqual(place.readFile("backup"), before);
      assert.deepEqual(others(), ["backup"]);
    });

    it("gives up for a file that took its name meanwhile", async () => {
      commit(write(0, many));
      const copy = pager.backup(place, "backup");
      await nextTurn();
      place.createExclusive("backup")!.close();
      await expectCodeAsync("INVALID_ARGUMENT", copy);
      assert.equal(place.readFile("backup")!.length, 0);
      assert.deepEqual(others(), ["backup"]);
    });

    for (const when of ["before it began", "in the middle"]) {
      it(`aborted ${when} leaves nothing behind`, async () => {
        commit(write(0, many));
        const controller = new AbortController();
        const reason = new Error("enough");
        if (when === "before it began") controller.abort(reason);
        let steps = 0;
        const copy = pager.backup(place, "backup", {
          signal: controller.signal,
          onProgress: () => {
            if (++steps === 2) controller.abort(reason);
          },
        });
        await assert.rejects(copy, (error) => error === reason);
        assert.deepEqual(others(), []);
        commit(write(3));
        await pager.backup(place, "backup");
        verifyCopy("backup", model.copy(), pager.sequence);
      });
    }

    it("whose onProgress throws leaves nothing behind", async () => {
      commit(write(0, many));
      const thrown = new Error("no");
      const copy = pager.backup(place, "backup", {
        onProgress: () => {
          throw thrown;
        },
      });
      await assert.rejects(copy, (error) => error === thrown);
      assert.deepEqual(others(), []);
    });

    it("whose pager is closed meanwhile fails and leaves nothing behind", async () => {
      commit(write(0, many));
      const copy = pager.backup(place, "backup");
      pager.close();
      await expectCodeAsync("CLOSED", copy);
      pager = open();
      assert.deepEqual(others(), []);
    });

    it("of a damaged state is CORRUPT and leaves nothing behind", async () => {
      commit(write(0, many));
      performRecord(pager, () => pager.checkpoint());
      const reader = new Reader(place, "state", hasher, machine.start());
      const node = reader.view().replayed.map.locate(many - 1)!;
      const slot = Number(node.view.getBigUint64(((many - 1) % 256) * 16, true));
      reader.close();
      const file = place.open("state", "write");
      const byte = new Uint8Array(1);
      file.read(slot * blockBytes + 9, byte);
      file.write(slot * blockBytes + 9, new Uint8Array([byte[0] ^ 4]));
      await expectCodeAsync("CORRUPT", pager.backup(place, "backup"));
      assert.deepEqual(others(), []);
      file.write(slot * blockBytes + 9, byte);
      file.close();
    });
  });

  describe("compaction", () => {
    it("makes the file dense; the handle goes on as before", async () => {
      for (let i = 0; i < 30; i++) commit(write(i * 20, 100));
      create("a");
      commit(write(0, 300));
      const { sequence } = pager;
      const locks = place.list("state.lock-");
      await pager.compact();
      assert.equal(pager.sequence, sequence + 1, "the checkpoint before it");
      assert.equal(pager.lastFlushed, pager.sequence);
      const { slots } = pager.check();
      assert.ok(slots.file <= 300 + 680 + 60, `${slots.file} slots`);
      assert.deepEqual(place.list("state.lock-"), locks);
      verifyAgainst(pager, model);
      for (let i = 0; i < 50; i++) commit(write(i * 20, 30));
      assert.throws(() => open(), /process/);
    });

    it("of an empty state, and several in a row", async () => {
      await pager.compact();
      verifyAgainst(pager, model);
      for (let i = 0; i < 5; i++) {
        commit(write(i, 10));
        await pager.compact();
        await pager.compact();
        verifyAgainst(pager, model);
      }
    });

    it("keeps what snapshots share, and looks at them open", async () => {
      commit(write(0, 600));
      for (const name of ["a", "b", "c", "d"]) {
        create(name);
        commit(write(50, 3));
      }
      const view = pager.openSnapshot("b");
      await pager.compact();
      verifyImage(view, model.snapshots.get("b")!.image, "the open snapshot");
      assert.ok(fileSlots() < 700, `${fileSlots()} slots`);
      expectCode("LOCKED", () => pager.deleteSnapshot("b"));
      for (let i = 0; i < 10; i++) commit(write(40 + i, 20));
      verifyImage(view, model.snapshots.get("b")!.image, "the open snapshot");
      view.close();
      pager.restoreSnapshot("b");
      model.restore("b");
    });

    it("refuses changes with BUSY until it is done, and lets reading go on", async () => {
      commit(write(0, many));
      create("a");
      let steps = 0;
      const compaction = pager.compact({
        onProgress: (slots, total) => {
          assert.ok(slots <= total);
          steps++;
          if (slots === total) return;
          const bytes = bytesOf(0, 1);
          expectCode("BUSY", () => pager.commit([{ block: 0, count: 1, bytes }]));
          expectCode("BUSY", () => pager.commit([{ block: 0, count: 1, bytes: null }], false));
          expectCode("BUSY", () => pager.spill(0, bytes));
          expectCode("BUSY", () => pager.checkpoint());
          expectCode("BUSY", () => pager.createSnapshot("b"));
          expectCode("BUSY", () => pager.deleteSnapshot("a"));
          expectCode("BUSY", () => pager.restoreSnapshot("a"));
          verifyAgainst(pager, model);
        },
      });
      await nextTurn();
      await expectCodeAsync("BUSY", pager.compact());
      await expectCodeAsync("BUSY", pager.backup(place, "backup"));
      await compaction;
      assert.ok(steps >= 4, `only ${steps} steps`);
      commit(write(5));
    });

    it("waits for no backup, but does not take the file from under it", async () => {
      commit(write(0, many));
      const copied = model.copy();
      const copy = pager.backup(place, "backup");
      const { sequence } = pager;
      await expectCodeAsync("BUSY", pager.compact());
      await copy;
      verifyCopy("backup", copied, sequence);
      await pager.compact();
    });

    it("aborted leaves the file as it was and nothing behind", async () => {
      commit(write(0, many));
      const controller = new AbortController();
      let steps = 0;
      const before = place.readFile("state");
      const compaction = pager.compact({
        signal: controller.signal,
        onProgress: () => {
          if (++steps === 2) controller.abort();
        },
      });
      await assert.rejects(compaction, { name: "AbortError" });
      assert.deepEqual(others(), []);
      assert.notDeepEqual(place.readFile("state"), before, "only the checkpoint was written");
      commit(write(5, 20));
      await pager.compact();
    });

    it("whose pager is closed meanwhile fails and leaves the file as it was", async () => {
      commit(write(0, many));
      const compaction = pager.compact();
      pager.close();
      await expectCodeAsync("CLOSED", compaction);
      assert.deepEqual(others(), []);
      pager = open();
    });

    it("is done when the last progress is told", async () => {
      commit(write(0, 10));
      const thrown = new Error("too late");
      let told = 0;
      const compaction = pager.compact({
        onProgress: (slots, total) => {
          // Told twice of all slots: when they are written, and when the file is replaced.
          if (slots < total || ++told < 2) return;
          commit(write(7));
          throw thrown;
        },
      });
      await assert.rejects(compaction, (error) => error === thrown);
      commit(write(3));
    });

    it("does not make a flush fail that was under way", async () => {
      pager.close();
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      class SlowPlace extends MemoryPlace {
        override open(name: string, access: Access): Storage {
          const storage = super.open(name, access);
          storage.flushAsync = () => released;
          return storage;
        }
      }
      place = new SlowPlace();
      pager = open();
      commit(write(0, 10));
      const { sequence } = pager;
      const flushed = pager.flushed();
      await pager.compact();
      release();
      assert.equal(await flushed, sequence);
      assert.ok(pager.lastFlushed >= sequence);
    });

    it("of a storage without a place is UNSUPPORTED", async () => {
      const bare = openPagerOn(new MemoryStorage(), hasher);
      await expectCodeAsync("UNSUPPORTED", bare.compact());
      assertSound(bare);
      bare.close();
    });

    it("changes nothing that can be seen, whatever came before", () =>
      withSeed("compaction", async (random) => {
        pager.close();
        const limits = { chainSlots: 100, chainCommits: 10, mapNodes: 4 };
        pager = open(limits);
        for (let round = 0; round < 8; round++) {
          for (let i = 0; i < 30; i++) await performRandom(random, pager, model, wideShape);
          pager.rollback();
          model.rollback();
          await pager.compact();
          verifyAgainst(pager, model);
          verifyKilled(place.readFile("state")!, hasher, model);
          if (random.oneIn(3)) {
            if (random.oneIn(2)) pager.close();
            else pager.abandon();
            pager = open(limits);
          }
        }
      }));
  });
});
