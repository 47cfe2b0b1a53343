// What a state file may hold after a crash. The history of a workload is a list of points, each the whole content after one
// operation that changed it: the image and all snapshots. A crash leaves exactly one of them, and not one before what was
// promised: the last acknowledged point for a killed process, the last durable one for a power cut.

import assert from "node:assert/strict";
import { isZero } from "../../bindings/base/bytes.js";
import type { Pager } from "../../bindings/pager/pager.js";

/** Block → version of its content. Blocks that are absent read as zeros. */
export type Image = ReadonlyMap<number, number>;

/** All that a state file holds at one commit. Never changed once it is in a history. */
export interface Point {
  readonly image: Image;
  readonly snapshots: ReadonlyMap<string, Image>;
}

/** Neighbouring blocks. */
interface Extent {
  block: number;
  count: number;
}

const BLOCK_BYTES = 4096;
const SECTOR_WORDS = 128;

/** The content of a version: no two have a sector in common, and the first word tells which it is. */
export function fillVersion(into: Uint8Array, version: number): void {
  const words = new Uint32Array(into.buffer, into.byteOffset, into.byteLength / 4);
  const mixed = Math.imul(version ^ 0x5bd1e995, 0x9e3779b1) >>> 0;
  words.fill(mixed);
  for (let word = 0; word < words.length; word += SECTOR_WORDS) words[word] = version + word * 0x100000;
  words[0] = version;
}

export function versionBytes(...versions: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(versions.length * BLOCK_BYTES);
  versions.forEach((version, i) => fillVersion(bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES), version));
  return bytes;
}

/** The version that a block was written with; 0 for zeros. Fails for anything else. */
const expected = Buffer.alloc(BLOCK_BYTES);
function versionOf(bytes: Uint8Array, what: () => string): number {
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (version === 0) {
    assert.ok(isZero(bytes), `${what()} is neither zeros nor what was written`);
    return 0;
  }
  fillVersion(expected, version);
  assert.ok(expected.equals(bytes), `${what()} is not what version ${version} was`);
  return version;
}

export class History {
  readonly points: Point[] = [{ image: new Map(), snapshots: new Map() }];
  /** Index of the last point that was acknowledged. */
  acknowledged = 0;
  /** Index of the last point that was acknowledged as durable. */
  durable = 0;
  private readonly blocks = new Set<number>();
  private extents: readonly Extent[] = [];
  private lastVersion = 0;

  /** The content that the workload works on. */
  get now(): Point {
    return this.points[this.acknowledged] as Point;
  }

  newVersion(): number {
    return ++this.lastVersion;
  }

  /** From here on the file may hold this. */
  attempt(image: Image, snapshots: ReadonlyMap<string, Image> = this.now.snapshots): void {
    assert.equal(this.points.length - 1, this.acknowledged, "two attempts at once");
    this.points.push({ image, snapshots });
    const known = this.blocks.size;
    for (const block of image.keys()) this.blocks.add(block);
    if (this.blocks.size > known) this.extents = extentsOf(this.blocks);
  }

  /** The attempt has succeeded. */
  acknowledge(durable: boolean): void {
    this.acknowledged = this.points.length - 1;
    if (durable) this.durable = this.acknowledged;
  }

  /** Everything acknowledged is durable. */
  flushed(): void {
    this.durable = this.acknowledged;
  }

  /** The attempt has failed, and the handle goes on: what was attempted must never be seen. */
  withdraw(): void {
    this.points.length = this.acknowledged + 1;
  }

  /** Opening has decided, and has made it durable. */
  settle(point: number): void {
    this.points.length = point + 1;
    this.acknowledged = point;
    this.durable = point;
  }

  /** What may be found now. */
  expectation(): Expectation {
    const { durable, acknowledged, extents, points } = this;
    return new Expectation(points.slice(durable), durable, acknowledged, extents);
  }
}

/** What a file may hold at one instant of a history, which may go on. */
export class Expectation {
  constructor(
    /** From the last durable point to the last attempted one. */
    private readonly points: readonly Point[],
    readonly durable: number,
    readonly acknowledged: number,
    private readonly extents: readonly Extent[],
  ) {}

  get last(): number {
    return this.durable + this.points.length - 1;
  }

  point(index: number): Point {
    return this.points[index - this.durable] as Point;
  }

  /** Exactly this point, and nothing else, as after a commit that was made durable. */
  static only(point: Point): Expectation {
    const blocks = new Set(point.image.keys());
    for (const image of point.snapshots.values()) for (const block of image.keys()) blocks.add(block);
    return new Expectation([point], 0, 0, extentsOf(blocks));
  }

  /** Reads everything that the file holds, and verifies each byte of it. */
  read(pager: Pager): Point {
    const snapshots = new Map<string, Image>();
    for (const { name } of pager.snapshots) {
      const view = pager.openSnapshot(name);
      snapshots.set(name, this.readImage(view, `snapshot ${name}: `));
      view.close();
    }
    return { image: this.readImage(pager, ""), snapshots };
  }

  /**
   * The point that the file holds: the last one from `from` on that equals it, up to the last attempted. Fails when there is none, or when
   * the accounting of the file is not in order.
   */
  find(pager: Pager, from: number): number {
    const found = this.read(pager);
    const point = this.indexOf(found);
    if (point < from) assert.fail(`${this.describe(found)}, which is none of the points ${from} to ${this.last}`);
    checkAccounts(pager, found);
    return point;
  }

  /** Of the last point that equals this; −1 when there is none. */
  indexOf(found: Point): number {
    for (let i = this.points.length - 1; i >= 0; i--) {
      if (equalPoints(this.points[i] as Point, found)) return this.durable + i;
    }
    return -1;
  }

  private describe(found: Point): string {
    const point = this.indexOf(found);
    if (point >= 0) return `the file holds point ${point}`;
    const snapshots = [...found.snapshots].map(([name, image]) => [name, [...image]]);
    return `the file holds ${JSON.stringify({ image: [...found.image], snapshots })}`;
  }

  private readImage(source: Pick<Pager, "read">, what: string): Image {
    const image = new Map<number, number>();
    for (const { block, count } of this.extents) {
      if (buffer.length < count * BLOCK_BYTES) buffer = new Uint8Array(count * BLOCK_BYTES);
      const bytes = buffer.subarray(0, count * BLOCK_BYTES);
      source.read(block, count, bytes);
      for (let i = 0; i < count; i++) {
        const one = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
        const version = versionOf(one, () => `${what}block ${block + i}`);
        if (version !== 0) image.set(block + i, version);
      }
    }
    return image;
  }
}

let buffer = new Uint8Array(64 * BLOCK_BYTES);

function extentsOf(blocks: ReadonlySet<number>): Extent[] {
  const extents: Extent[] = [];
  for (const block of [...blocks].sort((a, b) => a - b)) {
    const last = extents.at(-1);
    if (last !== undefined && last.block + last.count === block) last.count++;
    else extents.push({ block, count: 1 });
  }
  return extents;
}

/** Accounting, every block verified, and no block beside those that were read. */
export function checkAccounts(pager: Pager, found: Point): void {
  const report = pager.check(true);
  assert.deepEqual(report.problems, []);
  let blocks = found.image.size;
  for (const image of found.snapshots.values()) blocks += image.size;
  assert.equal(report.blocks, blocks, "the file has blocks that nobody wrote");
}

function equalPoints(a: Point, b: Point): boolean {
  if (a.snapshots.size !== b.snapshots.size || !equalImages(a.image, b.image)) return false;
  for (const [name, image] of a.snapshots) {
    const other = b.snapshots.get(name);
    if (other === undefined || !equalImages(image, other)) return false;
  }
  return true;
}

export function equalImages(a: Image, b: Image): boolean {
  if (a.size !== b.size) return false;
  for (const [block, version] of a) if (b.get(block) !== version) return false;
  return true;
}
