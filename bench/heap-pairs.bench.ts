// An object that comes and goes at once: what calling an allocator costs, with everything it looks at in the nearest cache.

import type { Memory } from "../bindings/index.js";
import { openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import {
  loopCase,
  notZeroing,
  openEngineHeap,
  openThing,
  openTlsf,
  type WasmHeap,
  zeroing,
} from "./heaps.js";

const inWasm: Bar[] = [{ nanosecondsAtMost: 15 }];
const fromJavaScript: Bar[] = [{ nanosecondsAtMost: 40 }];
const thingBytes = 2 ** 24;

let memory: Memory | null = null;

/** One for all cases, as most programs have one: V8 inlines a call into the first instance that a place calls, and into no other. */
function theMemory(): Memory {
  memory ??= openVolatile();
  return memory;
}

function wasmCase(
  name: string,
  open: () => Promise<WasmHeap>,
  size: number,
  zero: number,
  bars: Bar[] = [],
): Case {
  const build = async () => {
    const { loops } = await open();
    return { loop: (iterations: number) => loops.pairs(size, zero, iterations) };
  };
  return loopCase(name, build, bars);
}

function pairsWorkload(size: number): Workload {
  return {
    name: `alloc and release of ${size} bytes`,
    unit: "ns/op",
    cases: [
      wasmCase(notZeroing, openEngineHeap, size, 0, inWasm),
      wasmCase("AssemblyScript TLSF in Wasm", openTlsf, size, 0),
      wasmCase(zeroing, openEngineHeap, size, 1),
      loopCase(
        "perdure, Ptr",
        async () => {
          const memory = theMemory();
          const options = { zero: false };
          return {
            loop(iterations) {
              for (let left = iterations; left > 0; left--) memory.release(memory.alloc(size, options));
            },
          };
        },
        fromJavaScript,
      ),
      loopCase("perdure, Ptr, zeroing", async () => {
        const memory = theMemory();
        return {
          loop(iterations) {
            for (let left = iterations; left > 0; left--) memory.release(memory.alloc(size));
          },
        };
      }),
      loopCase("AssemblyScript TLSF from JavaScript", async () => {
        const { takeOne, giveOne } = (await openTlsf()).loops;
        return {
          loop(iterations) {
            for (let left = iterations; left > 0; left--) giveOne(takeOne(size, 0));
          },
        };
      }),
      loopCase("@thi.ng/malloc", async () => {
        const pool = openThing(thingBytes);
        return {
          loop(iterations) {
            for (let left = iterations; left > 0; left--) pool.free(pool.malloc(size));
          },
        };
      }),
    ],
  };
}

export default [16, 64, 128, 512].map(pairsWorkload);
