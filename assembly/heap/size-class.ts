/*
 * The geometry of the byte heap: which sizes slots have, and how spans of them look. Pure arithmetic.
 *
 *   class 0 … 7     16 (class + 1) bytes                                               16, 32 … 128
 *   class 8 … 35    four for each doubling: m · step, m = 5 … 8, step = 32, 64 … 2048   160, 192 … 16384
 *   class 36 … 63   half a step below each of those                                     144, 176 … 15360
 *
 * Spans are as long as it takes for no tail to remain, and have at most 256 slots:
 *
 *   class 0 … 7     class + 1 blocks, 256 slots
 *   others          as many blocks as half steps in a slot (2 m, 2 m − 1), 8192 / step slots
 */

import { BLOCK_BYTES } from "../base/memory-map";
import { HALF_STEP_CLASS, SIZE_CLASS_COUNT } from "../block/header";

/** The largest size that has a class. */
export const CLASS_BYTES_MAX: u32 = 16384;

const SMALL_CLASSES: u32 = 8;
const SMALL_BYTES: u32 = 128;
/** From a class to the one half a step below it. */
const TO_HALF_STEP: u32 = HALF_STEP_CLASS - SMALL_CLASSES;

/** The class of the smallest slot that holds `size` bytes, at most CLASS_BYTES_MAX. No branch: sizes are not predictable. */
// @ts-ignore: decorator
@inline
export function classOf(size: u32): u32 {
  const last = max(size, 1) - 1;
  const exponent = 31 - clz(last); // 7 … 13 for the large ones
  const eighth = last >> (exponent - 3); // 8 … 15: where in the doubling
  const whole = SMALL_CLASSES + ((exponent - 7) << 2) + ((eighth >> 1) & 3);
  const large = whole + select<u32>(0, TO_HALF_STEP, eighth & 1);
  return select<u32>(last >> 4, large, size <= SMALL_BYTES);
}

/** The class of the smallest slot that holds `size` bytes and whose address is a multiple of `align`, a power of two. */
export function alignedClassOf(size: u32, align: u32): u32 {
  let sizeClass = classOf(max(size, align));
  while ((slotBytesOf(sizeClass) & (align - 1)) != 0) sizeClass = nextLarger(sizeClass);
  return sizeClass;
}

/** The class of the next larger slot. */
function nextLarger(sizeClass: u32): u32 {
  if (sizeClass >= HALF_STEP_CLASS) return sizeClass - TO_HALF_STEP;
  return sizeClass < SMALL_CLASSES - 1 ? sizeClass + 1 : sizeClass + 1 + TO_HALF_STEP;
}

/** Of a class that is not small; twice as large after each four. */
// @ts-ignore: decorator
@inline
function stepOf(sizeClass: u32): u32 {
  return 32 << ((sizeClass - (sizeClass < HALF_STEP_CLASS ? SMALL_CLASSES : HALF_STEP_CLASS)) >> 2);
}

/** How often half a step goes into a slot of a class that is not small: 9 … 16. */
// @ts-ignore: decorator
@inline
function halfStepsOf(sizeClass: u32): u32 {
  return (sizeClass < HALF_STEP_CLASS ? 10 : 9) + ((sizeClass & 3) << 1);
}

export function slotBytesOf(sizeClass: u32): u32 {
  return sizeClass < SMALL_CLASSES ? (sizeClass + 1) << 4 : halfStepsOf(sizeClass) * (stepOf(sizeClass) >> 1);
}

export function spanBlocksOf(sizeClass: u32): u32 {
  return sizeClass < SMALL_CLASSES ? sizeClass + 1 : halfStepsOf(sizeClass);
}

export function slotCountOf(sizeClass: u32): u32 {
  return sizeClass < SMALL_CLASSES ? 256 : 8192 / stepOf(sizeClass);
}

if (SMALL_CLASSES % 4 != 0 || 16 * SMALL_CLASSES != SMALL_BYTES || 8 * 2048 != CLASS_BYTES_MAX)
  ERROR("the classes are not as described");
if (HALF_STEP_CLASS % 4 != 0 || SIZE_CLASS_COUNT - HALF_STEP_CLASS != TO_HALF_STEP)
  ERROR("not a class half a step below each that is not small");
if (256 * 16 != BLOCK_BYTES || 8192 != 2 * BLOCK_BYTES) ERROR("spans would have tails");
