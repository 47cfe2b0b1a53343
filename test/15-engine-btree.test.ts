// B+trees against a sorted Map: keys of shapes that hurt, in random operations mixed with commits, rollbacks, remounts, failing hosts and refused memory.

import assert from "node:assert/strict";
import { addresses, blockBytes, codes, EngineHarness, engineConstants } from "./support/engine-harness.js";
import {
  EngineTree,
  type Key,
  type Keys,
  numberKey,
  seekModes,
  TreeDriver,
} from "./support/engine-tree-model.js";
import { type Random, withSeed } from "./support/random.js";

const text = (random: Random, length: number, characters: string) =>
  Array.from({ length }, () => random.pick([...characters])).join("");

/** Each draws from so few keys that those that are there come again. */
const shapes: Record<string, Keys> = {
  "numbers of eight bytes": (random) => numberKey(random.below(20_000) * 1e9),
  "numbers close together": (random) => numberKey(random.below(5000)),
  "a few characters, zeros among them": (random) => text(random, random.below(9), "\0\x01\xff"),
  "zeros of every length": (random) => "\0".repeat(random.below(1025)),
  "a common beginning": (random) => `common beginning ${random.below(4000)}`,
  "a common beginning of 900 bytes": (random) => "b".repeat(900) + text(random, random.below(12), "\0b\xff"),
  "the longest there are": (random) =>
    text(random, 2, "abcdefgh").padEnd(1024, "ab").slice(0, 1021) + text(random, random.below(4), "\0c"),
  "all lengths": (random) =>
    text(random, 1 + random.below(3), "pqrs").padEnd(random.pick([0, 1, 7, 8, 9, 16, 100, 1024]), "q"),
};

/** Random operations in waves of growing and shrinking; every so often one of commit, rollback, remount, and the accounting. */
function run(random: Random, keys: Keys, steps: number, failures = false): TreeDriver {
  const driver = new TreeDriver(EngineHarness.format(), random, keys);
  for (let i = 0; i < steps / 2; i++) driver.insert(keys(random), i);
  for (let i = 0; i < steps; i++) {
    const grows = Math.floor((4 * i) / steps) % 2 === 0;
    if (failures && random.oneIn(3)) driver.harness.failIn = 1 + random.below(6);
    driver.step(grows ? { insert: 70, delete: 10 } : { insert: 15, delete: 65 });
    driver.harness.failIn = 0;
    if (!random.oneIn(150)) continue;
    driver.harness.checkBarrier();
    const choice = random.below(10);
    if (choice < 6) driver.commit();
    else if (choice < 8) driver.rollback();
    else {
      driver.remount();
      driver.askForSome(20);
    }
    if (random.oneIn(2)) driver.account();
  }
  driver.account();
  driver.commit();
  driver.remount();
  driver.askForSome(50);
  driver.account();
  return driver;
}

/** Deletes everything, in some order, and holds what remains against the model on the way. */
function empty(driver: TreeDriver, order: readonly Key[]): void {
  for (const [i, key] of order.entries()) {
    driver.delete(key);
    if (i % Math.ceil(order.length / 8) === 0) driver.account();
  }
  assert.deepEqual([driver.account().nodes.size, driver.account().height], [0, 0]);
}

function filled(random: Random, keys: readonly Key[]): TreeDriver {
  const driver = new TreeDriver(EngineHarness.format(), random, () => random.pick(keys));
  for (const [value, key] of keys.entries()) assert.equal(driver.insert(key, value), codes.OK);
  return driver;
}

/** Which part of the leaves is in use. */
function fillOf({ harness, address }: EngineTree): number {
  const record = new DataView(harness.read(address, 64).buffer);
  return Number(record.getBigUint64(32, true)) / (4064 * record.getUint32(24, true));
}

/** Of two neighbours under one parent either one is more than half full, or they fill more than three quarters of a node. */
function expectMerged({ harness, address }: EngineTree): void {
  const view = (at: number, length = blockBytes) => new DataView(harness.read(at, length).buffer);
  const record = view(address, 64);
  const visit = (node: DataView, level: number): void => {
    if (level === 0) return;
    const count = node.getUint16(2, true);
    const slots = Array.from({ length: count }, (_, i) => 32 + 16 * i);
    const children = [12, ...slots.map((at) => at + 12)].map((at) => view(node.getUint32(at, true)));
    for (const [i, at] of slots.entries()) {
      const [left, right] = [i, i + 1].map((index) => (children[index] as DataView).getUint16(4, true)) as [
        number,
        number,
      ];
      const between = level === 1 ? 0 : 16 + Math.max(0, (node.getUint16(at + 8, true) & 0x7ff) - 8);
      const isBig = Math.max(left, right) > 4064 / 2 || left + between + right > (4064 * 3) / 4;
      assert.ok(isBig, `${left} and ${right} bytes in neighbours of level ${level - 1}`);
    }
    for (const child of children) visit(child, level - 1);
  };
  if (record.getUint32(0, true) !== 0) visit(view(record.getUint32(0, true)), record.getUint32(4, true) - 1);
}

describe("engine: B+trees", () => {
  for (const [shape, keys] of Object.entries(shapes)) {
    it(`follow the model with ${shape}`, () => {
      withSeed(`engine tree, ${shape}`, (random) => {
        const driver = run(random, keys, 3000);
        empty(driver, random.shuffle(driver.sorted().slice()));
      });
    });

    it(`follow the model when the host throws at any call, with ${shape}`, () => {
      withSeed(`engine tree, failing host, ${shape}`, (random) => run(random, keys, 600, true));
    });
  }

  it("have several levels, and shrink to nothing from either end", () => {
    withSeed("engine tree, ends", (random) => {
      const keys = random.shuffle(Array.from({ length: 500 }, (_, i) => `${i}`.padStart(1000, "0")));
      for (const order of [(a: Key[]) => a, (a: Key[]) => a.reverse()]) {
        const driver = filled(random, keys);
        assert.ok(driver.account().height >= 3);
        empty(driver, order(driver.sorted().slice()));
      }
    });
  });

  it("keep little for little", () => {
    withSeed("engine tree, little", (random) => {
      const keys = random.shuffle(Array.from({ length: 20_000 }, (_, i) => numberKey(i)));
      const driver = filled(random, keys);
      const stays = new Set(driver.sorted().filter((_, i) => i % 500 === 250));
      for (const key of random.shuffle(driver.sorted().slice())) if (!stays.has(key)) driver.delete(key);
      const { nodes, entries } = driver.account();
      assert.equal(entries, 40);
      assert.equal(nodes.size, 1, `${nodes.size} nodes for 40 short keys`);
    });
  });

  it("leave no two neighbours that fit well into one node, however much is deleted, and in which order", () => {
    withSeed("engine tree, neighbours", (random) => {
      for (const length of [900, 0, 900, 12, 900, 900]) {
        const beginning = "x".repeat(length);
        const tail = () => text(random, random.oneIn(3) ? 0 : random.below(100), "abc");
        const all = Array.from({ length: 1200 }, () => {
          return random.oneIn(10)
            ? text(random, 1 + random.below(5), "wxy")
            : beginning + text(random, 4, "abcdefghij") + tail();
        });
        // Inserted in order, so that all nodes are full.
        const driver = filled(random, [...new Set(all)].sort());
        const gaps = new Set(driver.sorted().filter(() => random.oneIn(40)));
        const order = driver.sorted().filter((key) => !gaps.has(key));
        if (random.oneIn(2)) random.shuffle(order);
        for (const [i, key] of order.entries()) {
          driver.delete(key);
          if (i % 20 === 0 || i > order.length - 50) expectMerged(driver.tree);
        }
        driver.account();
      }
    });
  });

  it("fill their nodes when entries come in order, whether up, down, or in many places", () => {
    withSeed("engine tree, order", (random) => {
      const numbers = Array.from({ length: 20_000 }, (_, i) => numberKey(i));
      const long = numbers.slice(0, 8000).map((key) => `${key} and some more`);
      for (const keys of [numbers, numbers.slice().reverse(), long, long.slice().reverse()]) {
        const driver = filled(random, keys);
        driver.account();
        assert.ok(fillOf(driver.tree) > 0.95, `fill ${fillOf(driver.tree)}`);
      }
      const bursts = Array.from({ length: 20_000 }, (_, i) => {
        const burst = Math.floor(i / 40);
        return numberKey(1e9 * (burst % 5) + i);
      });
      const driver = filled(random, bursts);
      driver.account();
      assert.ok(fillOf(driver.tree) > 0.85, `fill ${fillOf(driver.tree)} for entries in five places`);
    });
  });

  it("are as they were when memory is refused at each allocation in turn", () => {
    withSeed("engine tree, refused", (random) => {
      const keys: Keys = (r) => "x".repeat(900) + text(r, 4, "abcdefgh");
      const driver = new TreeDriver(EngineHarness.format(), random, keys);
      const { harness } = driver;
      const { alloc, release } = harness.functions;
      let refused = 0;
      for (let i = 0; i < 300; i++) {
        // All that is left for nodes is taken but `left` blocks, and the heap cannot grow.
        const spare: number[] = [];
        const limit = harness.view.getUint32(addresses.heapLimit, true);
        harness.view.setUint32(addresses.heapLimit, 1, true);
        for (
          let p = alloc(blockBytes, blockBytes, 0) >>> 0;
          p >= 65536;
          p = alloc(blockBytes, blockBytes, 0) >>> 0
        )
          spare.push(p);
        const left = Math.min(random.below(4), spare.length);
        for (const p of spare.splice(0, left)) release(p);
        const key = keys(random);
        if (driver.insert(key, i) === codes.OUT_OF_MEMORY) {
          refused++;
          const { content } = driver.tree.check(spare.length);
          assert.deepEqual([...content.keys()], driver.sorted());
          let free = 0;
          for (
            let p = alloc(blockBytes, blockBytes, 0) >>> 0;
            p >= 65536;
            p = alloc(blockBytes, blockBytes, 0) >>> 0, free++
          )
            spare.push(p);
          assert.equal(free, left, "nodes that were taken are not given back");
        }
        harness.view.setUint32(addresses.heapLimit, limit, true);
        for (const p of spare) release(p);
        driver.insert(key, i);
      }
      assert.ok(refused > 20, `${refused} refused`);
      assert.ok(driver.account().height >= 4);
    });
  });

  it("give everything back", () => {
    withSeed("engine tree, destroy", (random) => {
      const driver = filled(
        random,
        Array.from({ length: 3000 }, (_, i) => numberKey(i * 7919).padEnd(50, "-")),
      );
      const other = EngineTree.create(driver.harness);
      assert.equal(driver.tree.destroy(), codes.OK);
      assert.equal(other.check().nodes.size, 0);
      assert.equal(other.destroy(), codes.OK);
    });
  });

  it("refuse what is no key and no value", () => {
    const tree = EngineTree.create(EngineHarness.format());
    const { functions } = tree.harness;
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      assert.equal(tree.insert("key", value), codes.INVALID_ARGUMENT, `${value}`);
      assert.equal(tree.replace("key", value), codes.INVALID_ARGUMENT, `${value}`);
    }
    assert.equal(functions.treeInsert(tree.address, 1025, 1), codes.INVALID_ARGUMENT);
    assert.equal(functions.treeReplace(tree.address, 2 ** 32 - 1, 1), codes.INVALID_ARGUMENT);
    assert.equal(functions.treeSeek(tree.address, 1025, seekModes.atLeast), codes.INVALID_ARGUMENT);
    assert.equal(functions.treeSeek(tree.address, 0, 5), codes.INVALID_ARGUMENT);
    for (const name of ["treeFind", "treeFindFirst", "treeDelete"] as const)
      assert.equal(functions[name](tree.address, 1025), -2, name);
    assert.equal(tree.insert("key", 2 ** 53 - 1), codes.OK);
    assert.equal(tree.find("key"), 2 ** 53 - 1);
    assert.equal(tree.check().entries, 1);
    assert.equal(codes.DUPLICATE, engineConstants.DUPLICATE);
  });

  it("change nothing when a key is there already", () => {
    const tree = EngineTree.create(EngineHarness.format());
    tree.insert("key", 5);
    tree.harness.commit();
    assert.equal(tree.insert("key", 6), codes.DUPLICATE);
    assert.equal(tree.harness.exchangeF64(1024), 5);
    assert.equal(tree.replace("no key", 6), codes.NOT_FOUND);
    assert.equal(tree.delete("no key"), -1);
    assert.equal(tree.harness.dirtyCount, 0);
  });
});
