// Storages that fail at a chosen moment: what the protocol model (test/model/) showed to go wrong, done to the pager itself.

import assert from "node:assert/strict";
import { equalBytes } from "../bindings/base/bytes.js";
import { PerdureError } from "../bindings/base/errors.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager, openPagerOn } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { Reader } from "../bindings/pager/reader.js";
import { readSuperblocks } from "../bindings/pager/recover.js";
import { StateFile } from "../bindings/pager/state-file.js";
import { walkHeaders } from "../bindings/pager/walk.js";
import { MemoryPlace, MemoryStorage } from "../bindings/storage/memory.js";
import { readOnlyError, type Storage } from "../bindings/storage/storage.js";
import { expectCode } from "./support/expect-code.js";
import { FakeMachine } from "./support/fake-processes.js";
import { TappedPlace } from "./support/tapped-place.js";

const hasher = await WasmHasher.create();
const SLOT = 4096;

function slotAt(storage: Storage, offset: number): Uint8Array {
  const bytes = new Uint8Array(SLOT);
  storage.read(offset, bytes);
  return bytes;
}

const filled = (byte: number): Uint8Array => new Uint8Array(SLOT).fill(byte);
const change = (block: number, byte: number) => ({ block, count: 1, bytes: filled(byte) });

/** Fails the calls that its fields say; nothing at first. */
class FailingStorage extends MemoryStorage {
  /** What becomes of the writes that come next: they fail before anything has arrived, or after all has. */
  readonly fates: ("works" | "fails before" | "fails after")[] = [];
  /** After a write there (of more than zeros) nothing arrives any more, as when the process is killed. */
  lastOffset = -1;
  dead = false;
  /** Slots that read as something else, by how often they have been read before. */
  readonly disguises = new Map<number, (times: number) => boolean>();
  private readonly times = new Map<number, number>();

  override writeParts(offset: number, parts: readonly Uint8Array[]): void {
    const fate = this.dead ? "fails before" : (this.fates.shift() ?? "works");
    if (offset === this.lastOffset && parts[0]!.some((byte) => byte !== 0)) this.dead = true;
    if (fate !== "fails before") super.writeParts(offset, parts);
    if (fate !== "works") throw new PerdureError("NO_SPACE", "the device is full");
  }

  override write(offset: number, from: Uint8Array): void {
    this.writeParts(offset, [from]);
  }

  /** Stays, for the next pager. */
  override close(): void {}

  override read(offset: number, into: Uint8Array): number {
    const read = super.read(offset, into);
    for (const [slot, isDisguised] of this.disguises) {
      const at = slot * SLOT - offset;
      if (at < 0 || at >= into.length) continue;
      const times = this.times.get(slot) ?? 0;
      this.times.set(slot, times + 1);
      if (isDisguised(times)) into.fill(0xee, at, at + SLOT);
    }
    return read;
  }
}

describe("a pager on a failing device", () => {
  it("goes on when neither a header nor zeros find room", () => {
    const storage = new FailingStorage();
    const pager = openPagerOn(storage, hasher);
    pager.commit([change(0, 1)]);
    storage.fates.push("fails before", "fails before");
    expectCode("NO_SPACE", () => pager.commit([change(0, 2)]));
    storage.fates.length = 0;
    pager.commit([change(1, 3)]);
    const into = new Uint8Array(2 * SLOT);
    pager.read(0, 2, into);
    assert.deepEqual([into[0], into[SLOT]], [1, 3]);
    pager.close();
  });

  it("is at the last commit, in a file of its size, whichever write of a large commit fails", () => {
    const blocks = 600;
    const bytes = new Uint8Array(blocks * SLOT).map((_, i) => i / SLOT);
    // Three writes of blocks, and the header.
    for (let write = 0; write < 4; write++) {
      for (const fate of ["fails before", "fails after"] as const) {
        const storage = new FailingStorage();
        const pager = openPagerOn(storage, hasher);
        pager.commit([change(0, 1)]);
        // A checkpoint, whose new log runs have room for it.
        pager.commit([{ block: 10, count: blocks, bytes }]);
        pager.commit([{ block: 10, count: blocks, bytes: null }]);
        const before = storage.size();
        storage.fates.push(...Array<"works">(write).fill("works"), fate);
        expectCode("NO_SPACE", () => pager.commit([{ block: 5, count: blocks, bytes }, change(0, 2)]));
        assert.equal(storage.fates.length, 0);
        assert.equal(storage.size(), before);
        const into = new Uint8Array(SLOT);
        for (const [block, expected] of [
          [0, 1],
          [5, 0],
        ]) {
          pager.read(block!, 1, into);
          assert.equal(into[0], expected);
        }
        pager.commit([change(5, 7), { block: 100, count: blocks, bytes }]);
        pager.close();
        const again = openPagerOn(storage, hasher);
        const found = new Uint8Array(blocks * SLOT);
        again.read(100, blocks, found);
        assert.ok(equalBytes(found, bytes));
        assert.deepEqual(again.check(true).problems, []);
        again.close();
      }
    }
  });

  it("is poisoned when a header has arrived and voiding it fails, although zeros have arrived too", () => {
    const storage = new FailingStorage();
    const pager = openPagerOn(storage, hasher);
    pager.commit([change(0, 1)]);
    // The record is written, its nodes are not: the record may have gone to the disk since.
    storage.fates.push("works", "fails before", "fails after");
    expectCode("NO_SPACE", () => pager.createSnapshot("never"));
    assert.equal(storage.fates.length, 0);
    expectCode("IO", () => pager.commit([change(1, 2)]));
    pager.abandon();
  });

  it("closes well on a full device when all is committed, and the next opening replays", () => {
    for (const durable of [true, false]) {
      const place = new MemoryPlace();
      const machine = new FakeMachine();
      const tapped = new TappedPlace(place);
      const pager = openPager(tapped, "state", hasher, machine.start());
      pager.commit([change(0, 1)]);
      pager.commit([change(1, 2)], durable);
      const { sequence } = pager;
      let flushes = 0;
      tapped.onCall = (call) => {
        if (call === "flush") flushes++;
        if (call === "write") throw new PerdureError("NO_SPACE", "the device is full");
      };
      pager.close();
      assert.equal(flushes, 1);
      assert.deepEqual(place.list("state"), ["state"], "the lock is released");
      const again = openPager(place, "state", hasher, machine.start());
      assert.equal(again.sequence, sequence + 1, "a checkpoint after what was replayed");
      const into = new Uint8Array(2 * SLOT);
      again.read(0, 2, into);
      assert.deepEqual([into[0], into[SLOT]], [1, 2]);
      assert.deepEqual(again.check(true).problems, []);
      again.close();
    }
  });

  it("says so when it closes and what was committed could not be made durable", () => {
    const place = new MemoryPlace();
    const machine = new FakeMachine();
    const tapped = new TappedPlace(place);
    const pager = openPager(tapped, "state", hasher, machine.start());
    pager.commit([change(0, 1)], false);
    tapped.onCall = (call) => {
      if (call === "flush") throw new PerdureError("IO", "the device is gone");
      if (call === "write") throw new PerdureError("NO_SPACE", "the device is full");
    };
    expectCode("IO", () => pager.close());
    assert.deepEqual(place.list("state"), ["state"], "the lock is released");
  });

  it("reads superblocks again when it meets an owner who is writing one after the other", () => {
    const storage = new FailingStorage();
    openPagerOn(storage, hasher).close();
    for (const slot of [0, 1]) storage.disguises.set(slot, (times) => times === 0);
    openPagerOn(storage, hasher).close();
    for (const slot of [0, 1]) storage.disguises.set(slot, () => true);
    expectCode("CORRUPT", () => openPagerOn(storage, hasher));
  });

  it("refuses to open with IO, not CORRUPT, when a block that was not flushed goes between walk and rewriting", () => {
    const storage = new FailingStorage();
    const first = openPagerOn(storage, hasher);
    first.commit([change(0, 1)], false);
    const slots = first.stats().fileBytes / SLOT;
    // Its handle is left as a kill would leave it.
    const block = [...Array(slots).keys()].find((at) => {
      const bytes = new Uint8Array(SLOT);
      storage.read(at * SLOT, bytes);
      return bytes.every((byte) => byte === 1);
    })!;
    storage.disguises.set(block, (times) => times > 0);
    expectCode("IO", () => openPagerOn(storage, hasher));
    storage.disguises.clear();
    const again = openPagerOn(storage, hasher);
    const into = new Uint8Array(SLOT);
    again.read(0, 1, into);
    assert.deepEqual(into, filled(1));
    again.close();
  });
});

describe("openings that are killed in their checkpoint, one after the other", () => {
  it("leave proof of what they flushed, however far from the newest superblock it lies", () => {
    const storage = new FailingStorage();
    const file = new StateFile(storage, hasher, "storage");
    const walked = () => walkHeaders(file, readSuperblocks(file).newest);
    const first = openPagerOn(storage, hasher);
    first.commit([change(0, 1)]);
    first.checkpoint();
    first.commit([change(0, 2)], false);
    first.commit([change(1, 3)], false);
    const [commit] = walked().segments;
    // Only the record of each checkpoint is written; it says where the next one lies.
    for (const die of [() => first.checkpoint(), () => openPagerOn(storage, hasher)]) {
      storage.lastOffset = walked().next * SLOT;
      storage.dead = false;
      expectCode("NO_SPACE", die);
    }
    storage.lastOffset = -1;
    storage.dead = false;
    assert.equal(walked().segments.length, 4);
    storage.write(commit!.slot * SLOT + 50, filled(9).subarray(0, 1));
    expectCode("CORRUPT", () => openPagerOn(storage, hasher));
  });
});

describe("an opener that takes a number of long ago", () => {
  it("sees what an owner has left who lets go while the locks are listed", () => {
    const place = new MemoryPlace();
    const machine = new FakeMachine();
    openPager(place, "state", hasher, machine.start()).close();
    const tapped = new TappedPlace(place);
    let owner: Pager | null = null;
    let linked = false;
    tapped.onCall = (call) => {
      if (call === "link" && !linked) {
        // The number is taken and free again before it is linked, and its successor owns the file.
        linked = true;
        const dying = machine.start();
        openPager(place, "state", hasher, dying);
        dying.kill();
        owner = openPager(place, "state", hasher, machine.start());
      } else if (call === "list" && owner !== null) {
        owner.commit([change(0, 1)]);
        owner.close();
        owner = null;
      }
    };
    const late = openPager(tapped, "state", hasher, machine.start());
    assert.ok(linked && owner === null);
    late.commit([change(0, 2)]);
    late.abandon();
    const into = new Uint8Array(SLOT);
    const last = openPager(place, "state", hasher, machine.start());
    last.read(0, 1, into);
    assert.deepEqual(into, filled(2));
    last.close();
  });
});

/** Cannot write a pin. */
class UnwritablePlace extends TappedPlace {
  override createExclusive = (): never => {
    throw readOnlyError(this.label);
  };
}

describe("a reader without a pin, overtaken at any call of refresh", () => {
  it("does not come back with less than there was before", () => {
    let calls = 1;
    for (let call = 1; call <= calls; call++) {
      const place = new MemoryPlace();
      const machine = new FakeMachine();
      const pager = openPager(place, "state", hasher, machine.start());
      pager.commit([change(0, 1)]);
      pager.checkpoint();
      const tapped = new UnwritablePlace(place);
      const reader = new Reader(tapped, "state", hasher, machine.start());
      pager.commit([change(0, 2)]);
      const { sequence } = pager;
      const before = tapped.calls;
      tapped.onCall = () => {
        if (tapped.calls !== before + call) return;
        // Until what came after the commit that is seen has been overwritten.
        const next = reader.view().walk.next * SLOT;
        const file = place.open("state", "read");
        const was = slotAt(file, next);
        for (let round = 0; equalBytes(slotAt(file, next), was); round++) {
          assert.ok(round < 500, "its slot is never used again");
          for (let block = 0; block < 9; block++) pager.commit([change(block, 3 + (round % 200))], false);
          pager.checkpoint();
        }
        file.close();
      };
      const found = reader.refresh();
      assert.ok(
        found >= sequence,
        `overtaken at call ${call}: ${found}, although ${sequence} was there before`,
      );
      calls = tapped.calls - before;
      tapped.onCall = () => {};
      reader.close();
      pager.close();
    }
    assert.ok(calls > 5);
  });
});

describe("a reader of commits that were never flushed", () => {
  it("says STALE when an earlier one is lost, and finds what is left when it looks anew", () => {
    const place = new MemoryPlace();
    const machine = new FakeMachine();
    const pager = openPager(place, "state", hasher, machine.start());
    pager.commit([change(0, 1)]);
    pager.checkpoint();
    const before = pager.sequence;
    pager.commit([change(0, 2)], false);
    pager.commit([change(1, 3)], false);
    const reader = new Reader(place, "state", hasher, machine.start());
    assert.equal(reader.sequence, before + 2);
    const [lost] = reader.view().walk.segments;
    const file = place.open("state", "write");
    file.write(lost!.slot * SLOT, new Uint8Array(2 * SLOT));
    const into = new Uint8Array(SLOT);
    expectCode("STALE", () => reader.read(0, 1, into));
    assert.equal(reader.refresh(), before);
    reader.read(0, 1, into);
    assert.deepEqual(into, filled(1));
    reader.close();
    file.close();
    pager.abandon();
  });
});
