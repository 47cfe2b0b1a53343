// Memory: growing by halves or by just enough, being refused it at every size, the host's lock and limit; and mounting.

import assert from "node:assert/strict";
import { addresses, blockBytes, codes, EngineHarness } from "./support/engine-harness.js";
import { HeapDriver } from "./support/engine-heap-model.js";
import { type Random, withSeed } from "./support/random.js";

const mebibyte = 2 ** 20;

function setControl(harness: EngineHarness, address: number, value: number): void {
  harness.view.setUint32(address, value, true);
}

/** Random operations of which some are refused for want of memory; whatever happens, the model holds. */
function runWithRefusals(driver: HeapDriver, random: Random, steps: number): number {
  let refusals = 0;
  for (let i = 0; i < steps; i++) {
    const size = random.below(2 ** (8 + random.below(11)));
    const p = driver.pick();
    if (p === undefined || random.oneIn(2)) driver.alloc(size);
    else if (random.oneIn(3)) driver.realloc(p, size);
    else driver.release(p);
    if (driver.lastCode === codes.OUT_OF_MEMORY) refusals++;
    else assert.equal(driver.lastCode, codes.OK);
    driver.harness.checkBarrier();
    if (random.oneIn(50)) driver.commit();
    if (random.oneIn(100)) driver.rollback();
  }
  driver.account();
  driver.checkAll();
  return refusals;
}

describe("engine: growth", () => {
  it("begins with any memory, and grows geometrically", () => {
    const harness = EngineHarness.format();
    assert.equal(harness.memory.buffer.byteLength, addresses.heap);
    let growths = 0;
    let bytes = harness.memory.buffer.byteLength;
    for (let i = 0; i < 3000; i++) {
      assert.ok(harness.functions.alloc(100_000, 1, 1) >>> 0 >= addresses.heap);
      if (harness.memory.buffer.byteLength === bytes) continue;
      bytes = harness.memory.buffer.byteLength;
      growths++;
    }
    assert.ok(growths <= 8, `${growths} growths`);
  });

  it("is refused by the runtime at every size in turn", () => {
    withSeed("engine growth refused", (random) => {
      for (let pages = 0; pages < 12; pages++) {
        const harness = EngineHarness.format({ maximumBytes: addresses.heap + 65536 * pages });
        const driver = new HeapDriver(harness, random);
        driver.commit();
        const refusals = runWithRefusals(driver, random, 100);
        assert.ok(refusals > 0 || pages > 0);
        assert.ok(driver.harness.memory.buffer.byteLength <= addresses.heap + 65536 * pages);
      }
    });
  });

  it("uses the last block there is", () => {
    const harness = EngineHarness.format({ maximumBytes: addresses.heap + 65536 });
    const { alloc, release } = harness.functions;
    const p = alloc(16 * blockBytes, 1, 1) >>> 0;
    assert.equal(p, addresses.heap);
    assert.equal(alloc(1, 1, 1), codes.OUT_OF_MEMORY);
    assert.equal(alloc(20_000, 1, 1), codes.OUT_OF_MEMORY);
    assert.equal(harness.functions.realloc(p, 17 * blockBytes), codes.OUT_OF_MEMORY);
    assert.equal(release(p), codes.OK);
    assert.ok(alloc(1, 1, 1) >>> 0 >= addresses.heap);
  });

  it("does not happen while the host holds the lock", () => {
    withSeed("engine growth locked", (random) => {
      const driver = new HeapDriver(EngineHarness.format(), random);
      driver.commit();
      for (let i = 0; i < 20; i++) {
        const { harness } = driver;
        const locked = i % 2 === 1;
        setControl(harness, addresses.growthLock, locked ? 1 : 0);
        const before = harness.memory.buffer;
        runWithRefusals(driver, random, 20);
        if (locked) assert.equal(harness.memory.buffer, before, "grew under the lock");
      }
      assert.equal(driver.alloc(driver.harness.memory.buffer.byteLength - addresses.heap), 0);
      assert.equal(driver.lastCode, codes.OUT_OF_MEMORY);
      setControl(driver.harness, addresses.growthLock, 0);
      assert.ok(driver.alloc(2 * mebibyte) > 0);
    });
  });

  it("stops at the limit of the host", () => {
    withSeed("engine growth limit", (random) => {
      const driver = new HeapDriver(EngineHarness.format(), random);
      driver.commit();
      for (const limit of [1, 20, 100, 101, 500]) {
        setControl(driver.harness, addresses.heapLimit, limit);
        runWithRefusals(driver, random, 100);
        assert.ok(driver.account().heapEnd <= limit);
      }
      setControl(driver.harness, addresses.heapLimit, 500);
      assert.equal(driver.alloc(501 * blockBytes), 0);
      assert.equal(driver.lastCode, codes.OUT_OF_MEMORY);
    });
  });

  it("cannot pass 4 GiB", () => {
    const { functions } = EngineHarness.format();
    for (const size of [2 ** 32 - 1, 2 ** 32 - addresses.heap + 1, 3900 * mebibyte]) {
      assert.equal(functions.alloc(size, 1, 1), codes.OUT_OF_MEMORY, `${size} bytes`);
    }
  });

  it("reaches 4 GiB", function () {
    const harness = EngineHarness.format();
    const { alloc, release, sizeOf, blockOf } = harness.functions;
    const small = alloc(16, 1, 1) >>> 0;
    const rest = 2 ** 32 - addresses.heap - blockBytes;
    const p = alloc(rest, 1, 1) >>> 0;
    if (p === codes.OUT_OF_MEMORY) this.skip(); // no address space for it here
    assert.equal(p, addresses.heap + blockBytes);
    assert.equal(sizeOf(p) >>> 0, rest);
    harness.write(2 ** 32 - 16, new Uint8Array(16).fill(9));
    assert.equal(blockOf(2 ** 32 - 1) >>> 0, p);
    assert.equal(alloc(blockBytes * 2, 1, 1), codes.OUT_OF_MEMORY);
    assert.ok(alloc(16, 1, 1) >>> 0 < p);
    assert.equal(release(p), codes.OK);
    assert.equal(release(small), codes.OK);
  });
});

describe("engine: mount", () => {
  /** Changes the committed header and mounts it. */
  function mountChanged(change: (header: DataView) => void): number {
    const harness = EngineHarness.format();
    harness.functions.alloc(100, 1, 1);
    harness.commit();
    const header = harness.file.get(addresses.header / blockBytes) as Uint8Array;
    change(new DataView(header.buffer));
    return EngineHarness.bare(harness.file).functions.mount();
  }

  it("accepts what was formatted, and a later minor version", () => {
    assert.equal(
      mountChanged(() => {}),
      codes.OK,
    );
    assert.equal(
      mountChanged((header) => header.setUint16(10, 7, true)),
      codes.OK,
    );
  });

  it("refuses what it cannot be", () => {
    assert.equal(EngineHarness.bare().functions.mount(), codes.CORRUPT);
    const changes: [string, number, (header: DataView) => void][] = [
      ["magic", codes.CORRUPT, (header) => header.setUint8(0, 0)],
      ["major", codes.VERSION, (header) => header.setUint16(8, 2, true)],
      ["major 0", codes.CORRUPT, (header) => header.setUint16(8, 0, true)],
      ["descriptors", codes.CORRUPT, (header) => header.setUint32(20, 966_657, true)],
      ["capacity", codes.CORRUPT, (header) => header.setUint32(128, 966_657, true)],
      ["end", codes.CORRUPT, (header) => header.setUint32(132, 966_657, true)],
      ["free", codes.CORRUPT, (header) => header.setUint32(136, 966_656, true)],
      ["bitmap", codes.CORRUPT, (header) => header.setUint32(144, 0, true)],
      ["bounds", codes.CORRUPT, (header) => header.setUint32(148, 0, true)],
    ];
    for (const [what, code, change] of changes) assert.equal(mountChanged(change), code, what);
  });

  it("is refused without memory for the heap", () => {
    const harness = EngineHarness.format();
    harness.functions.alloc(20 * blockBytes, 1, 1);
    harness.commit();
    const small = EngineHarness.bare(harness.file, { maximumBytes: addresses.heap });
    assert.equal(small.functions.mount(), codes.OUT_OF_MEMORY);
    const tiny = EngineHarness.bare(harness.file, { maximumBytes: mebibyte });
    assert.equal(tiny.functions.mount(), codes.OUT_OF_MEMORY);
    assert.equal(tiny.functions.format(), codes.OUT_OF_MEMORY);
  });

  it("does not format what has a header", () => {
    const harness = EngineHarness.format();
    assert.equal(harness.functions.format(), codes.INVALID_ARGUMENT);
    harness.rollback();
    assert.equal(harness.functions.format(), codes.OK);
  });
});
