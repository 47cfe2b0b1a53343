// One writer: the lock, its numbers and its messages; what dead processes leave; forced takeover, after which the
// former owner acknowledges nothing more and nothing that it acknowledged is lost.

import assert from "node:assert/strict";
import { PerdureError } from "../bindings/base/errors.js";
import { encodeForwarding } from "../bindings/format/forwarding.js";
import {
  encodeLock,
  lockName,
  newName,
  type ProcessIdentity,
  temporaryName,
} from "../bindings/format/side-files.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager, type PagerOptions } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { Reader } from "../bindings/pager/reader.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import type { Place } from "../bindings/storage/storage.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { FakeMachine, type FakeProcess } from "./support/fake-processes.js";
import {
  blockBytes,
  bytesOf,
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
import { withSeed } from "./support/random.js";
import { Killed, TappedPlace } from "./support/tapped-place.js";

const hasher = await WasmHasher.create();
const nonce = "0123456789abcdef0123456789abcdef";

describe("one writer", () => {
  let place: MemoryPlace;
  let machine: FakeMachine;
  let model: PagerModel;

  const open = (process: FakeProcess, options: PagerOptions = {}, where: Place = place) =>
    openPager(where, "state", hasher, process, options);
  const write = (block: number, count = 1): Extent => ({ block, count, stamp: model.nextStamp() });
  const names = () => place.list("");
  const locks = () => place.list("state.lock-").map((name) => Number(name.slice("state.lock-".length)));
  const writerNumber = () => {
    const reader = new Reader(place, "state", hasher, machine.start());
    reader.close();
    return reader.superblock.writer;
  };
  const put = (name: string, bytes: Uint8Array) => {
    const storage = place.createExclusive(name)!;
    storage.write(0, bytes);
    storage.close();
  };
  const record = (n: number, process: ProcessIdentity) =>
    put(lockName("state", n), encodeLock({ writer: n, nonce, process }));

  beforeEach(() => {
    place = new MemoryPlace();
    machine = new FakeMachine();
    model = new PagerModel();
  });

  /** Opens the state as whoever comes next, compares it with the model, and leaves nothing but the state. */
  const verifyNext = (options: PagerOptions = {}) => {
    const pager = open(machine.start(), options);
    verifyAgainst(pager, model);
    performCommit(pager, model, [write(1, 3)], true);
    verifyAgainst(pager, model);
    pager.close();
    assert.deepEqual(names(), ["state"]);
  };

  describe("the lock", () => {
    it("is refused to a second process, with a message that names the first", () => {
      const first = machine.start();
      const pager = open(first);
      const error = expectCode("LOCKED", () => open(machine.start()));
      assert.ok(error.message.includes(`process ${first.self.pid}`), error.message);
      assert.ok(!/container/.test(error.message), error.message);
      const own = expectCode("LOCKED", () => open(first));
      assert.match(own.message, /in this process already/);
      const far = expectCode("LOCKED", () => open(new FakeMachine("machine-2", "boot-9").start()));
      assert.match(far.message, /another machine or container/);
      performCommit(pager, model, [write(0, 3)], true);
      pager.close();
      verifyNext();
    });

    it("is let go by close and by abandon, which leave nothing else", () => {
      const pager = open(machine.start());
      assert.deepEqual(names(), ["state", `state.lock-${locks()[0]}`]);
      pager.close();
      assert.deepEqual(names(), ["state"]);
      open(machine.start()).abandon();
      assert.deepEqual(names(), ["state"]);
      verifyNext();
    });

    it("of a dead process is passed over and removed; numbers only grow", () =>
      withSeed("numbers", (random) => {
        let last = 0;
        for (let i = 0; i < 40; i++) {
          const process = machine.start();
          const pager = open(process);
          const [n, ...others] = locks();
          assert.deepEqual(others, []);
          assert.ok(n > last, `number ${n} after ${last}`);
          performCommit(pager, model, randomExtents(random, model, wideShape.regions, 5), random.oneIn(2));
          if (random.oneIn(3)) pager.abandon();
          else if (random.oneIn(2)) process.kill();
          else pager.close();
          // The number of one that never wrote a superblock and took its record away may be given out again.
          last = Math.max(writerNumber(), ...locks());
        }
        verifyNext();
      }));

    it("several records, all of the dead", () => {
      open(machine.start()).close();
      for (const n of [3, 17, 100]) {
        const process = machine.start();
        record(n, process.self);
        process.kill();
      }
      const pager = open(machine.start());
      assert.deepEqual(locks(), [101]);
      pager.close();
      verifyNext();
    });

    it("one record of the living among those of the dead", () => {
      open(machine.start()).close();
      const [dead, alive] = [machine.start(), machine.start()];
      record(9, dead.self);
      record(4, alive.self);
      dead.kill();
      const error = expectCode("LOCKED", () => open(machine.start()));
      assert.ok(error.message.includes(`process ${alive.self.pid}`));
      alive.kill();
      verifyNext();
    });

    it("a record that lost its content in a power cut belongs to nobody alive", () => {
      open(machine.start()).close();
      put(lockName("state", 5), new Uint8Array(0));
      put(lockName("state", 6), new Uint8Array(300));
      const pager = open(machine.start());
      assert.deepEqual(locks(), [7]);
      pager.close();
      verifyNext();
    });

    it("a record that cannot be read counts as alive; the message says its number and what to do", () => {
      open(machine.start()).close();
      const unreadable = [
        new Uint8Array([123, 125]),
        new TextEncoder().encode("{"),
        new Uint8Array(70000).fill(32),
      ];
      for (const bytes of unreadable) {
        put(lockName("state", 41), bytes);
        const error = expectCode("LOCKED", () => open(machine.start()));
        assert.match(error.message, /41.*cannot be read.*perdure unlock/);
        place.remove(lockName("state", 41));
      }
      put(lockName("state", 41), unreadable[0]);
      verifyNext({ takeover: true });
    });

    it("names that only look like records are left alone", () => {
      const foreign = [
        "state.lock-",
        "state.lock-x",
        "state.lock-007",
        "state.locker",
        "state.lock-1.bak",
        "statement",
      ];
      for (const name of foreign) put(name, new Uint8Array([1]));
      open(machine.start()).close();
      assert.deepEqual(names(), ["state", ...foreign].sort());
      for (const name of foreign) place.remove(name);
      verifyNext();
    });

    it("is let go when opening fails", () => {
      put("state", new Uint8Array(5 * blockBytes).fill(7));
      expectCode("CORRUPT", () => open(machine.start()));
      assert.deepEqual(names(), ["state"]);
      assert.deepEqual(place.readFile("state"), new Uint8Array(5 * blockBytes).fill(7));
      place.remove("state");
      expectCode("NOT_FOUND", () => open(machine.start(), { create: false }));
      assert.deepEqual(names(), []);
      verifyNext();
    });

    it("when another process takes the same number first, it has it", () => {
      open(machine.start()).close();
      const tapped = new TappedPlace(place);
      const rival = machine.start();
      let n = 0;
      tapped.onCall = (call) => {
        if (call !== "link" || n > 0) return;
        n = writerNumber() + 1;
        record(n, rival.self);
      };
      const error = expectCode("LOCKED", () => open(machine.start(), {}, tapped));
      assert.ok(error.message.includes(`process ${rival.self.pid}`));
      assert.deepEqual(locks(), [n]);
      rival.kill();
      verifyNext();
    });

    it("when another process shows up after the record was linked, both step back; the one that waited longer gets it", () => {
      open(machine.start()).close();
      const tapped = new TappedPlace(place);
      const rival = machine.start();
      tapped.onCall = (call) => {
        if (call !== "link") return;
        tapped.onCall = () => {};
        record(writerNumber() + 2, rival.self);
      };
      const process = machine.start();
      let waited = 0;
      process.onWait = () => {
        waited++;
        rival.kill();
      };
      const pager = open(process, {}, tapped);
      assert.equal(waited, 1);
      assert.equal(locks().length, 1);
      pager.close();
      verifyNext();
    });
  });

  it("tidies what dead processes have left half done, and nothing else", () => {
    open(machine.start()).close();
    const [dead, alive] = [machine.start(), machine.start()];
    const temporary = (first: string, process: FakeProcess) => {
      const name = temporaryName("state", first + nonce.slice(1));
      put(name, encodeLock({ writer: 3, nonce, process: process.self }));
      return name;
    };
    temporary("a", dead);
    const kept = [temporary("b", alive), "state.new-2024", "state.tmp-mine", "state.new-"];
    put(newName("state", nonce), new Uint8Array(9999));
    put(newName("state", nonce.toUpperCase().replace(/0/g, "f").toLowerCase()), new Uint8Array(0));
    for (const name of kept.slice(1)) put(name, new Uint8Array([1]));
    dead.kill();
    const pager = open(machine.start());
    pager.close();
    assert.deepEqual(names(), ["state", ...kept].sort());
    for (const name of kept) place.remove(name);
    verifyNext();
  });

  it("the state is created whole: a kill at any call leaves none or one that opens", () => {
    for (let call = 1; ; call++) {
      place = new MemoryPlace();
      const tapped = new TappedPlace(place);
      tapped.onCall = () => {
        if (tapped.calls === call) tapped.kill();
      };
      const process = machine.start();
      try {
        open(process, {}, tapped).close();
        assert.ok(call > 20);
        return;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
      process.kill();
      model = new PagerModel();
      verifyNext();
    }
  });

  describe("forced takeover", () => {
    /** An owner with commits, flushed and not, and a snapshot. */
    function owner(where: Place = place): { pager: Pager; process: FakeProcess } {
      const process = machine.start();
      const pager = open(process, {}, where);
      performCommit(pager, model, [write(0, 30), write(2 ** 35, 2)], true);
      model.createSnapshot(
        "a",
        performRecord(pager, () => pager.createSnapshot("a")),
      );
      performCommit(pager, model, [write(10, 20)], true);
      performCommit(pager, model, [write(15, 3), { block: 50, count: 9, stamp: null }], false);
      return { pager, process };
    }

    const block = (stamp: number) => [{ block: 7, count: 1, bytes: bytesOf(7, stamp) }];
    const acknowledging: [string, (pager: Pager) => unknown][] = [
      ["a durable commit", (pager) => pager.commit(block(1), true)],
      ["a commit that is not durable", (pager) => pager.commit(block(1), false)],
      ["a large commit", (pager) => pager.commit([{ block: 0, count: 300, bytes: bytesOf(0, 5, 300) }])],
      ["discarding", (pager) => pager.commit([{ block: 0, count: 5, bytes: null }], false)],
      ["flush", (pager) => pager.flush()],
      ["flushed", (pager) => pager.flushed()],
      ["checkpoint", (pager) => pager.checkpoint()],
      ["creating a snapshot", (pager) => pager.createSnapshot("b")],
      ["deleting a snapshot", (pager) => pager.deleteSnapshot("a")],
      ["restoring a snapshot", (pager) => pager.restoreSnapshot("a")],
      ["a backup", (pager) => pager.backup(place, "backup")],
      ["a compaction", (pager) => pager.compact()],
    ];
    const call = async (body: () => unknown) => body();

    for (const [what, acknowledge] of acknowledging) {
      it(`fences the former owner at ${what}, and keeps all that it acknowledged`, async () => {
        const { pager, process } = owner();
        const image = new Map(model.image);
        const successor = open(machine.start(), { takeover: true });
        verifyAgainst(successor, model);
        performCommit(successor, model, [write(30, 4)], true);
        const before = place.readFile("state");
        await expectCodeAsync(
          "FENCED",
          call(() => acknowledge(pager)),
        );
        // And from now on at everything that writes, while what it committed can still be read.
        for (const [, again] of acknowledging)
          await expectCodeAsync(
            "FENCED",
            call(() => again(pager)),
          );
        expectCode("FENCED", () => pager.spill(3, bytesOf(3, 3)));
        verifyImage(pager, image, "the former owner");
        assert.deepEqual(place.readFile("state"), before);
        const held = locks();
        pager.close();
        assert.deepEqual(locks(), held, "the lock of the successor is not the former owner's to remove");
        expectCode("LOCKED", () => open(process));
        verifyAgainst(successor, model);
        successor.close();
        verifyNext();
      });
    }

    it("without an owner is an ordinary opening", () => {
      const { pager } = owner();
      pager.close();
      const reader = new Reader(place, "state", hasher, machine.start());
      const { uuid } = reader.superblock;
      const successor = open(machine.start(), { takeover: true });
      verifyAgainst(successor, model);
      successor.close();
      reader.refresh();
      assert.deepEqual(reader.superblock.uuid, uuid, "the same file");
      reader.close();
      verifyNext();
    });

    it("one after the other: each fences the one before", () => {
      const first = owner().pager;
      const process = machine.start();
      const second = open(process, { takeover: true });
      performCommit(second, model, [write(5)], false);
      const third = open(process, { takeover: true });
      for (const pager of [first, second]) expectCode("FENCED", () => pager.commit(block(3)));
      verifyAgainst(third, model);
      performCommit(third, model, [write(6)], false);
      for (const pager of [second, first]) pager.close();
      third.abandon();
      verifyNext();
    });

    it("drops what the owner had spilled, and readers follow it", () => {
      const { pager } = owner();
      const reader = new Reader(place, "state", hasher, machine.start());
      const image = new Map(model.image);
      performSpill(pager, model, 3);
      model.rollback();
      const successor = open(machine.start(), { takeover: true });
      verifyAgainst(successor, model);
      performCommit(successor, model, [write(0, 20)], false);
      for (let i = 0; i < 4; i++) performRecord(successor, () => successor.checkpoint());
      verifyImage(reader, image, "before refresh");
      assert.equal(reader.refresh(), successor.sequence);
      verifyImage(reader, model.image, "after refresh");
      reader.close();
      // Whoever closes without having noticed is told.
      expectCode("FENCED", () => pager.close());
      pager.close();
      successor.close();
      verifyNext();
    });

    it("interrupted by a kill at any call: the next ordinary opening finishes it", () => {
      for (let kill = 1; ; kill++) {
        place = new MemoryPlace();
        model = new PagerModel();
        const { pager, process } = owner();
        const tapped = new TappedPlace(place);
        tapped.onCall = () => {
          if (tapped.calls === kill) tapped.kill();
        };
        const taker = machine.start();
        let done = false;
        try {
          open(taker, { takeover: true }, tapped);
          done = true;
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
        }
        taker.kill();
        // The owner, alive all the time, commits once more, or is told that it cannot; then the next has it or has it not.
        const extents = [write(200, 5)];
        const acknowledged = commits(pager, extents);
        process.kill();
        if (acknowledged || hasStamp(200, extents[0].stamp!)) model.commit(extents);
        verifyNext();
        if (done) {
          assert.ok(kill > 40, `only ${kill} calls`);
          return;
        }
      }
    });

    /** False when the owner is fenced. */
    function commits(pager: Pager, extents: readonly Extent[]): boolean {
      try {
        pager.commit(extents.map(changeOf), false);
        return true;
      } catch (error) {
        assert.ok(error instanceof PerdureError && error.code === "FENCED", String(error));
        return false;
      }
    }

    /** Whether the file that has the name now has the block with this stamp. */
    function hasStamp(block: number, stamp: number): boolean {
      const bytes = new Uint8Array(blockBytes);
      const reader = new Reader(place, "state", hasher, machine.start());
      reader.read(block, 1, bytes);
      reader.close();
      return Buffer.compare(bytes, bytesOf(block, stamp)) === 0;
    }

    it("interrupted, with a partial copy left behind: finished by the next ordinary opening", () => {
      const { pager, process } = owner();
      pager.abandon();
      process.kill();
      const reader = new Reader(place, "state", hasher, machine.start());
      const { uuid } = reader.superblock;
      const file = place.open("state", "write");
      file.write(
        2 * blockBytes,
        encodeForwarding({ uuid, nonce: new Uint8Array(16).fill(9), writer: 1, time: 5 }, hasher),
      );
      file.close();
      put(newName("state", nonce), place.readFile("state")!.slice(0, 20 * blockBytes));
      const next = open(machine.start());
      verifyAgainst(next, model);
      reader.refresh();
      assert.notDeepEqual(reader.superblock.uuid, uuid, "another file");
      verifyImage(reader, model.image, "the reader");
      reader.close();
      next.close();
      verifyNext();
    });

    for (const [what, acknowledge] of acknowledging) {
      if (what === "a backup") continue;
      it(`at any call of ${what}: acknowledged before, or FENCED`, async () => {
        for (let stop = 1; ; stop++) {
          place = new MemoryPlace();
          model = new PagerModel();
          const tapped = new TappedPlace(place);
          const { pager } = owner(tapped);
          const before = model.copy();
          const begun = tapped.calls;
          let successor: Pager | null = null;
          let lost: unknown = null;
          tapped.onCall = () => {
            if (tapped.calls - begun !== stop) return;
            try {
              successor = open(machine.start(), { takeover: true });
            } catch (error) {
              lost = error;
            }
          };
          let acknowledged = true;
          try {
            await acknowledge(pager);
          } catch (error) {
            assert.ok(error instanceof PerdureError, `call ${stop}: ${error}`);
            // A compaction that was done, but whose file has been taken over since.
            const locked = what === "a compaction" && error.code === "LOCKED";
            assert.ok(error.code === "FENCED" || locked, `call ${stop}: ${error.code} ${error}`);
            acknowledged = false;
          }
          const calls = tapped.calls - begun;
          tapped.onCall = () => {};
          verifyOutcome(pager, successor, lost, acknowledged, before, `${what}, call ${stop}`);
          if (stop > calls) {
            assert.ok(calls >= 2, `only ${calls} calls`);
            return;
          }
        }
      });
    }

    /** The successor has everything that was acknowledged; it may have the last change although that was not. */
    function verifyOutcome(
      pager: Pager,
      successor: Pager | null,
      lost: unknown,
      acknowledged: boolean,
      before: PagerModel,
      what: string,
    ): void {
      if (successor === null && lost === null) {
        assert.ok(acknowledged, what);
        pager.close();
        return;
      }
      if (successor === null) {
        // The owner was replacing the file itself and was faster.
        assert.ok(lost instanceof PerdureError && lost.code === "LOCKED", `${what}: ${lost}`);
        if (acknowledged) performCommit(pager, before.copy(), [], true);
        pager.abandon();
        verifyImageOf(before, what);
        return;
      }
      const { sequence } = successor;
      assert.ok(!acknowledged || pager.sequence <= sequence, `${what}: ${pager.sequence} was acknowledged`);
      expectCode("FENCED", () => pager.commit([{ block: 1, count: 1, bytes: null }], false));
      assert.deepEqual(successor.check(true).problems, [], what);
      pager.close();
      successor.close();
    }

    function verifyImageOf(expected: PagerModel, what: string): void {
      const next = open(machine.start());
      assert.deepEqual(next.check(true).problems, [], what);
      verifyImage(next, expected.image, what);
      next.close();
    }
  });
});
