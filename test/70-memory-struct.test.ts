import assert from "node:assert/strict";
import { type Ptr, struct } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";

describe("memory: structs", () => {
  const states = States.forEachTest();

  it("fields lie as C lays them out", () => {
    const all = struct({
      a: "u8",
      b: "f64",
      c: "i16",
      d: "char[5]",
      e: "i32",
      f: "u16[3]",
      g: "bool",
      h: "ptr",
      i: "u8",
    });
    assert.deepEqual(all.offsets, { a: 0, b: 8, c: 16, d: 18, e: 24, f: 28, g: 34, h: 40, i: 48 });
    assert.deepEqual([all.size, all.align], [56, 8]);
    for (const [type, bytes] of Object.entries({ u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4 }))
      assert.deepEqual(struct({ lead: "u8", x: type as "u8" }).offsets, { lead: 0, x: bytes });
    for (const type of ["u64", "i64", "f64", "ptr"] as const) {
      assert.equal(struct({ lead: "bool", x: type }).offsets.x, 8);
      assert.equal(struct({ x: type, tail: "u8" }).size, 16);
    }
    const inner = struct({ x: "u8", y: "u32" });
    const outer = struct({ lead: "u8", inner, tail: "u8" });
    assert.deepEqual([inner.size, outer.offsets.inner, outer.offsets.tail, outer.size], [8, 4, 12, 16]);
    assert.deepEqual([struct({ t: "char[3]" }).size, struct({ t: "char[3]" }).align], [3, 1]);
  });

  it("every field loads and stores what lies at its offset", () => {
    const memory = states.open();
    const type = struct({
      u8: "u8",
      i8: "i8",
      u16: "u16",
      i16: "i16",
      u32: "u32",
      i32: "i32",
      u64: "u64",
      i64: "i64",
      f32: "f32",
      f64: "f64",
      bool: "bool",
      ptr: "ptr",
    });
    const p = type.alloc(memory);
    const fields = type.at(memory, p);
    assert.equal(fields.ptr as Ptr | null, null);
    assert.equal(fields.bool, false);
    Object.assign(fields, { u8: 200, i8: -100, u16: 60_000, i16: -30_000, u32: 4e9, i32: -2e9 });
    Object.assign(fields, {
      u64: 2n ** 64n - 1n,
      i64: -(2n ** 63n),
      f32: 0.5,
      f64: Math.PI,
      bool: true,
      ptr: p,
    });
    const at = (name: keyof typeof type.offsets) => p.add(type.offsets[name]);
    assert.equal(at("u8").u8, 200);
    assert.equal(at("i8").i8, -100);
    assert.equal(at("u16").u16, 60_000);
    assert.equal(at("i16").i16, -30_000);
    assert.equal(at("u32").u32, 4e9);
    assert.equal(at("i32").i32, -2e9);
    assert.equal(at("u64").u64, 2n ** 64n - 1n);
    assert.equal(at("i64").i64, -(2n ** 63n));
    assert.equal(at("f32").f32, 0.5);
    assert.equal(at("f64").f64, Math.PI);
    assert.equal(at("bool").u8, 1);
    assert.equal(at("ptr").ref?.equals(p), true);
    at("bool").u8 = 255;
    assert.equal(fields.bool, true);
    assert.equal(fields.ptr?.equals(p), true);
    const rest = p.read(type.size);
    fields.u16 = 1;
    rest.set([1, 0], type.offsets.u16);
    assert.deepEqual(p.read(type.size), rest, "a store touches its field alone");
  });

  it("text has a fixed room, in bytes", () => {
    const memory = states.open();
    const type = struct({ name: "char[8]", next: "u8" });
    const fields = type.at(memory, type.alloc(memory));
    fields.next = 9;
    assert.equal(fields.name, "");
    for (const text of ["a", "12345678", "żół", "🐢🐢", "\uFEFFm", ""]) {
      fields.name = text;
      assert.equal(fields.name, text);
    }
    fields.name = "before";
    for (const text of ["123456789", "🐢🐢!", "1234567ż"]) expectCode("LIMIT", () => (fields.name = text));
    assert.equal(fields.name, "before");
    assert.equal(fields.next, 9);
  });

  it("lists", () => {
    const memory = states.open();
    const type = struct({ tail: "u8", xs: "i32[4]", after: "u8" });
    const fields = type.at(memory, type.alloc(memory));
    fields.xs.set(3, -7);
    assert.equal(fields.xs.length, 4);
    assert.deepEqual([...fields.xs], [0, 0, 0, -7]);
    fields.xs = [1, 2, 3, 4] as never;
    assert.equal(fields.xs.get(2), 3);
    for (const index of [-1, 4, 0.5, Number.NaN, "0" as never]) {
      expectCode("INVALID_ARGUMENT", () => fields.xs.get(index));
      expectCode("INVALID_ARGUMENT", () => fields.xs.set(index, 1));
    }
    expectCode("INVALID_ARGUMENT", () => (fields.xs = [1, 2, 3] as never));
    const other = type.at(memory, type.alloc(memory));
    other.xs = fields.xs;
    assert.deepEqual([...other.xs], [1, 2, 3, 4]);
    assert.deepEqual([fields.tail, fields.after], [0, 0]);
  });

  it("a struct in a struct is live, and set from an object or from another struct", () => {
    const memory = states.open();
    const point = struct({ x: "f64", y: "f64" });
    const line = struct({ from: point, to: point, name: "char[4]" });
    const a = line.at(memory, line.alloc(memory));
    const b = line.at(memory, line.alloc(memory));
    const { from } = a;
    from.x = 1;
    a.from.y = 2;
    assert.equal(from.y, 2);
    a.to = { x: 3, y: 4 };
    assert.deepEqual([a.to.x, a.to.y], [3, 4]);
    a.to = { y: 5 } as never;
    assert.deepEqual([a.to.x, a.to.y], [3, 5], "a field that is not named stays");
    b.to = a.to;
    b.from = a.from;
    assert.deepEqual([b.from.x, b.from.y, b.to.x, b.to.y], [1, 2, 3, 5]);
    a.to.x = 0;
    assert.equal(b.to.x, 3, "it is a copy");
    for (const none of [null, undefined, 5, "x"])
      expectCode("INVALID_ARGUMENT", () => (a.to = none as never));
  });

  it("JSON has plain values", () => {
    const memory = states.open();
    const point = struct({ x: "f32", y: "f32" });
    const type = struct({ id: "u64", name: "char[8]", at: point, list: "u8[2]", on: "bool", next: "ptr" });
    const p = type.alloc(memory);
    const fields = type.at(memory, p);
    fields.id = 2n ** 60n;
    fields.name = "n";
    fields.at = { x: 1, y: 2 };
    fields.list.set(1, 3);
    assert.deepEqual(JSON.parse(JSON.stringify(fields)), {
      id: String(2n ** 60n),
      name: "n",
      at: { x: 1, y: 2 },
      list: [0, 3],
      on: false,
      next: null,
    });
    fields.next = p;
    assert.equal(JSON.parse(JSON.stringify(fields)).next, p.address);
  });

  it("types that do not exist", () => {
    for (const type of [
      "u128",
      "U8",
      "",
      "char",
      "char[0]",
      "char[-1]",
      "char[x]",
      "u64[2]",
      "ptr[2]",
      "u8[]",
      "u8[3",
      "u8[1.5]",
      "u8[9999999999]",
      "toString",
      null,
      undefined,
      5,
      {},
      { size: 4, align: 4, layout: "x" },
    ])
      expectCode("INVALID_ARGUMENT", () => struct({ field: type as never }));
    for (const fields of [{}, null, undefined]) expectCode("INVALID_ARGUMENT", () => struct(fields as never));
  });

  it("at() looks whether it lies in one live block, aligned", () => {
    const memory = states.open();
    const other = states.open({}, "b.state");
    const type = struct({ x: "f64", y: "u8" });
    const p = memory.alloc(64);
    assert.equal(type.at(memory, p.add(48)).x, 0);
    expectCode("INVALID_ADDRESS", () => type.at(memory, p.add(56)));
    expectCode("INVALID_ALIGNMENT", () => type.at(memory, p.add(4)));
    expectCode("INVALID_ARGUMENT", () => type.at(memory, other.alloc(64)));
    expectCode("INVALID_ARGUMENT", () => type.at(other, p));
    expectCode("INVALID_ARGUMENT", () => type.at(memory, null as never));
    const fields = type.at(memory, p);
    memory.release(p);
    expectCode("INVALID_ADDRESS", () => type.at(memory, p));
    memory.close();
    expectCode("CLOSED", () => fields.x);
    expectCode("CLOSED", () => type.at(memory, p));
    expectCode("CLOSED", () => type.root(memory, "r"));
  });

  describe("roots", () => {
    const counter = struct({ count: "u32", name: "char[16]" });

    it("are made once, zero-filled or as they are initialized, and found again", () => {
      let memory = states.open();
      let made = 0;
      const first = counter.root(memory, "counter", (fields) => {
        made++;
        assert.equal(fields.count, 0);
        fields.count = 10;
      });
      first.count++;
      memory.close();
      memory = states.open();
      const again = counter.root(memory, "counter", () => made++);
      assert.deepEqual([again.count, made], [11, 1]);
      const same = struct({ count: "u32", name: "char[16]" });
      assert.equal(same.root(memory, "counter").count, 11, "the same layout is the same struct");
      memory.commit();
      const reader = states.open({ readOnly: true });
      assert.equal(counter.root(reader, "counter").count, 11);
      expectCode("READ_ONLY", () => (counter.root(reader, "counter").count = 1));
      expectCode("READ_ONLY", () => counter.root(reader, "other"));
    });

    it("of another layout are refused with LAYOUT, whatever differs", () => {
      const memory = states.open();
      counter.root(memory, "counter").count = 5;
      for (const other of [
        struct({ count: "i32", name: "char[16]" }),
        struct({ counts: "u32", name: "char[16]" }),
        struct({ name: "char[16]", count: "u32" }),
        struct({ count: "u32", name: "char[17]" }),
        struct({ count: "u32", name: "char[16]", more: "u8" }),
        struct({ count: "u32" }),
        struct({ count: "u32", name: "u8[16]" }),
        struct({ count: "u32", name: struct({ text: "char[16]" }) }),
      ]) {
        const error = expectCode("LAYOUT", () => other.root(memory, "counter"));
        assert.match(error.message, /counter/);
      }
      assert.equal(counter.root(memory, "counter").count, 5);
      memory.roots.set("plain", memory.alloc(64));
      expectCode("LAYOUT", () => counter.root(memory, "plain"));
      const kept = memory.roots.get("counter")!;
      memory.roots.delete("counter");
      assert.equal(counter.root(memory, "counter").count, 0, "a deleted root is made anew");
      memory.release(kept);
    });

    it("one whose initialize throws is not kept", () => {
      const memory = states.open();
      const { liveBlocks } = memory.stats().heap;
      const reason = new Error("no");
      const fail = () => {
        throw reason;
      };
      assert.throws(
        () => counter.root(memory, "counter", fail),
        (error) => error === reason,
      );
      assert.equal(memory.roots.has("counter"), false);
      assert.equal(memory.stats().heap.liveBlocks, liveBlocks);
      expectCode("INVALID_ARGUMENT", () => counter.root(memory, ""));
      expectCode("INVALID_ARGUMENT", () => counter.root(memory, "x".repeat(1025)));
      assert.equal(memory.stats().heap.liveBlocks, liveBlocks);
    });
  });
});
