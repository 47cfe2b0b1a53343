/**
 * CSV files (RFC 4180): the first record names the columns, each other one becomes an object of texts. Parsed by the package csv-parse, which is
 * loaded when a pipe reads such a file.
 */
import { closeSync, createReadStream, fstatSync } from "node:fs";
import type { CsvError, Info, Parser } from "csv-parse";
import type { Located, Reader, Source, Start } from "../api/pipe/source.js";
import { LocatedReader } from "../api/pipe/source.js";
import { PerdureError } from "../base/errors.js";
import { openFile } from "./file-lines.js";
import { Fingerprint } from "./fingerprint.js";

export interface CsvOptions {
  /** "," if not given. */
  delimiter?: string;
  /** The longest record that is read, in bytes; 16 MiB if not given. */
  maxBytes?: number;
}

const USUAL_BYTES = 2 ** 24;

interface Parsed<R> {
  record: R;
  info: Info;
}

/** A malformed record is INVALID_ARGUMENT and ends the run: where the next one begins cannot be known. */
export function csv(path: string, options: CsvOptions = {}): Source<Record<string, string>> {
  return {
    kind: "csv",
    label: path,
    open: async (start) => {
      const file = openFile(path);
      try {
        const mark = new Fingerprint(file, start.memory.engine.core.hasher);
        mark.verify(path, start.offset, start.fingerprint);
        const records = await recordsOf(path, options, start);
        return new CsvReader(records, start.offset, file, mark);
      } catch (error) {
        closeSync(file);
        throw error;
      }
    },
  };
}

class CsvReader extends LocatedReader<Record<string, string>> implements Reader<Record<string, string>> {
  private readonly begin: number;

  constructor(
    records: AsyncIterable<Located<Record<string, string>>[]>,
    offset: number,
    private readonly file: number,
    private readonly mark: Fingerprint,
  ) {
    super(records, offset);
    this.begin = offset;
  }

  override remaining(records: number): number | undefined {
    const done = this.offset - this.begin;
    const left = Math.max(0, fstatSync(this.file).size - this.offset);
    return done === 0 ? undefined : Math.round((left / done) * records);
  }

  override fingerprint(): bigint {
    return this.mark.at(this.offset);
  }

  override close(): void {
    super.close();
    closeSync(this.file);
  }
}

async function recordsOf(
  path: string,
  options: CsvOptions,
  start: Start,
): Promise<AsyncIterable<Located<Record<string, string>>[]>> {
  const read = await parserOf(path, options, start.records);
  let columns: string[] | null = null;
  let begin = 0;
  for await (const [{ record, info }] of read<string[]>(0, { bom: true, to: 1 })) {
    columns = record;
    begin = info.bytes;
  }
  if (columns === null) return none();
  const twice = columns.find((name, i) => columns?.indexOf(name) !== i);
  if (twice !== undefined)
    throw new PerdureError("INVALID_ARGUMENT", `${path}: the column ${JSON.stringify(twice)} is there twice`);
  return located(read<Record<string, string>>, Math.max(begin, start.offset), columns);
}

async function* none(): AsyncGenerator<never, void> {}

async function* located(
  read: (start: number, settings: object) => AsyncGenerator<Parsed<Record<string, string>>[], void>,
  start: number,
  columns: string[],
): AsyncGenerator<Located<Record<string, string>>[], void> {
  for await (const batch of read(start, { columns }))
    yield batch.map(({ record, info }) => ({ record, offset: start + info.bytes }));
}

/** Parses a file from a byte on. */
async function parserOf(path: string, options: CsvOptions, count: number) {
  const { CsvError, parse } = await import("csv-parse");
  return async function* read<R>(start: number, settings: object): AsyncGenerator<Parsed<R>[], void> {
    const parser: Parser = parse({
      ...settings,
      delimiter: options.delimiter ?? ",",
      info: true,
      skip_empty_lines: true,
      max_record_size: options.maxBytes ?? USUAL_BYTES,
    });
    const file = createReadStream(path, { start });
    file.on("error", (error) => parser.destroy(error));
    try {
      for await (const first of file.pipe(parser) as AsyncIterable<Parsed<R>>) {
        const batch = [first];
        // What else is at hand needs no waiting.
        for (let next = parser.read(); next !== null; next = parser.read()) batch.push(next as Parsed<R>);
        yield batch;
      }
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      throw malformed(path, count, error);
    } finally {
      file.destroy();
      parser.destroy();
    }
  };
}

function malformed(path: string, count: number, cause: CsvError): PerdureError {
  const record = count + Number(cause.records) + 1;
  // Line numbers count from where reading began, so they would mislead.
  const reason = cause.message.replace(/ (?:on|at) line \d+/g, "");
  const code = cause.code === "CSV_MAX_RECORD_SIZE" ? "LIMIT" : "INVALID_ARGUMENT";
  return new PerdureError(code, `${path}: record ${record}: ${reason}`, { cause });
}
