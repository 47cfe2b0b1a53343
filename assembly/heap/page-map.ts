/*
 * What each block of the heap belongs to: one u32.
 *
 *   0                   nothing
 *   span address | 1    a span; descriptors are aligned to 64
 *   blocks << 2 | 2     the first block of a run of that many
 *   frame << 2 | 3      a later block of the run that starts in this frame
 */

import { PAGE_MAP } from "../base/memory-map";
import { get, put } from "../block/access";

export const KIND_MASK: u32 = 3;
export const OF_SPAN: u32 = 1;
export const RUN_START: u32 = 2;
export const RUN_REST: u32 = 3;

// @ts-ignore: decorator
@inline
export function pageEntry(frame: u32): u32 {
  return get<u32>(PAGE_MAP + (<usize>frame << 2));
}

/** The same entry for `count` blocks. */
export function setPageEntries(frame: u32, count: u32, entry: u32): void {
  for (let end = frame + count; frame < end; frame++) put<u32>(PAGE_MAP + (<usize>frame << 2), entry);
}

export function setRunLength(frame: u32, blocks: u32): void {
  put<u32>(PAGE_MAP + (<usize>frame << 2), (blocks << 2) | RUN_START);
}
