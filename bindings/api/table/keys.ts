/**
 * Keys of indexes: fields encoded so that comparing the bytes compares the values, in the order of the fields. A key is written where the engine expects
 * it, into the exchange area, and nothing is allocated for it.
 *
 *   optional    one byte before the field: 0 for null, and nothing more; 1 for a value. So null comes first
 *   bool        one byte, 0 or 1
 *   u8 … u64    most significant byte first
 *   i8 … i64    the same, with the sign bit inverted
 *   f32, f64    IEEE 754, most significant byte first; the sign bit inverted, or all bits of negative numbers. −0 is 0, and NaN is refused
 *   id          a whole number below 2⁵³, seven bytes
 *   string      UTF-8, so text is in the order of its code points; 00 is written as 00 FF, and 00 00 ends it
 *   bytes       the same
 *
 * No encoding of a field begins that of another value. So keys that agree in their first fields are those whose bytes begin with the encoding of these.
 */
import { PerdureError } from "../../base/errors.js";
import { isWellFormed } from "../../base/text.js";
import type { Core } from "../../core.js";

/** The engine refuses longer ones. */
export const KEY_BYTES_MAX = 1024;

export type KeyType =
  | "bool"
  | "u8"
  | "u16"
  | "u32"
  | "u64"
  | "i8"
  | "i16"
  | "i32"
  | "i64"
  | "f32"
  | "f64"
  | "id"
  | "string"
  | "bytes";

export interface KeyField {
  readonly name: string;
  readonly type: KeyType;
  /** Whether it may be null or undefined, which are the same. */
  readonly optional?: boolean;
}

/** Writes a value at an offset of the exchange area, and answers with the offset behind it; one of the two below when it cannot. */
type FieldWriter = (core: Core, at: number, value: unknown) => number;
const UNFIT = -1;
const TOO_LONG = -2;

export class KeyEncoder {
  private readonly writers: readonly FieldWriter[];
  private readonly start: number;

  /** `name` is that of the index, for messages. */
  constructor(
    private readonly core: Core,
    readonly name: string,
    readonly fields: readonly KeyField[],
  ) {
    this.start = core.constants.EXCHANGE;
    this.writers = fields.map(({ type, optional }) => (optional ? orNull(WRITERS[type]) : WRITERS[type]));
  }

  /**
   * Puts the key of these values, or of the first fields only, into the exchange area and returns its bytes. INVALID_ARGUMENT when a value is not of its
   * field's type; LIMIT when the key has more than 1024 bytes.
   */
  encode(values: readonly unknown[]): number {
    if (values.length > this.fields.length)
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `index ${JSON.stringify(this.name)} has ${this.fields.length} fields, not ${values.length}`,
      );
    let at = this.start;
    for (let i = 0; i < values.length; i++) at = this.write(i, at, values[i]);
    return at - this.start;
  }

  /** The same for the first field alone. */
  encodeOne(value: unknown): number {
    return this.write(0, this.start, value) - this.start;
  }

  /**
   * A limit of a range: less than every key that begins with these values and greater than all before them or, with `after`, greater than them and not
   * greater than any behind. null is the end of all keys.
   */
  bound(values: readonly unknown[], after: boolean): Uint8Array | null {
    const { start } = this;
    const length = this.encode(values);
    const key = this.core.bytes.slice(start, start + length);
    return after ? successor(key) : key;
  }

  private write(index: number, at: number, value: unknown): number {
    const end = this.writers[index](this.core, at, value);
    if (end >= 0 && end - this.start <= KEY_BYTES_MAX) return end;
    const name = JSON.stringify(this.name);
    if (end !== UNFIT)
      throw new PerdureError("LIMIT", `a key of index ${name} has more than ${KEY_BYTES_MAX} bytes`);
    const field = this.fields[index];
    const problem =
      typeof value === "number" && Number.isNaN(value) ? "NaN has no place in an order" : refusal(field);
    throw new PerdureError(
      "INVALID_ARGUMENT",
      `field ${JSON.stringify(field.name)} of index ${name}: ${problem}`,
    );
  }
}

/** The least string that is greater than all that begin with these bytes; null when there is none. */
export function successor(key: Uint8Array): Uint8Array | null {
  let length = key.length;
  while (length > 0 && key[length - 1] === 0xff) length--;
  if (length === 0) return null;
  const next = key.slice(0, length);
  next[length - 1]++;
  return next;
}

function refusal({ type, optional }: KeyField): string {
  const kind =
    type === "string"
      ? "well-formed text"
      : type === "bytes"
        ? "a Uint8Array"
        : type === "bool"
          ? "true or false"
          : `a number of type ${type}`;
  return `the value has to be ${kind}${optional ? " or null" : ""}`;
}

function orNull(writer: FieldWriter): FieldWriter {
  return (core, at, value) => {
    const isNull = value === null || value === undefined;
    core.data.setUint8(at, isNull ? 0 : 1);
    return isNull ? at + 1 : writer(core, at + 1, value);
  };
}

// Numbers

const TWO_32 = 2 ** 32;

function isWholeIn(value: unknown, from: number, to: number): value is number {
  return typeof value === "number" && value >= from && value <= to && Math.floor(value) === value;
}

function writeU32(core: Core, at: number, value: unknown): number {
  if (!isWholeIn(value, 0, 0xffff_ffff)) return UNFIT;
  core.data.setUint32(at, value, false);
  return at + 4;
}

function writeI32(core: Core, at: number, value: unknown): number {
  if (!isWholeIn(value, -0x8000_0000, 0x7fff_ffff)) return UNFIT;
  core.data.setInt32(at, value ^ 0x8000_0000, false);
  return at + 4;
}

/** Whole numbers that a number holds exactly are taken as well. */
function writeU64(core: Core, at: number, value: unknown): number {
  if (typeof value === "bigint") {
    if (value < 0n || value >= 1n << 64n) return UNFIT;
    core.data.setBigUint64(at, value, false);
    return at + 8;
  }
  if (!isWholeIn(value, 0, Number.MAX_SAFE_INTEGER)) return UNFIT;
  core.data.setUint32(at, value / TWO_32, false);
  core.data.setUint32(at + 4, value, false);
  return at + 8;
}

function writeI64(core: Core, at: number, value: unknown): number {
  const isWhole = isWholeIn(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  const whole = isWhole ? BigInt(value) : value;
  if (typeof whole !== "bigint" || BigInt.asIntN(64, whole) !== whole) return UNFIT;
  core.data.setBigInt64(at, whole ^ (-1n << 63n), false);
  return at + 8;
}

function writeF64(core: Core, at: number, value: unknown): number {
  if (typeof value !== "number" || Number.isNaN(value)) return UNFIT;
  const { data } = core;
  data.setFloat64(at, value + 0, false);
  const high = data.getUint32(at, false);
  if (high >= 0x8000_0000) {
    data.setUint32(at, ~high, false);
    data.setUint32(at + 4, ~data.getUint32(at + 4, false), false);
  } else data.setUint32(at, high | 0x8000_0000, false);
  return at + 8;
}

function writeF32(core: Core, at: number, value: unknown): number {
  if (typeof value !== "number" || Number.isNaN(value)) return UNFIT;
  const { data } = core;
  // What is too small for an f32 rounds to either zero.
  data.setFloat32(at, Math.fround(value) + 0, false);
  const bits = data.getUint32(at, false);
  data.setUint32(at, bits >= 0x8000_0000 ? ~bits : bits | 0x8000_0000, false);
  return at + 4;
}

function writeId(core: Core, at: number, value: unknown): number {
  if (!isWholeIn(value, 0, Number.MAX_SAFE_INTEGER)) return UNFIT;
  const high = Math.floor(value / TWO_32);
  core.data.setUint8(at, high >>> 16);
  core.data.setUint16(at + 1, high, false);
  core.data.setUint32(at + 3, value, false);
  return at + 7;
}

function small(bytes: 1 | 2, isSigned: boolean): FieldWriter {
  const half = 2 ** (8 * bytes - 1);
  const from = isSigned ? -half : 0;
  const to = from + 2 * half - 1;
  return (core, at, value) => {
    if (!isWholeIn(value, from, to)) return UNFIT;
    if (bytes === 1) core.data.setUint8(at, value - from);
    else core.data.setUint16(at, value - from, false);
    return at + bytes;
  };
}

function writeBool(core: Core, at: number, value: unknown): number {
  if (typeof value !== "boolean") return UNFIT;
  core.data.setUint8(at, value ? 1 : 0);
  return at + 1;
}

// Strings

const encoder = new TextEncoder();

function writeText(core: Core, at: number, value: unknown): number {
  if (typeof value !== "string") return UNFIT;
  const { length } = value;
  if (length > KEY_BYTES_MAX) return TOO_LONG;
  const { bytes } = core;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    if (unit === 0 || unit >= 0x80)
      return isWellFormed(value) ? writeEscaped(core, at, encoder.encode(value)) : UNFIT;
    bytes[at + i] = unit;
  }
  return end(core, at + length);
}

function writeBytes(core: Core, at: number, value: unknown): number {
  return value instanceof Uint8Array ? writeEscaped(core, at, value) : UNFIT;
}

function writeEscaped(core: Core, at: number, value: Uint8Array): number {
  if (value.length > KEY_BYTES_MAX) return TOO_LONG;
  const { bytes } = core;
  for (const byte of value) {
    bytes[at++] = byte;
    if (byte === 0) bytes[at++] = 0xff;
  }
  return end(core, at);
}

function end(core: Core, at: number): number {
  core.data.setUint16(at, 0, false);
  return at + 2;
}

const WRITERS: { readonly [type in KeyType]: FieldWriter } = {
  bool: writeBool,
  u8: small(1, false),
  u16: small(2, false),
  u32: writeU32,
  u64: writeU64,
  i8: small(1, true),
  i16: small(2, true),
  i32: writeI32,
  i64: writeI64,
  f32: writeF32,
  f64: writeF64,
  id: writeId,
  string: writeText,
  bytes: writeBytes,
};
