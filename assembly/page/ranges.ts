/*
 * Ranges of pages: promising them, taking them away, protecting them.
 *
 * A range begins with a page and reaches as far as its trytes need. Each call asks first whether it may, makes sure next that it has
 * the memory and the tables for it, and then cannot fail. What is large is in a range as a whole, or not at all.
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
import { read } from "../block/access";
import { endStateEpoch } from "../block/window-table";
import {
  addArea,
  areaOf,
  changeAreas,
  EXECUTABLE,
  promisedIn,
  READABLE,
  removeAreas,
  reserveAreas,
  STACK,
  WRITABLE,
  writableOfFlags,
} from "./area";
import { frameOf, HYPERVISOR, isLarge, isOpenTo, KERNEL, userOf, withWritable } from "./entry";
import { entryIn, userOfHalf } from "./mapper";
import { globalTablesOf } from "./memory-record";
import { dropMapping } from "./physical";
import { Space, tablesOf } from "./space";
import { entryAt, setEntry } from "./table";
import { modeOf, spaceOf } from "./tlb";
import {
  FIRST_USER_PAGE,
  index1,
  isKernelPage,
  isPageStart,
  largeStartOf,
  NO_POSITION,
  PAGES,
  pageOf,
  positionOf,
} from "./virtual";
import { nextMapped, prune, walk, walkToChange } from "./walk";

/** Promises pages to a space: each gets a frame when it is touched. */
export function mapRegion(context: u32, start: f64, trytes: f64, flags: u32): u32 {
  const space = spaceOf(context);
  let code = verifyRange(context, start, trytes);
  if (code == OK) code = verifyFlags(flags, STACK);
  if (code != OK) return code;
  const first = firstOf(start);
  const end = first + pagesFor(trytes);
  const globals = globalTablesOf(read<Space>(space).memory);
  if (
    promisedIn(space, first, end) != 0 ||
    nextMapped(tablesOf(space), first, end) != end ||
    nextMapped(globals, first, end) != end
  )
    return ALREADY_MAPPED;
  if (!reserveAreas(space, 1)) return OUT_OF_MEMORY;
  addArea(space, first, end, flags | READABLE);
  return OK;
}

/** Takes away whatever a space itself has in a range. Frames that nobody owns any more become free. */
export function unmapRegion(context: u32, start: f64, trytes: f64): u32 {
  const space = spaceOf(context);
  let code = verifyRange(context, start, trytes);
  if (code != OK) return code;
  const first = firstOf(start);
  const end = first + pagesFor(trytes);
  const memory = read<Space>(space).memory;
  const holder = tablesOf(space);
  const isEmpty = promisedIn(space, first, end) == 0 && nextMapped(holder, first, end) == end;
  if (isEmpty) return ADDRESS_NOT_MAPPED;
  code = prepareRange(memory, holder, first, end, modeOf(context));
  if (code != OK) return code;
  if (!reserveAreas(space, 2)) return OUT_OF_MEMORY;
  for (let page = nextMapped(holder, first, end); page < end; page = nextMapped(holder, page + 1, end)) {
    const table = walk(holder, page);
    const frame = frameOf(entryAt(table, index1(page)));
    setEntry(table, index1(page), 0);
    prune(holder, page);
    dropMapping(memory, frame);
  }
  removeAreas(space, first, end);
  endStateEpoch();
  return OK;
}

/** Changes what may be done with the pages of a range, all of which are mapped or promised. */
export function protect(context: u32, start: f64, trytes: f64, flags: u32): u32 {
  const space = spaceOf(context);
  let code = verifyRange(context, start, trytes);
  if (code == OK) code = verifyFlags(flags, 0);
  if (code != OK) return code;
  const first = firstOf(start);
  const end = first + pagesFor(trytes);
  const memory = read<Space>(space).memory;
  const own = tablesOf(space);
  const globals = globalTablesOf(memory);
  const known = promisedIn(space, first, end) + mappedAlone(space, own, first, end) + mappedAlone(space, globals, first, end);
  if (known != end - first) return ADDRESS_NOT_MAPPED;
  code = prepareRange(memory, own, first, end, modeOf(context));
  if (code == OK) code = prepareRange(memory, globals, first, end, modeOf(context));
  if (code != OK) return code;
  if (!reserveAreas(space, 2)) return OUT_OF_MEMORY;
  changeEntries(own, first, end, writableOfFlags(flags));
  changeEntries(globals, first, end, writableOfFlags(flags));
  changeAreas(space, first, end, flags | READABLE);
  endStateEpoch();
  return OK;
}

/** Whether the mode may change a range, and nothing large is cut; then no fork shares its tables any more. */
function prepareRange(memory: usize, holder: usize, first: u64, end: u64, mode: u32): u32 {
  if (cutsLarge(holder, first) || cutsLarge(holder, end)) return INVALID_ALIGNMENT;
  if (mode != HYPERVISOR) {
    for (let page = nextMapped(holder, first, end); page < end; page = nextMapped(holder, page + 1, end)) {
      if (!isOpenTo(userOf(entryIn(holder, page)), mode)) return PERMISSION_DENIED;
    }
  }
  for (let page = nextMapped(holder, first, end); page < end; page = nextMapped(holder, page + 1, end)) {
    if (isCode(walkToChange(memory, holder, page))) return OUT_OF_MEMORY;
  }
  return OK;
}

/** Whether the border before this page lies in a large one. */
function cutsLarge(holder: usize, page: u64): bool {
  return page < PAGES && largeStartOf(page) != page && isLarge(entryIn(holder, page));
}

function changeEntries(holder: usize, first: u64, end: u64, writable: u32): void {
  for (let page = nextMapped(holder, first, end); page < end; page = nextMapped(holder, page + 1, end)) {
    const table = walk(holder, page);
    setEntry(table, index1(page), withWritable(entryAt(table, index1(page)), writable));
  }
}

/** How many pages of a range are mapped that no area has. */
function mappedAlone(space: usize, holder: usize, first: u64, end: u64): u64 {
  let count: u64 = 0;
  for (let page = nextMapped(holder, first, end); page < end; page = nextMapped(holder, page + 1, end)) {
    if (areaOf(space, page) == 0) count++;
  }
  return count;
}

// Arguments

function verifyRange(context: u32, start: f64, trytes: f64): u32 {
  const position = positionOf(start);
  if (position == NO_POSITION) return INVALID_ADDRESS;
  if (!(trytes >= 1) || floor(trytes) != trytes) return INVALID_ARGUMENT;
  if (!isPageStart(position)) return INVALID_ALIGNMENT;
  const page = pageOf(position);
  if (!(trytes < 9007199254740992) || page + pagesFor(trytes) > PAGES) return INVALID_ADDRESS;
  return modeOf(context) > KERNEL && isKernelPage(page) ? PERMISSION_DENIED : OK;
}

function verifyFlags(flags: u32, more: u32): u32 {
  if ((flags & (READABLE | WRITABLE | EXECUTABLE)) == 0) return INVALID_ARGUMENT;
  if ((flags & ~(READABLE | WRITABLE | EXECUTABLE | more)) != 0) return INVALID_ARGUMENT;
  return (flags & WRITABLE) != 0 && (flags & EXECUTABLE) != 0 ? PERMISSION_DENIED : OK;
}

function firstOf(start: f64): u64 {
  return pageOf(positionOf(start));
}

function pagesFor(trytes: f64): u64 {
  return pageOf(<u64>trytes - 1) + 1;
}
