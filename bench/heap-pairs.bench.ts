// An object that comes and goes at once: what calling an allocator costs, with everything it looks at in the nearest cache. The peers leave in
// an object what was there; perdure gives zeros unless it is told not to, so it is measured both ways.

import { letGo, openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import { openEngineHeap, openThing, openTlsf, type WasmHeap } from "./heaps.js";

const inWasm: Bar[] = [{ nanosecondsAtMost: 15 }];
const fromJavaScript: Bar[] = [{ nanosecondsAtMost: 40 }];
const thingBytes = 2 ** 24;

/** All of a pair in JavaScript, so that the loop of one case is compiled for it alone. */
type Loop = (iterations: number) => void;

function loopCase(name: string, open: () => Promise<[Loop, (() => void)?]>, bars: Bar[] = []): Case {
  let loop: Loop;
  let close: (() => void) | undefined;
  return {
    name,
    bars,
    async setup() {
      [loop, close] = await open();
    },
    run: (iterations) => loop(iterations),
    teardown: () => close?.(),
  };
}

function wasmCase(
  name: string,
  open: () => Promise<WasmHeap>,
  size: number,
  zero: number,
  bars: Bar[] = [],
): Case {
  const build = async (): Promise<[Loop]> => {
    const { loops } = await open();
    return [(iterations) => loops.pairs(size, zero, iterations)];
  };
  return loopCase(name, build, bars);
}

function pairsWorkload(size: number): Workload {
  return {
    name: `alloc and release of ${size} bytes`,
    unit: "ns/op",
    cases: [
      wasmCase("perdure in Wasm", openEngineHeap, size, 1, inWasm),
      wasmCase("perdure in Wasm, not zeroed", openEngineHeap, size, 0, inWasm),
      wasmCase("AssemblyScript TLSF in Wasm", openTlsf, size, 0),
      loopCase(
        "perdure, Ptr",
        async () => {
          const memory = openVolatile();
          const loop: Loop = (iterations) => {
            for (let left = iterations; left > 0; left--) memory.release(memory.alloc(size));
          };
          return [loop, () => letGo(memory)];
        },
        fromJavaScript,
      ),
      loopCase(
        "perdure, Ptr, not zeroed",
        async () => {
          const memory = openVolatile();
          const options = { zero: false };
          const loop: Loop = (iterations) => {
            for (let left = iterations; left > 0; left--) memory.release(memory.alloc(size, options));
          };
          return [loop, () => letGo(memory)];
        },
        fromJavaScript,
      ),
      loopCase("AssemblyScript TLSF from JavaScript", async () => {
        const { loops } = await openTlsf();
        const { takeOne, giveOne } = loops;
        return [
          (iterations) => {
            for (let left = iterations; left > 0; left--) giveOne(takeOne(size, 0));
          },
        ];
      }),
      loopCase("@thi.ng/malloc", async () => {
        const pool = openThing(thingBytes);
        return [
          (iterations) => {
            for (let left = iterations; left > 0; left--) pool.free(pool.malloc(size));
          },
        ];
      }),
    ],
  };
}

export default [16, 64, 128, 512].map(pairsWorkload);
