import assert from "node:assert/strict";
import type { Memory, Ptr } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";

describe("memory: roots", () => {
  const states = States.forEachTest();
  const three = (memory: Memory): Map<string, Ptr> => {
    const model = new Map<string, Ptr>();
    for (const name of ["b", "a", "c"]) {
      model.set(name, memory.alloc(8));
      memory.roots.set(name, model.get(name)!);
    }
    return model;
  };
  const plain = (entries: Iterable<[string, Ptr]>) => [...entries].map(([name, p]) => [name, p.address]);

  it("are like a Map, in the order of insertion", () => {
    let memory = states.open();
    let model = three(memory);
    const compare = () => {
      const { roots } = memory;
      assert.equal(roots.size, model.size);
      assert.deepEqual(plain(roots), plain(model));
      assert.deepEqual(plain(roots.entries()), plain(model));
      assert.deepEqual([...roots.keys()], [...model.keys()]);
      assert.deepEqual(
        [...roots.values()].map(({ address }) => address),
        [...model.values()].map(({ address }) => address),
      );
      for (const name of ["a", "b", "c", "d", "toString"]) {
        assert.equal(roots.has(name), model.has(name));
        assert.equal(roots.get(name)?.address, model.get(name)?.address);
      }
    };
    compare();
    assert.equal(memory.roots.set("a", model.get("c")!), memory.roots);
    model.set("a", model.get("c")!);
    compare();
    assert.equal(memory.roots.delete("b"), model.delete("b"));
    assert.equal(memory.roots.delete("b"), false);
    compare();
    const inside = model.get("c")!.add(4);
    memory.roots.set("b", inside);
    model.set("b", inside);
    compare();
    memory.close();
    memory = states.open();
    model = new Map([...model].map(([name, { address }]) => [name, memory.ptr(address)]));
    compare();
    for (const name of [...model.keys()]) {
      memory.roots.delete(name);
      model.delete(name);
      compare();
    }
  });

  it("names are text of 1 to 1024 bytes", () => {
    const memory = states.open();
    const p = memory.alloc(8);
    const good = [
      "a",
      " ",
      "\u0000",
      "x".repeat(1024),
      "ż".repeat(512),
      "🐢",
      "\uFEFFmark",
      "__proto__",
      "𝒳y",
    ];
    for (const name of good) memory.roots.set(name, p);
    assert.deepEqual([...memory.roots.keys()], good);
    for (const name of good) assert.equal(memory.roots.get(name)?.address, p.address);
    for (const name of [
      "",
      "x".repeat(1025),
      "ż".repeat(513),
      "\uD800",
      "a\uDC00b",
      "\uD83D",
      5,
      null,
      undefined,
      {},
    ]) {
      expectCode("INVALID_ARGUMENT", () => memory.roots.set(name as never, p));
      expectCode("INVALID_ARGUMENT", () => memory.roots.get(name as never));
      expectCode("INVALID_ARGUMENT", () => memory.roots.has(name as never));
      expectCode("INVALID_ARGUMENT", () => memory.roots.delete(name as never));
      expectCode("INVALID_ARGUMENT", () => memory.root(name as never, () => p));
      expectCode("INVALID_ARGUMENT", () => memory.region(name as never, 5));
    }
    assert.equal(memory.roots.size, good.length);
  });

  it("point at live memory when they are set", () => {
    const memory = states.open();
    const p = memory.alloc(50_000);
    memory.roots.set("inside", p.add(4999));
    memory.release(p);
    expectCode("INVALID_ADDRESS", () => memory.roots.set("dead", p));
    expectCode("INVALID_ADDRESS", () => memory.roots.set("wild", memory.ptr(2 ** 32)));
    assert.equal(
      memory.roots.get("inside")!.address,
      p.address + 4999,
      "what is released later is theirs to know",
    );
    expectCode("INVALID_ADDRESS", () => memory.roots.get("inside")!.u8);
  });

  it("deleting while iterating passes over what is gone", () => {
    const memory = states.open();
    three(memory);
    const seen: string[] = [];
    for (const [name] of memory.roots) {
      seen.push(name);
      if (name === "b") memory.roots.delete("a");
      memory.roots.delete(name);
      memory.roots.set("new", memory.alloc(8));
    }
    assert.deepEqual(seen, ["b", "c"]);
    assert.deepEqual([...memory.roots.keys()], ["new"]);
  });

  it("root() makes or resumes, and keeps nothing when create fails", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(8));
    assert.equal(memory.root("p", () => assert.fail("it is there")).equals(p), true);
    assert.throws(() =>
      memory.root("q", () => {
        throw new Error("no");
      }),
    );
    for (const none of [undefined, null, 5])
      expectCode("INVALID_ARGUMENT", () => memory.root("q", () => none as never));
    assert.equal(memory.roots.has("q"), false);
    memory.commit();
    memory.roots.delete("p");
    memory.roots.set("r", p);
    memory.rollback();
    assert.deepEqual([...memory.roots.keys()], ["p"]);
  });

  it("hundreds of them, over a reopening", () => {
    let memory = states.open();
    const p = memory.alloc(8000);
    const name = (i: number) => `${"n".repeat(i % 50)}${i}`;
    for (let i = 0; i < 800; i++) memory.roots.set(name(i), p.add(i));
    for (let i = 0; i < 800; i += 3) assert.equal(memory.roots.delete(name(i)), true);
    memory.close();
    memory = states.open();
    for (let i = 0; i < 800; i++)
      assert.equal(memory.roots.get(name(i))?.address, i % 3 === 0 ? undefined : p.address + i);
    assert.equal([...memory.roots].length, memory.roots.size);
  });

  it("a closed memory has none", () => {
    const memory = states.open();
    three(memory);
    const { roots } = memory;
    memory.close();
    for (const call of [
      () => roots.size,
      () => roots.get("a"),
      () => roots.has("a"),
      () => roots.delete("a"),
      () => roots.set("a", memory.ptr(0x1400_0000)),
      () => [...roots],
      () => [...roots.keys()],
    ])
      expectCode("CLOSED", call);
    assert.equal(states.open().roots.size, 3);
  });
});
