/*
 * Products of packed rows (rows.ts) with a vector: a row times a vector is a dot product, many rows times the same one a
 * matrix-vector product. Rows are read where they lie, up to 15 bytes past their end; the vector has whole groups, its tail
 * spread by `spreadTail`, so what those bytes say is multiplied by 0.
 *
 * Bytes: a trit decides whether an element is added, subtracted or left out, so nothing is multiplied. Sums are exact. 16-bit
 * lanes take at most ±256 a step, so they are good for 127 steps; 25 groups have 125. 32-bit sums are good for 2²⁴ columns.
 * Floats: a byte alone is a float, the highest of its four, if a trit counts ±2: so sums are doubled, exactly, and halved at
 * the end. There are sixteen of f32, element j of each 16 in sum j, added pairwise at the end. As IEEE 754 has it, 0 × Infinity is NaN.
 *
 * Memory: `out` is written, and nothing else; it lies in the volatile zone.
 */

import { GROUP_TRITS, negativeLanes, positiveLanes, rest, rowBytesOf } from "./rows";

const GROUP_BYTES: usize = 16;
/** The highest bytes of 2 and −2 as f32; the others are 0. */
const PLUS_TWO: i8 = 0x40;
const MINUS_TWO: i8 = -0x40;
/** Groups after which 16-bit sums must be widened. */
const GROUPS_PER_SUM: u32 = 25;

/** `rows` products of i8 elements, as i32. */
export function multiplyBytes(row: usize, rows: u32, columns: u32, vector: usize, out: usize): void {
  const bytes = rowBytesOf(columns);
  const groups = groupsOf(columns);
  for (const end = out + (<usize>rows << 2); out < end; out += 4) {
    store<i32>(out, dotBytes(row, groups, vector));
    row += bytes;
  }
}

/** `rows` products of f32 elements, as f32. */
export function multiplyFloats(row: usize, rows: u32, columns: u32, vector: usize, out: usize): void {
  const bytes = rowBytesOf(columns);
  const groups = groupsOf(columns);
  for (const end = out + (<usize>rows << 2); out < end; out += 4) {
    store<f32>(out, dotFloats(row, groups, vector));
    row += bytes;
  }
}

// @ts-ignore: decorator
@inline
function groupsOf(columns: u32): u32 {
  return (columns + GROUP_TRITS - 1) / GROUP_TRITS;
}

function dotBytes(row: usize, groups: u32, vector: usize): i32 {
  let sums = i32x4.splat(0);
  while (groups > 0) {
    const count = min(groups, GROUPS_PER_SUM);
    groups -= count;
    let some = i16x8.splat(0);
    for (const end = row + GROUP_BYTES * count; row < end; row += GROUP_BYTES) {
      let bytes = v128.load(row);
      some = addBytes(some, bytes, v128.load(vector));
      bytes = rest(bytes);
      some = addBytes(some, bytes, v128.load(vector, 16));
      bytes = rest(bytes);
      some = addBytes(some, bytes, v128.load(vector, 32));
      bytes = rest(bytes);
      some = addBytes(some, bytes, v128.load(vector, 48));
      some = addBytes(some, rest(bytes), v128.load(vector, 64));
      vector += GROUP_TRITS;
    }
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(some));
  }
  sums = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
  return i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
}

// @ts-ignore: decorator
@inline
function addBytes(sums: v128, bytes: v128, elements: v128): v128 {
  const added = i16x8.extadd_pairwise_i8x16_s(v128.and(elements, positiveLanes(bytes)));
  const subtracted = i16x8.extadd_pairwise_i8x16_s(v128.and(elements, negativeLanes(bytes)));
  return i16x8.add(sums, i16x8.sub(added, subtracted));
}

function dotFloats(row: usize, groups: u32, vector: usize): f32 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  for (const end = row + GROUP_BYTES * groups; row < end; row += GROUP_BYTES) {
    let bytes = v128.load(row);
    for (const next = vector + (GROUP_TRITS << 2); vector < next; vector += 64) {
      const doubles = v128.or(
        v128.and(positiveLanes(bytes), i8x16.splat(PLUS_TWO)),
        v128.and(negativeLanes(bytes), i8x16.splat(MINUS_TWO)),
      );
      a = addFloats(a, floatsOf(doubles, 0), v128.load(vector));
      b = addFloats(b, floatsOf(doubles, 4), v128.load(vector, 16));
      c = addFloats(c, floatsOf(doubles, 8), v128.load(vector, 32));
      d = addFloats(d, floatsOf(doubles, 12), v128.load(vector, 48));
      bytes = rest(bytes);
    }
  }
  const sums = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  const halves = f32x4.add(sums, v128.shuffle<f32>(sums, sums, 2, 3, 0, 1));
  return <f32>0.5 * (f32x4.extract_lane(halves, 0) + f32x4.extract_lane(halves, 1));
}

/** Four bytes from `first` on, each as the highest of an f32. */
// @ts-ignore: decorator
@inline
function floatsOf(bytes: v128, first: i8): v128 {
  // Where there is no such byte a swizzle has 0.
  return i8x16.swizzle(bytes, i8x16(-1, -1, -1, first, -1, -1, -1, first + 1, -1, -1, -1, first + 2, -1, -1, -1, first + 3));
}

// @ts-ignore: decorator
@inline
function addFloats(sums: v128, factors: v128, elements: v128): v128 {
  return f32x4.add(sums, f32x4.mul(factors, elements));
}
