/*
 * Runs of frames that begin at a multiple of something: for large pages. First fit over the groups that the bounds do not exclude. No bound is lowered
 * by a run that only lies wrongly, so this is not O(1) in a region that has many of those and nothing else.
 */

import { read } from "../block/access";
import { nextFree, nextUsed } from "./bitmap";
import { GROUP_SHIFT, nextGroup } from "./bounds";
import { NO_FRAME } from "./frames";
import { Region } from "./region";

/** The first frame f of the first `count` free frames below the end with (f + shift) divisible by `align`; NO_FRAME when there are none. Takes nothing. */
export function findAligned(region: usize, count: u32, align: u32, shift: u32): u32 {
  const reader = read<Region>(region);
  if (count == 0 || count > reader.free) return NO_FRAME;
  const groups = (reader.end + (1 << GROUP_SHIFT) - 1) >> GROUP_SHIFT;
  for (let group = nextGroup(reader.bounds, reader.lowest, groups, count); group < groups; ) {
    const first = findInGroup(reader, group, count, align, shift);
    if (first != NO_FRAME) return first;
    group = nextGroup(reader.bounds, group + 1, groups, count);
  }
  return NO_FRAME;
}

/** The first frame from `frame` on that lies rightly. */
// @ts-ignore: decorator
@inline
export function alignFrame(frame: u32, align: u32, shift: u32): u32 {
  const over = <u32>((<u64>frame + shift) % align);
  return over == 0 ? frame : frame + (align - over);
}

function findInGroup(reader: Region, group: u32, count: u32, align: u32, shift: u32): u32 {
  const bitmap = reader.bitmap;
  const from = group << GROUP_SHIFT;
  const groupEnd = min(reader.end, from + (1 << GROUP_SHIFT));
  let start = nextFree(bitmap, from, groupEnd);
  while (start < groupEnd) {
    const first = alignFrame(start, align, shift);
    if (first > reader.end || count > reader.end - first) return NO_FRAME;
    const used = nextUsed(bitmap, start, first + count);
    if (used == first + count) return first;
    start = nextFree(bitmap, used, groupEnd);
  }
  return NO_FRAME;
}
