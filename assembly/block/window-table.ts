/*
 * What is known of the windows onto the high image, and nothing of what they mean: descriptors, the lookup
 * from cluster to window, the list of dirty windows, the windows last handed out. docs/ENGINE.md §9 draws it all.
 * Everything is volatile, and zeros are its beginning. windows.ts decides what is shown; states.ts knows the blocks.
 *
 *   WINDOW_TABLE    0   recent u64: linear blocks of the windows last handed out, u16 each, the latest lowest
 *                   8   made u32: windows that ever showed something are the first ones
 *                   12  shown u32: windows that show something
 *                   16  first free descriptor u32
 *                   20  clock hand u32: number of a window
 *                   24  ahead u32
 *
 *   descriptor      0   cluster u64
 *                   8   next u32, previous u32: in the dirty list; next in the free one
 *                   16  linear block u32
 *                   20  dirty u16: a bit for each block
 *                   22  referenced u8, shows u8
 *
 *   lookup entry        (cluster + 1) << 16 | linear block, 0 for none; linear probing
 */

import {
  CLUSTER_BLOCKS,
  DIRTY_WINDOWS,
  MARKS,
  STATE_EPOCH,
  TLB,
  WINDOW_DESCRIPTORS,
  WINDOW_EPOCH,
  WINDOW_LIMIT,
  WINDOW_LOOKUP,
  WINDOW_TABLE,
  WINDOW_TABLE_END,
  WINDOWS,
  WINDOWS_BYTES,
  BLOCK_SHIFT,
  CLUSTER_BYTES,
  CLUSTERS,
} from "../base/memory-map";

/** The most windows that there can be. */
export const WINDOWS_MAX: u32 = <u32>(WINDOWS_BYTES / CLUSTER_BYTES);
/** As many windows never get in the way of a caller that holds some. */
const WINDOWS_MIN: u32 = 8;
/** 32 MiB of them. */
const WINDOWS_USUAL: u32 = 819;
const WINDOWS_BLOCK: u32 = <u32>(WINDOWS >> BLOCK_SHIFT);

const RECENT: usize = WINDOW_TABLE;
const MADE: usize = WINDOW_TABLE + 8;
const SHOWN: usize = WINDOW_TABLE + 12;
const FREE: usize = WINDOW_TABLE + 16;
const HAND: usize = WINDOW_TABLE + 20;
const AHEAD: usize = WINDOW_TABLE + 24;

const DESCRIPTOR_SHIFT: u32 = 5;
const NEXT: usize = 8;
const PREVIOUS: usize = 12;
const LINEAR_BLOCK: usize = 16;
const DIRTY_BITS: usize = 20;
const REFERENCED: usize = 22;
const SHOWS: usize = 23;

const SLOT_BITS: u32 = 14;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
/** 2⁶⁴ divided by the golden ratio: neighbours come to lie far apart (Knuth, The Art of Computer Programming 3, 6.4). */
const MULTIPLIER: u64 = 0x9e3779b97f4a7c15;

if (
  WINDOW_DESCRIPTORS + (WINDOWS_MAX << DESCRIPTOR_SHIFT) > WINDOW_LOOKUP ||
  WINDOW_LOOKUP + (<usize>8 << SLOT_BITS) != WINDOW_TABLE_END ||
  WINDOWS_MAX * 10 > (3 << SLOT_BITS) ||
  WINDOWS_BLOCK + WINDOWS_MAX * CLUSTER_BLOCKS > 0x10000 ||
  CLUSTERS >= 1 << 48
)
  ERROR("the window table is not as drawn");

// Lookup

/** The entry that a cluster has if nothing is in its way. */
// @ts-ignore: decorator
@inline
export function homeEntry(cluster: u64): u64 {
  return load<u64>(slotAddress(homeOf(cluster)));
}

// @ts-ignore: decorator
@inline
export function isEntryOf(entry: u64, cluster: u64): bool {
  return entry >> 16 == cluster + 1;
}

/** The linear block with which the window of an entry begins. */
// @ts-ignore: decorator
@inline
export function blockOfEntry(entry: u64): u32 {
  return <u32>entry & 0xffff;
}

/** The entry of a cluster, 0 when no window shows it. */
export function findEntry(cluster: u64): u64 {
  return load<u64>(slotAddress(findSlot(cluster)));
}

function enter(cluster: u64, block: u32): void {
  store<u64>(slotAddress(findSlot(cluster)), ((cluster + 1) << 16) | block);
}

/** Empties the slot of a cluster, and moves back every follower that would not be met any more. */
function leave(cluster: u64): void {
  let hole = findSlot(cluster);
  for (let slot = (hole + 1) & SLOT_MASK; ; slot = (slot + 1) & SLOT_MASK) {
    const entry = load<u64>(slotAddress(slot));
    if (entry == 0) break;
    const distance = (slot - homeOf((entry >> 16) - 1)) & SLOT_MASK;
    if (distance < ((slot - hole) & SLOT_MASK)) continue;
    store<u64>(slotAddress(hole), entry);
    hole = slot;
  }
  store<u64>(slotAddress(hole), 0);
}

/** The slot of a cluster, or the empty one where it belongs. */
function findSlot(cluster: u64): u32 {
  let slot = homeOf(cluster);
  while (true) {
    const entry = load<u64>(slotAddress(slot));
    if (entry == 0 || isEntryOf(entry, cluster)) return slot;
    slot = (slot + 1) & SLOT_MASK;
  }
}

// @ts-ignore: decorator
@inline
function homeOf(cluster: u64): u32 {
  return <u32>((cluster * MULTIPLIER) >> <u64>(64 - SLOT_BITS));
}

// @ts-ignore: decorator
@inline
function slotAddress(slot: u32): usize {
  return WINDOW_LOOKUP + (<usize>slot << 3);
}

// Descriptors

/** Of the window with this number. */
// @ts-ignore: decorator
@inline
export function descriptorOf(window: u32): usize {
  return WINDOW_DESCRIPTORS + (<usize>window << DESCRIPTOR_SHIFT);
}

/** Of the window in which a linear block lies. */
// @ts-ignore: decorator
@inline
export function descriptorAt(block: u32): usize {
  return descriptorOf((block - WINDOWS_BLOCK) / CLUSTER_BLOCKS);
}

// @ts-ignore: decorator
@inline
export function clusterOf(window: usize): u64 {
  return load<u64>(window);
}

/** The linear block with which a window begins. */
// @ts-ignore: decorator
@inline
export function windowBlockOf(window: usize): u32 {
  return load<u32>(window, LINEAR_BLOCK);
}

// @ts-ignore: decorator
@inline
export function shows(window: usize): bool {
  return load<u8>(window, SHOWS) != 0;
}

/** Whether a linear block lies in a window that shows something. */
export function isShown(block: u32): bool {
  return block - WINDOWS_BLOCK < WINDOWS_MAX * CLUSTER_BLOCKS && shows(descriptorAt(block));
}

/** Windows that ever showed something since all were forgotten. */
export function windowsMade(): u32 {
  return load<u32>(MADE);
}

/** Whether a window must stop showing something before another one may begin. */
export function isFull(): bool {
  const limit = load<u32>(WINDOW_LIMIT);
  const most = limit == 0 ? WINDOWS_USUAL : max(WINDOWS_MIN, min(limit, WINDOWS_MAX));
  return load<u32>(SHOWN) >= most;
}

/** A free window begins to show a cluster, and is handed out: for the first time, which is no sign that it will be used again. */
export function show(cluster: u64): usize {
  let window = load<usize>(FREE);
  if (window != 0) {
    store<usize>(FREE, load<usize>(window, NEXT));
  } else {
    const made = load<u32>(MADE);
    store<u32>(MADE, made + 1);
    window = descriptorOf(made);
    store<u32>(window, WINDOWS_BLOCK + made * CLUSTER_BLOCKS, LINEAR_BLOCK);
  }
  store<u64>(window, cluster);
  store<usize>(window, 0, NEXT);
  store<u8>(window, 1, SHOWS);
  store<u32>(SHOWN, load<u32>(SHOWN) + 1);
  enter(cluster, windowBlockOf(window));
  noteHandedOut(windowBlockOf(window));
  store<u8>(window, 0, REFERENCED);
  return window;
}

/** A window becomes free; what its blocks hold is given up. */
export function unshow(window: usize): void {
  if (dirtyBlocksOf(window) != 0) unlist(window);
  leave(clusterOf(window));
  store<u16>(window, 0, DIRTY_BITS);
  store<u8>(window, 0, REFERENCED);
  store<u8>(window, 0, SHOWS);
  store<usize>(window, load<usize>(FREE), NEXT);
  store<usize>(FREE, window);
  store<u32>(SHOWN, load<u32>(SHOWN) - 1);
  endWindowEpoch();
}

/** What was concluded from addresses and block states is void. Should the epochs ever begin anew, so does what holds on to them. */
export function endStateEpoch(): void {
  const epoch = load<u32>(STATE_EPOCH) + 1;
  store<u32>(STATE_EPOCH, epoch);
  if (epoch == 0) memory.fill(TLB, 0, MARKS - TLB);
}

function endWindowEpoch(): void {
  store<u32>(WINDOW_EPOCH, load<u32>(WINDOW_EPOCH) + 1);
  endStateEpoch();
}

/** All windows are free, and none was ever made. */
export function forgetWindows(): void {
  endWindowEpoch();
  store<usize>(DIRTY_WINDOWS, 0);
  memory.fill(WINDOW_TABLE, 0, WINDOW_TABLE_END - WINDOW_TABLE);
}

// Eviction

/** Notes that a window is handed out, unless it was the latest anyway. */
// @ts-ignore: decorator
@inline
export function noteHandedOut(block: u32): void {
  const recent = load<u64>(RECENT);
  if ((<u32>recent & 0xffff) != block) moveToFront(recent, block);
}

function moveToFront(recent: u64, block: u32): void {
  let before: u64 = 0xffff_ffff_ffff; // places that move back by one
  if (laneOf(recent, 1) == block) before = 0xffff;
  else if (laneOf(recent, 2) == block) before = 0xffff_ffff;
  else store<u8>(descriptorAt(block), 1, REFERENCED);
  const behind = recent & ~((before << 16) | 0xffff);
  store<u64>(RECENT, behind | ((recent & before) << 16) | block);
}

// @ts-ignore: decorator
@inline
function laneOf(recent: u64, lane: u64): u32 {
  return <u32>(recent >> (16 * lane)) & 0xffff;
}

/** The window to evict: the first from the clock hand on that was not handed out since the hand last passed, nor lately. */
export function secondChance(): usize {
  const made = load<u32>(MADE);
  let hand = load<u32>(HAND);
  while (true) {
    if (hand >= made) hand = 0;
    const window = descriptorOf(hand++);
    if (!shows(window) || isRecent(windowBlockOf(window))) continue;
    if (load<u8>(window, REFERENCED) == 0) {
      store<u32>(HAND, hand);
      return window;
    }
    store<u8>(window, 0, REFERENCED);
  }
}

function isRecent(block: u32): bool {
  const recent = load<u64>(RECENT);
  return (
    laneOf(recent, 0) == block ||
    laneOf(recent, 1) == block ||
    laneOf(recent, 2) == block ||
    laneOf(recent, 3) == block
  );
}

// Dirty windows

// @ts-ignore: decorator
@inline
export function firstDirtyWindow(): usize {
  return load<usize>(DIRTY_WINDOWS);
}

// @ts-ignore: decorator
@inline
export function nextDirtyWindow(window: usize): usize {
  return load<usize>(window, NEXT);
}

/** Bit i is 1 when block i of the window is dirty. */
// @ts-ignore: decorator
@inline
export function dirtyBlocksOf(window: usize): u32 {
  return load<u16>(window, DIRTY_BITS);
}

/** Notes that a block of a window is dirty. */
export function markWindowDirty(block: u32): void {
  const window = descriptorAt(block);
  const dirty = dirtyBlocksOf(window);
  if (dirty == 0) list(window);
  store<u16>(window, <u16>(dirty | (1 << (block - windowBlockOf(window)))), DIRTY_BITS);
}

/** Notes that block `index` of a window has been spilled. */
export function clearDirty(window: usize, index: u32): void {
  const dirty = dirtyBlocksOf(window) & ~(1 << index);
  store<u16>(window, <u16>dirty, DIRTY_BITS);
  if (dirty == 0) unlist(window);
}

/** Notes that the file shows something else than the last commit: what is read from it may be CLEAN and yet have to go. */
export function markAhead(): void {
  store<u32>(AHEAD, 1);
}

/** Whether that was noted since this was last asked. */
export function takeAhead(): bool {
  const ahead = load<u32>(AHEAD) != 0;
  store<u32>(AHEAD, 0);
  return ahead;
}

/** No window is dirty any more. */
export function unlistWindows(): void {
  let window = firstDirtyWindow();
  while (window != 0) {
    const next = nextDirtyWindow(window);
    store<u16>(window, 0, DIRTY_BITS);
    store<u64>(window, 0, NEXT);
    window = next;
  }
  store<usize>(DIRTY_WINDOWS, 0);
}

function list(window: usize): void {
  const first = firstDirtyWindow();
  if (first != 0) store<usize>(first, window, PREVIOUS);
  store<usize>(window, first, NEXT);
  store<usize>(window, 0, PREVIOUS);
  store<usize>(DIRTY_WINDOWS, window);
}

function unlist(window: usize): void {
  const next = nextDirtyWindow(window);
  const previous = load<usize>(window, PREVIOUS);
  if (next != 0) store<usize>(next, previous, PREVIOUS);
  if (previous != 0) store<usize>(previous, next, NEXT);
  else store<usize>(DIRTY_WINDOWS, next);
  store<u64>(window, 0, NEXT);
}
