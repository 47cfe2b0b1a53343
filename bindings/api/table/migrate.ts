/**
 * Another schema for a table that has rows: each is converted where it is, so ids and cursors stay good. The table's record says how far the conversion is, in the same
 * commits as the rows themselves; after a crash it goes on there, and no row is converted twice.
 */
import { PerdureError } from "../../base/errors.js";
import type { Memory } from "../memory.js";
import { layoutHash, type NamedEntry } from "../roots.js";
import type { TableHandle } from "./handle.js";
import { CHUNK_ROWS, dropIndex, mayCommit, rebuildIndexes, resetIndex } from "./index-build.js";
import { RecordLayout } from "./layout.js";
import { Scanner } from "./scan.js";
import {
  definitionIn,
  definitionOf,
  extended,
  type NewRow,
  quote,
  type Row,
  type TableSchema,
} from "./schema.js";
import { putText, TABLE, textAt } from "./storage.js";
import type { Tables } from "./tables.js";

/**
 * Converts a table from one schema to another and returns the rows that were converted; 0 when the table has the schema `to` already, so that a program may
 * call it at every start. `convert` gets a copy of each row and answers with the new one, or null to delete it. Indexes are built anew; those with fields
 * that are gone, or are json now, end. LAYOUT when the table has neither schema, or another migration is unfinished; NOT_FOUND.
 *
 * It commits by itself every 20,000 rows, without a flush, where commits are automatic, not held, and nothing of the program's is pending.
 */
export function migrate<const F extends TableSchema, const T extends TableSchema>(
  memory: Memory,
  name: string,
  from: F,
  to: T,
  convert: (row: Row<F>) => NewRow<T> | null,
): number {
  memory.ensureOpen();
  memory.engine.ensureWritable();
  const commits = mayCommit(memory);
  const { tableRegistry: tables } = memory;
  const entry = tables.registry.find(name);
  if (entry === null) throw new PerdureError("NOT_FOUND", `there is no table ${quote(name)}`);
  const target = new RecordLayout(name, definitionOf(name, to));
  if (!begin(memory, entry, name, from, to, target.text)) return 0;
  const source = new RecordLayout(
    name,
    definitionIn(textAt(memory.engine, entry.address, TABLE.definition).text),
  );
  const reader = tables.handleOf(name, source, entry.layout, true);
  const writer = tables.handleOf(name, target, entry.layout, true);
  const rows = convertRows(reader, writer, convert as (row: object) => object | null, commits);
  finish(tables, entry, target, reader);
  rebuildIndexes(tables.handleOf(name, target, layoutHash(memory.engine, target.text)), commits);
  return rows;
}

/** False when there is nothing to do. */
function begin(
  memory: Memory,
  entry: NamedEntry,
  name: string,
  from: TableSchema,
  to: TableSchema,
  target: string,
): boolean {
  const { engine, tableRegistry: tables } = memory;
  engine.ensure(entry.address, TABLE.bytes, false);
  if (engine.core.data.getUint32(entry.address + TABLE.target, true) !== 0) {
    if (textAt(engine, entry.address, TABLE.target).text === target) return true;
    throw new PerdureError("LAYOUT", `table ${quote(name)}: a migration to another schema is unfinished`);
  }
  const stored = definitionIn(textAt(engine, entry.address, TABLE.definition).text);
  if (isOf(name, stored, to)) return false;
  if (extended(name, stored, from) !== stored)
    throw new PerdureError(
      "LAYOUT",
      `table ${quote(name)} does not have all fields of the schema it is to have`,
    );
  const handle = tables.handleOf(name, new RecordLayout(name, stored), entry.layout);
  const layout = new RecordLayout(name, definitionOf(name, to));
  engine.changeAll(() => {
    for (const { definition } of handle.indexes) {
      const stays = definition.on.every((field) => (layout.byName.get(field)?.type ?? "json") !== "json");
      if (stays) resetIndex(handle, definition.name);
      else dropIndex(handle, definition.name);
    }
    putText(engine, entry.address, TABLE.target, target);
    handle.storage.writeU64(TABLE.progress, 0);
  });
  engine.generation++;
  return true;
}

function isOf(name: string, stored: ReturnType<typeof definitionIn>, schema: TableSchema): boolean {
  try {
    return extended(name, stored, schema) === stored;
  } catch (error) {
    if (error instanceof PerdureError && error.code === "LAYOUT") return false;
    throw error;
  }
}

function convertRows(
  reader: TableHandle,
  writer: TableHandle,
  convert: (row: object) => object | null,
  commits: boolean,
): number {
  const { memory, engine, storage } = reader;
  const scanner = new Scanner(reader, storage.readU64(TABLE.progress), storage.end);
  let rows = 0;
  while (scanner.next()) {
    const { id } = scanner;
    const { generation } = engine;
    const converted = convert(reader.rowAt(id, scanner.address).toObject());
    if (engine.generation !== generation)
      throw new PerdureError(
        "BUSY",
        `table ${quote(reader.name)}: its conversion has rolled the memory back`,
      );
    if (converted === null) engine.changeAll(() => reader.delete(id));
    else writer.replace(id, converted, reader);
    storage.writeU64(TABLE.progress, id + 1);
    if (++rows % CHUNK_ROWS === 0 && commits) memory.commitNow(false);
  }
  return rows;
}

/** The table has the new schema from now on. */
function finish(
  tables: Tables,
  entry: NamedEntry,
  target: RecordLayout,
  { engine, storage, name }: TableHandle,
): void {
  const before = textAt(engine, entry.address, TABLE.definition);
  engine.changeAll(() => {
    storage.writeU32(TABLE.definition, storage.readU32(TABLE.target));
    storage.writeU32(TABLE.definition + 4, storage.readU32(TABLE.target + 4));
    storage.writeU32(TABLE.target, 0);
    storage.writeU32(TABLE.target + 4, 0);
    storage.writeU64(TABLE.progress, 0);
    engine.release(before.address);
    tables.registry.set(name, entry.address, layoutHash(engine, target.text));
  });
  engine.generation++;
}
