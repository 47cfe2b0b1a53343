/*
 * The descriptor of a region of frames: 128 bytes of the image, aligned to 128.
 *
 *   0   capacity u32, end u32, free u32, lowest u32
 *   16  bitmap u32, bounds u32, reserved u32, recent count u32
 *   32  recent 24 × u32
 *
 * Invariants: free is the number of zero bits below `end`; bits from `end` on are zero; the bounds of the groups before
 * `lowest` are 0; a bound is not less than the longest free run below `end` that starts in its group.
 */

import { Writable } from "../block/access";

export const REGION_BYTES: usize = 128;
export const RECENT_OFFSET: usize = 32;
export const RECENT_CAPACITY: u32 = 24;

@unmanaged
export class Region {
  readonly capacity: u32;
  readonly end: u32;
  readonly free: u32;
  readonly lowest: u32;
  readonly bitmap: usize;
  readonly bounds: usize;
  readonly reserved: u32;
  readonly recentCount: u32;
}

@unmanaged
export class RegionWriter extends Writable {
  capacity: u32;
  end: u32;
  free: u32;
  lowest: u32;
  bitmap: usize;
  bounds: usize;
  reserved: u32;
  recentCount: u32;
}

if (
  offsetof<Region>() != RECENT_OFFSET ||
  offsetof<RegionWriter>() != RECENT_OFFSET ||
  offsetof<Region>("bitmap") != 16 ||
  offsetof<RegionWriter>("bitmap") != 16 ||
  RECENT_OFFSET + 4 * RECENT_CAPACITY != REGION_BYTES
)
  ERROR("a region is not as drawn");
