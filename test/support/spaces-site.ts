// A ternary memory with few frames of every zone and an address space in it, for tests of what programs see.

import type { Memory, OpenOptions } from "../../bindings/index.js";
import type { AddressSpace, TernaryMemory, TernaryOptions } from "../../bindings/ternary.js";
import type { States } from "./memory-states.js";

const FRAME = 1458;

export const fewFrames: TernaryOptions = {
  regions: [
    { start: 0, end: 20 * FRAME },
    { start: 2 ** 24, end: 2 ** 24 + 61 * FRAME },
    { start: 2 ** 32, end: 2 ** 32 + 31 * FRAME },
  ],
};

export interface SpacesSite {
  memory: Memory;
  ternary: TernaryMemory;
  space: AddressSpace;
}

export function openSpace(states: States, options: OpenOptions = {}): SpacesSite {
  const memory = states.open(options);
  const ternary = memory.ternary("t", fewFrames);
  return { memory, ternary, space: ternary.space("main") };
}

export const framesUsed = (ternary: TernaryMemory): number => ternary.frames.statistics().usedFrames;
