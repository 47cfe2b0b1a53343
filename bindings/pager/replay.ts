/**
 * The image that a walk ends at: the superblock's trees with the walked segments applied, in memory. A reader stops here; a writer that
 * recovers goes on to make it durable.
 */
import type { SnapshotEntry } from "../format/directory.js";
import { quote } from "../format/names.js";
import { entryBlock, entryDigestOffset, entrySlot, Operation } from "../format/segment.js";
import { EMPTY_ROOT } from "../format/superblock.js";
import { BlockMap } from "./block-map.js";
import { readDirectory } from "./directory.js";
import type { StateFile } from "./state-file.js";
import type { Segment, Walk } from "./walk.js";

export interface Replayed {
  map: BlockMap;
  /** Null when the walk did not touch the directory: it is the superblock's. */
  snapshots: SnapshotEntry[] | null;
  /** Trees of the snapshots that the walk created; their entries' roots are empty until they are written. */
  forks: Map<string, BlockMap>;
}

/** Told which slots the image begins and ceases to reach. */
export interface ReachObserver {
  added(slot: number): void;
  released(slot: number): void;
}

export function replay(file: StateFile, walk: Walk, observer?: ReachObserver): Replayed {
  const map = new BlockMap(file, walk.superblock.image, observer?.released);
  const replayed: Replayed = { map, snapshots: null, forks: new Map() };
  for (const segment of walk.segments) applySegment(file, walk, replayed, segment, observer);
  return replayed;
}

/** Enters the blocks of a commit into a map; `view` is that of its header. */
export function applyEntries(map: BlockMap, view: DataView, entries: number, observer?: ReachObserver): void {
  for (let i = 0; i < entries; i++) {
    const slot = entrySlot(view, i);
    const block = entryBlock(view, i);
    const before = slot === 0 ? map.clear(block) : map.set(block, slot, view, entryDigestOffset(i));
    if (before !== 0) observer?.released(before);
    if (slot !== 0) observer?.added(slot);
  }
}

export function applySegment(
  file: StateFile,
  walk: Walk,
  replayed: Replayed,
  segment: Segment,
  observer?: ReachObserver,
): void {
  const { record } = segment;
  if (record === null) {
    applyEntries(replayed.map, segment.view, segment.entries, observer);
    return;
  }
  const { operation, sequence, time } = segment.header;
  if (operation === Operation.Checkpoint) return;
  const snapshots = replayed.snapshots ?? readDirectory(file, walk.superblock.directory);
  const known = snapshots.some(({ name }) => name === record.name);
  if (known === (operation === Operation.CreateSnapshot)) {
    throw file.corrupt(
      `commit ${sequence} is about snapshot ${quote(record.name)}, ${known ? "which exists already" : "which does not exist"}`,
    );
  }
  if (operation === Operation.CreateSnapshot) {
    replayed.snapshots = [...snapshots, { name: record.name, root: EMPTY_ROOT, sequence, time }];
    replayed.forks.set(record.name, replayed.map.fork());
  } else if (operation === Operation.DeleteSnapshot) {
    replayed.snapshots = snapshots.filter((entry) => entry.name !== record.name);
    replayed.forks.delete(record.name);
  } else {
    replayed.snapshots = snapshots;
    replayed.map = new BlockMap(file, record.image!, observer?.released);
  }
}
