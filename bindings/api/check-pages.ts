// Checks the address spaces, page tables and areas of the ternary memories in an image, as docs/ENGINE.md §13, §16 and §18 describe them, and counts
// how many entries map each frame. Written from that page; it shares nothing with the engine.

import type { ImageReport } from "./check-image.js";
import type { ImageReader } from "./image-reader.js";

const TERNARY_KIND = 4;
const SPACE_KIND = 6;
const ENTRIES = 19_683;
const TABLE_BYTES = 39 * 4096;
const ABOUT = 157_696;
const BLOCK_WORDS = 512;
const PAGES = 3 ** 27;
const FIRST_USER_PAGE = (PAGES - 1) / 2;
/** Of an entry: the bit that makes it large. */
const LARGE = 2 ** 46;
const PROBLEMS_MAX = 20;

export interface PagesReport {
  problems: string[];
  /** By the record of a ternary memory: how many entries map each frame. */
  mappings: Map<number, Map<number, number>>;
}

interface Table {
  /** Entries and holders that lead to it. */
  owners: number;
  readonly level: number;
}

/** The entries in the tables of a holder, by page, ascending. */
type Pages = Map<number, number>;

export function checkPages(image: ImageReader, report: ImageReport): PagesReport {
  const problems: string[] = [];
  const mappings = new Map<number, Map<number, number>>();
  const taken = new Set<number>();
  for (const [name, { address }] of report.names[TERNARY_KIND]!) {
    const checker = new PagesChecker(image, report, name, Number(address), taken);
    problems.push(...checker.check());
    mappings.set(Number(address), checker.mappings);
  }
  return { problems, mappings };
}

class PagesChecker {
  readonly mappings = new Map<number, number>();
  readonly #problems: string[] = [];
  readonly #tables = new Map<number, Table>();

  constructor(
    private readonly image: ImageReader,
    private readonly report: ImageReport,
    private readonly name: string,
    private readonly record: number,
    /** Objects that tables, areas and spaces are made of; none may be two things. */
    private readonly taken: Set<number>,
  ) {}

  check(): string[] {
    const { image, record } = this;
    const all = this.#readTree(image.u32(record + 8), "global tables");
    for (const entry of all.values()) this.#expect(globalOf(entry) === 2, "a global page is not");
    const named = this.#namedSpaces();
    let previous = 0;
    let count = 0;
    for (let space = image.u32(record + 16); space !== 0; space = image.u32(space + 24), count++) {
      const what = `space at ${hex(space)}`;
      if (!this.#takes(space, 64, what)) break;
      this.#expect(space % 64 === 0 && image.u32(space) === record, `${what}: record`);
      this.#expect(image.u32(space + 28) === previous, `${what}: previous space`);
      this.#expect(named.delete(space), `${what}: has no name`);
      this.#checkSpace(space, what, all);
      previous = space;
    }
    this.#expect(image.u32(record + 20) === count, `${count} spaces, counted as ${image.u32(record + 20)}`);
    this.#expect(named.size === 0, `${named.size} names of spaces lead to none`);
    for (const [table, { owners }] of this.#tables) {
      const known = image.u32(table + ABOUT);
      this.#expect(known === owners, `table at ${hex(table)}: ${owners} owners, counted as ${known}`);
    }
    return this.#problems;
  }

  #expect(condition: boolean, problem: string): boolean {
    if (!condition && this.#problems.length < PROBLEMS_MAX)
      this.#problems.push(`ternary memory ${this.name}: ${problem}`);
    return condition;
  }

  /** A live object of so many bytes, of nobody else. */
  #takes(address: number, bytes: number, what: string): boolean {
    const isOwn = (this.report.objects.get(address) ?? 0) >= bytes && !this.taken.has(address);
    this.taken.add(address);
    return this.#expect(isOwn, `${what}: no live object of ${bytes} bytes of its own`);
  }

  /** Addresses of the records that names of this memory lead to. */
  #namedSpaces(): Set<number> {
    const prefix = hex8(this.record);
    const found = new Set<number>();
    for (const [name, { address }] of this.report.names[SPACE_KIND]!)
      if (name.startsWith(prefix)) found.add(Number(address));
    return found;
  }

  #checkSpace(space: number, what: string, all: Pages): void {
    const pages = this.#readTree(this.image.u32(space + 4), what);
    for (const [page, entry] of pages) {
      this.#expect(!all.has(page), `${what}: page ${page} is global as well`);
      this.#expect(globalOf(entry) !== 2, `${what}: page ${page} is global`);
    }
    this.#checkAreas(space, what, pages, all);
  }

  #checkAreas(space: number, what: string, pages: Pages, all: Pages): void {
    const { image } = this;
    const [areas, count, room] = [12, 16, 20].map((offset) => image.u32(space + offset)) as [
      number,
      number,
      number,
    ];
    if (areas === 0) {
      this.#expect(count === 0 && room === 0, `${what}: areas nowhere`);
      return;
    }
    if (!this.#takes(areas, 32 * room, `${what}: areas`)) return;
    this.#expect(areas % 32 === 0 && count <= room && image.u32(space + 8) === 0, `${what}: areas`);
    let reached = 0;
    const own = [...pages];
    let next = 0;
    for (let i = 0; i < count; i++) {
      const at = areas + 32 * i;
      const [first, end, lowest] = [0, 8, 24].map((offset) => Number(image.u64(at + offset))) as [
        number,
        number,
        number,
      ];
      const flags = image.u32(at + 16);
      this.#expect(first >= reached && end > first && end <= PAGES, `${what}: area ${i}`);
      this.#expect((flags & 1) === 1 && flags < 16 && (flags & 6) !== 6, `${what}: flags of area ${i}`);
      this.#expect(lowest >= first && lowest <= end, `${what}: lowest page of area ${i}`);
      reached = end;
      const writable = (flags & 2) !== 0 ? 2 : (flags & 4) !== 0 ? 0 : 1;
      while (next < own.length && own[next]![0] < first) next++;
      for (; next < own.length && own[next]![0] < end; next++) {
        const [page, entry] = own[next]!;
        const user = page < FIRST_USER_PAGE ? 0 : 2;
        const isAsPromised = Math.floor(entry / 4) % 16 === writable + 4 * user && entry < LARGE;
        this.#expect(isAsPromised, `${what}: page ${page} is not as its area`);
      }
      for (const page of all.keys())
        this.#expect(page < first || page >= end, `${what}: area ${i} has a global page`);
    }
  }

  /** What the tables below a root map. */
  #readTree(root: number, what: string): Pages {
    const pages: Pages = new Map();
    if (root !== 0) this.#readTable(root, 3, 0, what, pages, true);
    for (const [page, entry] of pages) {
      if (entry < LARGE) continue;
      const first = page - ((page + 2) % 3);
      const start = frameOf(entry) - (page - first);
      const isWhole = [0, 1, 2].every((i) => {
        const other = pages.get(first + i) ?? 0;
        return other >= LARGE && frameOf(other) === start + i && other % 64 === entry % 64;
      });
      this.#expect(isWhole && start % 3 === 0, `${what}: large page at ${first} is not whole`);
    }
    return pages;
  }

  /** `isOwner` is false below a table that was read before. */
  #readTable(
    address: number,
    level: number,
    first: number,
    what: string,
    pages: Pages,
    isOwner: boolean,
  ): void {
    const { image } = this;
    const known = this.#tables.get(address);
    if (known !== undefined) known.owners += isOwner ? 1 : 0;
    else if (!this.#takeTable(address, level, what)) return;
    if (!this.#expect((known?.level ?? level) === level, `${what}: a table of two levels`)) return;
    let used = 0;
    const [lowest, highest] = [image.u16(address + ABOUT + 12), image.u16(address + ABOUT + 14)];
    for (const index of this.#usedIndices(address)) {
      const entry = Number(image.u64(address + 8 * index));
      used++;
      this.#expect(index >= lowest && index <= highest, `${what}: entry ${index} is out of bounds`);
      this.#expect(entry % 4 === 2 && entry < 2 * LARGE, `${what}: entry ${index}`);
      const at = first + index * ENTRIES ** (level - 1);
      if (level > 1) {
        this.#readTable((entry % 2 ** 32) - (entry % 4096), level - 1, at, what, pages, known === undefined);
        continue;
      }
      this.#expect(Math.floor(entry / 64) % 16 === 0, `${what}: marks in a table`);
      pages.set(at, entry);
      // A table that several lead to maps its frames once.
      if (known !== undefined) continue;
      this.mappings.set(frameOf(entry), (this.mappings.get(frameOf(entry)) ?? 0) + 1);
    }
    this.#expect(used > 0 && image.u32(address + ABOUT + 4) === used, `${what}: ${used} entries of a table`);
  }

  #takeTable(address: number, level: number, what: string): boolean {
    this.#tables.set(address, { owners: 1, level });
    const isTable = this.#takes(address, TABLE_BYTES, `${what}: table of level ${level}`);
    return (
      this.#expect(this.image.u32(address + ABOUT + 8) === level, `${what}: level of a table`) && isTable
    );
  }

  #usedIndices(address: number): number[] {
    const { image } = this;
    const found: number[] = [];
    for (let first = 0; first < ENTRIES; first += BLOCK_WORDS) {
      const end = Math.min(first + BLOCK_WORDS, ENTRIES);
      if (image.isZero(address + 8 * first, 8 * (end - first))) continue;
      for (let index = first; index < end; index++)
        if (image.u64(address + 8 * index) !== 0n) found.push(index);
    }
    return found;
  }
}

const frameOf = (entry: number): number => Math.floor(entry / 4096) % 2 ** 34;
const globalOf = (entry: number): number => Math.floor(entry / 1024) % 4;
const hex = (address: number): string => `0x${address.toString(16)}`;
const hex8 = (address: number): string => address.toString(16).padStart(8, "0");
