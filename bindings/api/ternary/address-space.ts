/**
 * Address spaces: a page table, regions of promised pages, and accesses through both. docs/ENGINE.md §14 and §16.
 */
import { PerdureError } from "../../base/errors.js";
import { explain } from "../../engine/problems.js";
import { isVirtual, PAGE_MAX, PAGE_TRYTES } from "../../trit/address.js";
import type { MappingFlags } from "./enums.js";
import type { Machine } from "./machine.js";
import { flagsNumber, PageTable } from "./page-table.js";

import type { SpaceRegistry } from "./space-registry.js";
import { noTryte, verifiedTrytes } from "./trytes.js";
import { toNumber, type VirtualAddress } from "./virtual-address.js";

/** Promised pages. */
export interface SpaceRegion {
  /** Address of its first tryte. */
  readonly start: number;
  readonly trytes: number;
  readonly flags: MappingFlags;
  /** Of a stack, the lowest page that was ever touched; its end when none was. */
  readonly lowest: number;
}

export interface Sweep {
  /** Pages that were accessed since the last sweep. */
  accessed: number;
  /** Pages that were not, but in the period before it. */
  before: number;
  /** All other mapped pages. */
  rest: number;
}

/** Of the record of a space, and of an area. */
const SPACE = { areas: 12, areaCount: 16, bytes: 64 } as const;
const AREA = { first: 0, end: 8, flags: 16, lowest: 24, bytes: 32 } as const;
const READ = 0;
const WRITE = 1;
const TRYTES_MAX = 2 ** 31;

export class AddressSpace extends PageTable {
  private readonly noTryte: number;

  /** Made by `TernaryMemory.space`. @internal */
  constructor(
    machine: Machine,
    private readonly spaces: SpaceRegistry<AddressSpace>,
    name: string,
  ) {
    super(machine, spaces, name);
    this.noTryte = this.functions.NO_TRYTE.value as number;
  }

  /** The page table of this space: the space itself, without the rest. */
  get table(): PageTable {
    return this;
  }

  // One tryte

  /**
   * The tryte at `v`; of a cell that was written as bytes, whatever number they make. A promised page is touched, except in a memory that may only be
   * read, where it is zeros. ADDRESS_NOT_MAPPED, PERMISSION_DENIED, OUT_OF_MEMORY when there is no frame for a promised page.
   */
  loadTryte(v: VirtualAddress): number {
    const at = toNumber(v);
    const context = this.contextNow();
    let answer: number;
    try {
      answer = this.functions.loadTryte(context, at);
    } catch (cause) {
      throw explain(cause);
    }
    return answer < this.noTryte ? answer : this.loadAnyhow(at, answer);
  }

  /** INVALID_ARGUMENT when the value is no tryte, −364 … 364; otherwise as `loadTryte`. */
  storeTryte(v: VirtualAddress, value: number): void {
    const at = toNumber(v);
    const { engine } = this;
    if ((value | 0) !== value) throw noTryte(value);
    if (engine.halt !== null || engine.readOnly) engine.ensureWritable();
    const context = this.contextNow();
    let code: number;
    try {
      code = this.functions.storeTryte(context, at, value);
    } catch (cause) {
      throw explain(cause);
    }
    if (code !== 0) this.storeAnyhow(at, value, code);
  }

  private loadAnyhow(at: number, answer: number): number {
    const code = answer - this.noTryte;
    if (code !== this.engine.core.constants.MUST_TOUCH) throw this.refusal(code, () => `loadTryte(${at})`);
    if (this.engine.readOnly) return 0;
    this.touch(at, READ);
    return this.loadTryte(at);
  }

  private storeAnyhow(at: number, value: number, code: number): void {
    if (code !== this.engine.core.constants.MUST_TOUCH) {
      if (Math.abs(value) > 364) throw noTryte(value);
      throw this.refusal(code, () => `storeTryte(${at})`);
    }
    this.touch(at, WRITE);
    this.storeTryte(at, value);
  }

  // Many

  /** A copy of `trytes` trytes from `v` on. Promised pages are zeros and stay promised. As `loadTryte`. */
  read(v: VirtualAddress, trytes: number): Int16Array {
    const start = toNumber(v);
    verifyCount(trytes);
    this.verifyPages(start, trytes, READ);
    const into = new Int16Array(trytes);
    this.eachPart(start, trytes, false, (part, done) => into.set(part, done));
    return into;
  }

  /** INVALID_ARGUMENT when one is no tryte. Refused, it has written nothing. As `loadTryte`. */
  write(v: VirtualAddress, trytes: ArrayLike<number>): void {
    this.put(toNumber(v), verifiedTrytes(trytes));
  }

  /** `length` bytes from the cell at `v` on, two of each, the lower one first. Promised pages are zeros. As `loadTryte`. */
  readBytes(v: VirtualAddress, length: number): Uint8Array {
    verifyCount(length);
    const cells = this.read(v, Math.ceil(length / 2));
    return new Uint8Array(cells.buffer, 0, length);
  }

  /**
   * Puts bytes into the cells from `v` on, two into each, the lower one first; of the last cell, if half of it is meant, the other half stays. Any bytes: what
   * they make need not be trytes. Refused, it has written nothing. As `loadTryte`.
   */
  writeBytes(v: VirtualAddress, bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array))
      throw new PerdureError("INVALID_ARGUMENT", "writeBytes takes a Uint8Array");
    const start = toNumber(v);
    const cells = new Int16Array(Math.ceil(bytes.length / 2));
    const raw = new Uint8Array(cells.buffer);
    raw.set(bytes);
    if (bytes.length % 2 === 1) raw[bytes.length] = this.readBytes(start + cells.length - 1, 2)[1]!;
    this.put(start, cells);
  }

  private put(start: number, cells: Int16Array): void {
    const { engine } = this;
    engine.ensureWritable();
    this.verifyPages(start, cells.length, WRITE);
    let isBegun = false;
    try {
      this.eachPart(start, cells.length, true, (part, done) => {
        isBegun = true;
        part.set(cells.subarray(done, done + part.length));
      });
    } catch (error) {
      if (!isBegun) throw error;
      engine.changeAll(() => {
        throw error;
      });
    }
  }

  /** All pages of a range may be accessed so; those to be written are made ready for it. */
  private verifyPages(start: number, trytes: number, access: number): void {
    const { INVALID_ADDRESS, MUST_TOUCH } = this.engine.core.constants;
    if (!isVirtual(start)) throw this.refusal(INVALID_ADDRESS!, () => `${trytes} trytes at ${start}`);
    for (let at = start; at < start + trytes; at = nextPage(at)) {
      const answer = this.look(at, access);
      if (answer >= 0) continue;
      if (answer !== -MUST_TOUCH!)
        throw this.refusal(-answer, () => `${trytes} trytes at ${start}, at ${at}`);
      if (access === WRITE) this.touch(at, access);
    }
  }

  /** Calls `visit` with the cells of each page, in ascending order, as far as it has a frame; they are good for that call. */
  private eachPart(
    start: number,
    trytes: number,
    write: boolean,
    visit: (part: Int16Array, done: number) => void,
  ): void {
    const { engine, functions } = this;
    const { core } = engine;
    const context = this.contextNow();
    for (let at = start; at < start + trytes; at = nextPage(at)) {
      const cells = engine.ask(() => functions.cellsAt(context, at, write ? 1 : 0));
      if (cells < core.constants.ADDRESS_MIN) {
        if (cells !== core.constants.MUST_TOUCH || write) throw this.refusal(cells, () => `cells at ${at}`);
        continue;
      }
      const count = Math.min(nextPage(at), start + trytes) - at;
      visit(new Int16Array(core.bytes.buffer, cells, count), at - start);
    }
  }

  // Regions

  /**
   * Promises pages from `start` on, a multiple of 729, for so many trytes, rounded up to pages: each gets a frame of zeros when it is touched, and none costs
   * anything before. Those from 0 on are for all modes, those below for the kernel and above. READ is included in WRITE and in EXECUTE; both together are
   * refused. A STACK may be touched anywhere. ALREADY_MAPPED, INVALID_ALIGNMENT, INVALID_ADDRESS, PERMISSION_DENIED.
   */
  mapRegion(start: VirtualAddress, trytes: number, flags: MappingFlags): void {
    const at = toNumber(start);
    const { functions } = this;
    const context = this.contextNow();
    const code = this.engine.mutate(() => functions.mapRegion(context, at, trytes, flagsNumber(flags)));
    if (code !== 0) throw this.refusal(code, () => `mapRegion(${at}, ${trytes}, ${flags})`);
  }

  /** Takes away all that the space itself has from `start` on. Frames that nobody has allocated or mapped besides become free. ADDRESS_NOT_MAPPED when there is nothing. */
  unmapRegion(start: VirtualAddress, trytes: number): void {
    const at = toNumber(start);
    const { functions } = this;
    const context = this.contextNow();
    const code = this.engine.mutate(() => functions.unmapRegion(context, at, trytes));
    if (code !== 0) throw this.refusal(code, () => `unmapRegion(${at}, ${trytes})`);
  }

  /** Changes what may be done with pages, all of which are mapped or promised, to READ, WRITE or EXECUTE. ADDRESS_NOT_MAPPED, PERMISSION_DENIED. */
  protect(start: VirtualAddress, trytes: number, flags: MappingFlags): void {
    const at = toNumber(start);
    const { functions } = this;
    const context = this.contextNow();
    const code = this.engine.mutate(() => functions.protect(context, at, trytes, flagsNumber(flags)));
    if (code !== 0) throw this.refusal(code, () => `protect(${at}, ${trytes}, ${flags})`);
  }

  /** In ascending order. Neighbours with the same flags are one, unless they are stacks. */
  regions(): SpaceRegion[] {
    const { engine } = this;
    const { core } = engine;
    const record = this.recordNow();
    engine.ensure(record, SPACE.bytes, false);
    const areas = core.data.getUint32(record + SPACE.areas, true);
    const count = core.data.getUint32(record + SPACE.areaCount, true);
    engine.ensure(areas, AREA.bytes * count, false);
    return Array.from({ length: count }, (_, i) => {
      const page = (offset: number) =>
        Number(core.data.getBigUint64(areas + AREA.bytes * i + offset, true)) - PAGE_MAX;
      const [first, end, lowest] = [page(AREA.first), page(AREA.end), page(AREA.lowest)];
      const flags = core.data.getUint32(areas + AREA.bytes * i + AREA.flags, true) as MappingFlags;
      return {
        start: PAGE_TRYTES * first,
        trytes: PAGE_TRYTES * (end - first),
        flags,
        lowest: PAGE_TRYTES * lowest,
      };
    });
  }

  // The space as a whole

  /** The memory's own loads and stores go here from now on. */
  activate(): void {
    this.recordNow();
    this.machine.activate(this);
  }

  /**
   * A space of that name with the same pages and regions. What either writes from now on the other does not see: a page is copied when it is written first, so a
   * fork costs next to nothing. GLOBAL pages stay shared. INVALID_ARGUMENT when there is such a space, OUT_OF_MEMORY.
   */
  fork(name: string): AddressSpace {
    return this.spaces.fork(this.recordNow(), name);
  }

  /** Ends a period of accesses: `accessed` of every page moves on. Answers what it was. */
  sweep(): Sweep {
    const { engine, functions } = this;
    const record = this.recordNow();
    engine.ask(() => {
      functions.sweep(record);
      return 0;
    });
    const { EXCHANGE } = engine.core.constants;
    const [accessed, before, rest] = [0, 8, 16].map((at) =>
      engine.core.data.getFloat64(EXCHANGE + at, true),
    ) as [number, number, number];
    return { accessed, before, rest };
  }
}

const nextPage = (at: number): number => PAGE_TRYTES * (Math.floor(at / PAGE_TRYTES) + 1);

function verifyCount(count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > TRYTES_MAX)
    throw new PerdureError(
      "INVALID_ARGUMENT",
      `a length is a whole number from 0 to ${TRYTES_MAX}, not ${String(count)}`,
    );
}
