// Does the same to the ternary module and to the model of its pages, and compares: every answer at once, and now and then every page, tryte, frame and area.

import assert from "node:assert/strict";
import { checkImage } from "../../bindings/api/check-image.js";
import { checkPages } from "../../bindings/api/check-pages.js";
import { checkTernary } from "../../bindings/api/check-ternary.js";
import { ImageReader } from "../../bindings/api/image-reader.js";
import { addresses, codes, EngineHarness, engineConstants, type HarnessOptions } from "./engine-harness.js";
import { nameHash } from "./engine-heap-model.js";
import {
  type Access,
  type Code,
  firstUserPage,
  indexOf,
  isAddress,
  PagesModel,
  pageTrytes,
  type SpaceModel,
  type Trit,
} from "./pages-model.js";
import type { Random } from "./random.js";
import { createIn, type Range, ternaryOf } from "./ternary-frames-model.js";

const mustTouch = engineConstants.MUST_TOUCH as number;
const noTryte = 0x10000;
const accesses: readonly Access[] = ["read", "write", "execute"];

export type PageFunctions = ReturnType<typeof ternaryOf> &
  Record<
    | "contextOf"
    | "createSpace"
    | "forkSpace"
    | "dropSpace"
    | "map"
    | "unmap"
    | "mapRegion"
    | "unmapRegion"
    | "protect"
    | "loadTryte"
    | "storeTryte"
    | "translate"
    | "touchPage"
    | "cellsAt"
    | "describePage"
    | "sweep"
    | "spaceStatistics",
    (...parameters: number[]) => number
  >;

/** All six trits, the frame, and whether it is large. */
export interface Entry {
  present: Trit;
  writable: Trit;
  user: Trit;
  accessed: Trit;
  dirty: Trit;
  global: Trit;
  frame: number;
  large: boolean;
}

/** A few frames of every zone. */
export const usualFrames: readonly Range[] = [
  { first: 3, count: 9, zone: 0 },
  { first: 20_000, count: 33, zone: 1 },
  { first: 2_945_794 + 2, count: 31, zone: 2 },
];

/** Addresses of pages at all borders: of tables, of large pages, of the halves, and of all there is. */
export function usualPages(random: Random): number[] {
  const borders = [0, 9842, -9841, 193_710_245, -193_710_244, random.below(2 ** 30)];
  const pages = [-firstUserPage, firstUserPage, firstUserPage - 1];
  for (const border of borders) for (let i = -4; i < 5; i++) pages.push(border + i);
  return pages.map((page) => page * pageTrytes);
}

export class PagesDriver {
  readonly record: number;
  functions: PageFunctions;
  model: PagesModel;
  /** Records by name. */
  spaces = new Map<string, number>();
  #committed: { model: PagesModel; spaces: Map<string, number> };

  constructor(
    public harness: EngineHarness,
    readonly ranges: readonly Range[] = usualFrames,
  ) {
    harness.checksDiscarded = false;
    this.record = createIn(harness, ranges);
    this.functions = ternaryOf(harness) as PageFunctions;
    this.model = new PagesModel(ranges.reduce((sum, { count }) => sum + count, 0));
    harness.commit();
    this.#committed = this.#now();
  }

  static format(ranges?: readonly Range[], options?: HarnessOptions): PagesDriver {
    return new PagesDriver(EngineHarness.format(options), ranges);
  }

  context(name: string, mode: number): number {
    return this.functions.contextOf(this.spaces.get(name)!, mode);
  }

  // Commits

  #now() {
    return { model: this.model.clone(), spaces: new Map(this.spaces) };
  }

  commit(): void {
    this.harness.commit();
    this.#committed = this.#now();
  }

  rollback(): void {
    this.harness.rollback();
    this.#restore();
  }

  /** The process ends, and another one begins with what was committed. */
  remount(): void {
    const { harness } = this;
    harness.bytes.fill(0, 0x0060_0000, 0x0100_0000);
    this.harness = harness.remount();
    this.functions = ternaryOf(this.harness) as PageFunctions;
    this.#restore();
  }

  #restore(): void {
    this.model = this.#committed.model.clone();
    this.spaces = new Map(this.#committed.spaces);
  }

  // Spaces

  create(name: string): void {
    const space = this.functions.createSpace(this.record, 0) >>> 0;
    assert.ok(space >= 65536);
    this.#adopt(name, space, { pages: new Map(), areas: [] });
  }

  fork(from: string, name: string): void {
    const space = this.functions.forkSpace(this.spaces.get(from)!) >>> 0;
    assert.ok(space >= 65536);
    this.#adopt(name, space, this.model.fork(this.model.space(from)));
  }

  drop(name: string): void {
    this.functions.dropSpace(this.spaces.get(name)!);
    this.model.drop(name);
    this.spaces.delete(name);
    this.#name(name);
    assert.equal(this.harness.functions.registryDelete(6, 8 + name.length), codes.OK);
  }

  #adopt(name: string, space: number, model: SpaceModel): void {
    this.spaces.set(name, space);
    this.model.spaces.set(name, model);
    this.#name(name);
    this.harness.view.setBigUint64(addresses.exchange, BigInt(space), true);
    this.harness.view.setBigUint64(addresses.exchange + 8, 0n, true);
    assert.equal(this.harness.functions.registrySet(6, 8 + name.length), codes.OK);
  }

  /** Puts the name of a space into the exchange area. */
  #name(name: string): void {
    const text = this.record.toString(16).padStart(8, "0") + name;
    const at = addresses.exchange + (engineConstants.ENTRY_NAME as number);
    this.harness.bytes.set(new TextEncoder().encode(text), at);
  }

  // Frames

  allocate(count: number, align = 1): number {
    const first = this.functions.allocateFrames(this.record, count, align, 3);
    for (let frame = first; first >= 0 && frame < first + count; frame++) {
      assert.ok(!this.model.frames.has(frame), `frame ${frame} is in use`);
      this.model.frames.set(frame, { cells: new Int16Array(pageTrytes), held: true });
    }
    return first;
  }

  deallocate(frame: number): void {
    const known = this.model.frames.get(frame);
    const code = this.functions.deallocateFrame(this.record, frame);
    assert.equal(code === codes.OK, known?.held === true);
    if (known?.held !== true) return;
    known.held = false;
    if (this.model.mappingsOf(frame) === 0) this.model.frames.delete(frame);
  }

  // Mapping

  map(name: string, mode: number, v: number, frame: number, flags: number): Code {
    const expected = this.model.map(this.model.space(name), mode, v, frame, flags);
    const code = this.functions.map(this.context(name, mode), v, frame, flags);
    return this.#same(code, expected, `map ${v} ${frame} ${flags} in mode ${mode}`);
  }

  unmap(name: string, mode: number, v: number): Code | number {
    const expected = this.model.unmap(this.model.space(name), mode, v);
    const answer = this.functions.unmap(this.context(name, mode), v);
    assert.equal(answer < 0 ? codeName(-answer) : answer, expected, `unmap ${v} in mode ${mode}`);
    return expected;
  }

  mapRegion(name: string, mode: number, start: number, trytes: number, flags: number): Code {
    const expected = this.model.mapRegion(this.model.space(name), mode, start, trytes, flags);
    const code = this.functions.mapRegion(this.context(name, mode), start, trytes, flags);
    return this.#same(code, expected, `mapRegion ${start} ${trytes} ${flags} in mode ${mode}`);
  }

  unmapRegion(name: string, mode: number, start: number, trytes: number): Code {
    const expected = this.model.unmapRegion(this.model.space(name), mode, start, trytes);
    const code = this.functions.unmapRegion(this.context(name, mode), start, trytes);
    return this.#same(code, expected, `unmapRegion ${start} ${trytes} in mode ${mode}`);
  }

  protect(name: string, mode: number, start: number, trytes: number, flags: number): Code {
    const expected = this.model.protect(this.model.space(name), mode, start, trytes, flags);
    const code = this.functions.protect(this.context(name, mode), start, trytes, flags);
    return this.#same(code, expected, `protect ${start} ${trytes} ${flags} in mode ${mode}`);
  }

  #same(code: number, expected: Code, what: string): Code {
    assert.equal(codeName(code), expected, what);
    return expected;
  }

  // Accesses

  load(name: string, mode: number, v: number): Code {
    const space = this.model.space(name);
    const context = this.context(name, mode);
    return this.access(name, mode, v, "read", () => {
      const answer = this.functions.loadTryte(context, v);
      if (answer >= noTryte) return answer - noTryte;
      const cells = this.model.pageOf(space, indexOf(v)) && this.model.cellsOf(space, v);
      assert.equal(answer, cells?.[offsetOf(v)], `load ${v} in space ${name}`);
      return codes.OK;
    });
  }

  store(name: string, mode: number, v: number, tryte: number): Code {
    const context = this.context(name, mode);
    const code = this.access(name, mode, v, "write", () => this.functions.storeTryte(context, v, tryte));
    if (code === "OK") this.model.cellsOf(this.model.space(name), v)[offsetOf(v)] = tryte;
    return code;
  }

  translate(name: string, mode: number, v: number, access: Access): Code {
    const context = this.context(name, mode);
    return this.access(name, mode, v, access, () => {
      const answer = this.functions.translate(context, v, accesses.indexOf(access));
      if (answer < 0) return -answer;
      const { frame } = this.model.pageOf(this.model.space(name), indexOf(v))!;
      assert.equal(answer, frame * pageTrytes + offsetOf(v), `translate ${v}`);
      return codes.OK;
    });
  }

  /** An access that may have to touch its page first, which the model does as well. */
  access(name: string, mode: number, v: number, access: Access, attempt: () => number): Code {
    const { model } = this;
    const space = model.space(name);
    const expected = model.admit(space, mode, v, access);
    const what = `${access} ${v} of ${name} in mode ${mode}`;
    if (expected !== "OK") return this.#same(attempt(), expected, what);
    const index = indexOf(v);
    const needs = model.needs(space, index, access);
    const first = attempt();
    if (!needs.touch || first !== mustTouch) {
      // What is not shared any more may have been found out without being touched.
      if (needs.touch) {
        assert.ok(!needs.frame && model.pageOf(space, index) !== undefined, `${what}: was not touched`);
        model.makeOwn(space, index, -1);
      }
      return this.#same(first, "OK", what);
    }
    const code = this.functions.touchPage(this.context(name, mode), v, accesses.indexOf(access));
    if (needs.frame && model.isFull) return this.#same(code, "OUT_OF_MEMORY", what);
    this.#same(code, "OK", what);
    const frame = needs.frame ? this.entry(name, v).frame : -1;
    if (model.pageOf(space, index) === undefined) model.fulfil(space, index, frame);
    else model.makeOwn(space, index, frame);
    return this.#same(attempt(), "OK", what);
  }

  entry(name: string, v: number): Entry {
    assert.equal(this.functions.describePage(this.context(name, 1), v), codes.OK);
    const word = Number(this.harness.view.getBigUint64(addresses.exchange, true));
    const [present, writable, user, accessed, dirty, global] = [0, 1, 2, 3, 4, 5].map(
      (i) => (Math.floor(word / 4 ** i) % 4) - 1,
    ) as [Trit, Trit, Trit, Trit, Trit, Trit];
    const frame = Math.floor(word / 4096) % 2 ** 34;
    return { present, writable, user, accessed, dirty, global, frame, large: word >= 2 ** 46 };
  }

  // Everything

  checkAll(pages: readonly number[]): void {
    this.harness.checkBarrier();
    for (const [name, space] of this.model.spaces) {
      for (const v of pages) if (isAddress(v)) this.#checkPage(name, space, v);
      this.#checkAreas(name, space);
      this.functions.spaceStatistics(this.spaces.get(name)!);
      assert.equal(this.harness.exchangeF64(0), space.pages.size, `mapped pages of ${name}`);
      assert.equal(this.harness.exchangeU32(12), space.areas.length, `areas of ${name}`);
    }
    this.account();
  }

  #checkPage(name: string, space: SpaceModel, v: number): void {
    const { model } = this;
    const index = indexOf(v);
    const page = model.pageOf(space, index);
    const area = model.areaOf(space, index);
    const entry = this.entry(name, v);
    const what = `page ${v} of ${name}`;
    assert.equal(entry.present, page ? 1 : area ? 0 : -1, what);
    if (page === undefined) {
      assert.equal(entry.frame, 0);
      return;
    }
    const { frame, writable, user, large } = page;
    assert.deepEqual(
      { frame: entry.frame, writable: entry.writable, user: entry.user, large: entry.large },
      { frame, writable, user, large },
      what,
    );
    if (model.globals.has(index)) assert.equal(entry.global, 1, what);
    else if (!page.shared) assert.equal(entry.global, -1, what);
    else if (model.mappingsOf(frame) > 1) assert.equal(entry.global, 0, what);
    const cells = this.functions.cellsAt(this.context(name, 0), v, 0) >>> 0;
    const found = new Int16Array(this.harness.bytes.slice(cells, cells + 2 * pageTrytes).buffer);
    assert.deepEqual(found, model.frames.get(frame)!.cells, `content of ${what}`);
  }

  #checkAreas(name: string, { areas }: SpaceModel): void {
    const record = this.spaces.get(name)!;
    const head = new DataView(this.harness.read(record, 64).buffer);
    assert.equal(head.getUint32(16, true), areas.length);
    const bytes = new DataView(this.harness.read(head.getUint32(12, true), 32 * areas.length).buffer);
    const found = areas.map((_, i) => ({
      first: Number(bytes.getBigUint64(32 * i, true)),
      end: Number(bytes.getBigUint64(32 * i + 8, true)),
      flags: bytes.getUint32(32 * i + 16, true),
      lowest: Number(bytes.getBigUint64(32 * i + 24, true)),
    }));
    assert.deepEqual(found, areas, `areas of ${name}`);
  }

  /** Every frame, table, space and object of the image belongs to exactly what should have it. */
  account(): void {
    const image = new ImageReader(this.harness.blockNow);
    const report = checkImage(image, nameHash);
    const pages = checkPages(image, report);
    assert.deepEqual([...report.problems, ...pages.problems], []);
    assert.deepEqual(checkTernary(image, report, pages.mappings), []);
    const held = 2 ** 31;
    for (const { first, count } of this.ranges)
      for (let frame = first; frame < first + count; frame++) {
        const word = this.functions.frameOwners(this.record, frame) >>> 0;
        const known = this.model.frames.get(frame);
        assert.equal(word !== 0, known !== undefined, `frame ${frame} in use`);
        assert.equal(word >= held, known?.held === true, `frame ${frame} held`);
        assert.ok(word % held <= this.model.mappingsOf(frame), `frame ${frame} mapped`);
      }
  }
}

export const codeName = (code: number): Code => {
  const name = Object.entries(codes).find(([, value]) => value === code)?.[0];
  return name as Code;
};

const offsetOf = (v: number): number => v - pageTrytes * Math.floor(v / pageTrytes);
