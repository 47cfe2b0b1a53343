/**
 * Rows as live views on memory. The class of a table's rows has a getter and a setter for each field, which read and write the record where it lies: nothing is decoded
 * that is not asked for.
 *
 * Invariant: as long as the epoch of the block states is the one that a row has, its address is that of its record, and the block is present.
 * Otherwise the row looks its record up again; NOT_FOUND when it was deleted.
 */
import type { Core } from "../../core.js";
import { type Column, END_IN_RUN, END_MASK, ENTRY_COUNT, fixedBytesOf, type RecordLayout } from "./layout.js";
import { entryAt } from "./record-writer.js";
import type { FixedType } from "./schema.js";
import { getText } from "./text.js";
import { getFixed } from "./values.js";

/** The id of a row: `row[rowId]`. */
export const rowId: unique symbol = Symbol("perdure.rowId");

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** What rows need of their table. */
export interface RowSource {
  readonly core: Core;
  readonly layout: RecordLayout;
  /** Where in memory the epoch of the block states is. */
  readonly epochAt: number;
  /** The address of a row's record. NOT_FOUND, CLOSED. */
  locate(id: number): number;
  /** Another value for one field of the row whose record is at an address. */
  set(id: number, address: number, column: Column, value: unknown): void;
  /** The value in the run to which the bytes at an address refer. */
  valueInRun(at: number): Uint8Array;
}

/**
 * What a row knows. Keyed by symbols, so that what goes over its keys meets its fields alone; private fields of a class that others extend cost three times as much to make
 * (65 ns against 26).
 */
const SOURCE = Symbol("source");
const ID = Symbol("id");
const ADDRESS = Symbol("address");
const EPOCH = Symbol("epoch");

export class RowView {
  declare readonly [SOURCE]: RowSource;
  declare readonly [ID]: number;
  declare [ADDRESS]: number;
  declare [EPOCH]: number;

  constructor(source: RowSource, id: number, address: number, epoch: number) {
    this[SOURCE] = source;
    this[ID] = id;
    this[ADDRESS] = address;
    this[EPOCH] = epoch;
  }

  get [rowId](): number {
    return this[ID];
  }

  /** A plain object with the values as they are now. */
  toObject(): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    const self = this as unknown as Record<string, unknown>;
    for (const { name } of this[SOURCE].layout.columns) values[name] = self[name];
    return values;
  }

  /** JSON has neither integers of 64 bits nor bytes: they are decimal text and base64 there. */
  toJSON(): Record<string, unknown> {
    const values = this.toObject();
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === "bigint") values[name] = String(value);
      else if (value instanceof Uint8Array) values[name] = base64Of(value);
    }
    return values;
  }

  [INSPECT](): Record<string, unknown> {
    return this.toObject();
  }
}

/** Whose row this is. */
export const sourceOf = (row: RowView): RowSource => row[SOURCE];

/** Where its record is. */
function addressOf(row: RowView): number {
  const { core, epochAt } = row[SOURCE];
  if (row[EPOCH] !== core.data.getUint32(epochAt, true)) {
    row[ADDRESS] = row[SOURCE].locate(row[ID]);
    // Looking it up may have moved windows.
    row[EPOCH] = core.data.getUint32(epochAt, true);
  }
  return row[ADDRESS];
}

function dataOf(row: RowView): DataView {
  return row[SOURCE].core.data;
}

export type RowClass = new (source: RowSource, id: number, address: number, epoch: number) => RowView;

/** The class of a table's rows. */
export function rowClassOf(layout: RecordLayout): RowClass {
  class TableRow extends RowView {}
  for (const column of layout.columns) {
    Object.defineProperty(TableRow.prototype, column.name, {
      enumerable: true,
      configurable: true,
      get: getterOf(column, layout),
      set(this: RowView, value: unknown) {
        this[SOURCE].set(this[ID], addressOf(this), column, value);
      },
    });
  }
  return TableRow;
}

type Getter = (this: RowView) => unknown;

/** Each a function of its own, so that what it reads is compiled into it. */
const FIXED_GETTERS: { readonly [type in FixedType]: (offset: number) => Getter } = {
  u8: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getUint8(at + offset);
    },
  i8: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getInt8(at + offset);
    },
  u16: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getUint16(at + offset, true);
    },
  i16: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getInt16(at + offset, true);
    },
  u32: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getUint32(at + offset, true);
    },
  i32: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getInt32(at + offset, true);
    },
  f32: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getFloat32(at + offset, true);
    },
  f64: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getFloat64(at + offset, true);
    },
  u64: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getBigUint64(at + offset, true);
    },
  i64: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getBigInt64(at + offset, true);
    },
  bool: (offset) =>
    function (this: RowView) {
      const at = addressOf(this);
      return dataOf(this).getUint8(at + offset) !== 0;
    },
};

function getterOf(column: Column, layout: RecordLayout): Getter {
  if (column.entry >= 0)
    return function (this: RowView) {
      return entryValue(sourceOf(this), column, layout, addressOf(this));
    };
  const get = FIXED_GETTERS[column.type as FixedType](column.offset);
  const { optional, nullOffset, nullMask } = column;
  if (!optional) return get;
  return function (this: RowView) {
    const at = addressOf(this);
    return (dataOf(this).getUint8(at + nullOffset) & nullMask) !== 0 ? null : get.call(this);
  };
}

/** The value of a column in a record, as it would be given. */
export function valueIn(source: RowSource, column: Column, record: number): unknown {
  const { core, layout } = source;
  if (column.entry >= 0) return entryValue(source, column, layout, record);
  const isNull = column.optional && (core.bytes[record + column.nullOffset] & column.nullMask) !== 0;
  return isNull ? null : getFixed(core.data, record + column.offset, column.type);
}

function entryValue(source: RowSource, column: Column, layout: RecordLayout, record: number): unknown {
  const { bytes, data } = source.core;
  const { entry } = column;
  const count = bytes[record + ENTRY_COUNT];
  if (entry >= count) return null;
  const at = record + layout.ends + 2 * entry;
  const end = data.getUint16(at, true);
  if (end > END_MASK) {
    if ((end & END_IN_RUN) === 0) return null;
    const value = source.valueInRun(entryAt(source.core, layout, record, entry).start);
    return decode(column, value, 0, value.length);
  }
  const start = entry === 0 ? layout.ends + 2 * count : data.getUint16(at - 2, true) & END_MASK;
  return decode(column, bytes, record + start, record + end);
}

function decode({ type }: Column, bytes: Uint8Array, start: number, end: number): unknown {
  switch (type) {
    case "string":
      return getText(bytes, start, end);
    case "json":
      return JSON.parse(getText(bytes, start, end));
    case "bytes":
      return bytes.slice(start, end);
    default: {
      const view = new DataView(bytes.buffer, bytes.byteOffset + start, fixedBytesOf(type));
      return getFixed(view, 0, type);
    }
  }
}

function base64Of(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 4096) binary += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(binary);
}
