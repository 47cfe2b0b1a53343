// Address spaces as plain maps: what every page of every space is, with forks that copy at once. Written from docs/ENGINE.md §13, §14 and §16; it knows
// no tables, no TLB and no sharing.

import assert from "node:assert/strict";

export const pageTrytes = 729;
export const pageCount = 3 ** 27;
export const firstUserPage = (pageCount - 1) / 2;
export const lowestAddress = -pageTrytes * firstUserPage;
export const highestAddress = lowestAddress + 3 ** 33 - 1;

export const flagsOf = {
  PRESENT: 1,
  WRITABLE: 2,
  EXECUTE: 4,
  USER: 8,
  SUPERVISOR: 16,
  KERNEL_ONLY: 32,
  GLOBAL: 64,
  LARGE: 128,
} as const;
export const mapping = { READ: 1, WRITE: 2, EXECUTE: 4, STACK: 8 } as const;
export type Access = "read" | "write" | "execute";
export type Trit = -1 | 0 | 1;
export type Code =
  | "OK"
  | "OUT_OF_MEMORY"
  | "INVALID_ALIGNMENT"
  | "INVALID_ADDRESS"
  | "INVALID_ARGUMENT"
  | "ADDRESS_NOT_MAPPED"
  | "ALREADY_MAPPED"
  | "PERMISSION_DENIED";

export interface Page {
  frame: number;
  writable: Trit;
  user: Trit;
  /** To be copied before it is written, unless nobody else maps its frame. */
  shared: boolean;
  large: boolean;
}

export interface Area {
  first: number;
  end: number;
  flags: number;
  /** Of a stack, the lowest page that was touched; the end before. */
  lowest: number;
}

export interface SpaceModel {
  pages: Map<number, Page>;
  areas: Area[];
}

export interface FrameModel {
  cells: Int16Array;
  held: boolean;
}

export const indexOf = (address: number): number => Math.floor(address / pageTrytes) + firstUserPage;
export const addressOf = (index: number): number => (index - firstUserPage) * pageTrytes;
export const isAddress = (v: number): boolean =>
  Number.isInteger(v) && v >= lowestAddress && v <= highestAddress;
const largeStart = (page: number): number => page - ((page + 2) % 3);
const writableOf = (flags: number): Trit =>
  (flags & mapping.WRITE) !== 0 ? 1 : (flags & mapping.EXECUTE) !== 0 ? -1 : 0;
const userOfHalf = (page: number): Trit => (page < firstUserPage ? -1 : 1);

export class PagesModel {
  spaces = new Map<string, SpaceModel>();
  globals = new Map<number, Page>();
  frames = new Map<number, FrameModel>();

  constructor(readonly frameCount: number) {}

  clone(): PagesModel {
    const copy = new PagesModel(this.frameCount);
    const pagesOf = (pages: Map<number, Page>) => new Map([...pages].map(([at, page]) => [at, { ...page }]));
    for (const [name, { pages, areas }] of this.spaces)
      copy.spaces.set(name, { pages: pagesOf(pages), areas: areas.map((area) => ({ ...area })) });
    copy.globals = pagesOf(this.globals);
    for (const [number, { cells, held }] of this.frames)
      copy.frames.set(number, { cells: cells.slice(), held });
    return copy;
  }

  space(name: string): SpaceModel {
    return this.spaces.get(name)!;
  }

  /** How many pages map a frame. */
  mappingsOf(frame: number): number {
    let count = 0;
    for (const { pages } of this.spaces.values())
      for (const page of pages.values()) if (page.frame === frame) count++;
    for (const page of this.globals.values()) if (page.frame === frame) count++;
    return count;
  }

  get isFull(): boolean {
    return this.frames.size === this.frameCount;
  }

  pageOf(space: SpaceModel, index: number): Page | undefined {
    return space.pages.get(index) ?? this.globals.get(index);
  }

  areaOf(space: SpaceModel, index: number): Area | undefined {
    return space.areas.find(({ first, end }) => first <= index && index < end);
  }

  // Accesses

  /** What an access comes to, before anything is touched. */
  admit(space: SpaceModel, mode: number, v: number, access: Access): Code {
    if (!isAddress(v)) return "INVALID_ADDRESS";
    const index = indexOf(v);
    if (mode > 1 && index < firstUserPage) return "PERMISSION_DENIED";
    const page = this.pageOf(space, index);
    const area = this.areaOf(space, index);
    if (page === undefined && area === undefined) return "ADDRESS_NOT_MAPPED";
    const writable = page?.writable ?? writableOf(area!.flags);
    const user = page?.user ?? userOfHalf(index);
    if (mode === 0) return "OK";
    if (mode > user + 2) return "PERMISSION_DENIED";
    if (access === "write" && writable !== 1) return "PERMISSION_DENIED";
    return access === "execute" && writable !== -1 ? "PERMISSION_DENIED" : "OK";
  }

  /** Whether a page has to be made ready before an access that was admitted; and whether that takes a frame. */
  needs(space: SpaceModel, index: number, access: Access): { touch: boolean; frame: boolean } {
    const page = this.pageOf(space, index);
    if (page === undefined) return { touch: true, frame: true };
    const touch = access === "write" && page.shared;
    return { touch, frame: touch && this.mappingsOf(page.frame) > 1 };
  }

  /** A promised page gets this frame, which must be free. */
  fulfil(space: SpaceModel, index: number, frame: number): void {
    const area = this.areaOf(space, index)!;
    this.#takes(frame, new Int16Array(pageTrytes));
    const writable = writableOf(area.flags);
    space.pages.set(index, { frame, writable, user: userOfHalf(index), shared: false, large: false });
    if ((area.flags & mapping.STACK) !== 0) area.lowest = Math.min(area.lowest, index);
  }

  /** A shared page becomes the space's own, in this frame if it needs another. */
  makeOwn(space: SpaceModel, index: number, frame: number): void {
    const page = space.pages.get(index)!;
    const first = page.large ? largeStart(index) : index;
    const group = Array.from({ length: page.large ? 3 : 1 }, (_, i) => space.pages.get(first + i)!);
    const isAlone = group.every((each) => this.mappingsOf(each.frame) === 1);
    if (isAlone) {
      for (const each of group) each.shared = false;
    } else {
      for (const each of group) each.large = false;
      if (this.mappingsOf(page.frame) > 1) {
        this.#takes(frame, this.frames.get(page.frame)!.cells.slice());
        page.frame = frame;
      }
      page.shared = false;
    }
  }

  #takes(frame: number, cells: Int16Array): void {
    assert.ok(!this.frames.has(frame), `frame ${frame} is in use`);
    this.frames.set(frame, { cells, held: false });
  }

  cellsOf(space: SpaceModel, v: number): Int16Array {
    return this.frames.get(this.pageOf(space, indexOf(v))!.frame)!.cells;
  }

  // Mapping

  map(space: SpaceModel, mode: number, v: number, frame: number, flags: number): Code {
    if (!isAddress(v)) return "INVALID_ADDRESS";
    if (v % pageTrytes !== 0) return "INVALID_ALIGNMENT";
    const index = indexOf(v);
    const user = flags & (flagsOf.USER | flagsOf.SUPERVISOR | flagsOf.KERNEL_ONLY);
    const isKernelPage = index < firstUserPage;
    if (flags > 255 || ![0, flagsOf.USER, flagsOf.SUPERVISOR, flagsOf.KERNEL_ONLY].includes(user as 0))
      return "INVALID_ARGUMENT";
    if (user === flagsOf.USER && isKernelPage) return "INVALID_ARGUMENT";
    if ((flags & 6) === 6) return "PERMISSION_DENIED";
    const isGlobal = (flags & flagsOf.GLOBAL) !== 0;
    const trit: Trit = user === flagsOf.USER ? 1 : user === flagsOf.KERNEL_ONLY ? -1 : 0;
    if (mode > 1 && (isKernelPage || isGlobal)) return "PERMISSION_DENIED";
    if (mode > 0 && mode > trit + 2) return "PERMISSION_DENIED";
    if (!Number.isInteger(frame) || frame < 0) return "INVALID_ADDRESS";
    const large = (flags & flagsOf.LARGE) !== 0;
    if (large && (largeStart(index) !== index || frame % 3 !== 0)) return "INVALID_ALIGNMENT";
    const indices = Array.from({ length: large ? 3 : 1 }, (_, i) => index + i);
    if (indices.some((each) => each >= pageCount)) return "INVALID_ADDRESS";
    for (const [i, each] of indices.entries()) {
      if (!this.frames.has(frame + i)) return "INVALID_ADDRESS";
      const others = isGlobal ? [...this.spaces.values()] : [space];
      if (others.some((other) => this.isTaken(other, each))) return "ALREADY_MAPPED";
    }
    const writable: Trit = (flags & flagsOf.WRITABLE) !== 0 ? 1 : (flags & flagsOf.EXECUTE) !== 0 ? -1 : 0;
    const pages = isGlobal ? this.globals : space.pages;
    for (const [i, each] of indices.entries())
      pages.set(each, { frame: frame + i, writable, user: trit, shared: false, large });
    return "OK";
  }

  isTaken(space: SpaceModel, index: number): boolean {
    return this.pageOf(space, index) !== undefined || this.areaOf(space, index) !== undefined;
  }

  /** The frame, or why not. */
  unmap(space: SpaceModel, mode: number, v: number): Code | number {
    if (!isAddress(v)) return "INVALID_ADDRESS";
    const index = indexOf(v);
    if (mode > 1 && index < firstUserPage) return "PERMISSION_DENIED";
    const pages = space.pages.has(index) ? space.pages : this.globals;
    const page = pages.get(index);
    if (page === undefined) return "ADDRESS_NOT_MAPPED";
    if (mode > 0 && mode > page.user + 2) return "PERMISSION_DENIED";
    if (mode > 1 && pages === this.globals) return "PERMISSION_DENIED";
    const first = page.large ? largeStart(index) : index;
    const frame = pages.get(first)!.frame;
    for (let each = first; each < first + (page.large ? 3 : 1); each++) {
      const gone = pages.get(each)!.frame;
      pages.delete(each);
      if (this.mappingsOf(gone) === 0) this.frames.get(gone)!.held = true;
    }
    this.#cutAreas(space, index, index + 1);
    return frame;
  }

  // Ranges

  mapRegion(space: SpaceModel, mode: number, start: number, trytes: number, flags: number): Code {
    const range = this.#range(mode, start, trytes);
    if (typeof range === "string") return range;
    const code = verifyMapping(flags, 15);
    if (code !== "OK") return code;
    const [first, end] = range;
    const isTaken =
      [...space.pages.keys(), ...this.globals.keys()].some((index) => index >= first && index < end) ||
      space.areas.some((area) => area.first < end && area.end > first);
    if (isTaken) return "ALREADY_MAPPED";
    space.areas.push({ first, end, flags: flags | mapping.READ, lowest: end });
    tidy(space);
    return "OK";
  }

  unmapRegion(space: SpaceModel, mode: number, start: number, trytes: number): Code {
    const range = this.#range(mode, start, trytes);
    if (typeof range === "string") return range;
    const [first, end] = range;
    const inside = [...space.pages.keys()].filter((index) => index >= first && index < end);
    const areas = space.areas.filter((area) => area.first < end && area.end > first);
    if (inside.length === 0 && areas.length === 0) return "ADDRESS_NOT_MAPPED";
    const code = this.#verifyChange(space.pages, first, end, mode);
    if (code !== "OK") return code;
    for (const index of inside) {
      const { frame } = space.pages.get(index)!;
      space.pages.delete(index);
      this.#dropIfFree(frame);
    }
    this.#cutAreas(space, first, end);
    return "OK";
  }

  protect(space: SpaceModel, mode: number, start: number, trytes: number, flags: number): Code {
    const range = this.#range(mode, start, trytes);
    if (typeof range === "string") return range;
    const code = verifyMapping(flags, 7);
    if (code !== "OK") return code;
    const [first, end] = range;
    const mapped = new Set(
      [...space.pages.keys(), ...this.globals.keys()].filter((i) => i >= first && i < end),
    );
    let known = [...mapped].filter((index) => this.areaOf(space, index) === undefined).length;
    for (const area of space.areas)
      known += Math.max(0, Math.min(area.end, end) - Math.max(area.first, first));
    if (known !== end - first) return "ADDRESS_NOT_MAPPED";
    for (const pages of [space.pages, this.globals]) {
      const refused = this.#verifyChange(pages, first, end, mode);
      if (refused !== "OK") return refused;
    }
    for (const index of mapped) this.pageOf(space, index)!.writable = writableOf(flags);
    splitAreas(space, first);
    splitAreas(space, end);
    for (const area of space.areas)
      if (area.first >= first && area.end <= end)
        area.flags = flags | mapping.READ | (area.flags & mapping.STACK);
    tidy(space);
    return "OK";
  }

  #range(mode: number, start: number, trytes: number): Code | [number, number] {
    if (!isAddress(start)) return "INVALID_ADDRESS";
    if (!(trytes >= 1) || Math.floor(trytes) !== trytes) return "INVALID_ARGUMENT";
    if (start % pageTrytes !== 0) return "INVALID_ALIGNMENT";
    const first = indexOf(start);
    const end = first + Math.ceil(trytes / pageTrytes);
    if (end > pageCount) return "INVALID_ADDRESS";
    return mode > 1 && first < firstUserPage ? "PERMISSION_DENIED" : [first, end];
  }

  #verifyChange(pages: Map<number, Page>, first: number, end: number, mode: number): Code {
    for (const border of [first, end])
      if (pages.get(border)?.large === true && largeStart(border) !== border) return "INVALID_ALIGNMENT";
    for (const [index, page] of pages)
      if (index >= first && index < end && mode > 0 && mode > page.user + 2) return "PERMISSION_DENIED";
    return "OK";
  }

  #cutAreas(space: SpaceModel, first: number, end: number): void {
    splitAreas(space, first);
    splitAreas(space, end);
    space.areas = space.areas.filter((area) => area.end <= first || area.first >= end);
  }

  #dropIfFree(frame: number): void {
    if (!this.frames.get(frame)!.held && this.mappingsOf(frame) === 0) this.frames.delete(frame);
  }

  // Spaces

  fork(from: SpaceModel): SpaceModel {
    const child: SpaceModel = { pages: new Map(), areas: from.areas.map((area) => ({ ...area })) };
    for (const [index, page] of from.pages) {
      page.shared = true;
      child.pages.set(index, { ...page });
    }
    return child;
  }

  drop(name: string): void {
    const { pages } = this.space(name);
    this.spaces.delete(name);
    for (const { frame } of pages.values()) if (this.frames.has(frame)) this.#dropIfFree(frame);
  }
}

function verifyMapping(flags: number, allowed: number): Code {
  if ((flags & 7) === 0 || (flags & ~allowed) !== 0) return "INVALID_ARGUMENT";
  return (flags & 6) === 6 ? "PERMISSION_DENIED" : "OK";
}

/** No area reaches over the beginning of this page. */
function splitAreas(space: SpaceModel, index: number): void {
  const area = space.areas.find(({ first, end }) => first < index && index < end);
  if (area === undefined) return;
  space.areas.push({ ...area, first: index, lowest: Math.max(area.lowest, index) });
  area.end = index;
  area.lowest = Math.min(area.lowest, index);
  space.areas.sort((a, b) => a.first - b.first);
}

/** Sorted, and neighbours that say the same are one. */
function tidy(space: SpaceModel): void {
  space.areas.sort((a, b) => a.first - b.first);
  const merged: Area[] = [];
  for (const area of space.areas) {
    const last = merged.at(-1);
    const isSame =
      last?.end === area.first && last.flags === area.flags && (area.flags & mapping.STACK) === 0;
    if (isSame) {
      last.end = area.end;
      last.lowest = area.end;
    } else merged.push(area);
  }
  space.areas = merged;
}
