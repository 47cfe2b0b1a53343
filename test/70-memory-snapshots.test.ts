import assert from "node:assert/strict";
import type { Memory } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { assertSound, FaultyStorage, States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";

describe("memory: snapshots", () => {
  const states = States.forEachTest();
  const names = (memory: Memory) => memory.snapshots.list().map(({ name }) => name);

  it("create commits and keeps, list is sorted, open shows", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(64));
    const before = Date.now();
    for (const name of ["b", "ż", "a"]) {
      p.writeString(name);
      memory.snapshots.create(name);
    }
    p.writeString("now");
    const list = memory.snapshots.list();
    assert.deepEqual(
      list.map(({ name }) => name),
      ["a", "b", "ż"],
    );
    for (const { createdAt, sequence } of list) {
      assert.ok(createdAt.getTime() >= before && createdAt.getTime() <= Date.now());
      assert.ok(sequence > 0 && sequence <= memory.sequence);
    }
    for (const { name, sequence } of list) {
      using snapshot = states.adopt(memory.snapshots.open(name));
      assert.equal(snapshot.roots.get("p")!.readString(), name);
      assert.equal(snapshot.sequence, sequence);
      assert.equal(snapshot.readOnly, true);
      assertSound(snapshot);
    }
    memory.close();
    const again = states.open({ readOnly: true });
    assert.deepEqual(names(again), ["a", "b", "ż"]);
  });

  it("names", () => {
    const memory = states.open();
    const longest = "x".repeat(1024);
    memory.snapshots.create(longest);
    memory.snapshots.create("taken");
    for (const name of ["", "x".repeat(1025), "ż".repeat(513), "half \uD800", "taken", null, undefined, 5])
      expectCode("INVALID_ARGUMENT", () => memory.snapshots.create(name as never));
    for (const call of ["open", "restore", "delete"] as const)
      for (const name of ["nobody", "", null])
        expectCode("NOT_FOUND", () => memory.snapshots[call](name as never));
    assert.deepEqual(names(memory), ["taken", longest]);
  });

  it("one that is open refuses every write, and cannot be deleted", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(64));
    memory.region("r", 1000).setU8(5, 5);
    memory.snapshots.create("s");
    const snapshot = states.adopt(memory.snapshots.open("s"));
    const second = states.adopt(memory.snapshots.open("s"));
    const q = snapshot.roots.get("p")!;
    for (const write of [
      () => (q.u8 = 1),
      () => snapshot.alloc(8),
      () => snapshot.release(q),
      () => snapshot.roots.delete("p"),
      () => snapshot.commit(),
      () => snapshot.snapshots.create("t"),
      () => snapshot.region("r", 1000).setU8(5, 6),
    ])
      expectCode("READ_ONLY", write);
    expectCode("UNSUPPORTED", () => snapshot.snapshots.open("s"));
    assert.deepEqual(names(snapshot), []);
    expectCode("INVALID_ARGUMENT", () => memory.release(q));
    expectCode("LOCKED", () => memory.snapshots.delete("s"));
    second.close();
    expectCode("LOCKED", () => memory.snapshots.delete("s"));
    p.u8 = 9;
    memory.commit();
    assert.equal(q.u8, 0);
    assert.equal(snapshot.region("r").getU8(5), 5);
    assert.equal(snapshot.refresh(), snapshot.sequence);
    snapshot.close();
    snapshot.close();
    expectCode("CLOSED", () => q.u8);
    memory.snapshots.delete("s");
    assert.deepEqual(names(memory), []);
    expectCode("NOT_FOUND", () => memory.snapshots.delete("s"));
  });

  it("restore brings back blocks, roots, regions and views; everything pending is dropped; snapshots stay", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(64));
    const region = memory.region("r", 200_000);
    const dropped = memory.region("dropped", 10);
    p.writeString("one");
    region.setU32(100_000, 1);
    memory.snapshots.create("one");
    const { liveBlocks } = memory.stats().heap;
    p.writeString("two");
    region.setU32(100_000, 2);
    region.resize(50);
    dropped.drop();
    const later = memory.root("later", () => memory.alloc(500));
    const young = memory.region("young", 10);
    memory.snapshots.create("two");
    p.writeString("three");
    region.setU32(0, 3);
    const { sequence } = memory;
    memory.snapshots.restore("one");
    assert.ok(memory.sequence > sequence);
    assert.equal(p.readString(), "one");
    assert.deepEqual([...memory.roots.keys()], ["p"]);
    expectCode("INVALID_ADDRESS", () => memory.sizeOf(later));
    assert.equal(region.length, 200_000);
    assert.deepEqual([region.getU32(0), region.getU32(100_000)], [0, 1]);
    assert.equal(dropped.length, 10);
    expectCode("NOT_FOUND", () => young.getU8(0));
    assert.equal(memory.stats().heap.liveBlocks, liveBlocks);
    const now = memory.sequence;
    assert.equal(memory.commit(), now, "a restore is a commit by itself");
    memory.rollback();
    assert.equal(p.readString(), "one");
    memory.snapshots.restore("two");
    assert.equal(p.readString(), "two");
    assert.equal(region.length, 50);
    assert.equal(young.length, 10);
    assert.deepEqual(names(memory), ["one", "two"]);
    memory.close();
    assert.equal(states.open().roots.get("p")!.readString(), "two");
  });

  it("a restore that fails leaves the last commit", () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage, { autoCommit: false, windowBytes: 0 });
    const region = memory.region("r", 40 * 40_960);
    const p = memory.alloc(8);
    memory.snapshots.create("s");
    for (let i = 0; i < 40; i++) region.setU8(i * 40_960, 1);
    p.u8 = 1;
    memory.commit();
    for (let i = 0; i < 40; i++) region.setU8(i * 40_960, 2);
    p.u8 = 2;
    storage.failOn("write", "NO_SPACE");
    expectCode("NO_SPACE", () => memory.snapshots.restore("s"));
    storage.heal();
    const found = new Set(Array.from({ length: 40 }, (_, i) => region.getU8(i * 40_960)));
    assert.deepEqual([...found, p.u8], [1, 1]);
    expectCode("NOT_FOUND", () => memory.snapshots.restore("nobody"));
    p.u8 = 3;
    expectCode("NOT_FOUND", () => memory.snapshots.restore("nobody"));
    assert.equal(p.u8, 3, "a name that is not there drops nothing");
    memory.snapshots.restore("s");
    assert.equal(p.u8, 0);
  });

  it("of a reader: as of the commit that it shows", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(8));
    p.u8 = 1;
    memory.snapshots.create("s");
    p.u8 = 2;
    memory.commit();
    const reader = states.open({ readOnly: true });
    memory.snapshots.create("t");
    assert.deepEqual(names(reader), ["s"]);
    expectCode("NOT_FOUND", () => reader.snapshots.open("t"));
    const snapshot = states.adopt(reader.snapshots.open("s"));
    assert.equal(snapshot.roots.get("p")!.u8, 1);
    assertSound(snapshot);
    for (const call of ["create", "restore", "delete"] as const)
      expectCode("READ_ONLY", () => reader.snapshots[call]("s"));
    snapshot.close();
    reader.refresh();
    assert.deepEqual(names(reader), ["s", "t"]);
  });

  it("one that is deleted gives its slots back", () => {
    const memory = states.open({ autoCommit: false, durability: "none" });
    const p = memory.alloc(2 ** 20);
    const fill = (byte: number) => p.write(new Uint8Array(2 ** 20).fill(byte));
    fill(1);
    memory.snapshots.create("s");
    const { liveBytes } = memory.stats().file!;
    fill(2);
    memory.commit();
    assert.ok(memory.stats().file!.liveBytes >= liveBytes + 2 ** 20);
    memory.snapshots.delete("s");
    assert.ok(memory.stats().file!.liveBytes <= liveBytes + 2 ** 16);
    assert.equal(p.u8, 2);
  });

  it("random snapshots, restores and writes against a model", () =>
    withSeed("snapshots", (random) => {
      const memory = states.open({ autoCommit: false, durability: "none" });
      const cells = 64;
      const p = memory.root("p", () => memory.alloc(cells * 4096));
      const region = memory.region("r", cells * 10_000);
      let now = new Uint8Array(2 * cells);
      let committed = now.slice();
      const kept = new Map<string, Uint8Array<ArrayBuffer>>();
      memory.commit();
      const look = (of: Memory) => {
        const [q, r] = [of.roots.get("p")!, of.region("r")];
        return Uint8Array.from({ length: 2 * cells }, (_, i) =>
          i < cells ? q.add(i * 4096 + 5).u8 : r.getU8((i - cells) * 10_000 + 5),
        );
      };
      for (let i = 0; i < 400; i++) {
        const cell = random.below(2 * cells);
        now[cell] = random.below(256);
        if (cell < cells) p.add(cell * 4096 + 5).u8 = now[cell];
        else region.setU8((cell - cells) * 10_000 + 5, now[cell]);
        const name = `s${random.below(5)}`;
        const what = random.below(40);
        if (what < 4) {
          memory.commit();
          committed = now.slice();
        } else if (what < 6) {
          memory.rollback();
          now = committed.slice();
        } else if (what < 10 && !kept.has(name)) {
          memory.snapshots.create(name);
          committed = now.slice();
          kept.set(name, now.slice());
        } else if (what < 12 && kept.delete(name)) memory.snapshots.delete(name);
        else if (what < 15 && kept.has(name)) {
          memory.snapshots.restore(name);
          now = kept.get(name)!.slice();
          committed = now.slice();
        } else if (what < 17 && kept.has(name)) {
          using snapshot = memory.snapshots.open(name);
          assert.deepEqual(look(snapshot), kept.get(name));
        }
      }
      assert.deepEqual(look(memory), now);
    }));
});
