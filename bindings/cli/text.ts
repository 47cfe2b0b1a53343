/** Numbers, times and tables as people read them. */
import { SLOT_BYTES } from "../format/constants.js";
import { quote } from "../format/names.js";
import type { Owner } from "../inspect/neighbours.js";

const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** With commas; the first `toLocaleString` of a process costs 50 ms. */
export const count = (value: number): string => String(value).replace(/\B(?=(?:\d{3})+$)/g, ",");

export const plural = (value: number, one: string): string =>
  `${count(value)} ${one}${value === 1 ? "" : "s"}`;

/** `1.2 MiB`; exact below 10 KiB. */
export function size(bytes: number): string {
  if (bytes < 10240) return plural(bytes, "byte");
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

export const slotsSize = (slots: number): string => `${plural(slots, "slot")}, ${size(slots * SLOT_BYTES)}`;

export const time = (milliseconds: number): string => {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString();
};

export const name = (text: string): string => quote(text);

export function owner(who: Owner | null): string {
  if (who === null) return "somebody unknown (the record cannot be read)";
  const machine = who.machine === null ? "another machine or container" : name(who.machine);
  return `process ${who.pid}${who.here ? "" : ` of ${machine}`}${who.life === "dead" ? ", which has ended" : ""}`;
}

/** Rows in columns; the last column is not padded. */
export function table(rows: readonly (readonly string[])[], indent = "  "): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows.map((row) =>
    (
      indent + row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]))).join("  ")
    ).trimEnd(),
  );
}
