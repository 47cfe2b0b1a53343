/*
 * Taking an entry out of a B+tree, and the merging of nodes. It needs no memory.
 *
 * Of two neighbours with one parent, either one is more than half full, or together they fill more than three quarters of a node:
 * that holds where the last change was a deletion, because whoever loses an entry is looked at with both its
 * neighbours, from the leaf upwards, and so are the children that become neighbours when inner nodes merge.
 */

import { read, write } from "../block/access";
import {
  addToEntries,
  addToNodes,
  descend,
  giveNode,
  hasKey,
  isKey,
  NO_VALUE,
  REFUSED,
  stepNode,
  stepSlot,
  Tree,
  TreeWriter,
} from "./btree";
import {
  childAt,
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

const HALF: u32 = ROOM / 2;
const MERGED_MAX: u32 = (ROOM / 4) * 3;

/** Takes an entry out. The value it had, or −1. */
export function treeDelete(tree: usize, keyBytes: u32): f64 {
  if (!isKey(keyBytes)) return REFUSED;
  if (read<Tree>(tree).root == 0) return NO_VALUE;
  const leaf = descend(tree, keyBytes);
  const slot = stepSlot(0);
  if (!hasKey(leaf, slot, keyBytes)) return NO_VALUE;
  const value = valueAt(leaf, slot);
  removeEntry(leaf, slot);
  addToEntries(tree, -1, entryBytes(true, keyBytes));
  let level: u32 = 1;
  let isChanged = true;
  if (read<Node>(leaf).count == 0) level = removeLeaf(tree) + 1;
  for (; isChanged && level < read<Tree>(tree).height; level++)
    isChanged = mergeAround(tree, stepNode(level), stepSlot(level));
  lowerRoot(tree);
  return <f64>value;
}

/** Gives back the leaf of the way down, and the nodes above of which it was the only child. Answers with the level of the one that lost a child. */
function removeLeaf(tree: usize): u32 {
  const height = read<Tree>(tree).height;
  unlinkLeaf(tree, stepNode(0));
  let level: u32 = 0;
  do {
    giveNode(stepNode(level));
    addToNodes(tree, level, -1);
    level++;
  } while (level < height && read<Node>(stepNode(level)).count == 0);
  if (level == height) {
    const writer = write<TreeWriter>(tree);
    writer.root = 0;
    writer.height = 0;
    return level;
  }
  const node = stepNode(level);
  const index = stepSlot(level);
  if (index == 0) write<NodeWriter>(node).firstChild = childAt(node, 1);
  removeEntry(node, index == 0 ? 0 : index - 1);
  return level;
}

function unlinkLeaf(tree: usize, leaf: usize): void {
  const reader = read<Node>(leaf);
  if (reader.next != 0) write<NodeWriter>(reader.next).previous = reader.previous;
  else write<TreeWriter>(tree).last = reader.previous;
  if (reader.previous != 0) write<NodeWriter>(reader.previous).next = reader.next;
  else write<TreeWriter>(tree).first = reader.next;
}

/** A root with one child is none. */
function lowerRoot(tree: usize): void {
  const reader = read<Tree>(tree);
  while (reader.height > 1 && read<Node>(reader.root).count == 0) {
    const root = reader.root;
    const writer = write<TreeWriter>(tree);
    writer.root = read<Node>(root).firstChild;
    writer.height -= 1;
    writer.innerNodes -= 1;
    giveNode(root);
  }
}

/** Merges a child that may have become small with its neighbours, as long as they fit; whether any did. */
function mergeAround(tree: usize, parent: usize, index: u32): bool {
  let isChanged = false;
  while (<u32>read<Node>(childAt(parent, index)).used <= HALF) {
    if (index < <u32>read<Node>(parent).count && fits(parent, index)) merge(tree, parent, index);
    else if (index > 0 && fits(parent, index - 1)) merge(tree, parent, --index);
    else break;
    isChanged = true;
  }
  return isChanged;
}

/** Whether the children on both sides of a slot make one node that has some room left. */
function fits(parent: usize, slot: u32): bool {
  const left = read<Node>(childAt(parent, slot));
  const right = read<Node>(childAt(parent, slot + 1));
  const between = left.level == 0 ? 0 : entryBytes(false, lengthAt(parent, slot));
  return <u32>left.used + <u32>right.used + between <= MERGED_MAX;
}

function merge(tree: usize, parent: usize, slot: u32): void {
  const left = childAt(parent, slot);
  const right = childAt(parent, slot + 1);
  const level: u32 = read<Node>(left).level;
  const border: u32 = read<Node>(left).count;
  if (level == 0) {
    unlinkLeaf(tree, right);
  } else {
    const between = restAt(parent, slot, false);
    const child = read<Node>(right).firstChild;
    insertEntry(left, border, prefixAt(parent, slot), between, lengthAt(parent, slot), child);
  }
  moveEntries(right, 0, left);
  removeEntry(parent, slot);
  giveNode(right);
  addToNodes(tree, level, -1);
  if (level > 0) mergeAround(tree, left, border);
}
