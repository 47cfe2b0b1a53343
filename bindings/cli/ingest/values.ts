/**
 * From what a file has to what a field may be: the way back from the JSON and CSV that `perdure export` writes. What cannot be converted stays as it is, and the table
 * says what is wrong with it.
 */
import type { ColumnType } from "../../index.js";

/** `isText`: the file has nothing but text, such as CSV. */
export function converted(type: ColumnType, value: unknown, isText: boolean): unknown {
  const isOptional = type.endsWith("?");
  const base = isOptional ? type.slice(0, -1) : type;
  if (base === "string") return value;
  if (isText && value === "" && isOptional) return null;
  switch (base) {
    case "u64":
    case "i64":
      return bigintOf(value);
    case "bytes":
      return typeof value === "string" ? bytesOf(value) : value;
    case "json":
      return isText ? jsonOf(value as string) : value;
    case "bool":
      return isText && (value === "true" || value === "false") ? value === "true" : value;
    default:
      return isText ? numberOf(value as string) : value;
  }
}

function bigintOf(value: unknown): unknown {
  const isWhole = typeof value === "string" ? /^-?\d+$/.test(value) : Number.isSafeInteger(value);
  return isWhole ? BigInt(value as string | number) : value;
}

function bytesOf(text: string): unknown {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? new Uint8Array(bytes) : text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function numberOf(text: string): unknown {
  const number = Number(text);
  return text.trim() === "" || (Number.isNaN(number) && text !== "NaN") ? text : number;
}
