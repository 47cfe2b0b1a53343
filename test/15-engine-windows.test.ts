// Windows onto the high image, against a model: what is shown where, what is evicted, spilled, committed and rolled back,
// with hosts that throw at any call; and what a caller may rely on.

import assert from "node:assert/strict";
import {
  addresses,
  blockBytes,
  clusterBlocks,
  clusterBytes,
  clusterCount,
  codes,
  EngineHarness,
  HostFailure,
  highBlock,
  states,
  windowsMax,
} from "./support/engine-harness.js";
import { WindowDriver } from "./support/engine-window-model.js";
import { type Random, withSeed } from "./support/random.js";

/** Some that adjoin, some at both ends, and some anywhere. */
function someClusters(random: Random, count: number): number[] {
  const base = Math.floor((random.next() / 2 ** 32) * (clusterCount - count));
  const clusters = [0, 1, 2, clusterCount - 1, clusterCount - 2];
  while (clusters.length < count) {
    const anywhere = Math.floor((random.next() / 2 ** 32) * clusterCount);
    clusters.push(random.oneIn(2) ? base + clusters.length : anywhere);
  }
  return clusters;
}

function followModel(random: Random, limit: number, steps: number, failures: boolean): WindowDriver {
  const driver = new WindowDriver(random, limit, someClusters(random, Math.max(20, 3 * limit)));
  for (let i = 0; i < steps; i++) {
    const { harness } = driver;
    if (failures && random.oneIn(3)) harness.failIn = 1 + random.below(6);
    let where = `step ${i}`;
    try {
      where += `, ${driver.step()}`;
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      where += ", the host threw";
    }
    driver.harness.failIn = 0;
    if (limit <= 16 || i % 20 === 0) {
      driver.harness.checkBarrier();
      driver.compare(where);
    }
  }
  driver.harness.checkBarrier();
  driver.readAll();
  driver.rollback();
  driver.readAll();
  driver.compare("at the end");
  return driver;
}

describe("engine: windows", () => {
  for (const [limit, steps] of [
    [8, 4000],
    [9, 1500],
    [16, 2500],
    [60, 3000],
    [200, 4000],
  ] as const) {
    it(`follow the model, ${limit} of them`, () => {
      withSeed(`engine windows, ${limit}`, (random) => {
        const { model } = followModel(random, limit, steps, false);
        assert.ok(model.evictions > 0);
      });
    });
  }

  it("follow the model when the host throws, and lose nothing", () => {
    withSeed("engine windows, failing host", (random) => {
      for (const limit of [8, 12, 40]) followModel(random, limit, 2500, true);
    });
  });

  it("lose nothing, whichever block of an evicted one the host does not take", () => {
    const everyBlock = Array.from({ length: clusterBlocks }, (_, i) => i);
    for (const failing of everyBlock) {
      const harness = EngineHarness.format();
      const { windowOf } = harness.functions;
      harness.view.setUint32(addresses.windowLimit, 8, true);
      const address = windowOf(0) >>> 0;
      for (const i of everyBlock) harness.write(address + i * blockBytes, new Uint8Array([i + 1]));
      for (let cluster = 1; cluster < 8; cluster++) windowOf(cluster);
      const { epoch } = harness;
      harness.failIn = failing + 1;
      assert.throws(() => windowOf(100), HostFailure);
      harness.checkBarrier();
      assert.equal(harness.epoch, epoch);
      const expected = everyBlock.map((i) => (i < failing ? states.CLEAN : states.DIRTY));
      assert.deepEqual(
        everyBlock.map((i) => harness.stateOf(address / blockBytes + i)),
        expected,
      );
      assert.equal(windowOf(0) >>> 0, address);
      for (let cluster = 100; cluster < 120; cluster++) windowOf(cluster);
      assert.equal(harness.spills, clusterBlocks, "a block was spilled twice, or not at all");
      const again = windowOf(0) >>> 0;
      for (const i of everyBlock) assert.equal(harness.read(again + i * blockBytes, 1)[0], i + 1);
      harness.commit();
      for (const i of everyBlock) assert.equal(harness.file.get(highBlock + i)?.[0], i + 1);
    }
  });

  it("never take away one of the last four", () => {
    withSeed("engine windows, held", (random) => {
      const harness = EngineHarness.format();
      const { windowOf } = harness.functions;
      harness.view.setUint32(addresses.windowLimit, 8, true);
      let held: { cluster: number; address: number }[] = [];
      for (let i = 0; i < 3000; i++) {
        const cluster = random.below(12);
        const address = windowOf(cluster) >>> 0;
        held = [{ cluster, address }, ...held.filter((each) => each.cluster !== cluster)].slice(0, 4);
        for (const { cluster, address } of held) {
          const shown = harness.windows().find(({ block }) => block * blockBytes === address);
          assert.ok(shown?.shows && shown.cluster === cluster, `cluster ${cluster} is gone from ${address}`);
        }
      }
      assert.equal(harness.windows().length, 8);
    });
  });

  it("keep what is used again and again", () => {
    const harness = EngineHarness.format();
    const { windowOf } = harness.functions;
    harness.view.setUint32(addresses.windowLimit, 50, true);
    const favourite = windowOf(7) >>> 0;
    for (let i = 0; i < 5000; i++) {
      windowOf(1000 + i);
      if (i % 10 === 0) assert.equal(windowOf(7) >>> 0, favourite);
    }
  });

  it("are as many as the host allows, 8 at least", () => {
    for (const [limit, expected] of [
      [0, 819],
      [1, 8],
      [8, 8],
      [1000, 1000],
      [windowsMax, windowsMax],
      [2 ** 32 - 1, windowsMax],
    ] as const) {
      const harness = EngineHarness.format();
      harness.view.setUint32(addresses.windowLimit, limit, true);
      const seen = new Set<number>();
      for (let cluster = 0; cluster < 6000; cluster++)
        seen.add(harness.functions.windowOf(cluster * 977) >>> 0);
      assert.equal(seen.size, expected, `limit ${limit}`);
      assert.equal(Math.max(...seen), addresses.windows + clusterBytes * (expected - 1));
    }
  });

  it("become fewer when the host allows fewer", () => {
    const harness = EngineHarness.format();
    const { windowOf } = harness.functions;
    harness.view.setUint32(addresses.windowLimit, 100, true);
    for (let cluster = 0; cluster < 100; cluster++) {
      const address = windowOf(cluster) >>> 0;
      if (cluster % 3 === 0) harness.write(address, new Uint8Array([cluster + 1]));
    }
    harness.view.setUint32(addresses.windowLimit, 20, true);
    harness.functions.windowOf(5000);
    assert.equal(harness.windows().filter(({ shows }) => shows).length, 20);
    harness.checkBarrier();
    for (let cluster = 0; cluster < 100; cluster += 3) {
      assert.equal(harness.read(windowOf(cluster) >>> 0, 1)[0], cluster + 1);
    }
    harness.commit();
    assert.equal(harness.file.size, 34 + 1); // and the header
  });

  it("show blocks up to the last of the image, and refuse what is none", () => {
    const harness = EngineHarness.format();
    const { windowOf, dropClusters } = harness.functions;
    const address = windowOf(clusterCount - 1) >>> 0;
    harness.write(address + 9 * blockBytes, new Uint8Array([1, 2, 3]));
    harness.commit();
    assert.ok(harness.file.has(2 ** 40 - 1));
    const { epoch } = harness;
    for (const cluster of [
      -1,
      clusterCount,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 64,
      -(2 ** 40),
    ]) {
      assert.equal(windowOf(cluster), codes.INVALID_ARGUMENT, `${cluster}`);
      assert.equal(dropClusters(cluster, 1), codes.INVALID_ARGUMENT, `${cluster}`);
      assert.equal(dropClusters(5, cluster), codes.INVALID_ARGUMENT, `${cluster}`);
    }
    assert.equal(dropClusters(0, clusterCount + 1), codes.INVALID_ARGUMENT);
    assert.equal(dropClusters(3, 0), codes.OK);
    assert.equal(harness.epoch, epoch);
    assert.equal(dropClusters(0, clusterCount), codes.OK);
    assert.ok(harness.epoch > epoch);
  });

  it("keep their addresses as long as the epoch is the same", () => {
    withSeed("engine windows, epoch", (random) => {
      const harness = EngineHarness.format();
      const { windowOf, dropClusters } = harness.functions;
      harness.view.setUint32(addresses.windowLimit, 30, true);
      let kept = new Map<number, number>();
      let epoch = harness.epoch;
      let longest = 0;
      for (let i = 0; i < 4000; i++) {
        const cluster = random.below(random.oneIn(30) ? 200 : 25);
        if (random.oneIn(300)) dropClusters(cluster, 3);
        const address = windowOf(cluster) >>> 0;
        if (harness.epoch !== epoch) kept = new Map();
        epoch = harness.epoch;
        assert.equal(kept.get(cluster) ?? address, address);
        kept.set(cluster, address);
        longest = Math.max(longest, kept.size);
      }
      assert.ok(longest > 20);
    });
  });

  it("are found by every way through the lookup, however clusters collide", () => {
    // All of these have the same first slot, or one of the few before the end of the table.
    const home = (cluster: number) => Number(((BigInt(cluster) * 0x9e3779b97f4a7c15n) % 2n ** 64n) >> 50n);
    const colliding: number[] = [];
    for (let cluster = 0; colliding.length < 40; cluster++)
      if (home(cluster) >= 2 ** 14 - 3) colliding.push(cluster);
    withSeed("engine windows, collisions", (random) => {
      const driver = new WindowDriver(random, 20, colliding);
      for (let i = 0; i < 1500; i++) driver.compare(driver.step());
      driver.readAll();
    });
  });

  it("ask for a commit when nothing was dirty, in either half of the image", () => {
    const harness = EngineHarness.format();
    harness.commit();
    const before = harness.firstTouches;
    const p = harness.functions.alloc(16, 1, 1) >>> 0;
    const address = harness.functions.windowOf(3) >>> 0;
    harness.write(address, new Uint8Array([1]));
    assert.equal(harness.firstTouches, before + 1);
    harness.commit();
    harness.write(address, new Uint8Array([2]));
    harness.write(p, new Uint8Array([2]));
    harness.write(address + blockBytes, new Uint8Array([2]));
    assert.equal(harness.firstTouches, before + 2);
    harness.rollback();
    assert.equal(harness.read(address, 1)[0], 1);
    harness.write(address, new Uint8Array([3]));
    assert.equal(harness.firstTouches, before + 3);
  });

  it("that show nothing can be neither read nor written", () => {
    const harness = EngineHarness.format();
    const { fetch, touch, windowOf, dropClusters } = harness.functions;
    const block = (windowOf(5) >>> 0) / blockBytes;
    fetch(block);
    dropClusters(5, 1);
    for (const stale of [block, block + 9, block + clusterBlocks, addresses.exchange / blockBytes]) {
      assert.throws(() => fetch(stale), WebAssembly.RuntimeError);
      assert.throws(() => touch(stale), WebAssembly.RuntimeError);
      assert.equal(harness.stateOf(stale), states.ABSENT);
    }
  });

  it("forget what was spilled when it is rolled back, though it was read again", () => {
    const harness = EngineHarness.format();
    const { windowOf } = harness.functions;
    harness.view.setUint32(addresses.windowLimit, 8, true);
    harness.write(windowOf(0) >>> 0, new Uint8Array([1]));
    harness.commit();
    harness.write(windowOf(0) >>> 0, new Uint8Array([2]));
    for (let cluster = 1; cluster < 20; cluster++) windowOf(cluster);
    assert.ok(harness.spilled.has(highBlock));
    assert.equal(harness.read(windowOf(0) >>> 0, 1)[0], 2);
    harness.checkBarrier();
    harness.rollback();
    assert.equal(harness.read(windowOf(0) >>> 0, 1)[0], 1);
    const { epoch } = harness;
    harness.write(windowOf(0) >>> 0, new Uint8Array([3]));
    harness.rollback();
    assert.equal(harness.epoch, epoch, "windows were forgotten without need");
  });
});
