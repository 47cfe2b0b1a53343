/*
 * What a call of the engine may answer instead of doing its work. The host knows these numbers by the exported
 * constants. A function that returns an address returns a code in its place: no address is below ADDRESS_MIN.
 */

import { ADDRESS_MIN } from "./memory-map";

export const OK: u32 = 0;
/** No free memory, and memory cannot grow: the limit is reached, growth is locked, or the runtime refuses. */
export const OUT_OF_MEMORY: u32 = 1;
/** Not a power of two from 1 to 4096. */
export const INVALID_ALIGNMENT: u32 = 2;
/** Not the start of a live object, and no sign that it ever was one. */
export const INVALID_ADDRESS: u32 = 3;
export const INVALID_ARGUMENT: u32 = 4;
/** Nothing lives there any more. */
export const DOUBLE_FREE: u32 = 5;
export const NOT_FOUND: u32 = 6;
/** The image contradicts itself. */
export const CORRUPT: u32 = 7;
/** The image was written by a later major version. */
export const VERSION: u32 = 8;
/** A block that would be given back is being watched. */
export const BUSY: u32 = 9;
/** A count would pass the largest number it can hold. */
export const LIMIT: u32 = 10;
/** Something else begins where it would have to grow. */
export const MUST_MOVE: u32 = 11;
/** The key is there already. */
export const DUPLICATE: u32 = 12;
/** Nothing is mapped or promised at this virtual address. */
export const ADDRESS_NOT_MAPPED: u32 = 13;
export const ALREADY_MAPPED: u32 = 14;
/** Not for this mode, or not so. */
export const PERMISSION_DENIED: u32 = 15;
/** The page must be made ready first, which changes more than the access does. */
export const MUST_TOUCH: u32 = 16;

// @ts-ignore: decorator
@inline
export function isCode(result: usize): bool {
  return result < ADDRESS_MIN;
}
