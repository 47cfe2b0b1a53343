// Checks the physical memory of the ternary memories in an image, as docs/ENGINE.md §12 and §20 describe it. Written from that page; it needs no code of
// ternary memory, so a program that never loaded any finds the same.

import { checkBounds, type ExtentEntry, type ImageReport } from "./check-image.js";
import type { ImageReader } from "./image-reader.js";

const KIND = 4;
const FRAME_BYTES = 1458;
const CLUSTER_BYTES = 40_960;
const CLUSTER_FRAMES = 27;
const CLUSTER_WORDS = 10_240;
const HIGH_IMAGE = 2 ** 32;
/** First frame and the one after the last of each zone. */
const ZONES = [
  [0, 11_507],
  [11_507, 2_945_793],
  [2_945_794, (3 ** 21 + 1) / 2],
] as const;
const MAPPINGS_MAX = 2 ** 31 - 1;
const RANGE_FRAMES = 27 * 2 ** 26;
const PROBLEMS_MAX = 20;

/** A region of physical memory whose record can be true. */
interface Region {
  readonly what: string;
  readonly first: number;
  readonly capacity: number;
  readonly end: number;
  readonly zone: number;
  readonly bitmap: number;
  readonly bounds: number;
  /** Byte of the image where its owner words begin. */
  readonly owners: number;
}

/** How many entries map each frame, by the record of a ternary memory. */
export type Mappings = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** One line for each problem. Owner words are held against `mappings`, if given. */
export function checkTernary(image: ImageReader, report: ImageReport, mappings?: Mappings): string[] {
  return new TernaryChecker(image, report, mappings).problems();
}

class TernaryChecker {
  readonly #problems: string[] = [];
  readonly #extents: Map<number, ExtentEntry>;
  /** Objects of the heap and extents that a region is made of; none may belong to two. */
  readonly #taken = new Set<number>();

  constructor(
    private readonly image: ImageReader,
    private readonly report: ImageReport,
    private readonly mappings: Mappings | undefined,
  ) {
    this.#extents = new Map(report.extents.map((extent) => [extent.address, extent]));
  }

  problems(): string[] {
    for (const [name, { address }] of this.report.names[KIND]!) this.#checkMemory(name, Number(address));
    return this.#problems;
  }

  #expect(condition: boolean, problem: string): boolean {
    if (!condition && this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
    return condition;
  }

  /** A live object of so many bytes, of nobody else. */
  #takes(address: number, bytes: number, what: string): boolean {
    const size = this.report.objects.get(address) ?? 0;
    const isOwn = !this.#taken.has(address);
    this.#taken.add(address);
    return this.#expect(size >= bytes && isOwn, `${what}: no live object of ${bytes} bytes of its own`);
  }

  #checkMemory(name: string, record: number): void {
    const what = `ternary memory ${name}`;
    if (!this.#takes(record, 256, what)) return;
    const records = this.image.u32(record);
    const count = this.image.u32(record + 4);
    this.#expect(record % 256 === 0 && records % 256 === 0 && count > 0, `${what}: records`);
    if (!this.#takes(records, 256 * count, `${what}: regions`)) return;
    let reached = 0;
    let mapped = 0;
    const mappings = this.mappings?.get(record);
    for (let i = 0; i < count; i++) {
      const region = this.#readRegion(records + 256 * i, `${what}, region ${i}`);
      if (region === null) return;
      this.#expect(region.first >= reached, `${region.what}: begins before ${reached}`);
      reached = region.first + region.capacity;
      this.#checkFrames(region, records + 256 * i);
      if (mappings !== undefined) mapped += this.#checkMappings(region, mappings);
    }
    this.#expect(mapped === (mappings?.size ?? 0), `${what}: frames are mapped that do not exist`);
  }

  /** How many frames of a region are mapped. */
  #checkMappings({ what, first, end, owners }: Region, mappings: ReadonlyMap<number, number>): number {
    let mapped = 0;
    for (let frame = 0; frame < end; frame++) {
      const count = mappings.get(first + frame) ?? 0;
      const known = this.image.u32(owners + 4 * frame) & MAPPINGS_MAX;
      if (count > 0) mapped++;
      if (known !== count)
        this.#expect(false, `${what}: frame ${first + frame} is mapped ${count} times, counted as ${known}`);
    }
    return mapped;
  }

  #readRegion(record: number, what: string): Region | null {
    const { image } = this;
    const [capacity, end] = [image.u32(record), image.u32(record + 4)];
    const first = Number(image.u64(record + 128));
    const zone = image.u32(record + 136);
    const [from, to] = ZONES[zone] ?? [0, 0];
    const isInZone = first >= from && first + capacity <= to && capacity > 0 && capacity <= RANGE_FRAMES;
    if (!this.#expect(isInZone && end <= capacity, `${what}: ${capacity} frames from ${first}, zone ${zone}`))
      return null;
    const [bitmap, bounds] = [image.u32(record + 16), image.u32(record + 20)];
    this.#expect(image.u32(record + 24) === 0, `${what}: reserved`);
    const hasAreas =
      this.#takes(bitmap, 16 * Math.ceil(capacity / 128), `${what}: bitmap`) &&
      this.#takes(bounds, 16 * Math.ceil(capacity / 4096), `${what}: bounds`);
    if (!hasAreas) return null;
    const region = { what, first, capacity, end, zone, bitmap, bounds };
    const owners = zone === 2 ? this.#highOwners(record, region) : this.#lowOwners(record, region);
    return owners === null ? null : { ...region, owners };
  }

  #lowOwners(record: number, { what, capacity, end }: Omit<Region, "owners">): number | null {
    const [address, owners] = [this.image.u32(record + 140), this.image.u32(record + 156)];
    const hasBoth =
      this.#takes(owners, 4 * capacity, `${what}: owner words`) &&
      this.#takes(address, FRAME_BYTES * capacity, `${what}: frames`);
    if (!hasBoth) return null;
    const fresh = address + FRAME_BYTES * end;
    const rest = FRAME_BYTES * (capacity - end);
    this.#expect(this.image.isZero(fresh, rest), `${what}: a frame that was never in use is not zeros`);
    return owners;
  }

  #highOwners(record: number, { what, first, capacity }: Omit<Region, "owners">): number | null {
    const { image } = this;
    const address = image.u32(record + 152);
    const extent = this.#extents.get(address);
    const frames =
      Math.floor((first + capacity - 1) / CLUSTER_FRAMES) - Math.floor(first / CLUSTER_FRAMES) + 1;
    const clusters = frames + Math.ceil(capacity / CLUSTER_WORDS);
    const isOwn = extent !== undefined && !this.#taken.has(address);
    this.#taken.add(address);
    const fits = isOwn && image.u64(record + 144) === extent.first && extent.clusters === BigInt(clusters);
    if (!this.#expect(fits, `${what}: no extent of ${clusters} clusters of its own`)) return null;
    const cluster = Number(extent!.first) + frames;
    this.#expect(image.u64(record + 160) === BigInt(cluster), `${what}: where its owner words are`);
    return HIGH_IMAGE + cluster * CLUSTER_BYTES;
  }

  #checkFrames({ what, capacity, end, first, bitmap, bounds, owners }: Region, record: number): void {
    const { image } = this;
    const isUsed = (frame: number) => ((image.u32(bitmap + 4 * (frame >>> 5)) >>> (frame & 31)) & 1) === 1;
    let free = 0;
    for (let frame = 0; frame < end; frame++) {
      const isOwned = image.u32(owners + 4 * frame) !== 0;
      if (!isOwned) free++;
      if (isOwned !== isUsed(frame))
        this.#expect(
          false,
          `${what}: frame ${first + frame} is ${isOwned ? "owned, but free" : "used, but of nobody"}`,
        );
    }
    const bitmapEnd = 128 * Math.ceil(capacity / 128);
    const isClear = (from: number, to: number) => image.isZero(bitmap + from / 8, (to - from) / 8);
    const edge = Math.min(8 * Math.ceil(end / 8), bitmapEnd);
    for (let frame = end; frame < edge; frame++) this.#expect(!isUsed(frame), `${what}: used past the end`);
    this.#expect(isClear(edge, bitmapEnd), `${what}: used past the end`);
    this.#expect(image.u32(record + 8) === free, `${what}: free count ${image.u32(record + 8)}, not ${free}`);
    this.#expect(image.u32(record + 28) <= 24, `${what}: recent`);
    for (const problem of checkBounds(end, image.u32(record + 12), isUsed, (group) =>
      image.u16(bounds + 2 * group),
    ))
      this.#expect(false, `${what}: ${problem}`);
  }
}
