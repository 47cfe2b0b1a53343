// A table of the engine beside a Map from row id to the bytes of its record, and a driver that does the same to both. The driver is also the host: it discards
// the pages that a call has emptied, as the library does.

import assert from "node:assert/strict";
import { checkImage } from "../../bindings/api/check-image.js";
import { ImageReader } from "../../bindings/api/image-reader.js";
import { type CheckedTable, checkTables } from "../../bindings/api/table/check-tables.js";
import { clusterBlocks, codes, EngineHarness, engineConstants, highBlock, states } from "./engine-harness.js";
import type { Random } from "./random.js";

const recordArea = engineConstants.RECORD as number;
const exchange = engineConstants.EXCHANGE as number;
const idMin = 512;
const firstClusters = 2;

export class TableDriver {
  readonly rows = new Map<number, Uint8Array>();
  /** While it is set, new ids must be beyond all that were ever given. */
  hasCursor = false;
  highest = 0;
  #committed: { rows: Map<number, Uint8Array>; hasCursor: boolean; highest: number };

  constructor(
    public harness: EngineHarness,
    private readonly random: Random,
    readonly record: number,
  ) {
    this.#committed = { rows: new Map(), hasCursor: false, highest: 0 };
  }

  static create(random: Random, windowLimit: number): TableDriver {
    const harness = EngineHarness.format();
    harness.view.setUint32(engineConstants.WINDOW_LIMIT as number, windowLimit, true);
    const record = harness.functions.alloc(256, 256, 1) >>> 0;
    const extent = harness.functions.takeExtent(firstClusters) >>> 0;
    const fields = new DataView(new ArrayBuffer(256));
    fields.setBigUint64(0, new DataView(harness.read(extent, 8).buffer).getBigUint64(0, true), true);
    fields.setBigUint64(8, 1n, true);
    fields.setUint32(56, extent, true);
    harness.write(record, new Uint8Array(fields.buffer));
    const driver = new TableDriver(harness, random, record);
    driver.commit();
    return driver;
  }

  // Operations. They throw what the host throws; what they answered is checked against the model.

  insert(length: number): number {
    const bytes = this.#putRecord(length);
    const id = this.harness.functions.tableInsert(this.record, length, 0);
    assert.ok(id >= idMin, `insert answered ${id}`);
    assert.ok(!this.rows.has(id), `row ${id} was given twice`);
    if (this.hasCursor) assert.ok(id > this.highest, `row ${id} is behind ${this.highest}`);
    this.highest = Math.max(this.highest, id);
    this.rows.set(id, bytes);
    return id;
  }

  update(id: number, length: number): void {
    const bytes = this.#putRecord(length);
    const code = this.harness.functions.tableUpdate(this.record, id, length) >>> 0;
    assert.equal(code, this.rows.has(id) ? codes.OK : codes.NOT_FOUND);
    if (code !== codes.OK) return;
    this.rows.set(id, bytes);
    this.#discardEmptied();
  }

  delete(id: number): void {
    const code = this.harness.functions.tableDelete(this.record, id) >>> 0;
    assert.equal(code, this.rows.has(id) ? codes.OK : codes.NOT_FOUND);
    if (code !== codes.OK) return;
    this.rows.delete(id);
    this.#discardEmptied();
  }

  find(id: number): void {
    const address = this.harness.functions.tableFind(this.record, id) >>> 0;
    const expected = this.rows.get(id);
    assert.equal(address !== 0, expected !== undefined, `row ${id}`);
    if (expected !== undefined)
      assert.deepEqual(this.harness.read(address, expected.length), expected, `row ${id}`);
  }

  setCursor(isSet: boolean): void {
    const bytes = new Uint8Array(4);
    bytes[0] = isSet ? 1 : 0;
    this.harness.write(this.record + 60, bytes);
    this.hasCursor = isSet;
    if (isSet) this.highest = Math.max(this.highest, ...this.rows.keys());
  }

  takeRun(pages: number): number {
    const page = this.harness.functions.tableTakeRun(this.record, pages, 4096 * pages - 32);
    assert.ok(page > 0);
    return page;
  }

  /** Ids by the pages that the engine answers with, and the directories there. */
  scan(): number[] {
    const { functions } = this.harness;
    const ids: number[] = [];
    for (let page = 0; ; page++) {
      const address = functions.tablePage(this.record, page) >>> 0;
      page = this.harness.exchangeF64(0);
      assert.equal(address === 0, page === 0);
      if (address === 0) return ids;
      const view = new DataView(this.harness.read(address, 4096).buffer);
      for (let slot = 0; slot < view.getUint16(2, true); slot++) {
        const kind = view.getUint16(32 + 2 * slot, true) & 3;
        if (kind === 1 || kind === 2) ids.push(512 * page + slot);
      }
    }
  }

  /** A random operation; returns its name. */
  step(lengths: readonly number[]): string {
    const { random } = this;
    const length = random.pick(lengths) + random.below(40);
    const choice = random.below(100);
    if (choice < 38) return `insert ${this.insert(length)}`;
    if (choice < 62) return this.#on("update", (id) => this.update(id, length));
    if (choice < 90) return this.#on("delete", (id) => this.delete(id));
    if (choice < 97) return this.#on("find", (id) => this.find(id));
    this.setCursor(!this.hasCursor);
    return `cursor ${this.hasCursor}`;
  }

  #on(what: string, act: (id: number) => void): string {
    const { random } = this;
    const ids = [...this.rows.keys()];
    const isWild = ids.length === 0 || random.oneIn(20);
    const id = isWild
      ? random.pick([0, 1, 511, 512 + random.below(20_000), 2 ** 40, 2 ** 53])
      : random.pick(ids);
    act(id);
    return `${what} ${id}`;
  }

  commit(): void {
    this.harness.commit();
    const { rows, hasCursor, highest } = this;
    this.#committed = { rows: new Map(rows), hasCursor, highest };
  }

  rollback(): void {
    this.harness.rollback();
    this.#restore();
  }

  remount(): void {
    const limit = this.harness.view.getUint32(engineConstants.WINDOW_LIMIT as number, true);
    this.harness.spilled.clear();
    this.harness = this.harness.remount();
    this.harness.view.setUint32(engineConstants.WINDOW_LIMIT as number, limit, true);
    this.#restore();
  }

  #restore(): void {
    this.rows.clear();
    for (const [id, bytes] of this.#committed.rows) this.rows.set(id, bytes);
    this.hasCursor = this.#committed.hasCursor;
    this.highest = this.#committed.highest;
  }

  /** Everything agrees: the page's rules, the model, and what the engine answers. */
  verify(): CheckedTable {
    const { harness } = this;
    harness.checkBarrier();
    const source = this.blocksNow();
    const image = checkImage(new ImageReader(source), () => 0);
    assert.deepEqual(image.problems, []);
    const tables = new Map([["t", { address: BigInt(this.record) }]]);
    const report = checkTables(source, {
      objects: image.objects,
      extents: image.extents,
      tables,
      written: (first, count) => this.writtenNow(first, count),
    });
    assert.deepEqual(report.problems, []);
    const checked = report.tables.get("t") as CheckedTable;
    const ids = [...this.rows.keys()].sort((a, b) => a - b);
    assert.deepEqual(
      [...checked.records.keys()].sort((a, b) => a - b),
      ids,
    );
    assert.deepEqual(this.scan(), ids);
    for (const id of ids) this.find(id);
    return checked;
  }

  /** What every block of the image has now. */
  blocksNow(): (block: number) => Uint8Array | undefined {
    const { harness } = this;
    const shown = new Map<number, number>();
    for (const { cluster, block, shows } of harness.windows()) {
      if (!shows) continue;
      for (let i = 0; i < clusterBlocks; i++)
        if (harness.stateOf(block + i) >= states.CLEAN)
          shown.set(highBlock + clusterBlocks * cluster + i, block + i);
    }
    return (block) => {
      if (block < highBlock) return harness.blockNow(block);
      const linear = shown.get(block);
      if (linear !== undefined) return harness.bytes.subarray(linear * 4096, (linear + 1) * 4096);
      return harness.spilled.has(block) ? harness.spilled.get(block) : harness.file.get(block);
    };
  }

  writtenNow(first: number, count: number): number[] {
    const { harness } = this;
    const blocks = new Set([...harness.file.keys(), ...harness.spilled.keys()]);
    for (const block of harness.dirtyWindowBlocks()) blocks.add(harness.imageBlockOf(block));
    return [...blocks].filter((block) => block >= first && block < first + count).sort((a, b) => a - b);
  }

  #putRecord(length: number): Uint8Array {
    const bytes = this.random.bytes(length);
    new DataView(bytes.buffer).setUint16(0, length, true);
    this.harness.bytes.set(bytes, recordArea);
    return bytes;
  }

  #discardEmptied(): void {
    const { harness, record } = this;
    const pages = [harness.exchangeF64(0), harness.exchangeF64(8)].filter((page) => page !== 0);
    for (const page of pages) {
      harness.functions.tableDropPage(record, page);
      this.drop(page, 1);
    }
  }

  /** Discards pages in memory and in the file. */
  drop(page: number, count: number): void {
    const { harness } = this;
    const cluster = new DataView(harness.read(this.record, 8).buffer).getBigUint64(0, true);
    harness.dropBlocks(Number(cluster) * clusterBlocks + page, count);
  }

  /** The call of the last operation noted no page that is to be discarded. */
  get notedPages(): number[] {
    return [0, 8].map((at) => this.harness.view.getFloat64(exchange + at, true));
  }
}
