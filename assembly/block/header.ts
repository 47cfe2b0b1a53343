/*
 * The image header, the first block of the image.
 *
 *   0    magic u64
 *   8    major u16, minor u16
 *   16   first free span descriptor u32, descriptors made u32
 *   24   first extent u32, extents u32
 *   128  frame region of the heap, 128 bytes
 *   256  size classes 0 … 35, 8 bytes each: first listed span u32, spans u32
 *   544  registries, 32 bytes each: table u32, slots u32, names u32, first entry u32, last entry u32
 *   800  size classes 36 … 63
 */

import { HEADER } from "../base/memory-map";
import { Writable } from "./access";

/** "PERDIMG\0", little-endian. */
export const MAGIC: u64 = 0x00474d4944524550;
export const MAJOR: u16 = 1;
export const MINOR: u16 = 0;

export const HEAP_REGION: usize = HEADER + 128;
const SIZE_CLASSES: usize = HEADER + 256;
export const SIZE_CLASS_COUNT: u32 = 64;
/** The first of the classes that are half a step below another. */
export const HALF_STEP_CLASS: u32 = 36;
const HALF_STEP_CLASSES: usize = HEADER + 800;
const SIZE_CLASS_SHIFT: u32 = 3;
export const REGISTRIES: usize = HEADER + 544;
export const REGISTRY_KINDS: u32 = 8;
const REGISTRY_SHIFT: u32 = 5;

@unmanaged
export class Header {
  readonly magic: u64;
  readonly major: u16;
  readonly minor: u16;
  readonly reserved0: u32;
  readonly freeSpan: usize;
  readonly spansMade: u32;
  readonly firstExtent: usize;
  readonly extents: u32;
}

@unmanaged
export class HeaderWriter extends Writable {
  magic: u64;
  major: u16;
  minor: u16;
  reserved0: u32;
  freeSpan: usize;
  spansMade: u32;
  firstExtent: usize;
  extents: u32;
}

/** What the header has of one registry. */
@unmanaged
export class Registry {
  readonly table: usize;
  readonly slots: u32;
  readonly count: u32;
  readonly first: usize;
  readonly last: usize;
}

@unmanaged
export class RegistryWriter extends Writable {
  table: usize;
  slots: u32;
  count: u32;
  first: usize;
  last: usize;
}

/** Where the header has the first listed span of a size class; how many spans there are is behind it. */
// @ts-ignore: decorator
@inline
export function spanListOf(sizeClass: u32): usize {
  const gap = HALF_STEP_CLASSES - SIZE_CLASSES - (<usize>HALF_STEP_CLASS << SIZE_CLASS_SHIFT);
  return SIZE_CLASSES + (<usize>sizeClass << SIZE_CLASS_SHIFT) + select<usize>(0, gap, sizeClass < HALF_STEP_CLASS);
}

/** Where the header has the registry of a kind. */
// @ts-ignore: decorator
@inline
export function registryOf(kind: u32): usize {
  return REGISTRIES + (<usize>kind << REGISTRY_SHIFT);
}

if (
  offsetof<Header>("freeSpan") != 16 ||
  offsetof<Header>("extents") != 28 ||
  offsetof<HeaderWriter>("freeSpan") != 16 ||
  offsetof<HeaderWriter>("extents") != 28 ||
  offsetof<Registry>("last") != 16 ||
  offsetof<RegistryWriter>("last") != 16
)
  ERROR("the header is not as drawn");
if (
  SIZE_CLASSES + (<usize>HALF_STEP_CLASS << SIZE_CLASS_SHIFT) != REGISTRIES ||
  REGISTRIES + (<usize>REGISTRY_KINDS << REGISTRY_SHIFT) != HALF_STEP_CLASSES
)
  ERROR("the header's lists overlap");
