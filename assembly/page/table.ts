/*
 * Page tables: 19,683 entries of u64 in a run of 39 blocks, and behind them what is known of the table.
 *
 *   157,696   owners u32: entries and spaces that lead to it
 *             entries in use u32, level u32
 *             lowest and highest index that was ever in use, u16 each; 19,683 and 0 before there was one
 *
 * A table that several own is shared by a fork: nothing in it, or below it, changes. A table lives as long as it has
 * owners; then those that it owns, tables or frames, lose one. Most blocks of most tables are never written, and cost nothing.
 */

import { isCode, OK } from "../base/codes";
import { BLOCK_BYTES } from "../base/memory-map";
import { get, put, read, Writable, write } from "../block/access";
import { alloc, release } from "../heap/heap";
import { TABLE_ENTRIES } from "../trit/constants";
import { frameOf, tableOf, withGlobal, ZERO } from "./entry";
import { copyMarks, dropMarks } from "./marks";
import { addMapping, dropMapping } from "./physical";

const TABLE_BYTES: u32 = 39 * BLOCK_BYTES;
const ABOUT: usize = 157696;

@unmanaged
class About {
  readonly owners: u32;
  readonly used: u32;
  readonly level: u32;
  readonly lowest: u16;
  readonly highest: u16;
}

@unmanaged
class AboutWriter extends Writable {
  owners: u32;
  used: u32;
  level: u32;
  lowest: u16;
  highest: u16;
}

if (
  offsetof<About>() != 16 ||
  offsetof<AboutWriter>() != 16 ||
  ABOUT % 16 != 0 ||
  ABOUT < <usize>TABLE_ENTRIES * 8 ||
  ABOUT + 16 > <usize>TABLE_BYTES
)
  ERROR("a page table is not as drawn");

/** A table without entries, with one owner; OUT_OF_MEMORY. */
export function makeTable(level: u32): usize {
  const table = alloc(TABLE_BYTES, 1, true);
  if (isCode(table)) return table;
  const about = write<AboutWriter>(table + ABOUT);
  about.owners = 1;
  about.level = level;
  about.lowest = <u16>TABLE_ENTRIES;
  dropMarks(table);
  return table;
}

// @ts-ignore: decorator
@inline
export function entryAt(table: usize, index: u32): u64 {
  return get<u64>(table + (<usize>index << 3));
}

/** Of a table with one owner. What the entry leads to is the caller's business. */
export function setEntry(table: usize, index: u32, entry: u64): void {
  const before = entryAt(table, index);
  put<u64>(table + (<usize>index << 3), entry);
  if ((before == 0) == (entry == 0)) return;
  const about = write<AboutWriter>(table + ABOUT);
  about.used += entry == 0 ? -1 : 1;
  about.lowest = <u16>min<u32>(about.lowest, index);
  about.highest = <u16>max<u32>(about.highest, index);
}

// @ts-ignore: decorator
@inline
export function ownersOf(table: usize): u32 {
  return read<About>(table + ABOUT).owners;
}

// @ts-ignore: decorator
@inline
export function usedOf(table: usize): u32 {
  return read<About>(table + ABOUT).used;
}

/** The first index from `index` on with an entry; TABLE_ENTRIES when there is none. */
export function nextUsed(table: usize, index: u32): u32 {
  const about = read<About>(table + ABOUT);
  if (about.used == 0) return TABLE_ENTRIES;
  index = max<u32>(index, about.lowest);
  while (index <= about.highest) {
    if (entryAt(table, index) != 0) return index;
    index++;
  }
  return TABLE_ENTRIES;
}

export function addOwner(table: usize): void {
  write<AboutWriter>(table + ABOUT).owners += 1;
}

/** One owner less, of several. */
export function leaveTable(table: usize): void {
  write<AboutWriter>(table + ABOUT).owners -= 1;
}

/** A table that leads to the same, which has one owner more then; pages of both are to be copied when they are written. OUT_OF_MEMORY. */
export function copyTable(memory: usize, table: usize): usize {
  const level = read<About>(table + ABOUT).level;
  const copy = makeTable(level);
  if (isCode(copy)) return copy;
  for (let index = nextUsed(table, 0); index < TABLE_ENTRIES; index = nextUsed(table, index + 1)) {
    let entry = entryAt(table, index);
    if (level > 1) {
      addOwner(tableOf(entry));
    } else {
      const code = addMapping(memory, frameOf(entry));
      assert(code == OK);
      entry = withGlobal(entry, ZERO);
      setEntry(table, index, entry);
    }
    setEntry(copy, index, entry);
  }
  if (level == 1) copyMarks(table, copy);
  return copy;
}

/** One owner less. */
export function dropTable(memory: usize, table: usize): void {
  const about = write<AboutWriter>(table + ABOUT);
  about.owners -= 1;
  if (about.owners != 0) return;
  const level = about.level;
  for (let index = nextUsed(table, 0); index < TABLE_ENTRIES; index = nextUsed(table, index + 1)) {
    const entry = entryAt(table, index);
    if (level > 1) dropTable(memory, tableOf(entry));
    else dropMapping(memory, frameOf(entry));
  }
  giveTable(table);
}

/** Gives a table back that owns nothing. */
export function giveTable(table: usize): void {
  dropMarks(table);
  const code = release(table);
  assert(code == OK);
}
