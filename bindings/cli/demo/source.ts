/**
 * A file of records, read as a stream from any record on. Whatever the format, a record is given as its JSON text, and with the byte offset in
 * the file after it: reading from there goes on with the next one. What is remembered of the file never exceeds one record and one chunk.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { extname } from "node:path";
import { PerdureError } from "../../base/errors.js";
import { readCsv } from "./csv.js";
import { readJsonArray, readJsonLines } from "./json.js";
import { type Cursor, type SourceRecord, START } from "./record.js";

export type { Cursor, SourceRecord } from "./record.js";

export type Format = "CSV" | "TSV" | "JSON Lines" | "JSON array";

export interface Source {
  readonly path: string;
  readonly bytes: number;
  readonly format: Format;
}

/** NOT_FOUND, IO, INVALID_ARGUMENT for what is no file. */
export function openSource(path: string): Source {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new PerdureError("NOT_FOUND", `there is no file ${path}`, { cause });
    throw new PerdureError("IO", `${path} cannot be read: ${message}`, { cause });
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new PerdureError("INVALID_ARGUMENT", `${path} is not a file`);
    const beginning = Buffer.alloc(Math.min(4096, status.size));
    readSync(file, beginning, 0, beginning.length, 0);
    return { path, bytes: status.size, format: formatOf(path, beginning.toString("utf8")) };
  } finally {
    closeSync(file);
  }
}

/** INVALID_ARGUMENT names the record that is malformed; IO. */
export async function* recordsOf(
  source: Source,
  from: Cursor = START,
): AsyncGenerator<SourceRecord, void, undefined> {
  try {
    yield* readerOf(source, from);
  } catch (cause) {
    const { syscall, message } = cause as NodeJS.ErrnoException;
    if (syscall === undefined) throw cause;
    throw new PerdureError("IO", `${source.path} cannot be read: ${message}`, { cause });
  }
}

function readerOf(source: Source, from: Cursor): AsyncIterable<SourceRecord> {
  switch (source.format) {
    case "CSV":
      return readCsv(source.path, ",", from);
    case "TSV":
      return readCsv(source.path, "\t", from);
    case "JSON Lines":
      return readJsonLines(source.path, from);
    case "JSON array":
      return readJsonArray(source.path, from);
  }
}

/** By the name, and by the first character where the name says nothing. */
function formatOf(path: string, beginning: string): Format {
  const extension = extname(path).toLowerCase();
  if (extension === ".csv") return "CSV";
  if (extension === ".tsv") return "TSV";
  const first = beginning.replace(/^\ufeff/, "").trimStart()[0];
  if (extension === ".jsonl" || extension === ".ndjson") return "JSON Lines";
  if (first === "[") return "JSON array";
  return first === "{" || extension === ".json" ? "JSON Lines" : "CSV";
}
