// Indexes of tables, following, and migration: what they answer, what is refused, and that a build or a conversion that was stopped goes on.

import assert from "node:assert/strict";
import { type Memory, MemoryStorage, migrate, rowId } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { assertSound, endOfTurn, FaultyStorage, States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";
import { plain } from "./support/table-workload.js";

const people = { name: "string", age: "u8?", city: "string", mail: "string?" } as const;
const indexes = {
  byMail: { on: "mail", unique: true },
  byCity: { on: ["city", "age"] },
  byName: { on: "name" },
};

describe("indexes of tables", () => {
  const states = States.forEachTest();
  const some = (memory: Memory) => {
    const table = memory.table("people", people, { indexes });
    table.insertMany([
      { name: "Ada", age: 36, city: "London", mail: "ada@x" },
      { name: "Émile", age: 20, city: "Paris" },
      { name: "Zoë", age: null, city: "Paris", mail: null },
      { name: "Bob", age: 20, city: "London", mail: "bob@x" },
      { name: "ada", age: 7, city: "Lyon" },
    ]);
    return table;
  };
  const names = (rows: Iterable<{ name: string }>) => [...rows].map(({ name }) => name);

  it("find by key, by part of a key, and by null", () => {
    const table = some(states.open());
    assert.equal(table.find("byMail", "bob@x")?.name, "Bob");
    assert.equal(table.find("byMail", null)?.name, "Émile");
    assert.equal(table.find("byMail", "none"), undefined);
    assert.equal(table.find("byCity", "Paris")?.name, "Zoë", "null comes first");
    assert.equal(table.find("byCity", ["Paris", 20])?.name, "Émile");
    assert.equal(table.find("byCity", ["Paris", null])?.name, "Zoë");
    assert.equal(table.find("byCity", "Par"), undefined);
    expectCode("NOT_FOUND", () => table.find("byAge", 1));
    expectCode("INVALID_ARGUMENT", () => table.find("byName", 1));
    expectCode("INVALID_ARGUMENT", () => table.find("byName", ["Ada", 1]));
  });

  it("range over keys, both ends included, in both directions", () => {
    const table = some(states.open());
    assert.deepEqual(names(table.range("byName")), ["Ada", "Bob", "Zoë", "ada", "Émile"]);
    assert.deepEqual(names(table.range("byName", "Bob")), ["Bob", "Zoë", "ada", "Émile"]);
    assert.deepEqual(names(table.range("byName", undefined, "Zoë")), ["Ada", "Bob", "Zoë"]);
    assert.deepEqual(names(table.range("byName", "Bob", "ada", { reverse: true })), ["ada", "Zoë", "Bob"]);
    assert.deepEqual(names(table.range("byCity", "London", "London")), ["Bob", "Ada"]);
    assert.deepEqual(names(table.range("byCity", ["London", 21], "Lyon")), ["Ada", "ada"]);
    assert.deepEqual(names(table.range("byMail", null, null)), ["Émile", "Zoë", "ada"]);
    // Rows that change under way are met once, as long as their key stays.
    const met: string[] = [];
    for (const row of table.range("byCity")) {
      met.push(row.name);
      row.name = `${row.name}!`;
      if (row.city === "Lyon") table.delete(table.find("byCity", ["Paris", null])![rowId]);
    }
    assert.deepEqual(met, ["Bob", "Ada", "ada", "Émile"]);
  });

  it("a key that there is already is refused, with nothing changed", () => {
    const memory = states.open({ autoCommit: false });
    const table = some(memory);
    memory.commit();
    const before = [...table].map(plain);
    const { message } = expectCode("DUPLICATE", () => table.insert({ name: "X", city: "Y", mail: "ada@x" }));
    assert.ok(message.includes("byMail"));
    const bob = table.find("byMail", "bob@x")!;
    expectCode("DUPLICATE", () => (bob.mail = "ada@x"));
    expectCode("DUPLICATE", () => table.update(bob[rowId], { city: "Rome", mail: "ada@x", age: 99 }));
    expectCode("LIMIT", () => (bob.name = "n".repeat(2000)));
    expectCode("LIMIT", () => table.insert({ name: "n".repeat(2000), city: "Y", mail: "new@x" }));
    assert.deepEqual([...table].map(plain), before);
    assert.equal(table.find("byMail", "new@x"), undefined);
    assertSound(memory);
    bob.mail = "bob@x";
    bob.mail = "b@x";
    assert.equal(table.find("byMail", "bob@x"), undefined);
    assert.equal(table.find("byMail", "b@x")?.name, "Bob");
    bob.mail = null;
    table.insert({ name: "X", city: "Y", mail: "b@x" });
    assertSound(memory);
  });

  it("are what is declared: new ones are made, missing and other ones are LAYOUT", () => {
    const memory = states.open({ autoCommit: false });
    const table = some(memory);
    assert.equal(memory.table("people", people).find("byMail", "ada@x")?.name, "Ada", "they stay");
    expectCode("LAYOUT", () => memory.table("people", people, { indexes: { byMail: indexes.byMail } }));
    expectCode("LAYOUT", () =>
      memory.table("people", people, { indexes: { ...indexes, byName: { on: "city" } } }),
    );
    expectCode("LAYOUT", () =>
      memory.table("people", people, { indexes: { ...indexes, byMail: { on: "mail" } } }),
    );
    memory.table("people", people, { indexes: { ...indexes, byAge: { on: "age" } } });
    assert.equal(names(table.range("byAge", 20, 20)).length, 2, "the other handle has it too");
    table.insert({ name: "New", age: 20, city: "Rome" });
    assert.equal(names(table.range("byAge", 20, 20)).length, 3);
    expectCode("DUPLICATE", () =>
      memory.table("people", people, {
        indexes: { ...indexes, byAge: { on: "age" }, unique: { on: "city", unique: true } },
      }),
    );
    expectCode("NOT_FOUND", () => table.find("unique", "Rome"));
    table.dropIndex("byAge");
    expectCode("NOT_FOUND", () => table.find("byAge", 1));
    expectCode("NOT_FOUND", () => table.dropIndex("byAge"));
    for (const bad of [{ on: [] }, { on: "none" }, { on: ["name", "name"] }, {}, { on: "name", unique: 1 }])
      expectCode("INVALID_ARGUMENT", () => memory.table("other", people, { indexes: { bad: bad as never } }));
    expectCode("INVALID_ARGUMENT", () =>
      memory.table("other", { a: "json" }, { indexes: { a: { on: "a" } } }),
    );
    assert.equal(memory.check().tables, 1);
    assertSound(memory);
  });

  it("refuse NaN, and hold what floats are", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table(
      "t",
      { x: "f32", y: "f64?" },
      { indexes: { x: { on: "x", unique: true }, y: { on: "y" } } },
    );
    const id = table.insert({ x: 0.1, y: -0 });
    table.update(id, { x: 0.1 });
    table.get(id)!.x = 0.1;
    assert.equal(table.find("x", 0.1)?.[rowId], id);
    assert.equal(table.find("y", 0)?.[rowId], id);
    for (const x of [Number.NaN]) {
      expectCode("INVALID_ARGUMENT", () => table.insert({ x }));
      expectCode("INVALID_ARGUMENT", () => table.update(id, { x }));
      expectCode("INVALID_ARGUMENT", () => table.update(id, { y: x }));
    }
    assertSound(memory);
  });

  it("a build that is stopped goes on when the table is opened again", () => {
    const storage = new FaultyStorage(new MemoryStorage());
    const schema = { n: "u32", text: "string" } as const;
    const declared = { indexes: { n: { on: "n", unique: true } } };
    const memory = states.inStorage(storage);
    const table = memory.table("t", schema);
    memory.transaction(() => {
      for (let n = 0; n < 45_000; n++) table.insert({ n: n * 7919, text: "t" });
    });
    const { sequence } = memory;
    // The second commit of the build fails, and so does everything after it.
    const heard: string[] = [];
    memory.addEventListener("commit", () => {
      if (heard.push("commit") === 1) storage.failOn("write", "NO_SPACE");
    });
    expectCode("NO_SPACE", () => memory.table("t", schema, declared));
    assert.deepEqual(heard, ["commit"]);
    assert.ok(memory.sequence > sequence);
    storage.fault = () => null;
    memory.rollback();
    // As a crash leaves it.
    assert.equal(memory.check().problems.length, 0);
    const stopped = memory.sequence;
    const built = memory.table("t", schema);
    assert.deepEqual(heard, ["commit", "commit"]);
    assert.ok(memory.sequence > stopped, "it went on, and committed once more");
    assert.equal(built.find("n", 7919)?.text, "t");
    assert.equal([...built.range("n", 0, 7919 * 9)].length, 10);
    assert.equal(built.find("n", 7919 * 44_999)?.text, "t");
  });

  it("a build is the program's to commit where it has something pending", () => {
    const memory = states.open();
    const table = memory.table("t", { n: "u32" });
    for (let n = 0; n < 1000; n++) table.insert({ n });
    memory.commit();
    const { sequence } = memory;
    memory.alloc(16);
    memory.table("t", { n: "u32" }, { indexes: { n: { on: "n" } } });
    assert.equal(memory.sequence, sequence);
    memory.rollback();
    expectCode("NOT_FOUND", () => table.find("n", 1));
  });
});

describe("following a table", () => {
  const states = States.forEachTest();
  const schema = { n: "u32" } as const;

  it("gives what there is and then what is committed, each row once", async () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", schema);
    for (let n = 0; n < 300; n++) table.insert({ n });
    for (const row of table.scan()) if (row.n % 2 === 0) table.delete(row[rowId]);
    memory.commit();
    const rows = table.follow()[Symbol.asyncIterator]();
    const next = async () => (await rows.next()).value?.n as number;
    assert.equal(await next(), 1);
    for (let n = 3; n < 300; n += 2) assert.equal(await next(), n);
    const pending = next();
    // Its room is not behind the follower.
    table.insert({ n: 1000 });
    memory.rollback();
    table.insert({ n: 1001 });
    table.insert({ n: 1002 });
    memory.commit();
    assert.equal(await pending, 1001);
    table.insert({ n: 1003 });
    assert.equal(await next(), 1002);
    const last = next();
    memory.commit();
    assert.equal(await last, 1003);
    await rows.return?.();
    assert.equal((await rows.next()).done, true);
    // Now there is no follower: earlier room is used again.
    const id = table.insert({ n: 1 });
    assert.ok(id < table.end - 3);
  });

  it("from the end on, until it is aborted or the memory is closed", async () => {
    const memory = states.open();
    const table = memory.table("t", schema);
    table.insert({ n: 1 });
    await endOfTurn();
    const abort = new AbortController();
    const met: number[] = [];
    const run = (async () => {
      for await (const row of table.follow({ from: table.end, signal: abort.signal })) met.push(row.n);
    })();
    const closed = (async () => {
      for await (const row of table.follow({ from: table.end })) met.push(-row.n);
    })();
    table.insert({ n: 2 });
    await endOfTurn();
    table.insert({ n: 3 });
    await endOfTurn();
    abort.abort();
    await run;
    memory.close();
    await closed;
    assert.deepEqual(met.sort(), [-2, -3, 2, 3]);
  });

  it("in a reader, with refresh; a table that is dropped is an error", async () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", schema);
    memory.commit();
    const reader = states.open({ readOnly: true });
    const rows = reader.table("t", schema).follow()[Symbol.asyncIterator]();
    const first = rows.next();
    table.insert({ n: 5 });
    memory.commit();
    await endOfTurn();
    reader.refresh();
    assert.equal((await first).value.n, 5);
    const failed = rows.next();
    table.drop();
    memory.commit();
    reader.refresh();
    await assert.rejects(failed, { code: "NOT_FOUND" });
  });
});

describe("migrating a table", () => {
  const states = States.forEachTest();
  const before = { name: "string", age: "u8", gone: "f64?" } as const;
  const after = { name: "string", born: "i32", note: "string?" } as const;
  const convert = (row: { name: string; age: number }) =>
    row.age === 13 ? null : { name: row.name.toUpperCase(), born: 2000 - row.age };

  it("converts each row where it is", () =>
    withSeed("tables: migrate", (random) => {
      const memory = states.open({ autoCommit: false, windowBytes: 8 * 40_960 });
      const table = memory.table("t", before, {
        indexes: { byName: { on: "name" }, byAge: { on: "age" }, both: { on: ["gone", "name"] } },
      });
      const expected = new Map<number, unknown>();
      for (let i = 0; i < 3000; i++) {
        const row = {
          name: `name ${i} ${"x".repeat(random.oneIn(200) ? 4000 : 0)}`.slice(0, 900 + 4000 * (i & 1) * 0),
          age: random.below(100),
        };
        const id = table.insert({ ...row, gone: i });
        const converted = convert(row);
        if (converted !== null) expected.set(id, { ...converted, note: null });
      }
      memory.commit();
      assert.equal(migrate(memory, "t", before, after, convert), 3000);
      expectCode("LAYOUT", () => table.count);
      expectCode("LAYOUT", () => memory.table("t", before));
      const converted = memory.table("t", after);
      const rows = new Map([...converted].map((row) => [row[rowId], plain(row)]));
      assert.deepEqual(rows, expected);
      assert.ok(
        converted.find("byName", [...expected.values()].map((row) => (row as { name: string }).name)[7]),
      );
      expectCode("NOT_FOUND", () => converted.find("byAge", 1));
      expectCode("NOT_FOUND", () => converted.find("both", null));
      assertSound(memory);
      assert.equal(migrate(memory, "t", before, after, convert), 0, "once");
      memory.rollback();
      assert.equal(table.count, 3000);
      assertSound(memory);
    }));

  it("goes on where it was stopped, and nobody else may use the table before that", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", before);
    for (let age = 0; age < 100; age++) table.insert({ name: "n".repeat(age * 50), age });
    memory.commit();
    let calls = 0;
    const stopping = (row: { name: string; age: number }) => {
      if (row.age === 40) memory.commit();
      if (row.age === 60) throw new RangeError("stopped");
      calls++;
      return convert(row);
    };
    assert.throws(() => migrate(memory, "t", before, after, stopping), RangeError);
    memory.rollback();
    expectCode("LAYOUT", () => memory.table("t", before));
    expectCode("LAYOUT", () => memory.table("t", after));
    expectCode("LAYOUT", () => table.get(512));
    expectCode("LAYOUT", () => migrate(memory, "t", before, { other: "u8" }, () => ({ other: 1 })));
    assertSound(memory);
    memory.close();
    const again = states.open({ autoCommit: false });
    calls = 0;
    const rest = (row: { name: string; age: number }) => {
      calls++;
      return convert(row);
    };
    assert.equal(migrate(again, "t", before, after, rest), 60);
    assert.equal(calls, 60);
    assert.equal(again.table("t", after).count, 99);
    assertSound(again);
  });

  it("refuses what it cannot do", () => {
    const memory = states.open({ autoCommit: false });
    const table = memory.table("t", before);
    const id = table.insert({ name: "a", age: 1 });
    expectCode("NOT_FOUND", () => migrate(memory, "u", before, after, convert));
    expectCode("LAYOUT", () => migrate(memory, "t", { name: "string" }, after, () => null));
    expectCode("INVALID_ARGUMENT", () => migrate(memory, "t", before, { a: "u7" as never }, () => null));
    memory.commit();
    expectCode("INVALID_ARGUMENT", () => migrate(memory, "t", before, after, () => ({ name: 5 }) as never));
    memory.rollback();
    expectCode("BUSY", () =>
      migrate(memory, "t", before, after, () => {
        memory.rollback();
        return null;
      }),
    );
    memory.rollback();
    assert.equal(memory.table("t", before).get(id)?.age, 1);
  });
});
