/** The functions of the ternary module, joined to an engine's memory when they are first needed. */
import type { Engine } from "../../engine.js";
import { ternaryWasm } from "../../generated/ternary-wasm.js";

/** Parameters are unsigned 32-bit numbers unless said otherwise; numbers of frames are f64. `memory` is the address of a ternary memory's record. */
export interface TernaryFunctions {
  createMemory(regions: number): number;
  /** Of a memory in which nothing is mapped. */
  destroyMemory(memory: number): number;
  /** The first of `count` frames, or −1. */
  allocateFrames(memory: number, count: number, align: number, zone: number): number;
  deallocateFrame(memory: number, frame: number): number;
  frameAddress(memory: number, frame: number): number;
  frameOwners(memory: number, frame: number): number;
  memoryStatistics(memory: number, zone: number): void;
  /** Of rows.ts and products.ts in assembly/trit: the index of the first element that is no trit, or −1. */
  packRows(from: number, columns: number, rows: number, to: number): number;
  unpackRow(row: number, columns: number, to: number): void;
  spreadTail(vector: number, columns: number, shift: number): void;
  multiplyBytes(row: number, rows: number, columns: number, vector: number, out: number): void;
  multiplyFloats(row: number, rows: number, columns: number, vector: number, out: number): void;
  readonly KERNEL_VECTOR: WebAssembly.Global;
  readonly KERNEL_VECTOR_BYTES: WebAssembly.Global;
  readonly KERNEL_RESULTS: WebAssembly.Global;
  readonly KERNEL_RESULTS_BYTES: WebAssembly.Global;

  /** A load that finds no tryte answers this and a code. */
  readonly NO_TRYTE: WebAssembly.Global;
  createSpace(memory: number, isTable: number): number;
  forkSpace(space: number): number;
  dropSpace(space: number): void;
  spaceStatistics(space: number): void;
  sweep(space: number): void;
  /** `context` is a space and a mode; addresses are f64. */
  contextOf(space: number, mode: number): number;
  map(context: number, address: number, frame: number, flags: number): number;
  /** The frame, or less a code. */
  unmap(context: number, address: number): number;
  mapRegion(context: number, start: number, trytes: number, flags: number): number;
  unmapRegion(context: number, start: number, trytes: number): number;
  protect(context: number, start: number, trytes: number, flags: number): number;
  loadTryte(context: number, address: number): number;
  storeTryte(context: number, address: number, tryte: number): number;
  /** A linear address, or a code. */
  cellsAt(context: number, address: number, write: number): number;
  /** The physical address, or less a code. */
  translate(context: number, address: number, access: number): number;
  touchPage(context: number, address: number, access: number): number;
  describePage(context: number, address: number): number;
}

const joined = new WeakMap<Engine, TernaryFunctions>();

export function ternaryFunctions(engine: Engine): TernaryFunctions {
  let functions = joined.get(engine);
  if (functions === undefined) {
    functions = engine.core.join(ternaryWasm) as unknown as TernaryFunctions;
    joined.set(engine, functions);
  }
  return functions;
}
