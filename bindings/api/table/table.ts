/**
 * Tables: rows of one schema, kept in high memory, found by their ids, in order, or through indexes. Rows are live views: reading a field reads memory, assigning
 * one writes it. docs/TABLES.md says how they lie there.
 */
import { PerdureError } from "../../base/errors.js";
import type { Reader, Source, Start } from "../pipe/source.js";
import { followTable } from "./follow.js";
import type { TableHandle } from "./handle.js";
import { dropIndex } from "./index-build.js";
import { TableReader } from "./pipe-source.js";
import { RowView, rowId, sourceOf } from "./row.js";
import { RowIterator, Scanner } from "./scan.js";
import { quote } from "./schema.js";
import { TABLE } from "./storage.js";
import type { Tables } from "./tables.js";
import type { TreeCursor } from "./tree-cursor.js";

/** At least 512, below 2⁵³. Good as long as its row lives; another row may have it later. */
export type RowId = number;

/** A row as it is met: `row[rowId]` is its id. */
export type TableRow<R> = R & { readonly [rowId]: RowId };

/** `R` is a row as it is read, `N` as it is given. */
export class Table<R, N = R> implements Source<TableRow<R>> {
  /** As the source of a pipe. */
  readonly kind = "table";

  /** Made by `Memory.table`. @internal */
  constructor(
    /** @internal */
    readonly handle: TableHandle,
    private readonly tables: Tables,
  ) {}

  /** @internal */
  get label(): string {
    return this.name;
  }

  /** @internal */
  open(start: Start): Reader<TableRow<R>> {
    return new TableReader(this.handle, start);
  }

  get name(): string {
    return this.handle.name;
  }

  /** Rows. */
  get count(): number {
    this.handle.ensureCurrent();
    return this.handle.storage.readU64(TABLE.rows);
  }

  /** Bytes of the pages that the last commit has in the file, and of the indexes as they are now. */
  get bytes(): number {
    const { handle } = this;
    handle.ensureCurrent();
    const { source } = handle.memory.origin;
    return handle.indexes.reduce(
      (sum, { tree }) => sum + tree.statistics().bytes,
      handle.storage.bytesIn((block) => source.has(block)),
    );
  }

  /** A new row. INVALID_ARGUMENT names the field that is not what its type may be, or is not one; DUPLICATE; OUT_OF_MEMORY. */
  insert(row: N): RowId {
    return this.handle.insert(row as object);
  }

  /** The same for many; their ids. When one is refused, those before it stay: use a transaction for all or none. */
  insertMany(rows: Iterable<N>): RowId[] {
    const ids: RowId[] = [];
    for (const row of rows) ids.push(this.handle.insert(row as object));
    return ids;
  }

  get(id: RowId): TableRow<R> | undefined {
    const { handle } = this;
    handle.ensureCurrent();
    const address = handle.storage.find(id);
    return address === 0 ? undefined : (handle.rowAt(id, address) as unknown as TableRow<R>);
  }

  /** Other values for some fields. NOT_FOUND; as `insert`. */
  update(id: RowId, patch: Partial<N>): void {
    this.handle.update(id, patch);
  }

  /** True when there was such a row. */
  delete(id: RowId): boolean {
    return this.handle.delete(id);
  }

  /**
   * The rows there are, in the order of their ids, from this one on. Rows may be changed, inserted and deleted meanwhile: a deleted one is not met,
   * an updated one once, a new one at the end not.
   */
  scan(from: RowId = 0): IterableIterator<TableRow<R>> {
    const { handle } = this;
    handle.ensureCurrent();
    return new RowIterator(handle, new Scanner(handle, idOrZero(from), handle.storage.end));
  }

  /**
   * The first row with this key: a value, or as many values as the index has fields, or fewer. NOT_FOUND when there is no such index; BUSY in a reader
   * while it is being built.
   */
  find(index: string, key: unknown): TableRow<R> | undefined {
    const { handle } = this;
    const id = handle.indexNamed(index).find(valuesOf(key));
    return id < 0 ? undefined : this.get(id);
  }

  /**
   * Rows in the order of an index, from those with the key `from` to those with the key `to`, both included; undefined is no limit. With
   * `reverse` from the last to the first. Rows may be changed meanwhile: those that are there all the time, with the same key, are met once.
   */
  range(
    index: string,
    from?: unknown,
    to?: unknown,
    options: { reverse?: boolean } = {},
  ): IterableIterator<TableRow<R>> {
    const limits = [from, to].map((key) => (key === undefined ? undefined : valuesOf(key)));
    const cursor = this.handle.indexNamed(index).walk(limits[0], limits[1], options.reverse === true);
    return rowsOf(this, cursor);
  }

  /**
   * The rows from this id on, then every row that is inserted, as soon as it is committed; without an end, until the signal aborts or the memory is closed. Each
   * is given once. In a reader they come with `refresh()`.
   */
  follow(options: { from?: RowId; signal?: AbortSignal } = {}): AsyncIterable<TableRow<R>> {
    const { handle } = this;
    handle.ensureCurrent();
    return followTable(handle, idOrZero(options.from ?? 0), options.signal);
  }

  /** Ends an index. NOT_FOUND. */
  dropIndex(name: string): void {
    this.handle.ensureCurrent();
    this.handle.engine.ensureWritable();
    dropIndex(this.handle, name);
  }

  /** Gives everything back; the name is free again. BUSY while a pipe has a cursor on it. */
  drop(): void {
    this.tables.drop(this.handle);
  }

  /** Whoever scans from here meets none of the rows there are; while there is a follower, all that come. */
  get end(): RowId {
    this.handle.ensureCurrent();
    return this.handle.storage.end;
  }

  /** The id of a row that was read. INVALID_ARGUMENT for anything else. */
  rowIdOf(row: R): RowId {
    if (row instanceof RowView) {
      const source = sourceOf(row) as TableHandle;
      if (source.memory === this.handle.memory && source.name === this.name) return row[rowId];
    }
    throw new PerdureError("INVALID_ARGUMENT", `that is no row of table ${quote(this.name)}`);
  }

  [Symbol.iterator](): IterableIterator<TableRow<R>> {
    return this.scan();
  }
}

function* rowsOf<R, N>(table: Table<R, N>, cursor: TreeCursor): IterableIterator<TableRow<R>> {
  for (let id = cursor.next(); id >= 0; id = cursor.next()) {
    const row = table.get(id);
    if (row !== undefined) yield row;
  }
}

const valuesOf = (key: unknown): readonly unknown[] => (Array.isArray(key) ? key : [key]);

function idOrZero(id: unknown): number {
  if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return id;
  throw new PerdureError("INVALID_ARGUMENT", `a row id is a whole number, not ${String(id)}`);
}
