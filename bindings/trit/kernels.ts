/**
 * The kernels of assembly/trit on a small memory of their own, for what knows no `Memory`: arguments are copied in and results out, in pieces that the
 * nearest cache holds. Where calls work on more than a few dozen elements that is faster than loops of JavaScript over the arrays themselves.
 *
 * Invariants: made when it is first needed, shared by all; no call leaves anything in memory that a later one reads, but for the table of `unpack`.
 */
import { moduleOf } from "../base/wasm-module.js";
import { ternaryWasm } from "../generated/ternary-wasm.js";

/** Parameters are addresses and unsigned counts; each answers the index of the first element that is wrong, or −1. */
export interface TritFunctions {
  packBytes(from: number, bytes: number, to: number): number;
  unpackBytes(from: number, bytes: number, table: number, to: number): number;
  addTrytes(a: number, b: number, count: number, to: number): number;
  subtractTrytes(a: number, b: number, count: number, to: number): number;
  lesserTrytes(a: number, b: number, count: number, to: number): number;
  greaterTrytes(a: number, b: number, count: number, to: number): number;
  negateTrytes(a: number, count: number, to: number): number;
}

/** Where things are in this memory. Each piece has more room than a kernel reads or writes past its end. */
export const UNPACK_TABLE = 0x1000;
export const FIRST = 0x4000;
export const SECOND = 0x8000;
export const RESULT = 0xc000;
/** Bytes of a piece. */
export const PIECE_BYTES = 0x2000;

export interface Kernels {
  readonly functions: TritFunctions;
  readonly bytes: Uint8Array;
  readonly trits: Int8Array;
  readonly trytes: Int16Array;
}

let kernels: Kernels | null = null;

export function tritKernels(): Kernels {
  kernels ??= makeKernels();
  return kernels;
}

function makeKernels(): Kernels {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const unused = (): never => {
    throw new Error("kernels ask nothing of their host");
  };
  const env = { memory, fault: unused, firstTouch: unused, spill: unused };
  const { exports } = new WebAssembly.Instance(moduleOf(ternaryWasm), { env });
  const table = new DataView(memory.buffer, UNPACK_TABLE);
  for (let byte = 0; byte < 256; byte++) {
    let left = byte;
    for (let i = 0; i < 5; i++) {
      table.setInt8(8 * byte + i, (left % 3) - 1);
      left = Math.floor(left / 3);
    }
    table.setUint8(8 * byte + 7, left === 0 ? 0 : 255);
  }
  return {
    functions: { ...exports } as unknown as TritFunctions,
    bytes: new Uint8Array(memory.buffer),
    trits: new Int8Array(memory.buffer),
    trytes: new Int16Array(memory.buffer),
  };
}
