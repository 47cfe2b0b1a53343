/*
 * For each group of 512 frames, a u16 that is not less than the longest free run that starts in the group; 0xFFFF is
 * that long, or unknown. They are hints: too large a bound costs time, too small a one would hide free frames.
 */

import { get, put } from "../block/access";

export const GROUP_SHIFT: u32 = 9;
export const UNKNOWN: u32 = 0xffff;

// @ts-ignore: decorator
@inline
export function boundOf(bounds: usize, group: u32): u32 {
  return get<u16>(bounds + (group << 1));
}

// @ts-ignore: decorator
@inline
export function setBound(bounds: usize, group: u32, bound: u32): void {
  put<u16>(bounds + (group << 1), <u16>min(bound, UNKNOWN));
}

/** The first group from `from` on, below `groups`, in which a run of `count` frames may start; or `groups`. */
export function nextGroup(bounds: usize, from: u32, groups: u32, count: u32): u32 {
  const needed = i16x8.splat(<i16>min(count, UNKNOWN));
  let base = from & ~7;
  let passed: i32 = -1 << (from & 7);
  for (; base < groups; base += 8) {
    const large = i16x8.bitmask(i16x8.ge_u(get<v128>(bounds + (base << 1)), needed)) & passed;
    if (large != 0) return min(groups, base + <u32>ctz(large));
    passed = -1;
  }
  return groups;
}
