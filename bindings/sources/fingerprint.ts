/**
 * Whether a file is still the one that was read: a digest of its first bytes and of those just before a position. It notices a file that was
 * replaced, cut, or changed near either; not one that was changed in between and kept its length.
 */
import { readSync } from "node:fs";
import { viewOf } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import type { Hasher } from "../hash/hasher.js";

const SAMPLE_BYTES = 4096;

export class Fingerprint {
  /** The last one that was asked for. */
  private offset = -1;
  private value = 0n;

  constructor(
    private readonly file: number,
    private readonly hasher: Hasher,
  ) {}

  /** Of what comes before `offset`; 0 for nothing. */
  at(offset: number): bigint {
    if (offset === 0) return 0n;
    if (offset !== this.offset) {
      const head = this.sample(0, Math.min(offset, SAMPLE_BYTES));
      const tail = this.sample(Math.max(0, offset - SAMPLE_BYTES), offset);
      const both = new Uint8Array(head.length + tail.length);
      both.set(head);
      both.set(tail, head.length);
      const digest = viewOf(new Uint8Array(8));
      this.hasher.digest(both, digest, 0);
      this.offset = offset;
      this.value = digest.getBigUint64(0, true) || 1n;
    }
    return this.value;
  }

  /** STALE when it differs from what was noted at this position. */
  verify(path: string, offset: number, noted: bigint): void {
    if (offset === 0 || noted === 0n || this.at(offset) === noted) return;
    throw new PerdureError(
      "STALE",
      `${path}: what comes before byte ${offset} is not what was read before; reset() the pipe to read the file from its beginning`,
    );
  }

  private sample(from: number, to: number): Uint8Array {
    const bytes = new Uint8Array(to - from);
    const count = readSync(this.file, bytes, 0, bytes.length, from);
    return bytes.subarray(0, count);
  }
}
