/*
 * Trits packed five a byte as programs exchange them: byte = Σ (tᵢ + 1) × 3ⁱ, so 0 … 242, the first trit the least; what is
 * missing of the last byte counts as trits of 0.
 *
 * Memory: `to` is written, and nothing else; both lie in the volatile zone.
 */

const TRITS_PER_BYTE: u32 = 5;
const NONE: u32 = u32.MAX_VALUE;
const ONES: u64 = 0x01_0101_0101;
/** Three times the digit of a byte at each step: so byte 4 of the product with five digits is their sum. */
const POWERS: u64 = 0x01_0309_1b51;

/** Packs `bytes` × 5 i8 trits, reading up to three bytes more. Answers the index of the first byte with an element that is no trit, or −1. */
export function packBytes(from: usize, bytes: u32, to: usize): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    const five = load<u64>(from) & 0xff_ffff_ffff;
    // One more in each byte, without a carry from one to the next.
    const digits = ((five & (0x7f * ONES)) + ONES) ^ (five & (0x80 * ONES));
    // A digit of 3 or more reaches bit 7 by itself or with 0x7d.
    if (((digits | ((digits & (0x7f * ONES)) + 0x7d * ONES)) & (0x80 * ONES)) != 0) return i;
    store<u8>(to + i, <u8>((digits * POWERS) >> 32));
    from += TRITS_PER_BYTE;
  }
  return NONE;
}

/**
 * Unpacks bytes to i8 trits, writing up to three bytes more. `table` has 256 × u64: the five trits in the low bytes, and 255 in the
 * highest for a byte that packs nothing. Answers whether there was one.
 */
export function unpackBytes(from: usize, bytes: u32, table: usize, to: usize): bool {
  let seen: u64 = 0;
  for (const end = from + bytes; from < end; from++) {
    const five = load<u64>(table + (<usize>load<u8>(from) << 3));
    seen |= five;
    store<u64>(to, five);
    to += TRITS_PER_BYTE;
  }
  return seen >> 56 != 0;
}
