/**
 * CSV files (RFC 4180): the first record names the columns, each other one becomes an object of texts. Parsed by the package csv-parse, which is
 * loaded when a pipe reads such a file.
 */
import { closeSync, createReadStream, fstatSync } from "node:fs";
import type { CsvError, InfoRecord, Parser } from "csv-parse";
import type { MaybeLocated, Reader, Source, Start } from "../api/pipe/source.js";
import { LocatedReader } from "../api/pipe/source.js";
import { PerdureError } from "../base/errors.js";
import { openFile, readFile } from "./file-records.js";
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
  info: InfoRecord;
}

/**
 * A record with more or fewer fields than there are columns is rejected (INVALID_ARGUMENT). A quotation mark that is out of place or missing ends the run: where
 * the next record begins cannot be known then.
 */
export function csv(path: string, options: CsvOptions = {}): Source<Record<string, string>> {
  return {
    kind: "csv",
    label: path,
    open: async (start) => {
      const file = openFile(path);
      try {
        const mark = new Fingerprint(file, start.memory.engine.core.hasher);
        mark.verify(path, start.offset, start.fingerprint);
        const records = await recordsOf(path, options, start.offset);
        return new CsvReader(records, path, file, mark, start);
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
    records: AsyncIterable<MaybeLocated<Record<string, string>>[]>,
    private readonly path: string,
    private readonly file: number,
    private readonly mark: Fingerprint,
    private readonly start: Start,
  ) {
    super(records, start.offset);
    this.begin = start.offset;
  }

  protected override reject(problem: Error, from: number, to: number): void {
    const bytes = new Uint8Array(to - from);
    const count = readFile(this.path, this.file, bytes, from);
    this.start.reject(malformed(this.path, from, problem as CsvError), bytes.subarray(0, count));
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
  offset: number,
): Promise<AsyncIterable<MaybeLocated<Record<string, string>>[]>> {
  const read = await parserOf(path, options);
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
  return located(read<Record<string, string>>, Math.max(begin, offset), columns);
}

async function* none(): AsyncGenerator<never, void> {}

async function* located(
  read: (start: number, settings: object) => AsyncGenerator<Parsed<Record<string, string>>[], void>,
  start: number,
  columns: string[],
): AsyncGenerator<MaybeLocated<Record<string, string>>[], void> {
  for await (const batch of read(start, { columns, relax_column_count: true }))
    yield batch.map(({ record, info }) => ({ record, offset: start + info.bytes, problem: info.error }));
}

/** Parses a file from a byte on. */
async function parserOf(path: string, options: CsvOptions) {
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
      throw malformed(path, start + Number(error.bytes), error);
    } finally {
      file.destroy();
      parser.destroy();
    }
  };
}

/** For the record of which a byte is the first, or the last that could be read. */
function malformed(path: string, at: number, cause: CsvError): PerdureError {
  // Line numbers count from where reading began, so they would mislead.
  const reason = cause.message.replace(/ (?:on|at) line \d+/g, "");
  const code = cause.code === "CSV_MAX_RECORD_SIZE" ? "LIMIT" : "INVALID_ARGUMENT";
  return new PerdureError(code, `${path}: the record behind byte ${at}: ${reason}`, { cause });
}
