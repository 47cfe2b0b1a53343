// What a pager should hold, as plain maps, and random operations that are done to both. A block is described by a
// stamp: its bytes follow from the stamp and the block's number, so bytes of another commit, of another block, or a
// mix of two are all found.

import assert from "node:assert/strict";
import type { Change, Pager } from "../../bindings/pager/pager.js";
import type { Random } from "./random.js";

export const blockBytes = 4096;
export const blockLimit = 2 ** 40;

/** The bytes of `count` blocks from `block` on, written with `stamp`. */
export function bytesOf(block: number, stamp: number, count = 1): Uint8Array {
  const bytes = new Uint8Array(count * blockBytes);
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < count; i++) fillWords(words, i * 1024, block + i, stamp);
  return bytes;
}

function fillWords(words: Uint32Array, at: number, block: number, stamp: number): void {
  const step = (Math.imul(stamp, 0x9e3779b9) | 1) >>> 0;
  let word = (Math.imul(stamp + 1, 0x85ebca6b) ^ Math.imul(block % 2 ** 32, 0xc2b2ae35)) >>> 0;
  words[at] = block % 2 ** 32;
  words[at + 1] = Math.floor(block / 2 ** 32);
  words[at + 2] = stamp;
  for (let i = 3; i < 1024; i++) {
    word = (word + step) | 0;
    words[at + i] = word;
  }
}

const expectedWords = new Uint32Array(1024);
const expectedBytes = new Uint8Array(expectedWords.buffer);

/** Fails unless `bytes` are those of `block` with `stamp`, or zeros when it is undefined. */
export function assertBlock(
  bytes: Uint8Array,
  block: number,
  stamp: number | undefined,
  where: string,
): void {
  if (stamp === undefined) expectedWords.fill(0);
  else fillWords(expectedWords, 0, block, stamp);
  if (Buffer.compare(bytes, expectedBytes) === 0) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, blockBytes);
  const found = bytes.every((byte) => byte === 0)
    ? "zeros"
    : `block ${view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true)} with stamp ${view.getUint32(8, true)}`;
  const wanted = stamp === undefined ? "zeros" : `stamp ${stamp}`;
  assert.fail(`${where}: block ${block} should be ${wanted}, but reads as ${found}`);
}

/** Blocks by number, each with its stamp; one that is not in it reads as zeros. */
export type Image = ReadonlyMap<number, number>;

/** `count` blocks from `block` on, to be written with `stamp` or, when that is null, discarded. */
export interface Extent {
  block: number;
  count: number;
  stamp: number | null;
}

export const changeOf = ({ block, count, stamp }: Extent): Change => ({
  block,
  count,
  bytes: stamp === null ? null : bytesOf(block, stamp, count),
});

export interface BlockReader {
  read(block: number, count: number, into: Uint8Array): void;
}

export class PagerModel {
  /** As of the last commit. */
  image = new Map<number, number>();
  spilled = new Map<number, number>();
  /** Ranges that were discarded since; what is spilled in them was spilled later. */
  discarded: { block: number; count: number }[] = [];
  snapshots = new Map<string, { image: Image; sequence: number }>();
  /** The greatest stamp that was given out. */
  private stamp = 0;

  nextStamp(): number {
    return ++this.stamp;
  }

  commit(extents: readonly Extent[]): void {
    for (const block of this.discardedBlocks()) this.image.delete(block);
    this.discarded = [];
    for (const [block, stamp] of this.spilled) this.image.set(block, stamp);
    this.spilled.clear();
    for (const { block, count, stamp } of extents) {
      for (let i = 0; i < count; i++) {
        if (stamp === null) this.image.delete(block + i);
        else this.image.set(block + i, stamp);
      }
    }
  }

  spill(block: number, stamp: number): void {
    this.spilled.set(block, stamp);
  }

  discard(block: number, count: number): void {
    this.discarded.push({ block, count });
    for (const each of this.spilled.keys()) {
      if (each >= block && each < block + count) this.spilled.delete(each);
    }
  }

  /** Blocks that the last commit has, in a range that was discarded since. */
  discardedBlocks(): number[] {
    if (this.discarded.length === 0) return [];
    return [...this.image.keys()].filter((each) =>
      this.discarded.some(({ block, count }) => each >= block && each < block + count),
    );
  }

  rollback(): void {
    this.spilled.clear();
    this.discarded = [];
  }

  createSnapshot(name: string, sequence: number): void {
    this.snapshots.set(name, { image: new Map(this.image), sequence });
  }

  restore(name: string): void {
    this.rollback();
    this.image = new Map(this.snapshots.get(name)!.image);
  }

  /** What reading shows: the last commit, and what was spilled since. */
  visible(): Image {
    if (this.spilled.size === 0 && this.discarded.length === 0) return this.image;
    const visible = new Map(this.image);
    for (const block of this.discardedBlocks()) visible.delete(block);
    for (const [block, stamp] of this.spilled) visible.set(block, stamp);
    return visible;
  }

  /** Another model with the same content; to go on from when the file is opened as it was now. */
  copy(): PagerModel {
    const copy = new PagerModel();
    copy.image = new Map(this.image);
    copy.spilled = new Map(this.spilled);
    copy.discarded = [...this.discarded];
    copy.snapshots = new Map(this.snapshots);
    copy.stamp = this.stamp;
    return copy;
  }
}

/** Reads every block of `image` and the holes beside them, neighbours in one call. */
export function verifyImage(reader: BlockReader, image: Image, where: string): void {
  const blocks = new Set<number>();
  for (const block of image.keys()) {
    blocks.add(block);
    if (block > 0) blocks.add(block - 1);
    if (block + 1 < blockLimit) blocks.add(block + 1);
  }
  for (const block of [0, 255, 256, 65536, blockLimit - 1]) blocks.add(block);
  const sorted = [...blocks].sort((a, b) => a - b);
  const into = new Uint8Array(64 * blockBytes);
  for (let i = 0; i < sorted.length; ) {
    let count = 1;
    while (count < 64 && sorted[i + count] === sorted[i] + count) count++;
    verifyRange(reader, image, sorted[i], count, where, into);
    i += count;
  }
}

export function verifyRange(
  reader: BlockReader,
  image: Image,
  block: number,
  count: number,
  where: string,
  into = new Uint8Array(count * blockBytes),
): void {
  const bytes = into.subarray(0, count * blockBytes);
  bytes.fill(0xa5);
  reader.read(block, count, bytes);
  for (let i = 0; i < count; i++) {
    const part = bytes.subarray(i * blockBytes, (i + 1) * blockBytes);
    assertBlock(part, block + i, image.get(block + i), where);
  }
}

/** Every slot is accounted for, and every block verifies. */
export function assertSound(pager: Pager): void {
  const report = pager.check(true);
  assert.deepEqual(report.problems, []);
  assert.equal(report.ok, true);
}

/** Compares everything that a pager shows with the model, and checks the accounting of the file. */
export function verifyAgainst(pager: Pager, model: PagerModel): void {
  const visible = model.visible();
  verifyImage(pager, visible, "the image");
  for (const block of model.image.keys()) {
    if (!visible.has(block)) verifyRange(pager, visible, block, 1, "what was discarded");
  }
  for (const block of model.image.keys()) assert.equal(pager.has(block), true, `has(${block})`);
  const listed = pager.snapshots.map(({ name, sequence }) => [name, sequence]);
  const modelled = [...model.snapshots].map(([name, { sequence }]) => [name, sequence]);
  assert.deepEqual(listed.sort(), modelled.sort());
  for (const [name, { image, sequence }] of model.snapshots) {
    const view = pager.openSnapshot(name);
    assert.equal(view.sequence, sequence);
    verifyImage(view, image, `snapshot "${name}"`);
    view.close();
  }
  assertSound(pager);
}

/** Commits, and asserts what a commit promises about sequences and durability. */
export function performCommit(
  pager: Pager,
  model: PagerModel,
  extents: readonly Extent[],
  durable: boolean,
): void {
  const { sequence, lastFlushed } = pager;
  const checkpoints = pager.stats().checkpoints;
  const something = extents.length > 0 || model.spilled.size > 0 || model.discardedBlocks().length > 0;
  const returned = pager.commit(extents.map(changeOf), durable);
  const records = pager.stats().checkpoints - checkpoints;
  assert.ok(records <= (something ? 1 : 0), `${records} checkpoints for one commit`);
  assert.equal(returned, sequence + records + (something ? 1 : 0));
  assert.equal(pager.sequence, returned);
  const flushed = durable ? returned : records > 0 ? sequence + records : lastFlushed;
  assert.equal(pager.lastFlushed, flushed);
  model.commit(extents);
}

/** Spills, which may checkpoint but never commits. */
export function performSpill(pager: Pager, model: PagerModel, block: number): void {
  const { sequence } = pager;
  const checkpoints = pager.stats().checkpoints;
  const stamp = model.nextStamp();
  pager.spill(block, bytesOf(block, stamp));
  assert.equal(pager.sequence, sequence + pager.stats().checkpoints - checkpoints);
  model.spill(block, stamp);
}

/** Discards, which neither commits nor checkpoints. */
export function performDiscard(pager: Pager, model: PagerModel, block: number, count: number): void {
  const { sequence } = pager;
  pager.discard(block, count);
  assert.equal(pager.sequence, sequence);
  model.discard(block, count);
}

export interface Shape {
  /** Where blocks are written: each region has the same chance. */
  regions: readonly { block: number; count: number }[];
  /** Blocks in one commit at most. */
  commitBlocks: number;
  /** Spills in one operation at most; 0 for none at all. */
  spills: number;
  snapshots: number;
}

/** From one end of the image to the other, so that trees of every height occur. */
export const wideShape: Shape = {
  regions: [
    { block: 0, count: 700 },
    { block: 2 ** 16 - 20, count: 40 },
    { block: 2 ** 24 - 20, count: 40 },
    { block: 2 ** 32 - 20, count: 40 },
    { block: blockLimit - 300, count: 300 },
  ],
  commitBlocks: 40,
  spills: 40,
  snapshots: 4,
};

/** Disjoint extents within the regions, at most `blocks` blocks in all; some are discarded when `discards`. */
export function randomExtents(
  random: Random,
  model: PagerModel,
  regions: Shape["regions"],
  blocks: number,
  discards = true,
): Extent[] {
  const extents: Extent[] = [];
  const taken = new Set<number>();
  let left = 1 + random.below(blocks);
  for (let tries = 0; left > 0 && tries < 12; tries++) {
    const region = random.pick(regions);
    const block = region.block + random.below(region.count);
    const most = Math.min(left, region.block + region.count - block);
    let count = 0;
    const wanted = random.oneIn(3) ? most : 1 + random.below(Math.min(most, 8));
    while (count < wanted && !taken.has(block + count)) taken.add(block + count++);
    if (count === 0) continue;
    left -= count;
    extents.push({ block, count, stamp: discards && random.oneIn(6) ? null : model.nextStamp() });
  }
  return random.oneIn(2) ? extents.sort((a, b) => a.block - b.block) : extents;
}

/** Does one random operation to both. Opening again is for the caller, who knows how. */
export async function performRandom(
  random: Random,
  pager: Pager,
  model: PagerModel,
  shape: Shape,
): Promise<string> {
  const names = [...model.snapshots.keys()];
  const choice = random.below(100);
  if (choice < 55) {
    const blocks = random.oneIn(8) ? shape.commitBlocks : Math.min(6, shape.commitBlocks);
    performCommit(pager, model, randomExtents(random, model, shape.regions, blocks), random.oneIn(2));
    return "commit";
  }
  if (choice < 57 && shape.spills > 0) {
    const { block, count } = random.pick(shape.regions);
    const from = block + random.below(count);
    performDiscard(
      pager,
      model,
      from,
      Math.min(1 + random.below(random.pick([5, count, 2 ** 31])), blockLimit - from),
    );
    return "discard";
  }
  if (choice < 70 && shape.spills > 0) {
    for (let count = 1 + random.below(shape.spills); count > 0; count--) {
      const region = random.pick(shape.regions);
      performSpill(pager, model, region.block + random.below(region.count));
    }
    return "spill";
  }
  if (choice < 75) {
    pager.rollback();
    model.rollback();
    return "rollback";
  }
  if (choice < 80) {
    performFlush(pager);
    return "flush";
  }
  if (choice < 85) {
    const issued = pager.sequence;
    assert.equal(await pager.flushed(), issued);
    assert.ok(pager.lastFlushed >= issued);
    return "flushed";
  }
  if (choice < 90) {
    performRecord(pager, () => pager.checkpoint());
    return "checkpoint";
  }
  if (choice < 94 && names.length < shape.snapshots) {
    const name = `snapshot ${model.nextStamp()}`;
    model.createSnapshot(
      name,
      performRecord(pager, () => pager.createSnapshot(name)),
    );
    return "createSnapshot";
  }
  if (choice < 97 && names.length > 0) {
    const name = random.pick(names);
    performRecord(pager, () => pager.deleteSnapshot(name));
    model.snapshots.delete(name);
    return "deleteSnapshot";
  }
  if (names.length > 0) {
    const name = random.pick(names);
    performRecord(pager, () => pager.restoreSnapshot(name));
    model.restore(name);
    return "restoreSnapshot";
  }
  return "nothing";
}

/** Makes what is committed durable; what was spilled stays uncommitted. */
function performFlush(pager: Pager): void {
  const { sequence } = pager;
  assert.equal(pager.flush(), sequence);
  assert.equal(pager.sequence, sequence);
  assert.equal(pager.lastFlushed, sequence);
}

/** Whatever is a checkpoint takes one sequence number and is durable when it returns. */
export function performRecord(pager: Pager, call: () => number): number {
  const { sequence } = pager;
  const returned = call();
  assert.equal(returned, sequence + 1);
  assert.equal(pager.sequence, returned);
  assert.equal(pager.lastFlushed, returned);
  assert.equal(pager.stats().chain.commits, 0);
  return returned;
}
