/**
 * The tables of a memory for those who do not know them: what there is, and each opened as it was made. Definitions are stored as text (docs/TABLES.md §5), so
 * nothing but the memory is needed.
 */
import { PerdureError } from "../../base/errors.js";
import { definitionAt, indexRecords } from "./indexes.js";
import { definitionIn, quote, schemaOf, type TableSchema } from "./schema.js";
import { TABLE, textAt } from "./storage.js";
import { Table } from "./table.js";
import type { Tables } from "./tables.js";

export interface TableStatus {
  readonly name: string;
  readonly rows: number;
  /** As `memory.table` takes it. */
  readonly schema: TableSchema;
  /** By name; as `memory.table` takes them. */
  readonly indexes: Readonly<Record<string, { readonly on: readonly string[]; readonly unique: boolean }>>;
  /** A migration is unfinished: until it is done the table cannot be opened. */
  readonly migrating: boolean;
}

/** A row of a table whose schema the program does not know. */
export type AnyRow = Record<string, unknown>;

export class TableCatalog {
  /** @internal */
  constructor(private readonly tables: Tables) {}

  /** Every table, in the order in which they were made. */
  list(): TableStatus[] {
    const { registry, memory } = this.tables;
    const { engine } = memory;
    return registry.entries().map(({ name, address }) => {
      const stored = definitionIn(textAt(engine, address, TABLE.definition).text);
      const { data } = engine.core;
      const rows = Number(data.getBigUint64(address + TABLE.rows, true));
      const migrating = data.getUint32(address + TABLE.target, true) !== 0;
      const first = data.getUint32(address + TABLE.indexes, true);
      const indexes: Record<string, { on: readonly string[]; unique: boolean }> = {};
      for (const record of indexRecords(engine, first)) {
        const { name: index, on, unique } = definitionAt(engine, record);
        indexes[index] = { on, unique };
      }
      return { name, rows, schema: schemaOf(stored), indexes, migrating };
    });
  }

  has(name: string): boolean {
    return this.tables.registry.find(name) !== null;
  }

  /** The table as it was made, with its indexes as they are. NOT_FOUND; LAYOUT while a migration is unfinished. */
  open(name: string): Table<AnyRow> {
    const { registry, memory } = this.tables;
    const entry = registry.find(name);
    if (entry === null) throw new PerdureError("NOT_FOUND", `there is no table ${quote(name)}`);
    const stored = definitionIn(textAt(memory.engine, entry.address, TABLE.definition).text);
    return new Table(this.tables.open(name, schemaOf(stored), {}), this.tables);
  }
}
