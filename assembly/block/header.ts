/*
 * The image header, the first block of the image.
 *
 *   0    magic u64
 *   8    major u16, minor u16
 *   16   first free span descriptor u32, descriptors made u32
 *   32   registry: table u32, slots u32, names u32, first entry u32, last entry u32
 *   128  frame region of the heap, 128 bytes
 *   256  size classes, 8 bytes each: first span with a free slot u32, spans u32
 */

import { HEADER } from "../base/memory-map";
import { Writable } from "./access";

/** "PERDIMG\0", little-endian. */
export const MAGIC: u64 = 0x00474d4944524550;
export const MAJOR: u16 = 1;
export const MINOR: u16 = 0;

export const HEAP_REGION: usize = HEADER + 128;
export const SIZE_CLASSES: usize = HEADER + 256;

@unmanaged
export class Header {
  readonly magic: u64;
  readonly major: u16;
  readonly minor: u16;
  readonly reserved0: u32;
  readonly freeSpan: usize;
  readonly spansMade: u32;
  readonly reserved1: u64;
  readonly registryTable: usize;
  readonly registrySlots: u32;
  readonly registryCount: u32;
  readonly registryFirst: usize;
  readonly registryLast: usize;
}

@unmanaged
export class HeaderWriter extends Writable {
  magic: u64;
  major: u16;
  minor: u16;
  reserved0: u32;
  freeSpan: usize;
  spansMade: u32;
  reserved1: u64;
  registryTable: usize;
  registrySlots: u32;
  registryCount: u32;
  registryFirst: usize;
  registryLast: usize;
}

if (
  offsetof<Header>("freeSpan") != 16 ||
  offsetof<Header>("registryTable") != 32 ||
  offsetof<Header>("registryLast") != 48 ||
  offsetof<HeaderWriter>("freeSpan") != 16 ||
  offsetof<HeaderWriter>("registryTable") != 32 ||
  offsetof<HeaderWriter>("registryLast") != 48
)
  ERROR("the header is not as drawn");
