// Frames that come and go in a memory of which half is in use, in no order: one, and sixteen in a row, all of them cleared. The peer is what a program would
// write for itself, in ordinary memory that nothing keeps: a list of free frames for one, and a search through flags for a row.

import "../bindings/ternary.js";
import type { Memory } from "../bindings/index.js";
import { type FrameAllocator, Zone } from "../bindings/ternary.js";
import { Random } from "../test/support/random.js";
import { letGo, openVolatile } from "./engines.js";
import type { Case, Workload } from "./harness.js";

const frameCount = 20_000;
/** At the end they are all free. */
const freeTail = 200;
const trytes = 729;
const rowLength = 16;
const plain = "free list in JavaScript";

type Loop = (iterations: number) => void;

/** Which frames are in use before it begins. */
function usedFrames(): boolean[] {
  const random = new Random(7);
  return Array.from({ length: frameCount }, (_, i) => i < frameCount - freeTail && random.oneIn(2));
}

function frameCase(name: string, zone: Zone, loopOf: (frames: FrameAllocator, zone: Zone) => Loop): Case {
  let memory: Memory;
  let loop: Loop;
  return {
    name,
    setup() {
      memory = openVolatile();
      const start = zone === Zone.High ? 2 ** 32 : 2 ** 24;
      const regions = [{ start, end: start + (frameCount + 1) * 2 * trytes }];
      const { frames } = memory.ternary("bench", { regions });
      const all = frames.allocateContiguous(frameCount, zone);
      for (const [i, isUsed] of usedFrames().entries()) if (!isUsed) frames.deallocate(all[i]!);
      loop = loopOf(frames, zone);
    },
    run: (iterations) => loop(iterations),
    teardown: () => letGo(memory),
  };
}

const oneByOne = (frames: FrameAllocator, zone: Zone): Loop => {
  return (iterations) => {
    for (let left = iterations; left > 0; left--) frames.deallocate(frames.allocate(zone));
  };
};

const inRows = (frames: FrameAllocator, zone: Zone): Loop => {
  return (iterations) => {
    for (let left = iterations; left > 0; left--)
      for (const frame of frames.allocateContiguous(rowLength, zone)) frames.deallocate(frame);
  };
};

function plainCase(loopOf: (used: boolean[], cells: Int16Array) => Loop): Case {
  let loop: Loop;
  return {
    name: plain,
    setup() {
      loop = loopOf(usedFrames(), new Int16Array(frameCount * trytes));
    },
    run: (iterations) => loop(iterations),
  };
}

const plainOne = (used: boolean[], cells: Int16Array): Loop => {
  const free = [...used.keys()].filter((frame) => !used[frame]);
  return (iterations) => {
    for (let left = iterations; left > 0; left--) {
      const frame = free.pop()!;
      used[frame] = true;
      cells.fill(0, frame * trytes, (frame + 1) * trytes);
      used[frame] = false;
      free.push(frame);
    }
  };
};

const plainRow = (used: boolean[], cells: Int16Array): Loop => {
  return (iterations) => {
    for (let left = iterations; left > 0; left--) {
      let length = 0;
      let end = 0;
      while (length < rowLength) length = used[end++] ? 0 : length + 1;
      used.fill(true, end - rowLength, end);
      cells.fill(0, (end - rowLength) * trytes, end * trytes);
      used.fill(false, end - rowLength, end);
    }
  };
};

const workloads: Workload[] = [
  {
    name: "allocate and deallocate one frame",
    unit: "ns/op",
    reference: plain,
    cases: [
      plainCase(plainOne),
      frameCase("perdure, Normal", Zone.Normal, oneByOne),
      frameCase("perdure, High", Zone.High, oneByOne),
    ],
  },
  {
    name: `allocate and deallocate ${rowLength} frames in a row`,
    unit: "ns/op",
    reference: plain,
    cases: [
      plainCase(plainRow),
      frameCase("perdure, Normal", Zone.Normal, inRows),
      frameCase("perdure, High", Zone.High, inRows),
    ],
  },
];

export default workloads;
