/**
 * Commit: one segment, one write, one flush. FORMAT.md §9.
 */
import { PerdureError } from "../base/errors.js";
import { ENTRY_BYTES, NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { headerSlots } from "../format/segment.js";
import { checkpoint } from "./checkpoint.js";
import { verifyBlocks } from "./image.js";
import type { Placement } from "./log.js";
import { discardsBeside, endPending } from "./pending.js";
import { applyEntries } from "./replay.js";
import { type Change, writeSegment } from "./segment-writer.js";
import type { Space } from "./space.js";
import type { Spill, WriterState } from "./writer-state.js";

/** Blocks with bytes, 16 GiB of them: half of how far log runs may reach past the end of the file (see `ensureRunsFit`). */
const MAX_FRESH_BLOCKS = 2 ** 22;

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
  const further = headerSlots(entries * ENTRY_BYTES) - 1;
  const placement = place(state, further + fresh, further);
  const space = loadPaths(state, changes, spills);
  const { view, digest } = writeSegment(state, { changes, spills, entries }, placement);
  const previous = state.digest;
  state.sequence++;
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
