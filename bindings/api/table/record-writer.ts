/**
 * Puts the record of a row together, in the record area of linear memory, from where the engine takes it. Every value is checked against the
 * schema; nothing that the program can see changes.
 *
 * A record is written in two steps. `take` reads the values out of the program's object, which may run code of the program: getters, `toJSON`. `write`
 * runs none, so what it is given, the place of the old record, stays where it is.
 */
import { PerdureError } from "../../base/errors.js";
import type { Core } from "../../core.js";
import {
  type Column,
  END_IN_RUN,
  END_MASK,
  END_NULL,
  ENTRY_COUNT,
  fixedBytesOf,
  LENGTH,
  NULL_BITS,
  RECORD_MAX,
  REFERENCE_BYTES,
  type RecordLayout,
} from "./layout.js";
import { quote } from "./schema.js";
import { encodeText, MALFORMED, NO_ROOM, putText } from "./text.js";
import { lengthError, putFixed, VALUE_MAX, valueError } from "./values.js";

/** The values of a row by column, json as text; undefined where nothing was given. */
export type Taken = unknown[];

/** An entry of a record that is too long: its bytes, or a reference to a run. */
interface Part {
  bytes: Uint8Array;
  flags: number;
}

export class RecordWriter {
  /** Runs of the old record that the one last written does not refer to. */
  readonly replaced: { page: number; bytes: number }[] = [];
  private spare: Taken | null = null;

  constructor(
    private readonly core: Core,
    readonly layout: RecordLayout,
  ) {}

  /** INVALID_ARGUMENT for fields that there are not. Give it back with `done`. */
  take(values: object): Taken {
    const { layout } = this;
    if (typeof values !== "object" || values === null)
      throw new PerdureError("INVALID_ARGUMENT", `table ${quote(layout.table)}: a row is an object`);
    const taken = this.spare ?? new Array<unknown>(layout.columns.length);
    this.spare = null;
    let given = 0;
    for (let i = 0; i < layout.columns.length; i++) {
      const column = layout.columns[i];
      let value = (values as Record<string, unknown>)[column.name];
      if (value !== undefined) {
        given++;
        if (column.type === "json" && !(value === null && column.optional))
          value = this.textOf(column, value);
      }
      taken[i] = value;
    }
    let keys = 0;
    for (const _ in values) keys++;
    if (keys !== given) this.verifyNames(values);
    return taken;
  }

  /** The values are not needed any more. */
  done(taken: Taken): void {
    this.spare = taken;
  }

  /**
   * Writes a record; its bytes, or 0 when it is too long and `writeLong` must follow. What was not given is that of the record at `old`; when
   * there is none (0), null. INVALID_ARGUMENT names the field whose value its type does not have.
   */
  write(taken: Taken, old: number): number {
    const { core, layout } = this;
    const { bytes, data } = core;
    const at = core.constants.RECORD;
    if (this.replaced.length > 0) this.replaced.length = 0;
    if (old === 0) for (let i = NULL_BITS; i < layout.fixedStart; i++) bytes[at + i] = 0;
    else bytes.copyWithin(at + NULL_BITS, old + NULL_BITS, old + layout.ends);
    bytes[at + ENTRY_COUNT] = layout.variable.length;
    this.writeFixed(taken, old !== 0, at);
    let end = at + layout.ends + 2 * layout.variable.length;
    let isLong = false;
    for (let i = 0; i < layout.columns.length; i++) {
      const column = layout.columns[i];
      if (column.entry < 0) continue;
      const value = taken[i];
      let flags = 0;
      let next: number;
      if (value === undefined && old !== 0) {
        const range = entryAt(core, layout, old, column.entry);
        flags = range.flags;
        next = end + range.end - range.start;
        if (next > at + RECORD_MAX) next = NO_ROOM;
        else bytes.copyWithin(end, range.start, range.end);
      } else {
        if (old !== 0) this.noteReplaced(old, column.entry);
        if (value === null || value === undefined) {
          if (!column.optional) throw valueError(layout.table, column, value);
          flags = END_NULL;
          next = end;
        } else next = this.put(column, value, end, at + RECORD_MAX);
      }
      if (next === NO_ROOM) {
        // The values after it are still to be checked.
        isLong = true;
        next = at + layout.ends + 2 * layout.variable.length;
      }
      end = next;
      data.setUint16(at + layout.ends + 2 * column.entry, (end - at) | flags, true);
    }
    if (isLong) return 0;
    data.setUint16(at + LENGTH, end - at, true);
    return end - at;
  }

  /** What `write` could not: the longest values go to runs, which `store` makes. */
  writeLong(taken: Taken, old: number, store: (bytes: Uint8Array) => number): number {
    const { core, layout } = this;
    const parts = this.partsOf(taken, old);
    let length = layout.ends + 2 * parts.length;
    for (const { bytes } of parts) length += bytes.length;
    const long: Part[] = [];
    while (length > RECORD_MAX) {
      const left = parts.filter((part) => part.flags === 0 && !long.includes(part));
      const longest = left.reduce((a, b) => (b.bytes.length > a.bytes.length ? b : a));
      long.push(longest);
      length += REFERENCE_BYTES - longest.bytes.length;
    }
    for (const part of long) {
      part.bytes = referenceTo(store(part.bytes), part.bytes.length);
      part.flags = END_IN_RUN;
    }
    const { bytes, data } = core;
    const at = core.constants.RECORD;
    let end = at + layout.ends + 2 * parts.length;
    for (const [entry, part] of parts.entries()) {
      bytes.set(part.bytes, end);
      end += part.bytes.length;
      data.setUint16(at + layout.ends + 2 * entry, (end - at) | part.flags, true);
    }
    data.setUint16(at + LENGTH, end - at, true);
    return end - at;
  }

  private writeFixed(taken: Taken, hasOld: boolean, at: number): void {
    const { layout } = this;
    const { bytes, data } = this.core;
    for (let i = 0; i < layout.columns.length; i++) {
      const column = layout.columns[i];
      if (column.entry >= 0) continue;
      const value = taken[i];
      if (value === undefined && hasOld) continue;
      if (value === null || value === undefined) {
        if (!column.optional) throw valueError(layout.table, column, value);
        bytes[at + column.nullOffset] |= column.nullMask;
        bytes.fill(0, at + column.offset, at + column.offset + fixedBytesOf(column.type));
        continue;
      }
      if (!putFixed(data, at + column.offset, column.type, value))
        throw valueError(layout.table, column, value);
      if (column.nullMask !== 0) bytes[at + column.nullOffset] &= ~column.nullMask;
    }
  }

  /** Writes a value that is not null; where it ends, or NO_ROOM. */
  private put(column: Column, value: unknown, at: number, limit: number): number {
    const { bytes, data } = this.core;
    switch (column.type) {
      case "string":
      case "json": {
        const end = typeof value === "string" ? putText(bytes, value, at, limit) : MALFORMED;
        if (end === MALFORMED) throw valueError(this.layout.table, column, value);
        return end;
      }
      case "bytes":
        if (!(value instanceof Uint8Array)) throw valueError(this.layout.table, column, value);
        if (value.length > VALUE_MAX) throw lengthError(this.layout.table, column.name, value.length);
        if (at + value.length > limit) return NO_ROOM;
        bytes.set(value, at);
        return at + value.length;
      default:
        if (at + fixedBytesOf(column.type) > limit) {
          // Nowhere to put it, but to be checked all the same.
          if (!putFixed(SCRATCH, 0, column.type, value)) throw valueError(this.layout.table, column, value);
          return NO_ROOM;
        }
        if (!putFixed(data, at, column.type, value)) throw valueError(this.layout.table, column, value);
        return at + fixedBytesOf(column.type);
    }
  }

  /** All entries of a record, as bytes of their own. */
  private partsOf(taken: Taken, old: number): Part[] {
    const { core, layout } = this;
    return layout.columns.flatMap((column, i): Part[] => {
      if (column.entry < 0) return [];
      const value = taken[i];
      if (value === undefined && old !== 0) {
        const { start, end, flags } = entryAt(core, layout, old, column.entry);
        return [{ bytes: core.bytes.slice(start, end), flags }];
      }
      if (value === null || value === undefined) return [{ bytes: NO_BYTES, flags: END_NULL }];
      const bytes = this.bytesOf(column, value);
      if (bytes.length > VALUE_MAX) throw lengthError(layout.table, column.name, bytes.length);
      return [{ bytes, flags: 0 }];
    });
  }

  private bytesOf({ type }: Column, value: unknown): Uint8Array {
    if (type === "string" || type === "json") return encodeText(value as string) ?? NO_BYTES;
    // Bytes of this memory itself may move before they are stored.
    if (type === "bytes")
      return (value as Uint8Array).buffer === this.core.bytes.buffer
        ? (value as Uint8Array).slice()
        : (value as Uint8Array);
    const bytes = new Uint8Array(fixedBytesOf(type));
    putFixed(new DataView(bytes.buffer), 0, type, value);
    return bytes;
  }

  private noteReplaced(old: number, entry: number): void {
    const { start, flags } = entryAt(this.core, this.layout, old, entry);
    if ((flags & END_IN_RUN) !== 0) this.replaced.push(referenceAt(this.core.data, start));
  }

  private textOf(column: Column, value: unknown): string {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (cause) {
      const error = valueError(this.layout.table, column, value);
      throw new PerdureError(error.code, error.message, { cause });
    }
    if (text === undefined) throw valueError(this.layout.table, column, value);
    return text;
  }

  private verifyNames(values: object): void {
    for (const name in values) {
      if (this.layout.byName.has(name)) continue;
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `table ${quote(this.layout.table)} has no field ${quote(name)}`,
      );
    }
  }
}

const NO_BYTES = new Uint8Array(0);
const SCRATCH = new DataView(new ArrayBuffer(8));

/** Where an entry of a record lies, and what it is; an entry that the record does not have is null. */
export function entryAt(
  { bytes, data }: Core,
  { ends }: RecordLayout,
  record: number,
  entry: number,
): { start: number; end: number; flags: number } {
  const count = bytes[record + ENTRY_COUNT];
  if (entry >= count) return { start: record, end: record, flags: END_NULL };
  const at = record + ends + 2 * entry;
  const end = data.getUint16(at, true);
  const start = entry === 0 ? ends + 2 * count : data.getUint16(at - 2, true) & END_MASK;
  return { start: record + start, end: record + (end & END_MASK), flags: end & ~END_MASK };
}

/** The run that 12 bytes refer to: its first page, and the bytes of the value. */
export function referenceAt(data: DataView, at: number): { page: number; bytes: number } {
  return { page: Number(data.getBigUint64(at, true)), bytes: data.getUint32(at + 8, true) };
}

function referenceTo(page: number, bytes: number): Uint8Array {
  const reference = new Uint8Array(REFERENCE_BYTES);
  const view = new DataView(reference.buffer);
  view.setBigUint64(0, BigInt(page), true);
  view.setUint32(8, bytes, true);
  return reference;
}
