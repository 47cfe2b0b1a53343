/*
 * Adding an entry to a B+tree, and the splitting of nodes.
 *
 * A split is planned from the leaf upwards before anything changes: which nodes have no room, where each is cut, and which key
 * goes up. Then the new nodes are taken from the heap, and when there are not enough the tree is as it was. Then the
 * plan is carried out from the top downwards: a key that goes up still lies where it was when it is copied.
 *
 * The entries of a node with the new one among them are numbered 0 … count, and the new one has the number of its slot. A
 * leaf is cut before entry `cut`; in an inner node entry `cut` goes up. The plan adds to a step:
 *
 *   8   the key of the entry that comes to this level: prefix u64, rest u32, length u32
 *   24  cut u32
 *   28  new node u32: the right half; above the highest split, the new root
 */

import { DUPLICATE, INVALID_ARGUMENT, isCode, OK, OUT_OF_MEMORY } from "../base/codes";
import { EXCHANGE } from "../base/memory-map";
import { answer, read, write } from "../block/access";
import {
  addToEntries,
  addToNodes,
  ANSWER,
  descend,
  GIVEN_REST,
  giveNode,
  givenPrefix,
  hasKey,
  isKey,
  isValue,
  stepNode,
  stepOffset,
  stepSlot,
  takeNode,
  Tree,
  TreeWriter,
} from "./btree";
import {
  childAt,
  clearNode,
  commonBytes,
  cutPrefix,
  entryBytes,
  insertEntry,
  lengthAt,
  moveEntries,
  Node,
  NodeWriter,
  prefixAt,
  removeEntry,
  restAt,
  ROOM,
  valueAt,
} from "./btree-node";

const PREFIX: usize = 8;
const REST: usize = 16;
const LENGTH: usize = 20;
const CUT: usize = 24;
const NEW_NODE: usize = 28;

/** Adds an entry. DUPLICATE, with the value it has in the exchange area, when the key is there. */
export function treeInsert(tree: usize, keyBytes: u32, value: f64): u32 {
  if (!isKey(keyBytes) || !isValue(value)) return INVALID_ARGUMENT;
  if (read<Tree>(tree).root == 0 && !plantRoot(tree)) return OUT_OF_MEMORY;
  const leaf = descend(tree, keyBytes);
  const slot = stepSlot(0);
  if (hasKey(leaf, slot, keyBytes)) {
    answer<f64>(ANSWER, <f64>valueAt(leaf, slot));
    return DUPLICATE;
  }
  const bytes = entryBytes(true, keyBytes);
  if (<u32>read<Node>(leaf).used + bytes <= ROOM) {
    insertEntry(leaf, slot, givenPrefix(keyBytes), GIVEN_REST, keyBytes, <u64>value);
  } else {
    setEntry(0, givenPrefix(keyBytes), GIVEN_REST, keyBytes);
    const levels = plan(read<Tree>(tree).height);
    if (!takeNodes(tree, levels)) return OUT_OF_MEMORY;
    carryOut(tree, levels, <u64>value);
  }
  addToEntries(tree, 1, bytes);
  return OK;
}

/** The first leaf of a tree. */
function plantRoot(tree: usize): bool {
  const leaf = takeNode();
  if (isCode(leaf)) return false;
  clearNode(leaf, tree, 0);
  const writer = write<TreeWriter>(tree);
  writer.root = leaf;
  writer.height = 1;
  writer.leaves = 1;
  writer.first = leaf;
  writer.last = leaf;
  return true;
}

// The plan

/** How many levels split, from the leaf on. */
function plan(height: u32): u32 {
  let level: u32 = 0;
  while (level < height) {
    const node = stepNode(level);
    const bytes = entryBytes(level == 0, entryLength(level));
    if (<u32>read<Node>(node).used + bytes <= ROOM) break;
    const cut = level == 0 ? cutOfLeaf(node, stepSlot(0), bytes) : cutOfInner(node, stepSlot(level), bytes);
    answer<u32>(stepOffset(level) + CUT, cut);
    if (level == 0) planSeparator(cut);
    else setEntry(level + 1, prefixOf(level, cut), restOf(level, cut), lengthOf(level, cut));
    level++;
  }
  return level;
}

/** What goes up from the leaf: the shortest key that is greater than what stays and not greater than what goes. */
function planSeparator(cut: u32): void {
  const prefix = prefixOf(0, cut);
  const rest = restOf(0, cut);
  const lengthBefore = lengthOf(0, cut - 1);
  const common = commonBytes(
    prefixOf(0, cut - 1),
    restOf(0, cut - 1),
    lengthBefore,
    prefix,
    rest,
    lengthOf(0, cut),
  );
  setEntry(1, cutPrefix(prefix, common + 1), rest, common + 1);
}

/**
 * Where a leaf without room is cut. When entries come in order the new one stays with those that came before it, and what lies on its other side is
 * cut off, or, if nothing does, it begins a leaf.
 */
function cutOfLeaf(leaf: usize, slot: u32, bytes: u32): u32 {
  const reader = read<Node>(leaf);
  const count: u32 = reader.count;
  const last: u32 = reader.last;
  if (slot == last + 1 && isCutGood(leaf, slot, bytes, slot < count)) return slot + u32(slot < count);
  if (slot == last && slot < count && isCutGood(leaf, slot, bytes, slot == 0)) return slot + u32(slot == 0);
  return min(max(middle(leaf, slot, bytes), 1), count);
}

/** Which entry of an inner node without room goes up. Both halves keep at least one. */
function cutOfInner(node: usize, slot: u32, bytes: u32): u32 {
  const reader = read<Node>(node);
  const count: u32 = reader.count;
  const last: u32 = reader.last;
  const canBeLast = slot + 1 < count;
  const canBeFirst = slot >= 2;
  if (slot == last + 1 || slot == last) {
    const isLast = canBeLast && (slot > last || !canBeFirst);
    if ((isLast || canBeFirst) && isCutGood(node, slot, bytes, isLast)) return isLast ? slot + 1 : slot - 1;
  }
  return min(max(middle(node, slot, bytes), 1), count - 1);
}

/** Whether both halves have room when the new entry is the last one on the left or the first one on the right. */
function isCutGood(node: usize, slot: u32, bytes: u32, isLast: bool): bool {
  const behind = bytesFrom(node, slot);
  const before = read<Node>(node).used - behind;
  return isLast ? before + bytes <= ROOM : behind + bytes <= ROOM;
}

/** The entry in which the middle of all bytes lies, or the one behind it if that is nearer. */
function middle(node: usize, slot: u32, bytes: u32): u32 {
  const reader = read<Node>(node);
  const isLeaf = reader.level == 0;
  const total = <u32>reader.used + bytes;
  let before: u32 = 0;
  let entry: u32 = 0;
  while (true) {
    const size: u32 = entry == slot ? bytes : entryBytes(isLeaf, lengthAt(node, entry - u32(entry > slot)));
    if (before + before + size >= total) return entry;
    before += size;
    entry++;
  }
}

function bytesFrom(node: usize, slot: u32): u32 {
  const reader = read<Node>(node);
  let bytes: u32 = 0;
  for (let i = slot; i < <u32>reader.count; i++) bytes += entryBytes(reader.level == 0, lengthAt(node, i));
  return bytes;
}

// The entries of a level, the new one among them

function setEntry(level: u32, prefix: u64, rest: usize, length: u32): void {
  const step = stepOffset(level);
  answer<u64>(step + PREFIX, prefix);
  answer<usize>(step + REST, rest);
  answer<u32>(step + LENGTH, length);
}

// @ts-ignore: decorator
@inline
function entryPrefix(level: u32): u64 {
  return load<u64>(EXCHANGE + stepOffset(level) + PREFIX);
}

// @ts-ignore: decorator
@inline
function entryRest(level: u32): usize {
  return load<usize>(EXCHANGE + stepOffset(level) + REST);
}

// @ts-ignore: decorator
@inline
function entryLength(level: u32): u32 {
  return load<u32>(EXCHANGE + stepOffset(level) + LENGTH);
}

/** The slot of an entry that is there already. */
// @ts-ignore: decorator
@inline
function slotOf(level: u32, entry: u32): u32 {
  return entry - u32(entry > stepSlot(level));
}

function prefixOf(level: u32, entry: u32): u64 {
  if (entry == stepSlot(level)) return entryPrefix(level);
  return prefixAt(stepNode(level), slotOf(level, entry));
}

function restOf(level: u32, entry: u32): usize {
  if (entry == stepSlot(level)) return entryRest(level);
  return restAt(stepNode(level), slotOf(level, entry), level == 0);
}

function lengthOf(level: u32, entry: u32): u32 {
  if (entry == stepSlot(level)) return entryLength(level);
  return lengthAt(stepNode(level), slotOf(level, entry));
}

// The change

// @ts-ignore: decorator
@inline
function newNode(level: u32): usize {
  return load<usize>(EXCHANGE + stepOffset(level) + NEW_NODE);
}

/** A new node for each level that splits, and a new root if all do. Takes none unless it gets them all. */
function takeNodes(tree: usize, levels: u32): bool {
  const needed = levels + u32(levels == read<Tree>(tree).height);
  for (let level: u32 = 0; level < needed; level++) {
    const node = takeNode();
    if (isCode(node)) {
      while (level > 0) giveNode(newNode(--level));
      return false;
    }
    answer<usize>(stepOffset(level) + NEW_NODE, node);
  }
  return true;
}

function carryOut(tree: usize, levels: u32, value: u64): void {
  if (levels == read<Tree>(tree).height) raiseRoot(tree, levels);
  else addEntry(stepNode(levels), stepSlot(levels), levels, newNode(levels - 1));
  for (let level = levels - 1; level > 0; level--) splitInner(tree, level);
  splitLeaf(tree, value);
}

/** A root above the one there was, with the entry that comes to its level. */
function raiseRoot(tree: usize, level: u32): void {
  const root = newNode(level);
  clearNode(root, tree, level);
  const writer = write<TreeWriter>(tree);
  write<NodeWriter>(root).firstChild = writer.root;
  writer.root = root;
  writer.height = level + 1;
  writer.innerNodes += 1;
  addEntry(root, 0, level, newNode(level - 1));
}

// @ts-ignore: decorator
@inline
function addEntry(node: usize, slot: u32, level: u32, payload: u64): void {
  insertEntry(node, slot, entryPrefix(level), entryRest(level), entryLength(level), payload);
}

function splitInner(tree: usize, level: u32): void {
  const node = stepNode(level);
  const right = makeRight(tree, level);
  const slot = stepSlot(level);
  const cut = cutOf(level);
  const child = newNode(level - 1);
  if (cut == slot) {
    moveEntries(node, slot, right);
    write<NodeWriter>(right).firstChild = child;
    return;
  }
  const up = slotOf(level, cut);
  moveEntries(node, up + 1, right);
  write<NodeWriter>(right).firstChild = childAt(node, up + 1);
  removeEntry(node, up);
  if (slot < cut) addEntry(node, slot, level, child);
  else addEntry(right, slot - cut - 1, level, child);
}

function splitLeaf(tree: usize, value: u64): void {
  const leaf = stepNode(0);
  const right = makeRight(tree, 0);
  const slot = stepSlot(0);
  const cut = cutOf(0);
  moveEntries(leaf, slotOf(0, cut), right);
  if (slot < cut) addEntry(leaf, slot, 0, value);
  else addEntry(right, slot - cut, 0, value);
  const next = read<Node>(leaf).next;
  write<NodeWriter>(leaf).next = right;
  const writer = write<NodeWriter>(right);
  writer.previous = leaf;
  writer.next = next;
  if (next != 0) write<NodeWriter>(next).previous = right;
  else write<TreeWriter>(tree).last = right;
}

// @ts-ignore: decorator
@inline
function cutOf(level: u32): u32 {
  return load<u32>(EXCHANGE + stepOffset(level) + CUT);
}

function makeRight(tree: usize, level: u32): usize {
  const right = newNode(level);
  clearNode(right, tree, level);
  addToNodes(tree, level, 1);
  return right;
}
