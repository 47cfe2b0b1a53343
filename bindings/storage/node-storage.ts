// An open file of `node:fs`: one or a few system calls for each method. Made by NodePlace, which opens the descriptors.
//
// A file opened for writing holds two file descriptions, both opened before anything is written. The kernel reports
// a failed write-back once to each description (Linux: errseq_t), so a background flush and a flush in the
// foreground cannot take an error away from each other. A failed flush is never tried again: the pages it could not
// write may be marked clean, and a second flush would succeed without them.

import type fs from "node:fs";
import { PerdureError } from "../base/errors.js";
import { fileError, isInterrupted } from "./node-errors.js";
import { checkRange, closedError, readOnlyError, type Storage } from "./storage.js";

/** The system calls in use, so that a test can put others in their place. */
export type FileSystem = Pick<
  typeof fs,
  | "openSync"
  | "closeSync"
  | "fstatSync"
  | "readSync"
  | "writeSync"
  | "writevSync"
  | "ftruncateSync"
  | "fdatasyncSync"
  | "fdatasync"
  | "fsyncSync"
  | "linkSync"
  | "renameSync"
  | "unlinkSync"
  | "readdirSync"
  | "lstatSync"
  | "realpathSync"
>;

/**
 * So much goes in one call: small enough that the device is at work on what lies behind while the rest is still being copied (see
 * `writeBehindBytes`), large enough that the calls cost nothing. Systems refuse or cut short what is near 2³¹ bytes.
 */
const maxTransferBytes = 2 ** 23;
/** IOV_MAX of Linux and macOS. */
const maxParts = 1024;
/** Interrupted calls are made again this often, so that a broken file system cannot hold the program for ever. */
const maxRetries = 1000;
/**
 * After so many bytes the system is asked, off the thread, to begin to write out, so that a flush in the foreground finds little left to
 * do; after a quarter more for each such request that is still under way, since they all need a thread: so that all but a fifth of what was
 * written is on its way, in a few dozen requests for a GiB. Only where each description is told of every error by itself: elsewhere this flush
 * might take one away from the other.
 */
const writeBehindBytes = process.platform === "linux" ? 2 ** 20 : Number.POSITIVE_INFINITY;
const writeBehindGrowth = 1.25;

export class NodeStorage implements Storage {
  private closed = false;
  private flushesUnderWay = 0;
  /** Bytes written since the system was last asked to write out, and how many times it was since the last flush in the foreground. */
  private unsentBytes = 0;
  private requests = { underWay: 0 };
  /** The end of all flushes that `write` has begun, and why the first of them that failed did: no flush after it can succeed. */
  private writtenBehind: Promise<unknown> = Promise.resolve();
  private failedBehind: PerdureError | null = null;

  /**
   * Takes over descriptors of the open file `path`. `flushDescriptor` belongs to `flushAsync`; it is null when the
   * file was opened for reading, and equals `descriptor` when the file had lost its name before it could be opened
   * a second time.
   */
  constructor(
    private readonly fileSystem: FileSystem,
    private readonly path: string,
    private readonly descriptor: number,
    private readonly flushDescriptor: number | null,
  ) {}

  size(): number {
    this.checkOpen();
    try {
      return this.fileSystem.fstatSync(this.descriptor).size;
    } catch (error) {
      throw fileError(error, "read the size of", this.path, "read");
    }
  }

  read(offset: number, into: Uint8Array): number {
    this.checkOpen();
    checkRange(offset, into.length);
    let done = 0;
    let retries = 0;
    while (done < into.length) {
      const length = Math.min(into.length - done, maxTransferBytes);
      try {
        const count = this.fileSystem.readSync(this.descriptor, into, done, length, offset + done);
        if (count === 0) break;
        done += count;
      } catch (error) {
        if (!isInterrupted(error) || ++retries > maxRetries) {
          throw fileError(error, "read", this.path, "read");
        }
      }
    }
    return done;
  }

  write(offset: number, from: Uint8Array): void {
    this.checkWritable();
    checkRange(offset, from.length);
    let done = 0;
    let retries = 0;
    while (done < from.length) {
      const length = Math.min(from.length - done, maxTransferBytes);
      try {
        const count = this.fileSystem.writeSync(this.descriptor, from, done, length, offset + done);
        if (count === 0) throw zeroWriteError(this.path);
        done += count;
        this.writeBehind(count);
      } catch (error) {
        if (!isInterrupted(error) || ++retries > maxRetries) {
          throw fileError(error, "write", this.path, "write");
        }
      }
    }
  }

  writeParts(offset: number, parts: readonly Uint8Array[]): void {
    this.checkWritable();
    const left = parts.filter((part) => part.length > 0);
    checkRange(
      offset,
      left.reduce((sum, part) => sum + part.length, 0),
    );
    let position = offset;
    let retries = 0;
    let first = 0;
    while (first < left.length) {
      try {
        const batch = left.slice(first, batchEnd(left, first));
        const head = batch[0] as Uint8Array;
        if (batch.length === 1) {
          this.write(position, head);
          position += head.length;
          first++;
          continue;
        }
        let count = this.fileSystem.writevSync(this.descriptor, batch, position);
        if (count === 0) throw zeroWriteError(this.path);
        position += count;
        this.writeBehind(count);
        for (let part = left[first]; part !== undefined && count >= part.length; part = left[first]) {
          count -= part.length;
          first++;
        }
        if (count > 0) left[first] = (left[first] as Uint8Array).subarray(count);
      } catch (error) {
        if (!isInterrupted(error) || ++retries > maxRetries) {
          throw fileError(error, "write", this.path, "write");
        }
      }
    }
  }

  flush(): void {
    this.checkOpen();
    if (this.flushDescriptor === null) return;
    try {
      this.fileSystem.fdatasyncSync(this.descriptor);
    } catch (error) {
      throw fileError(error, "flush", this.path, "write");
    }
    // The system has told this description of a failed write-back itself; of other failures only the one that asked knows.
    if (this.failedBehind) throw this.failedBehind;
    // What is under way has nothing left to write, although this thread may not have been told yet that it has ended.
    this.unsentBytes = 0;
    this.requests = { underWay: 0 };
  }

  async flushAsync(): Promise<void> {
    this.checkOpen();
    if (this.flushDescriptor === null) return;
    this.unsentBytes = 0;
    await Promise.all([this.writtenBehind, this.flushOffThread(this.flushDescriptor)]);
    if (this.failedBehind) throw this.failedBehind;
  }

  private async flushOffThread(descriptor: number): Promise<void> {
    this.flushesUnderWay++;
    try {
      await new Promise<void>((resolve, reject) => {
        this.fileSystem.fdatasync(descriptor, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      throw fileError(error, "flush", this.path, "write");
    } finally {
      this.flushesUnderWay--;
      if (this.closed && this.flushesUnderWay === 0) this.closeDescriptor(descriptor);
    }
  }

  /** Notes that bytes were written, and has the system begin to write out when it is time. */
  private writeBehind(bytes: number): void {
    const { requests, flushDescriptor } = this;
    this.unsentBytes += bytes;
    if (this.unsentBytes < writeBehindBytes * writeBehindGrowth ** requests.underWay) return;
    if (flushDescriptor === null || flushDescriptor === this.descriptor) return;
    this.unsentBytes = 0;
    requests.underWay++;
    const begun = this.flushOffThread(flushDescriptor)
      .catch((error: PerdureError) => {
        this.failedBehind ??= error;
      })
      .finally(() => requests.underWay--);
    this.writtenBehind = Promise.all([this.writtenBehind, begun]);
  }

  truncate(size: number): void {
    this.checkWritable();
    checkRange(size, 0);
    try {
      this.fileSystem.ftruncateSync(this.descriptor, size);
    } catch (error) {
      throw fileError(error, "set the size of", this.path, "write");
    }
  }

  /** A descriptor that a flush is using off the thread is closed when that flush ends, lest its number be reused. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { descriptor, flushDescriptor } = this;
    if (flushDescriptor !== null && this.flushesUnderWay === 0) this.closeDescriptor(flushDescriptor);
    if (flushDescriptor !== descriptor) this.closeDescriptor(descriptor);
  }

  /** What `close` may report has been reported by a flush, or concerns writes that nobody asked to be durable. */
  private closeDescriptor(descriptor: number): void {
    try {
      this.fileSystem.closeSync(descriptor);
    } catch {}
  }

  private checkOpen(): void {
    if (this.closed) throw closedError(this.path);
  }

  private checkWritable(): void {
    this.checkOpen();
    if (this.flushDescriptor === null) throw readOnlyError(this.path);
  }
}

/** Where the parts end that one system call takes, from `first` on: at least one part, however large. */
function batchEnd(parts: readonly Uint8Array[], first: number): number {
  let end = first;
  let bytes = 0;
  while (end < parts.length && end - first < maxParts) {
    bytes += (parts[end] as Uint8Array).length;
    if (bytes > maxTransferBytes && end > first) break;
    end++;
  }
  return end;
}

function zeroWriteError(path: string): PerdureError {
  return new PerdureError("IO", `cannot write ${path}: the system accepted none of the bytes`);
}
