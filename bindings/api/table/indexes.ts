/**
 * The indexes of a table: for each a B+tree from keys, made of one or more fields, to row ids. docs/TABLES.md §6.
 *
 * Invariant: outside of a change, a finished index has exactly one entry for each row. Entries that are to come are inserted before anything is taken
 * away, so whatever is refused (DUPLICATE, LIMIT, OUT_OF_MEMORY) is undone by taking out what has just been put in, which needs no memory.
 */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import { KeyEncoder, type KeyField, type KeyType } from "./keys.js";
import type { Column, RecordLayout } from "./layout.js";
import { quote } from "./schema.js";
import { Tree } from "./tree.js";

/** Which fields an index has, in order, and whether no two rows may agree in all of them. Rows with a null among them may. */
export interface IndexOptions {
  readonly on: string | readonly string[];
  readonly unique?: boolean;
}

export interface IndexDefinition {
  readonly name: string;
  readonly on: readonly string[];
  readonly unique: boolean;
}

/** Of an index record. */
export const INDEX = { tree: 0, next: 4, built: 8, textBytes: 16, text: 24 } as const;
/** What `built` is when all rows are in it. */
export const ALL_BUILT = 2 ** 53;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Index {
  readonly tree: Tree;
  readonly columns: readonly Column[];
  /** Of keys without the row's id, and with it. */
  private readonly plain: KeyEncoder;
  private readonly withId: KeyEncoder;

  constructor(
    private readonly engine: Engine,
    layout: RecordLayout,
    readonly definition: IndexDefinition,
    /** Address of its record. */
    readonly record: number,
  ) {
    const { name, on } = definition;
    engine.ensure(record, INDEX.text, false);
    this.tree = new Tree(engine, engine.core.data.getUint32(record + INDEX.tree, true), name);
    this.columns = on.map((field) => columnOf(layout, name, field));
    const fields = this.columns.map(
      (column): KeyField => ({ name: column.name, type: column.type as KeyType, optional: column.optional }),
    );
    this.plain = new KeyEncoder(engine.core, name, fields);
    this.withId = new KeyEncoder(engine.core, name, [...fields, { name: "row id", type: "id" }]);
  }

  /** Adds the row with these values. DUPLICATE, LIMIT and whatever else is refused changes nothing. */
  insert(values: readonly unknown[], id: number): void {
    this.tree.insert(this.put(values, id), id);
  }

  delete(values: readonly unknown[], id: number): void {
    this.tree.delete(this.put(values, id));
  }

  /** The id of the first row whose key begins with these values; −1 for none. */
  find(values: readonly unknown[]): number {
    const length = this.plain.encode(values);
    const isWhole = values.length === this.columns.length && this.isDistinct(values);
    return isWhole ? this.tree.find(length) : this.tree.findFirst(length);
  }

  /** A walk over the ids of rows from these values to those, both included; undefined is no limit. */
  walk(from: readonly unknown[] | undefined, to: readonly unknown[] | undefined, reverse: boolean) {
    const first = from === undefined ? null : this.plain.bound(from, false);
    const limit = to === undefined ? null : this.plain.bound(to, true);
    return this.tree.cursor(first, limit, reverse);
  }

  /** A copy of the key of a row with these values. */
  keyOf(values: readonly unknown[], id: number): Uint8Array {
    const length = this.put(values, id);
    const { bytes, constants } = this.engine.core;
    return bytes.slice(constants.EXCHANGE, constants.EXCHANGE + length);
  }

  /** The values of its fields among those of a row. */
  valuesOf(taken: readonly unknown[]): unknown[] {
    return this.columns.map(({ index }) => taken[index]);
  }

  /** False while it is being built. */
  get isBuilt(): boolean {
    return this.built === ALL_BUILT;
  }

  /** Rows below this id are in it. */
  get built(): number {
    this.engine.ensure(this.record, INDEX.text, false);
    return Number(this.engine.core.data.getBigUint64(this.record + INDEX.built, true));
  }

  set built(id: number) {
    this.engine.ensure(this.record, INDEX.text, true);
    this.engine.core.data.setBigUint64(this.record + INDEX.built, BigInt(id), true);
  }

  /** Puts the key of a row into the exchange area; its bytes. */
  private put(values: readonly unknown[], id: number): number {
    return this.isDistinct(values) ? this.plain.encode(values) : this.withId.encode([...values, id]);
  }

  /** Whether no other row may have these values. */
  private isDistinct(values: readonly unknown[]): boolean {
    if (!this.definition.unique) return false;
    for (let i = 0; i < values.length; i++) if (values[i] === null || values[i] === undefined) return false;
    return true;
  }
}

/** The definitions of options, in the order of their names. INVALID_ARGUMENT. */
export function definitionsOf(
  layout: RecordLayout,
  options: Readonly<Record<string, IndexOptions>>,
): IndexDefinition[] {
  return Object.entries(options).map(([name, { on, unique = false }]) => {
    const fields = typeof on === "string" ? [on] : [...(on ?? [])];
    if (
      name === "" ||
      fields.length === 0 ||
      typeof unique !== "boolean" ||
      new Set(fields).size < fields.length
    )
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `table ${quote(layout.table)}: index ${quote(name)} has a name and fields, each once`,
      );
    for (const field of fields) columnOf(layout, name, field);
    return { name, on: fields, unique };
  });
}

export const sameDefinition = (a: IndexDefinition, b: IndexDefinition): boolean =>
  a.unique === b.unique && a.on.join("\0") === b.on.join("\0");

/** Bytes of an index record. */
export const indexBytes = (text: Uint8Array): number => INDEX.text + text.length;

export const indexText = (definition: IndexDefinition): Uint8Array =>
  encoder.encode(JSON.stringify(definition));

/** The index records of a table, of which this is the first; 0 for none. */
export function* indexRecords(engine: Engine, first: number): Generator<number, void, undefined> {
  for (let record = first; record !== 0; ) {
    engine.ensure(record, INDEX.text, false);
    const next = engine.core.data.getUint32(record + INDEX.next, true);
    yield record;
    record = next;
  }
}

/** The definition in a record, which is present. */
export function definitionAt(engine: Engine, record: number): IndexDefinition {
  engine.ensure(record, INDEX.text, false);
  const length = engine.core.data.getUint32(record + INDEX.textBytes, true);
  engine.ensure(record, INDEX.text + length, false);
  const start = record + INDEX.text;
  try {
    return JSON.parse(decoder.decode(engine.core.bytes.subarray(start, start + length))) as IndexDefinition;
  } catch (cause) {
    throw new PerdureError("CORRUPT", "the definition of an index is damaged", { cause });
  }
}

function columnOf(layout: RecordLayout, index: string, field: string): Column {
  const column = layout.byName.get(field);
  if (column !== undefined && column.type !== "json") return column;
  const problem = column === undefined ? "there is no such field" : "json has no order";
  throw new PerdureError(
    "INVALID_ARGUMENT",
    `table ${quote(layout.table)}, index ${quote(index)}, field ${quote(field)}: ${problem}`,
  );
}
