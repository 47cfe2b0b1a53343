// Files as sources of pipes: whatever the format, a run that goes on from any record gives the others, and what is malformed costs itself where the next record can
// be found. What is read is compared with what the file was written from.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { type Memory, MemoryStorage, openSync, type Source, sources } from "../bindings/index.js";
import { expectCodeAsync } from "./support/expect-code.js";
import { SMALL, States } from "./support/memory-states.js";
import { type Random, withSeed } from "./support/random.js";

const NASTY = [
  "",
  "plain",
  'a "quoted" one',
  "two\nlines",
  "comma, and ; and \t",
  "Sant Julià de Lòria",
  "東京",
  "𓀀]}",
  "\\",
];

function people(random: Random, count: number): { id: string; name: string; note: string }[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${i + 1}`,
    name: `${random.pick(NASTY)} ${random.below(1000)}`,
    note: random.oneIn(20) ? random.pick(NASTY).repeat(30_000) : random.pick(NASTY),
  }));
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

type Rows = ReturnType<typeof people>;

const csvOf = (rows: Rows): string =>
  `\ufeff${["id,name,note", ...rows.map((row) => Object.values(row).map(quoted).join(","))].join("\r\n")}`;

/** Every format: the rows as text, and the source that reads it. */
const formats: Readonly<Record<string, readonly [(rows: Rows) => string, (path: string) => Source]>> = {
  "people.csv": [csvOf, (path) => sources.csv(path)],
  "people.jsonl": [
    (rows) => `\ufeff${rows.map((row) => `${JSON.stringify(row)}\n`).join("\n")}`,
    (path) => sources.jsonLines(path),
  ],
  "people.json": [(rows) => `\ufeff ${JSON.stringify(rows, null, 1)}\n`, (path) => sources.json(path)],
  "dense.json": [(rows) => JSON.stringify(rows), (path) => sources.json(path)],
};

describe("files as sources", () => {
  const states = States.forEachTest();
  const write = (name: string, text: string): string => {
    writeFileSync(states.path(name), text);
    return states.path(name);
  };
  /** All records, and what could not be read, with the reasons. */
  async function read(source: Source, memory: Memory = states.inStorage()) {
    const records: unknown[] = [];
    const letters: { reason: string; data: Uint8Array }[] = [];
    const pipe = memory
      .pipe("all", source)
      .tap((record) => records.push(structuredClone(record)))
      .deadLetters({ name: "letters", insert: (letter: (typeof letters)[number]) => letters.push(letter) });
    const { rejected } = await pipe.run();
    assert.equal(rejected, letters.length);
    return { records, letters, reasons: letters.map(({ reason }) => reason) };
  }

  for (const [name, [textOf, sourceOf]] of Object.entries(formats)) {
    it(`${name}: going on from any record gives the others`, () =>
      withSeed(`sources ${name}`, async (random) => {
        const rows = people(random, 150);
        const source = sourceOf(write(name, textOf(rows)));
        const memory = openSync("memory", { reserve: SMALL, storage: new MemoryStorage() });
        const seen: object[] = [];
        const pipe = memory.pipe("parts", source).tap((record) => seen.push({ ...(record as object) }));
        while (!(await pipe.run({ limit: 1 + random.below(9) })).finished);
        assert.deepEqual(seen, rows);
        memory.close();
      }));
  }

  it("a JSON array may have anything in it", async () => {
    const values = [1, -2.5e3, true, null, 'a,]\\"', [], [[1, "]"], {}], { a: { b: ["}"] } }, "", 0];
    for (const text of [
      JSON.stringify(values),
      `\n[ ${values.map((v) => JSON.stringify(v, null, 2)).join(" ,\t")}\r\n] `,
    ])
      assert.deepEqual((await read(sources.json(write("a.json", text)))).records, values);
  });

  it("an element that is no JSON is rejected; the others are read", async () => {
    const { records, reasons, letters } = await read(
      sources.json(write("a.json", '[{"a":1}, {"a":[}}, nul, 2x, "é", {"b":2}]')),
    );
    assert.deepEqual(records, [{ a: 1 }, "é", { b: 2 }]);
    assert.deepEqual(
      letters.map(({ data }) => Buffer.from(data).toString("utf8")),
      ['{"a":[}}', "nul", "2x"],
    );
    assert.match(reasons[0], /a\.json: the element at byte 8: .*JSON/);
  });

  it("a CSV record with too few or too many fields is rejected; the others are read", async () => {
    const path = write("a.csv", "a,b\n1,2\n3\n\n4,5,6\n7,8\n");
    const { records, letters, reasons } = await read(sources.csv(path));
    assert.deepEqual(records, [
      { a: "1", b: "2" },
      { a: "7", b: "8" },
    ]);
    assert.deepEqual(
      letters.map(({ data }) => Buffer.from(data).toString("utf8").trim()),
      ["3", "4,5,6"],
    );
    assert.match(reasons[1], /a\.csv: the record behind byte 10: Invalid Record Length: .*got 3$/);
    const memory = states.inStorage();
    await expectCodeAsync("INVALID_ARGUMENT", memory.pipe("p", sources.csv(path)).run());
    assert.equal(memory.pipe("p", sources.csv(path)).cursor.records, 0);
  });

  const endings: readonly [what: string, name: string, text: string, message: RegExp][] = [
    ["a quotation mark missing", "bad.csv", 'a,b\n1,2\n3,"4\n5,6\n', /behind byte \d+: Quote Not Closed/],
    ["a column twice", "bad.csv", "a,b,a\n1,2,3\n", /the column "a" is there twice/],
    ["no last bracket", "bad.json", '[{"a":1},{"a":2}', /expected , or \], but the file ends/],
    ["half an element", "bad.json", '[{"a":1},{"a":"2', /the file ends within the element at byte 9/],
    ["no comma", "bad.json", '[{"a":1} {"a":2}]', /expected , or \] at byte 9, not "\{"/],
    ["a comma too many", "bad.json", '[{"a":1},]', /expected an element at byte 9, not "\]"/],
    ["a comma first", "bad.json", "[,1]", /expected an element or \] at byte 1, not ","/],
    ["no array", "bad.json", '{"a":1}', /expected \[ at byte 0, not "\{"/],
    ["something after the array", "bad.json", '[{"a":1}]]', /expected nothing more at byte 9/],
    ["nothing at all", "bad.json", "", /expected \[, but the file ends/],
  ];
  it("what is malformed between records ends the run, and says where", async () => {
    for (const [what, name, text, message] of endings) {
      const path = write(name, text);
      const source = name.endsWith(".csv") ? sources.csv(path) : sources.json(path);
      const error = await expectCodeAsync("INVALID_ARGUMENT", read(source));
      assert.match(error.message, message, what);
    }
  });

  it("an element that is too long is LIMIT", async () => {
    const source = sources.json(write("long.json", `[1, {"a":"${"x".repeat(2_000_000)}"}]`), {
      maxBytes: 1_000_000,
    });
    const error = await expectCodeAsync("LIMIT", read(source));
    assert.match(error.message, /the element at byte 2 has more than 1000000 bytes/);
  });

  it("files without records", async () => {
    const empty: [string, (path: string) => Source][] = [
      ["", sources.csv],
      ["id,name\n", sources.csv],
      ["\n\n", sources.jsonLines],
      [" [ ] ", sources.json],
      ["", sources.lines],
    ];
    for (const [text, sourceOf] of empty)
      assert.deepEqual((await read(sourceOf(write("empty", text)))).records, [], JSON.stringify(text));
  });
});
