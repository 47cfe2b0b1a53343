/**
 * The records of a file as bytes, each with the byte behind it; where one ends is a matter of the format. Reads ahead in large pieces, holds one record at most
 * beside a piece, and refuses records that are too long.
 *
 * Invariant: `offset` is the byte of the file that `buffer[start]` has; what lies before it was given.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PerdureError } from "../base/errors.js";
import type { Hasher } from "../hash/hasher.js";
import { Fingerprint } from "./fingerprint.js";

const PIECE_BYTES = 2 ** 18;
/** How often a file that is followed is looked at. */
const POLL_MS = 50;

export abstract class FileRecords {
  /** What a record is called in messages. */
  abstract readonly noun: string;
  /** Behind the last record that was given. */
  offset: number;
  private readonly file: number;
  private readonly mark: Fingerprint;
  protected buffer = new Uint8Array(PIECE_BYTES);
  /** What is in the buffer and not given yet. */
  protected start = 0;
  protected end = 0;
  /** Bytes from `start` on that are known not to be behind the end of the next record. */
  protected searched = 0;

  /** NOT_FOUND, IO; STALE when it does not have, before `offset`, what it had. */
  constructor(
    readonly path: string,
    offset: number,
    fingerprint: bigint,
    hasher: Hasher,
    private readonly bytesMax: number,
  ) {
    this.file = openFile(path);
    this.offset = offset;
    this.mark = new Fingerprint(this.file, hasher);
    try {
      this.mark.verify(path, offset, fingerprint);
    } catch (error) {
      closeSync(this.file);
      throw error;
    }
  }

  /** Of all that comes before the offset. */
  fingerprint(): bigint {
    return this.mark.at(this.offset);
  }

  get bytesLeft(): number {
    return Math.max(0, fstatSync(this.file).size - this.offset);
  }

  /**
   * The next whole record, in bytes that are good until the next call; null when there is none at hand. `last` says that the file is not expected to grow, so that
   * what it ends with is a record. LIMIT for one that is too long.
   */
  abstract next(last: boolean): Uint8Array | null;

  /** Whether the file has grown; waits until it has, or until the signal aborts. */
  async grown(signal: AbortSignal): Promise<boolean> {
    const known = this.offset + this.end - this.start;
    while (!signal.aborted) {
      const { size } = fstatSync(this.file);
      if (size > known) return true;
      if (size < this.offset)
        throw new PerdureError("STALE", `${this.path}: has become shorter than what was read of it`);
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
    return false;
  }

  close(): void {
    closeSync(this.file);
  }

  /** The bytes from `from` to `end`; `next` is behind the record. */
  protected give(from: number, end: number, next: number): Uint8Array {
    this.offset += next - this.start;
    this.start = next;
    this.searched = 0;
    return this.buffer.subarray(from, end);
  }

  /** More bytes behind those that there are, all of which were searched; false at the end of the file. */
  protected fill(): boolean {
    const kept = this.end - this.start;
    this.searched = kept;
    if (kept > this.bytesMax)
      throw new PerdureError(
        "LIMIT",
        `${this.path}: the ${this.noun} at byte ${this.offset} has more than ${this.bytesMax} bytes`,
      );
    if (this.start > 0) {
      this.buffer.copyWithin(0, this.start, this.end);
      this.start = 0;
      this.end = kept;
    }
    if (this.buffer.length - kept < PIECE_BYTES / 2) {
      const larger = new Uint8Array(2 * this.buffer.length);
      larger.set(this.buffer.subarray(0, kept));
      this.buffer = larger;
    } else if (kept < PIECE_BYTES / 4 && this.buffer.length > PIECE_BYTES) {
      this.buffer = this.buffer.slice(0, PIECE_BYTES);
    }
    const position = this.offset + kept;
    const count = readFile(this.path, this.file, this.buffer.subarray(kept), position);
    this.end += count;
    return count > 0;
  }
}

export function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === "ENOENT" ? "NOT_FOUND" : "IO";
    throw new PerdureError(code, `${path}: ${(cause as Error).message}`, { cause });
  }
}

export function readFile(path: string, file: number, into: Uint8Array, position: number): number {
  try {
    return readSync(file, into, 0, into.length, position);
  } catch (cause) {
    throw new PerdureError("IO", `${path}: ${(cause as Error).message}`, { cause });
  }
}
