// Ternary translation: one tryte by its virtual address, when the TLB knows the page and when it does not; forks, and pages that are touched for the first time.
// Beside it the same cells without translation, and what a program would write for itself: a Map from page to array.

import "../bindings/ternary.js";
import type { Memory } from "../bindings/index.js";
import { type AddressSpace, MappingFlags, PageFlags, type TernaryMemory } from "../bindings/ternary.js";
import { letGo, openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import { type Loop, loopCase } from "./heaps.js";
import { compileLoops } from "./loops.js";

const pageTrytes = 729;
const frameBytes = 2 * pageTrytes;
const wasmPageBytes = 65536;
/** Odd, and near the golden ratio's part of 2²⁴: its multiples, modulo a power of two, are nearly at random. */
const stride = 0x9e3779;
/** 2²⁴ trytes, 32 MiB. */
const largest = 2 ** 24;
const pages = Math.ceil(largest / pageTrytes);
const { READ, WRITE } = MappingFlags;

interface Walk {
  readonly title: string;
  readonly step: number;
  /** Trytes, a power of two. */
  readonly range: number;
}

const walks: readonly Walk[] = [
  { title: "1,024 trytes in order", step: 1, range: 1024 },
  { title: "2²⁴ trytes in order", step: 1, range: largest },
  { title: "2¹⁶ trytes at random", step: stride, range: 2 ** 16 },
  { title: "2²³ trytes, 16 MiB, at random", step: stride, range: 2 ** 23 },
];

// In Wasm

interface Loops {
  format(): number;
  createMemory(regions: number): number;
  createSpace(memory: number, isTable: number): number;
  contextOf(space: number, mode: number): number;
  mapRegion(context: number, address: number, trytes: number, flags: number): number;
  touchPage(context: number, address: number, access: number): number;
  frameAddress(memory: number, frame: number): number;
  loads(context: number, step: number, mask: number, count: number): number;
  stores(context: number, step: number, mask: number, count: number): void;
  walks(space: number, step: number, mask: number, count: number): number;
  rawLoads(cells: number, step: number, mask: number, count: number): number;
  checkedLoads(cells: number, step: number, mask: number, count: number): number;
}

interface Machine {
  loops: Loops;
  space: number;
  context: number;
  /** Linear address of the first cell. */
  cells: number;
}

const exchange = 0x31000;
const firstFrame = 20_000;

let module: Promise<WebAssembly.Module> | null = null;

/** A space whose pages all have frames, one behind the other; nothing is ever committed. */
async function openMachine(): Promise<Machine> {
  module ??= compileLoops("translation-loop");
  const memory = new WebAssembly.Memory({ initial: (512 * 2 ** 20) / wasmPageBytes, maximum: wasmPageBytes });
  const ignore = (): void => {};
  const env = { memory, fault: ignore, firstTouch: ignore, spill: ignore };
  const loops = new WebAssembly.Instance(await module, { env }).exports as unknown as Loops;
  check(loops.format());
  const view = new DataView(memory.buffer);
  view.setBigUint64(exchange, BigInt(firstFrame), true);
  view.setUint32(exchange + 8, pages, true);
  view.setUint32(exchange + 12, 1, true);
  const record = loops.createMemory(1) >>> 0;
  const space = loops.createSpace(record, 0) >>> 0;
  const context = loops.contextOf(space, 1) >>> 0;
  check(loops.mapRegion(context, 0, pages * pageTrytes, READ | WRITE));
  for (let page = 0; page < pages; page++) check(loops.touchPage(context, page * pageTrytes, 1));
  loops.stores(context, 1, largest - 1, largest);
  return { loops, space, context, cells: loops.frameAddress(record, firstFrame) >>> 0 };
}

function check(code: number): void {
  if (code !== 0) throw new Error(`code ${code}`);
}

function wasmCase(name: string, loopOf: (machine: Machine) => Loop, bars: Bar[] = []): Case {
  return loopCase(name, async () => ({ loop: loopOf(await openMachine()) }), bars);
}

function inWasm({ title, step, range }: Walk): Workload {
  const mask = range - 1;
  const isKnown = range <= 2 ** 16;
  return {
    name: `a tryte by virtual address in Wasm, ${title}`,
    unit: "ns/op",
    cases: [
      wasmCase(
        "load",
        ({ loops, context }) =>
          (n) =>
            loops.loads(context, step, mask, n),
        isKnown ? [{ nanosecondsAtMost: 3 }] : [],
      ),
      wasmCase(
        "store",
        ({ loops, context }) =>
          (n) =>
            loops.stores(context, step, mask, n),
      ),
      wasmCase(
        "three tables, no TLB",
        ({ loops, space }) =>
          (n) =>
            loops.walks(space, step, mask, n),
        [{ nanosecondsAtMost: 15 }],
      ),
      wasmCase(
        "by linear address",
        ({ loops, cells }) =>
          (n) =>
            loops.rawLoads(cells, step, mask, n),
      ),
      wasmCase(
        "the same, with the block state",
        ({ loops, cells }) =>
          (n) =>
            loops.checkedLoads(cells, step, mask, n),
      ),
    ],
  };
}

// From JavaScript

function openTernary(bytes: number): { memory: Memory; ternary: TernaryMemory; space: AddressSpace } {
  const memory = openVolatile({ reserve: bytes + 256 * 2 ** 20 });
  const ternary = memory.ternary("bench", { regions: [{ start: 2 ** 25, end: 2 ** 25 + bytes }] });
  return { memory, ternary, space: ternary.space("main") };
}

function spaceCase(name: string, loopOf: (space: AddressSpace) => Loop, bars: Bar[] = []): Case {
  const open = async () => {
    const { memory, space } = openTernary((pages + 1) * frameBytes);
    space.mapRegion(0, pages * pageTrytes, READ | WRITE);
    for (let page = 0; page < pages; page++) space.storeTryte(page * pageTrytes, 1);
    return { loop: loopOf(space), close: () => letGo(memory) };
  };
  return loopCase(name, open, bars);
}

function plainCase(name: string, loopOf: () => Loop): Case {
  return loopCase(name, async () => ({ loop: loopOf() }));
}

const pageMap = (): Map<number, Int16Array> =>
  new Map(Array.from({ length: pages }, (_, page) => [page, new Int16Array(pageTrytes).fill(1)]));

function fromJavaScript({ title, step, range }: Walk): Workload {
  const mask = range - 1;
  return {
    name: `a tryte by virtual address from JavaScript, ${title}`,
    unit: "ns/op",
    cases: [
      spaceCase(
        "loadTryte",
        (space) => (n) => {
          let sum = 0;
          for (let at = 0, left = n; left > 0; left--, at = (at + step) & mask) sum += space.loadTryte(at);
          return sum;
        },
        range <= 2 ** 16 ? [{ nanosecondsAtMost: 8 }] : [],
      ),
      spaceCase("storeTryte", (space) => (n) => {
        for (let at = 0, left = n; left > 0; left--, at = (at + step) & mask) space.storeTryte(at, at & 255);
      }),
      plainCase("a Map from page to array", () => {
        const map = pageMap();
        return (n) => {
          let sum = 0;
          for (let at = 0, left = n; left > 0; left--, at = (at + step) & mask) {
            const page = Math.floor(at / pageTrytes);
            sum += map.get(page)![at - page * pageTrytes]!;
          }
          return sum;
        };
      }),
      plainCase("one typed array", () => {
        const cells = new Int16Array(largest).fill(1);
        return (n) => {
          let sum = 0;
          for (let at = 0, left = n; left > 0; left--, at = (at + step) & mask) sum += cells[at]!;
          return sum;
        };
      }),
    ],
  };
}

// Forks, and pages that are touched

const manyPages = 1_000_000;

function forkCase(name: string, after: (child: AddressSpace) => void, bars: Bar[] = []): Case {
  const open = async () => {
    const { memory, ternary, space } = openTernary(100 * frameBytes);
    const frame = ternary.frames.allocate();
    for (let page = 0; page < manyPages; page++) space.map(page * pageTrytes, frame, PageFlags.WRITABLE);
    const loop: Loop = (n) => {
      for (let left = n; left > 0; left--) {
        const child = space.fork("child");
        after(child);
        child.drop();
      }
    };
    return { loop, close: () => letGo(memory) };
  };
  return loopCase(name, open, bars);
}

const forks: Workload = {
  name: "a fork of a million pages, and its end",
  unit: "ms",
  cases: [
    forkCase("fork", () => {}, [{ millisecondsAtMost: 5 }]),
    forkCase("fork, and a write", (child) => child.storeTryte(500_000 * pageTrytes, 1)),
    plainCase("a Map from page to array, copied when written", () => {
      const shared = new Int16Array(pageTrytes);
      const map = new Map(Array.from({ length: manyPages }, (_, page) => [page, shared]));
      return (n) => {
        for (let left = n; left > 0; left--) new Map(map);
      };
    }),
  ],
};

const fresh = 20_000;

const touches: Workload = {
  name: `a promised page that is touched, of ${fresh.toLocaleString("en-US")}`,
  unit: "ns/op",
  iterations: fresh,
  cases: [
    touchCase("storeTryte", (space) => (n) => {
      for (let page = 0; page < n; page++) space.storeTryte(page * pageTrytes, 1);
    }),
    touchCase("loadTryte", (space) => (n) => {
      for (let page = 0; page < n; page++) space.loadTryte(page * pageTrytes);
    }),
    plainCase("a Map from page to array", () => (n) => {
      const map = new Map<number, Int16Array>();
      for (let page = 0; page < n; page++) {
        const cells = new Int16Array(pageTrytes);
        cells[0] = 1;
        map.set(page, cells);
      }
    }),
  ],
};

function touchCase(name: string, loopOf: (space: AddressSpace) => Loop): Case {
  let memory: Memory;
  let space: AddressSpace;
  return {
    name,
    setup() {
      ({ memory, space } = openTernary((fresh + 1) * frameBytes));
    },
    prepare() {
      if (space.regions().length > 0) space.unmapRegion(0, fresh * pageTrytes);
      space.mapRegion(0, fresh * pageTrytes, READ | WRITE);
    },
    run: (iterations) => loopOf(space)(iterations),
    teardown: () => letGo(memory),
  };
}

export default [...walks.map(inWasm), ...walks.map(fromJavaScript), forks, touches];
