/**
 * How the rows of a definition lie in their records: docs/TABLES.md §3. Fixed fields have an offset, all others an entry among the ends.
 */
import { PerdureError } from "../../base/errors.js";
import {
  type BaseType,
  baseOf,
  type Definition,
  FIXED_BYTES,
  type FixedType,
  isFixed,
  isOptional,
  quote,
  textOf,
} from "./schema.js";

/** The longest record. */
export const RECORD_MAX = 2000;
/** A reference to a run: u64 page, u32 bytes. */
export const REFERENCE_BYTES = 12;
const ENTRIES_MAX = 255;

/** Of a record. */
export const LENGTH = 0;
export const ENTRY_COUNT = 2;
export const NULL_BITS = 3;

/** Of an end. */
export const END_MASK = 0x1fff;
export const END_IN_RUN = 0x4000;
export const END_NULL = 0x8000;

export interface Column {
  /** Among the columns of its layout. */
  readonly index: number;
  readonly name: string;
  readonly type: BaseType;
  readonly optional: boolean;
  /** Where a fixed field lies in the record; 0 for one that is an entry. */
  readonly offset: number;
  /** Offset and mask of the bit that says it is null; 0 when there is none. */
  readonly nullOffset: number;
  readonly nullMask: number;
  /** Its number among the ends; −1 for a fixed field. */
  readonly entry: number;
}

export class RecordLayout {
  /** In storage order. */
  readonly columns: readonly Column[];
  readonly fixed: readonly Column[];
  /** By entry. */
  readonly variable: readonly Column[];
  readonly byName: ReadonlyMap<string, Column>;
  /** Where the fixed fields begin, behind the null bits. */
  readonly fixedStart: number;
  /** Where the ends begin. */
  readonly ends: number;
  /** The definition as text. */
  readonly text: string;

  /** LIMIT when a record could not hold all fields. */
  constructor(
    /** For messages. */
    readonly table: string,
    readonly definition: Definition,
  ) {
    const { fields, added } = definition;
    const optionals = fields.filter(({ type }) => isFixed(baseOf(type)) && isOptional(type)).length;
    this.fixedStart = NULL_BITS + Math.max(1, Math.ceil(optionals / 8));
    let offset = this.fixedStart;
    let nulls = 0;
    let entries = 0;
    const columns: Column[] = [];
    for (const { name, type } of fields) {
      const base = baseOf(type);
      const optional = isOptional(type);
      if (!isFixed(base)) {
        columns.push(entryColumn(columns.length, name, base, optional, entries++));
        continue;
      }
      const nullOffset = optional ? NULL_BITS + (nulls >>> 3) : 0;
      const nullMask = optional ? 1 << (nulls++ & 7) : 0;
      columns.push({
        index: columns.length,
        name,
        type: base,
        optional,
        offset,
        nullOffset,
        nullMask,
        entry: -1,
      });
      offset += FIXED_BYTES[base];
    }
    for (const { name, type } of added)
      columns.push(entryColumn(columns.length, name, baseOf(type), true, entries++));
    const longest = offset + entries * (2 + REFERENCE_BYTES);
    if (longest > RECORD_MAX || entries > ENTRIES_MAX)
      throw new PerdureError(
        "LIMIT",
        `table ${quote(table)} has too many fields: together they need ${longest} of ${RECORD_MAX} bytes, and ${ENTRIES_MAX} may be text, bytes, json or added`,
      );
    this.columns = columns;
    this.fixed = columns.filter(({ entry }) => entry < 0);
    this.variable = columns.filter(({ entry }) => entry >= 0);
    this.byName = new Map(columns.map((column) => [column.name, column]));
    this.ends = offset;
    this.text = textOf(definition);
  }
}

/** Bytes of a field that is an entry though its type is fixed. */
export const fixedBytesOf = (type: BaseType): number => FIXED_BYTES[type as FixedType] ?? 0;

function entryColumn(index: number, name: string, type: BaseType, optional: boolean, entry: number): Column {
  return { index, name, type, optional, offset: 0, nullOffset: 0, nullMask: 0, entry };
}
