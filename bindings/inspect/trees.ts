/**
 * Trees that are kept although parts of them are lost: a block map of what can be read, and a list of what cannot. Nodes of a whole tree stay
 * in the file; a damaged one is built anew in memory, from the leaves that are left.
 */

import { PerdureError } from "../base/errors.js";
import { NODE_ENTRIES } from "../format/constants.js";
import { nodeDigestOffset, nodeSlot } from "../format/node.js";
import { EMPTY_ROOT, type Root } from "../format/superblock.js";
import { BlockMap } from "../pager/block-map.js";
import { SlotSet } from "../pager/slot-set.js";
import { CHUNK_SLOTS, type StateFile } from "../pager/state-file.js";
import { type BottomNode, bottomNodes, type Damage, verifyLeaves, withoutLabel } from "./leaves.js";

export interface Tree {
  map: BlockMap;
  lost: Damage[];
}

export const emptyTree = (file: StateFile): Tree => ({ map: new BlockMap(file, EMPTY_ROOT), lost: [] });

export const forkTree = ({ map, lost }: Tree): Tree => ({ map: map.fork(), lost: [...lost] });

/** The tree of a root, its blocks not verified yet. */
export function openTree(file: StateFile, root: Root): Tree {
  let map: BlockMap;
  try {
    map = new BlockMap(file, root);
  } catch (error) {
    if (!(error instanceof PerdureError && error.code === "CORRUPT")) throw error;
    const why = withoutLabel(file, error.message);
    return { ...emptyTree(file), lost: [{ first: 0, last: NODE_ENTRIES ** 5 - 1, why, exact: false }] };
  }
  const lost: Damage[] = [];
  for (const _ of bottomNodes(file, map, (damage) => lost.push(damage)));
  return lost.length === 0 ? { map, lost } : { map: rebuilt(file, map, () => {}), lost };
}

/** A map in memory of the leaves that `map` has; a slot that is reached a second time is told and left out. */
export function rebuilt(file: StateFile, map: BlockMap, tell: (damage: Damage) => void): BlockMap {
  const copy = new BlockMap(file, EMPTY_ROOT);
  const seen = new SlotSet();
  for (const bottom of bottomNodes(file, map, () => {})) {
    for (const { leaf, slot, entry } of leavesOf(bottom)) {
      if (seen.has(slot)) {
        tell({ first: leaf, last: leaf, why: `slot ${slot} is reached twice`, exact: true });
        continue;
      }
      seen.add(slot);
      copy.set(leaf, slot, bottom.node.view, nodeDigestOffset(entry));
    }
  }
  return copy;
}

export function* leavesOf({
  node,
  base,
}: BottomNode): Generator<{ leaf: number; slot: number; entry: number }> {
  for (let entry = 0; entry < NODE_ENTRIES; entry++) {
    const slot = nodeSlot(node.view, entry);
    if (slot !== 0) yield { leaf: base + entry, slot, entry };
  }
}

/** Verifies every block and drops those that are not as written. `sound` has the nodes found whole before, and takes in more. */
export function* dropDamaged(
  file: StateFile,
  tree: Tree,
  sound: SlotSet,
  before: number,
): Generator<number, number> {
  let done = before;
  let told = before;
  const damaged: Damage[] = [];
  for (const bottom of bottomNodes(file, tree.map, (damage) => tree.lost.push(damage))) {
    const { slot } = bottom.node;
    if (slot !== 0 && sound.has(slot)) continue;
    const known = damaged.length;
    done += verifyLeaves(file, bottom, (damage) => damaged.push(damage)) + 1;
    if (slot !== 0 && damaged.length === known) sound.add(slot);
    if (done - told < CHUNK_SLOTS) continue;
    told = done;
    yield done;
  }
  for (const { first } of damaged) tree.map.clear(first);
  tree.lost.push(...damaged);
  return done;
}

/** Takes from `other`, which shows the same commit, what `tree` has lost. */
export function fillFrom(file: StateFile, tree: Tree, other: Tree): void {
  if (tree.lost.length === 0) return;
  const single = new Set(tree.lost.flatMap(({ exact, first }) => (exact ? first : [])));
  const ranges = tree.lost.filter(({ exact }) => !exact);
  const isLost = (leaf: number) =>
    single.has(leaf) || ranges.some(({ first, last }) => leaf >= first && leaf <= last);
  const saved = new Set<number>();
  for (const bottom of bottomNodes(file, other.map, () => {})) {
    for (const { leaf, slot, entry } of leavesOf(bottom)) {
      if (!isLost(leaf) || tree.map.slotOf(leaf) !== 0) continue;
      saved.add(leaf);
      tree.map.set(leaf, slot, bottom.node.view, nodeDigestOffset(entry));
    }
  }
  tree.lost = tree.lost.flatMap((damage) => {
    if (damage.exact) return saved.has(damage.first) ? [] : [damage];
    return other.lost.flatMap((each) => {
      const first = Math.max(each.first, damage.first);
      const last = Math.min(each.last, damage.last);
      return first <= last ? [{ ...each, first, last }] : [];
    });
  });
}

/** Blocks of the tree, and how many of them lie in each of the ranges. */
export function countLeaves(
  file: StateFile,
  { map }: Tree,
  ranges: readonly Damage[],
): { blocks: number; within: number[] } {
  const within = ranges.map(() => 0);
  let blocks = 0;
  for (const bottom of bottomNodes(file, map, () => {})) {
    for (const { leaf } of leavesOf(bottom)) {
      blocks++;
      ranges.forEach(({ first, last }, i) => {
        if (leaf >= first && leaf <= last) within[i]++;
      });
    }
  }
  return { blocks, within };
}
