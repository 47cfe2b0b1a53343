// What a memory holds, as plain JavaScript: live blocks with their bytes, names, and regions as the pages that were written. States are copied by
// copying maps: no byte array and no region in one is ever changed, only replaced.

import assert from "node:assert/strict";
import type { Memory } from "../../bindings/index.js";
import { type TableState, tableDifference } from "./table-workload.js";

const PAGE = 4096;

export interface RegionState {
  readonly length: number;
  /** By number; a page that is not in it reads as zeros. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

export class MemoryState {
  /** Address → all bytes of the block. */
  readonly blocks: Map<number, Uint8Array>;
  /** Name → address, in the order of insertion. */
  readonly roots: Map<string, number>;
  readonly regions: Map<string, RegionState>;
  readonly tables: Map<string, TableState>;

  constructor(from?: MemoryState) {
    this.blocks = new Map(from?.blocks);
    this.roots = new Map(from?.roots);
    this.regions = new Map(from?.regions);
    this.tables = new Map(from?.tables);
  }

  copy(): MemoryState {
    return new MemoryState(this);
  }

  write(block: number, offset: number, bytes: Uint8Array): void {
    const copy = this.blocks.get(block)!.slice();
    copy.set(bytes, offset);
    this.blocks.set(block, copy);
  }

  /** The block in which all of a range lies. */
  blockOf(address: number, length: number): number | undefined {
    for (const [start, { length: size }] of this.blocks)
      if (start <= address && address < start + size && address + length <= start + size) return start;
    return undefined;
  }

  readRegion(name: string, offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const { pages } = this.regions.get(name)!;
    eachPage(offset, length, (page, within, count, done) => {
      const from = pages.get(page);
      if (from !== undefined) bytes.set(from.subarray(within, within + count), done);
    });
    return bytes;
  }

  writeRegion(name: string, offset: number, bytes: Uint8Array): void {
    const { length, pages } = this.regions.get(name)!;
    const changed = new Map(pages);
    eachPage(offset, bytes.length, (page, within, count, done) => {
      const copy = changed.get(page)?.slice() ?? new Uint8Array(PAGE);
      copy.set(bytes.subarray(done, done + count), within);
      changed.set(page, copy);
    });
    this.regions.set(name, { length, pages: changed });
  }

  resizeRegion(name: string, length: number): void {
    const pages = new Map<number, Uint8Array>();
    for (const [page, bytes] of this.regions.get(name)?.pages ?? []) {
      const left = length - page * PAGE;
      if (left <= 0) continue;
      const kept = bytes.slice();
      if (left < PAGE) kept.fill(0, left);
      pages.set(page, kept);
    }
    this.regions.set(name, { length, pages });
  }
}

function eachPage(
  offset: number,
  length: number,
  visit: (page: number, within: number, count: number, done: number) => void,
): void {
  for (let done = 0; done < length; ) {
    const page = Math.floor((offset + done) / PAGE);
    const within = offset + done - page * PAGE;
    const count = Math.min(PAGE - within, length - done);
    visit(page, within, count, done);
    done += count;
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** What a memory has that is not in this state, or the other way round; null when they are the same. */
export function memoryDifference(memory: Memory, state: MemoryState): string | null {
  const roots = [...memory.roots].map(([name, p]) => [name, p.address]);
  if (JSON.stringify(roots) !== JSON.stringify([...state.roots]))
    return `roots ${JSON.stringify(roots)}, not ${JSON.stringify([...state.roots])}`;
  if (memory.roots.size !== state.roots.size) return `${memory.roots.size} roots`;
  for (const [address, bytes] of state.blocks) {
    const p = memory.ptr(address);
    let size: number;
    try {
      size = memory.sizeOf(p);
    } catch {
      return `${p} is not live, its ${bytes.length} bytes are missing`;
    }
    if (size !== bytes.length) return `${p} has ${size} bytes, not ${bytes.length}`;
    const found = memory.read(address, size);
    if (same(found, bytes)) continue;
    const at = found.findIndex((byte, i) => byte !== bytes[i]);
    return `${p} of ${size} bytes has ${found[at]} at ${at}, not ${bytes[at]}`;
  }
  for (const [name, { length, pages }] of state.regions) {
    let region: ReturnType<Memory["region"]>;
    try {
      region = memory.region(name);
    } catch {
      return `region ${name} is missing`;
    }
    if (region.length !== length) return `region ${name} has ${region.length} bytes, not ${length}`;
    const looked = new Set(pages.keys());
    // Besides what was written: the beginning, the end, and what a window shows beside it.
    for (let page = 0; page < 24; page++) looked.add(page);
    for (const page of pages.keys()) looked.add(page + 1);
    for (let back = 0; back < 3; back++) looked.add(Math.floor((length - 1) / PAGE) - back);
    for (const page of looked) {
      const start = page * PAGE;
      const count = Math.min(PAGE, length - start);
      if (start < 0 || count <= 0) continue;
      const found = region.read(start, count);
      const expected = pages.get(page)?.subarray(0, count) ?? zeros.subarray(0, count);
      if (same(found, expected)) continue;
      const at = found.findIndex((byte, i) => byte !== expected[i]);
      return `region ${name} has ${found[at]} at ${start + at}, not ${expected[at]}`;
    }
  }
  for (const [name, table] of state.tables) {
    const difference = tableDifference(memory, name, table);
    if (difference !== null) return difference;
  }
  return null;
}

const zeros = new Uint8Array(PAGE);

/** They are the same, and the accounting is right: nothing lives that is not in the state. */
export function assertSame(memory: Memory, state: MemoryState, all = false): void {
  assert.equal(memoryDifference(memory, state), null);
  assertSound(memory, state, all);
}

export function assertSound(memory: Memory, state: MemoryState, all = false): void {
  assert.equal(accountingDifference(memory, state, all), null);
}

/** What the accounting says against a memory that has this state, or null: a state that has more as well does not look different otherwise. */
export function accountingDifference(memory: Memory, state: MemoryState, all = false): string | null {
  const { problems, liveBlocks, roots, tables, tableBlocks } = memory.check({ all });
  if (problems.length > 0) return problems.join("; ");
  if (roots !== state.roots.size) return `${roots} roots, not ${state.roots.size}`;
  if (tables !== state.tables.size) return `${tables} tables, not ${state.tables.size}`;
  // Names have an entry each, regions and tables an extent; a registry that ever had a name has a table.
  const known =
    state.blocks.size + state.roots.size + 2 * state.regions.size + 2 * state.tables.size + tableBlocks;
  const rest = liveBlocks - known;
  return rest >= 0 && rest <= 3 ? null : `${rest} blocks live that nobody has`;
}
