/*
 * The state of every linear block, and the only ways in which it changes.
 *
 *   state           content is                            memory holds   in the dirty list
 *   ABSENT          what the file says                     anything
 *   EMPTY           zeros; the file has nothing            anything
 *   DISCARDED       zeros; the file may have something     anything       yes
 *   CLEAN           in memory, the same as in the file     it
 *   WATCHED         in memory, changed by unseen stores    it
 *   DIRTY           in memory, newer than the file         it             yes
 *   WATCHED_DIRTY   in memory, changed by unseen stores    it             yes
 *
 * So a load needs `state >= CLEAN` and a store `state >= DIRTY`; access.ts and the host's accessors ask exactly that and
 * call `fetch` or `touch` when it is not so. Both change nothing when the host throws. The dirty list has no block
 * twice. Blocks of windows are ABSENT, CLEAN or DIRTY, and their windows are listed instead (window-table.ts). Of the image, this file writes only zeros, into blocks that are becoming present; the rest of
 * what it writes is volatile.
 */

import {
  BLOCK_BYTES,
  BLOCK_SHIFT,
  COMMIT_COUNT,
  DIRTY_COUNT,
  DIRTY_LIST,
  IMAGE_EPOCH,
  LINEAR_BLOCKS,
  LOW_IMAGE_BLOCK,
  STATES,
  STATES_BYTES,
} from "../base/memory-map";
import {
  dirtyBlocksOf,
  endStateEpoch,
  firstDirtyWindow,
  forgetWindows,
  isShown,
  markWindowDirty,
  nextDirtyWindow,
  takeAhead,
  unlistWindows,
  windowBlockOf,
} from "./window-table";

export const ABSENT: u8 = 0;
export const EMPTY: u8 = 1;
export const DISCARDED: u8 = 2;
export const CLEAN: u8 = 3;
export const WATCHED: u8 = 4;
export const DIRTY: u8 = 5;
export const WATCHED_DIRTY: u8 = 6;

/** The host puts the content of an ABSENT block into memory. It may throw, and it must not call the engine. */
// @ts-ignore: decorator
@external("env", "fault")
declare function fault(block: u32): void;

/** The host hears that something will need a commit, and may refuse it by throwing. */
// @ts-ignore: decorator
@external("env", "firstTouch")
declare function firstTouch(): void;

/** The state of the block in which an address lies. */
// @ts-ignore: decorator
@inline
export function stateAt(address: usize): u8 {
  return load<u8>(address >> BLOCK_SHIFT, STATES);
}

/** Makes a block present. */
export function fetch(block: u32): void {
  const state = stateOf(block);
  if (state >= CLEAN) return;
  assert(block >= LOW_IMAGE_BLOCK || isShown(block));
  if (state == ABSENT) fault(block);
  else clearBlock(block);
  setState(block, state == DISCARDED ? DIRTY : CLEAN);
}

/** Makes a block present and part of the next commit: the only door to writing. */
export function touch(block: u32): void {
  const state = stateOf(block);
  if (state >= DIRTY) return;
  assert(block >= LOW_IMAGE_BLOCK || isShown(block));
  if (state == ABSENT) fault(block);
  if (block < LOW_IMAGE_BLOCK) listWindow(block);
  else if (state != DISCARDED) append(block);
  if (state == EMPTY || state == DISCARDED) clearBlock(block);
  setState(block, state == WATCHED ? WATCHED_DIRTY : DIRTY);
}

/** Makes blocks read as zeros, without writing to them. None of them is watched. */
export function discard(first: u32, count: u32): void {
  for (let block = first; block < first + count; block++) {
    const state = stateOf(block);
    if (state == EMPTY || state == DISCARDED) continue;
    if (state != DIRTY) append(block);
    setState(block, DISCARDED);
  }
}

/** Notes of blocks that the file has nothing for them: there is no need to ask. */
export function markEmpty(first: u32, count: u32): void {
  for (let block = first; block < first + count; block++) {
    if (stateOf(block) == ABSENT) setState(block, EMPTY);
  }
}

export function anyWatched(first: u32, count: u32): bool {
  for (let block = first; block < first + count; block++) {
    const state = stateOf(block);
    if (state == WATCHED || state == WATCHED_DIRTY) return true;
  }
  return false;
}

/** From now on the host may write to these blocks without telling; it compares them when it commits. */
export function watch(first: u32, count: u32): void {
  for (let block = first; block < first + count; block++) {
    fetch(block);
    const state = stateOf(block);
    if (state == CLEAN) setState(block, WATCHED);
    else if (state == DIRTY) setState(block, WATCHED_DIRTY);
  }
}

/** Ends that for one block; `changed` says whether it differs from what the file has. */
export function unwatch(block: u32, changed: bool): void {
  const state = stateOf(block);
  if (state == WATCHED_DIRTY) {
    setState(block, DIRTY);
  } else if (state == WATCHED) {
    if (changed) append(block);
    setState(block, changed ? DIRTY : CLEAN);
  }
}

/** After a commit: the file has what memory has. */
export function settle(): void {
  const end = listEnd();
  for (let item = DIRTY_LIST; item < end; item += 4) {
    const block = load<u32>(item);
    const state = stateOf(block);
    setState(block, state == DIRTY ? CLEAN : state == DISCARDED ? EMPTY : WATCHED);
  }
  store<u32>(DIRTY_COUNT, 0);
  endDirtyWindows(CLEAN);
  takeAhead();
  store<u32>(COMMIT_COUNT, load<u32>(COMMIT_COUNT) + 1);
  endStateEpoch();
}

/** Back to the last commit. Watched blocks stay present, and the host reloads them. */
export function revert(): void {
  const end = listEnd();
  for (let item = DIRTY_LIST; item < end; item += 4) {
    const block = load<u32>(item);
    setState(block, stateOf(block) == WATCHED_DIRTY ? WATCHED : ABSENT);
  }
  store<u32>(DIRTY_COUNT, 0);
  endDirtyWindows(ABSENT);
  endStateEpoch();
  endImageEpoch();
  if (!takeAhead()) return;
  // What was read after it was spilled or dropped is CLEAN, but not as the last commit has it.
  memory.fill(STATES, ABSENT, LOW_IMAGE_BLOCK);
  forgetWindows();
}

/** The file shows another image: nothing in memory is true any more. */
export function forget(): void {
  memory.fill(STATES, ABSENT, STATES_BYTES);
  store<u32>(DIRTY_COUNT, 0);
  forgetWindows();
  endImageEpoch();
}

function endImageEpoch(): void {
  store<u32>(IMAGE_EPOCH, load<u32>(IMAGE_EPOCH) + 1);
}

// Windows

/** A block of a window is in the file now, before its commit. */
export function markSpilled(block: u32): void {
  setState(block, CLEAN);
}

/** A window is about to show something else. */
export function markAbsent(first: u32, count: u32): void {
  memory.fill(STATES + first, ABSENT, count);
}

/** Gives the dirty blocks of all windows another state. */
function endDirtyWindows(state: u8): void {
  for (let window = firstDirtyWindow(); window != 0; window = nextDirtyWindow(window)) {
    const first = windowBlockOf(window);
    for (let left = dirtyBlocksOf(window); left != 0; left &= left - 1) setState(first + ctz(left), state);
  }
  unlistWindows();
}

function listWindow(block: u32): void {
  if (isNothingDirty()) firstTouch();
  markWindowDirty(block);
}

/** Whether no commit is needed yet. */
// @ts-ignore: decorator
@inline
function isNothingDirty(): bool {
  return load<u32>(DIRTY_COUNT) == 0 && firstDirtyWindow() == 0;
}

// @ts-ignore: decorator
@inline
function stateOf(block: u32): u8 {
  return load<u8>(block, STATES);
}

// @ts-ignore: decorator
@inline
function setState(block: u32, state: u8): void {
  store<u8>(block, state, STATES);
}

// @ts-ignore: decorator
@inline
function listEnd(): usize {
  return DIRTY_LIST + 4 * load<u32>(DIRTY_COUNT);
}

function append(block: u32): void {
  const count = load<u32>(DIRTY_COUNT);
  if (isNothingDirty()) firstTouch();
  store<u32>(DIRTY_LIST + 4 * count, block);
  store<u32>(DIRTY_COUNT, count + 1);
}

function clearBlock(block: u32): void {
  memory.fill(block << BLOCK_SHIFT, 0, BLOCK_BYTES);
}

if (STATES_BYTES != LINEAR_BLOCKS) ERROR("a state byte for each linear block");
