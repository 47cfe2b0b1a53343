/**
 * A memory that is still there: what `open` gives. The verbs live here, each a few lines over the engine (linear memory, commits) and the
 * pager (the file); this file decides who may do what and when, and turns the engine's codes into errors.
 */
import { type ErrorCode, PerdureError } from "../base/errors.js";
import type { Engine } from "../engine.js";
import type { CopyOptions } from "../pager/pager.js";
import { type CheckReport, checkMemory } from "./check.js";
import { followCommits } from "./commits.js";
import { type Durability, durabilityOf, type Settings } from "./options.js";
import { parts } from "./parts.js";
import { Pipe, Pipes } from "./pipe/pipe.js";
import type { Source } from "./pipe/source.js";
import { Ptr, ptrAt } from "./ptr.js";
import { type Region, Regions } from "./region.js";
import { Roots } from "./roots.js";
import { hex, type Origin, Session } from "./session.js";
import { Snapshots } from "./snapshots.js";
import { type MemoryStats, statsOf } from "./stats.js";
import { TableCatalog } from "./table/catalog.js";
import type { NewRow, Row, TableSchema } from "./table/schema.js";
import { Table } from "./table/table.js";
import { type TableOptions, Tables } from "./table/tables.js";
import type { TernaryOptions } from "./ternary/regions.js";
import type { TernaryMemory } from "./ternary/ternary-memory.js";
import { runTransaction } from "./transaction.js";
import { type TypedArray, type TypedArrayConstructor, View } from "./view.js";

export interface MemoryOrigin extends Origin {
  /** Opens one of its snapshots for reading. */
  openSnapshot(name: string): Memory;
}

export class Memory extends Session {
  readonly roots: Roots;
  readonly snapshots: Snapshots<Memory>;
  readonly pipes: Pipes;
  private readonly regions: Regions;
  /** What tables there are, and each as it was made. */
  readonly tables: TableCatalog;
  /** @internal */
  readonly tableRegistry: Tables;
  /** What the engine has in memory is of this commit. A refresh that fails half way has moved the reader already. */
  private shown: number;

  /** Made by `open`. @internal */
  constructor(engine: Engine, origin: MemoryOrigin, settings: Settings) {
    super(engine, origin, settings);
    this.roots = new Roots(this);
    this.snapshots = new Snapshots(this, (name) => origin.openSnapshot(name));
    this.pipes = new Pipes(this);
    this.regions = new Regions(this);
    this.tableRegistry = new Tables(this);
    this.tables = new TableCatalog(this.tableRegistry);
    this.shown = this.sequence;
  }

  // Blocks of memory

  /**
   * A block of `size` bytes, zero-filled unless `zero` is false, at a multiple of `align` (a power of two to 4096). OUT_OF_MEMORY,
   * INVALID_ALIGNMENT.
   */
  alloc(size: number, options?: { align?: number; zero?: boolean }): Ptr {
    const align = options === undefined ? 1 : (options.align ?? 1);
    if (!isSize(size)) throw sizeError(size);
    if (align !== 1 && !isSize(align)) throw alignmentError(align);
    const address = this.engine.alloc(size, align, options?.zero === false ? 0 : 1);
    if (address < ADDRESS_MIN)
      throw this.refusal(address, () => `alloc(${size}${align === 1 ? "" : `, align ${align}`})`);
    return new Ptr(this, address);
  }

  /**
   * The same block with room for `size` bytes, moved when it must be; its old pointer is then dead. Bytes past what it had are zero. Alignment beyond
   * 16 is not kept by a move.
   */
  realloc(p: Ptr, size: number): Ptr {
    const address = this.addressOf(p);
    if (!isSize(size)) throw sizeError(size);
    this.refuseWatched(address, "realloc");
    const { functions } = this.engine.core;
    const moved = this.engine.mutate(() => functions.realloc(address, size));
    if (moved < ADDRESS_MIN) throw this.refusal(moved, () => `realloc(${p}, ${size})`);
    return moved === address ? p : new Ptr(this, moved);
  }

  /** Gives a block back. DOUBLE_FREE, INVALID_ADDRESS; BUSY while a view of it is open. */
  release(p: Ptr): void {
    const address = this.addressOf(p);
    this.refuseWatched(address, "release");
    const code = this.engine.release(address);
    if (code !== 0) throw this.refusal(code, () => `release(${p})`);
  }

  /** Usable bytes of the live block that starts at `p`. */
  sizeOf(p: Ptr): number {
    const address = this.addressOf(p);
    const { functions } = this.engine.core;
    const size = this.engine.ask(() => functions.sizeOf(address));
    if (size === 0) throw new PerdureError("INVALID_ADDRESS", `no live block starts at ${p}`);
    return size;
  }

  /** A pointer to an address, which need not be that of a live block. INVALID_ADDRESS outside of the heap. */
  ptr(address: number): Ptr {
    return ptrAt(this, address);
  }

  /** The pointer of that name; `create` makes it the first time. Both become part of one commit. */
  root(name: string, create: () => Ptr): Ptr {
    const known = this.roots.get(name);
    if (known !== undefined) return known;
    const made = create();
    this.roots.set(name, made);
    return made;
  }

  /** The live memory at `p` as a typed array. INVALID_ALIGNMENT, INVALID_ADDRESS unless it lies in one live block. */
  view<T extends TypedArray>(
    p: Ptr,
    type: TypedArrayConstructor<T>,
    length: number,
    options?: { writable?: boolean },
  ): View<T> {
    const address = this.addressOf(p);
    const width = type?.BYTES_PER_ELEMENT;
    if (!(width >= 1))
      throw new PerdureError("INVALID_ARGUMENT", "the type of a view is a typed array, such as Float64Array");
    if (!isSize(length)) throw sizeError(length);
    if (address % width !== 0)
      throw new PerdureError("INVALID_ALIGNMENT", `${p} is not at a multiple of ${width} bytes`);
    const room = this.roomAt(address);
    if (length * width > room)
      throw new PerdureError(
        "INVALID_ADDRESS",
        `${length * width} bytes from ${p} on: its block has ${room}`,
      );
    const writable = options?.writable ?? !this.readOnly;
    return new View(this.engine, p, type, length, writable, () => this.auto.schedule());
  }

  /** `bytes` bytes of high memory under a name: made, or found again as they were (then `bytes` is what they have, if not given). */
  region(name: string, bytes?: number): Region {
    this.ensureOpen();
    return this.regions.open(name, bytes);
  }

  /** A pipe of that name over a source; add its stages, then `run()` it. The name finds the cursor again. */
  pipe<T>(name: string, source: Source<T>): Pipe<T> {
    this.ensureOpen();
    return Pipe.begin(this, name, source);
  }

  /**
   * The table of that name: made, or found again as it was. Optional fields and indexes that it did not have yet are added; any other difference is LAYOUT.
   * NOT_FOUND in a reader when there is none.
   */
  table<const S extends TableSchema>(
    name: string,
    schema: S,
    options: TableOptions = {},
  ): Table<Row<S>, NewRow<S>> {
    this.ensureOpen();
    const { tableRegistry } = this;
    return new Table(tableRegistry.open(name, schema, options), tableRegistry);
  }

  /**
   * The ternary memory of that name: made, or found again as it was. Its code comes with `import "perdure/ternary"`; UNSUPPORTED without. NOT_FOUND in a
   * reader when there is none.
   */
  ternary(name: string, options: TernaryOptions = {}): TernaryMemory {
    this.ensureOpen();
    if (parts.ternary === undefined)
      throw new PerdureError("UNSUPPORTED", 'ternary memory is a part of its own: import "perdure/ternary"');
    return parts.ternary(this, name, options);
  }

  // Commits

  /** Makes everything since the last commit permanent, as one. Returns its sequence. */
  commit(options?: { durability?: Durability }): number {
    this.ensureOpen();
    this.refuseInside("commit()");
    return this.commitNow(durabilityOf(options?.durability, this.settings.durability) === "flush");
  }

  /** Resolves when everything committed so far is durable; to its sequence. */
  async flushed(): Promise<number> {
    this.ensureOpen();
    return this.engine.pager.flushed();
  }

  /** Back to the last commit. Ends SUSPENDED. */
  rollback(): void {
    this.ensureOpen();
    this.refuseInside("rollback()");
    this.engine.rollback();
  }

  /** Runs `body`; commits what it did as one, or rolls it back when it throws. */
  transaction<T>(body: () => T, options?: { durability?: Durability }): T {
    this.ensureOpen();
    const durable = durabilityOf(options?.durability, this.settings.durability) === "flush";
    return runTransaction(this, body, durable);
  }

  /** Suspends the automatic commit until it is disposed of, across awaits too. */
  hold(): Disposable {
    this.ensureOpen();
    return this.auto.hold();
  }

  /** Sequences of commits as they are made, from now on. In a reader: as they appear in the file; `refresh()` shows them. */
  commits(options: { signal?: AbortSignal } = {}): AsyncIterable<number> {
    this.ensureOpen();
    return followCommits(this, options.signal);
  }

  /** Moves a reader to the newest commit; returns the sequence that is shown. In a writer: that of the last commit. */
  refresh(): number {
    this.ensureOpen();
    const { reader } = this.origin;
    if (reader === null) return this.sequence;
    const now = reader.refresh();
    if (now === this.shown) return now;
    this.engine.showAnother();
    this.shown = now;
    this.dispatchEvent(new Event("refresh"));
    return now;
  }

  // Looking after it

  stats(): MemoryStats {
    this.ensureOpen();
    return statsOf(this);
  }

  /** Accounts for every slot of the file and every block of the heap. Changes nothing. */
  check(options: { all?: boolean } = {}): CheckReport {
    this.ensureOpen();
    return checkMemory(this, options.all === true);
  }

  /** Writes a consistent copy of the last commit and all snapshots to a new file, while writing goes on. Never overwrites. */
  async backup(path: string, options: CopyOptions = {}): Promise<void> {
    this.ensureOpen();
    this.refuseInside("backup()");
    if (!this.readOnly && this.engine.halt === null && this.engine.dirty) this.commitNow(false);
    const { place, name } = this.origin.locate(path);
    const { pager, reader } = this.origin;
    if (pager !== null) await pager.backup(place, name, options);
    else if (reader !== null) await reader.backup(place, name, options);
    else throw new PerdureError("UNSUPPORTED", "back up the memory itself; it takes its snapshots along");
  }

  /** Replaces the file by a dense copy. Commits are refused with BUSY until it is done; the automatic one waits. */
  async compact(options: CopyOptions = {}): Promise<void> {
    this.ensureOpen();
    this.refuseInside("compact()");
    this.engine.ensureWritable();
    const hold = this.auto.hold();
    try {
      this.commitNow(false);
      await this.engine.pager.compact(options);
    } finally {
      hold[Symbol.dispose]();
    }
  }

  /** Commits, and lets go of the file. A suspended change is dropped. Idempotent. */
  close(): void {
    if (!this.isOpen) return;
    this.refuseInside("close()");
    this.auto.stop();
    try {
      if (!this.readOnly && this.engine.halt?.code !== "SUSPENDED" && this.engine.dirty)
        this.commitNow(false);
    } finally {
      this.letGo();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** At a clean end of the process. @internal */
  finish(): void {
    if (!this.isOpen) return;
    // A transaction that the process ended in never happened.
    if (this.depth > 0) this.engine.rollback();
    this.depth = 0;
    // What is held is not to be committed by itself.
    if (this.settings.autoCommit && !this.auto.held) this.close();
    else this.letGo();
  }

  private addressOf(p: Ptr): number {
    this.ensureOpen();
    if (!(p instanceof Ptr) || p.memory !== this)
      throw new PerdureError("INVALID_ARGUMENT", "that is no pointer into this memory");
    return p.address;
  }

  private refuseWatched(address: number, what: string): void {
    if (this.engine.watches.size === 0) return;
    const { functions } = this.engine.core;
    const size = this.engine.ask(() => functions.sizeOf(address));
    if (this.engine.isWatched(address, size))
      throw new PerdureError(
        "BUSY",
        `${what}: a view of the block at ${hex(address)} is open; close it first`,
      );
  }

  private refusal(result: number, what: () => string): PerdureError {
    const code: ErrorCode = this.engine.core.codeOf(result) ?? "CORRUPT";
    return new PerdureError(code, `${what()}: ${REFUSALS[code] ?? "refused"}`);
  }
}

const ADDRESS_MIN = 0x10000;

const REFUSALS: { readonly [code in ErrorCode]?: string } = {
  OUT_OF_MEMORY:
    "no memory of that size; release some, open with a larger `maxBytes`, or close writable views",
  INVALID_ALIGNMENT: "the alignment must be a power of two from 1 to 4096",
  INVALID_ADDRESS: "no live block starts there",
  DOUBLE_FREE: "the block there was released before",
  BUSY: "a view of that memory is open; close it first",
};

function isSize(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function sizeError(size: number): PerdureError {
  if (Number.isInteger(size) && size >= 2 ** 32)
    return new PerdureError("OUT_OF_MEMORY", `${size} bytes are more than linear memory has; use a region`);
  return new PerdureError("INVALID_ARGUMENT", `a size is a whole number of bytes, not ${String(size)}`);
}

function alignmentError(align: unknown): PerdureError {
  return new PerdureError(
    "INVALID_ALIGNMENT",
    `the alignment must be a power of two from 1 to 4096, not ${String(align)}`,
  );
}
