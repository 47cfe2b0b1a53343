// What of some memory is not what was committed, against a comparison byte for byte; and that the digests that come with it are right,
// by committing with them and reading the file back.

import assert from "node:assert/strict";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPagerOn } from "../bindings/pager/open.js";
import type { Change } from "../bindings/pager/pager.js";
import { MemoryStorage } from "../bindings/storage/memory.js";
import { type Random, withSeed } from "./support/random.js";

const hasher = await WasmHasher.create();
const BLOCK = 4096;

const blockOf = (image: Uint8Array, at: number): Uint8Array => image.subarray(at * BLOCK, (at + 1) * BLOCK);

/** Stretches of one kind, so that runs begin and end everywhere, at the edges of map nodes too. */
function eachStretch(random: Random, count: number, change: (at: number, kind: number) => void): void {
  for (let at = 0; at < count; ) {
    const kind = random.below(4);
    for (let end = Math.min(count, at + 1 + random.below(random.pick([2, 40, 300]))); at < end; at++)
      change(at, kind);
  }
}

function expand(changes: readonly Change[], first: number): Set<number> {
  const found = new Set<number>();
  let end = 0;
  for (const { block, count, bytes, digests } of changes) {
    assert.ok(block >= end && count > 0, "in order, none empty");
    assert.equal(bytes?.length, count * BLOCK);
    if (digests !== undefined) assert.equal(digests.byteLength, count * 8);
    end = block + count;
    for (let i = 0; i < count; i++) found.add(block + i - first);
  }
  return found;
}

describe("what differs from the last commit", () => {
  it("is found block by block, and committed with the digests that were computed for that", () =>
    withSeed("differing", (random) => {
      for (let round = 0; round < 12; round++) {
        const storage = new MemoryStorage();
        // For the pager that reads it back.
        storage.close = () => {};
        const pager = openPagerOn(storage, hasher);
        const count = 1 + random.below(900);
        const first = random.pick([0, 3, 255, 65_000, 2 ** 20]);
        const image = new Uint8Array(count * BLOCK);
        for (let commit = 0; commit < 5; commit++) {
          const before = image.slice();
          eachStretch(random, count, (at, kind) => {
            const block = blockOf(image, at);
            if (kind === 0) block.fill(0);
            else if (kind === 1) block[random.below(BLOCK)]! ^= 1 << random.below(8);
            else if (kind === 2) block.fill(random.next());
          });
          const expected = new Set<number>();
          for (let at = 0; at < count; at++)
            if (Buffer.compare(blockOf(before, at), blockOf(image, at)) !== 0) expected.add(at);
          const changes = pager.differing(first, count, image);
          assert.deepEqual(expand(changes, first), expected);
          pager.commit(changes, random.oneIn(2));
          assert.deepEqual(pager.differing(first, count, image), []);
        }
        pager.close();
        const again = openPagerOn(storage, hasher);
        const found = new Uint8Array(count * BLOCK);
        again.read(first, count, found);
        assert.ok(Buffer.compare(found, image) === 0);
        assert.deepEqual(again.check(true).problems, []);
        again.close();
      }
    }));
});
