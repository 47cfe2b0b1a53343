/*
 * Rows of trits, packed five a byte for products with vectors, and their way in and out of that form.
 *
 * A row of n trits has ⌈n / 5⌉ bytes: groups of 16 bytes with 80 trits each, and a shorter one at the end. In a group of b
 * bytes, byte j has the trits j, j + b, j + 2b, j + 3b and j + 4b of the group; those past the end are 0. So
 * the five trits of 16 neighbouring bytes meet 5 × 16 neighbouring elements of a vector.
 *
 *   byte        −128 … 127 as a fraction of 256: the nearest one to v / 243, v = 81 t₀ + 27 t₁ + 9 t₂ + 3 t₃ + t₄
 *   first trit  (byte > 42) − (byte < −42)
 *   the rest    3 × byte, cut to a byte again
 *
 * A third of 256 is 85.3, so what is above half of that in size has a first trit that is not 0; taking that trit away
 * from three times the byte is what cutting does. The error of the fraction triples too, and is at most 40.5 for the last trit,
 * where 42.6 would be too much. Zeros are zeros: a row that was never written has only those. (The idea of a base-3 fraction in a byte is that
 * of TQ1_0 in llama.cpp, pull request 8151; balanced, it needs no multiplication and no offset.)
 *
 * Memory: `to` is written, and nothing else. It lies in the volatile zone, or the host has touched what it is in.
 */

/** Trits of a whole group. */
export const GROUP_TRITS: u32 = 80;
const GROUP_BYTES: u32 = 16;
const TRITS_PER_BYTE: u32 = 5;
/** What a first trit of 1 has at least, less one. */
const THRESHOLD: i8 = 42;
/** 13 / 243 in units of 2⁻¹⁵: v × 256 / 243 = v + v × 13 / 243. */
const THIRTEEN_243RDS: i16 = 1753;
/** No element is wrong. */
const NONE: u32 = u32.MAX_VALUE;

/** Bytes of a packed row. */
// @ts-ignore: decorator
@inline
export function rowBytesOf(columns: u32): u32 {
  return (columns + TRITS_PER_BYTE - 1) / TRITS_PER_BYTE;
}

/** −1 in each lane whose first trit is +. */
// @ts-ignore: decorator
@inline
export function positiveLanes(bytes: v128): v128 {
  return i8x16.gt_s(bytes, i8x16.splat(THRESHOLD));
}

/** −1 in each lane whose first trit is −. */
// @ts-ignore: decorator
@inline
export function negativeLanes(bytes: v128): v128 {
  return i8x16.lt_s(bytes, i8x16.splat(-THRESHOLD));
}

/** What is left when the first trits are gone. */
// @ts-ignore: decorator
@inline
export function rest(bytes: v128): v128 {
  return i8x16.add(i8x16.add(bytes, bytes), bytes);
}

/** Packs rows of i8 trits that lie one behind the other. Answers the index of the first element that is no trit, or −1; it stops there. */
export function packRows(from: usize, columns: u32, rows: u32, to: usize): u32 {
  for (let row: u32 = 0; row < rows; row++) {
    let left = columns;
    for (; left >= GROUP_TRITS; left -= GROUP_TRITS) {
      if (!packGroup(from, to)) return row * columns + (columns - left) + firstWrong(from, GROUP_TRITS);
      from += GROUP_TRITS;
      to += GROUP_BYTES;
    }
    if (left == 0) continue;
    const wrong = firstWrong(from, left);
    if (wrong != NONE) return row * columns + (columns - left) + wrong;
    packTail(from, left, to);
    from += left;
    to += rowBytesOf(left);
  }
  return NONE;
}

/** The trits of a packed row, as i8. */
export function unpackRow(row: usize, columns: u32, to: usize): void {
  for (; columns >= GROUP_TRITS; columns -= GROUP_TRITS) {
    let bytes = v128.load(row);
    for (let plane: usize = 0; plane < GROUP_TRITS; plane += GROUP_BYTES) {
      v128.store(to + plane, i8x16.sub(negativeLanes(bytes), positiveLanes(bytes)));
      bytes = rest(bytes);
    }
    row += GROUP_BYTES;
    to += GROUP_TRITS;
  }
  const width = rowBytesOf(columns);
  for (let j: u32 = 0; j < width; j++) {
    let byte = load<i8>(row + j);
    for (let i = j; i < columns; i += width) {
      store<i8>(to + i, i8(byte > THRESHOLD) - i8(byte < -THRESHOLD));
      byte = <i8>(3 * <i32>byte);
    }
  }
}

/**
 * Lays out the elements of a vector that meet the last group of a row as if that were a whole group: zeros are where it has no bytes. So kernels need
 * no end of their own. Takes room for whole groups; `shift` says how large an element is: 0 for i8, 2 for f32.
 */
export function spreadTail(vector: usize, columns: u32, shift: u32): void {
  const tail = columns % GROUP_TRITS;
  if (tail == 0) return;
  const from = vector + (<usize>(columns - tail) << shift);
  const width = rowBytesOf(tail);
  // From the last plane to the first, because each goes to where later ones come from.
  for (let plane = TRITS_PER_BYTE; plane-- > 0; ) {
    const first = plane * width;
    const count = first < tail ? min(width, tail - first) : 0;
    const to = from + (<usize>(plane * GROUP_BYTES) << shift);
    memory.copy(to, from + (<usize>first << shift), <usize>count << shift);
    memory.fill(to + (<usize>count << shift), 0, <usize>(GROUP_BYTES - count) << shift);
  }
}

/** False when one of the 80 is no trit. */
function packGroup(from: usize, to: usize): bool {
  let sum = v128.load(from);
  let least = sum;
  let most = sum;
  for (let plane: usize = GROUP_BYTES; plane < GROUP_TRITS; plane += GROUP_BYTES) {
    const trits = v128.load(from + plane);
    least = i8x16.min_s(least, trits);
    most = i8x16.max_s(most, trits);
    sum = i8x16.add(rest(sum), trits);
  }
  const wrong = v128.or(i8x16.lt_s(least, i8x16.splat(-1)), i8x16.gt_s(most, i8x16.splat(1)));
  if (v128.any_true(wrong)) return false;
  v128.store(to, i8x16.narrow_i16x8_s(
    fractions(i16x8.extend_low_i8x16_s(sum)),
    fractions(i16x8.extend_high_i8x16_s(sum)),
  ));
  return true;
}

// @ts-ignore: decorator
@inline
function fractions(sums: v128): v128 {
  return i16x8.add(sums, i16x8.q15mulr_sat_s(sums, i16x8.splat(THIRTEEN_243RDS)));
}

function packTail(from: usize, count: u32, to: usize): void {
  const width = rowBytesOf(count);
  for (let j: u32 = 0; j < width; j++) {
    let sum: i32 = 0;
    for (let plane: u32 = 0; plane < TRITS_PER_BYTE; plane++) {
      const i = j + plane * width;
      sum = 3 * sum + (i < count ? <i32>load<i8>(from + i) : 0);
    }
    store<i8>(to + j, <i8>(sum + ((sum * THIRTEEN_243RDS + 0x4000) >> 15)));
  }
}

function firstWrong(from: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const trit = load<i8>(from + i);
    if (trit < -1 || trit > 1) return i;
  }
  return NONE;
}
