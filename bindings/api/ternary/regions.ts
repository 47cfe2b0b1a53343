/**
 * Which frames a ternary memory has: what its options ask for, cut at the borders of the zones, and what its record in the image says. Pure, but for the
 * reading of the record. docs/ENGINE.md §12.
 */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import { FRAME_MAX, PAGE_TRYTES } from "../../trit/address.js";
import { Zone } from "./enums.js";

export { PAGE_TRYTES };

/** A range of physical memory in bytes, end exclusive; rounded inward to whole frames. */
export interface MemoryRegion {
  readonly start: number;
  readonly end: number;
}

export interface TernaryOptions {
  /** What physical memory there is; instead of `lowBytes` and `highBytes`. */
  regions?: readonly MemoryRegion[];
  /** Bytes from 0 on; default 32 MiB. */
  lowBytes?: number;
  /** Bytes from 4 GiB on, kept outside of linear memory; default none. */
  highBytes?: number;
  /** Bytes of the windows through which all high memory is seen, that of this memory and any other; default as it is. */
  windowBytes?: number;
}

/** Consecutive frames of one zone. */
export interface FrameRange {
  readonly first: number;
  readonly count: number;
  readonly zone: Zone;
}

/** Of a frame: two bytes a tryte. */
export const FRAME_BYTES = 2 * PAGE_TRYTES;
const FRAMES = FRAME_MAX + 1;
const DMA_BYTES = 2 ** 24;
const HIGH_BYTES = 2 ** 32;
/** Frames of the low zones end there. */
const DMA_END = Math.floor(DMA_BYTES / FRAME_BYTES);
const NORMAL_END = Math.floor(HIGH_BYTES / FRAME_BYTES);
const HIGH_BEGIN = Math.ceil(HIGH_BYTES / FRAME_BYTES);
/** The most frames that one record describes. */
const RANGE_FRAMES = 27 * 2 ** 26;
const LOW_DEFAULT = 32 * 2 ** 20;

/** Of any frame number, whether such a frame is there or not; the frame that lies across 4 GiB never is. */
export function zoneOf(frame: number): Zone {
  return frame < DMA_END ? Zone.DMA : frame < NORMAL_END ? Zone.Normal : Zone.High;
}

/** Whether the options say what memory there is. */
export function namesRegions({ regions, lowBytes, highBytes }: TernaryOptions): boolean {
  return regions !== undefined || lowBytes !== undefined || highBytes !== undefined;
}

/** The frames that are asked for, in ascending order, those of each range in one zone. INVALID_ARGUMENT. */
export function rangesOf(options: TernaryOptions): FrameRange[] {
  const asked = [...regionsOf(options)].sort((a, b) => a.start - b.start);
  const ranges: FrameRange[] = [];
  let reached = 0;
  for (const { start, end } of asked) {
    const what = `region ${start} … ${end}`;
    if (!isByte(start) || !isByte(end)) throw invalid(`${what}: start and end are whole numbers of bytes`);
    if (end > FRAMES * FRAME_BYTES) throw invalid(`${what}: physical memory ends at ${FRAMES * FRAME_BYTES}`);
    if (start < reached) throw invalid(`${what}: lies over another region`);
    reached = end;
    const found = cut(Math.ceil(start / FRAME_BYTES), Math.floor(end / FRAME_BYTES));
    if (found.length === 0) throw invalid(`${what}: has no whole frame of ${FRAME_BYTES} bytes`);
    ranges.push(...found);
  }
  if (ranges.length === 0) throw invalid("a ternary memory has one region at least");
  return ranges;
}

function regionsOf({ regions, lowBytes, highBytes }: TernaryOptions): readonly MemoryRegion[] {
  if (regions !== undefined) {
    if (lowBytes !== undefined || highBytes !== undefined)
      throw invalid("give either `regions` or `lowBytes` and `highBytes`");
    return regions;
  }
  const low = { start: 0, end: lowBytes ?? LOW_DEFAULT };
  const high = { start: HIGH_BYTES, end: HIGH_BYTES + (highBytes ?? 0) };
  if (low.end > HIGH_BYTES) throw invalid(`lowBytes: ${low.end}; what lies beyond 4 GiB is high`);
  return [low, high].filter((region) => region.end !== region.start);
}

/** Frames [from, to) by zone. */
function cut(from: number, to: number): FrameRange[] {
  const ranges: FrameRange[] = [];
  const zones = [
    { zone: Zone.DMA, begin: 0, end: DMA_END },
    { zone: Zone.Normal, begin: DMA_END, end: NORMAL_END },
    { zone: Zone.High, begin: HIGH_BEGIN, end: FRAMES },
  ];
  for (const { zone, begin, end } of zones) {
    const last = Math.min(to, end);
    for (let first = Math.max(from, begin); first < last; first += RANGE_FRAMES)
      ranges.push({ first, count: Math.min(last - first, RANGE_FRAMES), zone });
  }
  return ranges;
}

const isByte = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const invalid = (message: string) => new PerdureError("INVALID_ARGUMENT", message);

/** Offsets in the record of a memory, and in the record of a region. */
const MEMORY = { regions: 0, regionCount: 4, bytes: 256 } as const;
const REGION = { capacity: 0, first: 128, zone: 136, bytes: 256 } as const;

/** The frames that the memory has whose record is at this address. */
export function readRanges(engine: Engine, record: number): FrameRange[] {
  engine.ensure(record, MEMORY.bytes, false);
  const { core } = engine;
  const regions = core.data.getUint32(record + MEMORY.regions, true);
  const count = core.data.getUint32(record + MEMORY.regionCount, true);
  engine.ensure(regions, REGION.bytes * count, false);
  const { data } = core;
  return Array.from({ length: count }, (_, i) => {
    const at = regions + REGION.bytes * i;
    return {
      first: Number(data.getBigUint64(at + REGION.first, true)),
      count: data.getUint32(at + REGION.capacity, true),
      zone: data.getUint32(at + REGION.zone, true) as Zone,
    };
  });
}

/** What distinguishes two memories, in words; null when nothing does. */
export function rangesDifference(has: readonly FrameRange[], asked: readonly FrameRange[]): string | null {
  const text = (ranges: readonly FrameRange[]) =>
    ranges.map(({ first, count, zone }) => `${Zone[zone]} ${first} … ${first + count - 1}`).join(", ");
  return text(has) === text(asked) ? null : `it has the frames ${text(has)}; asked for are ${text(asked)}`;
}
