// The verbs about tables and pipes, started as a user types them. What comes out of `export` is read by parsers that are not perdure's, and compared with what went in.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { migrate, openSync } from "../bindings/index.js";
import { perdure, perdureHere, perdureJson } from "./support/cli.js";
import { SMALL, States } from "./support/memory-states.js";
import { type Random, withSeed } from "./support/random.js";

const NASTY = ["", "plain", 'a "quoted" one', "two\r\nlines", "comma,", " blank ", "東京", "null", "\ufeffx"];

/** The error that a verb reports with --json. */
async function errorOf(words: readonly string[], exitCode = 1): Promise<{ code: string; message: string }> {
  const { code, json } = await perdureJson(words, {}, perdureHere);
  assert.equal(code, exitCode, JSON.stringify(json));
  return json.error as { code: string; message: string };
}

describe("command line: tables and pipes", function () {
  this.timeout(60_000);
  const states = States.forEachTest();
  const path = (name: string): string => states.path(name);
  const write = (name: string, text: string): string => {
    writeFileSync(path(name), text);
    return path(name);
  };
  const state = (): string => path("app.state");
  const lines = (text: string): unknown[] =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  /** The rows of a table, as JSON has them. */
  async function rowsOf(table: string): Promise<unknown[]> {
    const { code, out, errors } = await perdureHere(["export", state(), "--table", table]);
    assert.equal(code, 0, errors);
    return lines(out);
  }
  const ingest = (file: string, ...options: string[]) =>
    perdureJson(["ingest", state(), file, "--table", "t", ...options], {}, perdureHere);

  function people(random: Random, count: number) {
    return Array.from({ length: count }, (_, i) => ({
      id: i,
      name: random.pick(NASTY),
      note: random.oneIn(40) ? random.pick(NASTY).repeat(2000) : random.pick(NASTY),
      isOld: random.oneIn(2),
      rest: random.pick<unknown>([[1, "]"], { a: null }, []]),
    }));
  }

  describe("ingest and export", () => {
    it("JSON Lines, a JSON array, and CSV both ways: what goes in comes out", () =>
      withSeed("ingest and export", async (random) => {
        const rows = people(random, 400);
        const jsonl = write("a.jsonl", rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
        assert.deepEqual((await ingest(jsonl, "--checkpoint", "33")).json.records, 400);
        assert.deepEqual(await rowsOf("t"), rows);
        const csv = path("t.csv");
        const { json } = await perdureJson(["export", state(), "-t", "t", "-o", csv], {}, perdureHere);
        const { commit, ...figures } = json;
        assert.ok((commit as number) > 0);
        const bytes = statSync(csv).size;
        assert.deepEqual(figures, {
          file: state(),
          table: "t",
          format: "csv",
          output: csv,
          rows: 400,
          bytes,
        });
        const expected = rows.map((row) => ({
          ...row,
          id: String(row.id),
          isOld: String(row.isOld),
          rest: JSON.stringify(row.rest),
        }));
        assert.deepEqual(parse(readFileSync(csv), { columns: true }), expected);
        // Into a table of the same types, the text is what it was.
        const array = write("b.json", JSON.stringify(rows.slice(0, 1)));
        await perdureHere(["ingest", state(), array, "-t", "u"]);
        await perdureHere(["ingest", state(), csv, "-t", "u"]);
        assert.deepEqual(await rowsOf("u"), [rows[0], ...rows]);
        const { json: checked } = await perdureJson(["fsck", state(), "--all"], {}, perdureHere);
        assert.deepEqual(checked.problems, []);
      }));

    it("every type of a table that a program made comes out, and goes in again", async () => {
      const schema = {
        a: "u8",
        b: "i64",
        c: "f32?",
        d: "bytes",
        e: "json?",
        f: "bool?",
        g: "string?",
      } as const;
      const memory = openSync(state(), { reserve: SMALL });
      const table = memory.table("t", schema);
      table.insert({
        a: 255,
        b: -(2n ** 63n),
        c: 0.5,
        d: new Uint8Array([0, 255, 10]),
        e: [null],
        f: true,
        g: "",
      });
      table.insert({ a: 0, b: 7n, d: new Uint8Array(0) });
      memory.table("copy", schema);
      memory.close();
      const out = await rowsOf("t");
      assert.deepEqual(out, [
        { a: 255, b: "-9223372036854775808", c: 0.5, d: "AP8K", e: [null], f: true, g: "" },
        { a: 0, b: "7", c: null, d: "", e: null, f: null, g: null },
      ]);
      for (const format of ["jsonl", "csv"]) {
        const file = path(`out.${format}`);
        assert.equal((await perdureHere(["export", state(), "-t", "t", "-o", file])).code, 0);
        const { code, out: said } = await perdureHere(["ingest", state(), file, "-t", "copy"]);
        assert.equal(code, 0, said);
      }
      // CSV does not tell a text that is empty from none.
      assert.deepEqual(await rowsOf("copy"), [...out, out[0], { ...(out[1] as object), g: "" }]);
    });

    it("fields that come later are added; null says nothing of a type", async () => {
      const records: object[] = [{ a: null, b: 1 }, { a: "x" }, {}, { b: 2, c: [1], toString: "t" }];
      const file = write("a.jsonl", records.map((record) => JSON.stringify(record)).join("\n"));
      const { code, json } = await ingest(file);
      assert.deepEqual([code, json.rejected, json.rows], [0, 0, 4]);
      const { json: listed } = await perdureJson(["tables", state()], {}, perdureHere);
      assert.deepEqual(
        (listed.tables as { schema: object }[]).map(({ schema }) => schema),
        [{ b: "f64?", a: "string?", c: "json?", toString: "string?" }],
      );
      assert.deepEqual((await rowsOf("t"))[3], { b: 2, a: null, c: [1], toString: "t" });
    });

    it("records that cannot be rows are counted, and kept with the reasons", async () => {
      const texts = [
        '{"id":1}',
        "{bad",
        "[2]",
        '{"id":"two"}',
        '{"id":1}',
        '{"id":3,"constructor":1}',
        '{"id":4}',
      ];
      const { code, json } = await ingest(write("a.jsonl", texts.join("\n")), "--unique", "id");
      assert.equal(code, 1);
      assert.deepEqual([json.records, json.rejected, json.rows], [6, 5, 2]);
      assert.deepEqual(await rowsOf("t"), [{ id: 1 }, { id: 4 }]);
      const rejected = (await rowsOf("t.rejected")) as { pipe: string; reason: string; data: string }[];
      assert.deepEqual(
        rejected.map(({ data }) => Buffer.from(data, "base64").toString("utf8")),
        texts.slice(1, 6),
      );
      const reasons = [
        /byte 9.*JSON/,
        /an object/,
        /"id": it must be a number/,
        /has this key already/,
        /"constructor"/,
      ];
      reasons.forEach((reason, i) => assert.match(rejected[i].reason, reason));
      for (const { pipe } of rejected) assert.equal(pipe, json.pipe);
      const { out } = await perdureHere(["ingest", state(), path("a.jsonl"), "-t", "t", "--again"]);
      assert.match(out, /7 records rejected; table "t\.rejected" has them/);
    });

    it("lines, TSV, and a format that is said", async () => {
      await ingest(write("a.log", "one\ntwo, 2\n\nfour"));
      assert.deepEqual(
        await rowsOf("t"),
        ["one", "two, 2", "", "four"].map((line) => ({ line })),
      );
      await perdureHere(["ingest", state(), write("a.tsv", "a\tb\n1\t2,3\n"), "-t", "u"]);
      await perdureHere(["ingest", state(), write("a.log2", "a,b\n1,2\n"), "-t", "u", "-f", "csv"]);
      assert.deepEqual(await rowsOf("u"), [
        { a: "1", b: "2,3" },
        { a: "1", b: "2" },
      ]);
    });

    it("killed again and again, it goes on, and each record is there once", () =>
      withSeed("killed ingest", async (random) => {
        const rows = Array.from({ length: 30_000 }, (_, id) => ({ id, text: "x".repeat(random.below(60)) }));
        const file = write("a.jsonl", rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
        const words = ["ingest", state(), file, "-t", "t", "-c", "50", "-u", "id"];
        const written = () => (existsSync(state()) ? statSync(state()).mtimeMs : 0);
        let found = -1;
        for (let kills = 0; kills < 5; kills++) {
          const before = written();
          const { signal } = await perdure(words, {
            started: (kill) => {
              const timer = setInterval(() => {
                if (written() === before) return;
                clearInterval(timer);
                setTimeout(() => kill("SIGKILL"), random.below(25));
              }, 2);
            },
          });
          assert.equal(signal, "SIGKILL");
          const ids = (await rowsOf("t").catch(() => [])) as { id: number }[];
          assert.ok(ids.length >= found && ids.length % 50 === 0, `${ids.length} rows, ${found} before`);
          found = ids.length;
        }
        assert.ok(found < rows.length, "every kill came too late");
        assert.equal((await perdure(words)).code, 0);
        assert.deepEqual(await rowsOf("t"), rows);
        const { json } = await perdureJson(["pipes", state()], {}, perdureHere);
        const [pipe] = json.pipes as Record<string, unknown>[];
        assert.equal(pipe.state, "finished");
        assert.deepEqual(pipe.cursor, { page: statSync(file).size, slot: 0, records: 30_000 });
        const checked = await perdureHere(["fsck", state(), "--all"]);
        assert.equal(checked.code, 0, checked.out);
        // Once more, and what was added to the file.
        const again = await perdureJson(words, {}, perdureHere);
        assert.deepEqual([again.code, again.json.records, again.json.before], [0, 0, 30_000]);
        writeFileSync(file, '{"id":30000,"text":""}\n', { flag: "a" });
        assert.equal((await perdureJson(words, {}, perdureHere)).json.records, 1);
      }));
  });

  it("export and the lists work while a program writes; ingest is LOCKED", async () => {
    const memory = states.open({ autoCommit: false }, "app.state");
    const table = memory.table("t", { n: "u32" }, { indexes: { n: { on: "n", unique: true } } });
    table.insert({ n: 1 });
    memory.commit();
    table.insert({ n: 2 });
    assert.deepEqual(await rowsOf("t"), [{ n: 1 }]);
    assert.match(
      (await perdureHere(["tables", state()])).out,
      /^"t" {2}1 row .* n: u32\n.*unique index "n" on n\n$/,
    );
    assert.equal((await perdureHere(["pipes", state()])).out, "no pipes\n");
    const file = write("a.csv", "n\n3\n");
    assert.equal((await errorOf(["ingest", state(), file, "-t", "t"])).code, "LOCKED");
    memory.commit();
    assert.deepEqual(await rowsOf("t"), [{ n: 1 }, { n: 2 }]);
  });

  it("tables tells what a program made: rows, types, indexes, bytes, a migration that is unfinished", async () => {
    const memory = states.open({ autoCommit: false }, "app.state");
    const schema = { n: "u32", text: "string?" } as const;
    const table = memory.table("first", schema, { indexes: { both: { on: ["text", "n"] } } });
    for (let n = 0; n < 1000; n++) table.insert({ n, text: "x".repeat(100) });
    memory.table("second", { a: "bytes" });
    memory.commit();
    const { json } = await perdureJson(["tables", state()], {}, perdureHere);
    const [first, second] = json.tables as Record<string, unknown>[];
    const { bytes, ...rest } = first;
    const indexes = { both: { on: ["text", "n"], unique: false } };
    assert.deepEqual(rest, { name: "first", rows: 1000, schema, indexes, migrating: false });
    // Each row has its text twice, here and in the index; half of it at least is that.
    assert.ok((bytes as number) > 200_000 && (bytes as number) < 450_000, `${bytes} bytes`);
    assert.equal(bytes, table.bytes);
    assert.deepEqual(
      { ...second, schema: null },
      { name: "second", rows: 0, schema: null, indexes: {}, migrating: false, bytes: 0 },
    );
    assert.throws(() =>
      migrate(memory, "first", schema, { n: "u32" }, ({ n }) => {
        if (n === 500) throw new Error("no further");
        return { n };
      }),
    );
    memory.commit();
    const { json: now } = await perdureJson(["tables", state()], {}, perdureHere);
    const [under] = now.tables as Record<string, unknown>[];
    assert.deepEqual([under.migrating, under.bytes, under.rows], [true, null, 1000]);
    assert.match((await perdureHere(["tables", state()])).out, /a migration is unfinished/);
    assert.equal((await errorOf(["export", state(), "-t", "first"].concat("-o", path("x")))).code, "LAYOUT");
    migrate(memory, "first", schema, { n: "u32" }, ({ n }) => ({ n }));
  });

  it("pipes tells of those that programs have", async () => {
    const memory = states.open({ autoCommit: false }, "app.state");
    const table = memory.table("t", { n: "u32" });
    for (let n = 0; n < 100; n++) table.insert({ n });
    await memory
      .pipe("p", table)
      .tap(() => {})
      .run({ limit: 40 });
    const { json } = await perdureJson(["pipes", state()], {}, perdureHere);
    const [{ savedAt, ...pipe }] = json.pipes as Record<string, unknown>[];
    assert.ok(!Number.isNaN(Date.parse(savedAt as string)));
    assert.deepEqual(pipe, {
      name: "p",
      source: { kind: "table", label: "t" },
      state: "stopped",
      cursor: { page: 1, slot: 40, records: 40 },
      emitted: 40,
      rejected: 0,
      remaining: 60,
    });
    assert.match(
      (await perdureHere(["pipes", state()])).out,
      /^"p" {2}table "t" {2}stopped {2}at page 1, slot 40 {2}40 records read {2}60 to come {2}\d/,
    );
  });

  it("a file is never overwritten, and an export that is stopped leaves nothing", async () => {
    const file = write("a.jsonl", '{"a":1}\n');
    await ingest(file);
    const before = readdirSync(states.folder).sort();
    const error = await errorOf(["export", state(), "-t", "t", "-o", file]);
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.match(error.message, /a\.jsonl exists already/);
    assert.equal(readFileSync(file, "utf8"), '{"a":1}\n');
    assert.equal(
      (await errorOf(["export", state(), "-t", "nothing", "-o", path("x.csv")])).code,
      "NOT_FOUND",
    );
    assert.deepEqual(readdirSync(states.folder).sort(), before);
  });

  it("what reads its output may stop early", async () => {
    const memory = openSync(state(), { reserve: SMALL });
    const table = memory.table("t", { n: "u32", text: "string" });
    for (let n = 0; n < 20_000; n++) table.insert({ n, text: "x".repeat(50) });
    memory.close();
    const { code, out, errors } = await perdure(["export", state(), "-t", "t"], {
      started: (_kill, child) => child.stdout?.once("data", () => child.stdout?.destroy()),
    });
    assert.deepEqual([code, errors], [0, ""]);
    assert.ok(out.length < 1_000_000, `${out.length} characters`);
  });

  it("what is typed wrong, and what cannot be", async () => {
    const file = write("a.csv", "a\n1\n");
    for (const words of [
      ["ingest", state(), file],
      ["ingest", state(), file, "-t", "t", "-c", "0"],
      ["ingest", state(), file, "-t", "t", "-f", "xml"],
      ["export", state()],
      ["export", state(), "-t", "t"],
      ["export", state(), "-t", "t", "-f", "xml", "-o", "x"],
      ["tables"],
      ["pipes", "a", "b"],
    ])
      assert.equal((await errorOf(words, 2)).code, "USAGE", words.join(" "));
    assert.equal((await errorOf(["ingest", state(), path("none.csv"), "-t", "t"])).code, "NOT_FOUND");
    assert.ok(!existsSync(state()), "no state for a file that is not there");
    assert.equal((await errorOf(["tables", state()])).code, "NOT_FOUND");
    await ingest(file);
    writeFileSync(file, "a\n2\n3\n");
    assert.equal((await errorOf(["ingest", state(), file, "-t", "t"])).code, "STALE");
    assert.equal((await ingest(file, "--again")).json.records, 2);
    const { code, json } = await ingest(write("b.csv", "a\n4\n"), "--unique", "b");
    assert.deepEqual([code, json.notes], [1, ['no record has a field "b", so there is no index']]);
    await ingest(file, "--again");
    assert.equal((await errorOf(["ingest", state(), file, "-t", "t", "-u", "a"])).code, "DUPLICATE");
  });
});
