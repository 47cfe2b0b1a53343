/*
 * Owner words: who needs a frame, in one u32 for each.
 *
 *   bit 31       a program holds the frame, from its allocation to its release
 *   bits 0 … 30  entries of page tables that map it
 *
 * A frame is free exactly when its word is 0. So what is mapped is not taken away by a release too many, and what is held outlives its last
 * mapping. These functions only change words: taking and giving the frame is for who calls them.
 */

import { LIMIT, OK } from "../base/codes";
import { get, put } from "../block/access";

const HELD: u32 = 0x80000000;
export const MAPPINGS_MAX: u32 = HELD - 1;

// @ts-ignore: decorator
@inline
export function isHeldWord(word: usize): bool {
  return (get<u32>(word) & HELD) != 0;
}

// @ts-ignore: decorator
@inline
export function mappingsIn(word: usize): u32 {
  return get<u32>(word) & MAPPINGS_MAX;
}

// @ts-ignore: decorator
@inline
export function addHolder(word: usize): void {
  put<u32>(word, get<u32>(word) | HELD);
}

/** Whether nobody is left. */
// @ts-ignore: decorator
@inline
export function removeHolder(word: usize): bool {
  const mappings = mappingsIn(word);
  put<u32>(word, mappings);
  return mappings == 0;
}

// @ts-ignore: decorator
@inline
export function addMappingTo(word: usize): u32 {
  if (mappingsIn(word) == MAPPINGS_MAX) return LIMIT;
  put<u32>(word, get<u32>(word) + 1);
  return OK;
}

/** One of the mappings, of which there is one at least; whether nobody is left. */
// @ts-ignore: decorator
@inline
export function removeMapping(word: usize): bool {
  assert(mappingsIn(word) != 0);
  const left = get<u32>(word) - 1;
  put<u32>(word, left);
  return left == 0;
}
