/**
 * Writes a whole new state file: empty for creation, or the commit and snapshots of another for backup, compaction and takeover. What is
 * copied is verified on the way; the result is dense, with fresh superblocks and an empty chain.
 */
import { FIRST_SLOT, FREE_PAGE_SLOTS, NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { encodeDirectory, type SnapshotEntry } from "../format/directory.js";
import { freePageCount, Plane, planeOf } from "../format/free-map.js";
import { nodeDigestOffset, nodeSlot, setNodeEntry } from "../format/node.js";
import { EMPTY_ROOT, encodeSuperblock, type Root } from "../format/superblock.js";
import { BlockMap, type MapNode } from "./block-map.js";
import { randomId } from "./random.js";
import { SMALL_BUDGET_SLOTS } from "./runs.js";
import { SlotSet } from "./slot-set.js";
import { mark } from "./space.js";
import { CHUNK_SLOTS, type StateFile } from "./state-file.js";

export interface CopySource {
  file: StateFile;
  map: BlockMap;
  snapshots: readonly SnapshotEntry[];
  /** Trees of snapshots that are not in the file yet. */
  forks: ReadonlyMap<string, BlockMap>;
  sequence: number;
}

/** Zero slots behind a new file, so that the first commits do not grow it. */
const FIRST_AHEAD_SLOTS = 16;
/** Slots gathered before they are written. */
const BUFFER_SLOTS = 64;

/** Yields the number of slots written so far, about once a MiB. The target is not flushed. */
export function* copyState(
  source: CopySource | null,
  target: StateFile,
  writer: number,
): Generator<number, void> {
  const copier = new Copier(target, source?.file ?? target, (source?.snapshots.length ?? 0) > 0);
  const snapshots: SnapshotEntry[] = [];
  for (const entry of source?.snapshots ?? []) {
    const tree = source!.forks.get(entry.name) ?? new BlockMap(source!.file, entry.root);
    snapshots.push({ ...entry, root: yield* copier.copyTree(tree) });
  }
  const image = source ? yield* copier.copyTree(source.map) : EMPTY_ROOT;
  copier.flushBuffer();

  const planes = { image: new SlotSet(), held: new SlotSet() };
  mark(new BlockMap(target, image), planes.image);
  for (const { root } of snapshots) mark(new BlockMap(target, root), planes.held);
  const directory = copier.writeTree(encodeDirectory(snapshots));
  const pages = Array.from({ length: freePageCount(copier.slot) }, (_, page) => {
    const bytes = new Uint8Array(SLOT_BYTES);
    planes.image.copyBits(page * FREE_PAGE_SLOTS, planeOf(bytes, Plane.Image));
    planes.held.copyBits(page * FREE_PAGE_SLOTS, planeOf(bytes, Plane.Held));
    return bytes;
  });
  const freeMap = copier.writeTree(pages);
  const end = copier.slot;
  for (let i = 0; i < FIRST_AHEAD_SLOTS; i++) copier.append(new Uint8Array(SLOT_BYTES));
  copier.flushBuffer();

  const superblock = {
    uuid: randomId(),
    generation: 1,
    sequence: source?.sequence ?? 0,
    writer,
    time: Date.now(),
    image,
    freeMap,
    directory,
    fileSlots: end,
    chainDigest: 0n,
    chainNext: end,
    runs: [{ slot: end, slots: SMALL_BUDGET_SLOTS }],
  };
  target.write(1, encodeSuperblock(superblock, target.hasher));
  target.write(0, encodeSuperblock({ ...superblock, generation: 2 }, target.hasher));
  yield copier.slot;
}

class Copier {
  /** The next slot of the target. */
  slot = FIRST_SLOT;
  private readonly buffer = new Uint8Array(BUFFER_SLOTS * SLOT_BYTES);
  private buffered = 0;
  private yielded = 0;
  /** Slots of the source. */
  private readonly copied = new SlotSet();
  /** Copies of nodes and blocks by their old slot; kept only when trees can share them. */
  private readonly nodes = new Map<number, Root>();
  private readonly blocks = new Map<number, number>();

  constructor(
    private readonly target: StateFile,
    private readonly source: StateFile,
    private readonly sharing: boolean,
  ) {
    target.write(0, new Uint8Array(FIRST_SLOT * SLOT_BYTES));
  }

  append(bytes: Uint8Array): number {
    this.buffer.set(bytes, this.buffered * SLOT_BYTES);
    this.buffered++;
    this.slot++;
    if (this.buffered === BUFFER_SLOTS) this.flushBuffer();
    return this.slot - 1;
  }

  flushBuffer(): void {
    if (this.buffered === 0) return;
    this.target.write(this.slot - this.buffered, this.buffer.subarray(0, this.buffered * SLOT_BYTES));
    this.buffered = 0;
  }

  *copyTree(tree: BlockMap): Generator<number, Root> {
    const top = tree.top();
    return top === null ? EMPTY_ROOT : yield* this.copyNode(tree, top);
  }

  private *copyNode(tree: BlockMap, node: MapNode): Generator<number, Root> {
    const known = this.nodes.get(node.slot);
    if (known) return known;
    if (node.slot !== 0) this.once(node.slot);
    const bytes = new Uint8Array(SLOT_BYTES);
    const view = new DataView(bytes.buffer);
    if (node.height === 1) {
      bytes.set(node.bytes);
      this.copyLeaves(node, view);
      if (this.slot - this.yielded >= CHUNK_SLOTS) {
        this.yielded = this.slot;
        yield this.slot;
      }
    } else {
      const digest = new DataView(new ArrayBuffer(8));
      for (let i = 0; i < NODE_ENTRIES; i++) {
        const child = tree.childOf(node, i);
        if (child === null) continue;
        const copied = yield* this.copyNode(tree, child);
        if (copied.slot === 0) continue;
        digest.setBigUint64(0, copied.digest, true);
        setNodeEntry(view, i, copied.slot, digest, 0);
      }
    }
    const root = this.appendNode(bytes, node.height);
    if (this.sharing && node.slot !== 0) this.nodes.set(node.slot, root);
    return root;
  }

  private appendNode(bytes: Uint8Array, height: number): Root {
    const digest = new DataView(new ArrayBuffer(8));
    this.target.hasher.digest(bytes, digest, 0);
    return { slot: this.append(bytes), digest: digest.getBigUint64(0, true), height };
  }

  /** Copies the blocks below a node of height 1, and points `view`, a copy of the node, at them. */
  private copyLeaves(node: MapNode, view: DataView): void {
    for (let i = 0; i < NODE_ENTRIES; ) {
      const slot = nodeSlot(node.view, i);
      let run = 1;
      while (slot !== 0 && i + run < NODE_ENTRIES && nodeSlot(node.view, i + run) === slot + run) run++;
      if (slot !== 0) {
        const chunk = this.source.read(slot, run);
        for (let j = 0; j < run; j++)
          this.copyLeaf(node, view, i + j, chunk.subarray(j * SLOT_BYTES, (j + 1) * SLOT_BYTES));
      }
      i += run;
    }
  }

  private copyLeaf(node: MapNode, view: DataView, entry: number, bytes: Uint8Array): void {
    const from = nodeSlot(node.view, entry);
    let to = this.blocks.get(from);
    if (to === undefined) {
      if (!this.source.hasher.matches(bytes, node.view, nodeDigestOffset(entry))) {
        throw this.source.corrupt(
          `the block in slot ${from} does not have the digest that it was written with`,
        );
      }
      this.once(from);
      to = this.append(bytes);
      if (this.sharing) this.blocks.set(from, to);
    }
    setNodeEntry(view, entry, to, node.view, nodeDigestOffset(entry));
  }

  /** Each slot is copied once: a source whose trees lead to the same ones again and again would fill any disk. */
  private once(slot: number): void {
    if (this.copied.has(slot)) throw this.source.corrupt(`a tree reaches slot ${slot} twice`);
    this.copied.add(slot);
  }

  /** Writes a tree of its own for `leaves`; leaves of zeros are left out. */
  writeTree(leaves: readonly Uint8Array[]): Root {
    const tree = new BlockMap(this.target, EMPTY_ROOT);
    const digest = new DataView(new ArrayBuffer(8));
    leaves.forEach((bytes, leaf) => {
      if (bytes.every((byte) => byte === 0)) return;
      this.target.hasher.digest(bytes, digest, 0);
      tree.set(leaf, this.append(bytes), digest, 0);
    });
    const nodes = tree.dirtyNodes();
    const root = tree.assign(nodes, [{ slot: this.slot, slots: nodes.length }]);
    for (const node of nodes) this.append(node.bytes);
    return root;
  }
}
