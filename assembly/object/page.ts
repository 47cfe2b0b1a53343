/*
 * A page of a table: one block with a directory of slots that grows up and records that grow down. docs/TABLES.md §2 draws it.
 *
 * Slots never move; records do, when the page is compacted or a record outgrows its place. Everything here happens within one
 * page, whose address the caller has from a window; nothing here can run out of room, because the caller has asked `hasRoom`.
 */

import { BLOCK_BYTES, PAGE_SCRATCH } from "../base/memory-map";
import { copyFromScratch, copyToScratch, fieldOf, read, setField, Writable, write } from "../block/access";
import { endStateEpoch } from "../block/window-table";

export const PAGE_OF_NOTHING: u8 = 0;
export const PAGE_OF_ROWS: u8 = 1;
export const PAGE_OF_RUN: u8 = 2;

export const SLOT_FREE: u32 = 0;
export const SLOT_ROW: u32 = 1;
export const SLOT_FORWARD: u32 = 2;
export const SLOT_MOVED_IN: u32 = 3;
const KIND_MASK: u32 = 3;

export const PAGE_HEADER: u32 = 32;
/** Room of the shortest record, which is that of a forward. */
export const ROOM_MIN: u32 = 8;
const SLOT_BYTES: u32 = 2;
/** A row id has room for so many slots; a page cannot have as many. */
export const SLOT_BITS: u32 = 9;
export const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

@unmanaged
export class Page {
  readonly kind: u8;
  readonly list: u8;
  readonly slots: u16;
  readonly freeSlots: u16;
  readonly firstFree: u16;
  readonly start: u16;
  readonly free: u16;
  readonly reserved: u32;
  readonly next: u64;
  readonly previous: u64;
}

@unmanaged
export class PageWriter extends Writable {
  kind: u8;
  list: u8;
  slots: u16;
  freeSlots: u16;
  firstFree: u16;
  start: u16;
  free: u16;
  reserved: u32;
  next: u64;
  previous: u64;
}

/** What the first page of a run begins with. */
@unmanaged
export class RunWriter extends Writable {
  kind: u8;
  reserved: u8;
  pages: u64;
  bytes: u64;
  reserved1: u64;
}

if (
  offsetof<Page>() != PAGE_HEADER ||
  offsetof<PageWriter>() != PAGE_HEADER ||
  offsetof<RunWriter>() != PAGE_HEADER ||
  offsetof<Page>("free") != 10 ||
  offsetof<PageWriter>("next") != 16 ||
  offsetof<RunWriter>("pages") != 8 ||
  (BLOCK_BYTES - PAGE_HEADER) / (ROOM_MIN + SLOT_BYTES) > SLOT_MASK
)
  ERROR("a page is not as drawn");

/** A page without rows, whatever was there. */
export function startPage(page: usize): void {
  const writer = write<PageWriter>(page);
  writer.kind = PAGE_OF_ROWS;
  writer.list = 0;
  clearPage(writer);
  writer.reserved = 0;
  writer.next = 0;
  writer.previous = 0;
}

/** A page whose slots are all free has none. */
export function clearPage(writer: PageWriter): void {
  writer.slots = 0;
  writer.freeSlots = 0;
  writer.firstFree = 0;
  writer.start = <u16>BLOCK_BYTES;
  writer.free = <u16>(BLOCK_BYTES - PAGE_HEADER);
}

/** Whether nothing lies in a page of rows. */
// @ts-ignore: decorator
@inline
export function isEmpty(reader: Page): bool {
  return reader.slots == reader.freeSlots;
}

/** What a record of so many bytes takes. */
// @ts-ignore: decorator
@inline
export function roomOf(bytes: u32): u32 {
  return max(ROOM_MIN, (bytes + 3) & ~3);
}

/** Whether a record and a slot for it fit; with `reuse` a free slot will do. */
// @ts-ignore: decorator
@inline
export function hasRoom(reader: Page, room: u32, reuse: bool): bool {
  const slot: u32 = reuse && reader.firstFree != 0 ? 0 : SLOT_BYTES;
  return reader.free >= room + slot;
}

// @ts-ignore: decorator
@inline
export function slotEntry(reader: Page, slot: u32): u32 {
  return fieldOf<Page, u16>(reader, PAGE_HEADER + slot * SLOT_BYTES);
}

/** What is at a slot: SLOT_FREE also when there is no such slot. */
// @ts-ignore: decorator
@inline
export function slotKind(entry: u32): u32 {
  return entry & KIND_MASK;
}

/** Where in its page the record of an entry that is not free lies. */
// @ts-ignore: decorator
@inline
export function recordOffset(entry: u32): u32 {
  return entry & ~KIND_MASK;
}

// @ts-ignore: decorator
@inline
function setSlot(writer: PageWriter, slot: u32, entry: u32): void {
  setField<u16>(writer, PAGE_HEADER + slot * SLOT_BYTES, <u16>entry);
}

/** What the record of an entry takes. */
export function roomAt(reader: Page, entry: u32): u32 {
  if (slotKind(entry) == SLOT_FORWARD) return ROOM_MIN;
  return roomOf(fieldOf<Page, u16>(reader, recordOffset(entry)));
}

/** Room for a record that is about to be written, at a new slot or, with `reuse`, at a free one if there is one; the slot. */
export function addRecord(page: usize, room: u32, kind: u32, reuse: bool): u32 {
  const writer = write<PageWriter>(page);
  const reused: u32 = reuse ? writer.firstFree : 0;
  const slot = reused != 0 ? reused - 1 : <u32>writer.slots;
  const directoryEnd = PAGE_HEADER + (<u32>writer.slots + <u32>(reused == 0)) * SLOT_BYTES;
  if (writer.start < directoryEnd + room) compact(page);
  if (reused != 0) {
    writer.firstFree = <u16>(slotEntry(read<Page>(page), slot) >> 2);
    writer.freeSlots -= 1;
  } else {
    writer.slots += 1;
    writer.free -= <u16>SLOT_BYTES;
  }
  takeRoom(writer, slot, room, kind);
  return slot;
}

/** The record of a slot gets other room in its page, which has enough when the old one is given up; what it had is not kept. */
export function moveRecord(page: usize, slot: u32, room: u32): void {
  endStateEpoch();
  const writer = write<PageWriter>(page);
  const reader = read<Page>(page);
  const entry = slotEntry(reader, slot);
  giveRoom(writer, recordOffset(entry), roomAt(reader, entry));
  setSlot(writer, slot, 0);
  if (writer.start < PAGE_HEADER + <u32>writer.slots * SLOT_BYTES + room) compact(page);
  takeRoom(writer, slot, room, slotKind(entry));
}

/** The record of a slot will be written again where it is, shorter or as long as before. */
export function shrinkRecord(page: usize, slot: u32, room: u32): void {
  const writer = write<PageWriter>(page);
  const reader = read<Page>(page);
  writer.free += <u16>(roomAt(reader, slotEntry(reader, slot)) - room);
}

/** The record is elsewhere now: at the slot with this row id. */
export function setForward(page: usize, slot: u32, target: u64): void {
  endStateEpoch();
  const writer = write<PageWriter>(page);
  const reader = read<Page>(page);
  const entry = slotEntry(reader, slot);
  const offset = recordOffset(entry);
  writer.free += <u16>(roomAt(reader, entry) - ROOM_MIN);
  setField<u64>(writer, offset, target);
  setSlot(writer, slot, offset | SLOT_FORWARD);
}

/** The row id that a forward leads to. */
// @ts-ignore: decorator
@inline
export function forwardTarget(reader: Page, entry: u32): u64 {
  return fieldOf<Page, u64>(reader, recordOffset(entry));
}

/** What a forward leads to comes home: room for it, at the same slot. */
export function endForward(page: usize, slot: u32, room: u32): void {
  moveRecord(page, slot, room);
  const writer = write<PageWriter>(page);
  setSlot(writer, slot, recordOffset(slotEntry(read<Page>(page), slot)) | SLOT_ROW);
}

export function removeRecord(page: usize, slot: u32): void {
  endStateEpoch();
  const writer = write<PageWriter>(page);
  const reader = read<Page>(page);
  const entry = slotEntry(reader, slot);
  giveRoom(writer, recordOffset(entry), roomAt(reader, entry));
  setSlot(writer, slot, <u32>writer.firstFree << 2);
  writer.firstFree = <u16>(slot + 1);
  writer.freeSlots += 1;
}

function takeRoom(writer: PageWriter, slot: u32, room: u32, kind: u32): void {
  writer.start -= <u16>room;
  writer.free -= <u16>room;
  setSlot(writer, slot, <u32>writer.start | kind);
}

function giveRoom(writer: PageWriter, offset: u32, room: u32): void {
  writer.free += <u16>room;
  if (writer.start == offset) writer.start += <u16>room;
}

/** Moves all records to the end of the page, so that what is free lies together. A slot whose entry is 0 has none. */
function compact(page: usize): void {
  endStateEpoch();
  copyToScratch(page);
  const writer = write<PageWriter>(page);
  const reader = read<Page>(page);
  let start: u32 = BLOCK_BYTES;
  for (let slot: u32 = 0; slot < reader.slots; slot++) {
    const entry = slotEntry(reader, slot);
    if (slotKind(entry) == SLOT_FREE) continue;
    start -= roomInScratch(entry);
    copyFromScratch(recordOffset(entry), page + start, roomInScratch(entry));
    setSlot(writer, slot, start | slotKind(entry));
  }
  writer.start = <u16>start;
}

/** While records are being moved their lengths are only there. */
function roomInScratch(entry: u32): u32 {
  if (slotKind(entry) == SLOT_FORWARD) return ROOM_MIN;
  return roomOf(load<u16>(PAGE_SCRATCH + recordOffset(entry)));
}
