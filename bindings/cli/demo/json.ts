/** JSON Lines, and one JSON array of objects that may be of any size: its elements are found by their brackets, then parsed one by one. */
import { createReadStream } from "node:fs";
import { type Cursor, malformed, RECORD_BYTES_MAX, type SourceRecord } from "./record.js";

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const BRACKETS = { open: 0x5b, close: 0x5d };
const BRACES = { open: 0x7b, close: 0x7d };
const BLANKS = [0x20, 0x09, NEWLINE, 0x0d];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

export async function* readJsonLines(
  path: string,
  from: Cursor,
): AsyncGenerator<SourceRecord, void, undefined> {
  const parts = new Parts(path, from);
  let position = from.offset;
  for await (const chunk of chunks(path, position)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.add(chunk.subarray(start, end));
      start = end + 1;
      const text = parts.join();
      if (text !== "") yield { text, end: position + start };
    }
    parts.add(chunk.subarray(start));
    position += chunk.length;
  }
  const text = parts.join();
  if (text !== "") yield { text, end: position };
}

export async function* readJsonArray(
  path: string,
  from: Cursor,
): AsyncGenerator<SourceRecord, void, undefined> {
  const parts = new Parts(path, from);
  let position = from.offset;
  /** Between elements: what may come next. */
  let expected: "[" | "{ or ]" | "{" | ", or ]" | "nothing more" = position === 0 ? "[" : ", or ]";
  /** Within an element: brackets and braces that are open. */
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  for await (const chunk of chunks(path, position)) {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (inString) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (depth > 0) {
        if (byte === QUOTE) inString = true;
        else if (byte === BRACES.open || byte === BRACKETS.open) depth++;
        else if ((byte === BRACES.close || byte === BRACKETS.close) && --depth === 0) {
          parts.add(chunk.subarray(start, i + 1));
          expected = ", or ]";
          yield { text: parts.join(), end: position + i + 1 };
        }
      } else if (BLANKS.includes(byte) || (expected === "[" && BYTE_ORDER_MARK.includes(byte))) {
        // Nothing.
      } else if (byte === BRACES.open && (expected === "{ or ]" || expected === "{")) {
        depth = 1;
        start = i;
      } else if (byte === BRACKETS.open && expected === "[") {
        expected = "{ or ]";
      } else if (byte === BRACKETS.close && (expected === "{ or ]" || expected === ", or ]")) {
        expected = "nothing more";
      } else if (byte === COMMA && expected === ", or ]") {
        expected = "{";
      } else {
        const found = JSON.stringify(String.fromCharCode(byte));
        throw parts.error(`expected ${expected} at byte ${position + i}, not ${found}`);
      }
    }
    if (depth > 0) parts.add(chunk.subarray(start));
    position += chunk.length;
  }
  if (depth > 0) throw parts.error("the file ends within it");
  if (expected !== "nothing more") throw parts.error(`expected ${expected}, but the file ends`);
}

const chunks = (path: string, start: number): AsyncIterable<Buffer> => createReadStream(path, { start });

/** The bytes of a record, which come in parts where a chunk ends within it. */
class Parts {
  private parts: Buffer[] = [];
  private bytes = 0;

  constructor(
    private readonly path: string,
    from: Cursor,
  ) {
    this.records = from.records;
  }

  /** Complete ones, those before the first that was read included. */
  private records: number;

  add(part: Buffer): void {
    this.parts.push(part);
    this.bytes += part.length;
    if (this.bytes > RECORD_BYTES_MAX) throw this.error("longer than 16 MiB; is a quotation mark missing?");
  }

  /** Of what was added, as JSON without blanks; empty for a blank line. */
  join(): string {
    const text = Buffer.concat(this.parts, this.bytes)
      .toString("utf8")
      .replace(/^\ufeff/, "")
      .trim();
    this.parts = [];
    this.bytes = 0;
    if (text === "") return "";
    try {
      const json = JSON.stringify(JSON.parse(text));
      this.records++;
      return json;
    } catch (cause) {
      throw this.error((cause as Error).message, cause);
    }
  }

  error(why: string, cause?: unknown) {
    return malformed(this.path, this.records + 1, why, cause);
  }
}
