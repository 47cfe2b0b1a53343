/**
 * Nodes of the trees, in place: 256 entries of u64 slot and u64 digest. FORMAT.md §6. They have no preamble; who reads one has
 * verified it against the entry above it, so what `validateNode` refuses was written that way.
 */
import { readU64, u64Text, viewOf, writeU64 } from "../base/bytes.js";
import { FIRST_SLOT, MAX_FILE_SLOTS, NODE_ENTRIES, NODE_ENTRY_BYTES, SLOT_BYTES } from "./constants.js";
import { NODE_ENTRY } from "./schema.js";

/** The slot of entry `index`, 0 when it is absent. */
export function nodeSlot(view: DataView, index: number): number {
  return readU64(view, index * NODE_ENTRY_BYTES);
}

/** Where in a node the digest of entry `index` lies. */
export function nodeDigestOffset(index: number): number {
  return index * NODE_ENTRY_BYTES + NODE_ENTRY.fields.digest.offset;
}

/** Sets entry `index`, with the digest that lies at `at` of `digests`. */
export function setNodeEntry(
  view: DataView,
  index: number,
  slot: number,
  digests: DataView,
  at: number,
): void {
  writeU64(view, index * NODE_ENTRY_BYTES, slot);
  copyDigest(digests, at, view, nodeDigestOffset(index));
}

export function clearNodeEntry(view: DataView, index: number): void {
  for (let at = index * NODE_ENTRY_BYTES; at < (index + 1) * NODE_ENTRY_BYTES; at += 4)
    view.setUint32(at, 0, true);
}

/** Copies the eight bytes of a digest. */
export function copyDigest(from: DataView, fromAt: number, to: DataView, toAt: number): void {
  to.setUint32(toAt, from.getUint32(fromAt, true), true);
  to.setUint32(toAt + 4, from.getUint32(fromAt + 4, true), true);
}

/** What is wrong with a node of a file of `fileSlots` slots; null when nothing is. */
export function validateNode(bytes: Uint8Array, fileSlots = MAX_FILE_SLOTS): string | null {
  if (bytes.length !== SLOT_BYTES) return `${bytes.length} bytes instead of 4096`;
  const view = viewOf(bytes);
  for (let index = 0; index < NODE_ENTRIES; index++) {
    const problem = nodeEntryProblem(view, index, fileSlots);
    if (problem !== null) return problem;
  }
  return null;
}

/** What is wrong with one entry; null when nothing is. */
export function nodeEntryProblem(view: DataView, index: number, fileSlots = MAX_FILE_SLOTS): string | null {
  const slot = nodeSlot(view, index);
  if (slot >= FIRST_SLOT && slot < fileSlots) return null;
  if (slot !== 0) return `entry ${index} lies in slot ${u64Text(slot)} of ${fileSlots}`;
  const at = nodeDigestOffset(index);
  const isAbsent = view.getUint32(at, true) === 0 && view.getUint32(at + 4, true) === 0;
  return isAbsent ? null : `entry ${index} is absent but has a digest`;
}
