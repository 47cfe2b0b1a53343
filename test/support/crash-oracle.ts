// What a state file may hold after a crash. The history of a workload is a list of points, each the whole content after one
// operation that changed it: the image and all snapshots. A crash leaves exactly one of them, and not one before what was
// promised: the last acknowledged point for a killed process, the last durable one for a power cut.

import assert from "node:assert/strict";
import { isZero } from "../../bindings/base/bytes.js";
import { PerdureError } from "../../bindings/base/errors.js";
import type { Pager } from "../../bindings/pager/pager.js";

/** Block → version of its content. Blocks that are absent read as zeros. */
export type Image = ReadonlyMap<number, number>;

/** All that a state file holds at one commit. Its content is never changed once it is in a history. */
export interface Point {
  readonly image: Image;
  readonly snapshots: ReadonlyMap<string, Image>;
  /** As the pager numbered it; not set before it is acknowledged. */
  sequence?: number;
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
  versions.forEach((version, i) =>
    fillVersion(bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES), version),
  );
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
  /** Whether the file is there for certain. */
  created = false;
  private readonly blocks = new Set<number>();
  private extents: readonly Extent[] = [];
  private lastVersion = 0;

  /** A history of its own that begins with what is acknowledged here. */
  fork(): History {
    const fork = new History();
    fork.points[0] = this.now;
    fork.created = this.created;
    for (const block of this.blocks) fork.blocks.add(block);
    fork.extents = this.extents;
    fork.lastVersion = this.lastVersion;
    return fork;
  }

  /** Whether an attempt is under way, or has failed so that only opening will tell. */
  get undecided(): boolean {
    return this.points.length - 1 > this.acknowledged;
  }

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
  acknowledge(durable: boolean, sequence: number): void {
    this.acknowledged = this.points.length - 1;
    this.now.sequence = sequence;
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
    const { durable, acknowledged, created, extents, points } = this;
    const first = Math.max(0, durable - pointsBefore);
    return new Expectation(points.slice(first), first, durable, acknowledged, created, extents);
  }
}

/** More than can lie in the chain after a superblock, with the limits that are used here. */
const pointsBefore = 24;

/** What a file may hold at one instant of a history, which may go on. */
export class Expectation {
  constructor(
    /** Some before the last durable point, up to the last attempted one. */
    private readonly points: readonly Point[],
    private readonly first: number,
    readonly durable: number,
    readonly acknowledged: number,
    /** Whether the file must be there. */
    readonly created: boolean,
    private readonly extents: readonly Extent[],
  ) {}

  get last(): number {
    return this.first + this.points.length - 1;
  }

  point(index: number): Point {
    return this.points[index - this.first] as Point;
  }

  /** The last point up to `index` whose commit is not after this sequence. */
  pointOf(sequence: number, index: number): number {
    for (let i = index; i > this.first; i--) {
      const known = this.point(i).sequence;
      if (known !== undefined && known <= sequence) return i;
    }
    return this.first;
  }

  /** Exactly this point, and nothing else, as after a commit that was made durable. */
  static only(point: Point): Expectation {
    const blocks = new Set(point.image.keys());
    for (const image of point.snapshots.values()) for (const block of image.keys()) blocks.add(block);
    return new Expectation([point], 0, 0, 0, true, extentsOf(blocks));
  }

  /** Reads everything that the file holds, and verifies each byte of it. What is reported as CORRUPT is so marked, when that is allowed. */
  read(pager: Pager, damaged = false): Point {
    const snapshots = new Map<string, Image>();
    for (const { name } of pager.snapshots) {
      const view = pager.openSnapshot(name);
      snapshots.set(name, this.readImage(view, `snapshot ${name}: `, damaged));
      view.close();
    }
    return { image: this.readImage(pager, "", damaged), snapshots };
  }

  /** As `find` of a damaged file: what it gives at all is that of a point not before `from`. */
  findDamaged(pager: Pager, from: number): number {
    const found = this.read(pager, true);
    const point = this.indexOf(found);
    if (point < from)
      assert.fail(`${this.describe(found)}, which is none of the points ${from} to ${this.last}`);
    return point;
  }

  /**
   * The point that the file holds: the last one from `from` on that equals it, up to the last attempted. Fails when there is none, or when
   * the accounting of the file is not in order.
   */
  find(pager: Pager, from: number): number {
    const found = this.read(pager);
    const point = this.indexOf(found);
    if (point < from)
      assert.fail(`${this.describe(found)}, which is none of the points ${from} to ${this.last}`);
    checkAccounts(pager, found);
    return point;
  }

  /** Of the last point that equals this; −1 when there is none. */
  indexOf(found: Point): number {
    for (let i = this.points.length - 1; i >= 0; i--) {
      if (equalPoints(this.points[i] as Point, found)) return this.first + i;
    }
    return -1;
  }

  private describe(found: Point): string {
    const point = this.indexOf(found);
    if (point >= 0) return `the file holds point ${point}`;
    return `the file holds no point, but the last one with ${difference(found, this.point(this.last))}`;
  }

  /** What is read of all the blocks there are; each byte is verified. */
  readImage(source: Pick<Pager, "read">, what: string, damaged = false): Image {
    const image = new Map<number, number>();
    for (const { block, count } of this.extents) {
      const step = damaged ? 1 : count;
      for (let done = 0; done < count; done += step) {
        readVersions(source, block + done, step, what, damaged, image);
      }
    }
    return image;
  }
}

function readVersions(
  source: Pick<Pager, "read">,
  block: number,
  count: number,
  what: string,
  damaged: boolean,
  image: Map<number, number>,
): void {
  if (buffer.length < count * BLOCK_BYTES) buffer = new Uint8Array(count * BLOCK_BYTES);
  const bytes = buffer.subarray(0, count * BLOCK_BYTES);
  try {
    source.read(block, count, bytes);
  } catch (error) {
    if (!damaged || !(error instanceof PerdureError) || error.code !== "CORRUPT") throw error;
    image.set(block, reportedDamage);
    return;
  }
  for (let i = 0; i < count; i++) {
    const one = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
    const version = versionOf(one, () => `${what}block ${block + i}`);
    if (version !== 0) image.set(block + i, version);
  }
}

/** Stands for a block of which reading said that it is damaged. */
const reportedDamage = -1;

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
  const injected = report.problems.find((problem) => problem.includes("injected "));
  if (injected !== undefined) throw new PerdureError("IO", injected);
  assert.deepEqual(report.problems, []);
  const versions = new Set(found.image.values());
  let most = found.image.size;
  for (const image of found.snapshots.values()) {
    for (const version of image.values()) versions.add(version);
    most += image.size;
  }
  // What snapshots share is counted once or more often; each version lies in the file once.
  const { blocks } = report;
  assert.ok(
    blocks >= versions.size && blocks <= most,
    `${blocks} blocks instead of ${versions.size} to ${most}`,
  );
}

/** For people: what is in the first that is not in the second. */
function difference(found: Point, expected: Point): string {
  const images = new Map<string, [Image, Image]>([["image", [found.image, expected.image]]]);
  const none: Image = new Map();
  for (const name of new Set([...found.snapshots.keys(), ...expected.snapshots.keys()])) {
    if (!found.snapshots.has(name)) return `${name} missing`;
    if (!expected.snapshots.has(name)) return `${name} in addition`;
    images.set(name, [found.snapshots.get(name) ?? none, expected.snapshots.get(name) ?? none]);
  }
  const differing: string[] = [];
  for (const [name, [a, b]] of images) {
    for (const block of new Set([...a.keys(), ...b.keys()])) {
      if (a.get(block) !== b.get(block)) {
        differing.push(`${name} ${block}: ${a.get(block) ?? 0} instead of ${b.get(block) ?? 0}`);
      }
    }
  }
  return differing.slice(0, 8).join(", ");
}

function equalPoints(expected: Point, found: Point): boolean {
  if (expected.snapshots.size !== found.snapshots.size || !equalImages(expected.image, found.image))
    return false;
  for (const [name, image] of expected.snapshots) {
    const other = found.snapshots.get(name);
    if (other === undefined || !equalImages(image, other)) return false;
  }
  return true;
}

/** Whether `found` is `expected`, apart from damage that was reported. */
export function equalImages(expected: Image, found: Image): boolean {
  let matched = 0;
  for (const [block, version] of found) {
    if (version === reportedDamage) {
      if (expected.has(block)) matched++;
    } else if (expected.get(block) !== version) return false;
    else matched++;
  }
  return matched === expected.size;
}
