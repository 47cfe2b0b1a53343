// 100,000 live objects of 16 to 512 bytes, log-uniform: one of them at random goes, and another of a random size takes its place; that is one
// operation. Then how much memory that took at the most, and whether it was more after ten times as many. @thi.ng/malloc looks for what is
// freed in a list of all that is live, so it is not asked for the amounts.

import { Random } from "../test/support/random.js";
import { letGo, openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import {
  drawSizes,
  loopCase,
  notZeroing,
  openEngineHeap,
  openThing,
  openTlsf,
  sizeCount,
  type WasmHeap,
  zeroing,
} from "./heaps.js";

const live = 100_000;
const sizes = drawSizes();
const seed = 0x9e3779b9;
const thingBytes = 2 ** 26;

// Time

function wasmCase(name: string, open: () => Promise<WasmHeap>, zero: number, bars: Bar[] = []): Case {
  const build = async () => {
    const { loops, memory, scratch } = await open();
    const table = scratch + sizes.byteLength;
    new Uint16Array(memory.buffer, scratch, sizeCount).set(sizes);
    loops.populate(table, live, scratch, sizeCount - 1, zero);
    let state = seed;
    return {
      loop(iterations: number) {
        state = loops.churn(table, live, scratch, sizeCount - 1, zero, state, iterations);
      },
    };
  };
  return loopCase(name, build, bars);
}

/** What goes and what comes: the same numbers as the loop in Wasm draws. */
class Draws {
  private state = seed;

  /** Which object goes; the next one takes its place. */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return Math.floor(((this.state >>> 0) / 2 ** 32) * live);
  }

  size(): number {
    return sizes[this.state & (sizeCount - 1)];
  }
}

const memoryCase = loopCase("perdure, Ptr, zeroing", async () => {
  const memory = openVolatile();
  const objects = Array.from({ length: live }, (_, i) => memory.alloc(sizes[i % sizeCount]));
  const draws = new Draws();
  return {
    loop(iterations) {
      for (let left = iterations; left > 0; left--) {
        const at = draws.next();
        memory.release(objects[at]);
        objects[at] = memory.alloc(draws.size());
      }
    },
    close: () => letGo(memory),
  };
});

const thingCase = loopCase("@thi.ng/malloc", async () => {
  const pool = openThing(thingBytes);
  const objects = Array.from({ length: live }, (_, i) => pool.malloc(sizes[i % sizeCount]));
  const draws = new Draws();
  return {
    loop(iterations) {
      for (let left = iterations; left > 0; left--) {
        const at = draws.next();
        pool.free(objects[at]);
        objects[at] = pool.malloc(draws.size());
      }
    },
  };
});

const time: Workload = {
  name: `an object goes and another comes, among ${live.toLocaleString("en-US")}`,
  unit: "ns/op",
  cases: [
    wasmCase(notZeroing, openEngineHeap, 0, [{ nanosecondsAtMost: 40 }]),
    wasmCase("AssemblyScript TLSF in Wasm", openTlsf, 0),
    wasmCase(zeroing, openEngineHeap, 1),
    memoryCase,
    thingCase,
  ],
};

// Size

interface Heap {
  take(size: number): number;
  give(address: number): void;
  close(): void;
}

async function openPerdure(): Promise<Heap> {
  const memory = openVolatile();
  return {
    take: (size) => memory.alloc(size).address,
    give: (address) => memory.release(memory.ptr(address)),
    close: () => letGo(memory),
  };
}

async function openTlsfHeap(): Promise<Heap> {
  const { loops } = await openTlsf();
  return { take: (size) => loops.takeOne(size, 0) >>> 0, give: loops.giveOne, close: () => {} };
}

interface Extent {
  /** From the lowest address that ever was an object's to the end of the highest. */
  peak: number;
  /** The most bytes that were live at once, as they were asked for. */
  live: number;
}

function churn({ take, give }: Heap, operations: number): Extent {
  const random = new Random(1);
  const addresses = new Float64Array(live);
  const lengths = new Uint16Array(live);
  let lowest = Number.POSITIVE_INFINITY;
  let highest = 0;
  let sum = 0;
  let most = 0;
  const put = (at: number): void => {
    const size = sizes[random.below(sizeCount)];
    const address = take(size);
    addresses[at] = address;
    lengths[at] = size;
    sum += size;
    lowest = Math.min(lowest, address);
    highest = Math.max(highest, address + size);
    most = Math.max(most, sum);
  };
  for (let at = 0; at < live; at++) put(at);
  for (let left = operations; left > 0; left--) {
    const at = random.below(live);
    give(addresses[at]);
    sum -= lengths[at];
    put(at);
  }
  return { peak: highest - lowest, live: most };
}

function sizeCase(
  name: string,
  open: () => Promise<Heap>,
  operations: number,
  answer: keyof Extent,
  bars: Bar[] = [],
): Case {
  return {
    name,
    bars,
    async run() {
      const heap = await open();
      const extent = churn(heap, operations);
      heap.close();
      return extent[answer];
    },
  };
}

const few = 1_000_000;
const many = 10 * few;
const longer = ", 10 × as many operations";

/** Peaks are judged by the most bytes that were live in a run as long. */
function sizeCases(suffix: string, operations: number, bars: Bar[]): Case[] {
  const most = `the most bytes live${suffix}`;
  return [
    sizeCase(most, openPerdure, operations, "live"),
    sizeCase(`perdure${suffix}`, openPerdure, operations, "peak", [{ of: most, sizeAtMost: 1.15 }, ...bars]),
    sizeCase(`AssemblyScript TLSF${suffix}`, openTlsfHeap, operations, "peak"),
  ];
}

const size: Workload = {
  name: `memory in use at the most, ${live.toLocaleString("en-US")} live objects, ${few.toLocaleString("en-US")} operations`,
  unit: "MiB",
  iterations: 1,
  rounds: 1,
  cases: [...sizeCases("", few, []), ...sizeCases(longer, many, [{ of: "perdure", sizeAtMost: 1.02 }])],
};

export default [time, size];
