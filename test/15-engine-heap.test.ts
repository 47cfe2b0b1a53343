// The heap against a plain Map, over random operations mixed with commits, rollbacks, remounts and failing hosts.

import assert from "node:assert/strict";
import { checkImage } from "../bindings/api/check-image.js";
import { ImageReader } from "../bindings/api/image-reader.js";
import { addresses, blockBytes, codes, EngineHarness, states } from "./support/engine-harness.js";
import {
  classBytesMax,
  classSizes,
  HeapDriver,
  nameHash,
  roomFor,
  type Sizes,
  usualSizes,
} from "./support/engine-heap-model.js";
import { type Random, withSeed } from "./support/random.js";

/** Random operations; every so often one of commit, rollback, remount, and the accounting. */
function run(random: Random, steps: number, sizes: Sizes = usualSizes, failures = false): HeapDriver {
  const driver = new HeapDriver(EngineHarness.format(), random, sizes);
  driver.commit();
  for (let i = 0; i < steps; i++) {
    if (failures && random.oneIn(3)) driver.harness.failIn = 1 + random.below(6);
    driver.step();
    driver.harness.failIn = 0;
    driver.harness.checkBarrier();
    if (!random.oneIn(60)) continue;
    const choice = random.below(10);
    if (choice < 6) driver.commit();
    else if (choice < 8) driver.rollback();
    else driver.remount();
    if (random.oneIn(3)) driver.account();
  }
  driver.account();
  driver.commit();
  driver.account("committed");
  driver.remount();
  driver.checkAll();
  return driver;
}

describe("engine: heap", () => {
  it("has the size classes of its page", () => {
    const { alloc, release, sizeOf } = EngineHarness.format().functions;
    assert.equal(classSizes.length, 64);
    assert.equal(classSizes.at(-1), classBytesMax);
    for (let size = 0; size <= 5 * blockBytes + 1; size++) {
      const p = alloc(size, 1, 0) >>> 0;
      assert.equal(sizeOf(p), roomFor(size), `size ${size}`);
      release(p);
    }
  });

  it("aligns to every power of two to 4096, and refuses anything else", () => {
    const driver = new HeapDriver(EngineHarness.format(), {
      next: () => 1,
      below: () => 0,
      oneIn: () => false,
    } as never);
    for (let align = 1; align <= 4096; align *= 2) {
      for (const size of [1, 16, 17, 100, 129, 1000, 4095, 4097, 9000, 16384, 16385, 70000]) {
        const p = driver.alloc(size, align);
        assert.equal(p % align, 0);
        driver.alloc(size, align);
      }
    }
    for (const align of [0, 3, 5, 24, 4095, 4097, 8192, 2 ** 31]) {
      assert.equal(driver.harness.functions.alloc(16, align, 1), codes.INVALID_ALIGNMENT, `align ${align}`);
    }
    driver.checkAll();
    driver.account();
  });

  it("follows the model", () => withSeed("engine heap", (random) => run(random, 4000)));

  it("follows the model with few sizes, so that spans fill and empty", () => {
    withSeed("engine heap, few sizes", (random) => {
      run(random, 4000, (r) => r.pick([16, 16, 200, 5000, 16000]));
    });
  });

  it("follows the model while full spans sleep and wake", () => {
    withSeed("engine heap, full spans", (random) => {
      const driver = new HeapDriver(EngineHarness.format(), random, (r) => r.pick([16, 144, 320]));
      const size = (): number => random.pick([16, 144, 320]);
      for (let i = 0; i < 1500; i++) driver.alloc(size());
      driver.commit();
      for (let round = 0; round < 12; round++) {
        const releases = random.below(Math.min(400, driver.count));
        for (let i = 0; i < releases; i++) driver.release(driver.pick() as number);
        for (let i = random.below(2 * releases + 1); i >= 0; i--) driver.alloc(size());
        driver.account();
        random.pick([() => driver.commit(), () => driver.rollback(), () => driver.remount(), () => {}])();
      }
      for (let i = 0; i < 1000; i++) driver.step();
      driver.account();
      driver.checkAll();
    });
  });

  it("uses a span that was full again when a 64th of its slots is free", () => {
    const { alloc, release } = EngineHarness.format().functions;
    const take = (): number => alloc(16, 1, 1) >>> 0;
    const [first] = Array.from({ length: 512 }, take) as [number];
    for (const slot of [70, 3, 200]) release(first + 16 * slot);
    assert.equal(take(), first + 512 * 16, "the third span");
    release(first + 16 * 90);
    assert.deepEqual(
      Array.from({ length: 5 }, take),
      [3, 70, 90, 200, 513].map((slot) => first + 16 * slot),
    );
  });

  it("uses every free slot before it refuses", () => {
    const harness = EngineHarness.format({ maximumBytes: addresses.heap + 4 * 65536 });
    const { alloc, release } = harness.functions;
    for (const size of [16, 240, 500]) {
      const objects: number[] = [];
      for (let p = alloc(size, 1, 1) >>> 0; p !== codes.OUT_OF_MEMORY; p = alloc(size, 1, 1) >>> 0)
        objects.push(p);
      const some = [5, 261, 262].map((i) => objects[i % objects.length] as number);
      for (const p of some) assert.equal(release(p), codes.OK);
      assert.deepEqual(some.map(() => alloc(size, 1, 1) >>> 0).sort(), some.sort());
      assert.equal(alloc(size, 1, 1), codes.OUT_OF_MEMORY);
      for (const p of objects) assert.equal(release(p), codes.OK);
    }
    assert.deepEqual(checkImage(new ImageReader(harness.blockNow), nameHash).problems, []);
  });

  it("follows the model with runs of blocks", () => {
    withSeed("engine heap, runs", (random) => {
      run(random, 1500, (r) => blockBytes * (4 + r.below(r.oneIn(10) ? 300 : 12)) + r.below(3));
    });
  });

  it("follows the model when the host throws at any call", () => {
    withSeed("engine heap, failing host", (random) => run(random, 3000, usualSizes, true));
  });

  it("keeps what it had when the host throws at each call in turn", () => {
    withSeed("engine heap, each failure", (random) => {
      const driver = new HeapDriver(EngineHarness.format(), random);
      for (let i = 0; i < 200; i++) driver.step();
      driver.commit();
      const p = driver.pick() as number;
      const operations: ((driver: HeapDriver) => void)[] = [
        ({ harness }) => harness.functions.alloc(40, 1, 1),
        ({ harness }) => harness.functions.alloc(300_000, 1, 1),
        ({ harness }) => harness.functions.release(p),
        ({ harness }) => harness.functions.realloc(p, 30_000),
        ({ harness }) => harness.functions.realloc(p, 1),
      ];
      for (const operation of operations) {
        let done = false;
        for (let call = 1; !done; call++) {
          driver.remount();
          driver.harness.failIn = call;
          try {
            operation(driver);
            done = driver.harness.failIn > 0;
            assert.ok(done, "the host threw, and the engine went on");
          } catch {
            assert.equal(driver.harness.failIn, 0);
          }
          driver.harness.failIn = 0;
          driver.rollback();
          driver.account();
        }
      }
      driver.checkAll();
    });
  });

  it("gives the blocks of what is released back to the file", () => {
    const harness = EngineHarness.format();
    const { alloc, release, trim } = harness.functions;
    const large = alloc(100 * blockBytes, 1, 1) >>> 0;
    harness.write(large, new Uint8Array(100 * blockBytes).fill(1));
    const small = Array.from({ length: 3000 }, () => alloc(100, 1, 1) >>> 0);
    for (const p of small) harness.write(p, new Uint8Array(100).fill(2));
    harness.commit();
    const before = harness.file.size;
    assert.ok(before > 100 + 70);
    release(large);
    for (const p of small) release(p);
    trim();
    assert.equal(harness.stateOf(large / blockBytes), states.DISCARDED);
    harness.commit();
    for (const block of harness.file.keys())
      assert.ok(block < addresses.heap / blockBytes, `block ${block} remains`);
  });

  it("clears nothing that is zeros already, and dirties nothing but its own blocks", () => {
    const harness = EngineHarness.format();
    const { alloc, release } = harness.functions;
    const isData = (block: number) => block >= addresses.heap / blockBytes;
    const objects = Array.from({ length: 200 }, () => alloc(100, 1, 1));
    alloc(50 * blockBytes, 1, 1);
    assert.deepEqual(harness.dirtyBlocks().filter(isData), []);
    harness.commit();
    for (const p of objects) release(p);
    assert.deepEqual(harness.dirtyBlocks().filter(isData), [], "releasing wrote to objects");
    assert.ok(harness.dirtyCount <= 2);
    alloc(100, 1, 0);
    assert.deepEqual(harness.dirtyBlocks().filter(isData), []);
    alloc(100, 1, 1);
    assert.equal(harness.dirtyBlocks().filter(isData).length, 1);
  });

  it("does not give back what is watched", () => {
    const harness = EngineHarness.format();
    const { alloc, realloc, release, watch, unwatch } = harness.functions;
    const p = alloc(10 * blockBytes, 1, 1) >>> 0;
    watch(p / blockBytes + 9, 1);
    assert.equal(release(p), codes.BUSY);
    assert.equal(realloc(p, 100), codes.BUSY);
    assert.equal(realloc(p, 6 * blockBytes) >>> 0, p);
    assert.equal(harness.functions.sizeOf(p), 10 * blockBytes);
    unwatch(p / blockBytes + 9, 0);
    assert.equal(realloc(p, 6 * blockBytes) >>> 0, p);
    assert.equal(harness.functions.sizeOf(p), 6 * blockBytes);
    assert.equal(release(p), codes.OK);
  });
});
