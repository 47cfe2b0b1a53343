import type { ImageReader } from "./image-reader.js";

// Checks that the structures in an image agree with each other, as docs/ENGINE.md §20 lists, and returns what lives
// in it. Written from that page; it shares nothing with the engine. It reads blocks, so it works as well on a
// running engine as on a file.

export interface ImageReport {
  problems: string[];
  /** Live objects of the heap: address → usable bytes. */
  objects: Map<number, number>;
  /** For each kind, its names in order of insertion. */
  names: Map<string, NamedEntry>[];
  /** Addresses of the registries' tables. */
  tables: number[];
  /** In ascending order. */
  extents: ExtentEntry[];
  heapEnd: number;
  usedBlocks: number;
}

export interface NamedEntry {
  entry: number;
  address: bigint;
  layout: bigint;
}

export interface ExtentEntry {
  address: number;
  first: bigint;
  clusters: bigint;
  length: bigint;
}

const blockBytes = 4096;
const kinds = 8;
const clusterBytes = 40_960n;
const clusters = (2n ** 40n - 2n ** 20n) / 10n;
const header = 0x1000_0000;
const bounds = 0x1000_1000;
const bitmap = 0x1000_2000;
const bitmapEnd = bitmap + 118 * 1024;
const pageMap = 0x1010_0000;
const spans = 0x1050_0000;
const heap = 0x1400_0000;
const heapBlocks = 966_656;
const region = header + 128;
const classCount = 64;
/** The first of the classes that are half a step below another. */
const halfStepClass = 36;

/** Slot bytes, blocks and slots of a span, from the table of docs/ENGINE.md §7. */
export function spanGeometry(sizeClass: number): { slotBytes: number; blocks: number; slots: number } {
  if (sizeClass < 8) return { slotBytes: 16 * (sizeClass + 1), blocks: sizeClass + 1, slots: 256 };
  const isHalfStep = sizeClass >= halfStepClass;
  const index = sizeClass - (isHalfStep ? halfStepClass : 8);
  const m = 5 + (index % 4) - (isHalfStep ? 0.5 : 0);
  const k = 32 * 2 ** Math.floor(index / 4);
  return { slotBytes: m * k, blocks: 2 * m, slots: 8192 / k };
}

export function checkImage(image: ImageReader, hashOf: (name: Uint8Array) => number): ImageReport {
  return new Checker(image, hashOf).report();
}

class Checker {
  readonly #problems: string[] = [];
  readonly #objects = new Map<number, number>();
  #heapEnd = 0;
  #usedBlocks = 0;

  constructor(
    private readonly image: ImageReader,
    private readonly hashOf: (name: Uint8Array) => number,
  ) {}

  report(): ImageReport {
    const end = this.image.u32(region + 4);
    this.#expect(end <= heapBlocks, "heap region: end");
    // Nothing that the image says is counted up to, unless it can be true.
    this.#heapEnd = Math.min(end, heapBlocks);
    this.#expect(this.image.u64(header) === 0x00474d4944524550n, "magic");
    this.#expect(this.image.u16(header + 8) === 1 && this.image.u16(header + 10) === 0, "version");
    this.#checkPages();
    this.#checkRegion();
    this.#checkLists();
    const names = Array.from({ length: kinds }, (_, kind) => this.#checkRegistry(kind));
    const extents = this.#checkExtents();
    return {
      problems: this.#problems,
      objects: this.#objects,
      names,
      tables: names.map((_, kind) => this.image.u32(registryOf(kind))).filter((table) => table !== 0),
      extents,
      heapEnd: this.#heapEnd,
      usedBlocks: this.#usedBlocks,
    };
  }

  #expect(condition: boolean, problem: string): void {
    if (!condition && this.#problems.length < 20) this.#problems.push(problem);
  }

  #isUsed(frame: number): boolean {
    return ((this.image.u32(bitmap + 4 * (frame >>> 5)) >>> (frame & 31)) & 1) === 1;
  }

  // The heap

  readonly #spansInUse = new Set<number>();

  #checkPages(): void {
    for (let frame = 0; frame < this.#heapEnd; ) {
      const entry = this.image.u32(pageMap + 4 * frame);
      let blocks = 1;
      if (entry === 0) this.#checkFreeBlock(frame);
      else if ((entry & 3) === 1) blocks = this.#checkSpan(frame, (entry & ~3) >>> 0);
      else if ((entry & 3) === 2) blocks = this.#checkRun(frame, entry >>> 2);
      else this.#expect(false, `frame ${frame}: the rest of a run that does not begin`);
      if (entry !== 0) this.#usedBlocks += blocks;
      frame += blocks;
    }
    for (let frame = this.#heapEnd; frame % 1024 !== 0; frame++) {
      this.#expect(this.image.u32(pageMap + 4 * frame) === 0, `frame ${frame}: in the page map past the end`);
    }
  }

  #checkFreeBlock(frame: number): void {
    this.#expect(!this.#isUsed(frame), `frame ${frame}: used, but of nothing`);
    this.#expect(
      this.image.isZero(heap + frame * blockBytes, blockBytes),
      `frame ${frame}: free, but not zeros`,
    );
  }

  #checkUsed(frame: number, blocks: number, what: string): void {
    this.#expect(frame + blocks <= this.#heapEnd, `${what}: reaches past the end`);
    for (let i = 0; i < blocks; i++) this.#expect(this.#isUsed(frame + i), `${what}: block ${i} is free`);
  }

  #checkRun(frame: number, blocks: number): number {
    const what = `run at ${frame}`;
    const fits = blocks > 4 && frame + blocks <= this.#heapEnd;
    this.#expect(fits, `${what}: ${blocks} blocks`);
    if (!fits) return 1;
    this.#checkUsed(frame, blocks, what);
    for (let i = 1; i < blocks; i++) {
      const entry = this.image.u32(pageMap + 4 * (frame + i));
      this.#expect(entry === frame * 4 + 3, `${what}: block ${i} has entry ${entry}`);
    }
    this.#objects.set(heap + frame * blockBytes, blocks * blockBytes);
    return blocks;
  }

  #checkSpan(frame: number, span: number): number {
    const what = `span at frame ${frame}`;
    const address = heap + frame * blockBytes;
    const inArea = span >= spans && span < heap && span % 64 === 0;
    if (!inArea || this.#spansInUse.has(span) || this.image.u32(span) !== address) {
      this.#expect(false, `${what}: not of descriptor ${span}`);
      return 1;
    }
    this.#spansInUse.add(span);
    const sizeClass = this.image.u16(span + 12);
    if (sizeClass >= classCount) {
      this.#expect(false, `${what}: class ${sizeClass}`);
      return 1;
    }
    const { slotBytes, blocks, slots } = spanGeometry(sizeClass);
    this.#expect(this.image.u16(span + 14) === slots, `${what}: slots`);
    this.#expect(this.image.u32(span + 20) === slotBytes, `${what}: slot bytes`);
    this.#expect(this.image.u32(span + 24) === Math.ceil(2 ** 32 / slotBytes), `${what}: reciprocal`);
    this.#expect(this.image.u32(span + 28) === blocks, `${what}: blocks`);
    this.#checkUsed(frame, blocks, what);
    for (let i = 0; i < blocks; i++) {
      const entry = this.image.u32(pageMap + 4 * (frame + i));
      this.#expect(entry === span + 1, `${what}: block ${i} has entry ${entry}`);
    }
    this.#checkSlots(span, address, slotBytes, slots, what);
    return blocks;
  }

  #checkSlots(span: number, address: number, slotBytes: number, slots: number, what: string): void {
    const fresh = this.image.u16(span + 18);
    let live = 0;
    for (let slot = 0; slot < 256; slot++) {
      if (((this.image.u32(span + 32 + 4 * (slot >>> 5)) >>> (slot & 31)) & 1) === 0) continue;
      live++;
      this.#expect(slot < slots && slot < fresh, `${what}: slot ${slot} is live, ${fresh} is fresh`);
      this.#objects.set(address + slot * slotBytes, slotBytes);
    }
    this.#expect(fresh <= slots, `${what}: fresh ${fresh}`);
    this.#expect(this.image.u16(span + 16) === slots - live, `${what}: free count`);
    const rest = this.image.isZero(address + fresh * slotBytes, (slots - fresh) * slotBytes);
    this.#expect(rest, `${what}: fresh slots are not zeros`);
  }

  #checkRegion(): void {
    this.#expect(this.image.u32(region) === heapBlocks, "heap region: capacity");
    this.#expect(this.image.u32(region + 16) === bitmap, "heap region: bitmap");
    this.#expect(this.image.u32(region + 20) === bounds, "heap region: bounds");
    this.#expect(this.image.u32(region + 24) === 0, "heap region: reserved");
    this.#expect(this.image.u32(region + 8) === this.#heapEnd - this.#usedBlocks, "heap region: free count");
    const pastEnd = this.#heapEnd + ((32 - (this.#heapEnd & 31)) & 31);
    for (let frame = this.#heapEnd; frame < pastEnd; frame++) {
      this.#expect(!this.#isUsed(frame), `frame ${frame}: used past the end`);
    }
    const rest = bitmap + pastEnd / 8;
    this.#expect(this.image.isZero(rest, bitmapEnd - rest), "heap region: bits past the end");
    const problems = checkBounds(
      this.#heapEnd,
      this.image.u32(region + 12),
      this.#isUsed.bind(this),
      (group) => this.image.u16(bounds + 2 * group),
    );
    for (const problem of problems) this.#expect(false, `heap region: ${problem}`);
  }

  #checkLists(): void {
    const counts = new Array<number>(classCount).fill(0);
    const withFree = new Set<number>();
    for (const span of this.#spansInUse) {
      counts[this.image.u16(span + 12)]! += 1;
      if (this.image.u16(span + 16) > 0) withFree.add(span);
    }
    for (let sizeClass = 0; sizeClass < classCount; sizeClass++) {
      const list =
        sizeClass < halfStepClass
          ? header + 256 + 8 * sizeClass
          : header + 800 + 8 * (sizeClass - halfStepClass);
      this.#expect(this.image.u32(list + 4) === counts[sizeClass], `class ${sizeClass}: span count`);
      let previous = 0;
      for (let span = this.image.u32(list); span !== 0; span = this.image.u32(span + 4)) {
        const expected = withFree.delete(span) && this.image.u16(span + 12) === sizeClass;
        this.#expect(expected, `class ${sizeClass}: lists span ${span}`);
        if (!expected) break;
        this.#expect(this.image.u32(span + 8) === previous, `class ${sizeClass}: previous of ${span}`);
        previous = span;
      }
    }
    for (const span of withFree) {
      const sleeps = this.image.u16(span + 16) < Math.max(1, Math.floor(this.image.u16(span + 14) / 64));
      this.#expect(sleeps, `span ${span}: has free slots and is not listed`);
    }
    let free = 0;
    for (let span = this.image.u32(header + 16); span !== 0; span = this.image.u32(span + 4)) {
      this.#expect(this.image.u32(span) === 0, `descriptor ${span}: free, but has blocks`);
      if (++free > heapBlocks) break;
    }
    const made = this.image.u32(header + 20);
    this.#expect(made === this.#spansInUse.size + free, `descriptors: ${made} made, ${free} free`);
    for (const span of this.#spansInUse) {
      this.#expect(span < spans + 64 * made, `descriptor ${span}: never made`);
    }
  }

  // The registries

  #checkRegistry(kind: number): Map<string, NamedEntry> {
    const names = new Map<string, NamedEntry>();
    const registry = registryOf(kind);
    const table = this.image.u32(registry);
    const declared = this.image.u32(registry + 4);
    const slots = Math.min(declared, Math.floor((this.#objects.get(table) ?? 0) / 8));
    const count = this.image.u32(registry + 8);
    if (table !== 0) {
      this.#expect(slots === declared, "registry: its table is no live object");
      this.#expect(slots >= 16 && (slots & (slots - 1)) === 0 && 4 * count <= 3 * slots, "registry: slots");
    }
    const reachable = new Map<number, number>();
    for (let slot = 0; slot < slots; slot++) {
      const entry = this.image.u32(table + 8 * slot + 4);
      if (entry !== 0) reachable.set(entry, slot);
      else this.#expect(this.image.u32(table + 8 * slot) === 0, `registry: slot ${slot} is half empty`);
    }
    let previous = 0;
    for (let entry = this.image.u32(registry + 12); entry !== 0; entry = this.image.u32(entry + 16)) {
      const length = this.image.u16(entry + 28);
      const name = this.image.bytes(entry + 32, length);
      const text = new TextDecoder().decode(name);
      const slot = reachable.get(entry);
      this.#expect(slot !== undefined, `registry: ${text} is not in the table`);
      if (slot === undefined) break;
      reachable.delete(entry);
      const hash = this.image.u32(entry + 24);
      this.#expect(hash === this.hashOf(name), `registry: hash of ${text}`);
      this.#expect(this.image.u32(table + 8 * slot) === hash, `registry: hash of ${text} in the table`);
      for (let at = hash & (slots - 1); at !== slot; at = (at + 1) & (slots - 1)) {
        this.#expect(this.image.u32(table + 8 * at + 4) !== 0, `registry: a gap before ${text}`);
      }
      this.#expect((this.#objects.get(entry) ?? 0) >= 32 + length, `registry: ${text} is no live object`);
      this.#expect(this.image.u32(entry + 20) === previous, `registry: previous of ${text}`);
      this.#expect(!names.has(text), `registry: ${text} twice`);
      names.set(text, { entry, address: this.image.u64(entry), layout: this.image.u64(entry + 8) });
      previous = entry;
    }
    this.#expect(this.image.u32(registry + 16) === previous, "registry: last entry");
    this.#expect(
      reachable.size === 0 && names.size === count,
      `registry: ${count} names, listed ${names.size}`,
    );
    return names;
  }

  // The extents

  #checkExtents(): ExtentEntry[] {
    const extents: ExtentEntry[] = [];
    let end = 0n;
    let previous = 0;
    for (let address = this.image.u32(header + 24); address !== 0; address = this.image.u32(address + 24)) {
      const what = `extent ${address}`;
      this.#expect(this.#objects.get(address) === 64, `${what}: no live object of 64 bytes`);
      if (this.#objects.get(address) !== 64) break;
      const [first, count, length] = [0, 8, 16].map((at) => this.image.u64(address + at)) as [
        bigint,
        bigint,
        bigint,
      ];
      this.#expect(first >= end && count > 0n, `${what}: begins at ${first}, not after ${end}`);
      if (first < end) break;
      this.#expect(length <= count * clusterBytes, `${what}: ${length} bytes in ${count} clusters`);
      this.#expect(this.image.u32(address + 28) === previous, `${what}: previous`);
      this.#expect(this.image.u64(address + 32) === 0n, `${what}: reserved`);
      extents.push({ address, first, clusters: count, length });
      end = first + count;
      previous = address;
    }
    this.#expect(end <= clusters, `extents: reach to ${end}`);
    const count = this.image.u32(header + 28);
    this.#expect(count === extents.length, `extents: ${count}, listed ${extents.length}`);
    return extents;
  }
}

function registryOf(kind: number): number {
  return header + 544 + 32 * kind;
}

/** Problems with the bounds of a region: every one must be at least the longest free run that starts in its group. */
export function checkBounds(
  end: number,
  lowest: number,
  isUsed: (frame: number) => boolean,
  boundOf: (group: number) => number,
): string[] {
  const problems: string[] = [];
  for (let start = 0; start < end; ) {
    if (isUsed(start)) {
      start++;
      continue;
    }
    let next = start;
    while (next < end && !isUsed(next)) next++;
    const group = start >>> 9;
    if (boundOf(group) < Math.min(next - start, 0xffff)) {
      problems.push(
        `group ${group} has bound ${boundOf(group)}, but ${next - start} free frames from ${start}`,
      );
    }
    start = next;
  }
  for (let group = 0; group < lowest && group < end / 512; group++) {
    if (boundOf(group) !== 0) problems.push(`group ${group} has bound ${boundOf(group)} below the lowest`);
  }
  return problems;
}
