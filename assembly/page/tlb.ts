/*
 * The translation lookaside buffer: where the latest pages lie, a direct-mapped table in the volatile zone.
 *
 *   entry   0   key u64: page >>> bits of the index | space >>> 6 (26 bits) | mode (2) | whether it may be written
 *           8   epoch u32: that of the block states when it was made; it holds as long as that is the same
 *           12  base u32: linear address of the page's first tryte less twice the position of that, so that twice the position of
 *               any tryte makes its linear address, modulo 2³²
 *
 * The place of a page depends on its index and space alone, so that the bits which are not in the key follow from it, and no page
 * of a space is in the table twice. A context names space and mode in 32 bits: the middle of the key. No entry
 * of zeros is good, because no space has the number 0.
 */

import { MARKS, STATE_EPOCH, TLB } from "../base/memory-map";

const INDEX_BITS: u64 = 16;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const ENTRY_SHIFT: usize = 4;
const EPOCH: usize = 8;
const BASE: usize = 12;

const SPACE_SHIFT: u32 = 3;
const MODE_SHIFT: u32 = 1;
const WRITABLE: u64 = 1;
const CONTEXT_BITS: u64 = 29;
/** Records of spaces are aligned to 64. */
const SPACE_ALIGN_SHIFT: u32 = 6;
/** 2³² divided by the golden ratio: spaces whose records are neighbours come to lie far apart. */
const MULTIPLIER: u32 = 0x9e3779b9;

if (TLB + (<usize>1 << (<usize>INDEX_BITS + ENTRY_SHIFT)) > MARKS) ERROR("the TLB has no room");
if (43 - INDEX_BITS + CONTEXT_BITS > 64) ERROR("a key of the TLB has no room for a page");

// @ts-ignore: decorator
@inline
export function contextOf(space: usize, mode: u32): u32 {
  return ((<u32>space >> SPACE_ALIGN_SHIFT) << SPACE_SHIFT) | (mode << MODE_SHIFT);
}

// @ts-ignore: decorator
@inline
export function spaceOf(context: u32): usize {
  return (context >> SPACE_SHIFT) << SPACE_ALIGN_SHIFT;
}

// @ts-ignore: decorator
@inline
export function modeOf(context: u32): u32 {
  return (context >> MODE_SHIFT) & 3;
}

/** The only place where the table may have a page: an offset in it. */
// @ts-ignore: decorator
@inline
export function placeOf(context: u32, page: u64): usize {
  const spread = ((context >> SPACE_SHIFT) * MULTIPLIER) >> <u32>(32 - INDEX_BITS);
  return <usize>((page + spread) & INDEX_MASK) << ENTRY_SHIFT;
}

/** Whether it does, and with `write`, whether the page may be written. */
// @ts-ignore: decorator
@inline
export function isKnown(place: usize, context: u32, page: u64, write: bool): bool {
  const key = load<u64>(place, TLB);
  const wanted = keyOf(context, page);
  const difference = write ? key ^ (wanted | WRITABLE) : (key ^ wanted) & ~WRITABLE;
  return (difference | (load<u32>(place, TLB + EPOCH) ^ load<u32>(STATE_EPOCH))) == 0;
}

/** The linear address of the tryte at a position. */
// @ts-ignore: decorator
@inline
export function cellIn(place: usize, position: u64): usize {
  return load<u32>(place, TLB + BASE) + (<u32>position << 1);
}

/** `cell` is the linear address of the tryte at a position. */
export function enter(context: u32, page: u64, write: bool, position: u64, cell: usize): void {
  const place = placeOf(context, page);
  store<u64>(place, keyOf(context, page) | <u64>write, TLB);
  store<u32>(place, load<u32>(STATE_EPOCH), TLB + EPOCH);
  store<u32>(place, cell - (<u32>position << 1), TLB + BASE);
}

/** Forgets where one page of a space lies. */
export function forgetPage(space: usize, page: u64): void {
  store<u64>(placeOf(contextOf(space, 0), page), 0, TLB);
}

// @ts-ignore: decorator
@inline
function keyOf(context: u32, page: u64): u64 {
  return ((page >> INDEX_BITS) << CONTEXT_BITS) | context;
}
