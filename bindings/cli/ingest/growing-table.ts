/**
 * A table that records of any shape go into: made with the fields of the first one, and given an optional field for each that comes later. A record that cannot be a
 * row is kept in a table beside it, with the reason. It is where a pipe ends, so fields, rows and rejects are part of the same commits as the pipe's cursor.
 */
import { type ErrorCode, PerdureError } from "../../base/errors.js";
import type { AnyRow, ColumnType, IndexOptions, Memory, Table } from "../../index.js";
import { FORMATS, type Format } from "./input.js";
import { converted } from "./values.js";

/** What a pipe says of a record that its source could not read. */
interface Letter {
  pipe: string;
  reason: string;
  data: Uint8Array;
}

/** With these a table refuses a record, and nothing else is wrong. */
const REFUSALS: readonly ErrorCode[] = ["INVALID_ARGUMENT", "DUPLICATE", "LIMIT"];

const encoder = new TextEncoder();

export class GrowingTable {
  /** Records that the table has refused. */
  rejected = 0;
  private table: Table<AnyRow> | null = null;
  private readonly schema = new Map<string, ColumnType>();
  private rejects: Table<Letter> | null = null;
  private indexes: Readonly<Record<string, IndexOptions>> = {};

  /** Opens the table if there is one; `unique` is a field that is to have a unique index. LAYOUT, DUPLICATE. */
  constructor(
    private readonly memory: Memory,
    readonly name: string,
    private readonly format: Format,
    private readonly pipe: string,
    private readonly unique: string | null,
  ) {
    const known = memory.tables.list().find((each) => each.name === name);
    if (known === undefined) return;
    for (const [field, type] of Object.entries(known.schema)) this.schema.set(field, type);
    this.indexes = known.indexes;
    this.declare();
  }

  get rows(): number {
    return this.table?.count ?? 0;
  }

  get rejectsName(): string {
    return `${this.name}.rejected`;
  }

  hasField(field: string): boolean {
    return this.schema.has(field);
  }

  /** Where the pipe's own rejects go: the same table. */
  get deadLetters(): { name: string; insert(letter: Letter): void } {
    return { name: this.rejectsName, insert: (letter) => this.keep(letter) };
  }

  insert(value: unknown): void {
    const record = this.format === "lines" ? { line: value } : value;
    if (!isObject(record)) {
      this.reject(record, "a record is an object with fields");
      return;
    }
    const unknown = Object.entries(record).filter(
      ([field, each]) => each !== null && each !== undefined && !this.schema.has(field),
    );
    const types = new Map(unknown.map(([field, each]) => [field, typeFor(each)]));
    if (this.table === null && types.size === 0) {
      this.reject(record, "it has no field that tells what the table is to have");
      return;
    }
    // Without a table there is nothing that the record could be refused by: then it is the whole that is wrong.
    const table = this.table ?? this.declare(types);
    try {
      (types.size > 0 ? this.declare(types) : table).insert(this.rowOf(record));
    } catch (error) {
      if (!(error instanceof PerdureError && REFUSALS.includes(error.code))) throw error;
      this.reject(record, error.message);
    }
  }

  /** Makes the table, or adds fields and what is missing of its indexes. */
  private declare(more: ReadonlyMap<string, ColumnType> = new Map()): Table<AnyRow> {
    const { memory, name, unique } = this;
    const schema = new Map([...this.schema, ...more]);
    const added = unique !== null && schema.has(unique) ? { [unique]: { on: unique, unique: true } } : {};
    const indexes = { ...this.indexes, ...added };
    const table: Table<AnyRow, AnyRow> = memory.table(name, Object.fromEntries(schema), { indexes });
    for (const [field, type] of more) this.schema.set(field, type);
    this.indexes = indexes;
    this.table = table;
    return table;
  }

  private rowOf(record: AnyRow): AnyRow {
    const { isText } = FORMATS[this.format];
    const row: AnyRow = {};
    for (const [field, value] of Object.entries(record)) {
      const type = this.schema.get(field);
      if (type !== undefined) row[field] = converted(type, value, isText);
    }
    return row;
  }

  private reject(record: unknown, reason: string): void {
    this.keep({ pipe: this.pipe, reason, data: encoder.encode(JSON.stringify(record)) });
    this.rejected++;
  }

  private keep(letter: Letter): void {
    this.rejects ??= this.memory.table(this.rejectsName, { pipe: "string", reason: "string", data: "bytes" });
    this.rejects.insert(letter);
  }
}

const isObject = (value: unknown): value is AnyRow =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function typeFor(value: unknown): ColumnType {
  if (typeof value === "string") return "string?";
  if (typeof value === "number") return "f64?";
  return typeof value === "boolean" ? "bool?" : "json?";
}
