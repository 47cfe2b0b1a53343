// One number stored or loaded in a JavaScript loop: through the memory, through a `Ptr`, and as plain memory is written and read. Every loop
// is a function of its own, so that none is compiled for more than one kind of object.

import type { Memory, Ptr } from "../bindings/index.js";
import { Random } from "../test/support/random.js";
import { letGo, openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";

const blockBytes = 4096;
const mebibyte = 2 ** 20;
const dataView = "DataView";
const storeBars: Bar[] = [{ of: dataView, timeAtMost: 1.5 }];

/** Where the loops work: an object of the memory and as many bytes outside of it. */
interface Ground {
  memory: Memory;
  /** The object; it is kept, because V8 drops what it has compiled for pointers when none is left. */
  object: Ptr;
  address: number;
  view: DataView;
  u32: Uint32Array;
  f64: Float64Array;
  // What is declared outside of a loop is looked up in each turn of one that calls anything; so these are handed in.
  sequentialMask: number;
  offsets: Uint32Array;
  offsetMask: number;
}

const sequentialMask = mebibyte - 1;
/** Two, and as much between them that is not used. */
const areas = 3 * mebibyte;
const scatteredBytes = 64 * mebibyte;
const offsetMask = 2 ** 18 - 1;
const random = new Random(1);
const offsets = Uint32Array.from({ length: offsetMask + 1 }, () => 8 * random.below(scatteredBytes / 8));

type Loop = (ground: Ground, iterations: number) => unknown;

function workload(name: string, bytes: number, cases: readonly { name: string; loop: Loop; bars?: Bar[] }[]) {
  let ground: Ground | null = null;
  let users = 0;
  const build = ({ name, loop, bars }: (typeof cases)[number]): Case => ({
    name,
    bars: bars ?? [],
    setup() {
      users++;
      ground ??= prepare(bytes);
    },
    run: (iterations) => loop(ground!, iterations),
    teardown() {
      if (--users > 0) return;
      letGo(ground!.memory);
      ground = null;
    },
  });
  return { name, unit: "ns/op", reference: dataView, cases: cases.map(build) } satisfies Workload;
}

function isUnused(bytes: number, at: number): boolean {
  return bytes === areas && at >= mebibyte && at < 2 * mebibyte;
}

/** All that is used has been written, so that no loop meets a page for the first time; block by block, so that accesses have met blocks that were not ready. */
function prepare(bytes: number): Ground {
  const memory = openVolatile();
  const object = memory.alloc(bytes);
  const { address } = object;
  const buffer = new ArrayBuffer(bytes);
  const f64 = new Float64Array(buffer).fill(1);
  for (let at = 0; at < bytes; at += blockBytes) {
    if (isUnused(bytes, at)) continue;
    memory.setU32(address + at, 0);
    memory.write(address + at, new Uint8Array(buffer, at, blockBytes));
  }
  const views = { view: new DataView(buffer), u32: new Uint32Array(buffer), f64 };
  return { memory, object, address, ...views, sequentialMask, offsets, offsetMask };
}

/** Sums are answered so that no load can be left out. */
const sequential = [
  workload("stores of a u32, one after the other in 1 MiB", mebibyte, [
    {
      name: dataView,
      loop({ view, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++) view.setUint32((i << 2) & sequentialMask, i, true);
      },
    },
    {
      name: "Uint32Array",
      loop({ u32, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++) u32[i & (sequentialMask >> 2)] = i;
      },
    },
    {
      name: "memory.setU32",
      bars: storeBars,
      loop({ memory, address, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++) memory.setU32(address + ((i << 2) & sequentialMask), i);
      },
    },
    {
      name: "Ptr, a new one each time",
      loop({ object: start, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++) start.add((i << 2) & sequentialMask).u32 = i;
      },
    },
  ]),
  workload("loads of an f64, one after the other in 1 MiB", mebibyte, [
    {
      name: dataView,
      loop({ view, sequentialMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += view.getFloat64((i << 3) & sequentialMask, true);
        return sum;
      },
    },
    {
      name: "Float64Array",
      loop({ f64, sequentialMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += f64[i & (sequentialMask >> 3)];
        return sum;
      },
    },
    {
      name: "memory.getF64",
      bars: storeBars,
      loop({ memory, address, sequentialMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += memory.getF64(address + ((i << 3) & sequentialMask));
        return sum;
      },
    },
    {
      name: "Ptr, a new one each time",
      loop({ object: start, sequentialMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += start.add((i << 3) & sequentialMask).f64;
        return sum;
      },
    },
  ]),
];

const alternating = [
  workload("stores of a u32, in turn in two areas of 1 MiB", areas, [
    {
      name: dataView,
      loop({ view, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++)
          view.setUint32(((i << 1) & sequentialMask & ~3) + ((i & 1) << 21), i, true);
      },
    },
    {
      name: "Uint32Array",
      loop({ u32, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++) u32[(((i << 1) & sequentialMask) >> 2) + ((i & 1) << 19)] = i;
      },
    },
    {
      name: "memory.setU32",
      bars: storeBars,
      loop({ memory, address, sequentialMask }, iterations) {
        for (let i = 0; i < iterations; i++)
          memory.setU32(address + ((i << 1) & sequentialMask & ~3) + ((i & 1) << 21), i);
      },
    },
    {
      name: "two Ptrs",
      loop({ memory, address }, iterations) {
        const first = memory.ptr(address);
        const second = memory.ptr(address + 2 * mebibyte);
        for (let i = 0; i < iterations; i += 2) {
          first.u32 = i;
          second.u32 = i;
        }
      },
    },
  ]),
];

const scattered = [
  workload("stores of a u32, at random in 64 MiB", scatteredBytes, [
    {
      name: dataView,
      loop({ view, offsets, offsetMask }, iterations) {
        for (let i = 0; i < iterations; i++) view.setUint32(offsets[i & offsetMask], i, true);
      },
    },
    {
      name: "Uint32Array",
      loop({ u32, offsets, offsetMask }, iterations) {
        for (let i = 0; i < iterations; i++) u32[offsets[i & offsetMask] >>> 2] = i;
      },
    },
    {
      name: "memory.setU32",
      bars: storeBars,
      loop({ memory, address, offsets, offsetMask }, iterations) {
        for (let i = 0; i < iterations; i++) memory.setU32(address + offsets[i & offsetMask], i);
      },
    },
  ]),
  workload("loads of an f64, at random in 64 MiB", scatteredBytes, [
    {
      name: dataView,
      loop({ view, offsets, offsetMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += view.getFloat64(offsets[i & offsetMask], true);
        return sum;
      },
    },
    {
      name: "Float64Array",
      loop({ f64, offsets, offsetMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += f64[offsets[i & offsetMask] >>> 3];
        return sum;
      },
    },
    {
      name: "memory.getF64",
      bars: storeBars,
      loop({ memory, address, offsets, offsetMask }, iterations) {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += memory.getF64(address + offsets[i & offsetMask]);
        return sum;
      },
    },
  ]),
];

export default [...sequential, ...alternating, ...scattered];
