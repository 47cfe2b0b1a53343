/** The values of fields: what they must be, and how those of fixed width lie in memory. */
import { PerdureError } from "../../base/errors.js";
import type { Column } from "./layout.js";
import { type BaseType, quote } from "./schema.js";

/** The longest value. */
export const VALUE_MAX = 2 ** 30;

/** Stores a value of fixed width; false, with nothing stored, when it is not what the type may be. */
export function putFixed(data: DataView, at: number, type: BaseType, value: unknown): boolean {
  switch (type) {
    case "f64":
      if (typeof value !== "number") return false;
      data.setFloat64(at, value, true);
      return true;
    case "u32":
      if (typeof value !== "number" || value >>> 0 !== value) return false;
      data.setUint32(at, value, true);
      return true;
    case "i32":
      if (typeof value !== "number" || (value | 0) !== value) return false;
      data.setInt32(at, value, true);
      return true;
    case "u8":
      if (typeof value !== "number" || (value & 0xff) !== value) return false;
      data.setUint8(at, value);
      return true;
    case "i8":
      if (typeof value !== "number" || (value << 24) >> 24 !== value) return false;
      data.setInt8(at, value);
      return true;
    case "u16":
      if (typeof value !== "number" || (value & 0xffff) !== value) return false;
      data.setUint16(at, value, true);
      return true;
    case "i16":
      if (typeof value !== "number" || (value << 16) >> 16 !== value) return false;
      data.setInt16(at, value, true);
      return true;
    case "f32":
      if (typeof value !== "number") return false;
      data.setFloat32(at, value, true);
      return true;
    case "bool":
      if (typeof value !== "boolean") return false;
      data.setUint8(at, value ? 1 : 0);
      return true;
    case "u64":
      if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) return false;
      data.setBigUint64(at, value, true);
      return true;
    case "i64":
      if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) return false;
      data.setBigInt64(at, value, true);
      return true;
    default:
      return false;
  }
}

export function getFixed(data: DataView, at: number, type: BaseType): number | bigint | boolean {
  switch (type) {
    case "f64":
      return data.getFloat64(at, true);
    case "u32":
      return data.getUint32(at, true);
    case "i32":
      return data.getInt32(at, true);
    case "u8":
      return data.getUint8(at);
    case "i8":
      return data.getInt8(at);
    case "u16":
      return data.getUint16(at, true);
    case "i16":
      return data.getInt16(at, true);
    case "f32":
      return data.getFloat32(at, true);
    case "bool":
      return data.getUint8(at) !== 0;
    case "u64":
      return data.getBigUint64(at, true);
    default:
      return data.getBigInt64(at, true);
  }
}

const DESCRIPTIONS: { readonly [type in BaseType]: string } = {
  u8: "a whole number from 0 to 255",
  i8: "a whole number from −128 to 127",
  u16: "a whole number from 0 to 65535",
  i16: "a whole number from −32768 to 32767",
  u32: "a whole number from 0 to 2³² − 1",
  i32: "a whole number from −2³¹ to 2³¹ − 1",
  u64: "a bigint from 0n to 2n ** 64n − 1n",
  i64: "a bigint from −(2n ** 63n) to 2n ** 63n − 1n",
  f32: "a number",
  f64: "a number",
  bool: "true or false",
  string: "well-formed text",
  bytes: "a Uint8Array",
  json: "a value that JSON has",
};

/** The error for a value that a field cannot have. */
export function valueError(table: string, { name, type, optional }: Column, value: unknown): PerdureError {
  const given =
    value === undefined
      ? "nothing was given"
      : `not ${typeof value === "bigint" ? `${value}n` : describe(value)}`;
  const wanted = optional ? `${DESCRIPTIONS[type]}, or null` : DESCRIPTIONS[type];
  return new PerdureError(
    "INVALID_ARGUMENT",
    `table ${quote(table)}, field ${quote(name)}: it must be ${wanted}; ${given}`,
  );
}

export function lengthError(table: string, name: string, bytes: number): PerdureError {
  return new PerdureError(
    "LIMIT",
    `table ${quote(table)}, field ${quote(name)}: a value has at most ${VALUE_MAX} bytes, not ${bytes}`,
  );
}

function describe(value: unknown): string {
  if (typeof value === "object" && value !== null) return `a ${value.constructor?.name ?? "object"}`;
  const text = typeof value === "string" ? quote(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
