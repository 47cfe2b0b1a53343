/*
 * The product of two rows of i8, as SIMD has it without the instructions that are called relaxed: what packed trits are measured against.
 */

/** `count` is a multiple of 16, and below 2¹⁶. */
export function dotInt8(a: usize, b: usize, count: u32): i32 {
  let sums = i32x4.splat(0);
  for (const end = a + count; a < end; a += 16) {
    const left = v128.load(a);
    const right = v128.load(b);
    const low = i16x8.extmul_low_i8x16_s(left, right);
    const high = i16x8.extmul_high_i8x16_s(left, right);
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(low));
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_s(high));
    b += 16;
  }
  sums = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
  return i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
}

/** Rows of a matrix, one behind the other, as i32. */
export function multiplyInt8(row: usize, rows: u32, columns: u32, vector: usize, out: usize): void {
  for (const end = out + (<usize>rows << 2); out < end; out += 4) {
    store<i32>(out, dotInt8(row, vector, columns));
    row += columns;
  }
}
