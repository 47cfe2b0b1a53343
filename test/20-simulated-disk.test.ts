// The simulated disk itself: every crash test rests on it, so its states are compared with a model that is too
// simple to be wrong, and its rules are shown one by one.

import assert from "node:assert/strict";
import { MemoryPlace } from "../bindings/storage/memory.js";
import type { Place, Storage } from "../bindings/storage/storage.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { modelStates, randomTrace, runsOf, runTrace } from "./support/naive-disk.js";
import { withSeed } from "./support/random.js";
import {
  type Chooser,
  crashModes,
  describeOperation,
  enumerateCrashes,
  everythingPersists,
  nothingPersists,
  type Operation,
  SeededChooser,
  SimulatedCrash,
  SimulatedDisk,
  stopAt,
} from "./support/simulated-disk.js";
import { bytesOf, contents, create } from "./support/storage-conformance.js";

const slot = 4096;

function filled(value: number, length = slot): Uint8Array {
  return new Uint8Array(length).fill(value);
}

/** A disk with one durable file of `slots` slots, each filled with its number. */
function diskWithFile(slots: number): SimulatedDisk {
  const disk = new SimulatedDisk();
  const bytes = new Uint8Array(slots * slot);
  for (let i = 0; i < slots; i++) bytes.fill(i, i * slot, (i + 1) * slot);
  disk.install("file", bytes);
  return disk;
}

/** The first byte of each sector. */
function sectors(disk: SimulatedDisk, name = "file"): number[] {
  return [...disk.contents(name)].filter((_, i) => i % 512 === 0);
}

function stateKeys(states: Iterable<SimulatedDisk>): Set<string> {
  const keys = new Set<string>();
  for (const state of states) {
    const key = state.names().map((name) => `${name}=${Buffer.from(state.contents(name)).toString("hex")}`);
    keys.add(key.join(";"));
  }
  return keys;
}

/** Every state of the names, with the first byte of each file. */
function nameStates(disk: SimulatedDisk): string[] {
  const states = new Set<string>();
  for (const state of enumerateCrashes(disk)) {
    states.add(
      state
        .names()
        .map((name) => `${name}${state.contents(name)[0] ?? ""}`)
        .join(" "),
    );
  }
  return [...states].sort();
}

describe("the simulated disk", () => {
  describe("in a power cut", () => {
    it("leaves exactly the states of a naive model", () => {
      withSeed("simulated disk against the naive model", (random) => {
        for (let round = 0; round < 80; round++) {
          const trace = randomTrace(random);
          const disk = runTrace(trace);
          const found = [...enumerateCrashes(disk, 9)].map((state) => runsOf(state.contents("file")));
          assert.equal(new Set(found).size, found.length, "a state was generated twice");
          assert.deepEqual(new Set(found), modelStates(trace), JSON.stringify(trace));
        }
      });
    });

    it("loses any of the unflushed sectors, and none of the flushed ones", () => {
      const disk = diskWithFile(2);
      const file = disk.open("file", "write");
      file.write(0, filled(7, 1024));
      file.flush();
      file.write(512, filled(8, 1024));
      const seen = new Set([...enumerateCrashes(disk)].map((state) => sectors(state).slice(0, 4).join()));
      assert.deepEqual([...seen].sort(), ["7,7,0,0", "7,7,8,0", "7,8,0,0", "7,8,8,0"]);
      assert.deepEqual(sectors(disk).slice(0, 4), [7, 8, 8, 0]);
    });

    it("keeps a later write of a sector with or without an earlier one", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      file.write(0, filled(7, 256));
      file.write(128, filled(8, 256));
      const seen = [...enumerateCrashes(disk)].map((state) => {
        const bytes = state.contents("file");
        return [bytes[0], bytes[200], bytes[300]].join();
      });
      assert.deepEqual(seen.sort(), ["0,0,0", "0,8,8", "7,7,0", "7,8,8"]);
    });

    it("moves the size by itself, page by page and in order", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      file.write(slot, filled(9, 2 * slot + 100));
      const sizes = (chooser: Chooser): number[] => {
        const found = new Set<number>();
        for (let step = 0; step < 4; step++) {
          const state = disk.crash({ below: () => step, bits: chooser.bits });
          assert.ok(
            sectors(state)
              .slice(8)
              .every((value) => value === (chooser === nothingPersists ? 0 : 9)),
          );
          found.add(state.contents("file").length);
        }
        return [...found];
      };
      for (const chooser of [nothingPersists, everythingPersists]) {
        assert.deepEqual(sizes(chooser), [slot, 2 * slot, 3 * slot, 3 * slot + 100]);
      }
    });

    it("shows zeros where a file was cut and grew again", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      file.write(0, filled(5));
      file.flush();
      file.truncate(512);
      file.truncate(1024);
      const seen = [...enumerateCrashes(disk)].map((state) => sectors(state).join());
      assert.deepEqual(seen.sort(), ["5", "5,0", "5,5,5,5,5,5,5,5"]);
    });

    it("takes every process away, and leaves nothing pending", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      file.write(0, filled(5));
      const after = disk.crash(everythingPersists);
      assert.equal(after.pendingSectorCount(), 0);
      assert.equal([...enumerateCrashes(after)].length, 1);
      file.write(0, filled(6));
      assert.equal(after.contents("file")[0], 5);
      assert.equal(after.operationCount, 0);
    });

    it("may strike again while the first one is being repaired", () => {
      const disk = diskWithFile(1);
      disk.open("file", "write").write(0, filled(5, 512));
      const second = [...enumerateCrashes(disk)].flatMap((state) => {
        state.open("file", "write").write(512, filled(6, 512));
        return [...enumerateCrashes(state)].map((again) => sectors(again).slice(0, 3).join());
      });
      assert.deepEqual(second.sort(), ["0,0,0", "0,6,0", "5,0,0", "5,6,0"]);
    });

    it("draws states in every mode", () => {
      const disk = diskWithFile(4);
      const file = disk.open("file", "write");
      for (let i = 0; i < 4; i++) file.write(i * slot, filled(9));
      assert.equal(disk.pendingSectorCount(), 32);
      withSeed("modes of a crash", (random) => {
        for (const mode of crashModes) {
          const chooser = new SeededChooser(random, mode);
          for (let round = 0; round < 50; round++) {
            const kept = sectors(disk.crash(chooser)).map((value) => (value === 9 ? 1 : 0));
            const count = kept.reduce<number>((sum, one) => sum + one, 0);
            const text = kept.join("");
            if (mode === "nothing") assert.equal(count, 0);
            if (mode === "everything") assert.equal(count, 32);
            if (mode === "only-one") assert.equal(count, 1);
            if (mode === "all-but-one") assert.equal(count, 31);
            if (mode === "in-order") assert.match(text, /^1*0*$/);
            if (mode === "in-reverse") assert.match(text, /^0*1*$/);
            if (mode === "whole-writes") assert.match(text, /^(?:0{8}|1{8}){4}$/);
          }
        }
        assert.throws(() => [...enumerateCrashes(disk)], RangeError);
        const states = [...disk.crashStates({ random, samples: 60 })];
        assert.equal(stateKeys(states).size, states.length);
        assert.ok(states.length > 20);
      });
    });
  });

  describe("as a directory", () => {
    it("keeps a prefix of the names changed since its last flush", () => {
      const disk = new SimulatedDisk();
      create(disk, "a", 1);
      disk.open("a", "write").flush();
      assert.deepEqual(nameStates(disk), ["", "a1"]);
      disk.flush();
      assert.deepEqual(nameStates(disk), ["a1"]);
      disk.link("a", "b");
      disk.remove("a");
      assert.deepEqual(nameStates(disk), ["a1", "a1 b1", "b1"]);
    });

    it("renames at once or not at all, and independently of the data", () => {
      const disk = new SimulatedDisk();
      disk.install("a", bytesOf(1));
      create(disk, "new", 2);
      disk.rename("new", "a");
      assert.deepEqual(nameStates(disk), ["a", "a0", "a1", "a1 new", "a1 new0", "a1 new2", "a2"]);
      disk.flush();
      assert.deepEqual(nameStates(disk), ["a", "a0", "a2"]);
      disk.open("a", "write").flush();
      assert.deepEqual(nameStates(disk), ["a2"]);
    });

    it("keeps two names of a file together", () => {
      const disk = new SimulatedDisk();
      create(disk, "a", 1);
      disk.link("a", "b");
      disk.flush();
      for (const state of enumerateCrashes(disk)) {
        state.open("a", "write").write(0, bytesOf(7));
        assert.equal(state.contents("b")[0], 7);
      }
    });
  });

  describe("flushes off the thread", () => {
    it("what was written before the call, and nothing later", async () => {
      const disk = diskWithFile(1);
      disk.automaticFlush = false;
      const file = disk.open("file", "write");
      file.write(0, filled(7, 512));
      const flush = file.flushAsync?.();
      file.write(0, filled(8, 512));
      file.write(512, filled(8, 512));
      assert.deepEqual(sectors(disk.crash(nothingPersists)).slice(0, 2), [0, 0]);
      disk.completeFlush();
      await flush;
      assert.deepEqual(sectors(disk.crash(nothingPersists)).slice(0, 2), [7, 0]);
      assert.deepEqual(sectors(disk.crash(everythingPersists)).slice(0, 2), [8, 8]);
      assert.throws(() => disk.completeFlush(), RangeError);
    });

    it("in any order, never undoing a later one", async () => {
      const disk = diskWithFile(1);
      disk.automaticFlush = false;
      const file = disk.open("file", "write");
      file.write(0, filled(7, 512));
      const first = file.flushAsync?.();
      file.write(0, filled(8, 512));
      const second = file.flushAsync?.();
      disk.completeFlush(1);
      await second;
      assert.equal(sectors(disk.crash(nothingPersists))[0], 8);
      disk.completeFlush(0);
      await first;
      assert.equal(sectors(disk.crash(nothingPersists))[0], 8);
    });

    it("by itself in the next microtask unless told otherwise", async () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      file.write(0, filled(7, 512));
      const flush = file.flushAsync?.();
      assert.equal(disk.pendingSectorCount(), 1);
      await flush;
      assert.equal(disk.pendingSectorCount(), 0);
    });

    it("and rejects when it fails, or its process is stopped", async () => {
      const disk = diskWithFile(1);
      disk.automaticFlush = false;
      const file = disk.open("file", "write");
      file.write(0, filled(7, 512));
      disk.failAt((operation) => operation.kind === "flushAsync", "FLUSH");
      const failing = file.flushAsync?.() ?? Promise.resolve();
      disk.completeFlush();
      await expectCodeAsync("IO", failing);
      const second = file.flushAsync?.() ?? Promise.resolve();
      disk.completeFlush(0, everythingPersists);
      await expectCodeAsync("IO", second);
      const third = file.flushAsync?.();
      disk.stop("main");
      await assert.rejects(third ?? Promise.resolve(), SimulatedCrash);
      assert.equal(disk.flushesUnderWay.length, 0);
    });
  });

  describe("after a failed flush", () => {
    let disk: SimulatedDisk;
    let file: Storage;

    beforeEach(() => {
      disk = diskWithFile(1);
      file = disk.open("file", "write");
      file.write(0, filled(7, 1024));
      disk.failAt(disk.operationCount, "FLUSH");
      expectCode("IO", () => file.flush());
    });

    it("shows what is lost, until it leaves the cache", () => {
      assert.deepEqual(sectors(disk).slice(0, 2), [7, 7]);
      assert.deepEqual(sectors(disk.kill()).slice(0, 2), [7, 7]);
      assert.equal(disk.pendingSectorCount(), 0);
      assert.deepEqual(sectors(disk.crash(everythingPersists)).slice(0, 2), [0, 0]);
      disk.evict("file");
      assert.deepEqual(sectors(disk).slice(0, 2), [0, 0]);
    });

    it("flushes well, and still has lost it", () => {
      file.flush();
      assert.deepEqual(sectors(disk).slice(0, 2), [7, 7]);
      assert.deepEqual(sectors(disk.crash(everythingPersists)).slice(0, 2), [0, 0]);
    });

    it("keeps what is written again", () => {
      file.write(512, filled(7, 512));
      file.flush();
      assert.deepEqual(sectors(disk.crash(nothingPersists)).slice(0, 2), [0, 7]);
    });
  });

  it("tells each description of a failed write-back once", async () => {
    const disk = diskWithFile(1);
    const [first, second] = [disk.open("file", "write"), disk.process("other").open("file", "write")];
    first.write(0, filled(7, 512));
    disk.failAt((operation) => operation.kind === "flush", "EIO");
    expectCode("IO", () => first.flush());
    const late = disk.open("file", "write");
    first.flush();
    late.flush();
    await late.flushAsync?.();
    expectCode("IO", () => second.flush());
    second.flush();
    for (const file of [first, second]) {
      await expectCodeAsync("IO", file.flushAsync?.() ?? Promise.resolve());
      await file.flushAsync?.();
    }
    first.write(0, filled(8, 512));
    disk.failWriteback("file");
    assert.equal(disk.pendingSectorCount(), 0);
    expectCode("IO", () => late.flush());
    expectCode("IO", () => first.flush());
    await expectCodeAsync("IO", first.flushAsync?.() ?? Promise.resolve());
  });

  it("may have written a part before a flush failed, and more of the file later", () => {
    const disk = diskWithFile(1);
    const file = disk.open("file", "write");
    file.write(0, filled(7, 1024));
    file.write(slot, filled(8, 1024));
    const secondOfEach: Chooser = { below: () => 0, bits: () => 0b10 };
    disk.failAt(disk.operationCount, "FLUSH", { persisted: secondOfEach });
    expectCode("IO", () => file.flush());
    const keptSectors = (chooser: Chooser): number[] => {
      const all = sectors(disk.crash(chooser));
      return [...all.slice(0, 2), ...all.slice(8)];
    };
    assert.deepEqual(keptSectors(nothingPersists), [0, 7]);
    assert.deepEqual(keptSectors(everythingPersists), [0, 7, 0, 8]);
    file.flush();
    assert.deepEqual(keptSectors(nothingPersists), [0, 7, 0, 8]);
  });

  describe("when processes are killed", () => {
    it("keeps everything they wrote, still pending", () => {
      const disk = new SimulatedDisk();
      create(disk, "a", 1);
      const killed = disk.kill();
      assert.deepEqual(killed.contents("a"), bytesOf(1));
      assert.deepEqual(nameStates(killed), nameStates(disk));
      assert.deepEqual(nameStates(killed), ["", "a", "a0", "a1"]);
      killed.open("a", "write").flush();
      killed.flush();
      assert.deepEqual(nameStates(killed), ["a1"]);
      assert.deepEqual(nameStates(disk), ["", "a", "a0", "a1"]);
    });

    it("stops one at every operation", () => {
      const workload = (disk: SimulatedDisk): void => {
        const file = disk.createExclusive("a");
        file?.write(0, filled(1, 1024));
        file?.flush();
        disk.rename("a", "b");
        disk.flush();
        file?.read(0, new Uint8Array(8));
      };
      const whole = new SimulatedDisk();
      const descriptions: string[] = [];
      whole.onOperation = (operation) => descriptions.push(describeOperation(operation));
      workload(whole);
      assert.deepEqual(descriptions, [
        "#0 main: create a",
        "#1 main: write a 0+1024",
        "#2 main: flush a",
        "#3 main: rename a to b",
        "#4 main: flushDirectory",
        "#5 main: read a 0+8",
      ]);
      for (const applied of [0, 512, Number.POSITIVE_INFINITY]) {
        for (let index = 0; index < whole.operationCount; index++) {
          const disk = new SimulatedDisk();
          disk.onOperation = stopAt(index, applied);
          assert.throws(() => workload(disk), SimulatedCrash);
          assert.throws(() => disk.exists("a"), SimulatedCrash);
          assert.equal(disk.operationCount, index + 1);
          const done = whole.log.filter((entry) => entry.index < index + (applied > 0 ? 1 : 0));
          assert.equal(disk.log.length, done.length);
          const size = applied === 512 && index === 1 ? 512 : index > 1 || applied > 512 ? 1024 : 0;
          if (index > 1 || (index === 1 && applied > 0)) {
            assert.equal(disk.contents(disk.names()[0] ?? "").length, size);
          }
        }
      }
    });

    it("lets others go on, at any point of its own work", () => {
      const disk = diskWithFile(1);
      const zombie = disk.process("zombie").open("file", "write");
      const successor = disk.process("successor");
      disk.onOperation = (operation: Operation) => {
        if (operation.process !== "zombie") return;
        successor.rename("file", "old");
        create(successor, "file", 9);
      };
      zombie.write(0, bytesOf(5));
      disk.onOperation = null;
      assert.equal(disk.contents("old")[0], 5);
      assert.deepEqual(disk.contents("file"), bytesOf(9));
      disk.stop("zombie");
      assert.throws(() => zombie.read(0, new Uint8Array(1)), SimulatedCrash);
      zombie.close();
      assert.deepEqual(contents(successor.open("file", "read")), bytesOf(9));
    });

    it("blames the process that did the operation, not the one whose hook it ran in", () => {
      const disk = diskWithFile(1);
      disk.onOperation = (operation) => {
        if (operation.process === "inner") throw new SimulatedCrash();
        assert.throws(() => disk.process("inner").exists("file"), SimulatedCrash);
      };
      assert.equal(disk.exists("file"), true);
      assert.throws(() => disk.process("inner").exists("file"), { process: "inner" });
    });
  });

  describe("fails where it is told to", () => {
    it("once, at an index", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      const fault = disk.failAt(disk.operationCount + 1, "EIO");
      file.write(0, bytesOf(5));
      expectCode("IO", () => file.write(0, bytesOf(6)));
      file.write(1, bytesOf(7));
      assert.equal(fault.fired, 1);
      assert.deepEqual(disk.contents("file").subarray(0, 2), bytesOf(5, 7));
    });

    it("again and again, until the faults are cleared", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      disk.failAt(disk.operationCount + 1, "ENOSPC", { sticky: true });
      file.write(0, bytesOf(5));
      for (let i = 0; i < 3; i++) {
        expectCode("NO_SPACE", () => file.write(0, bytesOf(6)));
        expectCode("NO_SPACE", () => disk.createExclusive("new"));
        expectCode("NO_SPACE", () => file.flush());
        assert.equal(file.read(0, new Uint8Array(1)), 1);
      }
      disk.clearFaults();
      file.write(0, bytesOf(6));
      assert.equal(disk.contents("file")[0], 6);
      assert.deepEqual(disk.names(), ["file"]);
    });

    it("with a part of a write applied, or none", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "write");
      const isWrite = (operation: Operation): boolean => operation.kind === "write";
      disk.failAt(isWrite, "SHORT");
      expectCode("IO", () => file.write(0, filled(5, 10)));
      assert.deepEqual(disk.contents("file").subarray(0, 10), bytesOf(5, 5, 5, 5, 5, 0, 0, 0, 0, 0));
      disk.failAt(isWrite, "SHORT", { appliedBytes: 7, code: "NO_SPACE" });
      expectCode("NO_SPACE", () => file.writeParts?.(0, [filled(6, 5), filled(6, 5)]));
      assert.deepEqual(disk.contents("file").subarray(0, 10), bytesOf(6, 6, 6, 6, 6, 6, 6, 0, 0, 0));
      disk.failAt(isWrite, "ZERO");
      expectCode("IO", () => file.write(0, filled(7, 10)));
      assert.equal(disk.contents("file")[0], 6);
      assert.equal(disk.log.at(-1)?.bytes?.length, 7);
    });

    it("at reads and at names", () => {
      const disk = diskWithFile(1);
      const file = disk.open("file", "read");
      for (const call of [
        () => file.read(0, new Uint8Array(1)),
        () => file.size(),
        () => disk.open("file", "write"),
        () => disk.list(""),
        () => disk.readFile("file"),
        () => disk.exists("file"),
        () => disk.link("file", "b"),
        () => disk.rename("file", "b"),
        () => disk.remove("file"),
        () => disk.flush(),
      ]) {
        disk.failAt(disk.operationCount, "EIO");
        expectCode("IO", call);
      }
      assert.deepEqual(disk.names(), ["file"]);
    });

    it("never where the kind of fault makes no sense", () => {
      const disk = diskWithFile(1);
      const fault = disk.failAt(disk.operationCount, "FLUSH");
      disk.open("file", "write").flush();
      assert.equal(fault.fired, 0);
    });
  });

  describe("rots", () => {
    it("by bits, zeros and exchanged slots, in the cache and on the medium", () => {
      const disk = diskWithFile(4);
      disk.flipBit("file", 100, 7);
      disk.zeroSlot("file", 3);
      disk.swapSlots("file", 1, 2);
      disk.overwrite("file", 4 * slot - 1, bytesOf(1, 2, 3));
      for (const one of [disk, disk.crash(nothingPersists)]) {
        const bytes = one.contents("file");
        assert.equal(bytes.length, 4 * slot);
        assert.equal(bytes[100], 128);
        assert.deepEqual([bytes[slot], bytes[2 * slot], bytes[3 * slot]], [2, 1, 0]);
        assert.equal(bytes.at(-1), 1);
      }
      disk.cut("file", 5000);
      assert.equal(disk.crash(nothingPersists).contents("file").length, 5000);
    });

    it("by putting back what a slot held before, across crashes too", () => {
      const disk = new SimulatedDisk();
      const file = disk.createExclusive("file");
      disk.flush();
      file?.write(0, filled(1, 2 * slot));
      file?.write(slot, filled(2));
      file?.flush();
      const second = disk.crash(nothingPersists);
      second.open("file", "write").write(slot, filled(3));
      const held = (age: number): number | undefined => {
        const one = second.kill();
        return one.staleSlot("file", 1, age) ? one.contents("file")[slot] : undefined;
      };
      assert.deepEqual([held(1), held(2), held(3), held(4)], [2, 1, 0, undefined]);
      assert.equal(second.staleSlot("file", 0), true);
      assert.equal(second.contents("file")[0], 0);
    });
  });

  it("shows processes what a place in memory would show", () => {
    withSeed("simulated disk as a place", (random) => {
      const disk = new SimulatedDisk();
      const memory = new MemoryPlace();
      const names = ["a", "b", "c"];
      for (let step = 0; step < 1000; step++) {
        const [kind, name, other] = [random.below(8), random.pick(names), random.pick(names)];
        const [offset, length, value] = [random.below(9000), random.below(3000), random.below(256)];
        const act = (place: Place): unknown => {
          if (kind === 0) return place.createExclusive(name) === null;
          if (!place.exists(name)) return null;
          if (kind === 1) return place.link(name, other);
          if (kind === 2) return place.rename(name, other);
          if (kind === 3) return value < 100 && place.remove(name);
          if (kind === 4) place.open(name, "write").truncate(offset);
          else place.open(name, "write").write(offset, filled(value, length));
          return place.readFile(name);
        };
        assert.deepEqual(act(disk), act(memory));
        assert.deepEqual(disk.list(""), memory.list(""));
      }
      for (const name of disk.names()) assert.deepEqual(disk.contents(name), memory.readFile(name));
    });
  });
});
