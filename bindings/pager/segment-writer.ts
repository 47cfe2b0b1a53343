/**
 * How a commit gets into the file: its blocks where the log has placed them, and the header that lists them. FORMAT.md §7 and §9.
 *
 * A small segment is put together in memory and written at once. A large one is written portion by portion, each hashed just before, while it is
 * near: so it comes from memory once, and the device is at work from the first portion on. Its header is written last; until then nothing has happened.
 */
import { ENTRY_BYTES, SLOT_BYTES } from "../format/constants.js";
import { copyDigest } from "../format/node.js";
import { entryDigestOffset, headerSlots, Operation, sealHeader, setEntry } from "../format/segment.js";
import { digestBytes, type Hasher } from "../hash/hasher.js";
import type { Placement } from "./log.js";
import type { Spill, WriterState } from "./writer-state.js";

/** Consecutive blocks that changed. */
export interface Change {
  block: number;
  /** Number of blocks. */
  count: number;
  /** `count` × 4096 bytes; null discards the blocks: they read as zeros again. */
  bytes: Uint8Array | null;
  /** The digests of `bytes`, 8 bytes for each block, for whom knows them already. */
  digests?: DataView;
}

/** What a commit lists. */
export interface Contents {
  changes: readonly Change[];
  spills: ReadonlyMap<number, Spill>;
  /** How many blocks these are. */
  entries: number;
}

/** Segments up to this size are put together in memory; larger ones are written in portions of this size. */
const STAGED_SLOTS = 256;
/** How far zeros are written ahead of a small segment that grows the file. */
const AHEAD_SLOTS = 256;
const ZEROS = new Uint8Array(AHEAD_SLOTS * SLOT_BYTES);

/** Reused by every commit: a staged segment, and a view of it. */
const staging = new Uint8Array(STAGED_SLOTS * SLOT_BYTES);
const stagingView = new DataView(staging.buffer);
/** The first slots of the staging area, by their number, made when they are first needed: that takes longer than to fill them. */
const stagedSlots: (Uint8Array | undefined)[] = [];

const firstStaged = (slots: number): Uint8Array =>
  (stagedSlots[slots] ??= staging.subarray(0, slots * SLOT_BYTES));

/** A header under construction. */
interface Header {
  bytes: Uint8Array;
  view: DataView;
}

/**
 * Writes the segment that follows the last commit; `placement` has room for exactly it. Answers with the view of its header, good until the next
 * commit, and its digest. On an error the file is as before, or the handle is poisoned.
 */
export function writeSegment(
  state: WriterState,
  contents: Contents,
  placement: Placement,
): { view: DataView; digest: bigint } {
  const { pieces } = placement;
  const headerCount = headerSlots(contents.entries * ENTRY_BYTES);
  let slots = 0;
  for (const piece of pieces) slots += piece.slots;
  const staged = slots <= STAGED_SLOTS;
  const bytes = staged ? firstStaged(headerCount) : new Uint8Array(headerCount * SLOT_BYTES);
  const header = { bytes, view: staged ? stagingView : new DataView(bytes.buffer) };
  const { fileSlots } = state;
  const cursor = new SlotCursor(placement);
  cursor.take(1);
  const furtherSlot = cursor.pass(headerCount - 1);
  /** Of the header, from when it may have come to the file. */
  let digest: bigint | null = null;
  try {
    if (staged) {
      fillStaged(state.file.hasher, contents, header, cursor, headerCount);
      digest = seal(state, contents, placement, header, furtherSlot);
      writeStaged(state, placement);
    } else {
      writeBlocks(state, contents, header.view, cursor);
      digest = seal(state, contents, placement, header, furtherSlot);
      writeHeader(state, pieces[0].slot, furtherSlot, bytes);
    }
  } catch (cause) {
    if (digest !== null) state.voidHeader(digest, cause);
    state.fileSlots = fileSlots;
    state.cutOffGrowth();
    throw cause;
  }
  return { view: header.view, digest };
}

function seal(
  state: WriterState,
  { entries }: Contents,
  placement: Placement,
  { bytes, view }: Header,
  furtherSlot: number,
): bigint {
  const fields = {
    uuid: state.newest.uuid,
    sequence: state.sequence + 1,
    writer: state.writer,
    previous: state.digest,
    lastFlushed: state.lastFlushed,
    time: Date.now(),
    next: placement.next,
    operation: Operation.Commit,
    bodyBytes: entries * ENTRY_BYTES,
    furtherSlot,
    furtherSlots: bytes.length / SLOT_BYTES - 1,
  };
  return sealHeader(bytes, view, fields, state.file.hasher);
}

/** Goes through the slots of a placement. */
class SlotCursor {
  /** The first of those that were last taken. */
  slot = 0;
  private piece = 0;
  private used = 0;

  constructor(private readonly placement: Placement) {}

  /** Takes up to `most` slots that adjoin; returns how many. */
  take(most: number): number {
    const { pieces } = this.placement;
    while (this.used === pieces[this.piece].slots) {
      this.piece++;
      this.used = 0;
    }
    const piece = pieces[this.piece];
    const count = Math.min(most, piece.slots - this.used);
    this.slot = piece.slot + this.used;
    this.used += count;
    return count;
  }

  /** Takes `slots` slots that are known to adjoin; returns the first, 0 for none. */
  pass(slots: number): number {
    if (slots === 0) return 0;
    this.take(slots);
    return this.slot;
  }
}

/** Enters everything in the header, and puts the blocks behind it. */
function fillStaged(
  hasher: Hasher,
  contents: Contents,
  { view }: Header,
  cursor: SlotCursor,
  headerCount: number,
): void {
  let entry = 0;
  let at = headerCount * SLOT_BYTES;
  for (const change of contents.changes) {
    const { count, bytes } = change;
    if (bytes === null) entry = listDiscards(change, view, entry);
    else {
      for (let done = 0; done < count; ) {
        const taken = cursor.take(count - done);
        const part = partOf(bytes, done, taken);
        entry = listBlocks(hasher, change, part, done, taken, cursor.slot, view, entry);
        done += taken;
      }
      staging.set(bytes, at);
      at += bytes.length;
    }
  }
  listSpills(contents, view, entry);
}

/** Enters everything in the header, and writes the blocks, as many at once as adjoin and make a portion. */
function writeBlocks(state: WriterState, contents: Contents, view: DataView, cursor: SlotCursor): void {
  let entry = 0;
  let parts: Uint8Array[] = [];
  let first = 0;
  let gathered = 0;
  const write = (): void => {
    if (gathered > 0) writeParts(state, first, parts, gathered);
    parts = [];
    gathered = 0;
  };
  for (const change of contents.changes) {
    const { count, bytes } = change;
    if (bytes === null) {
      entry = listDiscards(change, view, entry);
      continue;
    }
    for (let done = 0; done < count; ) {
      const taken = cursor.take(Math.min(count - done, STAGED_SLOTS - gathered));
      if (cursor.slot !== first + gathered) {
        write();
        first = cursor.slot;
      }
      const part = partOf(bytes, done, taken);
      entry = listBlocks(state.file.hasher, change, part, done, taken, cursor.slot, view, entry);
      parts.push(part);
      gathered += taken;
      done += taken;
      if (gathered < STAGED_SLOTS) continue;
      write();
      first = 0;
    }
  }
  write();
  listSpills(contents, view, entry);
}

function partOf(bytes: Uint8Array, from: number, count: number): Uint8Array {
  const length = count * SLOT_BYTES;
  return length === bytes.length ? bytes : bytes.subarray(from * SLOT_BYTES, from * SLOT_BYTES + length);
}

/** Lists `count` blocks of a change from its block `from` on, whose bytes are `part`; returns the entry behind them. */
function listBlocks(
  hasher: Hasher,
  { block, digests }: Change,
  part: Uint8Array,
  from: number,
  count: number,
  slot: number,
  view: DataView,
  entry: number,
): number {
  if (digests === undefined) hasher.digestBlocks(part, view, entryDigestOffset(entry), ENTRY_BYTES);
  for (let i = 0; i < count; i++) {
    setEntry(view, entry + i, block + from + i, slot + i);
    if (digests !== undefined)
      copyDigest(digests, (from + i) * digestBytes, view, entryDigestOffset(entry + i));
  }
  return entry + count;
}

function listDiscards({ block, count }: Change, view: DataView, entry: number): number {
  for (let i = 0; i < count; i++) {
    setEntry(view, entry + i, block + i, 0);
    // The staging area still holds the digests of an earlier commit.
    view.setBigUint64(entryDigestOffset(entry + i), 0n, true);
  }
  return entry + count;
}

function listSpills({ spills }: Contents, view: DataView, first: number): void {
  if (spills.size === 0) return;
  let entry = first;
  for (const [block, { slot, digest }] of spills) {
    setEntry(view, entry, block, slot);
    copyDigest(digest, 0, view, entryDigestOffset(entry++));
  }
}

/** One write for each piece of the placement; zeros go ahead of one that grows the file. */
function writeStaged(state: WriterState, { pieces }: Placement): void {
  let used = 0;
  for (const { slot, slots } of pieces) {
    const part =
      used === 0 ? firstStaged(slots) : staging.subarray(used * SLOT_BYTES, (used + slots) * SLOT_BYTES);
    used += slots;
    const zeros = slot + slots > state.fileSlots ? slotsAhead(state, slot, slot + slots) : 0;
    const parts = zeros === 0 ? [part] : [part, ZEROS.subarray(0, zeros * SLOT_BYTES)];
    writeParts(state, slot, parts, slots + zeros);
  }
}

/** How many zeros follow what is written from `slot` to `end`: not past its log run. */
function slotsAhead({ log, fileSlots }: WriterState, slot: number, end: number): number {
  const run = log.runs.find((each) => each.slot <= slot && slot < each.slot + each.slots)!;
  return Math.min(AHEAD_SLOTS, Math.max(16, fileSlots), run.slot + run.slots - end);
}

function writeHeader(state: WriterState, slot: number, furtherSlot: number, bytes: Uint8Array): void {
  const slots = bytes.length / SLOT_BYTES;
  if (slots === 1 || furtherSlot === slot + 1) {
    writeParts(state, slot, [bytes], slots);
    return;
  }
  writeParts(state, slot, [bytes.subarray(0, SLOT_BYTES)], 1);
  writeParts(state, furtherSlot, [bytes.subarray(SLOT_BYTES)], slots - 1);
}

function writeParts(state: WriterState, slot: number, parts: readonly Uint8Array[], slots: number): void {
  state.file.writeParts(slot, parts);
  state.counters.bytesWritten += slots * SLOT_BYTES;
  if (slot + slots > state.fileSlots) state.fileSlots = slot + slots;
}
