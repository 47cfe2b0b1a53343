/*
 * The geometry of the byte heap: which sizes slots have, and how spans of them look. Pure arithmetic.
 *
 *   class 0 … 7     16 (class + 1) bytes                                       16, 32 … 128
 *   class 8 … 35    four for each doubling: m · step, m = 5 … 8, step = 32, 64 … 2048   160, 192 … 16384
 *
 * Spans are as long as it takes for no tail to remain, and have at most 256 slots:
 *
 *   class 0 … 7     class + 1 blocks, 256 slots
 *   class 8 … 35    2 m blocks, 8192 / step slots
 */

import { BLOCK_BYTES } from "../base/memory-map";

export const CLASS_COUNT: u32 = 36;
/** The largest size that has a class. */
export const CLASS_BYTES_MAX: u32 = 16384;
export const SPAN_BLOCKS_MAX: u32 = 16;

const SMALL_CLASSES: u32 = 8;
const SMALL_BYTES: u32 = 128;

/** The class of the smallest slot that holds `size` bytes, at most CLASS_BYTES_MAX. */
// @ts-ignore: decorator
@inline
export function classOf(size: u32): u32 {
  const last = max(size, 1) - 1;
  const exponent = 31 - clz(last); // 7 … 13 for the large ones
  const large = SMALL_CLASSES + ((exponent - 7) << 2) + ((last >> (exponent - 2)) & 3);
  return select<u32>(last >> 4, large, size <= SMALL_BYTES); // no branch: sizes are not predictable
}

/** The class of the smallest slot that holds `size` bytes and whose address is a multiple of `align`, a power of two. */
export function alignedClassOf(size: u32, align: u32): u32 {
  let sizeClass = classOf(max(size, align));
  while ((slotBytesOf(sizeClass) & (align - 1)) != 0) sizeClass++;
  return sizeClass;
}

// @ts-ignore: decorator
@inline
function stepOf(sizeClass: u32): u32 {
  return 32 << ((sizeClass - SMALL_CLASSES) >> 2);
}

// @ts-ignore: decorator
@inline
function stepsOf(sizeClass: u32): u32 {
  return 5 + (sizeClass & 3);
}

export function slotBytesOf(sizeClass: u32): u32 {
  return sizeClass < SMALL_CLASSES ? (sizeClass + 1) << 4 : stepsOf(sizeClass) * stepOf(sizeClass);
}

export function spanBlocksOf(sizeClass: u32): u32 {
  return sizeClass < SMALL_CLASSES ? sizeClass + 1 : 2 * stepsOf(sizeClass);
}

export function slotCountOf(sizeClass: u32): u32 {
  return sizeClass < SMALL_CLASSES ? 256 : 8192 / stepOf(sizeClass);
}

if (SMALL_CLASSES % 4 != 0 || 16 * SMALL_CLASSES != SMALL_BYTES || 8 * 2048 != CLASS_BYTES_MAX)
  ERROR("the classes are not as described");
if (256 * 16 != BLOCK_BYTES || 8192 != 2 * BLOCK_BYTES) ERROR("spans would have tails");
