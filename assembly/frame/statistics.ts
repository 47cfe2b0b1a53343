/*
 * What a region looks like, for the host. O(words of the bitmap).
 *
 *   exchange  0   capacity u32, end u32
 *             8   free frames below the end u32, free runs u32
 *             16  longest free run u32
 *             24  fragmentation f64: percent of the free frames that lie outside the longest run
 */

import { answer, read } from "../block/access";
import { nextFree, nextUsed, previousUsed } from "./bitmap";
import { Region } from "./region";

export function frameStatistics(region: usize): void {
  const reader = read<Region>(region);
  const end = reader.end;
  let free: u32 = 0;
  let runs: u32 = 0;
  let longest: u32 = 0;
  for (let start = nextFree(reader.bitmap, 0, end); start < end; runs++) {
    const used = nextUsed(reader.bitmap, start, end);
    free += used - start;
    longest = max(longest, used - start);
    start = nextFree(reader.bitmap, used, end);
  }
  answer<u32>(0, reader.capacity);
  answer<u32>(4, end);
  answer<u32>(8, free);
  answer<u32>(12, runs);
  answer<u32>(16, longest);
  answer<f64>(24, free == 0 ? 0 : (100 * <f64>(free - longest)) / free);
}

/** The longest run of free frames, those at and past the end included. */
export function longestFreeRun(region: usize): u32 {
  const reader = read<Region>(region);
  const end = reader.end;
  let longest = reader.capacity - (previousUsed(reader.bitmap, end) + 1);
  for (let start = nextFree(reader.bitmap, 0, end); start < end; ) {
    const used = nextUsed(reader.bitmap, start, end);
    longest = max(longest, used - start);
    start = nextFree(reader.bitmap, used, end);
  }
  return longest;
}
