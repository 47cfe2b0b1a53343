// The structure check itself: that it finds what it is for, and that the tree is in order.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  assemblyWriters,
  checkSources,
  checkWasm,
  readSources,
  readWasm,
  wasmModules,
} from "../scripts/check-structure.js";

const root = resolve(fileURLToPath(import.meta.url), "../../..");

/** An `import` statement that the check does not take for one of this file's own. */
const importing = (specifier: string): string => ["import", `{ a } from "${specifier}";\n`].join(" ");

describe("structure check: sources", () => {
  it("accepts downward imports, imports within a floor and Node's own modules", () => {
    const files = [
      { path: "bindings/base/bytes.ts", text: "export const a = 1;\n" },
      { path: "bindings/format/slot.ts", text: importing("../base/bytes.js") + importing("./crc.js") },
      { path: "bindings/format/crc.ts", text: importing("node:buffer") },
      { path: "bindings/pager.ts", text: importing("./format/slot.js") },
      { path: "bindings/index.ts", text: importing("./pager.js") + importing("./cli/main.js") },
      { path: "bindings/cli/main.ts", text: importing("../pager.js") },
      { path: "assembly/base/map.ts", text: "export const a: u32 = 1;\n" },
      { path: "assembly/index.ts", text: 'export { a } from "./base/map";\n' },
    ];
    assert.deepEqual(checkSources(files), []);
  });

  it("accepts the packages of the command line there, and nowhere else", () => {
    const text = importing("commander");
    assert.deepEqual(checkSources([{ path: "bindings/cli/main.ts", text }]), []);
    for (const path of ["bindings/index.ts", "bindings/pager/a.ts", "bindings/cli.ts"]) {
      assert.deepEqual(checkSources([{ path, text }]), [`${path}: imports the package commander`]);
    }
  });

  it("finds an upward import in bindings", () => {
    const files = [
      { path: "bindings/base/bytes.ts", text: `${importing("../pager.js")}export const a = 1;\n` },
      { path: "bindings/pager.ts", text: "export const a = 1;\n" },
    ];
    assert.deepEqual(checkSources(files), [
      "bindings/base/bytes.ts: upward import of bindings/pager.ts (base → pager)",
    ]);
  });

  it("finds an upward import in assembly, also as a re-export over several lines", () => {
    const files = [
      { path: "assembly/trit/logic.ts", text: 'export {\n  a,\n  b,\n} from "../heap/span";\n' },
      { path: "assembly/heap/span.ts", text: "export const a: u32 = 1;\nexport const b: u32 = 2;\n" },
    ];
    assert.deepEqual(checkSources(files), [
      "assembly/trit/logic.ts: upward import of assembly/heap/span.ts (trit → heap)",
    ]);
  });

  it("finds type imports, bare imports and dynamic imports, and ignores comments", () => {
    const upward = (text: string): number =>
      checkSources([
        { path: "bindings/base/a.ts", text },
        { path: "bindings/engine.ts", text: "" },
      ]).length;
    assert.equal(upward('import type { A } from "../engine.js";\n'), 1);
    assert.equal(upward('import "../engine.js";\n'), 1);
    assert.equal(upward('const later = () => import("../engine.js");\n'), 1);
    assert.equal(upward('// import "../engine.js";\n/*\nimport "../engine.js";\n*/\n'), 0);
  });

  it("finds an import cycle within a floor, and through test support", () => {
    const files = [
      { path: "bindings/format/a.ts", text: importing("./b.js") },
      { path: "bindings/format/b.ts", text: importing("./c.js") },
      { path: "bindings/format/c.ts", text: importing("./a.js") },
      { path: "test/support/x.ts", text: importing("./y.js") },
      { path: "test/support/y.ts", text: importing("./x.js") },
    ];
    assert.deepEqual(checkSources(files), [
      "import cycle: bindings/format/a.ts → bindings/format/b.ts → bindings/format/c.ts → bindings/format/a.ts",
      "import cycle: test/support/x.ts → test/support/y.ts → test/support/x.ts",
    ]);
  });

  it("finds packages, missing files, houses crossed and folders without a floor", () => {
    const files = [
      { path: "bindings/base/a.ts", text: importing("lodash") + importing("./gone.js") },
      { path: "bindings/base/b.ts", text: importing("../../test/support/x.js") },
      { path: "bindings/attic/c.ts", text: importing("../base/b.js") },
      { path: "test/support/x.ts", text: "" },
      { path: "assembly/wasi/fsck.ts", text: importing("../block/state") },
      { path: "assembly/block/state.ts", text: "" },
    ];
    assert.deepEqual(checkSources(files), [
      "bindings/base/a.ts: imports the package lodash",
      "bindings/base/a.ts: imports ./gone.js, which is not there",
      "bindings/base/b.ts: imports test/support/x.ts from outside bindings/",
      "bindings/attic/c.ts: bindings/attic is on no floor; add it to the list",
      "assembly/wasi/fsck.ts: imports ../block/state from outside assembly/wasi/",
    ]);
  });

  it("finds files that are too long, but not generated ones", () => {
    const lines = (count: number): string => "\n".repeat(count);
    const files = [
      { path: "bindings/base/a.ts", text: lines(420) },
      { path: "bindings/base/b.ts", text: lines(421) },
      { path: "test/10-a.test.ts", text: lines(600) },
      { path: "test/11-b.test.ts", text: lines(601) },
      { path: "bindings/generated/engine-wasm.ts", text: lines(5000) },
    ];
    assert.deepEqual(checkSources(files), [
      "bindings/base/b.ts: 421 lines, the limit is 420",
      "test/11-b.test.ts: 601 lines, the limit is 600",
    ]);
  });

  it("finds words that write to memory outside the files listed as writers", () => {
    const words = [
      "store<u32>(p, 1);",
      "memory.copy(p, q, 9);",
      "memory.fill(p, 0, 9);",
      "changetype<A>(p);",
    ];
    for (const word of [...words, "v128.store(p, v);", "i64.store8(p, v);"]) {
      const file = { path: "assembly/heap/span.ts", text: `${word}\n` };
      assert.notDeepEqual(checkSources([file]), [], word);
      assert.deepEqual(checkSources([file], ["assembly/heap/span.ts"]), [], word);
    }
    const reader = {
      path: "assembly/block/xxh3.ts",
      text: "load<u64>(p); v128.load(p); // no store<u8> here\n",
    };
    assert.deepEqual(checkSources([reader]), []);
    assert.deepEqual(checkSources([reader], ["assembly/gone.ts"]), [
      "assembly/gone.ts: listed as a writer but not there",
    ]);
  });
});

describe("structure check: Wasm", () => {
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const section = (id: number, ...body: number[]): number[] => [id, body.length, ...body];
  const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
  const build = (...sections: number[][]): Uint8Array => {
    const bytes = new Uint8Array([...header, ...sections.flat()]);
    assert.ok(WebAssembly.validate(bytes), "the hand-made module is a module");
    return bytes;
  };
  const importedMemory = section(2, 1, ...text("env"), ...text("memory"), 0x02, 0x00, 0x01);

  it("accepts a module that imports its memory and has constant globals only", () => {
    const constant = section(
      6,
      2,
      0x7f,
      0x00,
      0x41,
      0xff,
      0x00,
      0x0b,
      0x7c,
      0x00,
      0x44,
      ...Array(8).fill(0x0b),
      0x0b,
    );
    assert.deepEqual(checkWasm(build(importedMemory, constant)), []);
  });

  it("finds a mutable global, also behind constant ones", () => {
    const globals = section(6, 2, 0x7e, 0x00, 0x42, 0x7f, 0x0b, 0x7f, 0x01, 0x41, 0x00, 0x0b);
    assert.deepEqual(checkWasm(build(importedMemory, globals)), ["Wasm: 1 mutable globals"]);
  });

  it("finds a data segment", () => {
    const data = section(11, 1, 0x00, 0x41, 0x00, 0x0b, 0x02, 0x68, 0x69);
    assert.deepEqual(checkWasm(build(importedMemory, data)), ["Wasm: 1 data segments"]);
  });

  it("finds imports that are not listed, and imported mutable globals", () => {
    const type = section(1, 1, 0x60, 0x00, 0x00);
    const imports = section(
      2,
      3,
      ...[...text("env"), ...text("abort"), 0x00, 0x00],
      ...[...text("env"), ...text("memory"), 0x02, 0x01, 0x01, 0x10],
      ...[...text("env"), ...text("top"), 0x03, 0x7f, 0x01],
    );
    const bytes = build(type, imports);
    assert.deepEqual(readWasm(bytes).imports, ["env.abort", "env.memory", "env.top"]);
    assert.deepEqual(checkWasm(bytes), [
      "Wasm: 1 mutable globals",
      "Wasm: unexpected import env.abort",
      "Wasm: unexpected import env.top",
    ]);
  });

  it("refuses what is not a Wasm module", () => {
    assert.throws(() => readWasm(new Uint8Array([0, 0x61, 0x73])), /ends too early/);
    assert.throws(() => readWasm(new TextEncoder().encode("not a module")), /not a Wasm module/);
  });
});

describe("structure of this repository", () => {
  it("has its sources in order", () => {
    assert.deepEqual(checkSources(readSources(root), assemblyWriters), []);
  });

  it("has its Wasm modules in order", () => {
    for (const name of wasmModules)
      assert.deepEqual(checkWasm(readFileSync(join(root, "build", name))), [], name);
  });

  it("names no package registry and no path of one machine in any file", function () {
    if (!existsSync(join(root, ".git"))) this.skip();
    // Spelled so that the patterns do not match the line they stand on.
    const forbidden = [/\bregistry\.[a-z0-9-]+\.(?:org|com|net|io)\b/i, /(?<![\w.~\\-])\/work(?![\w-])/];
    const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: root,
    });
    const found: string[] = [];
    for (const path of new Set(listed.toString().split("\0").filter(Boolean))) {
      if (!existsSync(join(root, path))) continue;
      const content = readFileSync(join(root, path), "latin1");
      for (const pattern of forbidden) {
        const match = pattern.exec(content);
        if (match !== null) found.push(`${path}: ${match[0]}`);
      }
    }
    assert.deepEqual(found, []);
  });
});
