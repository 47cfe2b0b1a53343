/**
 * The pages of one table, as the engine keeps them: records by row id, and runs for long values. It knows neither fields nor indexes.
 *
 * Invariant: `record` is the address of the table's record, as of the engine's generation that its owner has looked it up in.
 */
import { PerdureError } from "../../base/errors.js";
import { BLOCK_BYTES, LINEAR_BLOCKS } from "../../core.js";
import { explain } from "../../engine/problems.js";
import type { Engine } from "../../engine.js";
import {
  clustersOf,
  copyWritten,
  discardBlocks,
  discardClusters,
  EXTENT,
  eachPart,
  firstClusterOf,
  takeClusters,
} from "../extents.js";
import { quote } from "./schema.js";

/** Of the table's record: docs/TABLES.md §1. */
export const TABLE = {
  cluster: 0,
  end: 8,
  first: 16,
  tail: 24,
  rows: 32,
  lists: 40,
  extent: 56,
  cursors: 60,
  definition: 64,
  target: 72,
  progress: 80,
  indexes: 88,
  bytes: 256,
} as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Of a run: its first page begins with them. */
const RUN_HEADER = 32;
const FIRST_CLUSTERS = 64;
const SLOTS = 512;

export class TableStorage {
  record = 0;
  /** The page at which `pageFrom` has stopped. */
  page = 0;

  constructor(
    readonly engine: Engine,
    private readonly table: string,
  ) {}

  /** A new extent for a record that is all zeros. */
  static create(engine: Engine, record: number): void {
    const extent = takeClusters(engine, FIRST_CLUSTERS, "a table");
    engine.ensure(record, TABLE.bytes, true);
    const { data } = engine.core;
    data.setBigUint64(record + TABLE.cluster, BigInt(firstClusterOf(engine, extent)), true);
    data.setBigUint64(record + TABLE.end, 1n, true);
    data.setUint32(record + TABLE.extent, extent, true);
  }

  // The record

  /** CORRUPT unless the record can be one. */
  verify(): void {
    const { engine, record } = this;
    const sizeOf = (address: number) => engine.ask(() => engine.core.functions.sizeOf(address));
    if (sizeOf(record) === TABLE.bytes && sizeOf(this.readU32(TABLE.extent)) === EXTENT.bytes) {
      const extent = this.readU32(TABLE.extent);
      const [end, first, tail] = [TABLE.end, TABLE.first, TABLE.tail].map((offset) => this.readU64(offset));
      const room = clustersOf(engine, extent) * engine.core.constants.CLUSTER_BLOCKS;
      const isThere = firstClusterOf(engine, extent) === this.readU64(TABLE.cluster);
      if (isThere && end >= 1 && end <= room && first <= tail && tail < end) return;
    }
    throw new PerdureError("CORRUPT", `table ${quote(this.table)}: its record is damaged`);
  }

  readU64(offset: number): number {
    this.engine.ensure(this.record, TABLE.bytes, false);
    return Number(this.engine.core.data.getBigUint64(this.record + offset, true));
  }

  readU32(offset: number): number {
    this.engine.ensure(this.record, TABLE.bytes, false);
    return this.engine.core.data.getUint32(this.record + offset, true);
  }

  writeU64(offset: number, value: number): void {
    this.engine.ensure(this.record, TABLE.bytes, true);
    this.engine.core.data.setBigUint64(this.record + offset, BigInt(value), true);
  }

  writeU32(offset: number, value: number): void {
    this.engine.ensure(this.record, TABLE.bytes, true);
    this.engine.core.data.setUint32(this.record + offset, value, true);
  }

  /** The id that the next row gets at least, as long as there is a cursor. */
  get end(): number {
    const tail = this.readU64(TABLE.tail);
    return tail === 0 ? SLOTS : tail * SLOTS + this.slotsOf(tail);
  }

  /** Of its pages, as far as their blocks are in something. */
  bytesIn(has: (block: number) => boolean): number {
    const first = this.blockOf(0).absolute;
    const end = this.readU64(TABLE.end);
    let pages = 0;
    for (let page = 1; page < end; page++) if (has(first + page)) pages++;
    return pages * BLOCK_BYTES;
  }

  private slotsOf(page: number): number {
    const { engine } = this;
    const first = this.readU64(TABLE.cluster);
    const { CLUSTER_BLOCKS } = engine.core.constants;
    const address =
      engine.windowOf(first + Math.floor(page / CLUSTER_BLOCKS)) + (page % CLUSTER_BLOCKS) * BLOCK_BYTES;
    engine.ensure(address, BLOCK_BYTES, false);
    return engine.core.data.getUint16(address + 2, true);
  }

  // Rows

  /** The address of a row's record, until the epoch of the block states changes; 0 when there is no such row. */
  find(id: number): number {
    try {
      return this.engine.core.functions.tableFind(this.record, id) >>> 0;
    } catch (cause) {
      throw explain(cause);
    }
  }

  /** Makes a row of what is in the record area; its id. */
  insert(bytes: number, atTail: boolean): number {
    const { engine } = this;
    for (;;) {
      let id: number;
      try {
        id = engine.core.functions.tableInsert(this.record, bytes, atTail ? 1 : 0);
      } catch (cause) {
        throw engine.suspend(cause);
      }
      if (id > 0) return id;
      this.makeRoom(-id);
    }
  }

  /** Makes what is in the record area the record of a row that there is. */
  update(id: number, bytes: number): void {
    const { engine } = this;
    for (;;) {
      let code: number;
      try {
        code = engine.core.functions.tableUpdate(this.record, id, bytes) >>> 0;
      } catch (cause) {
        throw engine.suspend(cause);
      }
      if (code === 0) break;
      this.makeRoom(code);
    }
    this.discardEmptied();
  }

  /** False when there is no such row. */
  delete(id: number): boolean {
    const { engine } = this;
    let code: number;
    try {
      code = engine.core.functions.tableDelete(this.record, id) >>> 0;
    } catch (cause) {
      throw engine.suspend(cause);
    }
    if (code !== 0) return false;
    this.discardEmptied();
    return true;
  }

  /** The address of the first page from `page` on that has rows, and its number in `page`; 0 at the end. */
  pageFrom(page: number): number {
    const { core } = this.engine;
    const address = this.engine.ask(() => core.functions.tablePage(this.record, page));
    this.page = core.data.getFloat64(core.constants.EXCHANGE, true);
    return address;
  }

  /** The last call may have emptied pages: they leave the file. */
  private discardEmptied(): void {
    const { core } = this.engine;
    const { EXCHANGE } = core.constants;
    const first = core.data.getFloat64(EXCHANGE, true);
    if (first === 0) return;
    const second = core.data.getFloat64(EXCHANGE + 8, true);
    this.discardPage(first);
    if (second !== 0) this.discardPage(second);
  }

  private discardPage(page: number): void {
    const { engine } = this;
    const block = this.blockOf(page);
    try {
      engine.pager.discard(block.absolute, 1);
    } catch (error) {
      // It stays, empty, for other rows.
      if (error instanceof PerdureError && error.code === "LIMIT") return;
      throw engine.suspend(error);
    }
    engine.mutate(() => engine.core.functions.tableDropPage(this.record, page));
    engine.mutate(() => engine.core.functions.dropBlocks(block.high, 1));
  }

  // Runs

  /** Puts a value into a new run; its first page. */
  store(value: Uint8Array): number {
    const { engine } = this;
    const pages = Math.ceil((RUN_HEADER + value.length) / BLOCK_BYTES);
    let page: number;
    for (;;) {
      try {
        page = engine.core.functions.tableTakeRun(this.record, pages, value.length);
      } catch (cause) {
        throw engine.suspend(cause);
      }
      if (page > 0) break;
      this.makeRoom(-page);
    }
    engine.changeAll(() =>
      this.eachPartOf(page, value.length, true, (part, done) =>
        part.set(value.subarray(done, done + part.length)),
      ),
    );
    return page;
  }

  load(page: number, bytes: number): Uint8Array {
    const value = new Uint8Array(bytes);
    this.eachPartOf(page, bytes, false, (part, done) => value.set(part, done));
    return value;
  }

  /** Gives a run back. */
  release({ page, bytes }: { page: number; bytes: number }): void {
    const pages = Math.ceil((RUN_HEADER + bytes) / BLOCK_BYTES);
    discardBlocks(this.engine, this.blockOf(page).high, pages);
  }

  private eachPartOf(
    page: number,
    bytes: number,
    write: boolean,
    visit: (part: Uint8Array, done: number) => void,
  ): void {
    const cluster = this.readU64(TABLE.cluster);
    eachPart(this.engine, cluster, page * BLOCK_BYTES + RUN_HEADER, bytes, write, visit);
  }

  // The extent

  /** Gives all pages back, and the extent. */
  drop(): void {
    const { engine } = this;
    const extent = this.readU32(TABLE.extent);
    discardClusters(engine, this.readU64(TABLE.cluster), clustersOf(engine, extent));
    engine.mutate(() => engine.core.functions.giveExtent(extent));
  }

  /** Does what a refusal asks for, or throws it. */
  private makeRoom(code: number): void {
    const { constants } = this.engine.core;
    if (code === constants.MUST_MOVE) this.moveExtent();
    else
      throw new PerdureError(
        "OUT_OF_MEMORY",
        `table ${quote(this.table)}: there is no room for more pages in high memory`,
      );
  }

  /** Another extent, of twice as many clusters, with the same pages. */
  private moveExtent(): void {
    const { engine } = this;
    const old = this.readU32(TABLE.extent);
    const clusters = clustersOf(engine, old);
    const from = this.readU64(TABLE.cluster);
    const extent = takeClusters(engine, 2 * clusters, `more pages of table ${quote(this.table)}`);
    engine.changeAll(() => {
      const to = firstClusterOf(engine, extent);
      copyWritten(engine, from, to, clusters);
      discardClusters(engine, from, clusters);
      this.writeU64(TABLE.cluster, to);
      this.writeU32(TABLE.extent, extent);
      engine.mutate(() => engine.core.functions.giveExtent(old));
    });
  }

  /** The block of a page: as the pager counts, and from the beginning of the high image. */
  private blockOf(page: number): { absolute: number; high: number } {
    const { CLUSTER_BLOCKS } = this.engine.core.constants;
    const high = this.readU64(TABLE.cluster) * CLUSTER_BLOCKS + page;
    return { absolute: high + LINEAR_BLOCKS, high };
  }
}

export function allocate(engine: Engine, bytes: number, align: number): number {
  const address = engine.alloc(bytes, align, 1);
  if (engine.core.codeOf(address) !== null)
    throw new PerdureError("OUT_OF_MEMORY", `there is no memory for the ${bytes} bytes of a table's record`);
  return address;
}

/** Puts a text into the heap, and where it is and how long into a record; its address. */
export function putText(engine: Engine, record: number, offset: number, text: string): number {
  const bytes = encoder.encode(text);
  const address = allocate(engine, bytes.length, 1);
  engine.ensure(address, bytes.length, true);
  engine.core.bytes.set(bytes, address);
  engine.ensure(record, TABLE.bytes, true);
  engine.core.data.setUint32(record + offset, address, true);
  engine.core.data.setUint32(record + offset + 4, bytes.length, true);
  return address;
}

export function textAt(engine: Engine, record: number, offset: number): { address: number; text: string } {
  engine.ensure(record, TABLE.bytes, false);
  const address = engine.core.data.getUint32(record + offset, true);
  const length = engine.core.data.getUint32(record + offset + 4, true);
  engine.ensure(address, length, false);
  return { address, text: decoder.decode(engine.core.bytes.subarray(address, address + length)) };
}
