/*
 * The mapper: the only one who changes entries of pages, one page at a time. (ranges.ts does it to many, by these functions.)
 *
 * Whatever could be refused is asked before anything changes. What a TLB may know is made void where something is taken away, or
 * found somewhere else: the epoch of the block states increases.
 *
 * A page may be changed by who may use it: modes 2 and 3 do not touch the kernel's half, nor pages that are closed to them.
 */

import {
  ADDRESS_NOT_MAPPED,
  ALREADY_MAPPED,
  INVALID_ADDRESS,
  INVALID_ALIGNMENT,
  INVALID_ARGUMENT,
  isCode,
  OK,
  OUT_OF_MEMORY,
  PERMISSION_DENIED,
} from "../base/codes";
import { read, write } from "../block/access";
import { endStateEpoch } from "../block/window-table";
import { Area, areaOf, AreaWriter, removeAreas, reserveAreas, STACK, writableOfFlags } from "./area";
import {
  asSmall,
  frameOf,
  globalOf,
  HYPERVISOR,
  isLarge,
  isOpenTo,
  KERNEL,
  MINUS,
  pageEntry,
  PLUS,
  userOf,
  withFrame,
  withGlobal,
  ZERO,
} from "./entry";
import { clearMarks } from "./marks";
import { globalTablesOf, MemoryRecord } from "./memory-record";
import {
  addMapping,
  ANY_ZONE,
  copyFrame,
  dropMapping,
  isAlive,
  mappingsOf,
  NO_FRAME_NUMBER,
  passToHolder,
  takeFrame,
} from "./physical";
import { Space, tableFor, tablesOf } from "./space";
import { entryAt, setEntry } from "./table";
import { forgetPage, modeOf, spaceOf } from "./tlb";
import {
  index1,
  isKernelPage,
  isPageStart,
  LARGE_PAGES,
  largeStartOf,
  NO_POSITION,
  PAGES,
  pageOf,
  positionOf,
} from "./virtual";
import { prune, walk, walkToChange, walkToMake } from "./walk";

// What `map` takes, as a set of bits.
export const PAGE_PRESENT: u32 = 1;
export const PAGE_WRITABLE: u32 = 2;
export const PAGE_EXECUTE: u32 = 4;
export const PAGE_USER: u32 = 8;
export const PAGE_SUPERVISOR: u32 = 16;
export const PAGE_KERNEL_ONLY: u32 = 32;
export const PAGE_GLOBAL: u32 = 64;
export const PAGE_LARGE: u32 = 128;
const PAGE_FLAGS_END: u32 = 256;

/** Maps the page that begins at an address to a frame that somebody owns. */
export function map(context: u32, address: f64, frame: f64, flags: u32): u32 {
  const space = spaceOf(context);
  const memory = read<Space>(space).memory;
  const position = positionOf(address);
  if (position == NO_POSITION) return INVALID_ADDRESS;
  if (!isPageStart(position)) return INVALID_ALIGNMENT;
  const page = pageOf(position);
  const code = verifyFlags(flags, page, modeOf(context));
  if (code != OK) return code;
  const large = (flags & PAGE_LARGE) != 0;
  const count: u64 = large ? LARGE_PAGES : 1;
  if (!(frame >= 0 && frame < <f64>PAGES && floor(frame) == frame)) return INVALID_ADDRESS;
  const first = <u64>frame;
  if (large && (largeStartOf(page) != page || first % LARGE_PAGES != 0)) return INVALID_ALIGNMENT;
  if (page + count > PAGES) return INVALID_ADDRESS;
  const isGlobal = (flags & PAGE_GLOBAL) != 0;
  for (let i: u64 = 0; i < count; i++) {
    if (!isAlive(memory, first + i)) return INVALID_ADDRESS;
    if (isGlobal ? isTakenAnywhere(memory, page + i) : isTaken(space, page + i)) return ALREADY_MAPPED;
  }
  const holder = isGlobal ? globalTablesOf(memory) : tablesOf(space);
  for (let i: u64 = 0; i < count; i++) {
    if (isCode(walkToMake(memory, holder, page + i))) {
      for (let made: u64 = 0; made <= i; made++) prune(holder, page + made);
      return OUT_OF_MEMORY;
    }
  }
  for (let i: u64 = 0; i < count; i++) {
    const entry = pageEntry(first + i, writableOfPage(flags), userOfPage(flags), isGlobal ? PLUS : MINUS, large);
    addPage(memory, walkToChange(memory, holder, page + i), page + i, entry);
  }
  return OK;
}

/** Unmaps the page at an address; the number of its frame, or less a code. A large one goes as a whole, and answers its first. */
export function unmap(context: u32, address: f64): f64 {
  const space = spaceOf(context);
  const mode = modeOf(context);
  const memory = read<Space>(space).memory;
  const position = positionOf(address);
  if (position == NO_POSITION) return -<f64>INVALID_ADDRESS;
  let page = pageOf(position);
  if (mode > KERNEL && isKernelPage(page)) return -<f64>PERMISSION_DENIED;
  const table = tableFor(space, page);
  if (table == 0) return -<f64>ADDRESS_NOT_MAPPED;
  const entry = entryAt(table, index1(page));
  const holder = globalOf(entry) == PLUS ? globalTablesOf(memory) : tablesOf(space);
  if (mode != HYPERVISOR && !isOpenTo(userOf(entry), mode)) return -<f64>PERMISSION_DENIED;
  if (mode > KERNEL && globalOf(entry) == PLUS) return -<f64>PERMISSION_DENIED;
  const large = isLarge(entry);
  if (large) page = largeStartOf(page);
  const count: u64 = large ? LARGE_PAGES : 1;
  if (areaOf(space, page) != 0 && !reserveAreas(space, 2)) return -<f64>OUT_OF_MEMORY;
  for (let i: u64 = 0; i < count; i++) {
    if (isCode(walkToChange(memory, holder, page + i))) return -<f64>OUT_OF_MEMORY;
  }
  const first = frameOf(entryIn(holder, page));
  for (let i: u64 = 0; i < count; i++) {
    setEntry(walkToChange(memory, holder, page + i), index1(page + i), 0);
    prune(holder, page + i);
    passToHolder(memory, first + i);
  }
  if (areaOf(space, page) != 0) removeAreas(space, page, page + 1);
  endStateEpoch();
  return <f64>first;
}

/** A promised page gets a frame of zeros. */
export function fulfil(space: usize, page: u64): u32 {
  const memory = read<Space>(space).memory;
  const holder = tablesOf(space);
  const table = walkToMake(memory, holder, page);
  const frame = isCode(table) ? NO_FRAME_NUMBER : takeFrame(memory, ANY_ZONE);
  if (frame == NO_FRAME_NUMBER) {
    prune(holder, page);
    return OUT_OF_MEMORY;
  }
  const area = areaOf(space, page);
  const flags = read<Area>(area).flags;
  addPage(memory, table, page, pageEntry(frame, writableOfFlags(flags), userOfHalf(page), MINUS, false));
  if ((flags & STACK) != 0 && page < read<Area>(area).lowest) write<AreaWriter>(area).lowest = page;
  return OK;
}

/**
 * A page that a fork shares becomes this space's own: a copy, unless nobody else maps its frame. A large one remains what it is if nobody else maps any of
 * it; otherwise it becomes three small ones, of which one is meant.
 */
export function makeOwn(space: usize, page: u64): u32 {
  const memory = read<Space>(space).memory;
  const holder = tablesOf(space);
  const large = isLarge(entryIn(holder, page));
  const first = large ? largeStartOf(page) : page;
  const end = large ? first + LARGE_PAGES : page + 1;
  let isAlone = true;
  for (let each = first; each < end; each++) {
    if (isCode(walkToChange(memory, holder, each))) return OUT_OF_MEMORY;
    if (mappingsOf(memory, frameOf(entryIn(holder, each))) > 1) isAlone = false;
  }
  const code = isAlone ? OK : ownFrame(memory, space, page);
  if (code != OK) return code;
  for (let each = first; each < end; each++) {
    let entry = entryIn(holder, each);
    if (!isAlone) entry = asSmall(entry);
    if (isAlone || each == page) entry = withGlobal(entry, MINUS);
    setEntry(walk(holder, each), index1(each), entry);
  }
  return OK;
}

/** A page whose tables nobody shares gets a frame that nobody else maps. */
function ownFrame(memory: usize, space: usize, page: u64): u32 {
  const table = walk(tablesOf(space), page);
  const entry = entryAt(table, index1(page));
  const shared = frameOf(entry);
  if (mappingsOf(memory, shared) == 1) return OK;
  const own = takeFrame(memory, ANY_ZONE);
  if (own == NO_FRAME_NUMBER) return OUT_OF_MEMORY;
  copyFrame(memory, shared, own);
  const code = addMapping(memory, own);
  assert(code == OK);
  setEntry(table, index1(page), withFrame(entry, own));
  dropMapping(memory, shared);
  forgetPage(space, page);
  return OK;
}

/** The entry of a page in the tables of a holder, 0 for none. */
export function entryIn(holder: usize, page: u64): u64 {
  const table = walk(holder, page);
  return table == 0 ? 0 : entryAt(table, index1(page));
}

/** The trit `user` of the pages of an area. */
export function userOfHalf(page: u64): u32 {
  return isKernelPage(page) ? MINUS : PLUS;
}

function addPage(memory: usize, table: usize, page: u64, entry: u64): void {
  const code = addMapping(memory, frameOf(entry));
  assert(code == OK);
  setEntry(table, index1(page), entry);
  clearMarks(table, index1(page));
}

/** Whether anything is at a page of a space already. */
function isTaken(space: usize, page: u64): bool {
  return tableFor(space, page) != 0 || areaOf(space, page) != 0;
}

function isTakenAnywhere(memory: usize, page: u64): bool {
  if (entryIn(globalTablesOf(memory), page) != 0) return true;
  for (let space = read<MemoryRecord>(memory).firstSpace; space != 0; space = read<Space>(space).next) {
    if (isTaken(space, page)) return true;
  }
  return false;
}

// Flags

function verifyFlags(flags: u32, page: u64, mode: u32): u32 {
  const user = flags & (PAGE_USER | PAGE_SUPERVISOR | PAGE_KERNEL_ONLY);
  if (flags >= PAGE_FLAGS_END || popcnt(user) > 1) return INVALID_ARGUMENT;
  if ((flags & PAGE_USER) != 0 && isKernelPage(page)) return INVALID_ARGUMENT;
  if ((flags & PAGE_WRITABLE) != 0 && (flags & PAGE_EXECUTE) != 0) return PERMISSION_DENIED;
  if (mode == HYPERVISOR) return OK;
  if (mode > KERNEL && (isKernelPage(page) || (flags & PAGE_GLOBAL) != 0)) return PERMISSION_DENIED;
  return isOpenTo(userOfPage(flags), mode) ? OK : PERMISSION_DENIED;
}

function writableOfPage(flags: u32): u32 {
  return (flags & PAGE_WRITABLE) != 0 ? PLUS : (flags & PAGE_EXECUTE) != 0 ? MINUS : ZERO;
}

function userOfPage(flags: u32): u32 {
  return (flags & PAGE_USER) != 0 ? PLUS : (flags & PAGE_KERNEL_ONLY) != 0 ? MINUS : ZERO;
}
