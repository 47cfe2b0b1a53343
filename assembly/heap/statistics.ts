/*
 * What is in the heap, for the host. One pass over the page map: O(blocks of the heap).
 *
 *   exchange  0   heap end u32, in blocks; free blocks below it u32
 *             8   spans u32, their blocks u32
 *             16  runs u32, their blocks u32
 *             24  live slots u32, reserved u32
 *             32  bytes of live slots f64
 *             40  bytes of slots f64
 */

import { BLOCK_BYTES } from "../base/memory-map";
import { answer, read } from "../block/access";
import { HEAP_REGION } from "../block/header";
import { Region } from "../frame/region";
import { KIND_MASK, OF_SPAN, pageEntry } from "./page-map";
import { Span } from "./span";

export function heapStatistics(): void {
  const region = read<Region>(HEAP_REGION);
  let spans: u32 = 0;
  let spanBlocks: u32 = 0;
  let runs: u32 = 0;
  let runBlocks: u32 = 0;
  let liveSlots: u32 = 0;
  let liveBytes: f64 = 0;
  for (let frame: u32 = 0; frame < region.end; ) {
    const entry = pageEntry(frame);
    if (entry == 0) {
      frame++;
    } else if ((entry & KIND_MASK) == OF_SPAN) {
      const span = read<Span>(entry & ~KIND_MASK);
      const live: u32 = span.slots - span.free;
      spans++;
      spanBlocks += span.blocks;
      liveSlots += live;
      liveBytes += <f64>live * span.slotBytes;
      frame += span.blocks;
    } else {
      runs++;
      runBlocks += entry >> 2;
      frame += entry >> 2;
    }
  }
  answer<u32>(0, region.end);
  answer<u32>(4, region.free);
  answer<u32>(8, spans);
  answer<u32>(12, spanBlocks);
  answer<u32>(16, runs);
  answer<u32>(20, runBlocks);
  answer<u32>(24, liveSlots);
  answer<f64>(32, liveBytes);
  answer<f64>(40, <f64>spanBlocks * BLOCK_BYTES);
}
