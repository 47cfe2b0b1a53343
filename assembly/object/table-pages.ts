/*
 * The pages of a table: where they are, which of them have room, and how there come to be more. docs/TABLES.md §1 and §2 draw the record.
 *
 * A page with at least 1024 free bytes is in list 1, with at least 2048 in list 2, unless it is the tail. So the first page of a list
 * has room for whatever that list promises, and room is found without searching. An address of a page is good until three other clusters were
 * asked for: functions that look at neighbours take numbers, and callers ask for addresses again.
 */

import { OK } from "../base/codes";
import { BLOCK_SHIFT, CLUSTER_BLOCKS } from "../base/memory-map";
import { fieldOf, get, put, read, Writable, write } from "../block/access";
import { windowOf } from "../block/windows";
import { clustersOf, resizeExtent } from "../heap/extents";
import { clearPage, hasRoom, isEmpty, Page, PAGE_OF_ROWS, PageWriter, startPage } from "./page";

@unmanaged
export class Table {
  readonly cluster: u64;
  readonly end: u64;
  readonly first: u64;
  readonly tail: u64;
  readonly rows: u64;
  readonly list1: u64;
  readonly list2: u64;
  readonly extent: usize;
  readonly cursors: u32;
}

@unmanaged
export class TableWriter extends Writable {
  cluster: u64;
  end: u64;
  first: u64;
  tail: u64;
  rows: u64;
  list1: u64;
  list2: u64;
  extent: usize;
  cursors: u32;
}

const LISTS: usize = 40;

if (
  offsetof<Table>("list1") != LISTS ||
  offsetof<TableWriter>("list1") != LISTS ||
  offsetof<Table>("cursors") != 60 ||
  offsetof<TableWriter>("cursors") != 60
)
  ERROR("the record of a table is not as drawn");

/** Free bytes from which on a page is in list 1 or 2. */
const LIST1_FREE: u32 = 1024;
const LIST2_FREE: u32 = 2048;
/** Of a record that fits into any page of list 1, with its slot. */
const LIST1_ROOM: u32 = LIST1_FREE - 2;

/** Where a page can be seen. */
export function pageAt(table: usize, page: u64): usize {
  // A division of half the width costs a third.
  const isSmall = page < 1 << 32;
  const cluster = isSmall ? <u64>(<u32>page / CLUSTER_BLOCKS) : page / CLUSTER_BLOCKS;
  const within = <usize>(page - cluster * CLUSTER_BLOCKS);
  return windowOf(read<Table>(table).cluster + cluster) + (within << BLOCK_SHIFT);
}

/** A page that has room for a record and its slot: one that had rows before, unless it must be the tail. 0 when there is none yet. */
export function pageWithRoom(table: usize, room: u32, atTail: bool): u64 {
  const reader = read<Table>(table);
  if (!atTail) {
    const list1 = room <= LIST1_ROOM ? reader.list1 : 0;
    const listed = list1 != 0 ? list1 : reader.list2;
    if (listed != 0) return listed;
  }
  const tail = reader.tail;
  if (tail == 0) return 0;
  return hasRoom(read<Page>(pageAt(table, tail)), room, !atTail) ? tail : 0;
}

/** A new tail; OK, or why there is none, and then nothing has changed. */
export function addTail(table: usize): u32 {
  const page = read<Table>(table).end;
  const code = reachPages(table, page + 1);
  if (code != OK) return code;
  startPage(pageAt(table, page));
  const writer = write<TableWriter>(table);
  const before = writer.tail;
  writer.end = page + 1;
  writer.tail = page;
  if (before == 0) return OK;
  tidyPage(table, before);
  enlist(table, before);
  return OK;
}

/** A page other than the tail whose slots are all free has none; true when it is such a page. */
export function tidyPage(table: usize, page: u64): bool {
  const address = pageAt(table, page);
  if (!isEmpty(read<Page>(address)) || read<Table>(table).tail == page) return false;
  clearPage(write<PageWriter>(address));
  return true;
}

/** Makes the extent have all pages below `end`: with each step half as many more, which cost nothing until they are written. */
export function reachPages(table: usize, end: u64): u32 {
  const extent = read<Table>(table).extent;
  const clusters = clustersOf(extent);
  const needed = (end + CLUSTER_BLOCKS - 1) / CLUSTER_BLOCKS;
  if (needed <= clusters) return OK;
  return resizeExtent(extent, max(needed, clusters + (clusters >> 1)));
}

/** Puts a page into the list that its free bytes belong to, and out of the one in which it was. */
export function enlist(table: usize, page: u64): void {
  const reader = read<Page>(pageAt(table, page));
  const free: u32 = reader.free;
  const list: u8 = read<Table>(table).tail == page || free < LIST1_FREE ? 0 : free < LIST2_FREE ? 1 : 2;
  if (reader.list == list) return;
  unlist(table, page);
  if (list == 0) return;
  const head = firstOf(table, list);
  const writer = write<PageWriter>(pageAt(table, page));
  writer.list = list;
  writer.previous = 0;
  writer.next = head;
  if (head != 0) write<PageWriter>(pageAt(table, head)).previous = page;
  setFirst(table, list, page);
}

/** Takes a page out of its list. */
export function unlist(table: usize, page: u64): void {
  const reader = read<Page>(pageAt(table, page));
  const list = reader.list;
  if (list == 0) return;
  const next = reader.next;
  const previous = reader.previous;
  write<PageWriter>(pageAt(table, page)).list = 0;
  if (next != 0) write<PageWriter>(pageAt(table, next)).previous = previous;
  if (previous != 0) write<PageWriter>(pageAt(table, previous)).next = next;
  else setFirst(table, list, next);
}

/** Whether a page that is empty and listed may go: another one has as much room. */
export function isSpare(table: usize, page: u64): bool {
  const reader = read<Page>(pageAt(table, page));
  return reader.list == 2 && (reader.next != 0 || reader.previous != 0);
}

/** The first page of rows from this one on, 0 for none; passes over runs, and over what was discarded. */
export function nextPage(table: usize, page: u64): u64 {
  const reader = read<Table>(table);
  const end = reader.end;
  for (page = max(page, reader.first); page < end; ) {
    const header = read<Page>(pageAt(table, page));
    if (header.kind == PAGE_OF_ROWS && !isEmpty(header)) return page;
    page += pagesOf(header);
  }
  return 0;
}

/** How many pages what begins here has. */
function pagesOf(header: Page): u64 {
  if (header.kind <= PAGE_OF_ROWS) return 1;
  // What the first page of a run says.
  return max(1, fieldOf<Page, u64>(header, 8));
}

function firstOf(table: usize, list: u8): u64 {
  return get<u64>(table + LISTS + (<usize>(list - 1) << 3));
}

function setFirst(table: usize, list: u8, page: u64): void {
  put<u64>(table + LISTS + (<usize>(list - 1) << 3), page);
}
