// The allocators side by side: the engine's heap inside Wasm and as programs have it, the TLSF of AssemblyScript's runtime compiled by the same
// compiler with the same options, and @thi.ng/malloc, which is JavaScript. walloc is not among them: it exists as C source alone, and
// what npm has under that name is another allocator, built in 2017.
//
// The peers leave in an object what was there. perdure fills it with zeros unless it is told not to, so it is measured both ways, and the bars are for
// what the peers do as well.

import { Random } from "../test/support/random.js";
import type { Bar, Case } from "./harness.js";
import { compileLoops } from "./loops.js";
import { peer } from "./peers.js";

const wasmPageBytes = 65536;

/** Of the sizes that `churn` draws from; a power of two. */
export const sizeCount = 4096;
const smallestBytes = 16;
const largestBytes = 512;

export interface HeapLoops {
  /** Makes an image for the engine's heap; 0 when that is done. */
  format(): number;
  takeOne(size: number, zero: number): number;
  giveOne(address: number): void;
  pairs(size: number, zero: number, count: number): void;
  populate(table: number, live: number, sizes: number, sizeMask: number, zero: number): void;
  churn(
    table: number,
    live: number,
    sizes: number,
    sizeMask: number,
    zero: number,
    state: number,
    count: number,
  ): number;
}

/** An instance with a heap of its own, and where the host may keep what its loops need. */
export interface WasmHeap {
  loops: HeapLoops;
  memory: WebAssembly.Memory;
  scratch: number;
}

/** Log-uniform from 16 to 512 bytes. */
export function drawSizes(): Uint16Array {
  const random = new Random(1);
  const span = Math.log(largestBytes / smallestBytes);
  return Uint16Array.from({ length: sizeCount }, () =>
    Math.round(smallestBytes * Math.exp((span * random.below(2 ** 20)) / 2 ** 20)),
  );
}

export const zeroing = "perdure in Wasm, zeroing";
export const notZeroing = "perdure in Wasm";

/** The timed part of a case. All of it is a function of its own, so that the code of one case is compiled for it alone. */
export type Loop = (iterations: number) => void;

/** A case whose loop is made, with all that it works on, when its turn comes; `close` is for after the last round. */
export function loopCase(
  name: string,
  open: () => Promise<{ loop: Loop; close?: () => void }>,
  bars: Bar[] = [],
): Case {
  let opened: Awaited<ReturnType<typeof open>> | null = null;
  return {
    name,
    bars,
    async setup() {
      opened = await open();
    },
    run: (iterations) => opened?.loop(iterations),
    teardown() {
      opened?.close?.();
      opened = null;
    },
  };
}

const engineReserveBytes = 512 * 2 ** 20;
const engineScratch = 0x2000000;

/** The engine without a file: all blocks are empty at first, and nothing is ever committed. */
export async function openEngineHeap(): Promise<WasmHeap> {
  const memory = new WebAssembly.Memory({
    initial: engineReserveBytes / wasmPageBytes,
    maximum: wasmPageBytes,
  });
  const ignore = (): void => {};
  const instance = await instantiate("stub", { memory, fault: ignore, firstTouch: ignore, spill: ignore });
  const loops = instance.exports as unknown as HeapLoops;
  if (loops.format() !== 0) throw new Error("the engine's image could not be made");
  return { loops, memory, scratch: engineScratch };
}

const tlsfBase = 2 ** 20;
const tlsfScratch = wasmPageBytes;

/** Its heap begins at `tlsfBase`. */
export async function openTlsf(): Promise<WasmHeap> {
  const memory = new WebAssembly.Memory({ initial: tlsfBase / wasmPageBytes + 1 });
  const unused = (): never => {
    throw new Error("the engine's heap is not used here");
  };
  const instance = await instantiate("minimal", { memory, fault: unused, firstTouch: unused, spill: unused });
  return { loops: instance.exports as unknown as HeapLoops, memory, scratch: tlsfScratch };
}

export interface ThingPool {
  malloc(bytes: number): number;
  free(address: number): boolean;
}

export function openThing(bytes: number): ThingPool {
  const { MemPool } = peer<{ MemPool: new (options: object) => ThingPool }>("@thi.ng/malloc");
  return new MemPool({ buf: new ArrayBuffer(bytes) });
}

async function instantiate(runtime: "stub" | "minimal", env: WebAssembly.ModuleImports) {
  return new WebAssembly.Instance(await compiled(runtime), { env });
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

function compiled(runtime: "stub" | "minimal"): Promise<WebAssembly.Module> {
  const module = modules.get(runtime) ?? compile(runtime);
  modules.set(runtime, module);
  return module;
}

function compile(runtime: "stub" | "minimal"): Promise<WebAssembly.Module> {
  const pages = tlsfBase / wasmPageBytes + 1;
  const placed = runtime === "minimal" ? ["--memoryBase", `${tlsfBase}`, "--initialMemory", `${pages}`] : [];
  return compileLoops("heap-loop", runtime, placed);
}
