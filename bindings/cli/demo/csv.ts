/** CSV: the first record names the columns, each other one becomes an object of them. */
import { createReadStream } from "node:fs";
import { CsvError, type Info, type Options, type Parser, parse } from "csv-parse";
import { type Cursor, malformed, RECORD_BYTES_MAX, type SourceRecord } from "./record.js";

interface Parsed<R> {
  record: R;
  info: Info;
}

export async function* readCsv(
  path: string,
  delimiter: string,
  from: Cursor,
): AsyncGenerator<SourceRecord, void, undefined> {
  let columns: string[] | null = null;
  let start = 0;
  for await (const { record, info } of parsed<string[]>(path, delimiter, 0, 0, { bom: true, to: 1 })) {
    columns = record;
    start = info.bytes;
  }
  if (columns === null) return;
  const twice = columns.find((name, i) => columns?.indexOf(name) !== i);
  if (twice !== undefined) throw malformed(path, 0, `the column ${JSON.stringify(twice)} is there twice`);
  start = Math.max(start, from.offset);
  const rest = parsed<Record<string, string>>(path, delimiter, start, from.records, { columns });
  for await (const { record, info } of rest) yield { text: JSON.stringify(record), end: start + info.bytes };
}

/** Records from a byte on; `count` of them come before it. */
async function* parsed<R>(
  path: string,
  delimiter: string,
  start: number,
  count: number,
  options: Options,
): AsyncGenerator<Parsed<R>, void, undefined> {
  const settings = {
    ...options,
    delimiter,
    info: true,
    skip_empty_lines: true,
    max_record_size: RECORD_BYTES_MAX,
  };
  const parser: Parser = parse(settings);
  const file = createReadStream(path, { start });
  file.on("error", (error) => parser.destroy(error));
  try {
    yield* file.pipe(parser) as AsyncIterable<Parsed<R>>;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const record = count + Number(error.records) + 1;
    // Line numbers count from where reading began, so they would mislead.
    throw malformed(path, record, error.message.replace(/ (?:on|at) line \d+/g, ""), error);
  } finally {
    file.destroy();
    parser.destroy();
  }
}
