// The frame allocator against an array of flags: what it hands out is free, it is the first run that fits, and it
// refuses only when nothing fits. Several regions at once, with commits, rollbacks and remounts in between.

import assert from "node:assert/strict";
import { checkBounds } from "../bindings/api/check-image.js";
import { codes, EngineHarness } from "./support/engine-harness.js";
import { type Random, withSeed } from "./support/random.js";

const noFrame = -1;

/** A region in the heap of an engine, and what it should be. */
class ModelRegion {
  #committed: Uint8Array;
  #committedEnd: number;
  readonly used: Uint8Array;
  readonly address: number;

  constructor(
    public harness: EngineHarness,
    readonly capacity: number,
    public end: number,
  ) {
    const alloc = (bytes: number) => harness.functions.alloc(bytes, 128, 1) >>> 0;
    this.address = alloc(128);
    const bitmap = alloc(16 * Math.ceil(capacity / 128));
    const bounds = alloc(16 * Math.ceil(capacity / 4096));
    harness.functions.createRegion(this.address, capacity, end, bitmap, bounds);
    this.used = new Uint8Array(capacity);
    this.#committed = this.used.slice();
    this.#committedEnd = end;
  }

  keep(): void {
    this.#committed = this.used.slice();
    this.#committedEnd = this.end;
  }

  restore(harness: EngineHarness): void {
    this.harness = harness;
    this.used.set(this.#committed);
    this.end = this.#committedEnd;
  }

  /** Where the first run of `count` free frames starts. */
  firstFit(count: number): number {
    for (let start = 0, length = 0, frame = 0; frame < this.end; frame++) {
      if (this.used[frame] !== 0) length = 0;
      else if (length++ === 0) start = frame;
      if (length === count) return start;
    }
    return noFrame;
  }

  take(count: number): number {
    const expected = this.firstFit(count);
    const first = this.harness.functions.takeFrames(this.address, count);
    if (count !== 1 || expected === noFrame) assert.equal(first, expected, `${count} frames`);
    if (first !== noFrame) this.#use(first, count);
    return first;
  }

  takeAt(first: number, count: number): void {
    const fits = first + count <= this.end && this.used.subarray(first, first + count).every((n) => n === 0);
    assert.equal(this.harness.functions.takeFramesAt(this.address, first, count), fits ? 1 : 0);
    if (fits) this.#use(first, count);
  }

  give(first: number, count: number): void {
    let expected: number = codes.OK;
    if (count === 0) expected = codes.INVALID_ARGUMENT;
    else if (first + count > this.end) expected = codes.INVALID_ADDRESS;
    else if (this.used.subarray(first, first + count).includes(0)) expected = codes.DOUBLE_FREE;
    assert.equal(
      this.harness.functions.giveFrames(this.address, first, count),
      expected,
      `${count} from ${first}`,
    );
    if (expected !== codes.OK) return;
    this.used.fill(0, first, first + count);
  }

  raise(end: number): void {
    this.harness.functions.raiseEnd(this.address, end);
    this.end = end;
  }

  /** Everything that can be known of the region is as the model has it. */
  check(): void {
    const { harness } = this;
    let free = 0;
    let runs = 0;
    let longest = 0;
    for (let frame = 0, length = 0; frame < this.end; frame++) {
      const isFree = this.used[frame] === 0;
      free += isFree ? 1 : 0;
      if (isFree && length === 0) runs++;
      length = isFree ? length + 1 : 0;
      longest = Math.max(longest, length);
    }
    const u32 = (address: number) => new DataView(harness.read(address, 4).buffer).getUint32(0, true);
    assert.equal(u32(this.address + 8), free, "free count");
    harness.functions.frameStatistics(this.address);
    const statistics = [0, 4, 8, 12, 16].map((offset) => harness.exchangeU32(offset));
    assert.deepEqual(statistics, [this.capacity, this.end, free, runs, longest]);
    assert.equal(harness.exchangeF64(24), free === 0 ? 0 : (100 * (free - longest)) / free);
    const bounds = harness.read(u32(this.address + 20), 16 * Math.ceil(this.capacity / 4096));
    const bitmap = harness.read(u32(this.address + 16), 16 * Math.ceil(this.capacity / 128));
    const isUsed = (frame: number) => (((bitmap[frame >> 3] as number) >> (frame & 7)) & 1) === 1;
    for (let frame = 0; frame < this.capacity; frame++) {
      assert.equal(isUsed(frame), frame < this.end && this.used[frame] !== 0, `bit of frame ${frame}`);
    }
    const problems = checkBounds(this.end, u32(this.address + 12), isUsed, (group) =>
      new DataView(bounds.buffer).getUint16(2 * group, true),
    );
    assert.deepEqual(problems, []);
  }

  #use(first: number, count: number): void {
    for (let frame = first; frame < first + count; frame++) {
      assert.ok(frame < this.end, `frame ${frame} lies past the end`);
      assert.equal(this.used[frame], 0, `frame ${frame} is in use`);
      this.used[frame] = 1;
    }
  }
}

/** Draws how many frames to take or give. */
type Counts = (random: Random) => number;

const mostlySingle: Counts = (random) => (random.oneIn(3) ? 1 + random.below(40) : 1);

function step(region: ModelRegion, random: Random, counts: Counts): void {
  const count = counts(random);
  const frame = random.below(region.end + 1);
  const { functions } = region.harness;
  switch (random.below(12)) {
    case 0:
      region.takeAt(frame, count);
      break;
    case 1:
    case 2:
      assert.equal(functions.isFrameUsed(region.address, frame), frame < region.end ? region.used[frame] : 0);
      break;
    case 3:
      if (random.oneIn(10)) region.raise(Math.min(region.capacity, region.end + random.below(100)));
      break;
    case 4:
    case 5:
    case 6:
    case 7:
      region.give(frame, random.oneIn(2) ? 1 : count);
      break;
    default:
      region.take(count);
  }
}

function run(
  random: Random,
  steps: number,
  regions: (harness: EngineHarness) => ModelRegion[],
  counts: Counts,
): void {
  let harness = EngineHarness.format();
  const all = regions(harness);
  harness.commit();
  for (let i = 0; i < steps; i++) {
    step(random.pick(all), random, counts);
    if (i % 20 === 0) harness.checkBarrier();
    if (!random.oneIn(100)) continue;
    const choice = random.below(4);
    if (choice < 2) {
      harness.commit();
      for (const region of all) region.keep();
    } else {
      if (choice === 2) harness.rollback();
      else harness = harness.remount();
      for (const region of all) region.restore(harness);
    }
    for (const region of all) region.check();
  }
  for (const region of all) region.check();
}

describe("engine: frames", () => {
  it("follow the model in several regions at once", () => {
    withSeed("engine frames", (random) => {
      const sizes = [1, 2, 63, 64, 65, 127, 128, 129, 511, 512, 513, 700, 1500];
      const make = (harness: EngineHarness) =>
        sizes.map((size) => new ModelRegion(harness, size, random.oneIn(2) ? size : 0));
      run(random, 6000, make, mostlySingle);
    });
  });

  it("follow the model when runs pass from group to group", () => {
    withSeed("engine frames, long runs", (random) => {
      const make = (harness: EngineHarness) => [new ModelRegion(harness, 9000, 9000)];
      run(random, 3000, make, (r) => 1 + r.below(2 ** r.below(12)));
    });
  });

  it("find runs longer than a bound can say", () => {
    const harness = EngineHarness.format();
    const region = new ModelRegion(harness, 300_000, 300_000);
    const wall = [70_000, 140_001, 240_000];
    for (const frame of wall) region.takeAt(frame, 1);
    assert.equal(region.take(70_001), 140_002);
    assert.equal(region.take(70_001), noFrame);
    assert.equal(region.take(70_000), 0);
    region.check();
    region.give(140_002, 70_001);
    assert.equal(region.take(99_999), noFrame);
    assert.equal(region.take(99_998), 140_002);
    assert.equal(region.take(69_999), 70_001);
    region.check();
  });

  it("hand out the frame given back last", () => {
    const region = new ModelRegion(EngineHarness.format(), 1000, 1000);
    for (let i = 0; i < 500; i++) region.take(1);
    for (const frame of [300, 7, 123]) region.give(frame, 1);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => region.take(1)),
      [123, 7, 300, 500],
    );
    for (let frame = 0; frame < 60; frame++) region.give(frame, 1);
    const again = Array.from({ length: 60 }, () => region.take(1)).sort((a, b) => a - b);
    assert.deepEqual(
      again,
      Array.from({ length: 60 }, (_, i) => i),
    );
    region.check();
  });
});
