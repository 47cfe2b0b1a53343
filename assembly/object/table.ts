/*
 * Tables as the host calls them: rows by id, in slotted pages. docs/TABLES.md says what each call does and refuses with.
 *
 * The bytes of a record lie in the record area, complete with their length. Ids and pages are f64 at the border, and a code
 * in their place is negative. A call that answers a code has changed nothing; one that a host has stopped may be half done.
 */

import { NOT_FOUND, OK } from "../base/codes";
import { EXCHANGE } from "../base/memory-map";
import { answer, copyFromRecord, read, write } from "../block/access";
import {
  addRecord,
  endForward,
  forwardTarget,
  moveRecord,
  Page,
  PAGE_OF_ROWS,
  PAGE_OF_RUN,
  recordOffset,
  removeRecord,
  ROOM_MIN,
  roomAt,
  roomOf,
  RunWriter,
  setForward,
  shrinkRecord,
  SLOT_BITS,
  SLOT_FORWARD,
  SLOT_MASK,
  SLOT_MOVED_IN,
  SLOT_ROW,
  slotEntry,
  slotKind,
} from "./page";
import {
  addTail,
  enlist,
  isSpare,
  nextPage,
  pageAt,
  pageWithRoom,
  reachPages,
  Table,
  TableWriter,
  tidyPage,
  unlist,
} from "./table-pages";

/** No row id is less. */
const ID_MIN: u64 = 1 << SLOT_BITS;

/** A new row; its id. At the tail, if so told or if there is a cursor. */
export function tableInsert(table: usize, bytes: u32, toldTail: bool): f64 {
  const atTail = toldTail || read<Table>(table).cursors != 0;
  const room = roomOf(bytes);
  let page = pageWithRoom(table, room, atTail);
  if (page == 0) {
    const code = addTail(table);
    if (code != OK) return -<f64>code;
    page = read<Table>(table).tail;
  }
  const slot = place(table, page, bytes, SLOT_ROW, !atTail);
  const writer = write<TableWriter>(table);
  writer.rows += 1;
  if (page < writer.first || writer.first == 0) writer.first = page;
  return <f64>idOf(page, slot);
}

/** Where the record of a row is, or 0. */
export function tableFind(table: usize, id: f64): usize {
  const home = findHome(table, id);
  if (home == 0) return 0;
  const page = pageAt(table, pageOf(home));
  const reader = read<Page>(page);
  const entry = slotEntry(reader, slotOf(home));
  if (slotKind(entry) == SLOT_ROW) return page + recordOffset(entry);
  const target = forwardTarget(reader, entry);
  assert(pageOf(target) < read<Table>(table).end);
  const elsewhere = pageAt(table, pageOf(target));
  const moved = slotEntry(read<Page>(elsewhere), slotOf(target));
  assert(slotKind(moved) == SLOT_MOVED_IN);
  return elsewhere + recordOffset(moved);
}

/** Another record for a row. */
export function tableUpdate(table: usize, id: f64, bytes: u32): u32 {
  noteEmptied(0);
  const home = findHome(table, id);
  if (home == 0) return NOT_FOUND;
  const reader = read<Page>(pageAt(table, pageOf(home)));
  const entry = slotEntry(reader, slotOf(home));
  const isForward = slotKind(entry) == SLOT_FORWARD;
  const target = isForward ? forwardTarget(reader, entry) : home;
  if (rewrite(table, target, bytes)) return OK;
  if (isForward && comeHome(table, home, bytes)) {
    remove(table, target);
    return OK;
  }
  const room = roomOf(bytes);
  let page = pageWithRoom(table, room, false);
  if (page == 0) {
    const code = addTail(table);
    if (code != OK) return code;
    page = read<Table>(table).tail;
  }
  const slot = place(table, page, bytes, SLOT_MOVED_IN, true);
  setForward(pageAt(table, pageOf(home)), slotOf(home), idOf(page, slot));
  if (isForward) remove(table, target);
  else enlist(table, pageOf(home));
  return OK;
}

/** Ends a row. */
export function tableDelete(table: usize, id: f64): u32 {
  noteEmptied(0);
  const home = findHome(table, id);
  if (home == 0) return NOT_FOUND;
  const reader = read<Page>(pageAt(table, pageOf(home)));
  const entry = slotEntry(reader, slotOf(home));
  const target = slotKind(entry) == SLOT_FORWARD ? forwardTarget(reader, entry) : 0;
  write<TableWriter>(table).rows -= 1;
  remove(table, home);
  if (target != 0) remove(table, target);
  return OK;
}

/** The address of the first page of rows from this one on, and in the exchange area its number; 0 for none. */
export function tablePage(table: usize, page: f64): usize {
  const found = nextPage(table, page > 0 ? <u64>page : 0);
  answer<f64>(0, <f64>found);
  return found == 0 ? 0 : pageAt(table, found);
}

/** A page that the host is discarding: it is in no list any more. The first page with rows may be another one then. */
export function tableDropPage(table: usize, page: f64): u32 {
  const number = <u64>page;
  unlist(table, number);
  if (read<Table>(table).first != number) return OK;
  const next = nextPage(table, number + 1);
  write<TableWriter>(table).first = next != 0 ? next : read<Table>(table).tail;
  return OK;
}

/** So many new pages at the end for one value; the first of them. */
export function tableTakeRun(table: usize, pages: f64, bytes: f64): f64 {
  const first = read<Table>(table).end;
  const code = reachPages(table, first + <u64>pages);
  if (code != OK) return -<f64>code;
  const writer = write<RunWriter>(pageAt(table, first));
  writer.kind = PAGE_OF_RUN;
  writer.pages = <u64>pages;
  writer.bytes = <u64>bytes;
  write<TableWriter>(table).end = first + <u64>pages;
  return <f64>first;
}

/** The home slot of a row, as its id; 0 when there is no such row. */
function findHome(table: usize, id: f64): u64 {
  if (!(id >= <f64>ID_MIN && id < 9007199254740992)) return 0;
  const home = <u64>id;
  const page = pageOf(home);
  if (page >= read<Table>(table).end) return 0;
  const reader = read<Page>(pageAt(table, page));
  if (reader.kind != PAGE_OF_ROWS || slotOf(home) >= reader.slots) return 0;
  const kind = slotKind(slotEntry(reader, slotOf(home)));
  return kind == SLOT_ROW || kind == SLOT_FORWARD ? home : 0;
}

/** Puts the record of the record area into a page that has room for it; its slot. */
function place(table: usize, page: u64, bytes: u32, kind: u32, reuse: bool): u32 {
  const address = pageAt(table, page);
  const slot = addRecord(address, roomOf(bytes), kind, reuse);
  fillRecord(address, slot, bytes);
  enlist(table, page);
  return slot;
}

/** Writes the record of a slot anew in its page; false, with nothing changed, when it does not fit. */
function rewrite(table: usize, id: u64, bytes: u32): bool {
  const address = pageAt(table, pageOf(id));
  const reader = read<Page>(address);
  const before = roomAt(reader, slotEntry(reader, slotOf(id)));
  const room = roomOf(bytes);
  if (reader.free + before < room) return false;
  if (room > before) moveRecord(address, slotOf(id), room);
  else if (room < before) shrinkRecord(address, slotOf(id), room);
  fillRecord(address, slotOf(id), bytes);
  if (room != before) enlist(table, pageOf(id));
  return true;
}

/** Puts a record that lay elsewhere into its home page; false, with nothing changed, when it does not fit. */
function comeHome(table: usize, home: u64, bytes: u32): bool {
  const address = pageAt(table, pageOf(home));
  const room = roomOf(bytes);
  if (read<Page>(address).free + ROOM_MIN < room) return false;
  endForward(address, slotOf(home), room);
  fillRecord(address, slotOf(home), bytes);
  enlist(table, pageOf(home));
  return true;
}

function fillRecord(page: usize, slot: u32, bytes: u32): void {
  copyFromRecord(page + recordOffset(slotEntry(read<Page>(page), slot)), bytes);
}

/** Frees a slot and its record. A page that is empty then, and not needed, is noted for the host to discard. */
function remove(table: usize, id: u64): void {
  const number = pageOf(id);
  const address = pageAt(table, number);
  removeRecord(address, slotOf(id));
  const isIdle = tidyPage(table, number);
  enlist(table, number);
  if (isIdle && isSpare(table, number)) noteEmptied(number);
}

/** Zero forgets what was noted. One call empties two pages at most: where the row was at home, and where its record was. */
function noteEmptied(page: u64): void {
  const offset = page != 0 && load<f64>(EXCHANGE) != 0 ? 8 : 0;
  answer<f64>(offset, <f64>page);
  if (page == 0) answer<f64>(8, 0);
}

// @ts-ignore: decorator
@inline
function idOf(page: u64, slot: u32): u64 {
  return (page << SLOT_BITS) | slot;
}

// @ts-ignore: decorator
@inline
function pageOf(id: u64): u64 {
  return id >> SLOT_BITS;
}

// @ts-ignore: decorator
@inline
function slotOf(id: u64): u32 {
  return <u32>id & SLOT_MASK;
}
