// Random work on address spaces through what programs see, and on their model; and how a memory differs from a model.

import assert from "node:assert/strict";
import { PerdureError } from "../../bindings/base/errors.js";
import type { Memory } from "../../bindings/index.js";
import { type AddressSpace, type Frame, PAGE_TRYTES, type TernaryMemory } from "../../bindings/ternary.js";
import {
  type Access,
  addressOf,
  type Code,
  firstUserPage,
  flagsOf,
  indexOf,
  isAddress,
  mapping,
  PagesModel,
} from "./pages-model.js";
import type { Random } from "./random.js";
import { fewFrames } from "./spaces-site.js";

export const emptyModel = (): PagesModel => new PagesModel(20 + 61 + 30);

/** Pages at borders of tables and halves: few enough that they meet. */
const somePages = [
  -9842, -9841, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9839, 9840, 9841, 9842, 9843, 193_710_245,
];
const modes = [0, 1, 1, 1, 2, 3];

export class SpacesWork {
  ternary: TernaryMemory;
  model = emptyModel();
  private names = 0;

  constructor(
    public memory: Memory,
    private readonly random: Random,
  ) {
    this.ternary = memory.ternary("t", fewFrames);
  }

  /** After a rollback, or with another memory. */
  continueWith(model: PagesModel, memory = this.memory): void {
    this.model = model.clone();
    this.memory = memory;
    this.ternary = memory.ternary("t", fewFrames);
  }

  /** The first change that is refused with another code than in the model, or not refused, is a failure. */
  step(): void {
    const { random, model } = this;
    const names = [...model.spaces.keys()];
    const hasRoom = names.length < 6;
    const choice = random.below(100);
    if (names.length === 0 || (choice < 3 && hasRoom)) {
      this.create();
      return;
    }
    const name = random.pick(names);
    const v = addressOf(firstUserPage + this.page(name));
    const trytes = 1 + random.below(random.pick([1, 4, 9]) * PAGE_TRYTES);
    const flags = random.pick([1, 3, 3, 5, 11]);
    if (choice < 8 && hasRoom) this.fork(name);
    else if (choice < 9) this.drop(name);
    else if (choice < 13) this.frame();
    else if (choice < 33) this.load(name, v + random.below(PAGE_TRYTES));
    else if (choice < 58) this.store(name, v + random.below(PAGE_TRYTES));
    else if (choice < 64) this.write(name, v + random.below(PAGE_TRYTES));
    else if (choice < 72) this.map(name, v);
    else if (choice < 77) this.unmap(name, v);
    else if (choice < 88) this.range("mapRegion", name, v, trytes, flags);
    else if (choice < 92) this.range("unmapRegion", name, v, trytes, flags);
    else if (choice < 98) this.range("protect", name, v, trytes, flags & ~mapping.STACK);
    else this.space(name).sweep();
  }

  private space(name: string): AddressSpace {
    return this.ternary.space(name);
  }

  private page(name: string): number {
    const { random, model } = this;
    const { pages, areas } = model.space(name);
    const known = [...pages.keys(), ...areas.map(({ first, end }) => first + random.below(end - first))];
    return random.oneIn(3) || known.length === 0
      ? random.pick(somePages)
      : random.pick(known) - firstUserPage;
  }

  // Spaces

  private create(): void {
    const name = `s${this.names++}`;
    this.space(name);
    this.model.spaces.set(name, { pages: new Map(), areas: [] });
  }

  private fork(from: string): void {
    const name = `s${this.names++}`;
    this.space(from).fork(name);
    this.model.spaces.set(name, this.model.fork(this.model.space(from)));
  }

  private drop(name: string): void {
    this.space(name).drop();
    this.model.drop(name);
  }

  // Frames

  private frame(): void {
    const { random, model, ternary } = this;
    const held = [...model.frames].filter(([, frame]) => frame.held).map(([number]) => number);
    if (held.length < 20 && random.oneIn(2)) {
      this.adopt(ternary.frames.tryAllocateLarge() ?? []);
    } else if (held.length > 0) {
      const number = random.pick(held);
      ternary.frames.deallocate(ternary.frames.at(number));
      model.frames.get(number)!.held = false;
      if (model.mappingsOf(number) === 0) model.frames.delete(number);
    }
  }

  private adopt(frames: readonly Frame[]): void {
    for (const { number } of frames) {
      assert.ok(!this.model.frames.has(number), `frame ${number} is in use`);
      this.model.frames.set(number, { cells: new Int16Array(PAGE_TRYTES), held: true });
    }
  }

  private map(name: string, v: number): void {
    const { random, model, ternary } = this;
    let flags = random.pick([0, flagsOf.USER, flagsOf.USER, flagsOf.KERNEL_ONLY]);
    flags |= random.pick([0, flagsOf.WRITABLE, flagsOf.WRITABLE, flagsOf.EXECUTE]);
    if (random.oneIn(3)) flags |= flagsOf.LARGE;
    if (random.oneIn(6)) flags |= flagsOf.GLOBAL;
    const free = [...model.frames.keys()].filter((number) => model.mappingsOf(number) === 0);
    if (free.length === 0) return;
    const frame = random.pick(free);
    // Mapped in two places by hand it would not be private to a fork.
    if ((flags & flagsOf.LARGE) !== 0 && [1, 2].some((i) => model.mappingsOf(frame + i) > 0)) return;
    const mode = this.mode();
    const expected = model.map(model.space(name), mode, v, frame, flags);
    this.expect(expected, `map ${v}, ${frame}, ${flags}`, mode, () =>
      this.space(name).map(v, ternary.frames.at(frame), flags),
    );
  }

  private unmap(name: string, v: number): void {
    const mode = this.mode();
    const expected = this.model.unmap(this.model.space(name), mode, v);
    const code = typeof expected === "number" ? "OK" : expected;
    this.expect(code, `unmap ${v}`, mode, () => assert.equal(this.space(name).unmap(v).number, expected));
  }

  private range(
    call: "mapRegion" | "unmapRegion" | "protect",
    name: string,
    v: number,
    trytes: number,
    flags: number,
  ): void {
    const mode = this.mode();
    const expected = this.model[call](this.model.space(name), mode, v, trytes, flags);
    const what = `${call} ${v}, ${trytes}, ${flags}`;
    this.expect(expected, what, mode, () => this.space(name)[call](v, trytes, flags));
  }

  // Accesses

  private load(name: string, v: number): void {
    let found = Number.NaN;
    const code = this.access(name, v, 1, "read", () => {
      found = this.space(name).loadTryte(v);
    });
    if (code === "OK") assert.equal(found, this.cells(name, v)[offsetOf(v)], `load ${v} of ${name}`);
  }

  private store(name: string, v: number): void {
    const tryte = this.random.below(729) - 364;
    const code = this.access(name, v, 1, "write", () => this.space(name).storeTryte(v, tryte));
    if (code === "OK") this.cells(name, v)[offsetOf(v)] = tryte;
  }

  private write(name: string, v: number): void {
    const { random } = this;
    const trytes = Int16Array.from(
      { length: 1 + random.below(4 * PAGE_TRYTES) },
      () => random.below(729) - 364,
    );
    const code = this.access(name, v, trytes.length, "write", () => this.space(name).write(v, trytes));
    if (code !== "OK") return;
    for (const [i, tryte] of trytes.entries()) this.cells(name, v + i)[offsetOf(v + i)] = tryte;
    assert.deepEqual(this.space(name).read(v, trytes.length), trytes);
  }

  private cells(name: string, v: number): Int16Array {
    return this.model.cellsOf(this.model.space(name), v);
  }

  /** An access to some trytes, page by page: the model follows to where it is refused. */
  private access(name: string, v: number, trytes: number, access: Access, attempt: () => void): Code {
    const { model } = this;
    const space = model.space(name);
    const mode = this.mode();
    const code = this.attempt(mode, attempt);
    for (let at = v; at < v + trytes; at = addressOf(indexOf(at) + 1)) {
      const what = `${access} ${at} of ${name} in mode ${mode}`;
      const admitted = model.admit(space, mode, at, access);
      const needs = admitted === "OK" ? model.needs(space, indexOf(at), access) : null;
      const expected = needs?.frame === true && model.isFull ? "OUT_OF_MEMORY" : admitted;
      if (expected !== "OK") {
        assert.equal(code, expected, what);
        return code;
      }
      if (!needs!.touch) continue;
      const frame = needs!.frame ? this.space(name).entry(at).frame : -1;
      if (model.pageOf(space, indexOf(at)) === undefined) model.fulfil(space, indexOf(at), frame);
      else model.makeOwn(space, indexOf(at), frame);
    }
    assert.equal(code, "OK", `${access} ${v} of ${name} in mode ${mode}`);
    return code;
  }

  private mode(): number {
    return this.random.pick(modes);
  }

  private expect(expected: Code, what: string, mode: number, body: () => void): void {
    assert.equal(this.attempt(mode, body), expected, `${what} in mode ${mode}`);
  }

  private attempt(mode: number, body: () => void): Code {
    const { ternary } = this;
    // As the gate would do, which only the handle has that made the memory.
    const handle = ternary as unknown as { current: number };
    handle.current = mode;
    try {
      body();
      return "OK";
    } catch (error) {
      if (!(error instanceof PerdureError)) throw error;
      return error.code as Code;
    } finally {
      handle.current = 1;
    }
  }
}

const offsetOf = (v: number): number => v - PAGE_TRYTES * Math.floor(v / PAGE_TRYTES);

/** How a memory's spaces, pages, trytes and frames are not those of a model; null when they are. */
export function spacesDifference(memory: Memory, model: PagesModel): string | null {
  let ternary: TernaryMemory;
  try {
    ternary = memory.ternary("t");
  } catch {
    return "there is no ternary memory";
  }
  const names = ternary.spaces().map(({ name }) => name);
  if (names.join() !== [...model.spaces.keys()].join()) return `spaces ${names.join()}`;
  for (const [name, { pages, areas }] of model.spaces) {
    const space = ternary.space(name);
    const regions = space.regions().map(({ start, trytes, flags, lowest }) => {
      return { first: indexOf(start), end: indexOf(start + trytes), flags, lowest: indexOf(lowest) };
    });
    if (JSON.stringify(regions) !== JSON.stringify(areas)) return `regions of ${name}`;
    if (space.statistics().mappedPages !== pages.size) return `number of pages of ${name}`;
    for (const [index, page] of [...pages, ...model.globals]) {
      const v = addressOf(index);
      const entry = space.entry(v);
      const { frame, writable, user, large } = page;
      const isSame =
        entry.present === 1 &&
        entry.frame === frame &&
        entry.writable === writable &&
        entry.user === user &&
        entry.large === large &&
        (entry.global === 1) === model.globals.has(index);
      if (!isSame) return `entry of page ${v} of ${name}`;
      const cells = space.read(v, PAGE_TRYTES);
      if (!isAddress(v) || Buffer.compare(bytesOf(cells), bytesOf(model.frames.get(frame)!.cells)) !== 0)
        return `content of page ${v} of ${name}`;
    }
  }
  return framesDifference(ternary, model);
}

function framesDifference({ frames }: TernaryMemory, model: PagesModel): string | null {
  if (frames.statistics().usedFrames !== model.frames.size) return "frames in use";
  for (const [number, { held }] of model.frames)
    if (frames.ownersOf(frames.at(number)).held !== held) return `holder of frame ${number}`;
  return null;
}

const bytesOf = (cells: Int16Array) => new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);
