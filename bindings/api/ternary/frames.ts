/**
 * The frame allocator: physical memory is handed out and given back here. The work is done by assembly/page/physical.ts; docs/ENGINE.md §12.
 *
 * A frame has a holder, the program, from `allocate` to `deallocate`, and beside that the page table entries that map it; it is free when it has none of both.
 */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import type { View } from "../view.js";
import { Mode, Zone } from "./enums.js";
import { type Frame, frameOf, numberOf } from "./frame.js";
import { FrameGuard, type GuardOwner } from "./frame-guard.js";
import { FrameView, runOf } from "./frame-view.js";
import { type TernaryFunctions, ternaryFunctions } from "./functions.js";
import type { Machine } from "./machine.js";
import { PhysicalMemory } from "./physical.js";
import { FRAME_BYTES, type FrameRange, PAGE_TRYTES, readRanges, zoneOf } from "./regions.js";

export interface ZoneStatistics {
  totalFrames: number;
  freeFrames: number;
  usedFrames: number;
  /** What part of the free frames lies outside of the longest free run of its region, in percent; 0 when none is free. */
  fragmentationPercent: number;
}

export interface FrameStatistics extends ZoneStatistics {
  /** By `Zone`: the figures of DMA, Normal and High. */
  byZone: readonly [ZoneStatistics, ZoneStatistics, ZoneStatistics];
}

export interface FrameOwners {
  /** Whether the program holds it. */
  held: boolean;
  /** Page table entries that map it. */
  mappings: number;
}

/** Of frames of a large page. */
const LARGE_FRAMES = 3;
/** Instead of a zone: any. */
const ANY = 3;
const HELD = 2 ** 31;
const COUNT_MAX = 2 ** 32;

export class FrameAllocator implements GuardOwner {
  /** Guards that have a frame. @internal */
  readonly guards = new Set<FrameGuard>();
  private readonly views = new Set<FrameView>();
  private readonly engine: Engine;
  private readonly functions: TernaryFunctions;
  private readonly physical: PhysicalMemory;
  private isListening = false;

  /** Made with its ternary memory. @internal */
  constructor(private readonly machine: Machine) {
    this.engine = machine.memory.engine;
    this.functions = ternaryFunctions(this.engine);
    this.physical = new PhysicalMemory(machine, this.functions);
  }

  // Handing out

  /** A frame of zeros. Without a zone: from Normal; when that is full from High, and from DMA last. OUT_OF_MEMORY. */
  allocate(zone?: Zone): Frame {
    const first = this.take(1, 1, zone);
    if (first < 0) throw refusal(1, zone);
    return frameOf(first);
  }

  /** The same; null when there is none. */
  tryAllocate(zone?: Zone): Frame | null {
    const first = this.take(1, 1, zone);
    return first < 0 ? null : frameOf(first);
  }

  /** `count` frames one behind the other, for a buffer that must not have gaps. OUT_OF_MEMORY when no run of free frames is long enough. */
  allocateContiguous(count: number, zone?: Zone): Frame[] {
    const frames = this.tryAllocateContiguous(count, zone);
    if (frames === null) throw refusal(count, zone);
    return frames;
  }

  /** The same; null when there are none. */
  tryAllocateContiguous(count: number, zone?: Zone): Frame[] | null {
    if (!Number.isSafeInteger(count) || count < 1)
      throw new PerdureError("INVALID_ARGUMENT", `frames are counted from 1 on, not ${String(count)}`);
    const first = count < COUNT_MAX ? this.take(count, 1, zone) : -1;
    return first < 0 ? null : run(first, count);
  }

  /** Three frames one behind the other, the first at a multiple of three: what a large page needs. OUT_OF_MEMORY. */
  allocateLarge(zone?: Zone): Frame[] {
    const frames = this.tryAllocateLarge(zone);
    if (frames === null) throw refusal(LARGE_FRAMES, zone);
    return frames;
  }

  /** The same; null when there are none. */
  tryAllocateLarge(zone?: Zone): Frame[] | null {
    const first = this.take(LARGE_FRAMES, LARGE_FRAMES, zone);
    return first < 0 ? null : run(first, LARGE_FRAMES);
  }

  /** A frame that is deallocated at the end of the scope, with `using`. OUT_OF_MEMORY. */
  guard(zone?: Zone): FrameGuard {
    this.listen();
    return new FrameGuard(this, this.allocate(zone));
  }

  /**
   * Lets go of a frame; it is free unless it is mapped. DOUBLE_FREE when nobody holds it, INVALID_ADDRESS for what never was handed out; BUSY while a
   * view of it is open.
   */
  deallocate(frame: Frame): void {
    const number = numberOf(frame);
    const { engine, functions } = this;
    const { record } = this.machine;
    if (engine.watches.size > 0) this.refuseWatched(record, number);
    const code = engine.core.codeOf(engine.mutate(() => functions.deallocateFrame(record, number)));
    if (code === "DOUBLE_FREE") throw new PerdureError(code, `frame ${number} is not allocated`);
    if (code !== null) throw new PerdureError(code, `frame ${number} was never handed out`);
  }

  /** Lets go of all of them, or, when one cannot be let go of, of none: the errors are those of `deallocate`. */
  deallocateAll(frames: readonly Frame[]): void {
    const seen = new Set<number>();
    for (const frame of frames) {
      const { held } = this.ownersOf(frame);
      if (!held || seen.has(frame.number))
        throw new PerdureError("DOUBLE_FREE", `frame ${frame.number} is not allocated`);
      seen.add(frame.number);
      if (this.engine.watches.size > 0) this.refuseWatched(this.machine.record, frame.number);
    }
    for (const frame of frames) this.deallocate(frame);
  }

  // Looking

  /** The frame of this number. INVALID_ADDRESS when there is none. */
  at(number: number): Frame {
    const { engine, functions } = this;
    const { record } = this.machine;
    const address = engine.ask(() => functions.frameAddress(record, number));
    if (engine.core.codeOf(address) !== null)
      throw new PerdureError("INVALID_ADDRESS", `this memory has no frame ${String(number)}`);
    return frameOf(number);
  }

  /** Who needs a frame: nobody when it is free. INVALID_ADDRESS when there is no such frame. */
  ownersOf(frame: Frame): FrameOwners {
    const { number } = this.at(numberOf(frame));
    const { record } = this.machine;
    const word = this.engine.ask(() => this.functions.frameOwners(record, number));
    return { held: word >= HELD, mappings: word % HELD };
  }

  /** The frames there are, in ascending order. */
  get ranges(): FrameRange[] {
    return readRanges(this.engine, this.machine.record);
  }

  /** Takes as long as it takes to look at a bit for each frame that was ever in use. */
  statistics(): FrameStatistics {
    const byZone = [Zone.DMA, Zone.Normal, Zone.High].map((zone) => this.figures(zone));
    return { ...this.figures(ANY), byZone: byZone as [ZoneStatistics, ZoneStatistics, ZoneStatistics] };
  }

  // The content of physical memory: for the kernel and above

  /** A copy of `trytes` trytes from a frame's beginning, or from a physical address on. INVALID_ADDRESS where no frame is in use. */
  read(from: Frame | number, trytes = PAGE_TRYTES): Int16Array {
    return this.physical.read(addressOf(from), trytes);
  }

  /** INVALID_ARGUMENT when a value is no tryte, −364 … 364. */
  write(to: Frame | number, trytes: ArrayLike<number>): void {
    this.physical.write(addressOf(to), trytes);
  }

  loadTryte(address: number): number {
    return this.physical.read(address, 1)[0]!;
  }

  storeTryte(address: number, value: number): void {
    this.physical.write(address, [value]);
  }

  /**
   * The live memory of frames that lie one behind the other in DMA or Normal, as one typed array: what `allocateContiguous` gives. It closes when a rollback
   * takes one of them away. INVALID_ARGUMENT for other frames, INVALID_ADDRESS when one of them is not allocated: what is only mapped may go at any time.
   */
  view(frames: readonly Frame[], options?: { writable?: boolean }): View<Int16Array> {
    this.machine.require(Mode.Kernel, "a view of physical memory");
    const first = runOf(frames);
    const last = first + frames.length - 1;
    const { memory, record } = this.machine;
    const address = this.physical.addressOfRun(record, first, frames.length);
    if (!this.areHeld(first, frames.length))
      throw new PerdureError("INVALID_ADDRESS", `not all of the frames ${first} … ${last} are allocated`);
    this.listen();
    const writable = options?.writable ?? !memory.readOnly;
    return new FrameView(memory, this.views, first, frames.length, address, writable);
  }

  /** @internal */
  get isOpen(): boolean {
    return this.machine.memory.isOpen;
  }

  // Inside

  private take(count: number, align: number, zone: Zone | undefined): number {
    if (zone !== undefined && (typeof zone !== "number" || Zone[zone] === undefined))
      throw new PerdureError("INVALID_ARGUMENT", `a zone is one of Zone, not ${String(zone)}`);
    const { functions } = this;
    const { record } = this.machine;
    let first = -1;
    this.engine.mutate(() => {
      first = functions.allocateFrames(record, count, align, zone ?? ANY);
      return 0;
    });
    return first;
  }

  private figures(zone: number): ZoneStatistics {
    const { engine, functions } = this;
    const { record } = this.machine;
    engine.ask(() => {
      functions.memoryStatistics(record, zone);
      return 0;
    });
    const { data, constants } = engine.core;
    const [total, free, longest] = [0, 8, 16].map((at) => data.getFloat64(constants.EXCHANGE + at, true)) as [
      number,
      number,
      number,
    ];
    const fragmentationPercent = free === 0 ? 0 : (100 * (free - longest)) / free;
    return { totalFrames: total, freeFrames: free, usedFrames: total - free, fragmentationPercent };
  }

  private refuseWatched(record: number, number: number): void {
    const { engine, functions } = this;
    engine.ensureWritable();
    if (zoneOf(number) === Zone.High) return;
    const address = engine.ask(() => functions.frameAddress(record, number));
    if (engine.core.codeOf(address) === null && engine.isWatched(address, FRAME_BYTES))
      throw new PerdureError("BUSY", `deallocate: a view of frame ${number} is open; close it first`);
  }

  private areHeld(first: number, count: number): boolean {
    const { engine, functions } = this;
    const { record } = this.machine;
    for (let frame = first; frame < first + count; frame++)
      if (engine.ask(() => functions.frameOwners(record, frame)) < HELD) return false;
    return true;
  }

  /** After a rollback and the like, guards and views may be of frames that are not there any more. */
  private listen(): void {
    if (this.isListening) return;
    this.isListening = true;
    this.engine.resumed.add(() => {
      const isGone = this.isGone();
      for (const guard of this.guards) if (isGone || !this.ownersOf(guard.frame).held) guard.release();
      for (const view of this.views) if (isGone || !this.areHeld(view.first, view.count)) view.close();
    });
  }

  private isGone(): boolean {
    try {
      return this.machine.record === 0;
    } catch (error) {
      if (error instanceof PerdureError && error.code === "NOT_FOUND") return true;
      throw error;
    }
  }
}

function run(first: number, count: number): Frame[] {
  return Array.from({ length: count }, (_, i) => frameOf(first + i));
}

function refusal(count: number, zone: Zone | undefined): PerdureError {
  const what = count === 1 ? "no frame is free" : `no ${count} frames in a row are free`;
  return new PerdureError("OUT_OF_MEMORY", zone === undefined ? what : `${what} in ${Zone[zone]}`);
}

function addressOf(at: Frame | number): number {
  return typeof at === "number" ? at : numberOf(at) * PAGE_TRYTES;
}
