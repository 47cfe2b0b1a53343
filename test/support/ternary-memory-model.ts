// The frames of a ternary memory as a map from number to content, and random work on both through what programs see.

import assert from "node:assert/strict";
import type { Memory } from "../../bindings/index.js";
import { type Frame, type TernaryMemory, type TernaryOptions, Zone } from "../../bindings/ternary.js";
import { expectCode } from "./expect-code.js";
import type { Random } from "./random.js";

const FRAME = 1458;
const TRYTES = 729;

/** Frames in every zone, a few of each. */
export const smallRegions: TernaryOptions = {
  regions: [
    { start: 0, end: 40 * FRAME },
    { start: 2 ** 24 - 20 * FRAME, end: 2 ** 24 + 30 * FRAME },
    { start: 2 ** 32, end: 2 ** 32 + 120 * FRAME },
    { start: 2 ** 40, end: 2 ** 40 + 60 * FRAME },
  ],
};

/** What each allocated frame contains. No array in it is ever changed. */
export type FramesState = Map<number, Int16Array>;

const zeros = new Int16Array(TRYTES);

/** How a memory's frames are not those of a state; null when they are. */
export function framesDifference(memory: Memory, state: FramesState): string | null {
  let ternary: TernaryMemory;
  try {
    ternary = memory.ternary("t");
  } catch {
    return "there is no ternary memory";
  }
  const { frames } = ternary;
  for (const { first, count } of frames.ranges) {
    for (let number = first; number < first + count; number++) {
      const { held, mappings } = frames.ownersOf(frames.at(number));
      if (held !== state.has(number) || mappings !== 0)
        return `frame ${number}: held ${held}, mapped ${mappings}`;
    }
  }
  for (const [number, content] of state)
    if (!same(frames.read(frames.at(number)), content)) return `frame ${number} has another content`;
  return null;
}

const same = (a: Int16Array, b: Int16Array) => Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
const bytesOf = (cells: Int16Array) => new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);

export function assertFrames(memory: Memory, state: FramesState): void {
  assert.equal(framesDifference(memory, state), null);
  assert.deepEqual(memory.check().problems, []);
  const { totalFrames, freeFrames, usedFrames, byZone } = memory.ternary("t").frames.statistics();
  assert.equal(usedFrames, state.size);
  assert.equal(freeFrames, totalFrames - state.size);
  const zones = [Zone.DMA, Zone.Normal, Zone.High];
  const used = zones.map((zone) => [...state.keys()].filter((number) => zoneByHand(number) === zone).length);
  assert.deepEqual(
    byZone.map((zone) => zone.usedFrames),
    used,
  );
}

/** By bytes, as docs/ENGINE.md §12 has it. */
export function zoneByHand(number: number): Zone {
  if ((number + 1) * FRAME <= 2 ** 24) return Zone.DMA;
  return (number + 1) * FRAME <= 2 ** 32 ? Zone.Normal : Zone.High;
}

export class FramesWork {
  ternary: TernaryMemory;

  constructor(
    public memory: Memory,
    private readonly random: Random,
    public state: FramesState = new Map(),
  ) {
    this.ternary = memory.ternary("t", smallRegions);
  }

  /** After a rollback, or with another memory. */
  continueWith(state: FramesState, memory = this.memory): void {
    this.state = new Map(state);
    this.memory = memory;
    this.ternary = memory.ternary("t", smallRegions);
  }

  step(): void {
    const { random, state } = this;
    const { frames } = this.ternary;
    const zone = random.pick([undefined, Zone.DMA, Zone.Normal, Zone.High]);
    const some = state.size > 0 ? frames.at(random.pick([...state.keys()])) : null;
    const choice = random.below(20);
    if (choice < 5) this.adopt(frames.tryAllocate(zone), zone);
    else if (choice < 8) this.adoptAll(frames.tryAllocateContiguous(1 + random.below(20), zone), zone);
    else if (choice < 9) this.adoptAll(frames.tryAllocateLarge(zone), zone);
    else if (choice < 10) this.guard();
    else if (some === null) return;
    else if (choice < 15) this.free(some);
    else if (choice < 18) this.write(some);
    else if (choice < 19) this.view(some);
    else assert.ok(same(frames.read(some), state.get(some.number)!));
  }

  private adopt(frame: Frame | null, zone: Zone | undefined): void {
    if (frame !== null) this.adoptAll([frame], zone);
  }

  private adoptAll(frames: Frame[] | null, zone: Zone | undefined): void {
    for (const [i, frame] of (frames ?? []).entries()) {
      assert.equal(frame.number, frames![0]!.number + i);
      assert.equal(frame.startAddress, TRYTES * frame.number);
      assert.equal(frame.zone, zoneByHand(frame.number));
      if (zone !== undefined) assert.equal(frame.zone, zone);
      assert.ok(!this.state.has(frame.number), `frame ${frame.number} is in use`);
      this.state.set(frame.number, zeros);
      assert.ok(same(this.ternary.frames.read(frame), zeros), `frame ${frame.number} is not zeros`);
      if (this.random.oneIn(2)) this.write(frame);
    }
  }

  private free(frame: Frame): void {
    const { frames } = this.ternary;
    frames.deallocate(frame);
    this.state.delete(frame.number);
    expectCode("DOUBLE_FREE", () => frames.deallocate(frame));
    expectCode("INVALID_ADDRESS", () => frames.read(frame));
  }

  private guard(): void {
    const { frames } = this.ternary;
    if (frames.statistics().freeFrames === 0) {
      expectCode("OUT_OF_MEMORY", () => frames.guard());
      return;
    }
    const guard = frames.guard();
    if (this.random.oneIn(2)) this.adopt(guard.release(), undefined);
    guard[Symbol.dispose]();
  }

  /** Some trytes of it, and perhaps of the frames behind. */
  private write(frame: Frame): void {
    const { random, state } = this;
    let last = frame.number;
    while (random.oneIn(2) && state.has(last + 1)) last++;
    const room = (last + 1 - frame.number) * TRYTES;
    const offset = random.below(TRYTES);
    const cells = Int16Array.from({ length: 1 + random.below(room - offset) }, () => random.below(729) - 364);
    this.ternary.frames.write(frame.startAddress + offset, cells);
    this.note(frame.startAddress + offset, cells);
    assert.ok(same(this.ternary.frames.read(frame.startAddress + offset, cells.length), cells));
  }

  private note(address: number, cells: ArrayLike<number>): void {
    const changed = new Map<number, Int16Array>();
    for (let i = 0; i < cells.length; i++) {
      const number = Math.floor((address + i) / TRYTES);
      const content = changed.get(number) ?? this.state.get(number)!.slice();
      content[address + i - number * TRYTES] = cells[i]!;
      changed.set(number, content);
    }
    for (const [number, content] of changed) this.state.set(number, content);
  }

  /** Stores that nobody sees, through a typed array. */
  private view(frame: Frame): void {
    const { random } = this;
    const { frames } = this.ternary;
    if (frame.zone === Zone.High) {
      expectCode("INVALID_ARGUMENT", () => frames.view([frame]));
      return;
    }
    const view = frames.view([frame]);
    assert.ok(same(view.array.slice(), this.state.get(frame.number)!));
    const at = random.below(TRYTES);
    view.array[at] = random.below(729) - 364;
    this.note(frame.startAddress + at, [view.array[at]!]);
    expectCode("BUSY", () => frames.deallocate(frame));
    view.close();
  }
}
