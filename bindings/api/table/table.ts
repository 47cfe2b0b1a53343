/**
 * Tables: rows of one schema, kept in high memory, found by their ids, in order, or through indexes. Rows are live views: reading a field reads memory, assigning
 * one writes it. docs/TABLES.md says how they lie there.
 */
import { PerdureError } from "../../base/errors.js";
import type { TableHandle } from "./handle.js";
import { RowView, rowId, sourceOf } from "./row.js";
import { RowIterator, Scanner } from "./scan.js";
import { quote } from "./schema.js";
import { TABLE } from "./storage.js";

/** At least 512, below 2⁵³. Good as long as its row lives; another row may have it later. */
export type RowId = number;

/** A row as it is met: `row[rowId]` is its id. */
export type TableRow<R> = R & { readonly [rowId]: RowId };

/** `R` is a row as it is read, `N` as it is given. */
export class Table<R, N = R> {
  /** Made by `Memory.table`. @internal */
  constructor(
    /** @internal */
    readonly handle: TableHandle,
  ) {}

  get name(): string {
    return this.handle.name;
  }

  /** Rows. */
  get count(): number {
    this.handle.ensureCurrent();
    return this.handle.storage.readU64(TABLE.rows);
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

function idOrZero(id: unknown): number {
  if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return id;
  throw new PerdureError("INVALID_ARGUMENT", `a row id is a whole number, not ${String(id)}`);
}
