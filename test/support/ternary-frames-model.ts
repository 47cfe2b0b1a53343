// The physical memory of a ternary memory as plain maps, and a driver that does the same to it and to the module: frames are taken, held, mapped, copied and
// given back, with commits, rollbacks and remounts between. A used frame has a content that nobody else writes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { checkImage } from "../../bindings/api/check-image.js";
import { checkTernary } from "../../bindings/api/check-ternary.js";
import { ImageReader } from "../../bindings/api/image-reader.js";
import { addresses, codes, type EngineHarness, engineConstants } from "./engine-harness.js";
import { nameHash } from "./engine-heap-model.js";
import type { Random } from "./random.js";

export interface Range {
  readonly first: number;
  readonly count: number;
  readonly zone: number;
}

interface Functions {
  createMemory(regions: number): number;
  destroyMemory(memory: number): number;
  allocateFrames(memory: number, count: number, align: number, zone: number): number;
  deallocateFrame(memory: number, frame: number): number;
  frameAddress(memory: number, frame: number): number;
  frameOwners(memory: number, frame: number): number;
  memoryStatistics(memory: number, zone: number): void;
  takeFrame(memory: number, zone: number): bigint;
  holdFrame(memory: number, frame: bigint): number;
  addMapping(memory: number, frame: bigint): number;
  dropMapping(memory: number, frame: bigint): void;
  passToHolder(memory: number, frame: bigint): void;
  mappingsOf(memory: number, frame: bigint): number;
  isHeld(memory: number, frame: bigint): number;
  copyFrame(memory: number, from: bigint, to: bigint): void;
}

export const pageTrytes = 729;
export const frameBytes = 2 * pageTrytes;
export const anyZone = 3;
const held = 2 ** 31;
const mappingsMax = held - 1;
/** Normal, High, DMA. */
const order = [1, 2, 0];

const module = new WebAssembly.Module(readFileSync(new URL("../../ternary.wasm", import.meta.url)));

export function ternaryOf(harness: EngineHarness): Functions {
  return new WebAssembly.Instance(module, { env: harness.env }).exports as unknown as Functions;
}

/** Makes a ternary memory and its name; the record, or a code. */
export function createIn(harness: EngineHarness, ranges: readonly Range[], name = "t"): number {
  for (const [i, { first, count, zone }] of ranges.entries()) {
    harness.view.setBigUint64(addresses.exchange + 16 * i, BigInt(first), true);
    harness.view.setUint32(addresses.exchange + 16 * i + 8, count, true);
    harness.view.setUint32(addresses.exchange + 16 * i + 12, zone, true);
  }
  const record = ternaryOf(harness).createMemory(ranges.length) >>> 0;
  if (record < 65536) return record;
  harness.view.setBigUint64(addresses.exchange, BigInt(record), true);
  harness.view.setBigUint64(addresses.exchange + 8, 0n, true);
  harness.bytes.set(
    new TextEncoder().encode(name),
    addresses.exchange + (engineConstants.ENTRY_NAME as number),
  );
  const code = harness.functions.registrySet(4, name.length);
  if (code === codes.OK) return record;
  assert.equal(ternaryOf(harness).destroyMemory(record), codes.OK);
  return code;
}

interface Use {
  readonly word: number;
  /** Decides the content; 0 is zeros. */
  readonly seed: number;
}

export class FramesModel {
  readonly record: number;
  functions: Functions;
  /** Used frames. */
  used = new Map<number, Use>();
  #committed = new Map<number, Use>();
  #seeds = 1;

  constructor(
    public harness: EngineHarness,
    readonly ranges: readonly Range[],
    private readonly random: Random,
  ) {
    this.record = createIn(harness, ranges);
    assert.ok(this.record >= 65536);
    this.functions = ternaryOf(harness);
    harness.commit();
  }

  commit(): void {
    this.harness.commit();
    this.#committed = new Map(this.used);
    this.account("committed");
  }

  /** After a rollback, or in another engine. */
  restore(harness = this.harness): void {
    this.harness = harness;
    this.functions = ternaryOf(harness);
    this.used = new Map(this.#committed);
  }

  // What should be

  #exists(frame: number): boolean {
    return this.ranges.some(({ first, count }) => frame >= first && frame < first + count);
  }

  /** Where the first run of `count` free frames begins, at a multiple of `align`; −1 when there is none. */
  expectedRun(count: number, align: number, zone: number): number {
    for (const each of zone === anyZone ? order : [zone]) {
      for (const range of this.ranges) {
        if (range.zone !== each) continue;
        const end = range.first + range.count;
        for (let frame = range.first, length = 0; frame < end; frame++) {
          if (this.used.has(frame)) length = 0;
          else if (length > 0 || frame % align === 0) length++;
          // A run of free frames may begin at a later multiple than its first one.
          if (length === count) return frame - count + 1;
        }
      }
    }
    return -1;
  }

  // Operations

  allocate(count: number, align: number, zone: number): number {
    const expected = this.expectedRun(count, align, zone);
    const first = this.functions.allocateFrames(this.record, count, align, zone);
    if (count > 1 || align > 1 || expected < 0)
      assert.equal(first, expected, `${count} frames of zone ${zone}`);
    else
      assert.ok(
        this.#zoneOf(first) === this.#zoneOf(expected),
        `frame ${first}, not of the zone of ${expected}`,
      );
    if (first < 0) return first;
    for (let frame = first; frame < first + count; frame++) this.#adopt(frame, held);
    return first;
  }

  deallocate(frame: number): void {
    const code = this.functions.deallocateFrame(this.record, frame);
    const { word = 0 } = this.used.get(frame) ?? {};
    if (!this.#exists(frame)) assert.equal(code, codes.INVALID_ADDRESS, `frame ${frame}`);
    else if (word >= held) assert.equal(code, codes.OK);
    // One that never was handed out is unknown.
    else if (word > 0) assert.equal(code, codes.DOUBLE_FREE);
    else assert.ok(code === codes.DOUBLE_FREE || code === codes.INVALID_ADDRESS);
    if (code === codes.OK) this.#setWord(frame, word - held);
  }

  /** As the mapper does when a promised page is touched. */
  takeAndMap(zone: number): void {
    const frame = Number(BigInt.asIntN(64, this.functions.takeFrame(this.record, zone)));
    assert.equal(frame < 0, this.expectedRun(1, 1, zone) < 0);
    if (frame < 0) return;
    assert.equal(this.functions.addMapping(this.record, BigInt(frame)), codes.OK);
    this.#adopt(frame, 1);
  }

  /** As it does at the first write to a shared page. */
  copyAndMap(from: number): void {
    const use = this.used.get(from);
    if (use === undefined || this.expectedRun(1, 1, anyZone) < 0) return;
    const to = this.functions.takeFrame(this.record, anyZone);
    this.functions.copyFrame(this.record, BigInt(from), to);
    assert.equal(this.functions.addMapping(this.record, to), codes.OK);
    this.used.set(Number(to), { word: 1, seed: use.seed });
    this.checkContent(Number(to));
  }

  map(frame: number): void {
    const code = this.functions.addMapping(this.record, BigInt(frame));
    const use = this.used.get(frame);
    const isFull = use !== undefined && use.word % held === mappingsMax;
    assert.equal(code, use === undefined ? codes.INVALID_ADDRESS : isFull ? codes.LIMIT : codes.OK);
    if (code === codes.OK) this.#setWord(frame, use!.word + 1);
  }

  hold(frame: number): void {
    const use = this.used.get(frame);
    const code = this.functions.holdFrame(this.record, BigInt(frame));
    assert.equal(code, use === undefined ? codes.INVALID_ADDRESS : codes.OK);
    if (use !== undefined) this.#setWord(frame, (use.word % held) + held);
  }

  /** One of its mappings goes; `keep`: to the program, if it was the last owner. */
  unmap(frame: number, keep: boolean): void {
    const use = this.used.get(frame);
    if (use === undefined || use.word % held === 0) return;
    if (keep) this.functions.passToHolder(this.record, BigInt(frame));
    else this.functions.dropMapping(this.record, BigInt(frame));
    this.#setWord(frame, keep && use.word === 1 ? held : use.word - 1);
  }

  /** Another content. */
  stamp(frame: number): void {
    if (!this.used.has(frame)) return;
    const seed = this.#seeds++;
    this.harness.write(this.#addressOf(frame), content(seed));
    this.used.set(frame, { ...this.used.get(frame)!, seed });
  }

  #adopt(frame: number, word: number): void {
    assert.ok(this.#exists(frame) && !this.used.has(frame), `frame ${frame} is in use`);
    this.used.set(frame, { word, seed: 0 });
    this.checkContent(frame);
    if (this.random.oneIn(2)) this.stamp(frame);
  }

  #setWord(frame: number, word: number): void {
    if (word === 0) this.used.delete(frame);
    else this.used.set(frame, { ...this.used.get(frame)!, word });
  }

  #zoneOf(frame: number): number | undefined {
    return this.ranges.find(({ first, count }) => frame >= first && frame < first + count)?.zone;
  }

  #addressOf(frame: number): number {
    return this.functions.frameAddress(this.record, frame) >>> 0;
  }

  // Comparing

  checkContent(frame: number): void {
    const found = this.harness.read(this.#addressOf(frame), frameBytes);
    const { seed } = this.used.get(frame)!;
    assert.ok(Buffer.compare(found, content(seed)) === 0, `content of frame ${frame}`);
  }

  checkOwners(frame: number): void {
    const { record, functions } = this;
    const { word = 0 } = this.used.get(frame) ?? {};
    assert.equal(functions.frameOwners(record, frame) >>> 0, word, `owners of frame ${frame}`);
    assert.equal(functions.mappingsOf(record, BigInt(frame)), word % held);
    assert.equal(functions.isHeld(record, BigInt(frame)), word >= held ? 1 : 0);
  }

  checkStatistics(): void {
    for (const zone of [0, 1, 2, anyZone]) {
      const expected = [0, 0, 0] as [number, number, number];
      for (const range of this.ranges) {
        if (zone !== anyZone && range.zone !== zone) continue;
        let longest = 0;
        for (let frame = range.first, length = 0; frame < range.first + range.count; frame++) {
          length = this.used.has(frame) ? 0 : length + 1;
          if (length > 0) expected[1]++;
          longest = Math.max(longest, length);
        }
        expected[0] += range.count;
        expected[2] += longest;
      }
      this.functions.memoryStatistics(this.record, zone);
      assert.deepEqual(
        [0, 8, 16].map((offset) => this.harness.exchangeF64(offset)),
        expected,
        `statistics of zone ${zone}`,
      );
    }
  }

  checkAll(): void {
    for (const frame of this.used.keys()) {
      this.checkContent(frame);
      this.checkOwners(frame);
    }
    this.checkStatistics();
    this.account("now");
  }

  /** By the accounting check, which knows docs/ENGINE.md alone. */
  account(of: "now" | "committed"): void {
    const { harness } = this;
    const image = new ImageReader(of === "now" ? harness.blockNow : harness.blockCommitted);
    const report = checkImage(image, nameHash);
    assert.deepEqual([...report.problems, ...checkTernary(image, report)], []);
  }
}

function content(seed: number): Uint8Array {
  const cells = new Int16Array(pageTrytes);
  if (seed > 0) for (let i = 0; i < pageTrytes; i++) cells[i] = ((seed * 31 + i * 7) % pageTrytes) - 364;
  return new Uint8Array(cells.buffer);
}
