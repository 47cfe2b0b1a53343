import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type Memory, MemoryStorage, open, openSync, type Ptr } from "../bindings/index.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { assertSound, FaultyStorage, SMALL, States } from "./support/memory-states.js";
import { Random, withSeed } from "./support/random.js";

const BLOCK = 4096;

describe("memory: files", () => {
  const states = States.forEachTest();
  const populate = (memory: Memory): Ptr[] => {
    const random = new Random(1);
    const blocks: Ptr[] = [];
    for (let i = 0; i < 60; i++) {
      const p = memory.alloc(random.below(5000));
      p.write(random.bytes(memory.sizeOf(p)));
      memory.roots.set(`root ${i}`, p);
      blocks.push(p);
    }
    memory.region("r", 100_000).write(50_000, random.bytes(50_000));
    return blocks;
  };
  const content = (memory: Memory) => ({
    roots: [...memory.roots].map(([name, p]) => [
      name,
      Buffer.from(p.read(memory.sizeOf(p))).toString("base64"),
    ]),
    region: Buffer.from(memory.region("r").read(0, 100_000)).toString("base64"),
    snapshots: memory.snapshots.list().map(({ name, sequence }) => [name, sequence]),
  });

  describe("options", () => {
    it("are what they may be", () => {
      const refused: Record<string, unknown[]> = {
        create: [1, "yes", null],
        readOnly: [0, "no"],
        autoCommit: ["off", 0],
        takeover: [1],
        checks: ["true"],
        durability: ["always", 1, null, true],
        reserve: [-1, 0.5, Number.NaN, "1", Number.POSITIVE_INFINITY],
        maxBytes: [-1, 1.5],
        windowBytes: [-4096, Number.NaN],
      };
      for (const [name, values] of Object.entries(refused))
        for (const value of values) {
          const { message } = expectCode("INVALID_ARGUMENT", () => states.open({ [name]: value }));
          assert.match(message, new RegExp(name), message);
        }
      for (const path of ["", null, undefined, 5])
        expectCode("INVALID_ARGUMENT", () => openSync(path as never, { reserve: SMALL }));
      assert.deepEqual(readdirSync(states.folder), [], "nothing was made");
      const all = { create: undefined, readOnly: undefined, reserve: undefined, signal: undefined };
      states.open(all as never);
    });

    it("a signal that has aborted opens nothing", async () => {
      const reason = new Error("changed my mind");
      const signal = AbortSignal.abort(reason);
      assert.throws(
        () => states.open({ signal }),
        (error) => error === reason,
      );
      await assert.rejects(open(states.path(), { signal }), (error) => error === reason);
      assert.equal(existsSync(states.path()), false);
    });

    it("open is openSync later", async () => {
      const memory = states.adopt(await open(states.path(), { reserve: SMALL }));
      assert.equal(memory.path, states.path());
      assert.equal(memory.readOnly, false);
      await expectCodeAsync("LOCKED", open(states.path()));
      await expectCodeAsync("NOT_FOUND", open(states.path("none"), { create: false }));
    });

    it("where there is no directory, or the name is that of one", () => {
      expectCode("NOT_FOUND", () => states.open({}, "none/a.state"));
      mkdirSync(states.path("folder"));
      expectCode("INVALID_ARGUMENT", () => states.open({}, "folder"));
    });

    it("more reserve than there is address space is as much as there is; a large maxBytes is no limit", () => {
      const memory = states.open({ reserve: 2 ** 40, maxBytes: 2 ** 50, windowBytes: 2 ** 50 });
      memory.alloc(8).u8 = 1;
      assert.equal(memory.stats().memory.reservedBytes, 2 ** 32);
    });
  });

  it("an image of a newer version is VERSION, one of another program CORRUPT", () => {
    for (const [offset, code] of [
      [8, "VERSION"],
      [0, "CORRUPT"],
    ] as const) {
      const name = `${code}.state`;
      const memory = states.open({}, name);
      memory.commit();
      const { core } = memory.engine;
      core.functions.touch(0x1_0000);
      core.data.setUint16(0x1000_0000 + offset, 2, true);
      memory.commit();
      memory.close();
      expectCode(code, () => states.open({}, name));
      expectCode(code, () => states.open({ readOnly: true }, name));
      assert.deepEqual(
        readdirSync(states.folder).filter((file) => file.includes("lock")),
        [],
        "a file that cannot be opened is not left locked",
      );
    }
  });

  describe("stats", () => {
    it("the heap's figures are those of its blocks", () =>
      withSeed("stats", (random) => {
        const memory = states.open({ autoCommit: false });
        const live = new Map<number, number>();
        for (let i = 0; i < 400; i++) {
          const p = memory.alloc(random.below(random.oneIn(10) ? 100_000 : 900));
          live.set(p.address, memory.sizeOf(p));
          if (random.oneIn(3)) {
            const address = random.pick([...live.keys()]);
            memory.release(memory.ptr(address));
            live.delete(address);
          }
        }
        const { heap } = memory.stats();
        assert.equal(heap.liveBlocks, live.size);
        assert.equal(
          heap.liveBytes,
          [...live.values()].reduce((sum, size) => sum + size, 0),
        );
        const used = new Set<number>();
        for (const [address, size] of live)
          for (let block = Math.floor(address / BLOCK); block * BLOCK < address + size; block++)
            used.add(block);
        assert.ok(heap.usedBytes >= used.size * BLOCK);
        assert.ok(heap.usedBytes % BLOCK === 0 && heap.usedBytes <= heap.extentBytes);
        const highest = Math.max(...[...live].map(([address, size]) => address + size));
        assert.ok(heap.extentBytes >= highest - 0x1400_0000);
        const waste = (100 * (heap.usedBytes - heap.liveBytes)) / heap.usedBytes;
        assert.equal(heap.fragmentationPercent, waste);
        const report = memory.check();
        assert.deepEqual([report.ok, report.liveBlocks, report.roots], [true, live.size, 0]);
      }));

    it("memory, file and work are what was done", () => {
      const memory = states.open({ autoCommit: false });
      const stats = () => memory.stats();
      const p = memory.alloc(10 * BLOCK, { align: BLOCK });
      memory.commit();
      assert.equal(stats().sequence, memory.sequence);
      assert.equal(stats().memory.dirtyBytes, 0);
      p.u8 = 1;
      p.add(3 * BLOCK - 1).u16 = 1;
      assert.equal(stats().memory.dirtyBytes, 3 * BLOCK);
      memory.region("r", 10).setU8(0, 1);
      assert.ok(stats().memory.dirtyBytes >= 4 * BLOCK);
      const view = memory.view(p, Uint8Array, 8);
      const reading = memory.view(p, Uint8Array, 8, { writable: false });
      assert.equal(stats().memory.openViews, 2);
      view.close();
      reading.close();
      assert.equal(stats().memory.openViews, 0);
      assert.ok(stats().memory.reservedBytes >= SMALL);
      const before = stats();
      const first = memory.commit();
      p.u8 = 2;
      const second = memory.commit({ durability: "none" });
      const after = stats();
      assert.equal(after.work!.commits - before.work!.commits, 2);
      assert.equal(after.work!.flushes - before.work!.flushes, 1);
      assert.ok(after.work!.bytesWritten > before.work!.bytesWritten + 5 * BLOCK);
      assert.equal(after.file!.lastFlushed, first);
      assert.equal(after.sequence, second);
      assert.equal(after.file!.chainCommits - before.file!.chainCommits, 2);
      assert.ok(after.file!.chainBytes > before.file!.chainBytes);
      assert.equal(after.file!.bytes, statSync(states.path()).size);
      assert.ok(after.file!.liveBytes <= after.file!.bytes);
      const { checkpoints } = after.work!;
      memory.snapshots.create("s");
      const checkpointed = stats();
      assert.equal(checkpointed.work!.checkpoints, checkpoints + 1);
      assert.ok(checkpointed.file!.generation > after.file!.generation);
      assert.equal(checkpointed.file!.chainCommits, 0);
      const reader = states.open({ readOnly: true });
      assert.deepEqual([reader.stats().file, reader.stats().work], [null, null]);
      assert.deepEqual(reader.stats().heap, stats().heap);
      assert.equal(reader.stats().sequence, memory.sequence);
    });

    it("liveBytes of the file are its blocks, in the check too", () => {
      const memory = states.open({ autoCommit: false });
      const p = memory.alloc(100 * BLOCK, { align: BLOCK });
      memory.commit();
      const before = memory.stats().file!.liveBytes;
      p.write(new Uint8Array(100 * BLOCK).fill(1));
      memory.commit();
      assert.equal(memory.stats().file!.liveBytes - before, 100 * BLOCK);
      const { slots, verified } = memory.check({ all: true });
      assert.equal((slots!.image + slots!.held) * BLOCK, memory.stats().file!.liveBytes);
      assert.equal(verified, slots!.image);
      assert.equal(memory.check().verified, 0);
    });
  });

  describe("check", () => {
    it("tells of damage in the file, and neither throws nor changes anything", () =>
      withSeed("damage", (random) => {
        const memory = states.open({ autoCommit: false });
        populate(memory);
        memory.snapshots.create("s");
        memory.close();
        const whole = readFileSync(states.path());
        const isUsed = (slot: number) =>
          whole.subarray(slot * BLOCK, (slot + 1) * BLOCK).some((byte) => byte !== 0);
        // Most of a small file is room that was written ahead.
        const used = Array.from({ length: whole.length / BLOCK - 3 }, (_, i) => 3 + i).filter(isUsed);
        let found = 0;
        for (let i = 0; i < 16; i++) {
          const bytes = Buffer.from(whole);
          const slot = random.pick(used);
          for (let flips = 0; flips < 3; flips++)
            bytes[slot * BLOCK + random.below(BLOCK)] ^= 1 << random.below(8);
          const storage = new MemoryStorage();
          storage.write(0, bytes);
          let damaged: Memory;
          try {
            damaged = openSync("memory", { storage, reserve: SMALL, autoCommit: false });
          } catch (error) {
            assert.equal((error as { code: string }).code, "CORRUPT");
            found++;
            continue;
          }
          const report = damaged.check({ all: true });
          assert.equal(report.ok, report.problems.length === 0);
          if (!report.ok) found++;
          assert.ok(report.problems.every((problem) => typeof problem === "string" && problem.length > 5));
          const after = Buffer.alloc(storage.size());
          storage.read(0, after);
          assert.deepEqual(after.subarray(3 * BLOCK, bytes.length), bytes.subarray(3 * BLOCK));
          try {
            damaged.close();
          } catch (error) {
            assert.equal((error as { code: string }).code, "CORRUPT");
          }
        }
        assert.ok(found >= 2, `${found} of 16 were noticed`);
      }));

    it("tells of damage in the image that is committed as it is", () => {
      const memory = states.open({ autoCommit: false });
      const blocks = populate(memory);
      memory.commit();
      const { core } = memory.engine;
      for (const [address, value] of [
        [0x1000_0000 + 128 + 8, 12_345],
        [0x1010_0000, 3],
        [0x1000_0000 + 28, 9],
        [0x1000_0000 + 544 + 8, 7],
        [0x1050_0000 + 16, 0xffff],
        [0x1000_0000 + 128 + 4, 0xffff_ffff],
        [0x1010_0000, 0xffff_fffe],
        [0x1000_0000 + 544 + 4, 0x8000_0000],
        [0x1050_0000 + 12, 0xffff],
      ]) {
        memory.engine.ensure(address, 4, true);
        core.data.setUint32(address, value, true);
        const report = memory.check();
        assert.equal(report.ok, false, `0x${address.toString(16)}`);
        memory.rollback();
      }
      assertSound(memory);
      assert.equal(memory.sizeOf(blocks[0]) > 0, true);
    });

    it("tells when blocks cannot be read", () => {
      const storage = new FaultyStorage();
      let memory = states.inStorage(storage);
      populate(memory);
      memory.snapshots.create("s");
      const copy = new MemoryStorage();
      const bytes = new Uint8Array(storage.size());
      storage.read(0, bytes);
      copy.write(0, bytes);
      memory.close();
      const faulty = new FaultyStorage(copy);
      memory = states.inStorage(faulty);
      faulty.failOn("read");
      const report = memory.check({ all: true });
      assert.equal(report.ok, false);
      faulty.heal();
    });
  });

  describe("backup", () => {
    it("is the last commit and all snapshots, as a file of its own", async () => {
      const memory = states.open({ autoCommit: false });
      populate(memory);
      memory.snapshots.create("s");
      memory.roots.get("root 3")!.u8 ^= 0xff;
      const progress: [number, number][] = [];
      await memory.backup(states.path("b.state"), {
        onProgress: (done, total) => progress.push([done, total]),
      });
      assert.deepEqual(progress.at(-1)![0], progress.at(-1)![1]);
      assert.ok(
        progress.every(([done, total], i) => done <= total && (i === 0 || done >= progress[i - 1][0])),
      );
      const copy = states.open({}, "b.state");
      assert.deepEqual(content(copy), content(memory));
      copy.roots.get("root 3")!.u8 = 1;
      copy.commit();
      await expectCodeAsync("INVALID_ARGUMENT", memory.backup(states.path("b.state")));
      await expectCodeAsync("INVALID_ARGUMENT", memory.backup(states.path()));
      await expectCodeAsync("NOT_FOUND", memory.backup(states.path("none/b.state")));
    });

    it("of a reader is what it sees; of a snapshot there is none", async () => {
      const memory = states.open({ autoCommit: false });
      populate(memory);
      memory.snapshots.create("s");
      const reader = states.open({ readOnly: true });
      const before = content(memory);
      memory.roots.get("root 3")!.u8 ^= 0xff;
      memory.commit();
      await reader.backup(states.path("b.state"));
      assert.deepEqual(content(states.open({ readOnly: true }, "b.state")), before);
      const snapshot = states.adopt(memory.snapshots.open("s"));
      await expectCodeAsync("UNSUPPORTED", snapshot.backup(states.path("c.state")));
      await expectCodeAsync(
        "UNSUPPORTED",
        states.adopt(reader.snapshots.open("s")).backup(states.path("c.state")),
      );
    });

    it("goes on while commits are made, and shows none of them; aborted, it leaves nothing", async () => {
      const memory = states.open({ autoCommit: false, durability: "none" });
      const p = memory.root("p", () => memory.alloc(8 * 2 ** 20));
      p.write(new Uint8Array(8 * 2 ** 20).fill(1));
      let done = false;
      const backup = memory.backup(states.path("b.state")).then(() => {
        done = true;
      });
      let commits = 0;
      for (; !done; commits++) {
        p.write(new Uint8Array(2 ** 20).fill(2 + (commits % 100)));
        memory.commit();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await backup;
      assert.ok(commits > 1);
      const copy = states.open({ readOnly: true }, "b.state").roots.get("p")!;
      assert.ok(copy.read(8 * 2 ** 20).every((byte) => byte === 1));
      const controller = new AbortController();
      const aborted = memory.backup(states.path("c.state"), {
        signal: controller.signal,
        onProgress: () => controller.abort(),
      });
      await assert.rejects(aborted, { name: "AbortError" });
      assert.deepEqual(
        readdirSync(states.folder).filter((name) => name.startsWith("c.state")),
        [],
      );
    });
  });

  describe("compact", () => {
    it("makes the file dense; pointers, views, regions, snapshots and readers go on", async () => {
      const memory = states.open({ autoCommit: false, durability: "none" });
      populate(memory);
      const large = memory.alloc(8 * 2 ** 20);
      large.write(new Uint8Array(8 * 2 ** 20).fill(1));
      memory.snapshots.create("s");
      memory.release(large);
      memory.commit();
      memory.snapshots.delete("s");
      memory.snapshots.create("t");
      const snapshot = states.adopt(memory.snapshots.open("t"));
      const reader = states.open({ readOnly: true });
      const before = content(memory);
      const { bytes } = memory.stats().file!;
      const view = memory.view(memory.roots.get("root 3")!, Uint8Array, 8);
      await memory.compact();
      assert.ok(memory.stats().file!.bytes < bytes - 6 * 2 ** 20);
      assert.equal(memory.stats().file!.bytes, statSync(states.path()).size);
      assert.deepEqual(content(memory), before);
      view.array[0] ^= 0xff;
      memory.commit();
      view.close();
      assert.deepEqual(content(reader), before);
      assert.ok(reader.refresh() > 0);
      assert.deepEqual(content(reader), content(memory));
      assert.deepEqual(
        [...snapshot.roots].map(([name]) => name),
        before.roots.map(([name]) => name),
      );
      snapshot.close();
      memory.snapshots.delete("t");
    });

    it("refuses commits with BUSY while it works; the automatic one waits", async () => {
      const memory = states.open({ durability: "none" });
      const p = memory.root("p", () => memory.alloc(4 * 2 ** 20));
      p.write(new Uint8Array(4 * 2 ** 20).fill(1));
      const errors: unknown[] = [];
      memory.addEventListener("error", (event) => void errors.push(event.error));
      let met = 0;
      await memory.compact({
        onProgress: () => {
          if (met++ > 0) return;
          p.u8 = 9;
          expectCode("BUSY", () => memory.commit());
          expectCode("BUSY", () => memory.snapshots.create("s"));
          expectCode("BUSY", () => memory.transaction(() => {}));
        },
      });
      assert.ok(met > 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(errors, []);
      assert.equal(p.u8, 9);
      memory.rollback();
      assert.equal(p.u8, 9, "committed when it was over");
      const controller = new AbortController();
      controller.abort();
      await assert.rejects(memory.compact({ signal: controller.signal }), { name: "AbortError" });
      p.u8 = 10;
      memory.commit();
      await expectCodeAsync("UNSUPPORTED", states.inStorage().compact());
    });
  });

  describe("close", () => {
    it("commits, checkpoints and unlocks, once; afterwards everything is CLOSED", async () => {
      const memory = states.open({ autoCommit: false });
      const p = memory.root("p", () => memory.alloc(8));
      const { sequence } = memory;
      memory.close();
      memory.close();
      memory[Symbol.dispose]();
      await memory[Symbol.asyncDispose]();
      assert.equal(memory.isOpen, false);
      assert.ok(memory.sequence > sequence);
      for (const call of [
        () => memory.alloc(8),
        () => memory.realloc(p, 8),
        () => memory.release(p),
        () => memory.sizeOf(p),
        () => memory.root("q", () => p),
        () => p.u8,
        () => (p.u8 = 1),
        () => memory.getF64(p.address),
        () => memory.setF64(p.address, 1),
        () => p.read(1),
        () => p.write(new Uint8Array(1)),
        () => p.ref,
        () => p.readString(),
        () => p.writeString(""),
        () => memory.view(p, Uint8Array, 1),
        () => memory.region("r", 1),
        () => memory.commit(),
        () => memory.rollback(),
        () => memory.transaction(() => {}),
        () => memory.hold(),
        () => memory.refresh(),
        () => memory.stats(),
        () => memory.check(),
        () => memory.snapshots.list(),
        () => memory.snapshots.open("s"),
        () => memory.snapshots.create("s"),
      ])
        expectCode("CLOSED", call);
      await expectCodeAsync("CLOSED", memory.flushed());
      await expectCodeAsync("CLOSED", memory.backup(states.path("b.state")));
      await expectCodeAsync("CLOSED", memory.compact());
      assert.deepEqual(readdirSync(states.folder), ["a.state"], "no lock and no pin is left");
      const again = states.open({ autoCommit: false });
      assert.equal(again.stats().file!.chainCommits, 0);
      assert.equal(again.roots.size, 1);
    });

    it("using and await using close", async () => {
      let seen: Memory;
      {
        using memory = states.open();
        seen = memory;
        memory.root("p", () => memory.alloc(8));
      }
      assert.equal(seen.isOpen, false);
      {
        await using memory = states.open();
        seen = memory;
        assert.equal(memory.roots.size, 1);
      }
      assert.equal(seen.isOpen, false);
      const events: string[] = [];
      const memory = states.open();
      memory.addEventListener("close", (event) => void events.push((event as Event).type));
      memory.close();
      memory.close();
      assert.deepEqual(events, ["close"]);
    });

    it("a snapshot of a closed memory, and a reader's, are closed with it or refuse", () => {
      const memory = states.open();
      const p = memory.root("p", () => memory.alloc(40_000));
      p.u8 = 1;
      memory.snapshots.create("s");
      const snapshot = states.adopt(memory.snapshots.open("s"));
      memory.close();
      expectCode("CLOSED", () => snapshot.roots.get("p")!.add(20_000).u8);
      snapshot.close();
    });
  });

  it("a file that is written while another process reads it whole is found again whole", () => {
    const memory = states.open({ autoCommit: false });
    populate(memory);
    memory.commit();
    writeFileSync(states.path("copy.state"), readFileSync(states.path()));
    const before = content(memory);
    memory.close();
    assert.deepEqual(content(states.open({ readOnly: true }, "copy.state")), before);
  });
});
