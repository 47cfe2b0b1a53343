/*
 * Areas: ranges of pages that are promised to a space, sorted and disjoint. A page of an area has no entry before it is touched.
 *
 *   area   0   first page u64, end page u64
 *          16  flags u32: read 1, write 2, execute 4, stack 8
 *          24  of a stack, the lowest page that was touched u64; the end before
 *
 * Neighbours that say the same are one area, unless they are stacks.
 */

import { isCode, OK, OUT_OF_MEMORY } from "../base/codes";
import { move, put, read, Writable, write } from "../block/access";
import { alloc, release } from "../heap/heap";
import { MINUS, PLUS, ZERO } from "./entry";
import { Space, SpaceWriter } from "./space";

export const READABLE: u32 = 1;
export const WRITABLE: u32 = 2;
export const EXECUTABLE: u32 = 4;
export const STACK: u32 = 8;

const AREA_BYTES: u32 = 32;
const ROOM_MIN: u32 = 4;

@unmanaged
export class Area {
  readonly first: u64;
  readonly end: u64;
  readonly flags: u32;
  readonly reserved: u32;
  readonly lowest: u64;
}

@unmanaged
export class AreaWriter extends Writable {
  first: u64;
  end: u64;
  flags: u32;
  reserved: u32;
  lowest: u64;
}

if (offsetof<Area>() != AREA_BYTES || offsetof<AreaWriter>() != AREA_BYTES) ERROR("an area is not as drawn");

/** The trit `writable` of the pages of an area, or of a change of protection. */
// @ts-ignore: decorator
@inline
export function writableOfFlags(flags: u32): u32 {
  return (flags & WRITABLE) != 0 ? PLUS : (flags & EXECUTABLE) != 0 ? MINUS : ZERO;
}

// @ts-ignore: decorator
@inline
export function areaAt(space: usize, index: u32): usize {
  return read<Space>(space).areas + <usize>(index * AREA_BYTES);
}

/** The index of the first area that ends behind this page. */
export function areaFrom(space: usize, page: u64): u32 {
  let low: u32 = 0;
  let high = read<Space>(space).areaCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (read<Area>(areaAt(space, middle)).end <= page) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The area that has this page; 0 when none has. */
export function areaOf(space: usize, page: u64): usize {
  const index = areaFrom(space, page);
  if (index == read<Space>(space).areaCount) return 0;
  const area = areaAt(space, index);
  return read<Area>(area).first <= page ? area : 0;
}

/** How many pages of [first, end) areas have. */
export function promisedIn(space: usize, first: u64, end: u64): u64 {
  let pages: u64 = 0;
  for (let index = areaFrom(space, first); beginsBefore(space, index, end); index++) {
    const area = read<Area>(areaAt(space, index));
    pages += min(area.end, end) - max(area.first, first);
  }
  return pages;
}

/** Makes sure that there is room for so many areas more; false when there is no memory for it. */
export function reserveAreas(space: usize, more: u32): bool {
  const reader = read<Space>(space);
  const needed = reader.areaCount + more;
  if (needed <= reader.areaRoom) return true;
  const room = max(max(needed, 2 * reader.areaRoom), ROOM_MIN);
  const areas = alloc(room * AREA_BYTES, AREA_BYTES, true);
  if (isCode(areas)) return false;
  move(reader.areas, areas, reader.areaCount * AREA_BYTES);
  releaseAreas(reader.areas);
  const writer = write<SpaceWriter>(space);
  writer.areas = areas;
  writer.areaRoom = room;
  return true;
}

/** Adds an area where none is. There is room for one more. */
export function addArea(space: usize, first: u64, end: u64, flags: u32): void {
  const index = areaFrom(space, first);
  insert(space, index, first, end, flags, end);
  join(space, index + 1);
  join(space, index);
}

/** Takes [first, end) out of all areas. There is room for two more. */
export function removeAreas(space: usize, first: u64, end: u64): void {
  split(space, first);
  split(space, end);
  const from = areaFrom(space, first);
  let to = from;
  while (beginsBefore(space, to, end)) to++;
  if (from < to) erase(space, from, to);
}

/** Gives the areas within [first, end) other flags, but stacks remain stacks. There is room for two more. */
export function changeAreas(space: usize, first: u64, end: u64, flags: u32): void {
  split(space, first);
  split(space, end);
  const from = areaFrom(space, first);
  for (let index = from; beginsBefore(space, index, end); index++) {
    const writer = write<AreaWriter>(areaAt(space, index));
    writer.flags = (writer.flags & STACK) | flags;
  }
  for (let index = from; beginsBefore(space, index, end + 1); ) {
    if (!join(space, index)) index++;
  }
}

/** The areas of another space as well. OUT_OF_MEMORY. */
export function copyAreas(from: usize, to: usize): u32 {
  const reader = read<Space>(from);
  if (!reserveAreas(to, reader.areaCount)) return OUT_OF_MEMORY;
  const writer = write<SpaceWriter>(to);
  move(reader.areas, writer.areas, reader.areaCount * AREA_BYTES);
  writer.areaCount = reader.areaCount;
  return OK;
}

/** Gives the memory of a list of areas back. */
export function releaseAreas(areas: usize): void {
  if (areas == 0) return;
  const code = release(areas);
  assert(code == OK);
}

/** Makes sure that no area reaches over the beginning of this page. */
function split(space: usize, page: u64): void {
  const area = areaOf(space, page);
  if (area == 0 || read<Area>(area).first == page) return;
  const reader = read<Area>(area);
  insert(space, areaFrom(space, page) + 1, page, reader.end, reader.flags, max(reader.lowest, page));
  const writer = write<AreaWriter>(areaOf(space, page - 1));
  writer.end = page;
  writer.lowest = min(writer.lowest, page);
}

/** Makes one of this area and the one before it when they meet and say the same. */
function join(space: usize, index: u32): bool {
  if (index == 0 || index >= read<Space>(space).areaCount) return false;
  const left = read<Area>(areaAt(space, index - 1));
  const right = read<Area>(areaAt(space, index));
  if (left.end != right.first || left.flags != right.flags || (left.flags & STACK) != 0) return false;
  const writer = write<AreaWriter>(areaAt(space, index - 1));
  writer.end = right.end;
  writer.lowest = right.end;
  erase(space, index, index + 1);
  return true;
}

/** Whether there is an area with this index, and it begins before a page. */
function beginsBefore(space: usize, index: u32, page: u64): bool {
  return index < read<Space>(space).areaCount && read<Area>(areaAt(space, index)).first < page;
}

function insert(space: usize, index: u32, first: u64, end: u64, flags: u32, lowest: u64): void {
  const reader = read<Space>(space);
  const at = areaAt(space, index);
  move(at, at + AREA_BYTES, (reader.areaCount - index) * AREA_BYTES);
  const writer = write<AreaWriter>(at);
  writer.first = first;
  writer.end = end;
  writer.flags = flags;
  writer.lowest = lowest;
  write<SpaceWriter>(space).areaCount = reader.areaCount + 1;
}

/** Removes the areas with these indices. */
function erase(space: usize, from: u32, to: u32): void {
  const reader = read<Space>(space);
  move(areaAt(space, to), areaAt(space, from), (reader.areaCount - to) * AREA_BYTES);
  write<SpaceWriter>(space).areaCount = reader.areaCount - (to - from);
}
