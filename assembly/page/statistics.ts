/*
 * What physical memory looks like, for the host. O(words of the bitmaps).
 *
 *   exchange  0   frames f64, free ones f64
 *             16  those of them that lie in the longest free run of their region f64
 */

import { answer, read } from "../block/access";
import { Region } from "../frame/region";
import { longestFreeRun } from "../frame/statistics";
import { MemoryRecord, RECORD_BYTES } from "./memory-record";
import { ANY_ZONE } from "./physical";
import { placeOf } from "./region-record";

export function memoryStatistics(memory: usize, zone: u32): void {
  const reader = read<MemoryRecord>(memory);
  let frames: f64 = 0;
  let free: f64 = 0;
  let longest: f64 = 0;
  for (let i: u32 = 0; i < reader.regionCount; i++) {
    const record = reader.regions + RECORD_BYTES * i;
    if (zone != ANY_ZONE && placeOf(record).zone != zone) continue;
    const region = read<Region>(record);
    frames += <f64>region.capacity;
    free += <f64>(region.free + (region.capacity - region.end));
    longest += <f64>longestFreeRun(record);
  }
  answer<f64>(0, frames);
  answer<f64>(8, free);
  answer<f64>(16, longest);
}
