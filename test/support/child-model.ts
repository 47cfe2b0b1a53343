// What child programs write and what their parents expect: an image is known by the tag that each block was last written with, and the bytes
// follow from block and tag. A program is a sequence of numbered steps that follow from its seed, so that parent and child, and the child
// after it, agree on them without talking.

import type { Change, Pager } from "../../bindings/pager/pager.js";
import type { Reader } from "../../bindings/pager/reader.js";
import { Random } from "./random.js";

export const BLOCK_BYTES = 4096;

/** By block; a block that is not in it reads as zeros. */
export type Image = Map<number, number>;

export interface State {
  image: Image;
  snapshots: Map<string, Image>;
}

/** What a handle shows, of a writer or a reader. */
export interface View {
  read(block: number, into: Uint8Array): void;
  snapshotNames(): string[];
  readSnapshot(name: string, block: number, into: Uint8Array): void;
}

export const newState = (): State => ({ image: new Map(), snapshots: new Map() });

export const copyOf = ({ image, snapshots }: State): State => ({
  image: new Map(image),
  // The images of snapshots never change.
  snapshots: new Map(snapshots),
});

/** The bytes of a block that was written with `tag`: every word is another one. */
export function blockBytes(block: number, tag: number, into = new Uint8Array(BLOCK_BYTES)): Uint8Array {
  const words = new Uint32Array(into.buffer, into.byteOffset, BLOCK_BYTES / 4);
  let word = Math.imul(tag, 0x9e3779b1) ^ Math.imul(block, 0x85ebca6b);
  for (let i = 2; i < words.length; i++) {
    word = (word + 0x6d2b79f5) | 0;
    words[i] = word;
  }
  words[0] = tag;
  words[1] = block;
  return into;
}

/** The tag that a block carries; 0 for zeros. */
export function tagOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

const found = new Uint8Array(BLOCK_BYTES);
const expected = new Uint8Array(BLOCK_BYTES);
const zeros = new Uint8Array(BLOCK_BYTES);

/** The first block of `blocks` that is not as `image` has it, in words; null when all are. */
export function imageDifference(
  read: (block: number, into: Uint8Array) => void,
  image: Image,
  blocks: Iterable<number>,
): string | null {
  for (const block of blocks) {
    read(block, found);
    const tag = image.get(block);
    const right = tag === undefined ? zeros : blockBytes(block, tag, expected);
    if (Buffer.compare(found, right) !== 0) {
      const whole = Buffer.compare(found, blockBytes(block, tagOf(found))) === 0;
      return `block ${block} has tag ${tagOf(found)}${whole ? "" : " and other bytes"}, not ${tag ?? 0}`;
    }
  }
  return null;
}

/** The same for an image with its snapshots. */
export function stateDifference(view: View, state: State, blocks: readonly number[]): string | null {
  const names = view.snapshotNames().sort().join();
  const rightNames = [...state.snapshots.keys()].sort().join();
  if (names !== rightNames) return `the snapshots are [${names}], not [${rightNames}]`;
  const difference = imageDifference((block, into) => view.read(block, into), state.image, blocks);
  if (difference !== null) return difference;
  for (const [name, image] of state.snapshots) {
    const inside = imageDifference((block, into) => view.readSnapshot(name, block, into), image, blocks);
    if (inside !== null) return `snapshot ${name}: ${inside}`;
  }
  return null;
}

export function viewOf(handle: Pager | Reader): View {
  const names = () => handle.snapshots.map(({ name }) => name);
  const read = (block: number, into: Uint8Array) => handle.read(block, 1, into);
  if ("readSnapshot" in handle) {
    const readSnapshot = (name: string, block: number, into: Uint8Array) =>
      handle.readSnapshot(name, block, 1, into);
    return { read, snapshotNames: names, readSnapshot };
  }
  return {
    read,
    snapshotNames: names,
    readSnapshot(name, block, into) {
      const snapshot = handle.openSnapshot(name);
      snapshot.read(block, 1, into);
      snapshot.close();
    },
  };
}

/** Writes `blocks` with one tag, as changes in ascending order; neighbours are one change. */
export function changesOf(blocks: readonly number[], tag: number): Change[] {
  const sorted = [...new Set(blocks)].sort((a, b) => a - b);
  const changes: Change[] = [];
  for (let i = 0; i < sorted.length; ) {
    let count = 1;
    while (i + count < sorted.length && sorted[i + count] === sorted[i] + count) count++;
    const bytes = new Uint8Array(count * BLOCK_BYTES);
    for (let j = 0; j < count; j++)
      blockBytes(sorted[i + j], tag, bytes.subarray(j * BLOCK_BYTES, (j + 1) * BLOCK_BYTES));
    changes.push({ block: sorted[i], count, bytes });
    i += count;
  }
  return changes;
}

/** Blocks that the programs use: a dense part, one for large commits, and one far away. */
const FAR = 2 ** 30 + 250;
export const PROGRAM_BLOCKS: readonly number[] = [
  ...Array.from({ length: 96 }, (_, i) => i),
  ...Array.from({ length: 400 }, (_, i) => 1000 + i),
  ...Array.from({ length: 12 }, (_, i) => FAR + i),
];

export type Step =
  | { kind: "commit"; written: number[]; spilled: number[]; discarded: number[]; durable: boolean }
  | { kind: "rollback"; spilled: number[] }
  | { kind: "checkpoint" | "flush" | "flushed" | "reopen" | "compact" }
  | { kind: "create" | "delete" | "restore"; name: string };

/** The step with number `k` of the program of `seed`, after the steps before it have led to `state`. */
export function stepOf(seed: number, k: number, state: State): Step {
  const random = new Random(seed ^ Math.imul(k, 0x9e3779b1));
  const kind = random.below(256);
  const names = [...state.snapshots.keys()];
  if (kind === 0) return { kind: "compact" };
  if (kind < 3) return { kind: "reopen" };
  if (kind < 7) return { kind: "checkpoint" };
  if (kind < 10) return { kind: "flush" };
  if (kind < 20) return { kind: "flushed" };
  if (kind < 25 && names.length < 4) return { kind: "create", name: `s${k}` };
  if (kind < 29 && names.length > 0) return { kind: "delete", name: random.pick(names) };
  if (kind < 31 && names.length > 0) return { kind: "restore", name: random.pick(names) };
  const blocks = random.oneIn(40) ? largeBlocks(random) : fewBlocks(random);
  if (kind < 36) return { kind: "rollback", spilled: blocks };
  const discarded = random.oneIn(8) ? blocks.splice(0, 1 + random.below(blocks.length)) : [];
  const spilled = random.oneIn(8) ? blocks.splice(0, random.below(Math.min(blocks.length, 20) + 1)) : [];
  return { kind: "commit", written: blocks, spilled, discarded, durable: random.oneIn(4) };
}

function fewBlocks(random: Random): number[] {
  const blocks = new Set<number>();
  for (let left = 1 + random.below(6); left > 0; left--)
    blocks.add(random.oneIn(6) ? FAR + random.below(12) : random.below(96));
  return [...blocks];
}

function largeBlocks(random: Random): number[] {
  const first = random.below(80);
  return Array.from({ length: 20 + random.below(300) }, (_, i) => 1000 + first + i);
}

/** Brings the model from before step `k` to after it. */
export function applyStep(state: State, step: Step, k: number): void {
  switch (step.kind) {
    case "commit":
      for (const block of [...step.written, ...step.spilled]) state.image.set(block, k);
      for (const block of step.discarded) state.image.delete(block);
      break;
    case "create":
      state.snapshots.set(step.name, new Map(state.image));
      break;
    case "delete":
      state.snapshots.delete(step.name);
      break;
    case "restore":
      state.image = new Map(state.snapshots.get(step.name));
      break;
  }
}
