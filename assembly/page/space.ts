/*
 * The record of an address space, or of a page table by itself: 64 bytes of the heap, aligned to 64.
 *
 *   0    ternary memory u32, root table u32, 0 for none
 *   8    1 when it is a page table alone u32
 *   12   areas u32, 0 for none; how many u32, and for how many there is room u32
 *   24   next space of the memory u32, previous u32; the latest is the first
 */

import { read, Writable } from "../block/access";
import { globalTablesOf } from "./memory-record";
import { entryAt } from "./table";
import { index1 } from "./virtual";
import { walk } from "./walk";

export const SPACE_BYTES: u32 = 64;
/** Of the holder of its tables. */
const ROOT: usize = 4;

@unmanaged
export class Space {
  readonly memory: usize;
  readonly root: usize;
  readonly isTable: u32;
  readonly areas: usize;
  readonly areaCount: u32;
  readonly areaRoom: u32;
  readonly next: usize;
  readonly previous: usize;
}

@unmanaged
export class SpaceWriter extends Writable {
  memory: usize;
  root: usize;
  isTable: u32;
  areas: usize;
  areaCount: u32;
  areaRoom: u32;
  next: usize;
  previous: usize;
}

/** The holder of the tables of a space. */
// @ts-ignore: decorator
@inline
export function tablesOf(space: usize): usize {
  return space + ROOT;
}

/** The table of level 1 that maps a page for a space, its own or the global one; 0 when neither does. */
// @ts-ignore: decorator
@inline
export function tableFor(space: usize, page: u64): usize {
  const own = walk(tablesOf(space), page);
  if (own != 0 && entryAt(own, index1(page)) != 0) return own;
  const shared = walk(globalTablesOf(read<Space>(space).memory), page);
  return shared != 0 && entryAt(shared, index1(page)) != 0 ? shared : 0;
}

if (
  offsetof<Space>("root") != ROOT ||
  offsetof<SpaceWriter>("root") != ROOT ||
  offsetof<Space>() != 32 ||
  offsetof<SpaceWriter>() != 32
)
  ERROR("a space is not as drawn");
