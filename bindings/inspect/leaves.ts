/**
 * A tree gone through without stopping at damage: what cannot be read is told as a range of leaves, and the rest is visited. In steps, so
 * that long work can be watched and stopped.
 */
import { PerdureError } from "../base/errors.js";
import { NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { nodeDigestOffset, nodeSlot } from "../format/node.js";
import type { BlockMap, MapNode } from "../pager/block-map.js";
import { SlotSet } from "../pager/slot-set.js";
import type { StateFile } from "../pager/state-file.js";

/** Leaves `first` … `last` that cannot be read, and why. */
export interface Damage {
  first: number;
  last: number;
  why: string;
  /** True for a leaf that was there; a range below a damaged node may have had fewer leaves than it has room for. */
  exact: boolean;
}

export interface BottomNode {
  node: MapNode;
  /** The leaf of entry 0. */
  base: number;
}

/** The nodes of height 1 in order. A node that is reached a second time is damage, so this ends after as many nodes as the file has slots. */
export function* bottomNodes(
  file: StateFile,
  map: BlockMap,
  tell: (damage: Damage) => void,
): Generator<BottomNode> {
  const top = attempt(file, () => map.top(), 0, NODE_ENTRIES ** map.height, tell);
  if (top) yield* below(file, map, top, 0, new SlotSet(), tell);
}

function* below(
  file: StateFile,
  map: BlockMap,
  node: MapNode,
  base: number,
  seen: SlotSet,
  tell: (damage: Damage) => void,
): Generator<BottomNode> {
  const span = NODE_ENTRIES ** node.height;
  if (node.slot !== 0 && seen.has(node.slot)) {
    const why = `the map node in slot ${node.slot} is reached twice`;
    tell({ first: base, last: base + span - 1, why, exact: false });
    return;
  }
  if (node.slot !== 0) seen.add(node.slot);
  if (node.height === 1) {
    yield { node, base };
    return;
  }
  for (let i = 0; i < NODE_ENTRIES; i++) {
    const first = base + i * (span / NODE_ENTRIES);
    const child = attempt(file, () => map.childOf(node, i), first, span / NODE_ENTRIES, tell);
    if (child) yield* below(file, map, child, first, seen, tell);
  }
}

/** Verifies the blocks below a node of height 1; neighbours are read with one call. Returns how many there are. */
export function verifyLeaves(
  file: StateFile,
  { node, base }: BottomNode,
  tell: (damage: Damage) => void,
): number {
  const bytes = new Uint8Array(NODE_ENTRIES * SLOT_BYTES);
  const slots = file.slots();
  let leaves = 0;
  for (let i = 0; i < NODE_ENTRIES; ) {
    const slot = nodeSlot(node.view, i);
    let run = 1;
    while (slot !== 0 && i + run < NODE_ENTRIES && nodeSlot(node.view, i + run) === slot + run) run++;
    if (slot !== 0) {
      if (slot < slots) file.readInto(slot, bytes.subarray(0, run * SLOT_BYTES));
      for (let j = 0; j < run; j++) {
        leaves++;
        const block = bytes.subarray(j * SLOT_BYTES, (j + 1) * SLOT_BYTES);
        const whole = slot + j < slots;
        if (whole && file.hasher.matches(block, node.view, nodeDigestOffset(i + j))) continue;
        const why = whole
          ? `slot ${slot + j} does not have the digest that it was written with`
          : `slot ${slot + j} lies past the end of the file`;
        tell({ first: base + i + j, last: base + i + j, why, exact: true });
      }
    }
    i += run;
  }
  return leaves;
}

function attempt<T>(
  file: StateFile,
  read: () => T,
  first: number,
  leaves: number,
  tell: (damage: Damage) => void,
): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PerdureError && error.code === "CORRUPT")) throw error;
    tell({ first, last: first + leaves - 1, why: withoutLabel(file, error.message), exact: false });
    return null;
  }
}

/** The message without the name of the file, which a report says once. */
export function withoutLabel({ label }: StateFile, message: string): string {
  return message.startsWith(`${label}: `) ? message.slice(label.length + 2) : message;
}
