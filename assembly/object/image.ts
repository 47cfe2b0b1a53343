/*
 * An image as a whole: a new one, or one that the file has.
 */

import { CORRUPT, INVALID_ARGUMENT, OK, OUT_OF_MEMORY, VERSION } from "../base/codes";
import { HEADER, HEAP_BITMAP, HEAP_BLOCK, HEAP_BLOCKS, HEAP_BOUNDS } from "../base/memory-map";
import { read, write } from "../block/access";
import { reach, reachHeap } from "../block/growth";
import { HEAP_REGION, Header, HeaderWriter, MAGIC, MAJOR, MINOR } from "../block/header";
import { Region } from "../frame/region";
import { createHeapRegion, heapEnd } from "../heap/blocks";

/** Makes an image of zeros a usable one. */
export function format(): u32 {
  if (!reachHeap()) return OUT_OF_MEMORY;
  if (read<Header>(HEADER).magic != 0) return INVALID_ARGUMENT;
  const writer = write<HeaderWriter>(HEADER);
  writer.magic = MAGIC;
  writer.major = MAJOR;
  writer.minor = MINOR;
  createHeapRegion();
  return OK;
}

/** Checks the header of an image, and makes linear memory reach to the end of its heap. NOT formatted is CORRUPT. */
export function mount(): u32 {
  if (!reachHeap()) return OUT_OF_MEMORY;
  const header = read<Header>(HEADER);
  if (header.magic != MAGIC) return CORRUPT;
  if (header.major > MAJOR) return VERSION;
  const region = read<Region>(HEAP_REGION);
  if (
    header.major == 0 ||
    header.spansMade > HEAP_BLOCKS ||
    region.capacity != HEAP_BLOCKS ||
    region.bitmap != HEAP_BITMAP ||
    region.bounds != HEAP_BOUNDS ||
    region.end > region.capacity ||
    region.free > region.end
  )
    return CORRUPT;
  return reach(HEAP_BLOCK + heapEnd()) ? OK : OUT_OF_MEMORY;
}
