/**
 * Pins: small files by which readers tell the writer what they read. FORMAT.md §8. A reader writes one, the writer lists them before it
 * chooses slots and removes those of dead readers.
 */
import { equalBytes } from "../base/bytes.js";
import { SLOT_BYTES } from "../format/constants.js";
import {
  decodePin,
  encodePin,
  MAX_RECORD_BYTES,
  type PinRecord,
  parsePinName,
  pinName,
  temporaryName,
} from "../format/side-files.js";
import { decodeSuperblock, encodeSuperblock, type Superblock } from "../format/superblock.js";
import type { Hasher } from "../hash/hasher.js";
import type { Processes } from "../storage/processes.js";
import type { Place } from "../storage/storage.js";
import { linkFile, readRecord } from "./lock.js";
import { randomNonce } from "./random.js";
import type { Pin } from "./writer-state.js";

interface FoundPin extends Pin {
  snapshot: string | null;
}

/** The pins of living readers of the file with this uuid; those of dead ones are removed. */
export function listPins(
  place: Place,
  name: string,
  uuid: Uint8Array,
  hasher: Hasher,
  processes: Processes,
): FoundPin[] {
  const found: FoundPin[] = [];
  for (const file of place.list(pinName(name, ""))) {
    const nonce = parsePinName(name, file);
    if (nonce === null) continue;
    const bytes = readRecord(place, file, SLOT_BYTES + MAX_RECORD_BYTES);
    const record = typeof bytes === "string" ? null : decodePin(bytes);
    if (record === null) continue;
    if (processes.isDead(record.process)) {
      place.remove(file);
      continue;
    }
    const superblock = decodeSuperblock(record.superblock, hasher);
    // A reader of the file that had this name before a relocation reads that one's slots, not ours.
    if (!superblock.ok || !equalBytes(superblock.value.uuid, uuid)) continue;
    found.push({ nonce, superblock: superblock.value, sequence: record.commit, snapshot: record.snapshot });
  }
  return found;
}

/** Pins what a reader sees; returns what takes the pin away again. Throws when the place cannot be written. */
export function writePin(
  place: Place,
  name: string,
  pin: { superblock: Superblock; commit: number; snapshot: string | null },
  hasher: Hasher,
  processes: Processes,
): () => void {
  const record: PinRecord = {
    ...pin,
    superblock: encodeSuperblock(pin.superblock, hasher),
    process: processes.self,
  };
  for (;;) {
    const nonce = randomNonce();
    // False only when a writer that has just opened the file tidied the unnamed one away.
    if (!linkFile(place, temporaryName(name, nonce), pinName(name, nonce), encodePin(record))) continue;
    return () => place.remove(pinName(name, nonce));
  }
}
