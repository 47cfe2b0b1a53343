import assert from "node:assert/strict";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { endOfTurn, FaultyStorage, States } from "./support/memory-states.js";

describe("memory: transactions", () => {
  const states = States.forEachTest();

  it("what the body did is one commit, and its result is returned", () => {
    const memory = states.open({ autoCommit: false });
    memory.commit();
    const { sequence } = memory;
    const p = memory.transaction(() => {
      const made = memory.alloc(16);
      made.u32 = 1;
      memory.roots.set("p", made);
      memory.region("r", 100).setU8(99, 9);
      return made;
    });
    assert.equal(memory.sequence, sequence + 1);
    assert.equal(memory.stats().file!.lastFlushed, sequence + 1);
    const reader = states.open({ readOnly: true });
    assert.equal(reader.roots.get("p")!.u32, 1);
    assert.equal(reader.region("r", 100).getU8(99), 9);
    assert.equal(
      memory.transaction(() => p.u32, { durability: "none" }),
      1,
    );
    assert.equal(memory.sequence, sequence + 1, "one that changes nothing commits nothing");
    memory.transaction(() => (p.u32 = 2), { durability: "none" });
    assert.equal(memory.stats().file!.lastFlushed, sequence + 1);
    expectCode("INVALID_ARGUMENT", () => memory.transaction(() => 1, { durability: "soon" as never }));
  });

  it("what was pending is committed first, so a rollback keeps it", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.alloc(16);
    p.u32 = 1;
    const reason = new Error("no");
    assert.throws(
      () =>
        memory.transaction(() => {
          p.u32 = 2;
          memory.roots.set("p", p);
          memory.release(p);
          throw reason;
        }),
      (error) => error === reason,
    );
    assert.equal(p.u32, 1);
    assert.equal(memory.roots.size, 0);
    assert.ok(memory.sizeOf(p) >= 16);
    const { sequence } = memory;
    assert.equal(memory.commit(), sequence);
    assert.equal(
      memory.transaction(() => 5),
      5,
      "the next one works",
    );
    assert.throws(
      () =>
        memory.transaction(() => {
          throw undefined;
        }),
      (error) => error === undefined,
    );
  });

  it("one inside another joins it", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.alloc(16);
    memory.commit();
    const { sequence } = memory;
    memory.transaction(() => {
      p.u8 = 1;
      assert.equal(
        memory.transaction(() => {
          p.add(1).u8 = 2;
          return "inner";
        }),
        "inner",
      );
      assert.equal(memory.sequence, sequence);
    });
    assert.equal(memory.sequence, sequence + 1);
    assert.throws(() =>
      memory.transaction(() => {
        p.u8 = 3;
        memory.transaction(() => {
          p.add(1).u8 = 4;
          throw new Error("inner");
        });
      }),
    );
    assert.equal(p.u16, 0x0201);
    memory.transaction(() => {
      p.u8 = 5;
      try {
        memory.transaction(() => {
          p.add(1).u8 = 6;
          throw new Error("inner");
        });
      } catch {}
      expectCode("BUSY", () => memory.commit());
    });
    assert.equal(p.u16, 0x0605, "an inner one that threw and was caught is part of the outer one");
  });

  it("what would end it is BUSY inside", async () => {
    const memory = states.open({ autoCommit: false });
    memory.snapshots.create("s");
    const p = memory.alloc(8);
    const promises: Promise<unknown>[] = [];
    memory.transaction(() => {
      p.u8 = 1;
      for (const refused of [
        () => memory.commit(),
        () => memory.rollback(),
        () => memory.close(),
        () => memory[Symbol.dispose](),
        () => memory.snapshots.restore("s"),
        () => memory.snapshots.create("t"),
        () => memory.snapshots.delete("s"),
      ])
        expectCode("BUSY", refused);
      promises.push(
        expectCodeAsync("BUSY", memory.compact()),
        expectCodeAsync("BUSY", memory.backup(states.path("b.state"))),
        expectCodeAsync("BUSY", memory[Symbol.asyncDispose]()),
      );
      memory.stats();
      memory.check();
      memory.refresh();
      memory.snapshots.open("s").close();
    });
    await Promise.all(promises);
    assert.equal(memory.isOpen, true);
    assert.equal(p.u8, 1);
    assert.deepEqual(
      memory.snapshots.list().map(({ name }) => name),
      ["s"],
    );
  });

  it("async functions are refused before they are called; a promise that is returned is rolled back", async () => {
    const memory = states.open();
    const p = memory.alloc(8);
    memory.commit();
    let called = 0;
    const body = async () => {
      called++;
      p.u8 = 1;
    };
    async function* generator() {
      called++;
      yield 1;
    }
    expectCode("INVALID_ARGUMENT", () => memory.transaction(body));
    expectCode("INVALID_ARGUMENT", () => memory.transaction(generator as never));
    for (const none of [undefined, null, 5, {}])
      expectCode("INVALID_ARGUMENT", () => memory.transaction(none as never));
    assert.equal(called, 0);
    for (const make of [
      () => Promise.resolve(),
      () => Promise.reject(new Error("nobody looks at this")),
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      () => ({ then: () => {} }),
    ]) {
      expectCode("INVALID_ARGUMENT", () =>
        memory.transaction(() => {
          p.u8 = 1;
          return make();
        }),
      );
      assert.equal(p.u8, 0);
      expectCode("INVALID_ARGUMENT", () =>
        memory.transaction(() => {
          p.u8 = 2;
          memory.transaction(make);
        }),
      );
      assert.equal(p.u8, 0);
    }
    const { sequence } = memory;
    await endOfTurn();
    assert.equal(memory.sequence, sequence);
  });

  it("a commit that fails rolls back and throws", () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage, { autoCommit: false });
    const p = memory.alloc(8);
    memory.commit();
    const { sequence } = memory;
    let written = 0;
    expectCode("NO_SPACE", () =>
      memory.transaction(() => {
        p.u8 = 1;
        written = p.u8;
        storage.failOn("write", "NO_SPACE");
      }),
    );
    storage.heal();
    assert.equal(written, 1);
    assert.equal(p.u8, 0);
    assert.equal(memory.sequence, sequence);
    p.u8 = 2;
    storage.failOn("write", "IO");
    let called = false;
    expectCode("IO", () => memory.transaction(() => (called = true)));
    assert.equal(called, false, "what was pending could not be committed, so the body is not called");
    storage.heal();
    assert.equal(p.u8, 2, "and what was pending is still pending");
    assert.equal(
      memory.transaction(() => p.u8),
      2,
    );
    memory.rollback();
    assert.equal(p.u8, 2);
  });

  it("an error that half changed the image and was caught inside ends it all the same", () => {
    let memory = states.open({ autoCommit: false });
    for (let i = 0; i < 100; i++) memory.alloc(500);
    memory.close();
    memory = states.open({ autoCommit: false });
    const pager = memory.origin.pager!;
    const read = pager.read.bind(pager);
    expectCode("SUSPENDED", () =>
      memory.transaction(() => {
        pager.read = () => {
          throw new Error("on purpose");
        };
        assert.throws(() => memory.alloc(500));
        pager.read = read;
      }),
    );
    assert.equal(memory.stats().heap.liveBlocks, 100);
    memory.alloc(500);
    memory.commit();
  });

  it("with views: stores are part of it, and undone with it", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.alloc(8192, { align: 4096 });
    const view = memory.view(p, Uint8Array, 8192);
    view.array[0] = 1;
    assert.throws(() =>
      memory.transaction(() => {
        view.array[0] = 2;
        view.array[5000] = 2;
        const inner = memory.view(memory.alloc(8), Uint8Array, 8);
        inner.array[0] = 1;
        throw new Error("no");
      }),
    );
    assert.deepEqual([view.array[0], view.array[5000]], [1, 0]);
    memory.transaction(() => {
      view.array[5000] = 3;
    });
    memory.rollback();
    assert.deepEqual([view.array[0], view.array[5000]], [1, 3]);
    view.close();
  });

  it("a reader has none", () => {
    states.open().commit();
    const reader = states.open({ readOnly: true });
    let called = false;
    expectCode("READ_ONLY", () => reader.transaction(() => (called = true)));
    assert.equal(called, false);
  });
});
