/*
 * Rows of trytes, i16 from −364 to 364, element by element. Nothing wraps: each function answers the index of the first
 * element whose operands or result are no tryte, or −1. What is before that index has been written, and up to seven elements more.
 *
 * Memory: `to`, whole vectors of eight elements, is written, and nothing else. It may be one of the operands. It lies in
 * the volatile zone, or the host has touched what it is in.
 */

import { TRYTE_MAX } from "./constants";

const VECTOR_BYTES: usize = 16;
const NONE: u32 = u32.MAX_VALUE;

export function addTrytes(a: usize, b: usize, count: u32, to: usize): u32 {
  for (let at: usize = 0; at < <usize>count << 1; at += VECTOR_BYTES) {
    const left = v128.load(a + at);
    const right = v128.load(b + at);
    const sum = i16x8.add(left, right);
    const wrong = tooLarge(i16x8.max_u(largest(left, right), i16x8.abs(sum)));
    v128.store(to + at, sum);
    if (v128.any_true(wrong)) return firstLane(wrong, at, count);
  }
  return NONE;
}

export function subtractTrytes(a: usize, b: usize, count: u32, to: usize): u32 {
  for (let at: usize = 0; at < <usize>count << 1; at += VECTOR_BYTES) {
    const left = v128.load(a + at);
    const right = v128.load(b + at);
    const difference = i16x8.sub(left, right);
    const wrong = tooLarge(i16x8.max_u(largest(left, right), i16x8.abs(difference)));
    v128.store(to + at, difference);
    if (v128.any_true(wrong)) return firstLane(wrong, at, count);
  }
  return NONE;
}

/** The trit-wise minimum is another function: this is the lesser number. */
export function lesserTrytes(a: usize, b: usize, count: u32, to: usize): u32 {
  for (let at: usize = 0; at < <usize>count << 1; at += VECTOR_BYTES) {
    const left = v128.load(a + at);
    const right = v128.load(b + at);
    const wrong = tooLarge(largest(left, right));
    v128.store(to + at, i16x8.min_s(left, right));
    if (v128.any_true(wrong)) return firstLane(wrong, at, count);
  }
  return NONE;
}

export function greaterTrytes(a: usize, b: usize, count: u32, to: usize): u32 {
  for (let at: usize = 0; at < <usize>count << 1; at += VECTOR_BYTES) {
    const left = v128.load(a + at);
    const right = v128.load(b + at);
    const wrong = tooLarge(largest(left, right));
    v128.store(to + at, i16x8.max_s(left, right));
    if (v128.any_true(wrong)) return firstLane(wrong, at, count);
  }
  return NONE;
}

export function negateTrytes(a: usize, count: u32, to: usize): u32 {
  for (let at: usize = 0; at < <usize>count << 1; at += VECTOR_BYTES) {
    const trytes = v128.load(a + at);
    const wrong = tooLarge(i16x8.abs(trytes));
    v128.store(to + at, i16x8.neg(trytes));
    if (v128.any_true(wrong)) return firstLane(wrong, at, count);
  }
  return NONE;
}

/** Sizes are unsigned, so that −32,768 is not taken for a small one. */
// @ts-ignore: decorator
@inline
function largest(a: v128, b: v128): v128 {
  return i16x8.max_u(i16x8.abs(a), i16x8.abs(b));
}

// @ts-ignore: decorator
@inline
function tooLarge(sizes: v128): v128 {
  return i16x8.gt_u(sizes, i16x8.splat(TRYTE_MAX));
}

/** The index of the first lane that is set; those past the end of the row do not count. */
function firstLane(lanes: v128, at: usize, count: u32): u32 {
  const index = <u32>(at >> 1) + <u32>ctz(i16x8.bitmask(lanes));
  return index < count ? index : NONE;
}
