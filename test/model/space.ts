// Which slots may be written: those that no reach contains. The reach of a superblock is its trees (the planes of its
// free map, and the nodes of free map and directory), its log runs, and whatever the headers of its chain name.

import type { Rules } from "./rules.js";
import type { Header, Place, Planes, Root, Superblock } from "./values.js";

export const firstFreeSlot = 3;

/** A superblock together with the chain that is known to follow it. */
export interface Known {
  readonly superblock: Superblock;
  readonly chain: Header[];
}

export function markReach(marks: Set<number>, { superblock, chain }: Known, rules: Rules): void {
  const planes = superblock.freeMap.digest.planes as Planes;
  for (const slot of planes.image) marks.add(slot);
  for (const slot of planes.held) marks.add(slot);
  marks.add(superblock.freeMap.slot);
  if (superblock.directory !== null) marks.add(superblock.directory.slot);
  for (const slot of superblock.runs) marks.add(slot);
  for (const header of chain) {
    if (rules.protectNamedRuns) for (const slot of header.runs) marks.add(slot);
    if (rules.protectNamedBlocks) {
      for (const { place } of header.changes) if (place !== null) marks.add(place.slot);
    }
    if (header.root !== null) markTree(marks, header.root);
  }
}

/** A tree of blocks: its node and the blocks. */
export function markTree(marks: Set<number>, root: Root): void {
  marks.add(root.slot);
  markPlaces(marks, root.digest.places);
}

export function markPlaces(marks: Set<number>, places: readonly Place[]): void {
  for (const place of places) if (place !== null) marks.add(place.slot);
}

/** The slots that are not marked: those in the file from `start` on, those before it, then those that make the file grow. */
export function* freeSlots(marks: ReadonlySet<number>, start: number, end: number): Generator<number, never> {
  for (let slot = start; slot < end; slot++) if (!marks.has(slot)) yield slot;
  for (let slot = firstFreeSlot; slot < Math.min(start, end); slot++) if (!marks.has(slot)) yield slot;
  for (let slot = Math.max(end, firstFreeSlot); ; slot++) if (!marks.has(slot)) yield slot;
}
