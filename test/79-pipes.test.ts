// Pipes: what a run does to the memory and where its cursor is belong together, however the run ends.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import type { Memory, Pipe, PipeProgress } from "../bindings/index.js";
import { sources } from "../bindings/index.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { Random, seedFromEnv } from "./support/random.js";

/** How often each number came out, kept in the memory itself: a table that is simple enough to be trusted. */
class Tally {
  readonly name = "tally";
  private constructor(
    private readonly memory: Memory,
    private readonly address: number,
  ) {}

  static in(memory: Memory, numbers = 4096): Tally {
    return new Tally(memory, memory.root("tally", () => memory.alloc(4 * numbers)).address);
  }

  insert(n: number): void {
    this.memory.setU32(this.address + 4 * n, this.count(n) + 1);
  }

  count(n: number): number {
    return this.memory.getU32(this.address + 4 * n);
  }

  counts(numbers: number): number[] {
    return Array.from({ length: numbers }, (_, n) => this.count(n));
  }
}

function* numbers(from: number, to: number) {
  for (let n = from; n < to; n++) yield { record: n, offset: n + 1 };
}

describe("pipes", () => {
  const states = States.forEachTest();

  const open = (name?: string) => states.open({ autoCommit: false }, name);

  it("read a source to its end, through every kind of stage", async () => {
    const memory = open();
    const seen: number[][] = [];
    const keys: number[][] = [];
    const pipe = memory
      .pipe(
        "all",
        sources.iterable(() => numbers(0, 10)),
      )
      .filter((n) => n % 2 === 0)
      .map((n) => n * 10)
      .flatMap((n) => [n, n + 1])
      .tap((n, key) => keys.push([n, key.sequence]))
      .batch(4)
      .tap((batch) => seen.push(batch));
    const result = await pipe.run();
    assert.deepEqual(seen, [
      [0, 1, 20, 21],
      [40, 41, 60, 61],
      [80, 81],
    ]);
    // Each function outside counts: that of the fifth record comes after that of the first batch.
    assert.deepEqual(keys.slice(0, 5), [
      [0, 1],
      [1, 2],
      [20, 3],
      [21, 4],
      [40, 6],
    ]);
    assert.deepEqual(
      { ...result, value: null },
      { name: "all", records: 10, emitted: 3, rejected: 0, finished: true, value: null },
    );
    assert.deepEqual(pipe.cursor, { page: 10, slot: 0, records: 10 });
  });

  it("go on where they were, also in another process's place", async () => {
    const memory = open();
    const source = sources.iterable((offset) => numbers(offset, 100));
    const pipe = () => memory.pipe("p", source).into(Tally.in(memory)).checkpointAt(10);
    assert.equal((await pipe().run({ limit: 33 })).finished, false);
    assert.equal(pipe().cursor.records, 33);
    assert.equal((await pipe().run()).records, 67);
    assert.equal((await pipe().run()).records, 0);
    assert.deepEqual(Tally.in(memory).counts(101), [...Array(100).fill(1), 0]);
    pipe().reset();
    assert.equal((await pipe().run()).records, 100);
    assert.deepEqual(Tally.in(memory).counts(101), [...Array(100).fill(2), 0]);
  });

  it("a stage that throws: all since the last checkpoint is rolled back, and the error says where", async () => {
    const memory = open();
    let broken = true;
    const source = sources.iterable((offset) => numbers(offset, 50));
    const pipe = memory
      .pipe("p", source)
      .map((n) => n)
      .into(Tally.in(memory))
      .tap((n) => {
        if (broken && n === 27) throw new Error("no 27");
      })
      .checkpointAt(10);
    const error = await expectCodeAsync("STAGE", pipe.run());
    assert.match(error.message, /pipe "p", stage 3 \(tap\) at record 28: no 27/);
    assert.equal((error.cause as Error).message, "no 27");
    assert.equal(pipe.cursor.records, 20);
    assert.deepEqual(Tally.in(memory).counts(30), [...Array(20).fill(1), ...Array(10).fill(0)]);
    broken = false;
    assert.equal((await pipe.run()).records, 30);
    assert.deepEqual(Tally.in(memory).counts(50), Array(50).fill(1));
  });

  it("keep an accumulator", async () => {
    const memory = open();
    const sum = () =>
      memory
        .pipe(
          "sum",
          sources.iterable((offset) => numbers(offset, 101)),
        )
        .reduce({ sum: 0 }, (a, n) => ({ sum: a.sum + n }))
        .checkpointAt(7);
    await sum().run({ limit: 50 });
    assert.deepEqual(sum().value, { sum: 1225 });
    assert.deepEqual((await sum().run()).value, { sum: 5050 });
  });

  it("a batch and the cursor: what waits in a batch is not done yet", async () => {
    const memory = open();
    const cursors: number[] = [];
    const pipe: Pipe<number[]> = memory
      .pipe(
        "p",
        sources.iterable((offset) => numbers(offset, 20)),
      )
      .batch(7)
      .tap((batch) => {
        if (batch[0] === 14) throw new Error("the third");
      })
      .checkpointAt(5);
    await expectCodeAsync("STAGE", pipe.run({ onProgress: ({ records }) => cursors.push(records) }));
    assert.equal(pipe.cursor.records, 14, "checkpoints wait until nothing waits");
  });

  it("a definition that changed is refused unless it is meant", async () => {
    const memory = open();
    const source = sources.iterable((offset) => numbers(offset, 10));
    await memory
      .pipe("p", source)
      .filter((n) => n > 1)
      .run({ limit: 5 });
    const other = memory.pipe("p", source).filter((n) => n > 2);
    const error = await expectCodeAsync("LAYOUT", other.run());
    assert.match(error.message, /redefine/);
    assert.equal((await other.run({ redefine: true })).records, 5);
    assert.equal((await other.run()).records, 0);
  });

  it("one run at a time, none inside of a transaction, no commit while a record is on its way", async () => {
    const memory = open();
    const source = sources.iterable((offset) => numbers(offset, 10));
    const pipe = memory.pipe("p", source).tap(async () => {
      expectCode("BUSY", () => memory.commit());
      expectCode("BUSY", () => memory.rollback());
      await null;
    });
    const first = pipe.run();
    await expectCodeAsync("BUSY", pipe.run());
    expectCode("BUSY", () => pipe.reset());
    expectCode("BUSY", () => memory.pipes.delete("p"));
    assert.equal((await first).records, 10);
    const inside: Promise<unknown>[] = [];
    memory.transaction(() => void inside.push(memory.pipe("q", source).run()));
    await expectCodeAsync("BUSY", inside[0]);
  });

  it("asynchronous stages keep the order", async () => {
    const memory = open();
    const seen: number[] = [];
    const result = await memory
      .pipe(
        "p",
        sources.iterable(() => numbers(0, 20)),
      )
      .map(async (n) => {
        await new Promise((resolve) => setTimeout(resolve, n % 3));
        return n;
      })
      .flatMap((n) => [n, n])
      .tap(async (n) => void seen.push(n))
      .run();
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, i) => i >> 1),
    );
    assert.equal(result.emitted, 40);
  });

  it("end at a checkpoint when they are aborted, and tell how far they are", async () => {
    const memory = open();
    const controller = new AbortController();
    const told: PipeProgress[] = [];
    const pipe = memory
      .pipe(
        "p",
        sources.iterable((offset) => numbers(offset, 4000)),
      )
      .tap((n) => {
        if (n === 1234) controller.abort();
      })
      .into(Tally.in(memory))
      .checkpointAt(500);
    const result = await pipe.run({ signal: controller.signal, onProgress: (p) => told.push(p) });
    assert.equal(result.finished, false);
    assert.equal(result.records, pipe.cursor.records);
    assert.ok(result.records >= 1235);
    assert.ok(told.length >= 1 && told.at(-1)!.records === result.records);
    await pipe.run();
    assert.deepEqual(Tally.in(memory).counts(4000), Array(4000).fill(1));
  });

  it("are listed, and what was running is resumed", async () => {
    const memory = open();
    const define = (m: Memory) =>
      m
        .pipe(
          "b",
          sources.iterable((offset) => numbers(offset, 10)),
        )
        .tap((n) => {
          if (n === 4 && !whole) throw new Error("stop");
        });
    let whole = false;
    await memory
      .pipe(
        "a",
        sources.iterable(() => numbers(0, 3)),
      )
      .run();
    await expectCodeAsync("STAGE", define(memory).run());
    assert.deepEqual(
      memory.pipes.list().map(({ name, state, cursor }) => [name, state, cursor.records]),
      [
        ["a", "finished", 3],
        ["b", "running", 0],
      ],
    );
    whole = true;
    const results = await memory.pipes.resumeAll({ a: define, b: define });
    assert.deepEqual(
      results.map(({ name, records }) => [name, records]),
      [["b", 10]],
    );
    assert.deepEqual(
      memory.pipes.list().map(({ state }) => state),
      ["finished", "finished"],
    );
    assert.equal(memory.pipes.delete("a"), true);
    assert.equal(memory.pipes.delete("a"), false);
  });

  describe("over tables", () => {
    const schema = { n: "u32", text: "string?" } as const;

    it("update rows in place, from page to page, once each", async () => {
      const memory = open();
      const table = memory.table("users", { rank: "u32", name: "string" });
      for (let i = 0; i < 3000; i++) table.insert({ rank: i, name: `user ${i}` });
      let broken = true;
      const pipe = memory
        .pipe("raise", table)
        .map((user) => {
          if (broken && user.rank === 1777) throw new Error("stop");
          user.rank = user.rank + 1;
          return user;
        })
        .checkpointAt(100);
      await expectCodeAsync("STAGE", pipe.run());
      assert.equal(pipe.cursor.records, 1700);
      broken = false;
      let remaining = -1;
      assert.equal((await pipe.run({ onProgress: (p) => (remaining = p.remaining!) })).records, 1300);
      assert.equal(remaining, 0);
      assert.deepEqual(
        [...table].map(({ rank }) => rank),
        Array.from({ length: 3000 }, (_, i) => i + 1),
      );
      assert.equal((await pipe.run()).records, 0);
      table.insert({ rank: 7, name: "late" });
      assert.equal((await pipe.run()).records, 1);
    });

    it("into another table, and its own; rows that come meanwhile lie ahead, deleted ones are not met", async () => {
      const memory = open();
      const from = memory.table("from", schema);
      const to = memory.table("to", schema);
      const ids = Array.from({ length: 1000 }, (_, n) => from.insert({ n, text: "x".repeat(n % 50) }));
      const pipe = memory
        .pipe("copy", from)
        .tap((row) => {
          if (row.n === 10) from.delete(ids[20]);
          if (row.n === 30) from.update(ids[5], { text: "changed behind" });
          if (row.n === 40) from.update(ids[50], { text: "y".repeat(1900) });
          if (row.n === 100) from.insert({ n: 1000 });
        })
        .into(to);
      assert.equal((await pipe.run()).records, 999);
      assert.equal((await pipe.run()).records, 1);
      const seen = [...to].map(({ n }) => n);
      assert.deepEqual(
        seen,
        Array.from({ length: 1001 }, (_, n) => n).filter((n) => n !== 20),
      );
      assert.equal([...to].find(({ n }) => n === 50)!.text, "y".repeat(1900));
      expectCode("BUSY", () => from.drop());
      memory.pipes.delete("copy");
      from.drop();
    });

    it("a pipe that follows waits for rows, and lets everything else be committed meanwhile", async () => {
      const memory = states.open();
      const table = memory.table("events", schema);
      const controller = new AbortController();
      const seen: number[] = [];
      const run = memory
        .pipe("follow", table)
        .tap((row) => {
          seen.push(row.n);
          if (row.n === 5) controller.abort();
        })
        .run({ follow: true, signal: controller.signal });
      for (let n = 0; n <= 5; n++) {
        table.insert({ n });
        await new Promise((resolve) => setTimeout(resolve, n % 2 === 0 ? 5 : 0));
      }
      assert.equal((await run).records, 6);
      assert.deepEqual(seen, [0, 1, 2, 3, 4, 5]);
    });

    it("another table under the same pipe is another definition", async () => {
      const memory = open();
      const [a, b] = [memory.table("a", schema), memory.table("b", schema)];
      await memory.pipe("p", a).run();
      await expectCodeAsync("LAYOUT", memory.pipe("p", b).run());
    });
  });

  describe("over files", () => {
    const text = "first\r\n\nzwölf, größer\n\u{1f600} last";

    it("lines, at exact bytes, whatever the piece they came in", async () => {
      const memory = open();
      const path = states.path("a.txt");
      writeFileSync(path, `\ufeff${text}`);
      for (let limit = 1; limit <= 4; limit++) {
        const seen: string[] = [];
        const pipe = memory.pipe(`p${limit}`, sources.lines(path)).tap((line) => seen.push(line));
        while (!(await pipe.run({ limit })).finished);
        assert.deepEqual(seen, ["first", "", "zwölf, größer", "\u{1f600} last"]);
        assert.equal(pipe.cursor.page, Buffer.byteLength(`\ufeff${text}`));
      }
    });

    it("lines against a split of the whole, with pieces of every length", async () => {
      const memory = open();
      const random = new Random(seedFromEnv());
      const path = states.path("b.txt");
      const expected = Array.from({ length: 3000 }, () =>
        "xé".repeat(random.below(random.oneIn(50) ? 20_000 : 60)),
      );
      writeFileSync(path, expected.join("\n"));
      const seen: string[] = [];
      const pipe = memory.pipe("p", sources.lines(path)).tap((line) => seen.push(line));
      while (!(await pipe.run({ limit: 1 + random.below(700) })).finished);
      assert.deepEqual(seen, expected);
    });

    it("JSON lines; what is none goes to the dead letters or ends the run", async () => {
      const memory = open();
      const path = states.path("a.jsonl");
      writeFileSync(
        path,
        Buffer.concat([Buffer.from('{"a":1}\n\n{bad\n'), Buffer.from([0xff, 10]), Buffer.from("[2]")]),
      );
      const error = await expectCodeAsync(
        "INVALID_ARGUMENT",
        memory.pipe("p", sources.jsonLines(path)).run(),
      );
      assert.match(error.message, /the line at byte 9/);
      const letters: { pipe: string; reason: string; data: Uint8Array }[] = [];
      const dead = { name: "dead", insert: (letter: (typeof letters)[number]) => letters.push(letter) };
      const seen: unknown[] = [];
      const pipe = memory
        .pipe("q", sources.jsonLines(path))
        .deadLetters(dead)
        .tap((v) => seen.push(v));
      const result = await pipe.run();
      assert.deepEqual(seen, [{ a: 1 }, [2]]);
      assert.equal(result.rejected, 2);
      assert.deepEqual(
        letters.map(({ pipe }) => pipe),
        ["q", "q"],
      );
    });

    it("CSV, with quoted line breaks and text of several bytes", async () => {
      const memory = open();
      const path = states.path("a.csv");
      const rows = Array.from({ length: 500 }, (_, i) => ({
        id: String(i),
        text: `"q"${i}\nñ,\u{1f600}`.repeat(i % 4),
      }));
      const quote = (value: string) => `"${value.replaceAll('"', '""')}"`;
      writeFileSync(path, `id,text\n${rows.map(({ id, text }) => `${id},${quote(text)}`).join("\r\n")}`);
      const seen: unknown[] = [];
      const pipe = memory.pipe("p", sources.csv(path)).tap((row) => seen.push({ ...row }));
      while (!(await pipe.run({ limit: 77 })).finished);
      assert.deepEqual(seen, rows);
    });

    it("a file that is another now, or shorter, is STALE; one that has grown goes on", async () => {
      const memory = open();
      const path = states.path("log.txt");
      const seen: string[] = [];
      const pipe = memory.pipe("p", sources.lines(path)).tap((line) => seen.push(line));
      await expectCodeAsync("NOT_FOUND", pipe.run());
      writeFileSync(path, "one\ntwo\n");
      await pipe.run();
      writeFileSync(path, "one\ntwo\nthree\n");
      await pipe.run();
      assert.deepEqual(seen, ["one", "two", "three"]);
      writeFileSync(path, "one\ntwo\n");
      await expectCodeAsync("STALE", pipe.run());
      writeFileSync(path, "one\ntw0\nthree\nfour\n");
      await expectCodeAsync("STALE", pipe.run());
      writeFileSync(path, "one\ntwo\nthree\nfour\n");
      await pipe.run();
      assert.deepEqual(seen, ["one", "two", "three", "four"]);
    });

    it("a line that is too long is LIMIT", async () => {
      const memory = open();
      const path = states.path("long.txt");
      writeFileSync(path, `ok\n${"x".repeat(2_000_000)}`);
      const pipe = memory.pipe("p", sources.lines(path, { maxBytes: 1_000_000 })).checkpointAt(1);
      await expectCodeAsync("LIMIT", pipe.run());
      assert.equal(pipe.cursor.records, 1);
    });

    it("a file that is followed gives what is added to it", async () => {
      const memory = open();
      const path = states.path("follow.txt");
      writeFileSync(path, "one\ntw");
      const controller = new AbortController();
      const seen: string[] = [];
      const pipe = memory.pipe("p", sources.lines(path)).tap((line) => {
        seen.push(line);
        if (line === "three") controller.abort();
      });
      const run = pipe.run({ follow: true, signal: controller.signal });
      setTimeout(() => writeFileSync(path, "one\ntwo\nthree\n"), 60);
      assert.equal((await run).finished, false);
      assert.deepEqual(seen, ["one", "two", "three"]);
    });
  });
});
