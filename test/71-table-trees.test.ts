// Trees as tables use them: through a memory, with cursors that stay under way while entries come and go.

import assert from "node:assert/strict";
import { KeyEncoder, successor } from "../bindings/api/table/keys.js";
import { Tree } from "../bindings/api/table/tree.js";
import type { TreeCursor } from "../bindings/api/table/tree-cursor.js";
import { type Memory, MemoryStorage } from "../bindings/index.js";
import { bytesOf, type Key, type Keys, keyOf, numberKey } from "./support/engine-tree-model.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { type Random, withSeed } from "./support/random.js";

const keysOf: Record<string, Keys> = {
  numbers: (random) => numberKey(random.below(3000)),
  "short text": (random) => `${random.below(500)}`.slice(0, 1 + random.below(3)),
  "text with a common beginning": (random) => `common beginning ${random.below(2000)}`,
  "long text": (random) => "long".repeat(100) + random.below(300) + ".".repeat(random.pick([0, 100, 600])),
};

/** A tree and its entries, and what changed in it since it was last committed and since a walk began. */
class Stage {
  model = new Map<Key, number>();
  committed = new Map<Key, number>();
  readonly touched = new Set<Key>();

  constructor(
    readonly memory: Memory,
    readonly tree: Tree,
    private readonly random: Random,
    private readonly keys: Keys,
  ) {}

  put(key: Key): void {
    this.touched.add(key);
    if (this.model.has(key)) return;
    const value = this.random.below(2 ** 32);
    this.tree.insert(this.tree.putKey(bytesOf(key)), value);
    this.model.set(key, value);
  }

  take(key: Key): void {
    this.touched.add(key);
    assert.equal(this.tree.delete(this.tree.putKey(bytesOf(key))), this.model.get(key) ?? -1);
    this.model.delete(key);
  }

  change(): void {
    const { random } = this;
    const count = random.oneIn(20) ? 200 : 1 + random.below(5);
    const isGrowing = random.oneIn(2);
    for (let i = 0; i < count; i++) {
      const key = this.keys(random);
      if (isGrowing) this.put(key);
      else this.take(key);
    }
  }

  commit(): void {
    this.memory.commit({ durability: "none" });
    this.committed = new Map(this.model);
  }

  rollback(): void {
    this.memory.rollback();
    for (const [from, to] of [
      [this.model, this.committed],
      [this.committed, this.model],
    ] as const)
      for (const [key, value] of from) if (to.get(key) !== value) this.touched.add(key);
    this.model = new Map(this.committed);
  }
}

function stage(memory: Memory, random: Random, keys: Keys): Stage {
  const made = new Stage(memory, Tree.create(memory.engine, "index"), random, keys);
  for (let i = 0; i < 1500; i++) made.put(keys(random));
  made.commit();
  return made;
}

/** A walk to its end, with changes between its steps: what stayed as it was is met once and in order, and nothing that is not there. */
function walk(stage: Stage, random: Random, restless: boolean): void {
  const { tree, touched } = stage;
  const [from, to] = [random, random].map((r) =>
    r.oneIn(3) ? null : bytesOf(r.pick([...stage.model.keys()])),
  );
  const reverse = random.oneIn(2);
  const isWithin = (key: Key) => (from === null || key >= keyOf(from)) && (to === null || key < keyOf(to));
  const expected = new Map([...stage.model].filter(([key]) => isWithin(key)));
  touched.clear();
  const cursor = tree.cursor(from, to, reverse);
  const met: Key[] = [];
  for (let value = cursor.next(); value >= 0; value = cursor.next()) {
    const key = keyOf(cursor.key);
    assert.ok(isWithin(key), `${JSON.stringify(key)} is outside of the range`);
    assert.equal(value, stage.model.get(key), `${JSON.stringify(key)} is not in the tree`);
    const before = met.at(-1);
    assert.ok(
      before === undefined || ((before === key) === false && before < key !== reverse),
      "not in order",
    );
    met.push(key);
    if (!restless || !random.oneIn(6)) continue;
    const choice = random.below(10);
    if (choice === 0) stage.rollback();
    else if (choice === 1) stage.commit();
    else stage.change();
  }
  assert.equal(cursor.next(), -1, "a walk that is over goes on");
  const wasMet = new Set(met);
  for (const key of expected.keys())
    assert.ok(touched.has(key) || wasMet.has(key), `${JSON.stringify(key)} was passed over`);
}

const take = (cursor: TreeCursor) => {
  const found: number[] = [];
  for (let value = cursor.next(); value >= 0; value = cursor.next()) found.push(value);
  return found;
};

describe("tables: trees", () => {
  const states = States.forEachTest();
  const inMemory = () => states.inStorage(new MemoryStorage(), { autoCommit: false });

  for (const [shape, keys] of Object.entries(keysOf)) {
    it(`have cursors that survive what happens to the tree, with ${shape}`, () => {
      withSeed(`tree cursors, ${shape}`, (random) => {
        const made = stage(inMemory(), random, keys);
        for (let i = 0; i < 12; i++) walk(made, random, i % 3 !== 0);
      });
    });
  }

  it("answer, and name the index when they refuse", () => {
    const memory = inMemory();
    const tree = Tree.create(memory.engine, "by name");
    const encoder = new KeyEncoder(memory.engine.core, "by name", [
      { name: "name", type: "string" },
      { name: "row", type: "id" },
    ]);
    for (const [i, name] of ["ann", "bob", "bob", "carl"].entries())
      tree.insert(encoder.encode([name, i]), 512 + i);
    assert.equal(tree.count, 4);
    assert.equal(tree.find(encoder.encode(["bob", 2])), 514);
    assert.equal(tree.find(encoder.encode(["bob", 3])), -1);
    assert.equal(tree.findFirst(encoder.encode(["bob"])), 513);
    assert.equal(tree.findFirst(encoder.encode(["bo"])), -1);
    assert.deepEqual(
      take(tree.cursor(encoder.bound(["bob"], false), encoder.bound(["bob"], true))),
      [513, 514],
    );
    assert.deepEqual(take(tree.cursor(encoder.bound(["b"], false), null)), [513, 514, 515]);
    const { message } = expectCode("DUPLICATE", () => tree.insert(encoder.encode(["bob", 2]), 9));
    assert.match(message, /"by name".*514/);
    assert.equal(tree.replace(encoder.encode(["bob", 2]), 9), true);
    assert.equal(tree.replace(encoder.encode(["bob", 5]), 9), false);
    assert.equal(tree.find(encoder.encode(["bob", 2])), 9);
    for (const value of [-1, 2 ** 53, 0.5]) {
      expectCode("INVALID_ARGUMENT", () => tree.insert(encoder.encode(["dan", 2]), value));
      expectCode("INVALID_ARGUMENT", () => tree.replace(encoder.encode(["bob", 2]), value));
    }
    expectCode("LIMIT", () => tree.putKey(new Uint8Array(1025)));
    assert.equal(tree.delete(encoder.encode(["ann", 0])), 512);
    const { entries, height, leaves, innerNodes, bytes, fill } = tree.statistics();
    assert.deepEqual([entries, height, leaves, innerNodes, bytes], [3, 1, 1, 0, 4096 + 64]);
    assert.ok(fill > 0 && fill < 0.1);
    const objects = memory.check().liveBlocks;
    tree.destroy();
    assert.equal(memory.check().liveBlocks, objects - 2);
  });

  it("are the same after a commit in a reader, and in the memory that is opened again", () => {
    const memory = states.open({ autoCommit: false });
    const tree = Tree.create(memory.engine, "index");
    const keys = Array.from({ length: 5000 }, (_, i) => bytesOf(numberKey(i * 3)));
    for (const [i, key] of keys.entries()) tree.insert(tree.putKey(key), i);
    memory.commit();
    const reader = states.open({ readOnly: true });
    const seen = new Tree(reader.engine, tree.address, "index");
    const cursor = seen.cursor(null, null);
    for (let i = 0; i < 2500; i++) assert.equal(cursor.next(), i);
    for (const key of keys.slice(2400, 2600)) tree.delete(tree.putKey(key));
    memory.commit();
    reader.refresh();
    for (let i = 2600; i < 5000; i++) assert.equal(cursor.next(), i);
    expectCode("READ_ONLY", () => seen.insert(seen.putKey(keys[0] as Uint8Array), 1));
    expectCode("READ_ONLY", () => seen.delete(seen.putKey(keys[0] as Uint8Array)));
    memory.close();
    const again = states.open({ autoCommit: false });
    assert.equal(take(new Tree(again.engine, tree.address, "index").cursor(null, null)).length, 4800);
  });

  it("refuse an entry when there is no memory, and go on when there is", () => {
    const memory = states.inStorage(new MemoryStorage(), { autoCommit: false, maxBytes: 2 * 2 ** 20 });
    const tree = Tree.create(memory.engine, "small");
    let count = 0;
    const insert = () => {
      for (; ; count++) tree.insert(tree.putKey(bytesOf(`${count}`.padStart(200, "0"))), count);
    };
    const { message } = expectCode("OUT_OF_MEMORY", insert);
    assert.match(message, /"small"/);
    assert.ok(count > 5000);
    assert.deepEqual(
      take(tree.cursor(null, null)),
      Array.from({ length: count }, (_, i) => i),
    );
    const last = bytesOf(`${count - 1}`.padStart(200, "0"));
    assert.equal(tree.delete(tree.putKey(last)), count - 1);
    tree.insert(tree.putKey(last), 1);
    assert.equal(tree.findFirst(tree.putKey(last.subarray(0, 199))), count - 1 - ((count - 1) % 10));
    expectCode("OUT_OF_MEMORY", () => Tree.create(memory.engine, "another") && insert());
  });

  it("have damage that is told", () => {
    const memory = inMemory();
    const tree = Tree.create(memory.engine, "index");
    for (let i = 0; i < 2000; i++) tree.insert(tree.putKey(bytesOf(numberKey(i))), i);
    const { data } = memory.engine.core;
    const first = data.getUint32(tree.address + 40, true);
    const second = data.getUint32(first + 16, true);
    memory.setU32(second + 16, first);
    expectCode("CORRUPT", () => take(tree.cursor(null, null)));
    memory.rollback();
  });

  it("end a range where the successor of a key begins", () => {
    const memory = inMemory();
    const tree = Tree.create(memory.engine, "index");
    for (const [i, key] of ["", "\0", "a", "a\0", "a\xff", "a\xff\xff", "b"].entries())
      tree.insert(tree.putKey(bytesOf(key)), i);
    assert.deepEqual(take(tree.cursor(bytesOf("a"), successor(bytesOf("a")))), [2, 3, 4, 5]);
    assert.deepEqual(take(tree.cursor(bytesOf("a\xff"), successor(bytesOf("a\xff")), true)), [5, 4]);
    assert.deepEqual(take(tree.cursor(null, bytesOf("\0"))), [0]);
    assert.deepEqual(take(tree.cursor(null, null, true)), [6, 5, 4, 3, 2, 1, 0]);
    assert.deepEqual(take(tree.cursor(bytesOf("c"), null)), []);
    assert.deepEqual(take(tree.cursor(null, new Uint8Array(0), true)), []);
  });
});
