/**
 * Trees that nothing leads to any more, found by their digests: a slot is a map node when what it says of other slots is true of them, and a
 * root when no other node names it. For files whose two superblocks are lost. 8 bytes of memory for each slot of the file.
 */
import { isZero } from "../base/bytes.js";
import { MAX_HEIGHT, NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { decodeDirectory, type SnapshotEntry } from "../format/directory.js";
import { nodeDigestOffset, nodeSlot, validateNode } from "../format/node.js";
import { entryDigestOffset, entrySlot } from "../format/segment.js";
import type { Root } from "../format/superblock.js";
import { BlockMap } from "../pager/block-map.js";
import { SlotSet } from "../pager/slot-set.js";
import { loadPlanes } from "../pager/space.js";
import { CHUNK_SLOTS, type StateFile } from "../pager/state-file.js";
import { bottomNodes } from "./leaves.js";
import { isCorrupt } from "./recovered.js";
import type { FoundSegment } from "./scan.js";
import { leavesOf } from "./trees.js";

export interface FoundRoots {
  /** The block map that seems to be the newest; null when there is none. */
  image: Root | null;
  /** The last commit that it has something of; 0 when that cannot be told. */
  sequence: number;
  /** Snapshots of every directory that was found, the latest of each name. */
  snapshots: SnapshotEntry[];
}

/** Yields the slots gone through. */
export function* findRoots(
  file: StateFile,
  segments: readonly FoundSegment[],
): Generator<number, FoundRoots> {
  const scan = yield* digestAll(file);
  const { named, nodes } = confirmNodes(file, scan);
  const snapshots = new Map<string, SnapshotEntry>();
  for (const entry of scan.snapshots) {
    const { slot, digest } = entry.root;
    const whole = slot === 0 || (nodes.has(slot) && scan.digests.getBigUint64(8 * slot, true) === digest);
    const known = snapshots.get(entry.name);
    if (whole && (known === undefined || known.sequence < entry.sequence)) snapshots.set(entry.name, entry);
  }
  // A root that a directory names is a snapshot's; it is the image's too when nothing was committed since.
  const tops = [...nodes.slots()].filter((slot) => !named.has(slot));
  const trees = tops.flatMap((slot) => {
    const root = {
      slot,
      digest: scan.digests.getBigUint64(8 * slot, true),
      height: heightOf(file, slot, nodes),
    };
    const tree = describe(file, root, segments);
    return tree ? [tree] : [];
  });
  const planes = trees.flatMap(({ root }) => imagePlane(file, root) ?? []);
  const images = trees.filter(({ reach }) => planes.some((plane) => isPlaneOf(plane, reach)));
  const best = (images.length > 0 ? images : trees).reduce<Found | null>(
    (best, tree) => (best === null || isNewer(tree, best) ? tree : best),
    null,
  );
  return { image: best?.root ?? null, sequence: best?.sequence ?? 0, snapshots: [...snapshots.values()] };
}

interface Scan {
  digests: DataView;
  /** Slots that could be nodes. */
  likely: SlotSet;
  snapshots: SnapshotEntry[];
}

function* digestAll(file: StateFile): Generator<number, Scan> {
  const slots = file.slots();
  const scan: Scan = {
    digests: new DataView(new ArrayBuffer(8 * slots)),
    likely: new SlotSet(),
    snapshots: [],
  };
  for (let from = 0; from < slots; from += CHUNK_SLOTS) {
    const count = Math.min(CHUNK_SLOTS, slots - from);
    const bytes = file.read(from, count);
    file.hasher.digestBlocks(bytes, scan.digests, 8 * from, 8);
    for (let i = 0; i < count; i++) {
      const slot = bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES);
      if (isZero(slot)) continue;
      if (validateNode(slot, slots) === null) scan.likely.add(from + i);
      else {
        const directory = decodeDirectory(slot, slots);
        if (directory.ok) scan.snapshots.push(...directory.value);
      }
    }
    yield from + count;
  }
  return scan;
}

/** Slots with an entry whose digest is that of the slot it names, and the slots that are so named. */
function confirmNodes(file: StateFile, { digests, likely }: Scan): { nodes: SlotSet; named: SlotSet } {
  const nodes = new SlotSet();
  const named = new SlotSet();
  for (const slot of likely.slots()) {
    const { buffer } = file.read(slot);
    const view = new DataView(buffer);
    for (let i = 0; i < NODE_ENTRIES; i++) {
      const child = nodeSlot(view, i);
      if (child === 0) continue;
      if (digests.getBigUint64(8 * child, true) !== view.getBigUint64(nodeDigestOffset(i), true)) continue;
      nodes.add(slot);
      named.add(child);
    }
  }
  return { nodes, named };
}

/** One more than that of a child that is a node. */
function heightOf(file: StateFile, slot: number, nodes: SlotSet): number {
  let height = 1;
  for (let at = slot; height < MAX_HEIGHT; height++) {
    const { buffer } = file.read(at);
    const view = new DataView(buffer);
    let below = 0;
    for (let i = 0; i < NODE_ENTRIES && below === 0; i++)
      if (nodes.has(nodeSlot(view, i))) below = nodeSlot(view, i);
    if (below === 0) break;
    at = below;
  }
  return height;
}

interface Found {
  root: Root;
  /** Slots of its nodes and leaves. */
  reach: SlotSet;
  leaves: number;
  /** Of the last commit one of whose blocks it has. */
  sequence: number;
}

function describe(file: StateFile, root: Root, segments: readonly FoundSegment[]): Found | null {
  const reach = new SlotSet();
  let leaves = 0;
  const map = new BlockMap(file, root);
  tolerate(() =>
    map.visit({
      node: (slot) => {
        const isNew = !reach.has(slot);
        reach.add(slot);
        return isNew;
      },
    }),
  );
  const digests = new Map<number, bigint>();
  for (const bottom of bottomNodes(file, map, () => {})) {
    for (const { slot, entry } of leavesOf(bottom)) {
      leaves++;
      reach.add(slot);
      digests.set(slot, bottom.node.view.getBigUint64(nodeDigestOffset(entry), true));
    }
  }
  if (leaves === 0) return null;
  let sequence = 0;
  for (const { header, view, entries } of segments) {
    if (header.sequence <= sequence) continue;
    for (let i = 0; i < entries; i++) {
      const slot = entrySlot(view, i);
      if (slot === 0 || digests.get(slot) !== view.getBigUint64(entryDigestOffset(i), true)) continue;
      sequence = header.sequence;
      break;
    }
  }
  return { root, reach, leaves, sequence };
}

/** What a tree says is reached by the image, if it is a free map; null when it cannot be one. */
function imagePlane(file: StateFile, root: Root): SlotSet | null {
  const image = new SlotSet();
  return tolerate(() => loadPlanes(file, new BlockMap(file, root), image, new SlotSet(), new SlotSet()))
    ? image
    : null;
}

/** Damage may have taken a part of what is reached. */
function isPlaneOf(plane: SlotSet, reach: SlotSet): boolean {
  const both = plane.clone();
  both.addAll(reach);
  return both.count() === plane.count() && reach.count() > plane.count() / 2;
}

function isNewer(a: Found, b: Found): boolean {
  return a.sequence !== b.sequence ? a.sequence > b.sequence : a.leaves > b.leaves;
}

function tolerate(body: () => void): boolean {
  try {
    body();
    return true;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    return false;
  }
}
