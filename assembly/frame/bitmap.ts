/*
 * A bitmap in the image, one bit for each frame, 1 when it is used. Bit f is bit f mod 64 of word f / 64; the bitmap
 * is aligned to 16. Searches go word by word, and by two words where there is nothing to see for long.
 */

import { get, put } from "../block/access";

// @ts-ignore: decorator
@inline
function wordAddress(bitmap: usize, frame: u32): usize {
  return bitmap + ((frame >> 6) << 3);
}

// @ts-ignore: decorator
@inline
export function isUsed(bitmap: usize, frame: u32): bool {
  return ((get<u64>(wordAddress(bitmap, frame)) >> (frame & 63)) & 1) != 0;
}

/** The first free frame from `from` on, or `limit`. */
export function nextFree(bitmap: usize, from: u32, limit: u32): u32 {
  return nextClear(bitmap, from, limit, 0);
}

/** The first used frame from `from` on, or `limit`. */
export function nextUsed(bitmap: usize, from: u32, limit: u32): u32 {
  return nextClear(bitmap, from, limit, -1);
}

/** The first bit that is 0 after `invert`, a constant, has been applied. */
// @ts-ignore: decorator
@inline
function nextClear(bitmap: usize, from: u32, limit: u32, invert: u64): u32 {
  if (from >= limit) return limit;
  let base = from & ~63;
  let found = (~get<u64>(wordAddress(bitmap, base)) ^ invert) & (<u64>-1 << (from & 63));
  while (found == 0) {
    base += 64;
    if (base >= limit) return limit;
    if ((base & 127) == 0) base = skipPairs(bitmap, base, limit, invert);
    if (base >= limit) return limit;
    found = ~get<u64>(wordAddress(bitmap, base)) ^ invert;
  }
  return min(limit, base + <u32>ctz(found));
}

/** Passes over pairs of words without a zero bit. */
// @ts-ignore: decorator
@inline
function skipPairs(bitmap: usize, base: u32, limit: u32, invert: u64): u32 {
  const full = i64x2.splat(~invert);
  while (base < limit && i64x2.all_true(i64x2.eq(get<v128>(wordAddress(bitmap, base)), full))) base += 128;
  return base;
}

/** The last used frame before `end`, or -1 (0xFFFFFFFF): the one after it begins the free run that reaches to `end`. */
export function previousUsed(bitmap: usize, end: u32): u32 {
  if (end == 0) return -1;
  let base = (end - 1) & ~63;
  let found = get<u64>(wordAddress(bitmap, base)) & (<u64>-1 >> (63 - ((end - 1) & 63)));
  while (found == 0) {
    if (base == 0) return -1;
    base -= 64;
    if ((base & 64) != 0) {
      while (base > 64 && !v128.any_true(get<v128>(wordAddress(bitmap, base - 64)))) base -= 128;
    }
    found = get<u64>(wordAddress(bitmap, base));
  }
  return base + 63 - <u32>clz(found);
}

export function setUsed(bitmap: usize, first: u32, count: u32): void {
  const end = first + count;
  while (first < end) {
    const address = wordAddress(bitmap, first);
    put<u64>(address, get<u64>(address) | maskOf(first, end));
    first = (first | 63) + 1;
  }
}

export function setFree(bitmap: usize, first: u32, count: u32): void {
  const end = first + count;
  while (first < end) {
    const address = wordAddress(bitmap, first);
    put<u64>(address, get<u64>(address) & ~maskOf(first, end));
    first = (first | 63) + 1;
  }
}

/** The bits of the word of `first` that lie in [first, end). */
// @ts-ignore: decorator
@inline
function maskOf(first: u32, end: u32): u64 {
  const left = min(end - first, 64 - (first & 63));
  return (<u64>-1 >> (64 - left)) << (first & 63);
}
