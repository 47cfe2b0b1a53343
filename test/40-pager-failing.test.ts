// Storages that fail at a chosen moment: what the protocol model (test/model/) showed to go wrong, done to the pager itself.

import assert from "node:assert/strict";
import { PerdureError } from "../bindings/base/errors.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager, openPagerOn } from "../bindings/pager/open.js";
import { Reader } from "../bindings/pager/reader.js";
import { MemoryPlace, MemoryStorage } from "../bindings/storage/memory.js";
import { expectCode } from "./support/expect-code.js";
import { FakeMachine } from "./support/fake-processes.js";

const hasher = await WasmHasher.create();
const SLOT = 4096;

const filled = (byte: number): Uint8Array => new Uint8Array(SLOT).fill(byte);
const change = (block: number, byte: number) => ({ block, count: 1, bytes: filled(byte) });

/** Fails the calls that its fields say; nothing at first. */
class FailingStorage extends MemoryStorage {
  /** What becomes of the writes that come next: they fail before anything has arrived, or after all has. */
  readonly fates: ("works" | "fails before" | "fails after")[] = [];
  /** Slots that read as something else, by how often they have been read before. */
  readonly disguises = new Map<number, (times: number) => boolean>();
  private readonly times = new Map<number, number>();

  override writeParts(offset: number, parts: readonly Uint8Array[]): void {
    const fate = this.fates.shift() ?? "works";
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
