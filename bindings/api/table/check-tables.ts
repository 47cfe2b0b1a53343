// Checks that the tables of an image agree with themselves, as docs/TABLES.md says: pages, directories, forwards, lists of pages with room, runs. Written from
// that page; it shares nothing with the engine, and reads blocks, so it works as well on a running engine as on a file.

import type { BlockSource } from "../image-reader.js";
import { checkRows } from "./check-rows.js";
import { blockBytes, clusterBlocks, type ImageParts, TableImage, viewOf } from "./table-image.js";

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

const headerBytes = 32;
const slotsPerId = 512;
const recordBytes = 256;
const problemsMax = 20;

export function checkTables(source: BlockSource, parts: ImageParts): TableReport {
  const report: TableReport = { problems: [], objects: new Set(), tables: new Map() };
  const extents = new Set<number>();
  for (const [name, { address }] of parts.tables) {
    const say = (problem: string) => {
      if (report.problems.length < problemsMax)
        report.problems.push(`table ${JSON.stringify(name)}: ${problem}`);
    };
    const image = new TableImage(source, parts, Number(address), say);
    const checker = new TableChecker(image);
    const checked = checker.check();
    if (checked === null) continue;
    if (extents.has(checker.extent)) say("its extent is that of another table");
    extents.add(checker.extent);
    for (const object of image.objects) {
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
  readonly #records = new Map<number, number>();
  /** Row id of a home → the slot that its forward leads to. */
  readonly #forwards = new Map<number, number>();
  readonly #movedIn = new Set<number>();
  readonly #pages = new Map<number, PageFacts>();
  /** First page → bytes. */
  readonly #runs = new Map<number, number>();
  #end = 0;
  #tail = 0;
  #runPages = 0;

  constructor(private readonly image: TableImage) {}

  check(): CheckedTable | null {
    const { parts, record } = this.image;
    if ((parts.objects.get(record) ?? 0) !== recordBytes) {
      this.image.say("its record is no live object of 256 bytes");
      return null;
    }
    const cluster = this.image.u64(0);
    this.#end = this.image.u64(8);
    this.#tail = this.image.u64(24);
    this.extent = this.image.u32(56);
    const extent = parts.extents.find(({ address }) => address === this.extent);
    if (extent === undefined || Number(extent.first) !== cluster) {
      this.image.say("its extent is not where it says");
      return null;
    }
    const room = Number(extent.clusters) * clusterBlocks;
    if (this.#end < 1 || this.#end > room) {
      this.image.say(`${this.#end} pages in ${room} blocks`);
      return null;
    }
    this.#walk();
    this.#checkForwards();
    this.#checkLists();
    const rows = this.#records.size;
    if (rows !== this.image.u64(32)) this.image.say(`${this.image.u64(32)} rows, found ${rows}`);
    const first = this.image.u64(16);
    for (const id of this.#records.keys())
      if (Math.floor(id / slotsPerId) < first) this.image.say(`row ${id} lies before page ${first}`);
    if (this.#tail !== 0 && !this.#pages.has(this.#tail))
      this.image.say(`the tail, ${this.#tail}, is no page of rows`);
    checkRows(this.image, this.#records, this.#runs);
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
    let next = 1;
    for (const page of this.image.writtenPages(this.#end)) {
      // A page of a run, which has no header of its own.
      if (page < next && page > 0) continue;
      const bytes = this.image.page(page);
      if (bytes === undefined) continue;
      const [kind] = bytes;
      next = page + 1;
      if (kind === 0 || page === 0) {
        if (bytes.some((byte) => byte !== 0)) this.image.say(`page ${page} is nothing, but not zeros`);
      } else if (kind === 1) {
        this.#checkPage(page, viewOf(bytes));
      } else if (kind === 2) {
        const view = viewOf(bytes);
        const pages = Number(view.getBigUint64(8, true));
        const length = Number(view.getBigUint64(16, true));
        next = page + pages;
        if (pages !== Math.ceil((headerBytes + length) / blockBytes) || next > this.#end) {
          this.image.say(`run ${page}: ${length} bytes in ${pages} pages`);
          return;
        }
        this.#runs.set(page, length);
        this.#runPages += pages;
      } else {
        this.image.say(`page ${page} is of kind ${kind}`);
        return;
      }
    }
  }

  #checkPage(page: number, view: DataView): void {
    const what = `page ${page}`;
    const [slots, freeSlots, firstFree] = [2, 4, 6].map((at) => view.getUint16(at, true));
    const [start, free] = [8, 10].map((at) => view.getUint16(at, true));
    const directoryEnd = headerBytes + 2 * slots;
    if (directoryEnd > start || start > blockBytes || start % 4 !== 0) {
      this.image.say(`${what}: ${slots} slots, records from ${start}`);
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
        this.image.say(`${what}, slot ${slot}: its record is at ${offset}`);
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
      if (offset < end) this.image.say(`${what}: records overlap at ${offset}`);
      end = offset + room;
    }
    if (end > blockBytes) this.image.say(`${what}: a record reaches past the end`);
    const rest = used.reduce((sum, [, room]) => sum - room, blockBytes - directoryEnd);
    if (rest !== free) this.image.say(`${what}: ${free} bytes free, found ${rest}`);
    if (freeCount !== freeSlots) this.image.say(`${what}: ${freeSlots} free slots, found ${freeCount}`);
    this.#checkFreeSlots(what, view, slots, firstFree, freeCount);
    const isTail = page === this.#tail;
    if (slots > 0 && freeCount === slots && !isTail) this.image.say(`${what} is empty, but has slots`);
    const list = view.getUint8(1);
    const expected = isTail || free < 1024 ? 0 : free < 2048 ? 1 : 2;
    if (list !== expected) this.image.say(`${what}: ${free} bytes free, but in list ${list}`);
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
        this.image.say(`${what}: slot ${slot} is in the list of free ones`);
        return;
      }
      seen.add(slot);
      next = entry >>> 2;
    }
    if (seen.size !== count) this.image.say(`${what}: ${seen.size} free slots are listed, of ${count}`);
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
      if (!this.#movedIn.has(target)) this.image.say(`row ${id}: its forward leads to ${target}`);
      else if (targets.has(target)) this.image.say(`row ${id}: another forward leads to ${target}`);
      targets.add(target);
      this.#records.set(id, this.#records.get(-target) ?? 0);
    }
    for (const id of this.#movedIn) {
      if (!targets.has(id)) this.image.say(`slot ${id}: nothing leads to what was moved there`);
      this.#records.delete(-id);
    }
  }

  #checkLists(): void {
    const listed = new Set<number>();
    for (const list of [1, 2]) {
      let previous = 0;
      for (let page = this.image.u64(32 + 8 * list); page !== 0; ) {
        const facts = this.#pages.get(page);
        if (facts?.list !== list || facts.previous !== previous || listed.has(page)) {
          this.image.say(`list ${list}: page ${page} does not belong there`);
          break;
        }
        listed.add(page);
        previous = page;
        page = facts.next;
      }
    }
    for (const [page, { list }] of this.#pages)
      if (list !== 0 && !listed.has(page)) this.image.say(`list ${list}: page ${page} is missing`);
  }
}
