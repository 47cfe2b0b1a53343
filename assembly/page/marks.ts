/*
 * Marks: which pages were accessed since the last sweep, and written since the last commit. Facts about this process and not about the
 * image, so they are kept in the volatile zone, for the tables of level 1 that were used lately. A table's marks fill a slot:
 * four rows of a bit for each entry.
 *
 *   MARKS     0      commits u32 (plus one) and image epoch u32 when a slot was given up in which not all pages were clean
 *             128    128 sets of 128 bytes: hand u32, then from byte 16 on seven descriptors of 16 bytes:
 *                    table u32, 0 for none; commits u32 and image epoch u32 when its rows were last brought up to date
 *             16,512 a slot for each descriptor
 *
 * A commit turns "written" into "written before it", a rollback forgets everything, a sweep moves the rows of what was accessed. What is
 * given up for lack of room counts as not accessed; as it must not pass for clean, every page counts as written until the next commit then.
 */

import { COMMIT_COUNT, IMAGE_EPOCH, MARKS, MARKS_END, UNFLUSHED } from "../base/memory-map";
import { TABLE_ENTRIES } from "../trit/constants";
import { MINUS, PLUS, ZERO } from "./entry";

const SETS: u32 = 128;
const WAYS: u32 = 7;
const SET_BYTES: usize = 128;
const WAY: usize = 16;
const FIRST_SET: usize = MARKS + 128;
const SLOTS: usize = FIRST_SET + <usize>SETS * SET_BYTES;

const TABLE: usize = 0;
const COMMITS: usize = 4;
const IMAGE: usize = 8;

const ROW: usize = ((<usize>TABLE_ENTRIES + 63) / 64) * 8;
const ACCESSED: usize = 0;
const ACCESSED_BEFORE: usize = ROW;
const WRITTEN: usize = 2 * ROW;
const WRITTEN_BEFORE: usize = 3 * ROW;
const SLOT_BYTES: usize = 4 * ROW;

if ((1 + <usize>WAYS) * WAY > SET_BYTES || SLOTS + <usize>(SETS * WAYS) * SLOT_BYTES > MARKS_END)
  ERROR("marks have no room");

/** Notes that a page was accessed, and with `write` that it was written. */
export function mark(table: usize, index: u32, write: bool): void {
  let slot = find(table);
  if (slot == 0) slot = take(table);
  setBit(slot + ACCESSED, index);
  if (write) setBit(slot + WRITTEN, index);
}

/** − when it was not accessed since the sweep before the last, 0 when not since the last. */
export function accessedOf(table: usize, index: u32): u32 {
  const slot = find(table);
  if (slot == 0) return MINUS;
  return hasBit(slot + ACCESSED, index) ? PLUS : hasBit(slot + ACCESSED_BEFORE, index) ? ZERO : MINUS;
}

/** + when it was written since the last commit, 0 when before and that is not known to be durable. */
export function dirtyOf(table: usize, index: u32): u32 {
  const slot = find(table);
  if (hasLost()) return PLUS;
  if (slot == 0) return MINUS;
  if (hasBit(slot + WRITTEN, index)) return PLUS;
  return hasBit(slot + WRITTEN_BEFORE, index) && isUnflushed(load<u32>(COMMIT_COUNT)) ? ZERO : MINUS;
}

/** How many pages of a table were accessed since the last sweep; with `before`, only in the period before it. */
export function countAccessed(table: usize, before: bool): u32 {
  const slot = find(table);
  if (slot == 0) return 0;
  let count: u64 = 0;
  for (let at = slot; at < slot + ROW; at += 8) {
    const accessed = load<u64>(at, ACCESSED);
    count += popcnt(before ? load<u64>(at, ACCESSED_BEFORE) & ~accessed : accessed);
  }
  return <u32>count;
}

/** A period of accesses ends. */
export function sweepMarks(table: usize): void {
  const slot = find(table);
  if (slot == 0) return;
  memory.copy(slot + ACCESSED_BEFORE, slot + ACCESSED, ROW);
  memory.fill(slot + ACCESSED, 0, ROW);
}

/** A page is not the one any more that was marked. */
export function clearMarks(table: usize, index: u32): void {
  const slot = find(table);
  if (slot == 0) return;
  for (let row: usize = 0; row < SLOT_BYTES; row += ROW) clearBit(slot + row, index);
}

/** What is known of one table is true of its copy. */
export function copyMarks(from: usize, to: usize): void {
  if (find(from) == 0) return;
  const target = take(to);
  const source = find(from); // unless it had to make room
  if (source != 0) memory.copy(target, source, SLOT_BYTES);
}

/** The table is gone, or new. */
export function dropMarks(table: usize): void {
  const way = wayOf(table);
  if (way != 0) store<u32>(way, 0, TABLE);
}

// Slots

/** The slot of a table, brought up to date; 0 when it has none. */
function find(table: usize): usize {
  const way = wayOf(table);
  if (way == 0) return 0;
  const slot = slotOf(way);
  if (load<u32>(way, COMMITS) != load<u32>(COMMIT_COUNT) || load<u32>(way, IMAGE) != load<u32>(IMAGE_EPOCH))
    update(way, slot);
  return slot;
}

function update(way: usize, slot: usize): void {
  if (load<u32>(way, IMAGE) != load<u32>(IMAGE_EPOCH)) {
    memory.fill(slot, 0, SLOT_BYTES);
  } else {
    // What was written was part of the commit after the last one that the rows know.
    const last = load<u32>(way, COMMITS);
    const before: u64 = isUnflushed(last) ? -1 : 0;
    const written: u64 = isUnflushed(last + 1) ? -1 : 0;
    for (let at = slot; at < slot + ROW; at += 8) {
      const kept = (load<u64>(at, WRITTEN_BEFORE) & before) | (load<u64>(at, WRITTEN) & written);
      store<u64>(at, kept, WRITTEN_BEFORE);
    }
    memory.fill(slot + WRITTEN, 0, ROW);
  }
  noteTime(way);
}

/** An empty slot for a table that has none. */
function take(table: usize): usize {
  const set = setOf(table);
  let way = set + WAY;
  const end = way + <usize>WAYS * WAY;
  while (way < end && load<u32>(way, TABLE) != 0) way += WAY;
  if (way == end) {
    const hand = load<u32>(set);
    store<u32>(set, hand + 1 < WAYS ? hand + 1 : 0);
    way = set + WAY + <usize>hand * WAY;
    noteLoss(way);
  }
  store<u32>(way, <u32>table, TABLE);
  noteTime(way);
  const slot = slotOf(way);
  memory.fill(slot, 0, SLOT_BYTES);
  return slot;
}

/** A slot is given up; that matters when some page in it is not clean. */
function noteLoss(way: usize): void {
  const slot = find(load<u32>(way, TABLE));
  const keep: u64 = isUnflushed(load<u32>(COMMIT_COUNT)) ? -1 : 0;
  let written: u64 = 0;
  for (let at = slot; at < slot + ROW; at += 8)
    written |= load<u64>(at, WRITTEN) | (load<u64>(at, WRITTEN_BEFORE) & keep);
  if (written == 0) return;
  store<u32>(MARKS, load<u32>(COMMIT_COUNT) + 1);
  store<u32>(MARKS, load<u32>(IMAGE_EPOCH), 4);
}

function hasLost(): bool {
  return load<u32>(MARKS) == load<u32>(COMMIT_COUNT) + 1 && load<u32>(MARKS, 4) == load<u32>(IMAGE_EPOCH);
}

/** Whether this commit, or one before it, is not known to be durable. */
function isUnflushed(commit: u32): bool {
  return load<u32>(UNFLUSHED) - 1 < commit;
}

function noteTime(way: usize): void {
  store<u32>(way, load<u32>(COMMIT_COUNT), COMMITS);
  store<u32>(way, load<u32>(IMAGE_EPOCH), IMAGE);
}

/** The descriptor of a table, 0 when it has none. */
function wayOf(table: usize): usize {
  const first = setOf(table) + WAY;
  for (let way = first; way < first + <usize>WAYS * WAY; way += WAY) {
    if (load<u32>(way, TABLE) == <u32>table) return way;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function setOf(table: usize): usize {
  return FIRST_SET + ((table >> 12) % SETS) * SET_BYTES;
}

// @ts-ignore: decorator
@inline
function slotOf(way: usize): usize {
  const set = (way - FIRST_SET) / SET_BYTES;
  const number = set * WAYS + ((way - FIRST_SET) % SET_BYTES) / WAY - 1;
  return SLOTS + number * SLOT_BYTES;
}

// Bits

// @ts-ignore: decorator
@inline
function hasBit(row: usize, index: u32): bool {
  return ((load<u64>(row + ((index >> 6) << 3)) >> (index & 63)) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function setBit(row: usize, index: u32): void {
  const word = row + ((index >> 6) << 3);
  store<u64>(word, load<u64>(word) | (<u64>1 << (index & 63)));
}

// @ts-ignore: decorator
@inline
function clearBit(row: usize, index: u32): void {
  const word = row + ((index >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~(<u64>1 << (index & 63)));
}
