/*
 * Digests of ranges of linear memory: XXH3-64, seed 0. Exported to the host, and used inside for blocks.
 *
 * Everything the hash writes, it writes here: digests, 8 bytes little-endian, to an address the caller names, and
 * the hash state at HASH_STATE. The input is never written, and no byte outside it is read. The state is valid
 * from `hashBegin` to `hashFinish` only and there is one of it, so nothing else may be hashed in between.
 *
 *   HASH_STATE + 0    column 0: accumulators 0 and 1
 *              + 16   column 1
 *              + 32   column 2
 *              + 48   column 3
 *              + 64   bytes absorbed, u64; only between hashBegin and hashFinish
 */

import { HASH_STATE, HASH_STATE_BYTES } from "../base/memory-map";
import {
  accumulate,
  accumulateLast,
  finishMerge,
  hashShort,
  initialColumn,
  mergeColumn,
  scramble,
  SCRAMBLED_BYTES,
  SHORT_BYTES,
  STRIPE_BYTES,
  STRIPES_PER_BLOCK,
} from "./xxh3";

const ABSORBED: usize = HASH_STATE + 64;
if (HASH_STATE_BYTES != 64 + 8) ERROR("the hash state is four columns and a count");

const BLOCK_BYTES: u32 = 4096;
const DIGEST_BYTES: usize = 8;

/** The digest of any range, as a value. */
export function hash(address: usize, length: u32): u64 {
  if (length <= SHORT_BYTES) return hashShort(address, length);
  begin();
  absorb(address, (length - 1) / STRIPE_BYTES);
  return finish(address + length - STRIPE_BYTES, length);
}

/** The digest of any range, at `out`: for the host, to whom a 64-bit value would be a new BigInt. */
export function hashTo(address: usize, length: u32, out: usize): void {
  store<u64>(out, hash(address, length));
}

/** The digests of `count` consecutive 4096-byte blocks, packed from `out`, which must not lie in them. */
export function hashBlocks(address: usize, count: u32, out: usize): void {
  for (; count > 0; count--) {
    store<u64>(out, hash(address, BLOCK_BYTES));
    address += BLOCK_BYTES;
    out += DIGEST_BYTES;
  }
}

/** Starts the digest of an input over 240 bytes that arrives in parts. */
export function hashBegin(): void {
  begin();
  store<u64>(ABSORBED, 0);
}

/** The next `count` times 1024 bytes of the input. Its last byte must not be among them. */
export function hashAbsorb(address: usize, count: u32): void {
  absorb(address, count * STRIPES_PER_BLOCK);
  store<u64>(ABSORBED, load<u64>(ABSORBED) + (<u64>count) * SCRAMBLED_BYTES);
}

/** The rest of the input, at least a byte, and the digest. Of the input, the last 64 bytes must be in one piece. */
export function hashFinish(address: usize, length: u32, out: usize): void {
  absorb(address, (length - 1) / STRIPE_BYTES);
  store<u64>(out, finish(address + length - STRIPE_BYTES, load<u64>(ABSORBED) + length));
}

function begin(): void {
  v128.store(HASH_STATE, initialColumn(0), 0);
  v128.store(HASH_STATE, initialColumn(1), 16);
  v128.store(HASH_STATE, initialColumn(2), 32);
  v128.store(HASH_STATE, initialColumn(3), 48);
}

/** `stripes` stripes from the start of a block on, with a scramble after every sixteenth. */
function absorb(address: usize, stripes: u32): void {
  let column0 = v128.load(HASH_STATE, 0);
  let column1 = v128.load(HASH_STATE, 16);
  let column2 = v128.load(HASH_STATE, 32);
  let column3 = v128.load(HASH_STATE, 48);
  while (true) {
    column0 = accumulate(column0, 0, address, stripes);
    column1 = accumulate(column1, 1, address, stripes);
    column2 = accumulate(column2, 2, address, stripes);
    column3 = accumulate(column3, 3, address, stripes);
    if (stripes < STRIPES_PER_BLOCK) break;
    column0 = scramble(column0, 0);
    column1 = scramble(column1, 1);
    column2 = scramble(column2, 2);
    column3 = scramble(column3, 3);
    stripes -= STRIPES_PER_BLOCK;
    address += SCRAMBLED_BYTES;
  }
  v128.store(HASH_STATE, column0, 0);
  v128.store(HASH_STATE, column1, 16);
  v128.store(HASH_STATE, column2, 32);
  v128.store(HASH_STATE, column3, 48);
}

/** The digest of `length` bytes whose last 64 are at `lastStripe` and whose other stripes have been absorbed. */
function finish(lastStripe: usize, length: u64): u64 {
  const column0 = accumulateLast(v128.load(HASH_STATE, 0), 0, lastStripe);
  const column1 = accumulateLast(v128.load(HASH_STATE, 16), 1, lastStripe);
  const column2 = accumulateLast(v128.load(HASH_STATE, 32), 2, lastStripe);
  const column3 = accumulateLast(v128.load(HASH_STATE, 48), 3, lastStripe);
  const merged =
    mergeColumn(column0, 0) + mergeColumn(column1, 1) + mergeColumn(column2, 2) + mergeColumn(column3, 3);
  return finishMerge(length, merged);
}
