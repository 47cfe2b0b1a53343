/*
 * Accesses to virtual memory. The way of nearly all is short: position, page, TLB, block state, tryte.
 *
 * Loads and stores change nothing but the tryte. A page that has to become something else first, because it is only promised or shared by a
 * fork, is answered with MUST_TOUCH: `touchPage` makes it ready, and the access is tried again. So a host that fails in the middle of a load
 * or store has left nothing half done.
 */

import {
  ADDRESS_NOT_MAPPED,
  INVALID_ADDRESS,
  INVALID_ARGUMENT,
  isCode,
  MUST_TOUCH,
  OK,
  PERMISSION_DENIED,
} from "../base/codes";
import { answer, ensureRange, get, put, read } from "../block/access";
import { PAGE_TRYTES } from "../trit/constants";
import { Area, areaOf, writableOfFlags } from "./area";
import {
  frameOf,
  globalOf,
  isAllowed,
  isLarge,
  KERNEL,
  MINUS,
  PLUS,
  promisedEntry,
  READ,
  userOf,
  withGlobal,
  withMarks,
  writableOf,
  WRITE,
  ZERO,
} from "./entry";
import { fulfil, makeOwn, userOfHalf } from "./mapper";
import { accessedOf, dirtyOf, mark } from "./marks";
import { addressOf } from "./physical";
import { Space, tableFor, tablesOf } from "./space";
import { entryAt } from "./table";
import { cellIn, enter, isKnown, modeOf, placeOf, spaceOf } from "./tlb";
import {
  index1,
  isKernelPage,
  isUsual,
  LARGE_PAGES,
  largeStartOf,
  NO_POSITION,
  offsetIn,
  pageOf,
  positionOf,
  sumOf,
  usualPosition,
} from "./virtual";
import { isShared } from "./walk";

/** A load answers a code as this number and the code: no cell can hold it. */
export const NO_TRYTE: i32 = 0x10000;
const TRYTE_MAX: i32 = 364;

/** The cell at an address. */
// @ts-ignore: decorator
@inline
export function loadTryte(context: u32, address: f64): i32 {
  const sum = sumOf(address);
  if (isUsual(address, sum)) {
    const position = usualPosition(sum);
    const page = pageOf(position);
    const place = placeOf(context, page);
    if (isKnown(place, context, page, false)) return get<i16>(cellIn(place, position));
  }
  return loadUnknown(context, address);
}

/** Puts a tryte, −364 to 364, into the cell at an address. */
// @ts-ignore: decorator
@inline
export function storeTryte(context: u32, address: f64, tryte: i32): u32 {
  if (<u32>(tryte + TRYTE_MAX) > <u32>(2 * TRYTE_MAX)) return INVALID_ARGUMENT;
  const sum = sumOf(address);
  if (isUsual(address, sum)) {
    const position = usualPosition(sum);
    const page = pageOf(position);
    const place = placeOf(context, page);
    if (isKnown(place, context, page, true)) {
      put<i16>(cellIn(place, position), <i16>tryte);
      return OK;
    }
  }
  return storeUnknown(context, address, tryte);
}

function loadUnknown(context: u32, address: f64): i32 {
  const cell = cellAt(context, address, false);
  return isCode(cell) ? NO_TRYTE + <i32>cell : get<i16>(cell);
}

function storeUnknown(context: u32, address: f64, tryte: i32): u32 {
  const cell = cellAt(context, address, true);
  if (isCode(cell)) return <u32>cell;
  put<i16>(cell, <i16>tryte);
  return OK;
}

/** The linear address of a cell, when all of its page from there on is to be read or written by the host; or a code. */
export function cellsAt(context: u32, address: f64, write: bool): usize {
  const cell = cellAt(context, address, write);
  if (isCode(cell)) return cell;
  const position = positionOf(address);
  const cells = PAGE_TRYTES - offsetIn(pageOf(position), position);
  ensureRange(cell, cells << 1, write);
  return cell;
}

/** The linear address of a cell, or a code. */
function cellAt(context: u32, address: f64, write: bool): usize {
  const position = positionOf(address);
  if (position == NO_POSITION) return INVALID_ADDRESS;
  const page = pageOf(position);
  const place = placeOf(context, page);
  return isKnown(place, context, page, write) ? cellIn(place, position) : resolve(context, position, write);
}

/** The physical address that a virtual one means, or less a code. */
export function translate(context: u32, address: f64, access: u32): f64 {
  const position = positionOf(address);
  if (position == NO_POSITION) return -<f64>INVALID_ADDRESS;
  const page = pageOf(position);
  const space = spaceOf(context);
  const table = tableFor(space, page);
  const code = admit(space, table, page, modeOf(context), access);
  if (code != OK) return -<f64>code;
  return <f64>(frameOf(entryAt(table, index1(page))) * PAGE_TRYTES + offsetIn(page, position));
}

/** Makes a page ready for an access that was answered with MUST_TOUCH. */
export function touchPage(context: u32, address: f64, access: u32): u32 {
  const position = positionOf(address);
  if (position == NO_POSITION) return INVALID_ADDRESS;
  const page = pageOf(position);
  const space = spaceOf(context);
  const table = tableFor(space, page);
  const code = admit(space, table, page, modeOf(context), access);
  if (code != MUST_TOUCH) return code;
  return table == 0 ? fulfil(space, page) : makeOwn(space, page);
}

/** Puts into the exchange area the entry of a page as u64, with all six trits; zeros when there is nothing. */
export function describePage(context: u32, address: f64): u32 {
  const position = positionOf(address);
  if (position == NO_POSITION) return INVALID_ADDRESS;
  answer<u64>(0, descriptionOf(spaceOf(context), pageOf(position)));
  return OK;
}

function descriptionOf(space: usize, page: u64): u64 {
  const table = tableFor(space, page);
  if (table == 0) {
    const area = areaOf(space, page);
    return area == 0 ? 0 : promisedEntry(writableOfFlags(read<Area>(area).flags), userOfHalf(page));
  }
  const index = index1(page);
  let entry = entryAt(table, index);
  if (globalOf(entry) == MINUS && isShared(tablesOf(space), page)) entry = withGlobal(entry, ZERO);
  return withMarks(entry, accessedOf(table, index), dirtyOf(table, index));
}

/** Whether a mode may access a page so, which has an entry in `table`, if not 0. MUST_TOUCH when it may, but not yet. */
function admit(space: usize, table: usize, page: u64, mode: u32, access: u32): u32 {
  if (mode > KERNEL && isKernelPage(page)) return PERMISSION_DENIED;
  if (table == 0) {
    const area = areaOf(space, page);
    if (area == 0) return ADDRESS_NOT_MAPPED;
    const writable = writableOfFlags(read<Area>(area).flags);
    return isAllowed(writable, userOfHalf(page), mode, access) ? MUST_TOUCH : PERMISSION_DENIED;
  }
  const entry = entryAt(table, index1(page));
  if (!isAllowed(writableOf(entry), userOf(entry), mode, access)) return PERMISSION_DENIED;
  if (access != WRITE || globalOf(entry) == PLUS) return OK;
  return globalOf(entry) == ZERO || isShared(tablesOf(space), page) ? MUST_TOUCH : OK;
}

/** What the TLB does not know: the linear address of a tryte, or a code. From then on it knows the page, which is marked. */
function resolve(context: u32, position: u64, write: bool): usize {
  const space = spaceOf(context);
  const page = pageOf(position);
  const table = tableFor(space, page);
  const code = admit(space, table, page, modeOf(context), write ? WRITE : READ);
  if (code != OK) return code;
  const entry = entryAt(table, index1(page));
  const start = addressOf(read<Space>(space).memory, frameOf(entry));
  const cell = start + (offsetIn(page, position) << 1);
  mark(table, index1(page), write);
  enter(context, page, write, position, cell);
  if (isLarge(entry)) resolveRest(context, page, write, position, cell);
  return cell;
}

/** The other pages of a large one: its frames lie one behind the other, so that what makes one address makes all. */
function resolveRest(context: u32, page: u64, write: bool, position: u64, cell: usize): void {
  const space = spaceOf(context);
  const first = largeStartOf(page);
  for (let other = first; other < first + LARGE_PAGES; other++) {
    if (other == page) continue;
    const table = tableFor(space, other);
    if (admit(space, table, other, modeOf(context), write ? WRITE : READ) != OK) continue;
    mark(table, index1(other), write);
    enter(context, other, write, position, cell);
  }
}
