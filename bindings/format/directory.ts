/**
 * The directory of snapshots: one stream of bytes, cut into the leaves of a tree. FORMAT.md §6. Sorted by the bytes of the
 * names, so a list of snapshots has one encoding. None at all is an empty tree, not an empty stream.
 */
import { compareBytes, viewOf } from "../base/bytes.js";
import { MAX_FILE_SLOTS, SLOT_BYTES } from "./constants.js";
import { type Decoded, damaged, decoded } from "./decoded.js";
import { decodeName, encodeName, quote } from "./names.js";
import { rootProblem } from "./runs.js";
import { DIRECTORY, firstProblem, type Root, readFields, SNAPSHOT, writeFields } from "./schema.js";

export interface SnapshotEntry {
  /** 1 … 1024 bytes as UTF-8. */
  name: string;
  /** Of its block map. */
  root: Root;
  /** Of the commit that it shows. */
  sequence: number;
  /** Milliseconds since 1970. */
  time: number;
}

/** The leaves of the tree, 4096 bytes each, in order; the entries in any order. Two of the same name throw RangeError. */
export function encodeDirectory(entries: readonly SnapshotEntry[]): Uint8Array[] {
  if (entries.length === 0) return [];
  const sorted = entries
    .map((entry) => ({ entry, name: encodeName(entry.name) }))
    .sort((a, b) => compareBytes(a.name, b.name));
  const streamBytes = sorted.reduce((sum, { name }) => sum + SNAPSHOT.bytes + name.length, DIRECTORY.bytes);
  const leafCount = Math.ceil(streamBytes / SLOT_BYTES);
  const bytes = new Uint8Array(leafCount * SLOT_BYTES);
  const view = viewOf(bytes);
  writeFields(view, 0, DIRECTORY, { streamBytes, snapshotCount: sorted.length });
  let at = DIRECTORY.bytes;
  sorted.forEach(({ entry, name }, i) => {
    if (i > 0 && entry.name === sorted[i - 1].entry.name)
      throw new RangeError("two snapshots of the same name");
    writeFields(view, at, SNAPSHOT, { ...entry, nameBytes: name.length });
    bytes.set(name, at + SNAPSHOT.bytes);
    at += SNAPSHOT.bytes + name.length;
  });
  return Array.from({ length: leafCount }, (_, i) => bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
}

/** How many leaves there are, as the first one says: up to a million, so compare with the file before reading so many. */
export function directoryLeafCount(firstLeaf: Uint8Array): number {
  return Math.ceil(viewOf(firstLeaf).getUint32(DIRECTORY.fields.streamBytes.offset, true) / SLOT_BYTES);
}

/** Decodes the leaves joined in order; no bytes at all are no snapshots. */
export function decodeDirectory(bytes: Uint8Array, fileSlots = MAX_FILE_SLOTS): Decoded<SnapshotEntry[]> {
  if (bytes.length === 0) return decoded([]);
  if (bytes.length < DIRECTORY.bytes) return damaged(`a directory of ${bytes.length} bytes`);
  const view = viewOf(bytes);
  const { streamBytes, snapshotCount } = readFields(view, 0, DIRECTORY);
  if (streamBytes < DIRECTORY.bytes || streamBytes > bytes.length) {
    return damaged(`a directory of ${streamBytes} bytes in leaves of ${bytes.length}`);
  }
  const entries: SnapshotEntry[] = [];
  let at = DIRECTORY.bytes;
  let before: Uint8Array | null = null;
  while (at < streamBytes) {
    const nameAt = at + SNAPSHOT.bytes;
    if (nameAt > streamBytes) return damaged("a directory that ends within an entry");
    const { nameBytes, ...fields } = readFields(view, at, SNAPSHOT);
    if (nameAt + nameBytes > streamBytes) return damaged("a directory that ends within a name");
    const raw = bytes.subarray(nameAt, nameAt + nameBytes);
    const name = decodeName(raw);
    if (name === null) return damaged(`snapshot ${entries.length} has no valid name`);
    if (before !== null && compareBytes(before, raw) >= 0)
      return damaged("a directory that is not sorted by name");
    const problem = firstProblem(SNAPSHOT, fields) ?? rootProblem(fields.root, fileSlots);
    if (problem !== null) return damaged(`snapshot ${quote(name)}: ${problem}`);
    entries.push({ name, ...fields });
    before = raw;
    at = nameAt + nameBytes;
  }
  if (entries.length !== snapshotCount || snapshotCount === 0) {
    return damaged(`${entries.length} snapshots in a directory of ${snapshotCount}`);
  }
  return decoded(entries);
}
