/*
 * The blocks of the heap: frame f of its region is block HEAP_BLOCK + f.
 *
 * Invariants: a free block reads as zeros; the file has nothing for blocks at or past the end of the region. So whoever
 * takes blocks gets zeros without a byte being written, and giving them back costs a state byte each.
 */

import { OUT_OF_MEMORY } from "../base/codes";
import { BLOCK_SHIFT, HEAP, HEAP_BITMAP, HEAP_BLOCK, HEAP_BLOCKS, HEAP_BOUNDS } from "../base/memory-map";
import { read } from "../block/access";
import { heapLimit, reach } from "../block/growth";
import { HEAP_REGION } from "../block/header";
import { discard, markEmpty } from "../block/states";
import {
  createRegion,
  giveFrames,
  NO_FRAME,
  raiseEnd,
  tailOf,
  takeFrames,
  takeFramesAt,
} from "../frame/frames";
import { Region } from "../frame/region";

export { NO_FRAME };

export function createHeapRegion(): void {
  createRegion(HEAP_REGION, HEAP_BLOCKS, 0, HEAP_BITMAP, HEAP_BOUNDS);
}

/** Blocks that were ever handed out: the heap ends there. */
// @ts-ignore: decorator
@inline
export function heapEnd(): u32 {
  return read<Region>(HEAP_REGION).end;
}

// @ts-ignore: decorator
@inline
export function addressOfFrame(frame: u32): usize {
  return HEAP + (<usize>frame << BLOCK_SHIFT);
}

/** `count` contiguous blocks of zeros; NO_FRAME, with nothing changed, when there is no memory. */
export function takeBlocks(count: u32): u32 {
  const found = takeFrames(HEAP_REGION, count);
  if (found != NO_FRAME) return found;
  const first = tailOf(HEAP_REGION);
  if (!extend(first, count)) return NO_FRAME;
  takeFramesAt(HEAP_REGION, first, count);
  return first;
}

/** Exactly these blocks, if they are free; the heap may grow for it. */
export function takeBlocksAt(first: u32, count: u32): bool {
  if (takeFramesAt(HEAP_REGION, first, count)) return true;
  const tail = tailOf(HEAP_REGION);
  return tail <= first && extend(first, count) && takeFramesAt(HEAP_REGION, first, count);
}

/** Gives used blocks back. None of them is watched. */
export function giveBlocks(first: u32, count: u32): void {
  const code = giveFrames(HEAP_REGION, first, count);
  assert(code == 0);
  discard(HEAP_BLOCK + first, count);
}

/** Makes the heap reach past `count` blocks from `first` on, which is not past its end. */
function extend(first: u32, count: u32): bool {
  const end = heapEnd();
  const limit = min(HEAP_BLOCKS, heapLimit());
  if (first > limit || count > limit - first) return false;
  if (!reach(HEAP_BLOCK + first + count)) return false;
  raiseEnd(HEAP_REGION, first + count);
  markEmpty(HEAP_BLOCK + end, first + count - end);
  return true;
}
