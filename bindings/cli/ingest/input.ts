/** A file of records, and the source of a pipe that reads its format. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { extname } from "node:path";
import { PerdureError } from "../../base/errors.js";
import { type Source, sources } from "../../index.js";

export type Format = keyof typeof FORMATS;

export interface Input {
  readonly path: string;
  readonly bytes: number;
  readonly format: Format;
}

interface FormatDescription {
  /** For people. */
  readonly name: string;
  readonly extensions: readonly string[];
  /** Whether every value is text, which may stand for something else. */
  readonly isText: boolean;
  source(path: string): Source;
}

export const FORMATS = {
  csv: { name: "CSV", extensions: [".csv"], isText: true, source: (path) => sources.csv(path) },
  tsv: {
    name: "TSV",
    extensions: [".tsv", ".tab"],
    isText: true,
    source: (path) => sources.csv(path, { delimiter: "\t" }),
  },
  jsonl: {
    name: "JSON Lines",
    extensions: [".jsonl", ".ndjson"],
    isText: false,
    source: (path) => sources.jsonLines(path),
  },
  json: { name: "JSON array", extensions: [], isText: false, source: (path) => sources.json(path) },
  lines: { name: "lines", extensions: [".txt", ".log"], isText: true, source: (path) => sources.lines(path) },
} satisfies Record<string, FormatDescription>;

/** NOT_FOUND, IO, INVALID_ARGUMENT for what is no file. Without a format it is known by the name, or by how the file begins. */
export function inputFile(path: string, format?: Format): Input {
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
    return { path, bytes: status.size, format: format ?? formatOf(path, beginning.toString("utf8")) };
  } finally {
    closeSync(file);
  }
}

export const sourceOf = ({ path, format }: Input): Source => FORMATS[format].source(path);

function formatOf(path: string, beginning: string): Format {
  const extension = extname(path).toLowerCase();
  for (const [format, { extensions }] of Object.entries<FormatDescription>(FORMATS))
    if (extensions.includes(extension)) return format as Format;
  const first = beginning.replace(/^\ufeff/, "").trimStart()[0];
  if (first === "[") return "json";
  return first === "{" || extension === ".json" ? "jsonl" : "csv";
}
