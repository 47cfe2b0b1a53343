// Checks that the tables of an image agree with themselves, as docs/TABLES.md says: pages, directories, forwards, lists of pages with room, runs. Written from
// that page; it shares nothing with the engine, and reads blocks, so it works as well on a running engine as on a file.

import type { BlockSource } from "../image-reader.js";
import { checkTree } from "./check-tree.js";

/** What the check of the image has found already. */
export interface ImageParts {
  /** Live objects of the heap: address → usable bytes. */
  readonly objects: ReadonlyMap<number, number>;
  /** The tables by name: address of the record. */
  readonly tables: ReadonlyMap<string, { address: bigint }>;
  readonly extents: readonly { address: number; first: bigint; clusters: bigint }[];
}

export interface TableReport {
  problems: string[];
  /** Of the heap, that belong to tables. */
  objects: Set<number>;
  /** Name → what it has. */
  tables: Map<string, CheckedTable>;
}

export interface CheckedTable {
  rows: number;
  /** Where each row's record lies: row id → page × 4096 + offset. */
  records: Map<number, number>;
  forwards: number;
  pages: number;
  /** Of rows. */
  rowPages: number;
  runPages: number;
}

const blockBytes = 4096;
const highBlock = 2 ** 20;
const clusterBlocks = 10;
const headerBytes = 32;
const slotsPerId = 512;
const recordBytes = 256;
const problemsMax = 20;
const fixedBytes: Record<string, number> = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

export function checkTables(source: BlockSource, parts: ImageParts): TableReport {
  const report: TableReport = { problems: [], objects: new Set(), tables: new Map() };
  const extents = new Set<number>();
  for (const [name, { address }] of parts.tables) {
    const say = (problem: string) => {
      if (report.problems.length < problemsMax)
        report.problems.push(`table ${JSON.stringify(name)}: ${problem}`);
    };
    const checker = new TableChecker(source, parts, Number(address), say);
    const checked = checker.check();
    if (checked === null) continue;
    if (extents.has(checker.extent)) say("its extent is that of another table");
    extents.add(checker.extent);
    for (const object of checker.objects) {
      if (report.objects.has(object))
        say(`the object at ${object} is that of another table, or of another part`);
      report.objects.add(object);
    }
    report.tables.set(name, checked);
  }
  return report;
}

/** Of a page of rows. */
interface PageFacts {
  list: number;
  next: number;
  previous: number;
}

class TableChecker {
  extent = 0;
  readonly objects: number[] = [];
  readonly #records = new Map<number, number>();
  /** Row id of a home → the slot that its forward leads to. */
  readonly #forwards = new Map<number, number>();
  readonly #movedIn = new Set<number>();
  readonly #pages = new Map<number, PageFacts>();
  /** First page → bytes. */
  readonly #runs = new Map<number, number>();
  #cluster = 0;
  #end = 0;
  #tail = 0;
  #runPages = 0;

  constructor(
    private readonly source: BlockSource,
    private readonly parts: ImageParts,
    private readonly record: number,
    private readonly say: (problem: string) => void,
  ) {}

  check(): CheckedTable | null {
    if ((this.parts.objects.get(this.record) ?? 0) !== recordBytes) {
      this.say("its record is no live object of 256 bytes");
      return null;
    }
    this.objects.push(this.record);
    this.#cluster = this.#u64(0);
    this.#end = this.#u64(8);
    this.#tail = this.#u64(24);
    this.extent = this.#u32(56);
    const extent = this.parts.extents.find(({ address }) => address === this.extent);
    if (extent === undefined || Number(extent.first) !== this.#cluster) {
      this.say("its extent is not where it says");
      return null;
    }
    const room = Number(extent.clusters) * clusterBlocks;
    if (this.#end < 1 || this.#end > room) {
      this.say(`${this.#end} pages in ${room} blocks`);
      return null;
    }
    this.#walk();
    this.#checkForwards();
    this.#checkLists();
    const rows = this.#records.size;
    if (rows !== this.#u64(32)) this.say(`${this.#u64(32)} rows, found ${rows}`);
    const first = this.#u64(16);
    for (const id of this.#records.keys())
      if (Math.floor(id / slotsPerId) < first) this.say(`row ${id} lies before page ${first}`);
    if (this.#tail !== 0 && !this.#pages.has(this.#tail))
      this.say(`the tail, ${this.#tail}, is no page of rows`);
    this.#checkContent();
    this.#checkIndexes();
    return {
      rows,
      records: this.#records,
      forwards: this.#forwards.size,
      pages: this.#end,
      rowPages: this.#pages.size,
      runPages: this.#runPages,
    };
  }

  // Pages

  #walk(): void {
    for (let page = 1; page < this.#end; ) {
      const bytes = this.#page(page);
      const kind = bytes?.[0] ?? 0;
      if (bytes === undefined || kind === 0) {
        if (bytes?.some((byte) => byte !== 0)) this.say(`page ${page} is nothing, but not zeros`);
        page++;
      } else if (kind === 1) {
        this.#checkPage(page, viewOf(bytes));
        page++;
      } else if (kind === 2) {
        const view = viewOf(bytes);
        const pages = Number(view.getBigUint64(8, true));
        const length = Number(view.getBigUint64(16, true));
        if (pages !== Math.ceil((headerBytes + length) / blockBytes) || page + pages > this.#end) {
          this.say(`run ${page}: ${length} bytes in ${pages} pages`);
          return;
        }
        this.#runs.set(page, length);
        this.#runPages += pages;
        page += pages;
      } else {
        this.say(`page ${page} is of kind ${kind}`);
        return;
      }
    }
    if (this.#page(0)?.some((byte) => byte !== 0)) this.say("page 0 is in use");
  }

  #checkPage(page: number, view: DataView): void {
    const what = `page ${page}`;
    const [slots, freeSlots, firstFree] = [2, 4, 6].map((at) => view.getUint16(at, true));
    const [start, free] = [8, 10].map((at) => view.getUint16(at, true));
    const directoryEnd = headerBytes + 2 * slots;
    if (directoryEnd > start || start > blockBytes || start % 4 !== 0) {
      this.say(`${what}: ${slots} slots, records from ${start}`);
      return;
    }
    const used: [number, number][] = [];
    let freeCount = 0;
    for (let slot = 0; slot < slots; slot++) {
      const entry = view.getUint16(headerBytes + 2 * slot, true);
      const kind = entry & 3;
      if (kind === 0) {
        freeCount++;
        continue;
      }
      const offset = entry - kind;
      if (offset < start || offset + 8 > blockBytes) {
        this.say(`${what}, slot ${slot}: its record is at ${offset}`);
        return;
      }
      const length = kind === 2 ? 8 : view.getUint16(offset, true);
      const room = Math.max(8, Math.ceil(length / 4) * 4);
      used.push([offset, room]);
      this.#noteSlot(page * slotsPerId + slot, kind, page * blockBytes + offset, view);
    }
    used.sort(([a], [b]) => a - b);
    let end = start;
    for (const [offset, room] of used) {
      if (offset < end) this.say(`${what}: records overlap at ${offset}`);
      end = offset + room;
    }
    if (end > blockBytes) this.say(`${what}: a record reaches past the end`);
    const rest = used.reduce((sum, [, room]) => sum - room, blockBytes - directoryEnd);
    if (rest !== free) this.say(`${what}: ${free} bytes free, found ${rest}`);
    if (freeCount !== freeSlots) this.say(`${what}: ${freeSlots} free slots, found ${freeCount}`);
    this.#checkFreeSlots(what, view, slots, firstFree, freeCount);
    const isTail = page === this.#tail;
    if (slots > 0 && freeCount === slots && !isTail) this.say(`${what} is empty, but has slots`);
    const list = view.getUint8(1);
    const expected = isTail || free < 1024 ? 0 : free < 2048 ? 1 : 2;
    if (list !== expected) this.say(`${what}: ${free} bytes free, but in list ${list}`);
    this.#pages.set(page, {
      list,
      next: Number(view.getBigUint64(16, true)),
      previous: Number(view.getBigUint64(24, true)),
    });
  }

  #checkFreeSlots(what: string, view: DataView, slots: number, first: number, count: number): void {
    const seen = new Set<number>();
    for (let next = first; next !== 0; ) {
      const slot = next - 1;
      const entry = slot < slots ? view.getUint16(headerBytes + 2 * slot, true) : 3;
      if ((entry & 3) !== 0 || seen.has(slot)) {
        this.say(`${what}: slot ${slot} is in the list of free ones`);
        return;
      }
      seen.add(slot);
      next = entry >>> 2;
    }
    if (seen.size !== count) this.say(`${what}: ${seen.size} free slots are listed, of ${count}`);
  }

  #noteSlot(id: number, kind: number, where: number, view: DataView): void {
    if (kind === 3) {
      this.#movedIn.add(id);
      this.#records.set(-id, where);
      return;
    }
    this.#records.set(id, where);
    if (kind === 2) this.#forwards.set(id, Number(view.getBigUint64(where % blockBytes, true)));
  }

  #checkForwards(): void {
    const targets = new Set<number>();
    for (const [id, target] of this.#forwards) {
      if (!this.#movedIn.has(target)) this.say(`row ${id}: its forward leads to ${target}`);
      else if (targets.has(target)) this.say(`row ${id}: another forward leads to ${target}`);
      targets.add(target);
      this.#records.set(id, this.#records.get(-target) ?? 0);
    }
    for (const id of this.#movedIn) {
      if (!targets.has(id)) this.say(`slot ${id}: nothing leads to what was moved there`);
      this.#records.delete(-id);
    }
  }

  #checkLists(): void {
    const listed = new Set<number>();
    for (const list of [1, 2]) {
      let previous = 0;
      for (let page = this.#u64(32 + 8 * list); page !== 0; ) {
        const facts = this.#pages.get(page);
        if (facts?.list !== list || facts.previous !== previous || listed.has(page)) {
          this.say(`list ${list}: page ${page} does not belong there`);
          break;
        }
        listed.add(page);
        previous = page;
        page = facts.next;
      }
    }
    for (const [page, { list }] of this.#pages)
      if (list !== 0 && !listed.has(page)) this.say(`list ${list}: page ${page} is missing`);
  }

  // Records

  #checkContent(): void {
    const fields = this.#definition();
    if (fields === null) return;
    const optionals = fields.filter(({ fixed, optional }) => fixed > 0 && optional).length;
    const ends =
      3 + Math.max(1, Math.ceil(optionals / 8)) + fields.reduce((sum, { fixed }) => sum + fixed, 0);
    const entries = fields.filter(({ fixed }) => fixed === 0).length;
    const referred = new Set<number>();
    for (const [id, where] of this.#records) {
      const bytes = this.#page(Math.floor(where / blockBytes));
      if (bytes === undefined) continue;
      const view = viewOf(bytes);
      const at = where % blockBytes;
      const length = view.getUint16(at, true);
      const count = view.getUint8(at + 2);
      let begin = ends + 2 * count;
      if (count > entries || length > 2000 || begin > length) {
        this.say(`row ${id}: a record of ${length} bytes with ${count} entries`);
        continue;
      }
      for (let entry = 0; entry < count; entry++) {
        const raw = view.getUint16(at + ends + 2 * entry, true);
        const end = raw & 0x1fff;
        if (end < begin || end > length) this.say(`row ${id}: entry ${entry} ends at ${end}`);
        if ((raw & 0x8000) !== 0 && end !== begin)
          this.say(`row ${id}: entry ${entry} is null, but has bytes`);
        if ((raw & 0x4000) !== 0) {
          const run = Number(view.getBigUint64(at + begin, true));
          if (this.#runs.get(run) !== view.getUint32(at + begin + 8, true) || referred.has(run))
            this.say(`row ${id}: entry ${entry} refers to run ${run}`);
          referred.add(run);
        }
        begin = end;
      }
      if (begin !== length) this.say(`row ${id}: ${length} bytes, its entries end at ${begin}`);
    }
    for (const run of this.#runs.keys()) if (!referred.has(run)) this.say(`run ${run} belongs to no row`);
  }

  /** Each finished index has one entry for each row. */
  #checkIndexes(): void {
    let count = 0;
    for (let record = this.#u32(88); record !== 0 && count < 1000; count++) {
      const bytes = Uint8Array.from({ length: 24 }, (_, i) => this.#byte(record + i));
      const view = viewOf(bytes);
      const length = view.getUint32(16, true);
      const what = `index ${count}`;
      if ((this.parts.objects.get(record) ?? 0) < 24 + length) {
        this.say(`${what}: its record is no live object`);
        return;
      }
      const built = Number(view.getBigUint64(8, true));
      const seen = new Set<number>();
      const tree = checkTree(this.source, view.getUint32(0, true), this.parts.objects, (_, id) => {
        if (!this.#records.has(id) || id >= built) this.say(`${what}: an entry leads to ${id}`);
        seen.add(id);
      });
      for (const problem of tree.problems) this.say(`${what}: ${problem}`);
      this.objects.push(record, view.getUint32(0, true), ...tree.nodes);
      const rows = [...this.#records.keys()].filter((id) => id < built).length;
      if (seen.size !== rows || tree.entries !== rows)
        this.say(`${what}: ${tree.entries} entries for ${seen.size} of ${rows} rows`);
      record = view.getUint32(4, true);
    }
    if (count !== this.#u32(92)) this.say(`${this.#u32(92)} indexes, found ${count}`);
  }

  /** Bytes of each field that is fixed, 0 for an entry; null when the definition cannot be read. */
  #definition(): { fixed: number; optional: boolean }[] | null {
    const [address, length] = [this.#u32(64), this.#u32(68)];
    if (length === 0) return null;
    if ((this.parts.objects.get(address) ?? 0) < length) {
      this.say("its definition is no live object");
      return null;
    }
    this.objects.push(address);
    try {
      const bytes = Uint8Array.from({ length }, (_, i) => this.#byte(address + i));
      const { fields, added } = JSON.parse(new TextDecoder().decode(bytes)) as Record<
        string,
        [string, string][]
      >;
      return [
        ...fields.map(([, type]) => ({
          fixed: fixedBytes[type.replace("?", "")] ?? 0,
          optional: type.endsWith("?"),
        })),
        ...added.map(() => ({ fixed: 0, optional: true })),
      ];
    } catch {
      this.say("its definition cannot be read");
      return null;
    }
  }

  // Reading

  #page(page: number): Uint8Array | undefined {
    return this.source(highBlock + this.#cluster * clusterBlocks + page);
  }

  #byte(address: number): number {
    return this.source(Math.floor(address / blockBytes))?.[address % blockBytes] ?? 0;
  }

  #u32(offset: number): number {
    const at = this.record + offset;
    return (
      (this.#byte(at) |
        (this.#byte(at + 1) << 8) |
        (this.#byte(at + 2) << 16) |
        (this.#byte(at + 3) << 24)) >>>
      0
    );
  }

  #u64(offset: number): number {
    return this.#u32(offset) + 2 ** 32 * this.#u32(offset + 4);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
