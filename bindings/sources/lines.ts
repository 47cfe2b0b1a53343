/** Files of text and of JSON: records that are found without looking into them, and then parsed one by one. */

import type { Reader, Source, Start } from "../api/pipe/source.js";
import { PerdureError } from "../base/errors.js";
import type { Hasher } from "../hash/hasher.js";
import { FileElements } from "./file-elements.js";
import { FileLines } from "./file-lines.js";
import type { FileRecords } from "./file-records.js";

export interface LineOptions {
  /** The longest line or element that is read, in bytes; 16 MiB if not given. */
  maxBytes?: number;
}

const USUAL_BYTES = 2 ** 24;

/**
 * The lines of a file of UTF-8. A record is the text without its line end. Bytes that are not UTF-8 are rejected (INVALID_ARGUMENT), a line that is too long is
 * LIMIT.
 */
export function lines(path: string, options: LineOptions = {}): Source<string> {
  return fileSource("lines", path, FileLines, options, (bytes) => decoder.decode(bytes));
}

/** A file of one JSON value a line (JSON Lines, NDJSON); empty lines are passed over. What is no JSON is rejected (INVALID_ARGUMENT). */
export function jsonLines<T = unknown>(path: string, options: LineOptions = {}): Source<T> {
  return fileSource("jsonLines", path, FileLines, options, (bytes) => {
    const text = decoder.decode(bytes);
    return text.trim() === "" ? NOTHING : (JSON.parse(text) as T);
  });
}

/** The elements of a file that is one JSON array, of any size. What is no JSON is rejected (INVALID_ARGUMENT); what is no array ends the run. */
export function json<T = unknown>(path: string, options: LineOptions = {}): Source<T> {
  return fileSource("json", path, FileElements, options, (bytes) => JSON.parse(decoder.decode(bytes)) as T);
}

const NOTHING = Symbol();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

function fileSource<T>(
  kind: string,
  path: string,
  Records: new (
    path: string,
    offset: number,
    fingerprint: bigint,
    hasher: Hasher,
    bytesMax: number,
  ) => FileRecords,
  options: LineOptions,
  parse: (bytes: Uint8Array) => T | typeof NOTHING,
): Source<T> {
  return {
    kind,
    label: path,
    open: (start) => {
      const { hasher } = start.memory.engine.core;
      const file = new Records(
        path,
        start.offset,
        start.fingerprint,
        hasher,
        options.maxBytes ?? USUAL_BYTES,
      );
      return new RecordReader(file, start, parse);
    },
  };
}

/** A byte order mark at the front of the file is no part of the first line. */
function withoutMark(bytes: Uint8Array): Uint8Array {
  return BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte) ? bytes.subarray(3) : bytes;
}

class RecordReader<T> implements Reader<T> {
  readonly slot = 0;
  private readonly begin: number;

  constructor(
    private readonly file: FileRecords,
    private readonly start: Start,
    private readonly parse: (bytes: Uint8Array) => T | typeof NOTHING,
  ) {
    this.begin = file.offset;
  }

  get offset(): number {
    return this.file.offset;
  }

  take(push: (record: T) => void, most: number): number {
    let taken = 0;
    while (taken < most) {
      const at = this.file.offset;
      const bytes = this.file.next(!this.start.follow);
      if (bytes === null) break;
      let record: T | typeof NOTHING;
      try {
        record = this.parse(at === 0 ? withoutMark(bytes) : bytes);
      } catch (cause) {
        const message = `${this.file.path}: the ${this.file.noun} at byte ${at}: ${(cause as Error).message}`;
        this.start.reject(new PerdureError("INVALID_ARGUMENT", message, { cause }), bytes);
        continue;
      }
      if (record === NOTHING) continue;
      push(record);
      taken++;
    }
    return taken;
  }

  more(signal: AbortSignal): boolean | Promise<boolean> {
    return this.start.follow ? this.file.grown(signal) : false;
  }

  /** As if the records to come were as long as those that came. */
  remaining(records: number): number | undefined {
    const done = this.offset - this.begin;
    return done === 0 ? undefined : Math.round((this.file.bytesLeft / done) * records);
  }

  fingerprint(): bigint {
    return this.file.fingerprint();
  }

  close(): void {
    this.file.close();
  }
}
