/**
 * Pages of the free map: two planes of a bit for each of 16384 slots. FORMAT.md §6.
 *
 *     0          2048         4096
 *     │ image    │ held       │     bit i is bit i mod 8 of byte i div 8
 */
import { FREE_PAGE_SLOTS, PLANE_BYTES } from "./constants.js";

/** What a plane says of its slots: the block map of this superblock reaches them, or some snapshot does. */
export enum Plane {
  Image = 0,
  Held = 2048,
}

/** The leaf that describes `slot`. */
export function freePageOf(slot: number): number {
  return Math.floor(slot / FREE_PAGE_SLOTS);
}

/** Pages that describe a file of so many slots. */
export function freePageCount(fileSlots: number): number {
  return Math.ceil(fileSlots / FREE_PAGE_SLOTS);
}

/** The bytes of one plane; they are those of the page. */
export function planeOf(page: Uint8Array, plane: Plane): Uint8Array {
  return page.subarray(plane, plane + PLANE_BYTES);
}

/** Whether a plane has a slot that its page describes. */
export function planeHas(plane: Uint8Array, slot: number): boolean {
  const bit = slot % FREE_PAGE_SLOTS;
  return (plane[bit >>> 3] & (1 << (bit & 7))) !== 0;
}
