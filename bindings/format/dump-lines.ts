/**
 * Lines of an annotated dump: offset, bytes, `field = value`, meaning. What is damaged begins with `!` and ends with the reason.
 * Nothing here throws on any bytes: a field that the bytes end before is shown as cut off.
 */
import { digestHex, readU64, toHex, viewOf } from "../base/bytes.js";
import {
  fieldName,
  isPlain,
  type PlainType,
  plainBytes,
  ROOT,
  readPlain,
  type Structure,
  typeName,
} from "./schema.js";

const bytesShown = 8;

/** By field, what is wrong with it. */
export type Problems = ReadonlyMap<string, string>;
const noProblems: Problems = new Map();

export class DumpLines {
  readonly lines: string[] = [];
  readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = viewOf(bytes);
  }

  title(text: string): void {
    this.lines.push(text);
  }

  /** Something that is wrong with the whole. */
  damaged(reason: string): void {
    this.lines.push(`! ${reason}`);
  }

  /** Whether `length` bytes from `at` on are there; says so when they are not. */
  has(at: number, length: number, what: string): boolean {
    if (at + length <= this.bytes.length) return true;
    this.damaged(`${what} at ${at}: the bytes end at ${this.bytes.length}`);
    return false;
  }

  /** One line for the `length` bytes from `at` on. */
  line(at: number, length: number, text: string, meaning = "", problem?: string): void {
    const shown = this.bytes.subarray(at, at + Math.min(length, bytesShown));
    const hex = (toHex(shown).match(/../g) ?? []).join(" ") + (length > bytesShown ? " …" : "");
    const tail = problem === undefined ? meaning : `<-- ${problem}`;
    const mark = problem === undefined ? " " : "!";
    this.lines.push(
      `${mark}${String(at).padStart(7)}  ${hex.padEnd(25)}  ${text.padEnd(44)}  ${tail}`.trimEnd(),
    );
  }

  /** The plain fields of a structure at `at`, and its reserved bytes where they are not zero. */
  structure(of: Structure, at: number, problems: Problems = noProblems): void {
    for (const [key, { offset, type, meaning }] of Object.entries(of.fields)) {
      const start = at + offset;
      const problem = problems.get(key);
      if (isPlain(type)) {
        if (!this.has(start, plainBytes[type], fieldName(key))) continue;
        if (type === "root") this.root(start, fieldName(key), meaning, problem);
        else {
          const date = key === "time" ? this.date(start) : "";
          const text = `${fieldName(key)} = ${this.value(start, type)}${date}`;
          this.line(start, plainBytes[type], text, meaning, problem);
        }
      } else if (key === "reserved") this.reserved(start, Number.parseInt(typeName(type), 10));
    }
  }

  /** A root takes a line for each of its fields. */
  root(at: number, name: string, meaning: string, problem?: string): void {
    if (!this.has(at, ROOT.bytes, name)) return;
    for (const { key, offset, type, meaning: fieldMeaning } of ROOT.plain) {
      const text = `${name} ${key} = ${this.value(at + offset, type)}`;
      const isFirst = offset === 0;
      this.line(
        at + offset,
        plainBytes[type],
        text,
        (isFirst && meaning) || fieldMeaning,
        isFirst ? problem : undefined,
      );
    }
  }

  /** The digest at `at`. */
  digest(at: number): string {
    return digestHex(this.view.getBigUint64(at, true));
  }

  private reserved(at: number, length: number): void {
    const present = this.bytes.subarray(at, at + length);
    if (present.some((byte) => byte !== 0)) this.line(at, length, `reserved = ${toHex(present)}`, "ignored");
  }

  /** The time at `at` as people write it, where a calendar reaches so far. */
  private date(at: number): string {
    const date = new Date(readU64(this.view, at));
    return Number.isNaN(date.getTime()) ? "" : ` (${date.toISOString()})`;
  }

  private value(at: number, type: PlainType): string {
    if (type === "u64" && Number.isNaN(readU64(this.view, at)))
      return String(this.view.getBigUint64(at, true));
    const value = readPlain(this.view, at, type);
    if (typeof value === "bigint") return digestHex(value);
    return value instanceof Uint8Array ? toHex(value) : String(value);
  }
}

/** Bytes as people look at them, 16 a line; lines that repeat the one before are left out. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  let before = "";
  let isRepeating = false;
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = (toHex(row).match(/../g) ?? []).join(" ");
    if (hex === before && at + 16 < bytes.length) {
      if (!isRepeating) lines.push("       *");
      isRepeating = true;
      continue;
    }
    const text = String.fromCharCode(...row.map((byte) => (byte >= 32 && byte < 127 ? byte : 46)));
    lines.push(` ${String(at).padStart(7)}  ${hex.padEnd(47)}  ${text}`);
    before = hex;
    isRepeating = false;
  }
  return lines;
}
