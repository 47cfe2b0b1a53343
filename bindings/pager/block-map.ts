/**
 * A copy-on-write radix tree from leaf number to (slot, digest): the block map, and with other leaves the free map and the
 * directory. FORMAT.md §6.
 *
 * Invariants. A node in memory with a slot is *clean*: it equals what lies in that slot. A node without one is *dirty*,
 * and so are all nodes above it. A node is changed only by the map that owns it; `fork` makes two maps that share all
 * nodes and own none, so either can go on without the other seeing it. The entry of a dirty child is filled in when
 * the child gets its slot (`assign`); until then the child hangs in `children` and must not be dropped.
 */
import { MAX_HEIGHT, NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { clearNodeEntry, nodeDigestOffset, nodeSlot, setNodeEntry, validateNode } from "../format/node.js";
import { EMPTY_ROOT, type Root, type Run } from "../format/superblock.js";
import type { StateFile } from "./state-file.js";

export class MapNode {
  readonly view: DataView;
  /** Children that are in memory, by entry; none at height 1. */
  readonly children: (MapNode | undefined)[] | null;

  constructor(
    readonly height: number,
    readonly bytes: Uint8Array,
    public slot: number,
    public owner: object,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, SLOT_BYTES);
    this.children = height > 1 ? new Array(NODE_ENTRIES) : null;
  }

  hasEntry(index: number): boolean {
    return nodeSlot(this.view, index) !== 0 || this.children?.[index] !== undefined;
  }

  isEmpty(): boolean {
    for (let i = 0; i < NODE_ENTRIES; i++) if (this.hasEntry(i)) return false;
    return true;
  }
}

export interface TreeVisitor {
  /** Not called for dirty nodes, which have no slot. */
  node?(slot: number, height: number): boolean;
  /** `entry` of `node` describes the leaf. */
  leaf?(leaf: number, slot: number, node: MapNode, entry: number): void;
}

/** Leaves below a node, by its height. */
const LEAVES = Array.from({ length: MAX_HEIGHT + 1 }, (_, height) => NODE_ENTRIES ** height);

const digit = (leaf: number, height: number): number => Math.floor(leaf / LEAVES[height - 1]) % NODE_ENTRIES;

export class BlockMap {
  private root: MapNode | null = null;
  private unread: Root;
  private owner = {};
  private nodesInMemory = 0;

  constructor(
    private readonly file: StateFile,
    root: Root,
    /** Told of each slot whose node is being replaced. */
    private readonly released: (slot: number) => void = () => {},
  ) {
    if (root.height > MAX_HEIGHT) throw file.corrupt(`a tree of height ${root.height}`);
    this.unread = root;
  }

  get height(): number {
    return this.root ? this.root.height : this.unread.height;
  }

  /** A second map with the same content, whose later changes this one does not see (nor the other way round). */
  fork(): BlockMap {
    const copy = new BlockMap(this.file, this.unread);
    copy.root = this.root;
    this.owner = {};
    return copy;
  }

  /** The lowest node above `leaf`, whose entry `leaf % 256` describes it; null when the leaf is absent. */
  locate(leaf: number): MapNode | null {
    const node = this.nodeAbove(leaf);
    return node === null || nodeSlot(node.view, leaf % NODE_ENTRIES) === 0 ? null : node;
  }

  /** The node that would have `leaf` and those beside it as its entries; null when none of them is there. */
  nodeAbove(leaf: number): MapNode | null {
    let node = this.top();
    if (node === null || leaf >= LEAVES[node.height]) return null;
    while (node.height > 1) {
      const child: MapNode | null = this.child(node, digit(leaf, node.height));
      if (child === null) return null;
      node = child;
    }
    return node;
  }

  /** The slot of `leaf`, 0 when it is absent. */
  slotOf(leaf: number): number {
    const node = this.locate(leaf);
    return node === null ? 0 : nodeSlot(node.view, leaf % NODE_ENTRIES);
  }

  /** Points `leaf` at `slot` with the digest at `at` of `digests`; returns the slot it had, or 0. */
  set(leaf: number, slot: number, digests: DataView, at: number): number {
    const node = this.reachForChange(leaf);
    const before = nodeSlot(node.view, leaf % NODE_ENTRIES);
    setNodeEntry(node.view, leaf % NODE_ENTRIES, slot, digests, at);
    return before;
  }

  /** Makes `leaf` absent; returns the slot it had, or 0. */
  clear(leaf: number): number {
    if (this.locate(leaf) === null) return 0;
    const node = this.reachForChange(leaf);
    const before = nodeSlot(node.view, leaf % NODE_ENTRIES);
    clearNodeEntry(node.view, leaf % NODE_ENTRIES);
    return before;
  }

  /** Dirty nodes, children before parents; empty ones are cut out of the tree first. */
  dirtyNodes(): MapNode[] {
    const found: MapNode[] = [];
    if (this.root && this.root.slot === 0 && !this.collect(this.root, found)) {
      this.root = null;
      this.unread = EMPTY_ROOT;
    }
    return found;
  }

  /**
   * Gives the dirty nodes the slots of `extents`, in the order of `dirtyNodes`, and computes the digests of their parents' entries.
   * Returns the root. The nodes count as clean from here on; whoever fails to write them sets their slots back to 0.
   */
  assign(nodes: readonly MapNode[], extents: readonly Run[]): Root {
    const digest = new DataView(new ArrayBuffer(8));
    const batch = new Set(nodes);
    const slots = extents.flatMap(({ slot, slots }) => Array.from({ length: slots }, (_, i) => slot + i));
    nodes.forEach((node, i) => {
      node.slot = slots[i];
      // Children come first, so their slots are set by now. One that a fork shares may have got its slot there.
      node.children?.forEach((child, index) => {
        if (child === undefined || (!batch.has(child) && nodeSlot(node.view, index) === child.slot)) return;
        this.file.hasher.digest(child.bytes, digest, 0);
        setNodeEntry(node.view, index, child.slot, digest, 0);
      });
    });
    if (this.root === null) return this.unread;
    this.file.hasher.digest(this.root.bytes, digest, 0);
    return { slot: this.root.slot, digest: digest.getBigUint64(0, true), height: this.root.height };
  }

  /**
   * Visits every node and leaf slot below the root. `node` returns false to leave out what lies below (shared, or seen before).
   * Leaves are visited in order. Throws CORRUPT for a node that does not verify.
   */
  visit(visitor: TreeVisitor): void {
    const top = this.top();
    if (top) this.visitNode(top, 0, visitor, { nodes: this.file.slots() });
  }

  /** Calls `leaf` with each leaf in [from, end), in order. What lies elsewhere is not read. */
  visitRange(from: number, end: number, leaf: (leaf: number) => void): void {
    const top = this.top();
    if (top) this.visitRangeOf(top, 0, from, end, leaf, { nodes: this.file.slots() });
  }

  private visitRangeOf(
    node: MapNode,
    base: number,
    from: number,
    end: number,
    leaf: (leaf: number) => void,
    left: { nodes: number },
  ): void {
    if (node.slot !== 0 && left.nodes-- === 0)
      throw this.file.corrupt("a tree has more nodes than the file has slots");
    const span = LEAVES[node.height - 1];
    const last = Math.min(NODE_ENTRIES, Math.ceil((end - base) / span));
    for (let i = Math.max(0, Math.floor((from - base) / span)); i < last; i++) {
      if (node.height === 1) {
        if (nodeSlot(node.view, i) !== 0) leaf(base + i);
        continue;
      }
      const child = this.childOf(node, i);
      if (child) this.visitRangeOf(child, base + i * span, from, end, leaf, left);
    }
  }

  /** Drops clean leaves' parents from memory when there are more than `limit` nodes. */
  trim(limit: number): void {
    if (this.nodesInMemory <= limit || this.root === null) return;
    this.nodesInMemory = 1;
    this.dropClean(this.root);
  }

  private dropClean(node: MapNode): void {
    node.children?.forEach((child, index) => {
      if (child === undefined) return;
      if (child.slot !== 0) node.children![index] = undefined;
      else {
        this.nodesInMemory++;
        this.dropClean(child);
      }
    });
  }

  /** `left`: a tree with more nodes than the file has slots reaches some of them many times, and no honest one does. */
  private visitNode(node: MapNode, base: number, visitor: TreeVisitor, left: { nodes: number }): void {
    if (node.slot !== 0 && left.nodes-- === 0)
      throw this.file.corrupt("a tree has more nodes than the file has slots");
    if (visitor.node && node.slot !== 0 && !visitor.node(node.slot, node.height)) return;
    const span = LEAVES[node.height - 1];
    for (let i = 0; i < NODE_ENTRIES; i++) {
      if (node.height > 1) {
        const child = this.childOf(node, i);
        if (child) this.visitNode(child, base + i * span, visitor, left);
        continue;
      }
      const slot = nodeSlot(node.view, i);
      if (slot !== 0) visitor.leaf?.(base + i, slot, node, i);
    }
  }

  private collect(node: MapNode, found: MapNode[]): boolean {
    node.children?.forEach((child, index) => {
      if (child === undefined || child.slot !== 0) return;
      if (this.collect(child, found)) return;
      node.children![index] = undefined;
      clearNodeEntry(node.view, index);
    });
    if (node.isEmpty()) return false;
    found.push(node);
    return true;
  }

  /** The root node; null for an empty tree. */
  top(): MapNode | null {
    if (this.root === null && this.unread.height > 0) {
      const { slot, height } = this.unread;
      if (slot >= this.file.slots())
        throw this.file.corrupt(`a tree in slot ${slot}, which the file does not have`);
      const digest = new DataView(new ArrayBuffer(8));
      digest.setBigUint64(0, this.unread.digest, true);
      this.root = this.load(slot, height, this.owner, digest, 0);
    }
    return this.root;
  }

  private load(slot: number, height: number, owner: object, digests: DataView, at: number): MapNode {
    const bytes = new Uint8Array(SLOT_BYTES);
    this.file.readVerified(slot, bytes, digests, at, "a map node");
    const wrong = validateNode(bytes, this.file.slots());
    if (wrong !== null) throw this.file.corrupt(`the map node in slot ${slot}: ${wrong}`);
    return new MapNode(height, bytes, slot, owner);
  }

  /** Child `index` of a node above height 1, without keeping it in memory; null when there is none. */
  childOf(node: MapNode, index: number): MapNode | null {
    const known = node.children![index];
    if (known) return known;
    const slot = nodeSlot(node.view, index);
    // Owned like its parent: below a shared node everything is shared.
    return slot === 0
      ? null
      : this.load(slot, node.height - 1, node.owner, node.view, nodeDigestOffset(index));
  }

  private child(node: MapNode, index: number): MapNode | null {
    const child = this.childOf(node, index);
    if (child && node.children![index] === undefined) {
      node.children![index] = child;
      this.nodesInMemory++;
    }
    return child;
  }

  private reachForChange(leaf: number): MapNode {
    let node = this.growTo(leaf);
    while (node.height > 1) {
      const index = digit(leaf, node.height);
      const below = this.child(node, index);
      const child = below === null ? this.fresh(node.height - 1) : this.own(below);
      node.children![index] = child;
      node = child;
    }
    return node;
  }

  /** The root, changeable and high enough for `leaf`. */
  private growTo(leaf: number): MapNode {
    const top = this.top();
    let root = top === null ? this.fresh(1) : this.own(top);
    while (leaf >= LEAVES[root.height]) {
      const above = this.fresh(root.height + 1);
      above.children![0] = root;
      root = above;
    }
    this.root = root;
    return root;
  }

  private fresh(height: number): MapNode {
    this.nodesInMemory++;
    return new MapNode(height, new Uint8Array(SLOT_BYTES), 0, this.owner);
  }

  /** `node` itself when it may be changed in place, otherwise a copy; either way dirty. */
  private own(node: MapNode): MapNode {
    if (node.slot !== 0) this.released(node.slot);
    if (node.owner === this.owner) {
      node.slot = 0;
      return node;
    }
    const copy = new MapNode(node.height, node.bytes.slice(), 0, this.owner);
    node.children?.forEach((child, index) => {
      if (child) copy.children![index] = child;
    });
    return copy;
  }
}
