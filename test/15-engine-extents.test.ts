// Extents of the high image against a plain sorted array: where they are placed, how they grow, and that no two overlap,
// through commits, rollbacks, remounts, failing hosts and refused memory.

import assert from "node:assert/strict";
import {
  addresses,
  clusterBytes,
  clusterCount,
  codes,
  EngineHarness,
  engineConstants,
  HostFailure,
} from "./support/engine-harness.js";
import { HeapDriver } from "./support/engine-heap-model.js";
import { type Random, withSeed } from "./support/random.js";

const headroomMin = 2 ** 20;
const lengthOffset = engineConstants.EXTENT_LENGTH as number;
const ownerOffset = engineConstants.EXTENT_OWNER as number;
const ownerBytes = engineConstants.EXTENT_OWNER_BYTES as number;

interface ModelExtent {
  address: number;
  first: number;
  clusters: number;
  length: number;
  owner: number;
}

/** Where docs/ENGINE.md §10 puts a new extent; undefined when there is no room. */
function placeFor(extents: readonly ModelExtent[], clusters: number): number | undefined {
  for (const divisor of [1, 2 ** 5, 2 ** 10, Number.POSITIVE_INFINITY]) {
    const headroom = (count: number) => Math.floor(Math.max(headroomMin, count) / divisor);
    for (let i = 0; i <= extents.length; i++) {
      const before = extents[i - 1];
      const first = before === undefined ? 0 : before.first + before.clusters + headroom(before.clusters);
      if (first + clusters + headroom(clusters) <= (extents[i]?.first ?? clusterCount)) return first;
    }
  }
  return undefined;
}

/** The extents of an engine and of a model, side by side. */
class Extents {
  model: ModelExtent[] = [];
  isMemoryScarce = false;
  #committed: ModelExtent[] = [];

  constructor(
    readonly driver: HeapDriver,
    private readonly random: Random,
  ) {
    driver.isAlone = false;
  }

  get harness(): EngineHarness {
    return this.driver.harness;
  }

  /** The address, or a code. */
  take(clusters: number): number {
    const address = this.harness.functions.takeExtent(clusters) >>> 0;
    const first = placeFor(this.model, clusters);
    if (address < 65536) {
      assert.equal(address, codes.OUT_OF_MEMORY);
      assert.ok(
        first === undefined || this.isMemoryScarce,
        `there is room for ${clusters} clusters at ${first}`,
      );
      return address;
    }
    assert.ok(first !== undefined, `${clusters} clusters were found where there is no room`);
    this.harness.write(address + ownerOffset, new Uint8Array(ownerBytes).fill(address >>> 6));
    this.model.push({ address, first, clusters, length: 0, owner: (address >>> 6) & 255 });
    this.model.sort((a, b) => a.first - b.first);
    this.#verifyAt(this.find(address));
    return address;
  }

  give(extent: ModelExtent): void {
    this.#verifyAt(extent);
    assert.equal(this.harness.functions.giveExtent(extent.address), codes.OK);
    this.model.splice(this.model.indexOf(extent), 1);
    assert.notEqual(this.harness.functions.giveExtent(extent.address), codes.OK);
  }

  resize(extent: ModelExtent, clusters: number): number {
    const next = this.model[this.model.indexOf(extent) + 1];
    const room = (next?.first ?? clusterCount) - extent.first;
    const code = this.harness.functions.resizeExtent(extent.address, clusters);
    assert.equal(code, clusters > room ? codes.MUST_MOVE : codes.OK);
    if (code === codes.OK) {
      extent.clusters = clusters;
      extent.length = Math.min(extent.length, clusters * clusterBytes);
    }
    this.#verifyAt(extent);
    return code;
  }

  setLength(extent: ModelExtent, length: number): void {
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigUint64(0, BigInt(length), true);
    this.harness.write(extent.address + lengthOffset, new Uint8Array(bytes.buffer));
    extent.length = length;
  }

  find(address: number): ModelExtent {
    const extent = this.model.find((each) => each.address === address);
    assert.ok(extent !== undefined);
    return extent;
  }

  #verifyAt({ address, first, clusters, length, owner }: ModelExtent): void {
    const bytes = this.harness.read(address, 64);
    const view = new DataView(bytes.buffer);
    assert.equal(view.getBigUint64(0, true), BigInt(first), "first");
    assert.equal(view.getBigUint64(8, true), BigInt(clusters), "clusters");
    assert.equal(view.getBigUint64(lengthOffset, true), BigInt(length), "length");
    assert.ok(
      bytes.subarray(ownerOffset, ownerOffset + ownerBytes).every((byte) => byte === owner),
      "owner",
    );
  }

  verify(): void {
    const { nextExtent, extentCount } = this.harness.functions;
    const listed: number[] = [];
    for (let at = nextExtent(0) >>> 0; at !== 0; at = nextExtent(at) >>> 0) listed.push(at);
    assert.deepEqual(
      listed,
      this.model.map(({ address }) => address),
    );
    assert.equal(extentCount(), listed.length);
    for (const extent of this.model) this.#verifyAt(extent);
    assert.deepEqual(
      this.driver.account().extents,
      this.model.map(({ address, first, clusters, length }) => ({
        address,
        first: BigInt(first),
        clusters: BigInt(clusters),
        length: BigInt(length),
      })),
    );
  }

  commit(): void {
    this.driver.commit();
    this.#committed = this.model.map((extent) => ({ ...extent }));
  }

  /** After a rollback or a remount. */
  restore(): void {
    this.model = this.#committed.map((extent) => ({ ...extent }));
  }

  step(): void {
    const { random, model } = this;
    const choice = random.below(100);
    const extent = model.length > 0 ? random.pick(model) : undefined;
    if (choice < 35 || extent === undefined) this.take(randomSize(random));
    else if (choice < 55) this.give(extent);
    else if (choice < 65) this.resize(extent, randomSize(random));
    else if (choice < 75) this.resize(extent, Math.max(1, Math.min(extent.clusters * 2, clusterCount)));
    else if (choice < 85) this.resize(extent, Math.max(1, Math.floor(extent.clusters / 2)));
    else if (choice < 92) this.setLength(extent, random.below(2) * extent.clusters * clusterBytes);
    else if (this.driver.step() === "host failure") this.restore();
  }
}

/** From 1 to all, every magnitude as likely. */
function randomSize(random: Random): number {
  return Math.min(clusterCount, Math.floor(2 ** random.below(38) * (1 + random.next() / 2 ** 32)));
}

function run(random: Random, steps: number, failures: boolean): void {
  const extents = new Extents(new HeapDriver(EngineHarness.format(), random), random);
  const { driver } = extents;
  extents.commit();
  for (let i = 0; i < steps; i++) {
    if (failures && random.oneIn(4)) driver.harness.failIn = 1 + random.below(4);
    try {
      extents.step();
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      driver.harness.failIn = 0;
      driver.rollback();
      extents.restore();
    }
    driver.harness.failIn = 0;
    driver.harness.checkBarrier();
    if (!random.oneIn(20)) continue;
    if (random.oneIn(2)) extents.commit();
    else {
      if (random.oneIn(2)) driver.rollback();
      else driver.remount();
      extents.restore();
    }
    extents.verify();
  }
  extents.verify();
  for (const extent of [...extents.model]) extents.give(extent);
  extents.verify();
}

const fresh = (random: Random) => new Extents(new HeapDriver(EngineHarness.format(), random), random);

describe("engine: extents", () => {
  it("follow the model", () => withSeed("engine extents", (random) => run(random, 1500, false)));

  it("follow the model when the host throws", () => {
    withSeed("engine extents, failing host", (random) => run(random, 1500, true));
  });

  it("leave room for 40 GiB, or for as much again, before and behind", () => {
    withSeed("engine extents, headroom", (random) => {
      const extents = fresh(random);
      for (const clusters of [1, 1, 2 ** 21, 5]) extents.take(clusters);
      assert.deepEqual(
        extents.model.map(({ first }) => first),
        [0, 2 ** 20 + 1, 2 * (2 ** 20 + 1), 2 * (2 ** 20 + 1) + 2 ** 22],
      );
      const [first, second] = extents.model as [ModelExtent, ModelExtent];
      assert.equal(extents.resize(first, 2 ** 20 + 1), codes.OK);
      assert.equal(extents.resize(first, 2 ** 20 + 2), codes.MUST_MOVE);
      extents.give(second);
      assert.equal(extents.resize(first, 2 * (2 ** 20 + 1)), codes.OK);
      assert.equal(extents.resize(first, 2 * (2 ** 20 + 1) + 1), codes.MUST_MOVE);
      extents.verify();
    });
  });

  it("fill the whole image when they must", () => {
    withSeed("engine extents, full", (random) => {
      const extents = fresh(random);
      extents.take(clusterCount - 3000);
      while (extents.take(1000) >= 65536) extents.verify();
      assert.equal(extents.model.length, 4);
      assert.equal(extents.take(1), codes.OUT_OF_MEMORY);
      extents.give(extents.model[2] as ModelExtent);
      assert.equal(extents.take(1001), codes.OUT_OF_MEMORY);
      extents.take(999);
      extents.take(1);
      assert.equal(extents.take(1), codes.OUT_OF_MEMORY);
      extents.verify();
      for (const extent of [...extents.model]) extents.give(extent);
      extents.take(clusterCount);
      extents.verify();
    });
  });

  it("are many, when there is need", () => {
    withSeed("engine extents, many", (random) => {
      const extents = fresh(random);
      for (let i = 0; i < 7; i++) extents.take(Math.floor(clusterCount / 8));
      for (let i = 0; i < 2000; i++) assert.ok(extents.take(1 + random.below(50)) >= 65536);
      extents.verify();
    });
  });

  it("refuse what is no count and no extent", () => {
    withSeed("engine extents, refused", (random) => {
      const extents = fresh(random);
      const { harness } = extents;
      const { takeExtent, resizeExtent, giveExtent } = harness.functions;
      const address = extents.take(3);
      const p = harness.functions.alloc(100, 1, 1) >>> 0;
      const { dirtyCount } = harness;
      for (const count of [
        0,
        -1,
        0.5,
        1.5,
        clusterCount + 1,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        2 ** 64,
      ]) {
        assert.equal(takeExtent(count), codes.INVALID_ARGUMENT, `${count}`);
        assert.equal(resizeExtent(address, count), codes.INVALID_ARGUMENT, `${count}`);
      }
      for (const wrong of [0, 1, 70000, p, address + 1, address + 64, 0xffffffc0]) {
        assert.equal(resizeExtent(wrong, 1), codes.INVALID_ADDRESS, `${wrong}`);
        assert.equal(giveExtent(wrong), codes.INVALID_ADDRESS, `${wrong}`);
      }
      assert.equal(harness.dirtyCount, dirtyCount);
      harness.functions.release(p);
      extents.verify();
    });
  });

  it("change nothing when there is no memory for another", () => {
    withSeed("engine extents, no memory", (random) => {
      const harness = EngineHarness.format({ maximumBytes: addresses.heap + 65536 });
      const extents = new Extents(new HeapDriver(harness, random), random);
      extents.isMemoryScarce = true;
      while (extents.take(1) >= 65536);
      assert.ok(extents.model.length > 100);
      extents.verify();
      extents.give(extents.model[50] as ModelExtent);
      assert.ok(extents.take(1) >= 65536);
      extents.verify();
    });
  });

  it("that are given back or cut are shown no longer", () => {
    withSeed("engine extents, windows", (random) => {
      const extents = fresh(random);
      const { harness } = extents;
      const { first, address } = extents.find(extents.take(20));
      for (let i = 0; i < 20; i++)
        harness.write(harness.functions.windowOf(first + i) >>> 0, new Uint8Array([i]));
      const shown = () => harness.windows().flatMap(({ cluster, shows }) => (shows ? [cluster - first] : []));
      assert.equal(shown().length, 20);
      extents.resize(extents.find(address), 7);
      assert.deepEqual(shown(), [0, 1, 2, 3, 4, 5, 6]);
      extents.resize(extents.find(address), 20);
      extents.give(extents.find(address));
      assert.deepEqual(shown(), []);
      assert.deepEqual(harness.dirtyWindowBlocks(), []);
    });
  });
});
