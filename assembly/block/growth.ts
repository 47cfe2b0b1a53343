/*
 * Linear memory grows here and nowhere else, and never shrinks. Growing detaches every view that the host has of the
 * memory; while one is open through which a program writes, the host holds the lock.
 */

import { GROWTH_LOCK, HEAP_BLOCK, HEAP_LIMIT, LINEAR_BLOCKS, LOW_IMAGE_BLOCK } from "../base/memory-map";

const PAGE_BLOCKS: u32 = 16;
const LOW_IMAGE_PAGE: u32 = LOW_IMAGE_BLOCK / PAGE_BLOCKS;

/** The most blocks that the heap may have, by the host's wish. */
export function heapLimit(): u32 {
  const limit = load<u32>(HEAP_LIMIT);
  return limit == 0 ? LINEAR_BLOCKS : limit;
}

/** Makes linear memory contain the volatile zone and the fixed areas of the image, of whatever size it is. */
export function reachHeap(): bool {
  const present = <u32>memory.size();
  const needed = pagesOf(HEAP_BLOCK);
  return needed <= present || memory.grow(needed - present) >= 0;
}

/** Makes it contain all blocks below `end`: if it must grow, by half of the image, or by just enough. */
export function reach(end: u32): bool {
  const present = <u32>memory.size();
  const needed = pagesOf(end);
  if (needed <= present) return true;
  if (load<u32>(GROWTH_LOCK) != 0) return false;
  const half = (present - LOW_IMAGE_PAGE) / 2;
  const limit = pagesOf(<u32>min(<u64>HEAP_BLOCK + heapLimit(), LINEAR_BLOCKS));
  const wanted = max(needed, min(present + half, limit));
  if (memory.grow(wanted - present) >= 0) return true;
  return wanted > needed && memory.grow(needed - present) >= 0;
}

// @ts-ignore: decorator
@inline
function pagesOf(blocks: u32): u32 {
  return (blocks + PAGE_BLOCKS - 1) / PAGE_BLOCKS;
}
