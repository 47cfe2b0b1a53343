/** What the readers of all formats have in common. */
import { PerdureError } from "../../base/errors.js";

export interface SourceRecord {
  /** JSON; the same record has the same text whenever it is read. */
  readonly text: string;
  /** Byte offset after it. */
  readonly end: number;
}

/** A place in a source: so many records were read, up to this byte. */
export interface Cursor {
  readonly records: number;
  readonly offset: number;
}

export const START: Cursor = { records: 0, offset: 0 };

/** Longer ones are taken for a quotation mark that is missing. */
export const RECORD_BYTES_MAX = 16 * 2 ** 20;

export function malformed(path: string, record: number, why: string, cause?: unknown): PerdureError {
  return new PerdureError("INVALID_ARGUMENT", `${path}: record ${record.toLocaleString("en-US")}: ${why}`, {
    cause,
  });
}
