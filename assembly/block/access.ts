/*
 * The barrier: every access to the image goes through here, and nothing else in the engine may store.
 *
 * `get` and `read` make the block present, `put` and `write` touch it. `read` and `write` give a handle on a structure:
 * an @unmanaged class, whose fields are readonly unless it extends Writable. The compiler refuses the wrong
 * pairing. A handle is good for the rest of the call. A structure, like a number, must not straddle blocks; ranges may.
 */

import { BLOCK_BYTES, BLOCK_SHIFT, EXCHANGE, PAGE_SCRATCH, RECORD } from "../base/memory-map";
import { ABSENT, CLEAN, DIRTY, fetch, stateAt, touch } from "./states";

const JUNK: u8 = 0xdd;

/** What a structure with writable fields extends. */
@unmanaged
export class Writable {}

/** A structure for reading. */
// @ts-ignore: decorator
@inline
export function read<T>(address: usize): T {
  if (changetype<T>(address) instanceof Writable) ERROR("what is read has readonly fields");
  ensurePresent(address);
  return changetype<T>(address);
}

/** A structure for writing. */
// @ts-ignore: decorator
@inline
export function write<T>(address: usize): T {
  if (!(changetype<T>(address) instanceof Writable)) ERROR("what is written extends Writable");
  ensureDirty(address);
  return changetype<T>(address);
}

/** A number, aligned to its size. */
// @ts-ignore: decorator
@inline
export function get<T>(address: usize): T {
  ensurePresent(address);
  return load<T>(address);
}

// @ts-ignore: decorator
@inline
export function put<T>(address: usize, value: T): void {
  ensureDirty(address);
  store<T>(address, value);
}

// @ts-ignore: decorator
@inline
function ensurePresent(address: usize): void {
  if (stateAt(address) < CLEAN) fetch(<u32>(address >> BLOCK_SHIFT));
}

// @ts-ignore: decorator
@inline
function ensureDirty(address: usize): void {
  if (stateAt(address) < DIRTY) touch(<u32>(address >> BLOCK_SHIFT));
}

/** A number within a structure that `read` or `write` has handed out, where it has no field of its own. */
// @ts-ignore: decorator
@inline
export function fieldOf<S, T>(structure: S, offset: usize): T {
  return load<T>(changetype<usize>(structure) + offset);
}

// @ts-ignore: decorator
@inline
export function setField<T>(structure: Writable, offset: usize, value: T): void {
  store<T>(changetype<usize>(structure) + offset, value);
}

/** Moves bytes into a structure that `write` has handed out, from where they are present: there, in another structure, or in the volatile zone. */
// @ts-ignore: decorator
@inline
export function moveInto(structure: Writable, offset: usize, from: usize, bytes: usize): void {
  memory.copy(changetype<usize>(structure) + offset, from, bytes);
}

/** Fills a range, up to the last byte of linear memory. */
export function fill(address: usize, bytes: usize, value: u8): void {
  while (bytes > 0) {
    const count = min(bytes, blockRest(address));
    ensureDirty(address);
    memory.fill(address, value, count);
    address += count;
    bytes -= count;
  }
}

/** What nobody owns any more is filled in a debug build, so that its use shows. */
// @ts-ignore: decorator
@inline
export function junk(address: usize, bytes: usize): void {
  if (ASC_OPTIMIZE_LEVEL == 0) fill(address, bytes, JUNK);
}

/** Zeros for a slot: 16-byte aligned, a multiple of 16. Short ones are not worth the call of a bulk operation. */
export function clear(address: usize, bytes: usize): void {
  if (bytes > 256) return fill(address, bytes, 0);
  const lastChunk = address + bytes - 64;
  ensureDirty(address);
  ensureDirty(lastChunk + 63);
  if (bytes < 64) {
    const rest = bytes - 16;
    const zeros = i64x2.splat(0);
    v128.store(address, zeros);
    v128.store(address + min(rest, 16), zeros);
    v128.store(address + rest, zeros);
    return;
  }
  if (bytes > 128) {
    clear64(address);
    clear64(address + 64);
    address = lastChunk - 64;
  }
  clear64(address);
  clear64(lastChunk);
}

// @ts-ignore: decorator
@inline
function clear64(address: usize): void {
  const zeros = i64x2.splat(0);
  v128.store(address, zeros);
  v128.store(address, zeros, 16);
  v128.store(address, zeros, 32);
  v128.store(address, zeros, 48);
}

/** Copies into a range that reads as zeros, so that zeros need no copy. The ranges are disjoint. */
export function copyToZeros(from: usize, to: usize, bytes: usize): void {
  while (bytes > 0) {
    const count = min(bytes, min(blockRest(from), blockRest(to)));
    const state = stateAt(from);
    if (state == ABSENT || state >= CLEAN) {
      ensurePresent(from);
      ensureDirty(to);
      memory.copy(to, from, count);
    }
    from += count;
    to += count;
    bytes -= count;
  }
}

/** Copies within the low image; the ranges may overlap. */
export function move(from: usize, to: usize, bytes: usize): void {
  ensureRange(from, bytes, false);
  ensureRange(to, bytes, true);
  memory.copy(to, from, bytes);
}

/** Makes all blocks of a range present; with `dirty`, part of the next commit. */
export function ensureRange(address: usize, bytes: usize, dirty: bool): void {
  for (let end = address + bytes; address < end; address += blockRest(address)) {
    if (dirty) ensureDirty(address);
    else ensurePresent(address);
  }
}

/** Copies from the exchange area. */
export function copyFromExchange(offset: usize, to: usize, bytes: usize): void {
  copyIn(EXCHANGE + offset, to, bytes);
}

/** Copies what the host has put together for a row. */
export function copyFromRecord(to: usize, bytes: usize): void {
  copyIn(RECORD, to, bytes);
}

/** Copies from what `copyToScratch` has kept. */
export function copyFromScratch(offset: usize, to: usize, bytes: usize): void {
  copyIn(PAGE_SCRATCH + offset, to, bytes);
}

/** Copies from the volatile zone. */
function copyIn(from: usize, to: usize, bytes: usize): void {
  while (bytes > 0) {
    const count = min(bytes, blockRest(to));
    ensureDirty(to);
    if (count <= SHORT_COPY) copyShort(from, to, count);
    else memory.copy(to, from, count);
    from += count;
    to += count;
    bytes -= count;
  }
}

/** Keeps a copy of the block that begins at `address`. */
export function copyToScratch(address: usize): void {
  ensurePresent(address);
  memory.copy(PAGE_SCRATCH, address, BLOCK_BYTES);
}

/** A bulk operation is a call: it costs more than so few bytes do. */
const SHORT_COPY: usize = 128;

// @ts-ignore: decorator
@inline
function copyShort(from: usize, to: usize, bytes: usize): void {
  for (; bytes >= 8; bytes -= 8) {
    store<u64>(to, load<u64>(from));
    from += 8;
    to += 8;
  }
  if ((bytes & 4) != 0) {
    store<u32>(to, load<u32>(from));
    from += 4;
    to += 4;
  }
  for (bytes &= 3; bytes > 0; bytes--) store<u8>(to++, load<u8>(from++));
}

/** Whether a range is the same as one in the exchange area. */
export function equalsExchange(offset: usize, address: usize, bytes: usize): bool {
  if (bytes == 0) return true;
  ensurePresent(address);
  if (bytes > blockRest(address)) ensurePresent(address + bytes - 1);
  return memory.compare(EXCHANGE + offset, address, bytes) == 0;
}

/** A result for the host. */
// @ts-ignore: decorator
@inline
export function answer<T>(offset: usize, value: T): void {
  store<T>(EXCHANGE + offset, value);
}

// @ts-ignore: decorator
@inline
function blockRest(address: usize): usize {
  return <usize>BLOCK_BYTES - (address & (BLOCK_BYTES - 1));
}
