/*
 * Products of packed rows (rows.ts) with a vector: a row times a vector is a dot product, many rows times the same one a
 * matrix-vector product. Rows are read where they lie, up to 15 bytes past their end; the vector has whole groups, its tail
 * spread by `spreadTail`, so what those bytes say is multiplied by 0.
 *
 * Bytes: a trit decides whether an element is added, subtracted or left out, so nothing is multiplied. Sums are exact. 16-bit
 * lanes take at most ±256 a step, so they are good for 127 steps; 25 groups have 125. 32-bit sums are good for 2²⁴ columns.
 * Floats: sixteen partial sums of f32, element i in sum i mod 16 of its group, added pairwise at the end. As IEEE 754 has
 * it, 0 × Infinity is NaN.
 *
 * Memory: `out` is written, and nothing else; it lies in the volatile zone.
 */

import { GROUP_TRITS, negativeLanes, positiveLanes, rest, rowBytesOf } from "./rows";

const GROUP_BYTES: usize = 16;
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
      const trits = i8x16.sub(negativeLanes(bytes), positiveLanes(bytes));
      const low = i16x8.extend_low_i8x16_s(trits);
      const high = i16x8.extend_high_i8x16_s(trits);
      a = addFloats(a, i32x4.extend_low_i16x8_s(low), v128.load(vector));
      b = addFloats(b, i32x4.extend_high_i16x8_s(low), v128.load(vector, 16));
      c = addFloats(c, i32x4.extend_low_i16x8_s(high), v128.load(vector, 32));
      d = addFloats(d, i32x4.extend_high_i16x8_s(high), v128.load(vector, 48));
      bytes = rest(bytes);
    }
  }
  const sums = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  const halves = f32x4.add(sums, v128.shuffle<f32>(sums, sums, 2, 3, 0, 1));
  return f32x4.extract_lane(halves, 0) + f32x4.extract_lane(halves, 1);
}

// @ts-ignore: decorator
@inline
function addFloats(sums: v128, trits: v128, elements: v128): v128 {
  return f32x4.add(sums, f32x4.mul(f32x4.convert_i32x4_s(trits), elements));
}
