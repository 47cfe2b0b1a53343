/*
 * XXH3-64 with seed 0 and the default secret: the arithmetic, without a single store.
 *
 * After the xxHash specification by Yann Collet (doc/xxhash_spec.md in Cyan4973/xxHash), whose names it keeps.
 * Bytes are read where they lie, at any alignment, and never outside [address, address + length). Inputs of up
 * to 240 bytes are hashed here; for longer ones this file has the steps, and hash-blocks.ts, its only caller,
 * has the loop and the memory for the accumulators.
 *
 * A long input has eight 64-bit accumulators, here four vectors of two, called columns: column c sees bytes
 * 16c to 16c + 15 of every 64-byte stripe and never meets the other columns before the end.
 *
 *   block      1024 bytes: 16 stripes, then a scramble
 *   stripe n   is keyed with secret bytes 8n to 8n + 63, so column c with the sixteen at 8n + 16c
 */

import { secret, secretPair } from "./xxh3-secret";

export const STRIPE_BYTES: u32 = 64;
export const STRIPES_PER_BLOCK: u32 = 16;
export const SCRAMBLED_BYTES: u32 = STRIPE_BYTES * STRIPES_PER_BLOCK;
/** The longest input for `hashShort`. */
export const SHORT_BYTES: u32 = 240;

const PRIME32_1: u64 = 0x9e3779b1;
const PRIME32_2: u64 = 0x85ebca77;
const PRIME32_3: u64 = 0xc2b2ae3d;
const PRIME64_1: u64 = 0x9e3779b185ebca87;
const PRIME64_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME64_3: u64 = 0x165667b19e3779f9;
const PRIME64_4: u64 = 0x85ebca77c2b2ae63;
const PRIME64_5: u64 = 0x27d4eb2f165667c5;
const PRIME_MX1: u64 = 0x165667919e3779f9;
const PRIME_MX2: u64 = 0x9fb21c651e98df25;

/** The hash of up to 240 bytes. */
export function hashShort(address: usize, length: u32): u64 {
  if (length > 128) return hash129to240(address, length);
  if (length > 16) return hash17to128(address, length);
  if (length > 8) return hash9to16(address, length);
  if (length > 3) return hash4to8(address, length);
  if (length > 0) return hash1to3(address, length);
  return avalancheXXH64(secret(56) ^ secret(64));
}

function hash1to3(address: usize, length: u32): u64 {
  const first = <u32>load<u8>(address);
  const middle = <u32>load<u8>(address + (length >> 1));
  const last = <u32>load<u8>(address + length - 1);
  const combined = last | (length << 8) | (first << 16) | (middle << 24);
  return avalancheXXH64((secret(0) & 0xffffffff) ^ (secret(0) >> 32) ^ (<u64>combined));
}

function hash4to8(address: usize, length: u32): u64 {
  const first = <u64>load<u32>(address);
  const last = <u64>load<u32>(address + length - 4);
  let value = secret(8) ^ secret(16) ^ (last | (first << 32));
  value ^= rotl<u64>(value, 49) ^ rotl<u64>(value, 24);
  value *= PRIME_MX2;
  value ^= (value >> 35) + (<u64>length);
  value *= PRIME_MX2;
  return value ^ (value >> 28);
}

function hash9to16(address: usize, length: u32): u64 {
  const low = secret(24) ^ secret(32) ^ load<u64>(address);
  const high = secret(40) ^ secret(48) ^ load<u64>(address + length - 8);
  return avalanche(<u64>length + bswap<u64>(low) + high + multiplyFold(low, high));
}

/** Sixteen-byte chunks in pairs, one counted from the start and one from the end, until they meet. */
function hash17to128(address: usize, length: u32): u64 {
  const last = address + length - 16;
  let sum = <u64>length * PRIME64_1 + mix(address, 0) + mix(last, 16);
  if (length > 32) sum += mix(address + 16, 32) + mix(last - 16, 48);
  if (length > 64) sum += mix(address + 32, 64) + mix(last - 32, 80);
  if (length > 96) sum += mix(address + 48, 96) + mix(last - 48, 112);
  return avalanche(sum);
}

/** Eight chunks, an avalanche, the other full chunks with the secret shifted by three, and the last 16 bytes. */
function hash129to240(address: usize, length: u32): u64 {
  let sum = <u64>length * PRIME64_1;
  sum += mix(address, 0) + mix(address + 16, 16) + mix(address + 32, 32) + mix(address + 48, 48);
  sum += mix(address + 64, 64) + mix(address + 80, 80) + mix(address + 96, 96) + mix(address + 112, 112);
  sum = avalanche(sum);
  if (length >= 144) sum += mix(address + 128, 3);
  if (length >= 160) sum += mix(address + 144, 19);
  if (length >= 176) sum += mix(address + 160, 35);
  if (length >= 192) sum += mix(address + 176, 51);
  if (length >= 208) sum += mix(address + 192, 67);
  if (length >= 224) sum += mix(address + 208, 83);
  if (length >= 240) sum += mix(address + 224, 99);
  return avalanche(sum + mix(address + length - 16, 119));
}

/** Sixteen bytes against the secret at a constant offset: the specification's `mixStep`. */
// @ts-ignore: decorator
@inline
function mix(address: usize, offset: i32): u64 {
  return multiplyFold(load<u64>(address) ^ secret(offset), load<u64>(address, 8) ^ secret(offset + 8));
}

/** The two halves of the 128-bit product, xored. Wasm has no wide multiplication, so it is done in parts. */
function multiplyFold(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const lowLow = aLow * bLow;
  const highLow = aHigh * bLow;
  const cross = (lowLow >> 32) + (highLow & 0xffffffff) + aLow * bHigh; // at most 2⁶⁴ - 1
  const upper = (highLow >> 32) + (cross >> 32) + aHigh * bHigh;
  return upper ^ ((cross << 32) | (lowLow & 0xffffffff));
}

function avalanche(value: u64): u64 {
  value ^= value >> 37;
  value *= PRIME_MX1;
  return value ^ (value >> 32);
}

function avalancheXXH64(value: u64): u64 {
  value ^= value >> 33;
  value *= PRIME64_2;
  value ^= value >> 29;
  value *= PRIME64_3;
  return value ^ (value >> 32);
}

/** What a constant column, 0 to 3, holds before the first stripe. */
// @ts-ignore: decorator
@inline
export function initialColumn(column: i32): v128 {
  if (column == 0) return i64x2(PRIME32_3, PRIME64_1);
  if (column == 1) return i64x2(PRIME64_2, PRIME64_3);
  if (column == 2) return i64x2(PRIME64_4, PRIME32_2);
  return i64x2(PRIME64_5, PRIME32_1);
}

/**
 * The stripes of the block at `address`, the first `stripes` of them or all sixteen, added to a constant column.
 *
 * A lane gets its keyed product, and the data of its neighbour. Only the sum of that data matters, so it is
 * summed where it lies and the lanes are swapped once, which saves a shuffle a stripe. The stripes are
 * written out because the key of each is a constant in the code; the branch that ends a short block is
 * always predicted, and one body for full and short blocks is faster than two.
 */
// @ts-ignore: decorator
@inline
export function accumulate(accumulator: v128, column: i32, address: usize, stripes: u32): v128 {
  const start = address + 16 * column;
  const key = 16 * column;
  let data = i64x2.splat(0);
  let lanes: v128;
  do {
    if (stripes == 0) break;
    lanes = v128.load(start, 0);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 0)));
    if (stripes == 1) break;
    lanes = v128.load(start, 64);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 8)));
    if (stripes == 2) break;
    lanes = v128.load(start, 128);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 16)));
    if (stripes == 3) break;
    lanes = v128.load(start, 192);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 24)));
    if (stripes == 4) break;
    lanes = v128.load(start, 256);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 32)));
    if (stripes == 5) break;
    lanes = v128.load(start, 320);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 40)));
    if (stripes == 6) break;
    lanes = v128.load(start, 384);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 48)));
    if (stripes == 7) break;
    lanes = v128.load(start, 448);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 56)));
    if (stripes == 8) break;
    lanes = v128.load(start, 512);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 64)));
    if (stripes == 9) break;
    lanes = v128.load(start, 576);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 72)));
    if (stripes == 10) break;
    lanes = v128.load(start, 640);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 80)));
    if (stripes == 11) break;
    lanes = v128.load(start, 704);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 88)));
    if (stripes == 12) break;
    lanes = v128.load(start, 768);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 96)));
    if (stripes == 13) break;
    lanes = v128.load(start, 832);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 104)));
    if (stripes == 14) break;
    lanes = v128.load(start, 896);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 112)));
    if (stripes == 15) break;
    lanes = v128.load(start, 960);
    data = i64x2.add(data, lanes);
    accumulator = i64x2.add(accumulator, product(lanes, secretPair(key + 120)));
  } while (false);
  return i64x2.add(accumulator, swap(data));
}

/** The last 64 bytes of the input, at `address`, whether or not earlier stripes covered some of them. */
// @ts-ignore: decorator
@inline
export function accumulateLast(accumulator: v128, column: i32, address: usize): v128 {
  const lanes = v128.load(address + 16 * column);
  const sum = i64x2.add(accumulator, swap(lanes));
  return i64x2.add(sum, product(lanes, secretPair(121 + 16 * column)));
}

/** Ends a block that is not the last. */
// @ts-ignore: decorator
@inline
export function scramble(accumulator: v128, column: i32): v128 {
  const mixed = v128.xor(accumulator, i64x2.shr_u(accumulator, 47));
  return i64x2.mul(v128.xor(mixed, secretPair(128 + 16 * column)), i64x2.splat(PRIME32_1));
}

/** What a finished column contributes to the digest. */
// @ts-ignore: decorator
@inline
export function mergeColumn(accumulator: v128, column: i32): u64 {
  return multiplyFold(
    i64x2.extract_lane(accumulator, 0) ^ secret(11 + 16 * column),
    i64x2.extract_lane(accumulator, 1) ^ secret(19 + 16 * column),
  );
}

/** The digest of `length` bytes from the sum of their merged columns. */
export function finishMerge(length: u64, merged: u64): u64 {
  return avalanche(length * PRIME64_1 + merged);
}

/** In each lane, the low half of (data xor key) times its high half. */
// @ts-ignore: decorator
@inline
function product(data: v128, key: v128): v128 {
  const keyed = v128.xor(data, key);
  const low = v128.shuffle<u32>(keyed, keyed, 0, 2, 0, 2);
  const high = v128.shuffle<u32>(keyed, keyed, 1, 3, 1, 3);
  return i64x2.extmul_low_i32x4_u(low, high);
}

// @ts-ignore: decorator
@inline
function swap(lanes: v128): v128 {
  return v128.shuffle<u64>(lanes, lanes, 1, 0);
}
