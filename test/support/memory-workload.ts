// Random operations on an open memory and on the plain state that it should be equal to. What is done about commits is the owner's business.

import assert from "node:assert/strict";
import { type Memory, PerdureError, type Region, struct, type View } from "../../bindings/index.js";
import { expectCode } from "./expect-code.js";
import { MemoryState } from "./memory-state.js";
import type { Random } from "./random.js";
import { changeTable, openTable, type TestTable } from "./table-workload.js";

const CLUSTER = 40_960;

/** Sizes of every class and of runs, and what lies next to their borders. */
const SIZES = [
  0, 1, 15, 16, 17, 32, 48, 100, 127, 128, 129, 160, 192, 224, 256, 300, 512, 640, 1000, 1024, 1500, 2048,
  3000, 4095, 4096, 4097, 5000, 7168, 8192, 10_000, 12_288, 14_336, 16_384, 16_385, 20_480, 30_000, 65_536,
  100_000, 200_000,
];
const LENGTHS = [
  0,
  1,
  100,
  4096,
  5000,
  40_959,
  40_960,
  40_961,
  100_000,
  400_000,
  1_000_000,
  2 ** 33,
  2 ** 41 + 5,
];
/** Where regions are written most: so that what one has left behind would be seen by the next. */
const SPOTS = [0, 4090, 40_950, 40_960, 81_919, 200_000, 399_990, 2 ** 32 + 7, 2 ** 41];

const record = struct({
  id: "u32",
  rank: "f64",
  name: "char[20]",
  list: "u16[5]",
  flag: "bool",
  link: "ptr",
  big: "u64",
});

interface OpenView {
  readonly view: View<Uint8Array> | View<Float64Array>;
  readonly block: number;
  readonly offset: number;
  readonly bytes: number;
  readonly writable: boolean;
}

export interface WorkloadOptions {
  /** Most live blocks, and most bytes of one. */
  blocks: number;
  blockBytes: number;
  /** Most bytes that are written to a region at once. */
  writeBytes: number;
  regions: readonly string[];
  tables: readonly string[];
  /** Most rows of a table. */
  rows: number;
  /** One operation in so many is on a table. */
  tablesOneIn: number;
  views: boolean;
  /** Memory may have to grow, so that what needs more is refused while a writable view is open. */
  tight: boolean;
}

export class MemoryWorkload {
  state = new MemoryState();
  views: OpenView[] = [];
  /** Handles that are kept, as programs do. */
  private handles = new Map<string, Region[]>();
  private readonly opened = new Map<string, TestTable>();
  private names = 0;

  constructor(
    public memory: Memory,
    readonly random: Random,
    readonly options: WorkloadOptions,
  ) {}

  /** Goes on with another handle of the memory, or with this one as it was committed. */
  continueWith(state: MemoryState, memory = this.memory): void {
    this.state = state.copy();
    if (memory !== this.memory) {
      this.memory = memory;
      this.views = [];
      this.handles.clear();
      this.opened.clear();
      return;
    }
    // After a rollback: a view is open as long as there is a block where it was.
    this.views = this.views.flatMap((open) => {
      const address = open.block + open.offset;
      const block = this.state.blockOf(address, open.bytes);
      if (block !== undefined) return [{ ...open, block, offset: address - block }];
      // What lives there now may be something that only the engine knows of.
      open.view.close();
      return [];
    });
  }

  /** One random operation. */
  step(): void {
    const { random, options } = this;
    const choice = random.below(100);
    if (options.tables.length > 0 && random.oneIn(options.tablesOneIn)) this.changeTables();
    else if (choice < 20) this.alloc();
    else if (choice < 27) this.realloc();
    else if (choice < 36) this.release();
    else if (choice < 58) this.writeBlock();
    else if (choice < 66) this.changeRoots();
    else if (choice < 82) this.writeRegion();
    else if (choice < 88) this.changeRegions();
    else if (options.views && choice < 96) this.useViews();
    else this.readBack();
  }

  closeViews(): void {
    for (const { view } of this.views.splice(0)) view.close();
  }

  /** Every view shows what the state has. */
  verifyViews(): void {
    for (const { view, block, offset, bytes } of this.views) {
      const { array } = view;
      const shown = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      const expected = this.state.blocks.get(block)!.subarray(offset, offset + bytes);
      assert.equal(Buffer.compare(shown, expected), 0, `a view at ${block + offset} shows something else`);
    }
  }

  private alloc(): void {
    const { random, state, options } = this;
    if (state.blocks.size >= options.blocks) {
      this.release();
      return;
    }
    const size = Math.min(random.oneIn(3) ? random.below(600) : random.pick(SIZES), options.blockBytes);
    const align = random.oneIn(3) ? 1 << random.below(13) : 1;
    const zero = !random.oneIn(4);
    const p = this.refusable(() =>
      this.memory.alloc(size, random.oneIn(2) && align === 1 && zero ? undefined : { align, zero }),
    );
    if (p === null) return;
    assert.equal(p.address % align, 0);
    const usable = this.memory.sizeOf(p);
    assert.ok(usable >= size && !state.blocks.has(p.address));
    if (zero) state.blocks.set(p.address, new Uint8Array(usable));
    else {
      const bytes = random.bytes(usable);
      p.write(bytes);
      state.blocks.set(p.address, bytes);
    }
    if (random.oneIn(2) && usable > 0) this.writeAt(p.address);
  }

  private realloc(): void {
    const { random, state, options } = this;
    const block = this.pickBlock();
    if (block === null) return;
    const size = Math.min(random.pick(SIZES), options.blockBytes);
    const p = this.memory.ptr(block);
    if (this.isViewed(block)) {
      expectCode("BUSY", () => this.memory.realloc(p, size));
      return;
    }
    const moved = this.refusable(() => this.memory.realloc(p, size));
    if (moved === null) return;
    const usable = this.memory.sizeOf(moved);
    assert.ok(usable >= size);
    const before = state.blocks.get(block)!;
    const after = new Uint8Array(usable);
    after.set(before.subarray(0, usable));
    state.blocks.delete(block);
    state.blocks.set(moved.address, after);
    this.dropRootsOf(block);
  }

  private release(): void {
    const { random, state } = this;
    const block = this.pickBlock();
    if (block === null) return;
    const p = this.memory.ptr(block);
    if (this.isViewed(block)) {
      expectCode("BUSY", () => this.memory.release(p));
      return;
    }
    this.memory.release(p);
    state.blocks.delete(block);
    this.dropRootsOf(block);
    if (!random.oneIn(4)) return;
    expectCode("DOUBLE_FREE", () => this.memory.release(p));
    expectCode("INVALID_ADDRESS", () => this.memory.sizeOf(p));
  }

  /** Roots lead to live blocks only: those of a block that goes are deleted or, here, never made for it. */
  private dropRootsOf(block: number): void {
    const { state } = this;
    for (const [name, address] of [...state.roots]) {
      if (address !== block) continue;
      assert.equal(this.memory.roots.delete(name), true);
      state.roots.delete(name);
    }
  }

  private writeBlock(): void {
    const block = this.pickBlock();
    if (block !== null) this.writeAt(block);
  }

  private writeAt(block: number): void {
    const { random, state, memory } = this;
    const size = state.blocks.get(block)!.length;
    if (random.oneIn(3)) {
      const offset = random.below(size);
      const bytes = random.bytes(1 + random.below(Math.min(size - offset, 20_000)));
      memory.write(block + offset, bytes);
      state.write(block, offset, bytes);
      return;
    }
    if (size >= record.size && random.oneIn(4)) {
      this.writeRecord(block);
      return;
    }
    const type = random.pick(TYPES);
    if (size < type.bytes) return;
    // Often across the border of two blocks.
    const border = 4096 - (block % 4096) - 1 - random.below(8);
    const offset =
      border > 0 && border + type.bytes <= size && random.oneIn(3)
        ? border
        : random.below(size - type.bytes + 1);
    const bytes = random.bytes(8);
    const value = type.from(bytes);
    type.set(memory, block + offset, value);
    state.write(block, offset, bytes.subarray(0, type.bytes));
    assert.equal(type.get(memory, block + offset), value);
  }

  private writeRecord(block: number): void {
    const { random, state, memory } = this;
    const fields = record.at(memory, memory.ptr(block));
    const { offsets } = record;
    const bytes = new Uint8Array(20);
    const data = new DataView(bytes.buffer);
    const put = (offset: number, length: number) => state.write(block, offset, bytes.subarray(0, length));
    switch (random.below(6)) {
      case 0:
        fields.id = random.bits(32);
        data.setUint32(0, fields.id, true);
        put(offsets.id, 4);
        return;
      case 1:
        fields.rank = random.bits(32) / 7;
        data.setFloat64(0, fields.rank, true);
        put(offsets.rank, 8);
        return;
      case 2: {
        const text = "an é name".slice(0, random.below(10));
        fields.name = text;
        assert.equal(fields.name, text);
        new TextEncoder().encodeInto(text, bytes);
        put(offsets.name, 20);
        return;
      }
      case 3: {
        const index = random.below(5);
        fields.list.set(index, random.bits(16));
        data.setUint16(0, fields.list.get(index), true);
        put(offsets.list + 2 * index, 2);
        return;
      }
      case 4: {
        const target = random.oneIn(4) ? null : memory.ptr(this.pickBlock()!);
        fields.link = target;
        assert.ok(fields.link === null ? target === null : fields.link.equals(target));
        data.setBigUint64(0, BigInt(target?.address ?? 0), true);
        put(offsets.link, 8);
        return;
      }
      default:
        fields.big = 2n ** 64n - 1n - BigInt(random.bits(32));
        data.setBigUint64(0, fields.big, true);
        put(offsets.big, 8);
        return;
    }
  }

  private changeRoots(): void {
    const { random, state, memory } = this;
    const names = [...state.roots.keys()];
    if (names.length > 0 && random.oneIn(3)) {
      const name = random.pick(names);
      assert.equal(memory.roots.delete(name), true);
      assert.equal(memory.roots.delete(name), false);
      state.roots.delete(name);
      return;
    }
    const block = this.pickBlock();
    if (block === null) return;
    const again = names.length > 0 && random.oneIn(3);
    const name = again
      ? random.pick(names)
      : `n${this.names++}${"é".repeat(random.oneIn(8) ? random.below(400) : 0)}`;
    if (this.refusable(() => memory.roots.set(name, memory.ptr(block))) !== null)
      state.roots.set(name, block);
  }

  private writeRegion(): void {
    const { random, state, options } = this;
    const name = this.pickRegion();
    if (name === null) {
      this.changeRegions();
      return;
    }
    const region = this.handle(name);
    const { length } = state.regions.get(name)!;
    if (length === 0) return;
    const spot = random.pick(SPOTS);
    const offset = spot < length && random.oneIn(2) ? spot : random.below(Math.min(length, 2 ** 32));
    if (random.oneIn(2)) {
      const bytes = random.bytes(1 + random.below(Math.min(length - offset, options.writeBytes)));
      region.write(offset, bytes);
      state.writeRegion(name, offset, bytes);
      return;
    }
    const type = random.pick(TYPES);
    if (offset + type.bytes > length) return;
    const bytes = random.bytes(8);
    const value = type.from(bytes);
    type.set(region, offset, value);
    state.writeRegion(name, offset, bytes.subarray(0, type.bytes));
    assert.equal(type.get(region, offset), value);
  }

  private changeRegions(): void {
    const { random, state, memory, options } = this;
    const name = random.pick(options.regions);
    const length = random.oneIn(3) ? random.below(3 * CLUSTER) : random.pick(LENGTHS);
    if (!state.regions.has(name)) {
      const region = this.refusable(() => memory.region(name, length));
      if (region === null) return;
      assert.equal(region.length, length);
      state.regions.set(name, { length, pages: new Map() });
      this.handles.set(name, [region]);
    } else if (random.oneIn(4)) {
      const handles = this.handles.get(name) ?? [];
      this.handle(name).drop();
      state.regions.delete(name);
      for (const handle of handles) expectCode("NOT_FOUND", () => handle.length);
      this.handles.delete(name);
    } else if (this.refusable(() => this.handle(name).resize(length)) !== null) {
      state.resizeRegion(name, length);
    }
  }

  private changeTables(): void {
    const { random, state, memory, options } = this;
    const name = random.pick(options.tables);
    if (!state.tables.has(name)) {
      this.opened.delete(name);
      if (this.refusable(() => openTable(memory, name)) !== null) state.tables.set(name, new Map());
      return;
    }
    // The one that was kept, or another one.
    const table = (random.oneIn(4) ? undefined : this.opened.get(name)) ?? openTable(memory, name);
    this.opened.set(name, table);
    if (random.oneIn(60)) {
      table.drop();
      state.tables.delete(name);
      expectCode("NOT_FOUND", () => table.count);
      return;
    }
    const before = state.tables.get(name)!;
    const after = this.refusable(() =>
      changeTable(table, before, random, { rows: options.rows, valueBytes: options.writeBytes }),
    );
    if (after !== null) state.tables.set(name, after);
  }

  private useViews(): void {
    const { random, state, memory } = this;
    if (this.views.length > 0 && random.oneIn(3)) {
      const [open] = this.views.splice(random.below(this.views.length), 1);
      open.view.close();
      expectCode("CLOSED", () => open.view.array);
      return;
    }
    if (this.views.length > 0 && random.oneIn(2)) {
      const { view, block, offset, bytes, writable } = random.pick(this.views);
      if (!writable || bytes < 8) return;
      const { array } = view;
      const at = random.below(bytes);
      const part = random.bytes(1 + random.below(Math.min(bytes - at, 9000)));
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(part, at);
      state.write(block, offset + at, part);
      return;
    }
    const block = this.pickBlock();
    if (block === null || this.views.length > 5) return;
    const size = state.blocks.get(block)!.length;
    const offset = 8 * random.below(Math.ceil(size / 8));
    const most = Math.floor((size - offset) / 8);
    if (most === 0) return;
    const length = 1 + random.below(most);
    const writable = !random.oneIn(3);
    const p = memory.ptr(block).add(offset);
    const view = random.oneIn(2)
      ? memory.view(p, Float64Array, length, { writable })
      : memory.view(p, Uint8Array, 8 * length, { writable });
    this.views.push({ view, block, offset, bytes: 8 * length, writable });
  }

  private readBack(): void {
    const { random, state, memory } = this;
    const name = this.pickRegion();
    if (name !== null && random.oneIn(2)) {
      const { length } = state.regions.get(name)!;
      const offset = Math.min(random.pick(SPOTS), length);
      const count = random.below(Math.min(length - offset, 100_000) + 1);
      const found = this.handle(name).read(offset, count);
      assert.equal(
        Buffer.compare(found, state.readRegion(name, offset, count)),
        0,
        `region ${name} at ${offset}`,
      );
      expectCode("INVALID_ADDRESS", () => this.handle(name).read(length, 1));
      return;
    }
    const block = this.pickBlock();
    if (block === null) return;
    const bytes = state.blocks.get(block)!;
    const at = random.below(bytes.length);
    assert.equal(memory.getU8(block + at), bytes[at]);
  }

  /** A handle of the region, one that is kept or a new one. */
  private handle(name: string): Region {
    const kept = this.handles.get(name) ?? [];
    if (kept.length > 2 || (kept.length > 0 && this.random.oneIn(2))) return this.random.pick(kept);
    const handle = this.memory.region(name);
    this.handles.set(name, [...kept, handle]);
    return handle;
  }

  private pickBlock(): number | null {
    const { blocks } = this.state;
    return blocks.size === 0 ? null : this.random.pick([...blocks.keys()]);
  }

  private pickRegion(): string | null {
    const { regions } = this.state;
    return regions.size === 0 ? null : this.random.pick([...regions.keys()]);
  }

  private isViewed(block: number): boolean {
    return this.views.some((open) => open.block === block);
  }

  /** Null when memory would have had to grow and could not, because of a view. */
  private refusable<T>(body: () => T): T | null {
    try {
      return body();
    } catch (error) {
      const { tight } = this.options;
      const isRefused = error instanceof PerdureError && error.code === "OUT_OF_MEMORY";
      if (isRefused && tight && this.views.some(({ writable }) => writable)) return null;
      throw error;
    }
  }
}

interface Typed {
  getU8(at: number): number;
  setU8(at: number, value: number): void;
  getI16(at: number): number;
  setI16(at: number, value: number): void;
  getU32(at: number): number;
  setU32(at: number, value: number): void;
  getI64(at: number): bigint;
  setI64(at: number, value: bigint): void;
  getF32(at: number): number;
  setF32(at: number, value: number): void;
  getF64(at: number): number;
  setF64(at: number, value: number): void;
}

interface Type {
  bytes: number;
  /** Makes the bytes those of a value that is equal to itself, and returns it. */
  from(bytes: Uint8Array): number | bigint;
  get(from: Typed, at: number): number | bigint;
  set(to: Typed, at: number, value: number | bigint): void;
}

const viewOf = ({ buffer }: Uint8Array) => new DataView(buffer);

const TYPES: readonly Type[] = [
  {
    bytes: 1,
    from: (bytes) => bytes[0],
    get: (m, at) => m.getU8(at),
    set: (m, at, value) => m.setU8(at, value as number),
  },
  {
    bytes: 2,
    from: (bytes) => viewOf(bytes).getInt16(0, true),
    get: (m, at) => m.getI16(at),
    set: (m, at, value) => m.setI16(at, value as number),
  },
  {
    bytes: 4,
    from: (bytes) => viewOf(bytes).getUint32(0, true),
    get: (m, at) => m.getU32(at),
    set: (m, at, value) => m.setU32(at, value as number),
  },
  {
    bytes: 8,
    from: (bytes) => viewOf(bytes).getBigInt64(0, true),
    get: (m, at) => m.getI64(at),
    set: (m, at, value) => m.setI64(at, value as bigint),
  },
  {
    bytes: 4,
    from(bytes) {
      bytes[3] &= 0x3f;
      return viewOf(bytes).getFloat32(0, true);
    },
    get: (m, at) => m.getF32(at),
    set: (m, at, value) => m.setF32(at, value as number),
  },
  {
    bytes: 8,
    from(bytes) {
      bytes[7] &= 0x3f;
      return viewOf(bytes).getFloat64(0, true);
    },
    get: (m, at) => m.getF64(at),
    set: (m, at, value) => m.setF64(at, value as number),
  },
];
