/**
 * Commit: one segment, one write, one flush. FORMAT.md §9.
 */
import { PerdureError } from "../base/errors.js";
import { ENTRY_BYTES, NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { entryDigestOffset, headerSlots, Operation, sealHeader, setEntry } from "../format/segment.js";
import { checkpoint } from "./checkpoint.js";
import { verifyBlocks } from "./image.js";
import type { Placement } from "./log.js";
import { discardsBeside, endPending } from "./pending.js";
import { applyEntries } from "./replay.js";
import type { Space } from "./space.js";
import type { Spill, WriterState } from "./writer-state.js";

/** Consecutive blocks that changed. */
export interface Change {
  block: number;
  /** Number of blocks. */
  count: number;
  /** `count` × 4096 bytes; null discards the blocks: they read as zeros again. */
  bytes: Uint8Array | null;
}

/** Blocks with bytes, 16 GiB of them: half of how far log runs may reach past the end of the file (see `ensureRunsFit`). */
const MAX_FRESH_BLOCKS = 2 ** 22;
/** Segments up to this size are put together in memory and written at once; larger ones are gathered from where they lie. */
const STAGED_SLOTS = 256;
/** How far zeros are written ahead of a small durable segment that grows the file. */
const AHEAD_SLOTS = 256;
const ZEROS = new Uint8Array(AHEAD_SLOTS * SLOT_BYTES);

/** Reused by every commit: a staged segment, and a view of it. */
const staging = new Uint8Array(STAGED_SLOTS * SLOT_BYTES);
const stagingView = new DataView(staging.buffer);
/** The first slots of the staging area, by their number, made when they are first needed: that takes longer than to fill them. */
const stagedSlots: (Uint8Array | undefined)[] = [];

const stagedPart = (slots: number): Uint8Array =>
  (stagedSlots[slots] ??= staging.subarray(0, slots * SLOT_BYTES));

/**
 * Commits `own` changes together with what was spilled and discarded; returns the sequence. With nothing to commit it returns the last one (flushed, when
 * `durable`). On an error nothing is committed; the handle may be poisoned (see `WriterState`).
 */
export function commit(state: WriterState, own: readonly Change[], durable: boolean): number {
  state.ensureWritable();
  verifyChanges(own);
  const changes = withDiscards(state, own);
  const spills = spillsBeside(state, changes);
  let entries = spills.size;
  let fresh = 0;
  for (const { count, bytes } of changes) {
    entries += count;
    if (bytes !== null) fresh += count;
  }
  if (entries === 0) {
    endPending(state);
    if (durable) makeDurable(state);
    return state.sequence;
  }
  const bodyBytes = entries * ENTRY_BYTES;
  const headerCount = headerSlots(bodyBytes);
  const slots = headerCount - 1 + fresh;
  const placement = place(state, slots, headerCount - 1);
  const staged = slots < STAGED_SLOTS;
  const header = staged ? stagedPart(headerCount) : new Uint8Array(headerCount * SLOT_BYTES);
  const view = staged ? stagingView : new DataView(header.buffer);

  const slotsOf = new SlotCursor(placement);
  slotsOf.next();
  const furtherSlot = headerCount > 1 ? slotsOf.next() : 0;
  for (let slot = 2; slot < headerCount; slot++) slotsOf.next();
  const space = loadPaths(state, changes, spills);
  const parts = [staged ? stagedPart(slots + 1) : header];
  fillEntries(state, changes, spills, view, slotsOf, staged ? headerCount : -1, parts);
  const fields = {
    uuid: state.newest.uuid,
    sequence: state.sequence + 1,
    writer: state.writer,
    previous: state.digest,
    lastFlushed: state.lastFlushed,
    time: Date.now(),
    next: placement.next,
    operation: Operation.Commit,
    bodyBytes,
    furtherSlot,
    furtherSlots: headerCount - 1,
  };
  const digest = sealHeader(header, view, fields, state.file.hasher);
  try {
    writePieces(state, placement, parts, staged && durable);
  } catch (cause) {
    state.voidHeader(digest, cause);
    state.cutOffGrowth();
    throw cause;
  }
  const { previous } = fields;
  state.sequence = fields.sequence;
  state.digest = digest;
  try {
    if (durable) state.flush();
    state.verifyUnfenced();
  } catch (error) {
    state.sequence--;
    state.digest = previous;
    throw error;
  }
  applyEntries(state.map, view, entries, state.observer);
  if (spills.size > 0) {
    // Blocks spilled before a checkpoint lie outside the runs that the superblocks name: their reaches learn of them here.
    const outside = [...spills.values()].filter(({ slot }) => !state.log.contains(slot));
    space.nameRuns(outside.map(({ slot }) => ({ slot, slots: 1 })));
  }
  endPending(state);
  state.log.advance(placement);
  state.counters.commits++;
  return state.sequence;
}

/** Reads what entering the commit in the maps will look at: once the segment is written it is too late to find that damaged. */
function loadPaths(
  { map, space }: WriterState,
  changes: readonly Change[],
  spills: ReadonlyMap<number, Spill>,
): Space {
  for (const { block, count } of changes) {
    for (let at = block; at < block + count; at += NODE_ENTRIES - (at % NODE_ENTRIES)) map.locate(at);
  }
  for (const block of spills.keys()) map.locate(block);
  return space;
}

/** Makes everything committed durable; what was spilled stays uncommitted. */
export function makeDurable(state: WriterState): void {
  state.ensureWritable();
  if (state.lastFlushed >= state.sequence) return;
  state.flush();
  state.verifyUnfenced();
}

/** The changes, and what was discarded beside them. LIMIT when those are too many blocks. */
function withDiscards(state: WriterState, changes: readonly Change[]): readonly Change[] {
  const discards = discardsBeside(state, changes);
  const all =
    discards.length === 0 ? changes : [...changes, ...discards.map((range) => ({ ...range, bytes: null }))];
  let blocks = 0;
  for (const { count } of all) blocks += count;
  const most = state.limits.commitBlocks;
  if (blocks <= most) return all;
  throw new PerdureError("LIMIT", `${blocks} blocks in one commit; it can change ${most}`);
}

/** What was spilled and is not changed again by this commit. The others stay spilled until the commit has succeeded. */
function spillsBeside({ spilled }: WriterState, changes: readonly Change[]): ReadonlyMap<number, Spill> {
  if (spilled.size === 0) return spilled;
  const left = new Map(spilled);
  for (const { block, count } of changes) for (let i = 0; i < count; i++) left.delete(block + i);
  return left;
}

function verifyChanges(changes: readonly Change[]): void {
  let ordered = true;
  let end = 0;
  let fresh = 0;
  for (const { block, count, bytes } of changes) {
    verifyBlocks(block, count);
    if (count === 0) throw new PerdureError("INVALID_ARGUMENT", `a change of no blocks at ${block}`);
    if (bytes !== null) fresh += count;
    if (bytes !== null && bytes.length !== count * SLOT_BYTES) {
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `${count} blocks need ${count * SLOT_BYTES} bytes, not ${bytes.length}`,
      );
    }
    ordered &&= block >= end;
    end = block + count;
  }
  if (fresh > MAX_FRESH_BLOCKS) {
    throw new PerdureError(
      "LIMIT",
      `${fresh} blocks to be written in one commit; it can write ${MAX_FRESH_BLOCKS}`,
    );
  }
  if (ordered) return;
  const sorted = [...changes].sort((a, b) => a.block - b.block);
  const twice = sorted.find((change, i) => i > 0 && change.block < sorted[i - 1].block + sorted[i - 1].count);
  if (twice)
    throw new PerdureError("INVALID_ARGUMENT", `block ${twice.block} is changed twice in one commit`);
}

/** Room for a header and `slots` more, of which `further` continue the header, after a checkpoint when the chain is long enough or the runs are full. */
function place(state: WriterState, slots: number, further: number): Placement {
  const { log, limits } = state;
  if (log.spentSlots < limits.chainSlots && log.segments < limits.chainCommits) {
    const placement = log.place(slots, further);
    if (placement) return placement;
  }
  checkpoint(state, { needed: slots + 1, further });
  const placement = state.log.place(slots, further);
  if (placement === null) throw new Error(`no room for ${slots} slots in fresh log runs`);
  return placement;
}

/** Goes through the slots of a placement. */
class SlotCursor {
  private piece = 0;
  private used = 0;
  constructor(private readonly placement: Placement) {}

  next(): number {
    const { pieces } = this.placement;
    while (this.used === pieces[this.piece].slots) {
      this.piece++;
      this.used = 0;
    }
    return pieces[this.piece].slot + this.used++;
  }
}

/** Writes the entries, gives each block its slot, and collects the blocks' bytes (`stagedAt` ≥ 0: into the staging area from that slot). */
function fillEntries(
  state: WriterState,
  changes: readonly Change[],
  spills: ReadonlyMap<number, Spill>,
  view: DataView,
  slots: SlotCursor,
  stagedAt: number,
  parts: Uint8Array[],
): void {
  let entry = 0;
  let staged = stagedAt;
  for (const { block, count, bytes } of changes) {
    if (bytes === null) {
      for (let i = 0; i < count; i++) {
        setEntry(view, entry, block + i, 0);
        // The staging area still holds the digests of an earlier commit.
        view.setBigUint64(entryDigestOffset(entry++), 0n, true);
      }
      continue;
    }
    state.file.hasher.digestBlocks(bytes, view, entryDigestOffset(entry), ENTRY_BYTES);
    for (let i = 0; i < count; i++) setEntry(view, entry++, block + i, slots.next());
    if (stagedAt >= 0) {
      staging.set(bytes, staged * SLOT_BYTES);
      staged += count;
    } else parts.push(bytes);
  }
  for (const [block, spill] of spills) {
    setEntry(view, entry, block, spill.slot);
    view.setBigUint64(entryDigestOffset(entry), spill.digest.getBigUint64(0, true), true);
    entry++;
  }
}

/** One write for each piece of the placement. With `ahead`, zeros are written behind one that grows the file. */
function writePieces(state: WriterState, placement: Placement, parts: Uint8Array[], ahead: boolean): void {
  let part = 0;
  let used = 0;
  for (const piece of placement.pieces) {
    const end = piece.slot + piece.slots;
    const gathered: Uint8Array[] = [];
    for (let left = piece.slots * SLOT_BYTES; left > 0; ) {
      const take = Math.min(left, parts[part].length - used);
      gathered.push(
        used === 0 && take === parts[part].length ? parts[part] : parts[part].subarray(used, used + take),
      );
      left -= take;
      used += take;
      if (used === parts[part].length) {
        part++;
        used = 0;
      }
    }
    let grown = end;
    if (ahead && end > state.fileSlots) {
      const run = state.log.runs.find(
        (each) => each.slot <= piece.slot && piece.slot < each.slot + each.slots,
      )!;
      const zeros = Math.min(AHEAD_SLOTS, Math.max(16, state.fileSlots), run.slot + run.slots - end);
      if (zeros > 0) gathered.push(ZEROS.subarray(0, zeros * SLOT_BYTES));
      grown += zeros;
    }
    state.file.writeParts(piece.slot, gathered);
    state.counters.bytesWritten += (grown - piece.slot) * SLOT_BYTES;
    state.fileSlots = Math.max(state.fileSlots, grown);
  }
}
