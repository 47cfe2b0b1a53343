/**
 * What will be part of the next commit besides its own changes: blocks written before it (*spilled*), and ranges
 * *discarded* before it. Only the writer sees them, and a rollback drops them.
 *
 * A discard is kept as its range, however many blocks that has: those that the map has are enumerated when the commit lists them.
 * The later of a discard and a spill counts; a commit's own changes count before both.
 */
import { PerdureError } from "../base/errors.js";
import { SLOT_BYTES } from "../format/constants.js";
import type { BlockRange } from "./block-ranges.js";
import { checkpoint } from "./checkpoint.js";
import { readBlocks, verifyBlocks, verifyRead } from "./image.js";
import type { WriterState } from "./writer-state.js";

export const hasPending = ({ spilled, discarded }: WriterState): boolean =>
  spilled.size > 0 || !discarded.isEmpty;

/** See `Pager.read`. */
export function readPending(state: WriterState, block: number, count: number, into: Uint8Array): void {
  const { file, map, spilled, discarded } = state;
  const part = (from: number, blocks: number) =>
    into.subarray((from - block) * SLOT_BYTES, (from - block + blocks) * SLOT_BYTES);
  if (discarded.isEmpty) readBlocks(file, map, block, count, into);
  else {
    verifyRead(block, count, into);
    // What is discarded is not read: nobody needs it to be whole.
    part(block, count).fill(0);
    for (const gap of discarded.gaps(block, count))
      readBlocks(file, map, gap.block, gap.count, part(gap.block, gap.count));
  }
  if (spilled.size === 0) return;
  for (let at = block; at < block + count; at++) {
    const spill = spilled.get(at);
    if (spill) file.readVerified(spill.slot, part(at, 1), spill.digest, 0, `spilled block ${at}`);
  }
}

/** See `Pager.spill`. */
export function spill(state: WriterState, block: number, bytes: Uint8Array): void {
  state.ensureWritable();
  verifyBlocks(block, 1);
  if (bytes.length !== SLOT_BYTES)
    throw new PerdureError("INVALID_ARGUMENT", `a block has 4096 bytes, not ${bytes.length}`);
  let slot = state.spilled.get(block)?.slot ?? state.log.takeForSpill();
  if (slot === 0) {
    checkpoint(state, { needed: 64 });
    slot = state.log.takeForSpill();
  }
  state.spilled.delete(block);
  state.file.write(slot, bytes);
  state.fileSlots = Math.max(state.fileSlots, slot + 1);
  const digest = new DataView(new ArrayBuffer(8));
  state.file.hasher.digest(bytes, digest, 0);
  state.spilled.set(block, { slot, digest });
}

/** See `Pager.discard`. */
export function discard(state: WriterState, block: number, count: number): void {
  state.ensureWritable();
  verifyBlocks(block, count);
  const most = state.limits.commitBlocks;
  let listed = state.discardedBlocks;
  for (const gap of state.discarded.gaps(block, count)) {
    state.map.visitRange(gap.block, gap.block + gap.count, () => {
      if (++listed <= most) return;
      throw new PerdureError(
        "LIMIT",
        `more than ${most} written blocks are discarded; one commit can list ${most}`,
      );
    });
  }
  state.discardedBlocks = listed;
  state.discarded.add(block, count);
  // Whichever is less: many pages are discarded one by one.
  if (count <= state.spilled.size) {
    for (let each = block; each < block + count; each++) state.spilled.delete(each);
    return;
  }
  for (const each of state.spilled.keys()) {
    if (each >= block && each < block + count) state.spilled.delete(each);
  }
}

/** The image is that of the last commit. */
export function dropPending(state: WriterState): void {
  endPending(state);
  state.log.dropSpills();
}

/** All of it is in a commit. */
export function endPending(state: WriterState): void {
  // Emptying what is empty already costs as much as a fifth of a small commit.
  if (!hasPending(state)) return;
  state.spilled.clear();
  state.discarded.clear();
  state.discardedBlocks = 0;
}

/** Of the blocks that were discarded: those that the map has, and that are neither changed by this commit nor spilled since. */
export function discardsBeside(state: WriterState, changes: readonly BlockRange[]): BlockRange[] {
  const { discarded, spilled, map } = state;
  const found: BlockRange[] = [];
  if (discarded.isEmpty) return found;
  const sorted = [...changes].sort((a, b) => a.block - b.block);
  let change = 0;
  for (const { block, count } of discarded) {
    map.visitRange(block, block + count, (each) => {
      while (change < sorted.length && sorted[change].block + sorted[change].count <= each) change++;
      if ((sorted[change]?.block ?? Number.POSITIVE_INFINITY) <= each || spilled.has(each)) return;
      const last = found.at(-1);
      if (last !== undefined && last.block + last.count === each) last.count++;
      else found.push({ block: each, count: 1 });
    });
  }
  return found;
}
