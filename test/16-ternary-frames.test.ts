// Frames of ternary memories against plain maps: which are handed out, that they read as zeros, who owns them, what they contain, in every zone and through few
// windows, with commits, rollbacks, remounts, failing hosts and refused memory.

import assert from "node:assert/strict";
import { checkImage } from "../bindings/api/check-image.js";
import { checkTernary } from "../bindings/api/check-ternary.js";
import { ImageReader } from "../bindings/api/image-reader.js";
import { addresses, codes, EngineHarness, HostFailure } from "./support/engine-harness.js";
import { HeapDriver, nameHash } from "./support/engine-heap-model.js";
import { type Random, withSeed } from "./support/random.js";
import {
  anyZone,
  createIn,
  FramesModel,
  frameBytes,
  type Range,
  ternaryOf,
} from "./support/ternary-frames-model.js";

const dmaEnd = 11_507;
const normalEnd = 2_945_793;
const highBegin = 2_945_794;
const frameCount = (3 ** 21 + 1) / 2;

/** Several regions in every zone, at the zones' borders too, with owner words of the High zone over two clusters. */
const usual: Range[] = [
  { first: 1, count: 40, zone: 0 },
  { first: 700, count: 129, zone: 0 },
  { first: dmaEnd - 3, count: 3, zone: 0 },
  { first: dmaEnd, count: 65, zone: 1 },
  { first: normalEnd - 30, count: 30, zone: 1 },
  { first: highBegin, count: 28, zone: 2 },
  { first: highBegin + 1000, count: 10_300, zone: 2 },
  { first: frameCount - 50, count: 50, zone: 2 },
];

/** Mostly a used one. */
function someFrame(model: FramesModel, random: Random): number {
  const { used, ranges } = model;
  if (used.size > 0 && !random.oneIn(5)) return [...used.keys()][random.below(used.size)]!;
  const { first, count } = random.pick(ranges);
  return random.oneIn(3)
    ? random.pick([0, first - 1, first + count, frameCount])
    : first + random.below(count);
}

function step(model: FramesModel, random: Random): void {
  const zone = random.below(4);
  const choice = random.below(100);
  if (choice < 20) model.allocate(1, 1, zone);
  else if (choice < 30) model.allocate(1 + random.below(2 ** random.below(7)), 1, zone);
  else if (choice < 36) model.allocate(3, 3, zone);
  else if (choice < 46) model.takeAndMap(zone);
  else if (choice < 62) model.deallocate(someFrame(model, random));
  else if (choice < 68) model.map(someFrame(model, random));
  else if (choice < 72) model.hold(someFrame(model, random));
  else if (choice < 84) model.unmap(someFrame(model, random), random.oneIn(3));
  else if (choice < 90) model.copyAndMap(someFrame(model, random));
  else if (choice < 95) model.stamp(someFrame(model, random));
  else model.checkOwners(someFrame(model, random));
}

interface Shape {
  ranges?: Range[];
  windows?: number;
  failures?: boolean;
}

function run(
  random: Random,
  steps: number,
  { ranges = usual, windows = 8, failures = false }: Shape,
): FramesModel {
  const harness = EngineHarness.format();
  const limit = () => model.harness.view.setUint32(addresses.windowLimit, windows, true);
  const model = new FramesModel(harness, ranges, random);
  limit();
  for (let i = 0; i < steps; i++) {
    if (failures && random.oneIn(4)) model.harness.failIn = 1 + random.below(6);
    try {
      step(model, random);
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      model.harness.failIn = 0;
      model.harness.rollback();
      model.restore();
    }
    model.harness.failIn = 0;
    if (i % 50 === 0) model.harness.checkBarrier();
    if (!random.oneIn(150)) continue;
    const choice = random.below(4);
    if (choice < 2) model.commit();
    else if (choice === 2) model.harness.rollback();
    if (choice === 3) {
      model.restore(model.harness.remount());
      limit();
    } else if (choice === 2) model.restore();
    model.checkAll();
  }
  model.checkAll();
  return model;
}

const heapOf = (random: Random, harness: EngineHarness) => {
  const driver = new HeapDriver(harness, random);
  driver.isAlone = false;
  return driver;
};

describe("ternary: frames", () => {
  it("follow the model in all zones, through few windows", () =>
    withSeed("ternary frames", (random) => {
      const model = run(random, 5000, {});
      assert.ok(model.harness.spills > 0);
    }));

  it("follow the model when there are windows for all", () =>
    withSeed("ternary frames, windows", (random) => run(random, 3000, { windows: 0 })));

  it("follow the model when the host throws", () =>
    withSeed("ternary frames, failing host", (random) => run(random, 3000, { failures: true })));

  it("follow the model when there are next to none", () =>
    withSeed("ternary frames, few", (random) => {
      const ranges = [
        { first: 5, count: 4, zone: 0 },
        { first: dmaEnd + 1, count: 1, zone: 1 },
        { first: highBegin + 1, count: 5, zone: 2 },
      ];
      run(random, 4000, { ranges });
    }));

  it("are found in every small region, whichever of its frames are in use", () =>
    withSeed("ternary frames, exhaustive", (random) => {
      const harness = EngineHarness.format();
      const count = 7;
      for (const first of [30, 31, 32]) {
        const model = new FramesModel(harness, [{ first, count, zone: 0 }], random);
        for (let pattern = 0; pattern < 2 ** count; pattern++) {
          for (const [length, align] of [...Array(count)].map((_, i) => [i + 1, 1]).concat([[3, 3]])) {
            assert.equal(model.allocate(count, 1, 0), first);
            for (let i = 0; i < count; i++) if (((pattern >> i) & 1) === 0) model.deallocate(first + i);
            model.checkStatistics();
            const taken = model.allocate(length!, align!, 0);
            assert.equal(model.allocate(length!, align!, 1), -1);
            if (taken >= 0) for (let i = 0; i < length!; i++) model.deallocate(taken + i);
            for (const frame of [...model.used.keys()]) model.deallocate(frame);
          }
        }
        harness.checkBarrier();
      }
    }));

  it("of the High zone lie 27 to a cluster by their number, those of a large page in one", () => {
    const harness = EngineHarness.format();
    const first = highBegin;
    const record = createIn(harness, [{ first, count: 60, zone: 2 }]);
    const { frameAddress, allocateFrames } = ternaryOf(harness);
    const at = (frame: number) => frameAddress(record, frame) >>> 0;
    const start = (frame: number) => at(frame) - (frame % 27) * frameBytes;
    for (let frame = first; frame < first + 60; frame++) {
      assert.equal(start(frame), start(Math.max(first, frame - (frame % 27))), `frame ${frame}`);
      if (frame % 3 === 0 && frame + 2 < first + 60) assert.equal(at(frame + 2), at(frame) + 2 * frameBytes);
    }
    assert.equal(new Set([0, 13, 26, 40, 53].map((i) => start(first + i))).size, 3);
    assert.equal(allocateFrames(record, 3, 3, 2), Math.ceil(first / 3) * 3);
  });

  it("keep four high ones in sight at the same time", () => {
    const harness = EngineHarness.format();
    const record = createIn(harness, [{ first: highBegin, count: 3000, zone: 2 }]);
    harness.view.setUint32(addresses.windowLimit, 8, true);
    const { frameAddress } = ternaryOf(harness);
    const frames = [0, 100, 200, 300].map((i) => highBegin + i);
    for (let other = 400; other < 3000; other += 27) frameAddress(record, highBegin + other);
    const seen = frames.map((frame) => frameAddress(record, frame) >>> 0);
    assert.equal(new Set(seen).size, 4);
    assert.deepEqual(
      harness
        .windows()
        .filter(
          ({ block, shows }) => shows && seen.some((at) => at >= block * 4096 && at < (block + 10) * 4096),
        ).length,
      4,
    );
    assert.deepEqual(
      frames.map((frame) => frameAddress(record, frame) >>> 0),
      seen,
    );
  });

  it("that are fresh are not written before they are used, others are cleared", () => {
    const harness = EngineHarness.format();
    const record = createIn(harness, [{ first: 0, count: 100, zone: 0 }]);
    const { allocateFrames, deallocateFrame, frameAddress } = ternaryOf(harness);
    harness.commit();
    assert.equal(allocateFrames(record, 60, 1, anyZone), 0);
    const blocks = new Set(harness.dirtyBlocks());
    assert.ok(!blocks.has(((frameAddress(record, 30) >>> 0) / 4096) | 0), "a fresh frame was written");
    harness.write(frameAddress(record, 30) >>> 0, new Uint8Array(frameBytes).fill(1));
    assert.equal(deallocateFrame(record, 30), codes.OK);
    assert.equal(allocateFrames(record, 1, 1, anyZone), 30);
    assert.ok(harness.read(frameAddress(record, 30) >>> 0, frameBytes).every((byte) => byte === 0));
  });

  it("count mappings up to the most that a word can", () =>
    withSeed("ternary frames, words", (random) => {
      const harness = EngineHarness.format();
      const model = new FramesModel(harness, [{ first: 0, count: 10, zone: 0 }], random);
      const frame = model.allocate(1, 1, 0);
      const u32 = (address: number) => new DataView(harness.read(address, 4).buffer).getUint32(0, true);
      const word = u32(u32(model.record) + 156) + 4 * frame;
      harness.write(word, new Uint8Array(new Uint32Array([0xffff_fffe]).buffer));
      model.used.set(frame, { ...model.used.get(frame)!, word: 0xffff_fffe });
      model.map(frame);
      model.map(frame);
      model.checkOwners(frame);
      model.deallocate(frame);
      model.deallocate(frame);
      model.unmap(frame, true);
      model.checkOwners(frame);
    }));

  it("refuse numbers that are none, and change nothing", () => {
    const harness = EngineHarness.format();
    const record = createIn(harness, usual);
    const { deallocateFrame, frameAddress, frameOwners } = ternaryOf(harness);
    harness.commit();
    for (const number of [
      -1,
      0,
      0.5,
      41,
      Number.NaN,
      Infinity,
      2 ** 53,
      2 ** 64,
      highBegin - 1,
      frameCount,
    ]) {
      assert.equal(deallocateFrame(record, number), codes.INVALID_ADDRESS, String(number));
      assert.equal(frameAddress(record, number), codes.INVALID_ADDRESS);
      assert.equal(frameOwners(record, number), 0);
    }
    assert.equal(harness.dirtyCount, 0);
  });

  it("are made of what the heap has, or nothing of it is taken", () =>
    withSeed("ternary frames, scarce", (random) => {
      for (let pages = 0; pages < 60; pages += 1 + random.below(3)) {
        const harness = EngineHarness.format({ maximumBytes: addresses.heap + pages * 65_536 });
        const driver = heapOf(random, harness);
        driver.alloc(100);
        harness.commit();
        const record = createIn(harness, [
          { first: 3, count: 500, zone: 0 },
          { first: highBegin, count: 200_000, zone: 2 },
          { first: 3_500_000, count: 900_000, zone: 2 },
        ]);
        const image = new ImageReader(harness.blockNow);
        const report = checkImage(image, nameHash);
        assert.deepEqual([...report.problems, ...checkTernary(image, report)], []);
        if (record < 65536) {
          assert.equal(record, codes.OUT_OF_MEMORY);
          driver.account();
        } else if (random.oneIn(2)) {
          harness.rollback();
          driver.account();
        }
      }
    }));

  it("of a memory that is given back whole are all gone", () =>
    withSeed("ternary frames, given back", (random) => {
      const harness = EngineHarness.format();
      const driver = heapOf(random, harness);
      driver.alloc(5000);
      const record = createIn(harness, usual);
      const name = new TextEncoder().encode("t");
      harness.bytes.set(name, addresses.exchange + 32);
      assert.equal(harness.functions.registryDelete(4, 1), codes.OK);
      assert.equal(ternaryOf(harness).destroyMemory(record), codes.OK);
      driver.account();
    }));

  it("are not made of no region, nor of more than a request has room for", () => {
    const harness = EngineHarness.format();
    const { createMemory } = ternaryOf(harness);
    for (const count of [0, 257, 2 ** 31, 2 ** 32 - 1])
      assert.equal(createMemory(count), codes.INVALID_ARGUMENT);
    const many = Array.from({ length: 256 }, (_, i) => ({ first: 10 * i, count: 3, zone: 0 }));
    const record = createIn(harness, many);
    const { allocateFrames, frameAddress } = ternaryOf(harness);
    for (let i = 0; i < 256; i++) {
      assert.equal(allocateFrames(record, 2, 1, 0), 10 * i);
      assert.ok(frameAddress(record, 10 * i + 2) >>> 0 >= 65536);
      assert.equal(frameAddress(record, 10 * i + 3), codes.INVALID_ADDRESS);
    }
  });
});
