/*
 * The frame allocator: numbered frames of a region, one or several contiguous ones, in O(1) on average.
 *
 * It only knows numbers: what a frame is, where it lies and what it contains is its owner's business. The bitmap is the
 * truth, and says which frames are used; the bounds of groups and the list of recent frames only say where to look first.
 * A frame is the one given back last, whose block the next commit has to write anyway, else the first free one.
 * A run is the first that fits (docs/ENGINE.md says why).
 */

import { DOUBLE_FREE, INVALID_ADDRESS, INVALID_ARGUMENT, OK } from "../base/codes";
import { get, put, read, write } from "../block/access";
import { isUsed, nextFree, nextUsed, previousUsed, setFree, setUsed } from "./bitmap";
import { boundOf, GROUP_SHIFT, nextGroup, setBound, UNKNOWN } from "./bounds";
import { RECENT_CAPACITY, RECENT_OFFSET, Region, RegionWriter } from "./region";

/** Not a frame. */
export const NO_FRAME: u32 = 0xffffffff;

/** Makes a region of `capacity` frames, of which those below `end` may be handed out. Bitmap and bounds read as zeros, and are aligned to 16. */
export function createRegion(region: usize, capacity: u32, end: u32, bitmap: usize, bounds: usize): void {
  const writer = write<RegionWriter>(region);
  writer.capacity = capacity;
  writer.end = end;
  writer.free = end;
  writer.lowest = 0;
  writer.bitmap = bitmap;
  writer.bounds = bounds;
  writer.recentCount = 0;
  if (end > 0) setBound(bounds, 0, UNKNOWN);
}

/** Takes `count` contiguous frames below the end of the region; NO_FRAME when there are none. */
export function takeFrames(region: usize, count: u32): u32 {
  if (count == 0 || count > read<Region>(region).free) return NO_FRAME;
  let first = count == 1 ? popRecent(region) : NO_FRAME;
  if (first == NO_FRAME) first = search(region, count);
  if (first != NO_FRAME) claim(region, first, count);
  return first;
}

/** Takes exactly these frames if all of them are free and below the end. */
export function takeFramesAt(region: usize, first: u32, count: u32): bool {
  const reader = read<Region>(region);
  if (first > reader.end || count > reader.end - first) return false;
  if (nextUsed(reader.bitmap, first, first + count) != first + count) return false;
  claim(region, first, count);
  return true;
}

/** Where the free run begins that reaches to the end; the end itself if there is none. */
export function tailOf(region: usize): u32 {
  const reader = read<Region>(region);
  return previousUsed(reader.bitmap, reader.end) + 1;
}

/** Moves the end of the region up, not past its capacity. What is between is free. */
export function raiseEnd(region: usize, end: u32): void {
  const reader = read<Region>(region);
  const writer = write<RegionWriter>(region);
  const from = reader.end;
  if (end == from) return;
  raiseBound(region, previousUsed(reader.bitmap, from) + 1);
  writer.free += end - from;
  writer.end = end;
}

/** Gives back `count` contiguous frames. */
export function giveFrames(region: usize, first: u32, count: u32): u32 {
  const reader = read<Region>(region);
  if (count == 0) return INVALID_ARGUMENT;
  if (first > reader.end || count > reader.end - first) return INVALID_ADDRESS;
  if (nextFree(reader.bitmap, first, first + count) != first + count) return DOUBLE_FREE;
  unclaim(region, first, count);
  return OK;
}

export function isFrameUsed(region: usize, frame: u32): bool {
  const reader = read<Region>(region);
  return frame < reader.end && isUsed(reader.bitmap, frame);
}

function claim(region: usize, first: u32, count: u32): void {
  const reader = read<Region>(region);
  const end = first + count;
  setUsed(reader.bitmap, first, count);
  write<RegionWriter>(region).free = reader.free - count;
  if (end < reader.end && !isUsed(reader.bitmap, end)) raiseBound(region, end);
}

function unclaim(region: usize, first: u32, count: u32): void {
  const reader = read<Region>(region);
  setFree(reader.bitmap, first, count);
  write<RegionWriter>(region).free = reader.free + count;
  if (count == 1) pushRecent(region, first);
  const apart = first == 0 || isUsed(reader.bitmap, first - 1);
  raiseBound(region, apart ? first : previousUsed(reader.bitmap, first) + 1);
}

/** A free run begins at this frame, of a length nobody has measured. */
function raiseBound(region: usize, start: u32): void {
  const reader = read<Region>(region);
  const group = start >> GROUP_SHIFT;
  if (boundOf(reader.bounds, group) != UNKNOWN) setBound(reader.bounds, group, UNKNOWN);
  if (group < reader.lowest) write<RegionWriter>(region).lowest = group;
}

function search(region: usize, count: u32): u32 {
  const reader = read<Region>(region);
  const groups = (reader.end + (1 << GROUP_SHIFT) - 1) >> GROUP_SHIFT;
  const lowest = nextGroup(reader.bounds, reader.lowest, groups, 1);
  if (lowest != reader.lowest) write<RegionWriter>(region).lowest = lowest;
  let group = nextGroup(reader.bounds, lowest, groups, count);
  while (group < groups) {
    const first = searchGroup(reader, group, count);
    if (first != NO_FRAME) return first;
    group = nextGroup(reader.bounds, group + 1, groups, count);
  }
  return NO_FRAME;
}

/** The first run of `count` free frames that starts in the group; lowers its bound when there is none. */
function searchGroup(reader: Region, group: u32, count: u32): u32 {
  const bitmap = reader.bitmap;
  const from = group << GROUP_SHIFT;
  const groupEnd = min(reader.end, from + (1 << GROUP_SHIFT));
  let longest: u32 = 0;
  let start = from;
  if (from > 0 && !isUsed(bitmap, from - 1)) start = nextUsed(bitmap, from, groupEnd); // that run started before
  for (start = nextFree(bitmap, start, groupEnd); start < groupEnd; ) {
    const length = nextUsed(bitmap, start, min(reader.end, start + count)) - start;
    if (length >= count) return start;
    longest = max(longest, length);
    start = nextFree(bitmap, start + length, groupEnd);
  }
  setBound(reader.bounds, group, longest);
  return NO_FRAME;
}

/** The frame given back last that is still free. */
function popRecent(region: usize): u32 {
  const reader = read<Region>(region);
  while (reader.recentCount > 0) {
    const count = reader.recentCount - 1;
    const frame = get<u32>(region + RECENT_OFFSET + (count << 2));
    write<RegionWriter>(region).recentCount = count;
    if (!isUsed(reader.bitmap, frame)) return frame;
  }
  return NO_FRAME;
}

/** Remembers a frame; when there is no room, forgets the older half. */
function pushRecent(region: usize, frame: u32): void {
  const list = region + RECENT_OFFSET;
  let count = read<Region>(region).recentCount;
  if (count == RECENT_CAPACITY) {
    count = RECENT_CAPACITY / 2;
    for (let i: u32 = 0; i < count; i++) put<u32>(list + (i << 2), get<u32>(list + ((i + count) << 2)));
  }
  put<u32>(list + (count << 2), frame);
  write<RegionWriter>(region).recentCount = count + 1;
}
