// Tables at their edges: what every type may be, what is refused and with which words, rows as live views, schemas that differ, long values. Random work on
// them is in 78-table-model, indexes are in 78-table-indexes.

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { type ErrorCode, type Memory, MemoryStorage, rowId, type TableSchema } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { assertSound, FaultyStorage, States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";
import { plain } from "./support/table-workload.js";

const LIMITS: Record<string, { good: unknown[]; bad: unknown[] }> = {
  u8: { good: [0, 255], bad: [-1, 256, 0.5, "1", 1n, Number.NaN, true, null, undefined, {}] },
  i8: { good: [-128, 127], bad: [-129, 128, 0.5, Number.POSITIVE_INFINITY] },
  u16: { good: [0, 65_535], bad: [-1, 65_536, 0.5] },
  i16: { good: [-32_768, 32_767], bad: [-32_769, 32_768, "0"] },
  u32: { good: [0, 2 ** 32 - 1], bad: [-1, 2 ** 32, 0.5, Number.NaN] },
  i32: { good: [-(2 ** 31), 2 ** 31 - 1], bad: [-(2 ** 31) - 1, 2 ** 31, 1e300] },
  u64: { good: [0n, 2n ** 64n - 1n], bad: [-1n, 2n ** 64n, 1, "1"] },
  i64: { good: [-(2n ** 63n), 2n ** 63n - 1n], bad: [-(2n ** 63n) - 1n, 2n ** 63n, 0] },
  f32: { good: [0.5, Number.NaN, Number.NEGATIVE_INFINITY], bad: ["0.5", null, 1n] },
  f64: { good: [0.1, Number.NaN, Number.MAX_VALUE], bad: ["0.5", undefined, new Date(0)] },
  bool: { good: [true, false], bad: [0, 1, "true", null] },
  string: { good: ["", "é\u0000日😀", "\uFEFFx"], bad: [1, null, "\ud800", `${"x".repeat(50)}\udc00`, {}] },
  bytes: { good: [new Uint8Array(0), new Uint8Array([0, 255])], bad: ["", [1], new Uint16Array(1), null] },
  json: { good: [null, 0, "x", [], { a: [{ b: null }] }], bad: [undefined, () => 0, Symbol("s"), 1n] },
};

describe("tables", () => {
  const states = States.forEachTest();
  const message = (code: ErrorCode, body: () => unknown, ...words: string[]) => {
    const { message } = expectCode(code, body);
    for (const word of words) assert.ok(message.includes(word), `"${message}" does not say ${word}`);
  };

  it("every type keeps what it may be and refuses the rest, naming table and field", () => {
    const memory = states.open({ autoCommit: false });
    for (const [type, { good, bad }] of Object.entries(LIMITS)) {
      for (const suffix of ["", "?"]) {
        const table = memory.table(`of ${type}${suffix}`, {
          before: "u8",
          it: `${type}${suffix}`,
        } as TableSchema);
        const rows = table as unknown as {
          insert(row: object): number;
          update(id: number, patch: object): void;
          get(id: number): { it: unknown; before: number };
          count: number;
        };
        for (const it of good) {
          const id = rows.insert({ before: 7, it });
          assert.deepEqual(rows.get(id).it, it);
          for (const other of good) {
            rows.update(id, { it: other });
            assert.deepEqual(rows.get(id).it, other);
            rows.get(id).it = it;
            assert.deepEqual(rows.get(id).it, it);
          }
        }
        const { count } = rows;
        const id = rows.insert({ before: 7, it: good[0] });
        for (const it of bad) {
          if (suffix === "?" && (it === null || it === undefined)) continue;
          const words = [`of ${type}`, '"it"'];
          message("INVALID_ARGUMENT", () => rows.insert({ before: 7, it }), ...words);
          if (it !== undefined) message("INVALID_ARGUMENT", () => rows.update(id, { it }), ...words);
          if (it !== undefined)
            message("INVALID_ARGUMENT", () => rows.update(id, { it, before: 1 }), ...words);
          message("INVALID_ARGUMENT", () => (rows.get(id).it = it), ...words);
        }
        assert.equal(rows.count, count + 1);
        assert.deepEqual(plain(rows.get(id)), { before: 7, it: good[0] });
        if (suffix === "") continue;
        for (const given of [{ before: 1 }, { before: 1, it: null }, { before: 1, it: undefined }])
          assert.equal(rows.get(rows.insert(given)).it, null);
        rows.update(id, { it: null });
        assert.equal(rows.get(id).it, null);
        rows.get(id).it = good[0];
        assert.deepEqual(rows.get(id).it, good[0]);
      }
    }
    memory.commit();
  });

  it("what is no row, and fields that there are not, are refused", () => {
    const table = states.open().table("t", { a: "u8", b: "string?" });
    for (const row of [null, undefined, 1, "row"])
      message("INVALID_ARGUMENT", () => table.insert(row as never), '"t"');
    message("INVALID_ARGUMENT", () => table.insert({ a: 1, c: 2 } as never), '"t"', '"c"');
    message("INVALID_ARGUMENT", () => table.insert({} as never), '"a"');
    const id = table.insert({ a: 1 });
    message("INVALID_ARGUMENT", () => table.update(id, { d: 1 } as never), '"d"');
    message("INVALID_ARGUMENT", () => table.update(id, { a: 1, d: 1 } as never), '"d"');
    table.update(id, {});
    table.update(id, { a: undefined } as never);
    assert.deepEqual(plain(table.get(id)), { a: 1, b: null });
    for (const none of [0, 1, 511, id + 1, -1, 0.5, Number.NaN, 2 ** 53, "x", undefined]) {
      assert.equal(table.get(none as number), undefined);
      assert.equal(table.delete(none as number), false);
      message("NOT_FOUND", () => table.update(none as number, { a: 1 }), '"t"');
      message("NOT_FOUND", () => table.update(none as number, { b: "x" }), '"t"');
    }
    for (const from of [-1, 0.5, "0"]) expectCode("INVALID_ARGUMENT", () => table.scan(from as number));
    for (const row of [{ a: 1 }, null, 5]) expectCode("INVALID_ARGUMENT", () => table.rowIdOf(row as never));
    const other = states.open({}, "b.state").table("t", { a: "u8", b: "string?" });
    other.insert({ a: 1 });
    expectCode("INVALID_ARGUMENT", () => table.rowIdOf(other.get(id) as never));
    assert.equal(table.rowIdOf(table.get(id) as never), id);
  });

  it("a row is a live view, until it is deleted", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", { n: "u32", text: "string", big: "i64?", data: "bytes?" });
    const id = table.insert({ n: 1, text: "one" });
    const row = table.get(id)!;
    table.update(id, { n: 2, text: "x".repeat(1500) });
    assert.deepEqual([row.n, row.text.length], [2, 1500]);
    // It moves to another page, is in a run, and comes back.
    for (let i = 0; i < 20; i++) table.insert({ n: i, text: "y".repeat(150) });
    for (const length of [1900, 10_000, 3, 1999]) {
      row.text = "z".repeat(length);
      row.n++;
      assert.equal(table.get(id)!.text.length, length);
      assert.equal(row.text.length, length);
    }
    assert.equal(row.n, 6);
    memory.commit();
    row.n = 100;
    memory.rollback();
    assert.equal(row.n, 6);
    assert.equal(row[rowId], id);
    row.big = -5n;
    row.data = new Uint8Array([1, 2, 3]);
    row.text = "t";
    const expected = { n: 6, text: "t", big: -5n, data: new Uint8Array([1, 2, 3]) };
    assert.deepEqual(plain(row), expected);
    assert.equal(JSON.stringify(row), '{"n":6,"text":"t","big":"-5","data":"AQID"}');
    assert.ok(inspect(row).includes("n: 6"));
    const names: string[] = [];
    for (const name in row) names.push(name);
    assert.deepEqual(names, ["n", "text", "big", "data"]);
    assert.deepEqual(Object.keys(row), []);
    // A row can be inserted as it is.
    assert.deepEqual(plain(table.get(table.insert(row))), expected);
    row.data![0] = 9;
    assert.equal(row.data![0], 1, "bytes are a copy");
    assert.equal(table.delete(id), true);
    for (const use of [() => row.n, () => row.text, () => (row.n = 1), () => plain(row)])
      message("NOT_FOUND", use, '"t"', String(id));
    memory.close();
    expectCode("CLOSED", () => row.n);
    expectCode("CLOSED", () => table.count);
  });

  it("a scan meets every row once, whatever happens meanwhile", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", { n: "u32", text: "string" });
    const ids = table.insertMany(Array.from({ length: 200 }, (_, n) => ({ n, text: "a".repeat(50) })));
    const met: number[] = [];
    for (const row of table.scan()) {
      met.push(row.n);
      if (row.n === 0) for (let i = 0; i < 50; i++) table.insert({ n: 1000 + i, text: "new" });
      if (row.n === 10) for (const n of [5, 50, 51]) table.delete(ids[n]!);
      if (row.n === 60) for (let n = 55; n < 70; n++) table.update(ids[n]!, { text: "b".repeat(1900) });
      if (row.n === 100) table.delete(row[rowId]);
    }
    assert.deepEqual(
      met,
      Array.from({ length: 200 }, (_, n) => n).filter((n) => n !== 50 && n !== 51),
    );
    assert.equal(table.count, 200 + 50 - 4);
    assert.equal([...table].length, table.count);
    const from = [...table.scan(ids[150]!)].map(({ n }) => n);
    assert.deepEqual(
      from.slice(0, 50),
      Array.from({ length: 50 }, (_, i) => 150 + i),
    );
    assert.deepEqual([...table.scan(table.end)], []);
    const iterator = table.scan();
    iterator.next();
    iterator.return?.();
    assert.equal(iterator.next().done, true);
  });

  it("a table is found again, with its fields in any order; anything else differs by name", () => {
    let memory = states.open();
    const table = memory.table("t", { a: "u8", b: "string?", c: "f64?" });
    const id = table.insert({ a: 1, b: "x" });
    memory.close();
    memory = states.open();
    assert.deepEqual(plain(memory.table("t", { c: "f64?", b: "string?", a: "u8" }).get(id)), {
      a: 1,
      b: "x",
      c: null,
    });
    message("LAYOUT", () => memory.table("t", { a: "u8", b: "string?" }), '"t"', '"c"');
    message("LAYOUT", () => memory.table("t", { a: "u16", b: "string?", c: "f64?" }), '"a"', "u8", "u16");
    message("LAYOUT", () => memory.table("t", { a: "u8", b: "string", c: "f64?" }), '"b"');
    message("LAYOUT", () => memory.table("t", { a: "u8", b: "string?", c: "f64?", d: "u8" }), '"d"');
    for (const schema of [
      {},
      null,
      undefined,
      5,
      { a: "u7" },
      { a: "u8??" },
      { a: 1 },
      { "": "u8" },
      { toJSON: "u8" },
    ])
      expectCode("INVALID_ARGUMENT", () => memory.table("bad", schema as never));
    expectCode("INVALID_ARGUMENT", () => memory.table("", { a: "u8" }));
    const many = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`f${i}`, "f64"])) as TableSchema;
    message("LIMIT", () => memory.table("many", many), '"many"');
    const texts = Object.fromEntries(
      Array.from({ length: 143 }, (_, i) => [`f${i}`, "string"]),
    ) as TableSchema;
    expectCode("LIMIT", () => memory.table("texts", texts));
    const { f142: _, ...fewer } = texts;
    const wide = memory.table("texts", fewer) as unknown as {
      insert(row: object): number;
      get(id: number): unknown;
    };
    const row = Object.fromEntries(Object.keys(fewer).map((name, i) => [name, name.repeat(40 + i)]));
    assert.deepEqual(plain(wide.get(wide.insert(row))), row);
  });

  it("optional fields are added, of every type, and rows from before have null there", () => {
    const memory = states.open({ autoCommit: false });
    const first = memory.table("t", { a: "u32", text: "string" });
    const id = first.insert({ a: 1, text: "old" });
    const more = Object.fromEntries(
      Object.keys(LIMITS).map((type) => [`x${type}`, `${type}?`]),
    ) as TableSchema;
    const wide = memory.table("t", {
      a: "u32",
      text: "string",
      ...more,
    } as TableSchema) as unknown as ReturnType<typeof memory.table>;
    const nulls = Object.fromEntries(Object.keys(more).map((name) => [name, null]));
    assert.deepEqual(plain(wide.get(id)), { a: 1, text: "old", ...nulls });
    // The handle of before says that it is out of date.
    message("LAYOUT", () => first.insert({ a: 2, text: "x" }), "open it again");
    for (const [type, { good }] of Object.entries(LIMITS)) {
      const row = wide.get(id) as unknown as Record<string, unknown>;
      for (const value of good) {
        row[`x${type}`] = value;
        assert.deepEqual(row[`x${type}`], type === "json" && value === null ? null : value);
      }
      row[`x${type}`] = null;
      assert.equal(row[`x${type}`], null);
      expectCode("INVALID_ARGUMENT", () => (row[`x${type}`] = type === "json" ? () => 0 : Symbol("none")));
    }
    const full = Object.fromEntries(Object.entries(LIMITS).map(([type, { good }]) => [`x${type}`, good[1]]));
    const other = wide.insert({ a: 9, text: "new", ...full } as never);
    assert.deepEqual(plain(wide.get(other)), { a: 9, text: "new", ...full });
    wide.update(other, { text: "t".repeat(3000) } as never);
    assert.deepEqual(plain(wide.get(other)), { a: 9, text: "t".repeat(3000), ...full });
    memory.commit();
    // A reader that knows more fields than there are reads them as null.
    const reader = states.open({ readOnly: true });
    const wider = reader.table("t", { a: "u32", text: "string", ...more, z: "u8?" } as TableSchema);
    assert.equal((plain(wider.get(id)) as { z: null }).z, null);
    expectCode("READ_ONLY", () => wider.insert({ a: 1, text: "" } as never));
  });

  it("a reader sees what was committed, and moves on with refresh", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", { n: "u32", text: "string" });
    const id = table.insert({ n: 1, text: "a" });
    memory.commit();
    const reader = states.open({ readOnly: true });
    expectCode("NOT_FOUND", () => reader.table("u", { n: "u32" }));
    const seen = reader.table("t", { n: "u32", text: "string" });
    const row = seen.get(id)!;
    for (const act of [
      () => seen.insert({ n: 1, text: "" }),
      () => seen.update(id, { n: 1 }),
      () => seen.update(id, { text: "" }),
      () => seen.delete(id),
      () => (row.n = 5),
      () => seen.drop(),
    ])
      expectCode("READ_ONLY", act);
    table.update(id, { n: 2 });
    table.insert({ n: 3, text: "b" });
    memory.commit();
    assert.deepEqual([row.n, seen.count], [1, 1]);
    reader.refresh();
    assert.deepEqual([row.n, seen.count], [2, 2]);
    table.drop();
    memory.commit();
    reader.refresh();
    expectCode("NOT_FOUND", () => row.n);
    expectCode("NOT_FOUND", () => table.count);
  });

  it("values of any length come back, and leave the file when they go", () =>
    withSeed("tables: long values", (random) => {
      const memory = states.open({ autoCommit: false, windowBytes: 8 * 40_960 });
      const table = memory.table("t", { a: "string?", b: "bytes?", c: "json?" });
      const ids: number[] = [];
      const rows = new Map<number, object>();
      for (const length of [1000, 1980, 2000, 4064, 4065, 40_000, 1_000_000]) {
        const row = {
          a: "é".repeat(Math.floor(length / 2)),
          b: random.bytes(length),
          c: { text: "t".repeat(length) },
        };
        const id = table.insert(row);
        ids.push(id);
        rows.set(id, row);
      }
      const compare = () => {
        for (const [id, row] of rows) assert.deepEqual(plain(table.get(id)), row);
        assertSound(memory);
      };
      compare();
      memory.commit();
      compare();
      assert.ok(memory.check().slots!.image > 700);
      for (const id of ids) {
        table.update(id, { b: random.bytes(random.below(5000)) });
        rows.set(id, plain(table.get(id)) as object);
        table.get(id)!.a = null;
        rows.set(id, { ...rows.get(id), a: null });
      }
      compare();
      memory.rollback();
      for (const id of ids) assert.equal(table.get(id)!.a!.length, Math.floor(table.get(id)!.b!.length / 2));
      for (const id of ids) table.delete(id);
      memory.commit();
      memory.commit();
      const blocks = memory.check().slots!.image;
      assert.ok(blocks < 40, `${blocks} blocks are left`);
      expectCode("LIMIT", () => table.insert({ b: new Uint8Array(2 ** 30 + 1) }));
      assert.equal(table.count, 0);
    }));

  it("dropping gives everything back", () => {
    const memory = states.open({ autoCommit: false });
    const used = () => {
      memory.commit();
      const { liveBlocks, slots } = memory.check();
      return [liveBlocks, slots!.image];
    };
    memory.table("other", { a: "u8" });
    const before = used();
    const schema = { a: "u32", text: "string" } as const;
    const table = memory.table("t", schema, {
      indexes: { a: { on: "a" }, text: { on: "text", unique: true } },
    });
    for (let a = 0; a < 5000; a++) table.insert({ a, text: `text ${a}${"x".repeat(a % 300)}` });
    assert.ok(used()[1]! > before[1]! + 100);
    const again = memory.table("t", schema);
    table.drop();
    expectCode("NOT_FOUND", () => again.count);
    expectCode("NOT_FOUND", () => table.drop());
    const after = used();
    // An empty span of each of its sizes may stay with the heap, that of tree nodes with 16 blocks.
    assert.ok(after[0]! <= before[0]! && after[1]! <= before[1]! + 24, `${before} ${after}`);
    assert.equal(memory.table("t", { b: "u8" }).count, 0);
  });

  it("a program's own code may run while a row is taken", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", { a: "u32", b: "json", c: "string" });
    const nested = {
      get a() {
        table.insert({ a: 100, b: 1, c: "inner" });
        return 1;
      },
      b: {
        toJSON() {
          for (let i = 0; i < 100; i++) table.insert({ a: i, b: i, c: "x".repeat(500) });
          return "json";
        },
      },
      c: "outer",
    };
    const id = table.insert(nested);
    assert.deepEqual(plain(table.get(id)), { a: 1, b: "json", c: "outer" });
    assert.equal(table.count, 102);
    table.update(id, { b: nested.b, c: "again" });
    assert.deepEqual(plain(table.get(id)), { a: 1, b: "json", c: "again" });
    const thrower = {
      get a(): number {
        throw new RangeError("mine");
      },
      b: 1,
      c: "",
    };
    assert.throws(() => table.insert(thrower), RangeError);
    assert.equal(table.count, 202);
  });

  it("an error of the disk in a change is one of the change, or suspends", () => {
    const storage = new FaultyStorage(new MemoryStorage());
    const memory = states.inStorage(storage, { autoCommit: false, windowBytes: 8 * 40_960 });
    const table = memory.table("t", { n: "u32", text: "string" });
    const ids = Array.from({ length: 3000 }, (_, n) => table.insert({ n, text: "x".repeat(200) }));
    memory.commit();
    const failing = (body: () => unknown) => {
      storage.failOn("read");
      try {
        body();
      } catch {
        // It may have been suspended.
      } finally {
        storage.heal();
      }
      memory.rollback();
      assert.equal(table.count, 3000);
      assertSound(memory);
    };
    for (let i = 0; i < 3000; i += 100) {
      failing(() => table.get(ids[i]!)?.n);
      failing(() => table.update(ids[i]!, { text: "y".repeat(1000) }));
      failing(() => table.delete(ids[i]!));
      failing(() => [...table.scan(ids[i]!)].length);
    }
  });

  it("an extent that cannot grow moves, with all that is in it", () =>
    withSeed("tables: move", (random) => {
      const memory = states.open({ autoCommit: false });
      const table = memory.table("t", { n: "u32", text: "string" });
      const all = (2 ** 40 - 2 ** 20) / 10;
      // Everything behind the table but a few clusters at the end.
      memory.region("wall", (all - 64 - 5000) * 40_960);
      const rows = new Map<number, { n: number; text: string }>();
      for (let n = 0; n < 2600; n++) {
        const row = { n, text: "x".repeat(random.oneIn(100) ? 20_000 : random.below(1990)) };
        rows.set(table.insert(row), row);
        if (n === 700) memory.commit();
      }
      const view = table.get([...rows.keys()][5]!)!;
      assert.equal(view.n, 5);
      for (const [id, row] of rows) assert.deepEqual(plain(table.get(id)), row);
      assertSound(memory);
      memory.rollback();
      assert.equal(table.count, 701);
      const last = () => table.insert({ n: 1, text: "x".repeat(1990) });
      const fill = () => {
        for (;;) last();
      };
      memory.commit();
      const region = memory.region("wall");
      region.drop();
      memory.region("wall", (all - 64) * 40_960);
      message("OUT_OF_MEMORY", fill, '"t"');
      assertSound(memory);
      const { count } = table;
      expectCode("OUT_OF_MEMORY", () => table.insert({ n: 1, text: "x".repeat(50_000) }));
      assert.equal(table.count, count);
      assertSound(memory);
    }));

  it("tables are part of snapshots", () => {
    const memory: Memory = states.open({ autoCommit: false });
    const table = memory.table("t", { n: "u32" });
    const id = table.insert({ n: 1 });
    memory.snapshots.create("s");
    table.update(id, { n: 2 });
    memory.table("u", { n: "u8" });
    memory.commit();
    const shown = memory.snapshots.open("s");
    states.adopt(shown);
    assert.equal(shown.table("t", { n: "u32" }).get(id)!.n, 1);
    const row = table.get(id)!;
    memory.snapshots.restore("s");
    assert.equal(row.n, 1);
    assertSound(memory);
  });
});
