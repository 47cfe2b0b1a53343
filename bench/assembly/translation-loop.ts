/*
 * Loops of loads and stores through ternary translation inside Wasm, for bench/ternary-translation.bench.ts. Every loop goes over a range of trytes, a power of
 * two, in steps: 1 is in order, a large odd number is nearly at random, at no cost of its own. Beside them the same without
 * translation, over the same cells.
 */

import { CLEAN, stateAt } from "../../assembly/block/states";
import { tablesOf } from "../../assembly/page/space";
import { loadTryte, storeTryte } from "../../assembly/page/translate";
import { pageOf, sumOf, usualPosition } from "../../assembly/page/virtual";
import { walk } from "../../assembly/page/walk";

export { format } from "../../assembly/object/image";
export { createMemory, frameAddress, mapRegion, createSpace, contextOf, touchPage } from "../../assembly/ternary";

/** Answers the sum, so that nothing is left out. */
export function loads(context: u32, step: u32, mask: u32, count: u32): i32 {
  let sum: i32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    sum += loadTryte(context, <f64>at);
    at = (at + step) & mask;
  }
  return sum;
}

export function stores(context: u32, step: u32, mask: u32, count: u32): void {
  let at: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    storeTryte(context, <f64>at, at & 255);
    at = (at + step) & mask;
  }
}

/** The way from an address through the three tables, alone. */
export function walks(space: usize, step: u32, mask: u32, count: u32): usize {
  let sum: usize = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    sum += walk(tablesOf(space), pageOf(usualPosition(sumOf(<f64>at))));
    at = (at + step) & mask;
  }
  return sum;
}

/** Cells by linear address. */
export function rawLoads(cells: usize, step: u32, mask: u32, count: u32): i32 {
  let sum: i32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    sum += load<i16>(cells + (<usize>(<f64>at) << 1));
    at = (at + step) & mask;
  }
  return sum;
}

/** The same with the check of the block state that every access of the engine makes. */
export function checkedLoads(cells: usize, step: u32, mask: u32, count: u32): i32 {
  let sum: i32 = 0;
  let at: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const address = cells + (<usize>(<f64>at) << 1);
    if (stateAt(address) >= CLEAN) sum += load<i16>(address);
    at = (at + step) & mask;
  }
  return sum;
}
