/*
 * Loops of alloc and release inside Wasm, for bench/heaps.ts, which compiles them beside the engine: with the runtime `stub`, as the engine
 * has it, they use its heap, and with `minimal` that which AssemblyScript brings (std/assembly/rt/tlsf.ts). The compiler knows
 * which, so it costs nothing to ask.
 */

import { alloc, release } from "../../assembly/heap/heap";

export { format } from "../../assembly/object/image";

/** The runtime `stub`. */
const IS_ENGINE = ASC_RUNTIME == 0;

// @ts-ignore: decorator
@inline
function take(size: u32, zero: bool): usize {
  return IS_ENGINE ? alloc(size, 1, zero) : heap.alloc(size);
}

// @ts-ignore: decorator
@inline
function give(address: usize): void {
  if (IS_ENGINE) release(address);
  else heap.free(address);
}

// As the functions that a host calls one by one.

export function takeOne(size: u32, zero: bool): usize {
  return take(size, zero);
}

export function giveOne(address: usize): void {
  give(address);
}

/** `count` times an object that goes at once. */
export function pairs(size: u32, zero: bool, count: u32): void {
  for (let i: u32 = 0; i < count; i++) give(take(size, zero));
}

/** Fills a table of u32 addresses with live objects; their sizes are drawn from a table of u16, whose length is a power of two. */
export function populate(table: usize, live: u32, sizes: usize, sizeMask: u32, zero: bool): void {
  for (let i: u32 = 0; i < live; i++) {
    store<u32>(table + (<usize>i << 2), <u32>take(load<u16>(sizes + ((i & sizeMask) << 1)), zero));
  }
}

/** `count` times: an object of the table at random goes, and another takes its place. Answers the generator's state, xorshift32. */
export function churn(
  table: usize,
  live: u32,
  sizes: usize,
  sizeMask: u32,
  zero: bool,
  state: u32,
  count: u32,
): u32 {
  for (let i: u32 = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    const at = table + (<usize>((<u64>state * live) >> 32) << 2);
    const size: u32 = load<u16>(sizes + ((state & sizeMask) << 1));
    give(load<u32>(at));
    store<u32>(at, <u32>take(size, zero));
  }
  return state;
}
