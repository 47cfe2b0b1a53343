/**
 * What a state file is, as far as its superblocks and its chain tell. The superblocks are looked at one by one, so that something can be said of
 * a file that cannot be opened.
 */
import { isZero, toHex, viewOf } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import { FORWARDING_SLOT, SLOT_BYTES } from "../format/constants.js";
import type { Decoded } from "../format/decoded.js";
import { PREAMBLE } from "../format/schema.js";
import { selectSuperblock } from "../format/select.js";
import { decodeSuperblock, type Run, type Superblock } from "../format/superblock.js";
import { BlockMap } from "../pager/block-map.js";
import { readDirectory } from "../pager/directory.js";
import { replay } from "../pager/replay.js";
import { SlotSet } from "../pager/slot-set.js";
import { loadPlanes, mark } from "../pager/space.js";
import type { StateFile } from "../pager/state-file.js";
import type { Walk } from "../pager/walk.js";

export type SuperblockState = "newest" | "fallback" | "older" | "empty" | "damaged";

export interface SuperblockSurvey {
  slot: 0 | 1;
  state: SuperblockState;
  /** Why it is damaged. */
  message: string | null;
  superblock: Superblock | null;
}

/** Slots by what reaches them; what several reach is in the total once. */
export interface LiveSlots {
  total: number;
  image: number;
  /** By snapshots. */
  held: number;
  /** Free map and directory. */
  meta: number;
}

export interface Chain {
  /** Commits and records after the newest superblock, and the slots of their headers. */
  segments: number;
  headerSlots: number;
  /** Slot of the next header, and the log runs in force. */
  next: number;
  runs: Run[];
  lastFlushed: number;
}

/** CORRUPT when there is nothing of a state file where its superblocks would be. */
export function ensureStateFile(file: StateFile): void {
  const found = [0, 1].map((slot) => decodeSuperblock(file.read(slot), file.hasher));
  if (found.every((each) => !each.ok && each.reason === "foreign"))
    throw file.corrupt(file.storage.size() === 0 ? "the file is empty" : "not a perdure state file");
}

/** The two superblocks; VERSION for those of a later format. */
export function surveySuperblocks(file: StateFile): [SuperblockSurvey, SuperblockSurvey] {
  const bytes = [file.read(0), file.read(1)];
  const found = bytes.map((each) => decodeSuperblock(each, file.hasher));
  const newest = newestOf(file, found[0], found[1]);
  const survey = (slot: 0 | 1): SuperblockSurvey => {
    const each = found[slot];
    if (!each.ok) {
      const state = isZero(bytes[slot]) ? "empty" : "damaged";
      return { slot, state, message: state === "empty" ? null : each.message, superblock: null };
    }
    const { generation } = each.value;
    if (generation % 2 !== slot) {
      const message = `the superblock of generation ${generation} does not belong here`;
      return { slot, state: "damaged", message, superblock: null };
    }
    const age = newest === null ? 0 : newest.generation - generation;
    const state = age === 0 ? "newest" : age === 1 ? "fallback" : "older";
    return { slot, state, message: null, superblock: each.value };
  };
  return [survey(0), survey(1)];
}

/** Null when none can be used, although this is a state file. */
function newestOf(
  file: StateFile,
  slot0: Decoded<Superblock>,
  slot1: Decoded<Superblock>,
): Superblock | null {
  try {
    return selectSuperblock(slot0, slot1).newest;
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    if (error.code === "VERSION") throw new PerdureError(error.code, `${file.label}: ${error.message}`);
    return null;
  }
}

/** The format that a superblock was written in, as `major.minor`. */
export function formatOf(file: StateFile, slot: 0 | 1): string {
  const view = viewOf(file.read(slot));
  const { major, minor } = PREAMBLE.fields;
  return `${view.getUint16(major.offset, true)}.${view.getUint16(minor.offset, true)}`;
}

export function uuidText(uuid: Uint8Array): string {
  return toHex(uuid).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export function chainOf({ segments, headerSlots, next, runs, lastFlushed }: Walk): Chain {
  return { segments: segments.length, headerSlots: headerSlots.count(), next, runs, lastFlushed };
}

export function isForwarded(file: StateFile): boolean {
  return !isZero(file.read(FORWARDING_SLOT));
}

/** What the walk's commit needs: the superblock's free map, with the chain applied. CORRUPT when it cannot be read. */
export function liveSlots(file: StateFile, walk: Walk): LiveSlots {
  let image = new SlotSet();
  let held = new SlotSet();
  const meta = new SlotSet();
  const { superblock } = walk;
  loadPlanes(file, new BlockMap(file, superblock.freeMap), image, held, meta);
  mark(new BlockMap(file, superblock.directory), meta);
  const { map, snapshots, forks } = replay(file, walk, {
    added: (slot) => image.add(slot),
    released: (slot) => image.delete(slot),
  });
  if (snapshots !== null) {
    // The chain made, deleted or restored a snapshot, which moves slots from one plane to another.
    image = new SlotSet();
    held = new SlotSet();
    mark(map, image);
    for (const { name, root } of snapshots) mark(forks.get(name) ?? new BlockMap(file, root), held);
  }
  const total = image.clone();
  total.addAll(held);
  total.addAll(meta);
  return { total: total.count(), image: image.count(), held: held.count(), meta: meta.count() };
}

/** Blocks of a file in bytes. */
export const slotBytes = (slots: number): number => slots * SLOT_BYTES;

/** The snapshots of a superblock; CORRUPT when its directory cannot be read. */
export const snapshotsOf = (file: StateFile, superblock: Superblock) =>
  readDirectory(file, superblock.directory);
