/**
 * The state file as slots: every read and write of the pager goes through here, so this is where bytes become slots
 * and where digests are verified. Knows nothing of what the slots mean.
 */
import { PerdureError } from "../base/errors.js";
import { FORWARDING_SLOT, SLOT_BYTES } from "../format/constants.js";
import { isForwarded } from "../format/forwarding.js";
import type { Hasher } from "../hash/hasher.js";
import type { Storage } from "../storage/storage.js";

/** Slots read or written in one call when a large part of the file is copied or scanned: 1 MiB. */
export const CHUNK_SLOTS = 256;

export class StateFile {
  private readonly forwarding = new Uint8Array(SLOT_BYTES);

  constructor(
    readonly storage: Storage,
    readonly hasher: Hasher,
    /** What messages call the file. */
    readonly label: string,
  ) {}

  /** Whole slots in the file. */
  slots(): number {
    return Math.floor(this.storage.size() / SLOT_BYTES);
  }

  /** Reads slots into `into` (a multiple of 4096 bytes); what lies past the end of the file reads as zeros. */
  readInto(slot: number, into: Uint8Array): void {
    const read = this.storage.read(slot * SLOT_BYTES, into);
    if (read < into.length) into.fill(0, read);
  }

  read(slot: number, count = 1): Uint8Array {
    const bytes = new Uint8Array(count * SLOT_BYTES);
    this.readInto(slot, bytes);
    return bytes;
  }

  write(slot: number, bytes: Uint8Array): void {
    this.storage.write(slot * SLOT_BYTES, bytes);
  }

  /** Writes `parts` end to end from `slot` on, in one call where the storage can. */
  writeParts(slot: number, parts: readonly Uint8Array[]): void {
    let offset = slot * SLOT_BYTES;
    if (parts.length === 1) this.storage.write(offset, parts[0]);
    else if (this.storage.writeParts) this.storage.writeParts(offset, parts);
    else {
      for (const part of parts) {
        this.storage.write(offset, part);
        offset += part.length;
      }
    }
  }

  /** Reads a slot into `into` and verifies it against the digest at `at` of `expected`. CORRUPT when it differs. */
  readVerified(slot: number, into: Uint8Array, expected: DataView, at: number, what: string): void {
    this.readInto(slot, into);
    if (this.hasher.matches(into, expected, at)) return;
    throw this.corrupt(`${what} in slot ${slot} does not have the digest that it was written with`);
  }

  /** Whether slot 2 says that this file is no longer the state. */
  isForwarded(): boolean {
    this.readInto(FORWARDING_SLOT, this.forwarding);
    return isForwarded(this.forwarding);
  }

  corrupt(message: string): PerdureError {
    return new PerdureError("CORRUPT", `${this.label}: ${message}`);
  }
}
