// The copy-on-write tree against a Map: what it holds, what it writes, which slots it gives up, and that forks
// of it go their own ways. What was written is read back by a walk over bare slots that shares no code with it.

import assert from "node:assert/strict";
import { createXXHash3 } from "hash-wasm";
import type { Root } from "../bindings/format/superblock.js";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { BlockMap } from "../bindings/pager/block-map.js";
import { StateFile } from "../bindings/pager/state-file.js";
import { MemoryStorage } from "../bindings/storage/memory.js";
import { expectCode } from "./support/expect-code.js";
import { type Random, withSeed } from "./support/random.js";

const hasher = await WasmHasher.create();
const independent = await createXXHash3();
const emptyRoot: Root = { slot: 0, digest: 0n, height: 0 };

interface Leaf {
  slot: number;
  digest: bigint;
}

/** A tree in a file, the map that it should equal, and the slots that the tree should lie in. */
class Tree {
  map: BlockMap;
  model = new Map<number, Leaf>();
  root = emptyRoot;
  released: number[] = [];

  constructor(readonly shared: SharedFile) {
    this.map = new BlockMap(shared.file, emptyRoot, (slot) => this.released.push(slot));
  }

  set(leaf: number, slot: number, digest: bigint): void {
    const view = new DataView(new ArrayBuffer(12));
    view.setBigUint64(4, digest, true);
    assert.equal(this.map.set(leaf, slot, view, 4), this.model.get(leaf)?.slot ?? 0);
    this.model.set(leaf, { slot, digest });
  }

  clear(leaf: number): void {
    assert.equal(this.map.clear(leaf), this.model.get(leaf)?.slot ?? 0);
    this.model.delete(leaf);
  }

  /** Writes what is dirty, as a checkpoint does. */
  write(): void {
    const nodes = this.map.dirtyNodes();
    const first = this.shared.next;
    this.root = this.map.assign(nodes, [{ slot: first, slots: nodes.length }]);
    nodes.forEach((node, i) => {
      assert.equal(node.slot, first + i);
      this.shared.file.write(node.slot, node.bytes);
    });
    this.shared.next += nodes.length;
    assert.deepEqual(this.map.dirtyNodes(), []);
  }

  /** The same content from the file alone, without what is in memory. */
  reopen(): void {
    this.write();
    this.map = new BlockMap(this.shared.file, this.root, (slot) => this.released.push(slot));
  }

  fork(): Tree {
    const copy = new Tree(this.shared);
    copy.map = this.map.fork();
    copy.model = new Map(this.model);
    copy.root = this.root;
    return copy;
  }

  verify(random: Random): void {
    const leaves: [number, number][] = [];
    this.map.visit({ leaf: (leaf, slot) => leaves.push([leaf, slot]) });
    const expected = [...this.model].map(([leaf, { slot }]): [number, number] => [leaf, slot]);
    assert.deepEqual(
      leaves,
      expected.sort((a, b) => a[0] - b[0]),
    );
    for (const [leaf, { slot }] of this.model) assert.equal(this.map.slotOf(leaf), slot);
    for (let i = 0; i < 20; i++) {
      const leaf = someLeaf(random);
      assert.equal(this.map.slotOf(leaf), this.model.get(leaf)?.slot ?? 0);
    }
  }

  verifyWritten(): void {
    const { leaves } = this.shared.readTree(this.root);
    const expected = [...this.model].sort((a, b) => a[0] - b[0]);
    assert.deepEqual(leaves, expected);
  }
}

/** Leaves lie anywhere in a file of so many slots; what is in them does not matter here. */
const leafSlots = 2000;

class SharedFile {
  readonly file = new StateFile(new MemoryStorage(), hasher, "memory");
  /** Slots from here on were never written. */
  next = 3;

  constructor() {
    this.file.storage.truncate(leafSlots * 4096);
  }

  /** Reads a tree as FORMAT.md §6 describes it, from its root down. */
  readTree(root: Root): { leaves: [number, Leaf][]; nodes: Set<number> } {
    const leaves: [number, Leaf][] = [];
    const nodes = new Set<number>();
    const visit = ({ slot, digest }: Leaf, height: number, first: bigint): void => {
      const bytes = this.file.read(slot);
      independent.init().update(bytes);
      assert.equal(BigInt(`0x${independent.digest("hex")}`), digest, `the node in slot ${slot}`);
      assert.ok(!nodes.has(slot));
      nodes.add(slot);
      const view = new DataView(bytes.buffer);
      let entries = 0;
      for (let i = 0; i < 256; i++) {
        const entry = {
          slot: Number(view.getBigUint64(i * 16, true)),
          digest: view.getBigUint64(i * 16 + 8, true),
        };
        if (entry.slot === 0) {
          assert.equal(entry.digest, 0n);
          continue;
        }
        entries++;
        const index = first + BigInt(i) * 256n ** BigInt(height - 1);
        if (height === 1) leaves.push([Number(index), entry]);
        else visit(entry, height - 1, index);
      }
      assert.ok(entries > 0, `the node in slot ${slot} is empty`);
    };
    if (root.slot !== 0) visit(root, root.height, 0n);
    return { leaves, nodes };
  }
}

const ends = [1, 2, 3, 4, 5].map((height) => 256 ** height);

function someLeaf(random: Random): number {
  if (random.oneIn(3)) return random.pick(ends) - 1 - random.below(3);
  if (random.oneIn(3)) return random.pick(ends.slice(0, 4)) + random.below(3);
  return random.below(random.pick([300, 2000, 70000]));
}

function change(random: Random, tree: Tree, steps: number): void {
  for (let i = 0; i < steps; i++) {
    const leaf = random.oneIn(3) ? random.pick([...tree.model.keys(), 0]) : someLeaf(random);
    if (random.oneIn(3)) tree.clear(leaf);
    else tree.set(leaf, 3 + random.below(leafSlots - 3), BigInt(random.next()) * 2n ** 32n + 1n);
  }
}

describe("the block map", () => {
  it("holds and writes what a Map does, whatever stays in memory", () =>
    withSeed("block map", (random) => {
      for (let round = 0; round < 12; round++) {
        const tree = new Tree(new SharedFile());
        for (let step = 0; step < 25; step++) {
          change(random, tree, random.below(random.pick([2, 30])));
          tree.verify(random);
          const what = random.below(4);
          if (what === 0) tree.reopen();
          else if (what === 1) tree.write();
          if (what <= 1) tree.verifyWritten();
          if (what <= 2) tree.map.trim(random.pick([0, 1, 3, 50]));
          tree.verify(random);
        }
      }
    }));

  it("gives up exactly the nodes that it replaces", () =>
    withSeed("released nodes", (random) => {
      const tree = new Tree(new SharedFile());
      for (let step = 0; step < 120; step++) {
        tree.write();
        const before = tree.shared.readTree(tree.root).nodes;
        tree.released = [];
        if (random.oneIn(3)) tree.reopen();
        if (random.oneIn(3)) tree.map.trim(0);
        change(random, tree, random.below(4));
        tree.write();
        const after = tree.shared.readTree(tree.root).nodes;
        const replaced = [...before].filter((slot) => !after.has(slot));
        assert.deepEqual(
          tree.released.sort((a, b) => a - b),
          replaced.sort((a, b) => a - b),
        );
      }
    }));

  it("writes one node for each level above a change, and none without", () => {
    const tree = new Tree(new SharedFile());
    tree.set(256 ** 4 + 5, 10, 1n);
    tree.set(3, 11, 1n);
    tree.write();
    assert.equal(tree.root.height, 5);
    assert.deepEqual(tree.map.dirtyNodes(), []);
    tree.set(4, 12, 1n);
    assert.deepEqual(
      tree.map.dirtyNodes().map((node) => node.height),
      [1, 2, 3, 4, 5],
    );
    tree.set(256 ** 4 + 5, 13, 1n);
    assert.deepEqual(
      tree.map.dirtyNodes().map((node) => node.height),
      [1, 2, 3, 4, 1, 2, 3, 4, 5],
    );
  });

  it("grows to the height that a leaf needs, and an emptied one is no tree", () => {
    for (const [i, end] of ends.entries()) {
      const tree = new Tree(new SharedFile());
      tree.set(end - 1, 7, 1n);
      tree.write();
      assert.equal(tree.root.height, i + 1);
      tree.verifyWritten();
      if (i + 1 < ends.length) {
        tree.set(end, 8, 1n);
        tree.write();
        assert.equal(tree.root.height, i + 2);
        tree.verifyWritten();
        tree.clear(end);
      }
      tree.clear(end - 1);
      tree.clear(0);
      tree.write();
      assert.deepEqual(tree.root, emptyRoot);
      tree.set(0, 9, 1n);
      tree.write();
      assert.equal(tree.root.height, 1);
      tree.verifyWritten();
    }
  });

  it("forks: none of two sees what the other does, whichever writes first", () =>
    withSeed("forks", (random) => {
      for (let round = 0; round < 25; round++) {
        const trees = [new Tree(new SharedFile())];
        for (let step = 0; step < 20; step++) {
          const tree = random.pick(trees);
          change(random, tree, random.below(10));
          if (trees.length < 4 && random.oneIn(4)) trees.push(tree.fork());
          if (random.oneIn(4)) {
            // As a checkpoint does when a recovery has replayed snapshots: all of them, one after the other.
            for (const each of random.shuffle([...trees])) each.write();
            for (const each of trees) each.verifyWritten();
            if (random.oneIn(2)) random.pick(trees).map.trim(0);
          }
          for (const each of trees) each.verify(random);
        }
      }
    }));

  it("visits nothing below a node that the visitor leaves out", () => {
    const tree = new Tree(new SharedFile());
    for (let leaf = 0; leaf < 1024; leaf += 2) tree.set(leaf, 10 + leaf, 1n);
    tree.write();
    const nodes: number[] = [];
    const leaves: number[] = [];
    tree.map.visit({
      node: (slot) => {
        nodes.push(slot);
        return nodes.length !== 3;
      },
      leaf: (leaf) => leaves.push(leaf),
    });
    assert.equal(nodes.length, 5);
    assert.deepEqual(
      leaves,
      [...tree.model.keys()].filter((leaf) => leaf < 256 || leaf >= 512),
    );
  });

  it("does not believe a node that is not what its parent says", () =>
    withSeed("damaged nodes", (random) => {
      const tree = new Tree(new SharedFile());
      for (const end of ends) tree.set(end - 1, 123, 1n);
      for (let i = 0; i < 20; i++) tree.set(someLeaf(random), 123, 1n);
      tree.reopen();
      const { nodes } = tree.shared.readTree(tree.root);
      for (const slot of nodes) {
        const whole = tree.shared.file.read(slot);
        const damaged = whole.slice();
        damaged[random.below(4096)] ^= 1 << random.below(8);
        tree.shared.file.write(slot, damaged);
        expectCode("CORRUPT", () => new BlockMap(tree.shared.file, tree.root).visit({}));
        tree.shared.file.write(slot, whole);
      }
      assert.deepEqual(tree.shared.readTree(tree.root).nodes, nodes);
      tree.verifyWritten();
    }));

  it("refuses a height that no tree has", () => {
    expectCode("CORRUPT", () => new BlockMap(new SharedFile().file, { slot: 3, digest: 1n, height: 6 }));
  });
});
