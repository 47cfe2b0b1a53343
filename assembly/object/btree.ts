/*
 * B+trees: byte strings to numbers, in order. docs/ENGINE.md §18 has the layout and the rules; what adds and what takes out is in
 * btree-insert.ts and btree-delete.ts.
 *
 *   0   root u32, height u32
 *   8   entries u64
 *   16  version u64
 *   24  leaves u32, inner nodes u32
 *   32  bytes of the leaves' entries u64
 *   40  first leaf u32, last leaf u32
 *   48  reserved, 16 bytes
 *
 * The key of a call lies at the beginning of the exchange area. On the way down each level leaves a **step** there: the node
 * and the place in it where the way went on. Steps are numbered like levels: 0 is the leaf.
 */

import { INVALID_ARGUMENT, NOT_FOUND, OK } from "../base/codes";
import { BLOCK_BYTES, EXCHANGE } from "../base/memory-map";
import { answer, read, Writable, write } from "../block/access";
import { alloc, release } from "../heap/heap";
import {
  childAt,
  cutPrefix,
  findSlot,
  isBegunAt,
  isKeyAt,
  KEY_BYTES_MAX,
  Node,
  setValue,
  valueAt,
} from "./btree-node";

/** Values are below. */
const VALUE_END: f64 = 9007199254740992;
/** What those calls answer that otherwise answer a value. */
export const NO_VALUE: f64 = -1;
export const REFUSED: f64 = -2;

/** In the exchange area: the value of a key that is there already, or the slot that was sought. */
export const ANSWER: usize = KEY_BYTES_MAX;
const STEPS: usize = 2048;
const STEP_SHIFT: usize = 5;
/** More levels than a tree of all blocks there are can have. */
const LEVELS_MAX: u32 = 32;

const RECORD_BYTES: u32 = 64;

@unmanaged
export class Tree {
  readonly root: usize;
  readonly height: u32;
  readonly entries: u64;
  readonly version: u64;
  readonly leaves: u32;
  readonly innerNodes: u32;
  readonly leafBytes: u64;
  readonly first: usize;
  readonly last: usize;
  readonly reserved0: u64;
  readonly reserved1: u64;
}

@unmanaged
export class TreeWriter extends Writable {
  root: usize;
  height: u32;
  entries: u64;
  version: u64;
  leaves: u32;
  innerNodes: u32;
  leafBytes: u64;
  first: usize;
  last: usize;
  reserved0: u64;
  reserved1: u64;
}

if (
  offsetof<Tree>() != RECORD_BYTES ||
  offsetof<TreeWriter>() != RECORD_BYTES ||
  offsetof<Tree>("leafBytes") != 32 ||
  offsetof<TreeWriter>("leafBytes") != 32 ||
  offsetof<Tree>("last") != 44 ||
  offsetof<TreeWriter>("last") != 44
)
  ERROR("the record of a tree is not as drawn");

/** An empty tree. */
export function treeCreate(): usize {
  return alloc(RECORD_BYTES, RECORD_BYTES, true);
}

/** The value of a key, or −1. */
export function treeFind(tree: usize, keyBytes: u32): f64 {
  if (!isKey(keyBytes)) return REFUSED;
  if (read<Tree>(tree).root == 0) return NO_VALUE;
  const leaf = descend(tree, keyBytes);
  const slot = stepSlot(0);
  return hasKey(leaf, slot, keyBytes) ? <f64>valueAt(leaf, slot) : NO_VALUE;
}

/** The value of the first entry whose key begins with these bytes, or −1. */
export function treeFindFirst(tree: usize, keyBytes: u32): f64 {
  if (!isKey(keyBytes)) return REFUSED;
  const leaf = treeSeek(tree, keyBytes, SEEK_AT_LEAST);
  if (leaf == 0) return NO_VALUE;
  const slot = load<u32>(EXCHANGE + ANSWER);
  const begins = isBegunAt(leaf, slot, givenPrefix(keyBytes), GIVEN_REST, keyBytes);
  return begins ? <f64>valueAt(leaf, slot) : NO_VALUE;
}

/** Gives a key that is there another value. */
export function treeReplace(tree: usize, keyBytes: u32, value: f64): u32 {
  if (!isKey(keyBytes) || !isValue(value)) return INVALID_ARGUMENT;
  if (read<Tree>(tree).root == 0) return NOT_FOUND;
  const leaf = descend(tree, keyBytes);
  const slot = stepSlot(0);
  if (!hasKey(leaf, slot, keyBytes)) return NOT_FOUND;
  setValue(leaf, slot, <u64>value);
  return OK;
}

const SEEK_AT_LEAST: u32 = 0;
const SEEK_ABOVE: u32 = 1;
const SEEK_AT_MOST: u32 = 2;
const SEEK_BELOW: u32 = 3;
const SEEK_LAST: u32 = 4;

/** The leaf of an entry, whose slot is then in the exchange area; 0 when there is none. */
export function treeSeek(tree: usize, keyBytes: u32, mode: u32): usize {
  const reader = read<Tree>(tree);
  if (!isKey(keyBytes) || mode > SEEK_LAST) return INVALID_ARGUMENT;
  if (reader.root == 0) return 0;
  if (mode == SEEK_LAST) return answerBefore(reader.last, read<Node>(reader.last).count);
  let leaf = descend(tree, keyBytes);
  let slot = stepSlot(0);
  if (mode == SEEK_BELOW) return answerBefore(leaf, slot);
  if (mode != SEEK_AT_LEAST && hasKey(leaf, slot, keyBytes)) slot++;
  if (mode == SEEK_AT_MOST) return answerBefore(leaf, slot);
  if (slot == <u32>read<Node>(leaf).count) {
    leaf = read<Node>(leaf).next;
    if (leaf == 0) return 0;
    // Whoever is answered reads it: it has to be present.
    assert(read<Node>(leaf).count > 0);
    slot = 0;
  }
  answer<u32>(ANSWER, slot);
  return leaf;
}

/** Gives back everything. */
export function treeDestroy(tree: usize): u32 {
  const reader = read<Tree>(tree);
  if (reader.root != 0) giveBelow(reader.root, reader.height - 1);
  return release(tree);
}

function giveBelow(node: usize, level: u32): void {
  assert(level < LEVELS_MAX);
  if (level > 0) {
    const count: u32 = read<Node>(node).count;
    for (let index: u32 = 0; index <= count; index++) giveBelow(childAt(node, index), level - 1);
  }
  giveNode(node);
}

/** The entry before a place. */
function answerBefore(leaf: usize, slot: u32): usize {
  if (slot == 0) {
    leaf = read<Node>(leaf).previous;
    if (leaf == 0) return 0;
    slot = read<Node>(leaf).count;
  }
  answer<u32>(ANSWER, slot - 1);
  return leaf;
}

// What is asked for

// @ts-ignore: decorator
@inline
export function isKey(keyBytes: u32): bool {
  return keyBytes <= KEY_BYTES_MAX;
}

// @ts-ignore: decorator
@inline
export function isValue(value: f64): bool {
  return value >= 0 && value < VALUE_END && floor(value) == value;
}

/** Where the key in the exchange area goes on behind its prefix. */
export const GIVEN_REST: usize = EXCHANGE + 8;

// @ts-ignore: decorator
@inline
export function givenPrefix(keyBytes: u32): u64 {
  return cutPrefix(bswap(load<u64>(EXCHANGE)), keyBytes);
}

// @ts-ignore: decorator
@inline
export function hasKey(leaf: usize, slot: u32, keyBytes: u32): bool {
  return isKeyAt(leaf, slot, givenPrefix(keyBytes), GIVEN_REST, keyBytes);
}

// The way down

/** The leaf where the key in the exchange area belongs; the step there has the first slot whose key is not less. The tree has a root. */
export function descend(tree: usize, keyBytes: u32): usize {
  const reader = read<Tree>(tree);
  const prefix = givenPrefix(keyBytes);
  let node = reader.root;
  assert(reader.height - 1 < LEVELS_MAX);
  for (let level = reader.height - 1; level > 0; level--) {
    const index = findSlot(node, false, prefix, GIVEN_REST, keyBytes, true);
    setStep(level, node, index);
    node = childAt(node, index);
  }
  setStep(0, node, findSlot(node, true, prefix, GIVEN_REST, keyBytes, false));
  return node;
}

// @ts-ignore: decorator
@inline
function setStep(level: u32, node: usize, slot: u32): void {
  answer<usize>(stepOffset(level), node);
  answer<u32>(stepOffset(level) + 4, slot);
}

/** Where a step lies in the exchange area: 32 bytes, of which the first 8 are used here. */
// @ts-ignore: decorator
@inline
export function stepOffset(level: u32): usize {
  return STEPS + (<usize>level << STEP_SHIFT);
}

// @ts-ignore: decorator
@inline
export function stepNode(level: u32): usize {
  return load<usize>(EXCHANGE + stepOffset(level));
}

/** Of an inner node, the child where the way went on; of the leaf, a slot. */
// @ts-ignore: decorator
@inline
export function stepSlot(level: u32): u32 {
  return load<u32>(EXCHANGE + stepOffset(level), 4);
}

// Nodes

/** A block for a node; OUT_OF_MEMORY. */
export function takeNode(): usize {
  return alloc(BLOCK_BYTES, BLOCK_BYTES, false);
}

export function giveNode(node: usize): void {
  const code = release(node);
  assert(code == OK);
}

/** Counts a node more or, with −1, less. */
export function addToNodes(tree: usize, level: u32, difference: i32): void {
  const writer = write<TreeWriter>(tree);
  if (level == 0) writer.leaves += difference;
  else writer.innerNodes += difference;
}

/** Counts an entry more or, with −1, less. */
// @ts-ignore: decorator
@inline
export function addToEntries(tree: usize, difference: i32, bytes: u32): void {
  const writer = write<TreeWriter>(tree);
  writer.entries += <i64>difference;
  writer.version += 1;
  writer.leafBytes += <i64>difference * <i64>bytes;
}

