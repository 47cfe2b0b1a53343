// Each example runs twice in an empty directory, as its header says, and its second run goes on where the first ended.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** What an example prints in its runs, one after the other; each must match all of its patterns. */
const examples: Readonly<Record<string, readonly (readonly RegExp[])[]>> = {
  counter: [[/^This program has run 1 time\.$/m], [/^This program has run 2 times\.$/m]],
  "ring-buffer": [
    [
      /^Created a new log\.$/m,
      /^2172 bytes were written in 1 run\.$/m,
      /the last 120 lines, from "run 1, reading 1" to "run 1, reading 120"/,
    ],
    [
      /^Resuming the log at Ptr\(0x\w+\), after 2172 bytes\.$/m,
      /^4344 bytes were written in 2 runs\.$/m,
      /the last \d+ lines, from "run 1, reading (?!1")\d+" to "run 2, reading 120"/,
    ],
  ],
  "pointer-arithmetic": [
    [/sensor 0: 1000 samples, mean 20\.00; the newest, \S+, lies 4012 bytes into/, /sensor 7: 1000 samples/],
    [/sensor 0: 2000 samples, mean 20\.00; the newest, \S+, lies 8012 bytes into/, /sensor 7: 2000 samples/],
  ],
  "app-state": [
    [
      /^A new list: 0 tasks \[\]$/m,
      /^Rolled back \(changed my mind\): 2 tasks \[1 done, 2\]$/m,
      /^Cleared: 0 tasks \[\]$/m,
      /^In the snapshot there are still 2, the newest: "Write a program"$/m,
      /^Back in time: 2 tasks \[1 done, 2\]$/m,
    ],
    [/^Resumed: 2 tasks \[1 done, 2\]$/m, /^Back in time: 4 tasks \[1 done, 2, 3 done, 4\]$/m],
  ],
  "bulk-updater": [
    [
      /^Round 1: 200000 users\.$/m,
      /^Killed \d+ times?; /m,
      /^Each of the 200000 ranks was raised exactly once\.$/m,
    ],
    [/^Round 2: 200000 users\.$/m, /^Each of the 200000 ranks was raised exactly 2 times\.$/m],
  ],
  "idempotent-sink": [
    [/^The worker died \d+ times?\. \d{4,} invoices were sent/m, /^1000 orders, 1000 invoices, /m],
    [/^2000 orders, 2000 invoices, /m],
  ],
  embeddings: [
    [/^Computed and committed 10000 embeddings in \d+ ms\.$/m, / {2}0\.741 {2}golden lantern shines$/m],
    [/^Opened 10000 embeddings in \d+ ms\.$/m, / {2}0\.741 {2}golden lantern shines$/m],
  ],
  "ternary-search": [
    [
      /^Computed and committed 25000 vectors in \d+ ms\.$/m,
      /^As trits they take 1\.3 MB; as floats 25\.6\.$/m,
      /^Of the 10 nearest by floats (?:9\.\d|10\.0) are among the 40 nearest by trits\.$/m,
      /^Nearest to "Konstantinople": Konstanz, /m,
    ],
    [/^Opened 25000 vectors in \d+ ms\.$/m, /^Nearest to "Konstantinople": Konstanz, /m],
  ],
};

/** Arguments, where there are any. */
const words: Readonly<Record<string, readonly string[]>> = { "bulk-updater": ["200000"] };

/** What is left in the directory, where it is more than the state. */
const files: Readonly<Record<string, readonly string[]>> = {
  "idempotent-sink": ["idempotent-sink.sqlite", "idempotent-sink.state"],
};

/** What one says that cannot run here. */
const missing = /^There is no SQLite: /;

/** What they may import: the package, what reads a package's data file, and what starts a process of their own. */
const importable = [
  "perdure",
  "perdure/ternary",
  "node:module",
  "node:child_process",
  "node:events",
  "node:url",
];

describe("examples", function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  for (const [name, runs] of Object.entries(examples)) {
    it(`${name} goes on where it ended`, function () {
      for (const patterns of runs) {
        const command = [join(root, "build/examples", `${name}.js`), ...(words[name] ?? [])];
        const output = execFileSync(process.execPath, command, { cwd: directory.path, encoding: "utf8" });
        if (missing.test(output)) {
          if (this.test) this.test.title += ` (${output.trim()})`;
          this.skip();
        }
        for (const pattern of patterns) assert.match(output, pattern);
      }
      const left = files[name] ?? [`${name}.state`];
      assert.deepEqual(readdirSync(directory.path).sort(), left, "what is left in the directory");
    });
  }

  it("each is here, is short, says how to run it, and imports perdure", () => {
    const sources = readdirSync(join(root, "examples")).filter((file) => file.endsWith(".ts"));
    assert.deepEqual(
      sources.map((file) => file.slice(0, -3)).sort(),
      Object.keys(examples).sort(),
      "an example without a test, or the reverse",
    );
    for (const file of sources) {
      const text = readFileSync(join(root, "examples", file), "utf8");
      assert.ok(text.split("\n").length <= 120, `${file} has more than 120 lines`);
      assert.ok(text.includes(`node build/examples/${file.replace(".ts", ".js")}`), `${file}: how to run it`);
      const imported = [...text.matchAll(/^(?:import|export) .*from "([^"]+)"/gm)].map(
        ([, specifier]) => specifier,
      );
      assert.ok(imported.includes("perdure"), file);
      for (const specifier of imported) assert.ok(importable.includes(specifier), `${file}: ${specifier}`);
    }
  });
});
