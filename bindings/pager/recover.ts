/**
 * Opening for writing, once the writer's lock is held and slot 2 is empty: find the one commit that the file holds, make it durable, and go on
 * from there. FORMAT.md §9, "Opening for writing". Writes nothing until the walk and the scan have ended well.
 */
import { PerdureError } from "../base/errors.js";
import { MAX_NUMBER, SLOT_BYTES } from "../format/constants.js";
import type { Decoded } from "../format/decoded.js";
import { selectSuperblock } from "../format/select.js";
import { decodeSuperblock, encodeSuperblock, type Superblock } from "../format/superblock.js";
import { BlockMap } from "./block-map.js";
import { checkpoint } from "./checkpoint.js";
import { Log } from "./log.js";
import { type Replayed, replay } from "./replay.js";
import { SlotSet } from "./slot-set.js";
import { mark, markRestored } from "./space.js";
import type { StateFile } from "./state-file.js";
import {
  blockExtents,
  cutTornTail,
  ensureRunsFit,
  type Segment,
  scanForLost,
  type Walk,
  walkHeaders,
  wrongBlock,
} from "./walk.js";
import type { WriterState } from "./writer-state.js";

const ZERO_SLOT = new Uint8Array(SLOT_BYTES);
/** How often superblocks of which neither is whole are read. */
const SUPERBLOCK_READS = 3;

export interface Superblocks {
  newest: Superblock;
  fallback: Superblock | null;
}

/** Reads both superblocks and selects; CORRUPT, VERSION or, for a file that was cut short, CORRUPT. */
export function readSuperblocks(file: StateFile): Superblocks {
  const found = selectFrom(file);
  const slots = file.slots();
  if (slots < found.newest.fileSlots) {
    throw file.corrupt(
      `the file has ${slots} slots of 4096 bytes but needs ${found.newest.fileSlots}; it was cut short`,
    );
  }
  // Where a fallback leads that needs more than there is, nobody can go.
  return found.fallback && slots < found.fallback.fileSlots ? { ...found, fallback: null } : found;
}

/** Read again when neither is whole: a living owner may have been writing first the one and then the other. */
function selectFrom(file: StateFile): Superblocks {
  const decode = (slot: number) => decodeSuperblock(file.read(slot), file.hasher);
  for (let attempt = 1; ; attempt++) {
    try {
      return select(file, decode(0), decode(1));
    } catch (error) {
      const corrupt = error instanceof PerdureError && error.code === "CORRUPT";
      if (!corrupt || attempt === SUPERBLOCK_READS) throw error;
    }
  }
}

function select(file: StateFile, slot0: Decoded<Superblock>, slot1: Decoded<Superblock>): Superblocks {
  try {
    return selectSuperblock(slot0, slot1);
  } catch (error) {
    if (error instanceof PerdureError) throw new PerdureError(error.code, `${file.label}: ${error.message}`);
    throw error;
  }
}

/**
 * The commit that the file holds now, with proof that nothing flushed is missing after it; CORRUPT when there is proof of the contrary. Reads only. A
 * writer may go on meanwhile: what looks lost is then found by walking again.
 */
export function findCommit(file: StateFile, superblock: Superblock): Walk {
  for (;;) {
    const walk = cutTornTail(file, walkHeaders(file, superblock));
    const lost = scanForLost(file, walk);
    if (lost === null) return walk;
    if (cutTornTail(file, walkHeaders(file, superblock)).sequence > walk.sequence) continue;
    throw file.corrupt(
      `the chain ends at commit ${walk.sequence}, but commit ${lost.sequence} in slot ${lost.slot} says that ${lost.lastFlushed} was flushed; ` +
        "flushed commits are damaged (perdure fsck tells more, perdure fsck --salvage copies what is left)",
    );
  }
}

/** `beforeWriting` is called when it is certain that the file will be opened. */
export function recover(
  open: (superblocks: Superblocks) => WriterState,
  file: StateFile,
  beforeWriting = () => {},
): WriterState {
  const superblocks = readSuperblocks(file);
  const walk = findCommit(file, superblocks.newest);
  ensureFits(file, superblocks.newest, walk);
  const state = open(superblocks);
  // Everything that is needed is read before anything is written: a file that is refused stays as it is.
  const replayed = walk.segments.length === 0 ? null : replayForWriting(state, walk);
  beforeWriting();
  settle(state, walk);
  state.flush();
  if (replayed === null) {
    state.verifyUnfenced();
    return state;
  }
  state.map = replayed.map;
  if (replayed.snapshots) state.snapshots = replayed.snapshots;
  for (const [name, fork] of replayed.forks) state.forks.set(name, fork);
  state.sequence = walk.sequence;
  state.digest = walk.digest;
  state.lastFlushed = walk.sequence;
  state.log = new Log(walk.runs, walk.next);
  state.space.nameRuns(walk.knownRuns.slice(state.newest.runs.length));
  checkpoint(state, { remark: replayed.snapshots !== null });
  return state;
}

/** Refuses what honest writers never come near, and what would make this one count or allocate without bounds. */
function ensureFits(file: StateFile, { generation, writer }: Superblock, walk: Walk): void {
  const greatest = Math.max(generation, writer, walk.sequence);
  if (greatest > MAX_NUMBER) {
    throw new PerdureError(
      "LIMIT",
      `${file.label}: has used up its numbers (one of them is ${greatest}); read what it holds and write it to a new file`,
    );
  }
  ensureRunsFit(file, walk.knownRuns);
}

/** Replays the walk, and reads the trees that the checkpoint after it goes through. */
function replayForWriting(state: WriterState, walk: Walk): Replayed {
  const { file } = state;
  const replayed = replay(file, walk, state.observer);
  markRestored(file, walk.segments, state.space.newest.slots);
  if (replayed.snapshots === null) {
    void state.snapshots;
    return replayed;
  }
  const seen = new SlotSet();
  mark(replayed.map, seen);
  for (const { name, root } of replayed.snapshots) {
    mark(replayed.forks.get(name) ?? new BlockMap(file, root), seen);
  }
  return replayed;
}

/**
 * Makes the disk say what the walk saw. The newest superblock and what no flush is known to cover are written again, byte for byte the same; what is torn (the
 * other superblock, a header at `next`) becomes zeros, because a later write there that is torn too could make it whole.
 */
function settle(state: WriterState, walk: Walk): void {
  const { file, newest, fallback } = state;
  file.write(newest.generation % 2, encodeSuperblock(newest, file.hasher));
  if (fallback === null) file.write((newest.generation + 1) % 2, ZERO_SLOT);
  if (walk.next < file.slots()) file.write(walk.next, ZERO_SLOT);
  for (const segment of walk.segments) {
    if (segment.header.sequence <= walk.lastFlushed) continue;
    const { header, slot, bytes } = segment;
    file.write(slot, bytes.subarray(0, SLOT_BYTES));
    if (header.furtherSlots > 0) file.write(header.furtherSlot, bytes.subarray(SLOT_BYTES));
    rewriteBlocks(file, segment);
  }
}

/**
 * Verified as they are read for this: after a failed flush the system may have dropped what the walk still saw. That is no damage: the next opening walks to
 * an earlier commit.
 */
function rewriteBlocks(file: StateFile, segment: Segment): void {
  for (const extent of blockExtents(segment)) {
    const bytes = file.read(extent.slot, extent.count);
    const wrong = wrongBlock(file, segment, extent, bytes);
    if (wrong >= 0) {
      throw new PerdureError(
        "IO",
        `${file.label}: a block of commit ${segment.header.sequence} in slot ${extent.slot + wrong} has changed while the file was opened; open it again`,
      );
    }
    file.write(extent.slot, bytes);
  }
}
