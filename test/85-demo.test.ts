// `npm start`, as a user runs it: on the cities of the world and on small files of every format. And that its proof is one: a state in which
// anything is missing, twice, changed or out of order must fail it.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openSync } from "perdure";
import { prove } from "../bindings/cli/demo/proof.js";
import { Store } from "../bindings/cli/demo/store.js";
import { type Input, inputFile } from "../bindings/cli/ingest/input.js";
import { expectCode } from "./support/expect-code.js";
import { type Random, withSeed } from "./support/random.js";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The last part of `npm start`; what comes before it has been done when tests run. */
function command(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const last = scripts.start.split("&&").at(-1).trim().split(" ");
  assert.equal(last[0], "node", `npm start is ${scripts.start}`);
  return [process.execPath, join(root, last[1]), ...last.slice(2)];
}

function start(words: readonly string[], cwd: string, prefix: readonly string[] = []) {
  const [program, ...rest] = [...prefix, ...command(), ...words];
  const child = spawn(program, rest, {
    cwd,
    env: { ...process.env, TMPDIR: cwd },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended };
}

const run = (words: readonly string[], cwd: string, prefix: readonly string[] = []): Promise<Ended> =>
  start(words, cwd, prefix).ended;

function seen(child: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stderr?.on("data", (more) => {
      text += more;
      if (pattern.test(text)) resolve();
    });
    child.on("close", () => reject(new Error(`it has ended without ${pattern}: ${text}`)));
  });
}

const NASTY = [
  "",
  "plain",
  'a "quoted" one',
  "two\nlines",
  "comma, and ; and \t",
  "Sant Julià de Lòria",
  "東京",
  "𓀀]}",
];

function people(random: Random, count: number): { id: string; name: string; note: string }[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${i + 1}`,
    name: `${random.pick(NASTY)} ${random.below(1000)}`,
    note: random.oneIn(50) ? random.pick(NASTY).repeat(5000) : random.pick(NASTY),
  }));
}

const quoted = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Every format, as text. */
const formats: Readonly<Record<string, (rows: ReturnType<typeof people>) => string>> = {
  "people.csv": (rows) =>
    `\ufeff${["id,name,note", ...rows.map((row) => Object.values(row).map(quoted).join(","))].join("\r\n")}`,
  "people.jsonl": (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
  "people.json": (rows) => `\ufeff ${JSON.stringify(rows, null, 1)}\n`,
};

describe("demonstration", function () {
  this.timeout(120_000);
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());
  const inside = (name: string): string => join(directory.path, name);

  it("the cities of the world survive kills, each of them exactly once", async () => {
    const { code, stdout, stderr } = await run(["--kills", "3"], directory.path);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Proven: each of the 171,075 records is in memory exactly once, in order/m);
    assert.match(stdout, /^Proven: nothing started over \(4 runs, each from the last commit before it; /m);
    assert.match(stdout, /^ {2}records {2,}171,075$/m);
    assert.match(stdout, /^ {2}kills survived {2,}3; records found after them: [\d,]+ · [\d,]+ · [\d,]+$/m);
    assert.match(stdout, /^ {2}time lost {2,}[\d.]+ s: \d+ ms a kill, \d+ ms of them to open the state$/m);
    assert.match(stdout, /^ {2}records a second {2,}[\d,]+; [\d,]+ with kills and restarts$/m);
    assert.match(stdout, /^ {2}state file {2,}[\d.]+ MiB$/m);
    assert.match(stdout, /^What to try next:$/m);
    assert.match(
      stderr,
      /^ {2}run 4 goes on after record [\d,]+, done after [\d.]+ s: 171,075 records committed$/m,
    );
    assert.deepEqual(readdirSync(directory.path), [], "what is left in the directory");
  });

  for (const name of Object.keys(formats)) {
    it(`${name} survives kills, and is found in place afterwards`, () =>
      withSeed(`demonstration ${name}`, async (random) => {
        const rows = people(random, 300);
        writeFileSync(inside(name), formats[name](rows));
        const words = [name, "--state", "demo.state", "--json"];
        const first = await run([...words, "--kills", "3"], directory.path);
        assert.equal(first.code, 0, first.stderr);
        const report = JSON.parse(first.stdout);
        assert.deepEqual(report.problems, []);
        assert.equal(report.records, 300);
        assert.equal(report.added, 300);
        assert.equal(report.kills, 3);
        assert.equal(new Set(report.found).size, 3, `records found after the kills: ${report.found}`);
        assert.deepEqual(recordsIn(inside("demo.state")), rows);
        const again = await run([...words, "--kills", "0"], directory.path);
        assert.equal(again.code, 0, again.stderr);
        const { records, added } = JSON.parse(again.stdout);
        assert.deepEqual({ records, added }, { records: 300, added: 0 });
      }));
  }

  it("Ctrl-C ends it, and the same command goes on", async () => {
    writeFileSync(inside("people.csv"), formats["people.csv"](plainPeople(6000)));
    const words = ["people.csv", "--state", "demo.state", "--kills", "0"];
    const { child, ended } = start(words, directory.path);
    await seen(child, /\d % of the file/);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /^perdure: INTERRUPTED: /m);
    const { code: second, stdout, stderr: lines } = await run([...words, "--json"], directory.path);
    assert.equal(second, 0, lines);
    const { records, added } = JSON.parse(stdout);
    assert.equal(records, 6000);
    assert.ok(added > 0 && added < 6000, `${added} records were added by the second run`);
  });

  it("what is wrong with a file: says so", async () => {
    writeFileSync(inside("bad.csv"), "a,b\n1,2\n3,4\n5\n");
    const bad = await run(["bad.csv", "--kills", "0"], directory.path);
    assert.deepEqual([bad.code, bad.stdout], [1, ""]);
    assert.match(
      bad.stderr,
      /^perdure: INVALID_ARGUMENT: bad\.csv: the record behind byte 12: Invalid Record Length.*\n {2}\S/m,
    );
    const missing = await run(["no.csv"], directory.path);
    assert.deepEqual([missing.code, missing.stdout], [1, ""]);
    assert.match(missing.stderr, /^perdure: NOT_FOUND: there is no file no\.csv\n {2}\S/);
    assert.deepEqual(readdirSync(directory.path), ["bad.csv"], "what is left in the directory");
  });

  it("a state that somebody writes, that is of another file, or of another program: says so, and changes nothing", async () => {
    writeFileSync(inside("a.csv"), "a\n1\n");
    writeFileSync(inside("b.csv"), "a\n2\n1\n");
    writeFileSync(inside("c.jsonl"), '{"a":"1"}\n');
    assert.equal((await run(["a.csv", "--state", "demo.state", "--kills", "0"], directory.path)).code, 0);
    const other = openSync(inside("other.state"));
    other.root("other", () => other.alloc(8));
    other.commit();
    const held = await run(["a.csv", "--state", "other.state"], directory.path);
    assert.equal(held.code, 1);
    assert.match(held.stderr, /^perdure: LOCKED: .*\n {2}\S/m);
    other.close();
    const foreign = await run(["a.csv", "--state", "other.state"], directory.path);
    assert.match(foreign.stderr, /INVALID_ARGUMENT: .*other\.state is the state of another program/);
    for (const [file, code] of [
      ["b.csv", "STALE"],
      ["c.jsonl", "LAYOUT"],
    ]) {
      const another = await run([file, "--state", "demo.state"], directory.path);
      assert.equal(another.code, 1);
      assert.match(another.stderr, new RegExp(`^perdure: ${code}: .*\\n {2}\\S`, "m"));
      assert.deepEqual(recordsIn(inside("demo.state")), [{ a: "1" }]);
    }
    // What was added to the file since then is added to the state.
    writeFileSync(inside("a.csv"), "a\n1\n2\n");
    const grown = await run(["a.csv", "--state", "demo.state", "--kills", "0", "--json"], directory.path);
    assert.equal(grown.code, 0, grown.stderr);
    assert.equal(JSON.parse(grown.stdout).added, 1);
    assert.deepEqual(recordsIn(inside("demo.state")), [{ a: "1" }, { a: "2" }]);
  });

  it("a full disk: says so, and goes on from the last commit when there is room", async function () {
    if (process.platform === "win32") this.skip();
    writeFileSync(inside("people.csv"), formats["people.csv"](plainPeople(20_000)));
    const words = ["people.csv", "--state", "demo.state", "--kills", "0"];
    // No file of the process may become larger than 3 MiB.
    const full = await run(words, directory.path, ["sh", "-c", 'ulimit -f 6144; exec "$@"', "sh"]);
    assert.equal(full.code, 1, full.stderr);
    assert.match(full.stderr, /^perdure: NO_SPACE: .*\n {2}\S/m);
    const { code, stdout, stderr } = await run([...words, "--json"], directory.path);
    assert.equal(code, 0, stderr);
    const { records, added } = JSON.parse(stdout);
    assert.equal(records, 20_000);
    assert.ok(added > 0 && added < 20_000, `${added} records were added when there was room`);
  });

  it("words that it does not know: exit code 2 and help", async () => {
    for (const words of [["--what"], ["--kills", "1e9"]]) {
      const { code, stderr } = await run(words, directory.path);
      assert.equal(code, 2, words.join(" "));
      assert.match(stderr, /^perdure: USAGE: .*\n {2}\S/);
    }
    const help = await run(["--help"], directory.path);
    assert.deepEqual([help.code, help.stderr], [0, ""]);
  });

  describe("its proof", () => {
    const RECORDS = 5000;
    let source: Input;
    let good: TemporaryDirectory;
    before(async () => {
      good = temporaryDirectory();
      const path = join(good.path, "numbers.jsonl");
      const rows = Array.from({ length: RECORDS }, (_, i) => `{"n":${i},"text":"${"x".repeat(i % 40)}"}`);
      writeFileSync(path, rows.join("\n"));
      source = inputFile(path);
      const { code, stderr } = await run([path, "--state", "good.state", "--kills", "1"], good.path);
      assert.equal(code, 0, stderr);
    });
    after(() => good.remove());
    const copyGood = (): void => copyFileSync(join(good.path, "good.state"), inside("bad.state"));
    const provenProblems = async (): Promise<string[]> =>
      (await prove(source, inside("bad.state"), [], new AbortController().signal)).problems;

    type Row = NonNullable<ReturnType<Store["table"]["find"]>>;
    /** The row of a record of the file, counted from 0. */
    type RowOf = (n: number) => Row;
    const tampers: Readonly<Record<string, [change: (store: Store, row: RowOf) => void, problem: RegExp]>> = {
      "a record is another": [
        (_, row) => {
          row(4321).record = { ...row(4321).record, n: 4322 };
        },
        /^record 4322 is \{"n":4321,.*, in memory it is \{"n":4322,/,
      ],
      "two records have changed places": [
        (_, row) => {
          [row(10).record, row(20).record] = [row(20).record, row(10).record];
        },
        /^record 11 is .*"n":10,.*, in memory it is .*"n":20,/,
      ],
      "two records have changed places, and their numbers with them": [
        ({ table }, row) => {
          const [a, b] = [row(10), row(20)];
          [a.record, b.record] = [b.record, a.record];
          table.update(table.rowIdOf(a), { number: 9999 });
          b.number = 11;
          a.number = 21;
        },
        /^record 11 has the number 21$/,
      ],
      "the last record is missing": [
        ({ table }, row) => void table.delete(table.rowIdOf(row(RECORDS - 1))),
        /^record 5000 is not in memory: .*"n":4999,/,
      ],
      "a record in the middle is missing": [
        ({ table }, row) => void table.delete(table.rowIdOf(row(77))),
        /^record 78 is .*"n":77,.*, in memory it is .*"n":78,/,
      ],
      "the last record is there twice": [
        ({ table }, row) => {
          const { run, record } = row(RECORDS - 1);
          expectCode("DUPLICATE", () => table.insert({ number: RECORDS, run, record }));
          table.insert({ number: RECORDS + 1, run, record });
        },
        /^in memory, not in the file: .*"n":4999,/,
      ],
      "the cursor stands elsewhere": [
        ({ memory }) => void memory.pipes.delete("records"),
        /^the cursor stands after 0 records, the file has 5000$/,
      ],
      "a process started over": [
        (_, row) => {
          row(0).run = 7;
        },
        /^records of runs stand in the order 7, 1/,
      ],
      "a block that belongs to nothing": [
        ({ memory }) => void memory.alloc(100),
        /^\d+ blocks of memory are live: 1 too many$/,
      ],
    };
    it("holds for what has not been tampered with, and fails for what has", async () => {
      copyGood();
      assert.deepEqual(await provenProblems(), []);
      for (const [what, [change, problem]] of Object.entries(tampers)) {
        copyGood();
        tamper(inside("bad.state"), change);
        const problems = await provenProblems();
        assert.ok(
          problems.some((line) => problem.test(line)),
          `${what}: ${JSON.stringify(problems)}`,
        );
      }
    });

    it("fails for a process that found less than was acknowledged, or stored from elsewhere than it says", async () => {
      copyGood();
      const one = { number: 1, wasKilled: true, foundRecords: 0, acknowledgedRecords: 4000 };
      const times = { startMilliseconds: 0, openMilliseconds: 0, workMilliseconds: 0, lifeMilliseconds: 0 };
      const two = { number: 2, wasKilled: false, foundRecords: 3000, acknowledgedRecords: 5000 };
      const runs = [one, two].map((figures) => ({ ...figures, ...times }));
      const { problems } = await prove(source, inside("bad.state"), runs, new AbortController().signal);
      assert.equal(problems[0], "run 2 found 3000 records, but 4000 were acknowledged");
      assert.match(problems[1], /^run 2 found 3000 records, but its first is record \d+$/);
    });

    it("is what the command goes by", async () => {
      copyGood();
      tamper(inside("bad.state"), tampers["a record is another"][0]);
      const { code, stdout, stderr } = await run(
        [source.path, "--state", "bad.state", "--kills", "0"],
        directory.path,
      );
      assert.equal(code, 1);
      assert.doesNotMatch(stderr, /^perdure:/m);
      assert.match(
        stdout,
        /^NOT PROVEN: bad\.state does not hold the records of .*numbers\.jsonl:\n {2}record 4322 is /,
      );
      assert.doesNotMatch(stdout, /Proven:/);
    });

    function tamper(path: string, change: (store: Store, row: RowOf) => void): void {
      using memory = openSync(path, { create: false, autoCommit: false });
      const store = Store.open(memory);
      change(store, (n) => {
        const row = store.table.find("number", n + 1);
        assert.ok(row !== undefined, `record ${n}`);
        return row;
      });
      memory.commit();
    }
  });
});

function plainPeople(count: number) {
  return Array.from({ length: count }, (_, i) => ({ id: `${i}`, name: `name ${i}`, note: "n".repeat(100) }));
}

/** Of a state, as anybody reads it. */
function recordsIn(path: string): unknown[] {
  using memory = openSync(path, { create: false, readOnly: true });
  return [...memory.tables.open("records")].map((row) => row.record);
}
