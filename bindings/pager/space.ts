/**
 * Which slots are in use, and by whom. FORMAT.md §6 (free map) and §9 (reuse).
 *
 * Invariants. `image` holds exactly the slots that the current block map reaches, `held` those that snapshots do, `meta` those of the newest
 * superblock's free map and directory. A slot is free for writing only when it is in none of these, in no retained reach, in no named run, and
 * holds no spilled block: `busy` is the union, computed anew for every checkpoint.
 */
import { PerdureError } from "../base/errors.js";
import { FIRST_SLOT, FREE_PAGE_SLOTS } from "../format/constants.js";
import { freePageCount, freePageOf, Plane, planeOf } from "../format/free-map.js";
import { nodeDigestOffset } from "../format/node.js";
import type { Run, Superblock } from "../format/superblock.js";
import { BlockMap } from "./block-map.js";
import { SlotSet } from "./slot-set.js";
import type { StateFile } from "./state-file.js";
import { ensureRunsFit, type Segment, walkHeaders } from "./walk.js";

/** Shorter free extents are not worth a write of their own while nodes can go to the end of the file. */
const MIN_EXTENT_SLOTS = 8;

/** What a superblock needs to be followed to its end: never written while it is retained. */
export interface Reach {
  generation: number;
  slots: SlotSet;
  runs: Run[];
}

export class Space {
  image = new SlotSet();
  held = new SlotSet();
  meta = new SlotSet();
  /** Pages of the free map that differ from what the newest superblock's has. */
  readonly changedPages = new Set<number>();
  newest: Reach;
  fallback: Reach | null;
  /** Reaches of readers' pins and open backups, by nonce or token. */
  readonly pinned = new Map<unknown, Reach>();

  private constructor(file: StateFile, newest: Superblock, fallback: Reach | null) {
    loadPlanes(file, new BlockMap(file, newest.freeMap), this.image, this.held, this.meta);
    loadDirectorySlots(file, newest, this.meta);
    this.fallback = fallback;
    this.newest = { generation: newest.generation, slots: this.union(), runs: [...newest.runs] };
  }

  /** Reads the free map of the newest superblock, and the reach of the fallback. */
  static load(file: StateFile, newest: Superblock, fallback: Superblock | null): Space {
    // A replay from the fallback passes all runs that records named up to the newest superblock.
    const reach = fallback && tryReach(file, fallback, newest.sequence);
    const space = new Space(file, newest, reach);
    reach?.runs.push(...newest.runs);
    return space;
  }

  addImage(slot: number): void {
    this.image.add(slot);
    this.changedPages.add(freePageOf(slot));
  }

  removeImage(slot: number): void {
    this.image.delete(slot);
    this.changedPages.add(freePageOf(slot));
  }

  /** Replaces both planes after they were computed by marking. */
  replacePlanes(image: SlotSet, held: SlotSet): void {
    const pages = freePageCount(Math.max(this.image.end(), this.held.end(), image.end(), held.end()));
    for (let page = 0; page < pages; page++) this.changedPages.add(page);
    this.image = image;
    this.held = held;
  }

  /** Slots in use by the current state itself: image, snapshots, free map and directory. */
  union(): SlotSet {
    const all = this.image.clone();
    all.addAll(this.held);
    all.addAll(this.meta);
    return all;
  }

  /** The chain now goes on in `runs`, also for whoever begins at the retained superblocks. */
  nameRuns(runs: readonly Run[]): void {
    this.newest.runs.push(...runs);
    this.fallback?.runs.push(...runs);
  }

  /** Every slot that may not be written now. */
  busy(spilled: Iterable<number>): SlotSet {
    const busy = this.union();
    busy.addRange(0, FIRST_SLOT);
    for (const reach of [this.newest, this.fallback, ...this.pinned.values()]) {
      if (reach === null) continue;
      busy.addAll(reach.slots);
      for (const run of reach.runs) busy.addRange(run.slot, run.slots);
    }
    for (const slot of spilled) busy.add(slot);
    return busy;
  }
}

/** Null when its trees are damaged: a superblock that leads nowhere has nothing to protect. */
export function tryReach(file: StateFile, superblock: Superblock, upTo: number): Reach | null {
  try {
    return loadReach(file, superblock, upTo);
  } catch (error) {
    if (error instanceof PerdureError && error.code === "CORRUPT") return null;
    throw error;
  }
}

/** The reach of a superblock as its own free map has it, and the runs of its chain up to sequence `upTo`. */
function loadReach(file: StateFile, superblock: Superblock, upTo: number): Reach {
  if (superblock.fileSlots > file.slots())
    throw file.corrupt("a superblock needs more slots than the file has");
  const { knownRuns, segments } = walkHeaders(file, superblock, upTo);
  ensureRunsFit(file, knownRuns);
  const slots = new SlotSet();
  loadPlanes(file, new BlockMap(file, superblock.freeMap), slots, slots, slots);
  loadDirectorySlots(file, superblock, slots);
  markRestored(file, segments, slots);
  return { generation: superblock.generation, slots, runs: knownRuns };
}

/** Adds what the free map says to `image` and `held`, and its own slots to `meta`. The three may be the same set. */
export function loadPlanes(
  file: StateFile,
  freeMap: BlockMap,
  image: SlotSet,
  held: SlotSet,
  meta: SlotSet,
): void {
  const bytes = new Uint8Array(4096);
  const fileSlots = file.slots();
  const limit = freePageCount(fileSlots);
  freeMap.visit({
    node: (slot) => {
      meta.add(slot);
      return true;
    },
    leaf: (page, slot, node, entry) => {
      if (page >= limit)
        throw file.corrupt(`the free map describes slots that the file does not have (page ${page})`);
      file.readVerified(slot, bytes, node.view, nodeDigestOffset(entry), "a page of the free map");
      addBits(image, page, planeOf(bytes, Plane.Image));
      addBits(held, page, planeOf(bytes, Plane.Held));
      meta.add(slot);
    },
  });
  const end = Math.max(image.end(), held.end());
  if (end > fileSlots)
    throw file.corrupt(`the free map has slot ${end - 1} in use, which the file does not have`);
}

function addBits(set: SlotSet, page: number, bits: Uint8Array): void {
  const before = new Uint8Array(bits.length);
  set.copyBits(page * FREE_PAGE_SLOTS, before);
  for (let i = 0; i < bits.length; i++) before[i] |= bits[i];
  set.setBits(page * FREE_PAGE_SLOTS, before);
}

function loadDirectorySlots(file: StateFile, superblock: Superblock, into: SlotSet): void {
  new BlockMap(file, superblock.directory).visit({
    node: (slot) => {
      into.add(slot);
      return true;
    },
    leaf: (_, slot) => into.add(slot),
  });
}

/** Adds every slot that `map` reaches to `into`; what is in it already is shared, and left out with all below it. */
export function mark(map: BlockMap, into: SlotSet): void {
  map.visit({
    node: (slot) => {
      if (into.has(slot)) return false;
      into.add(slot);
      return true;
    },
    leaf: (_, slot) => into.add(slot),
  });
}

/** Adds the trees that a walk restores: a snapshot that was created in the same chain is in no free map of its superblock. */
export function markRestored(file: StateFile, segments: readonly Segment[], into: SlotSet): void {
  for (const { record } of segments) if (record?.image) mark(new BlockMap(file, record.image), into);
}

/** Takes `count` free slots out of `busy`, contiguous: the smallest extent that fits, or the end of what is in use. */
export function takeExtent(busy: SlotSet, count: number): number {
  if (count === 0) return 0;
  let best = 0;
  let bestSlots = Number.POSITIVE_INFINITY;
  const end = busy.end();
  const consider = (slot: number, slots: number): boolean => {
    if (slots < bestSlots) {
      best = slot;
      bestSlots = slots;
    }
    return bestSlots === count;
  };
  busy.gaps(FIRST_SLOT, end, consider, count);
  const slot = best === 0 ? end : best;
  busy.addRange(slot, count);
  return slot;
}

/** Takes `count` free slots out of `busy` for what is written together: in one extent, or in the longest there are rather than at the end. */
export function takeExtents(busy: SlotSet, count: number): Run[] {
  const end = busy.end();
  const gaps =
    count < MIN_EXTENT_SLOTS ? [] : busy.longestGaps(FIRST_SLOT, end, MIN_EXTENT_SLOTS, count, count);
  if (gaps.length === 0 || gaps[0].slots >= count) return [{ slot: takeExtent(busy, count), slots: count }];
  let left = count;
  const extents = gaps.map(({ slot, slots }) => {
    const taken = Math.min(slots, left);
    left -= taken;
    return { slot, slots: taken };
  });
  if (left > 0) extents.push({ slot: end, slots: left });
  for (const { slot, slots } of extents) busy.addRange(slot, slots);
  return extents;
}
