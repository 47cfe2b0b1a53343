// Writes the golden files of a format: real state files, one closed and one as a running program leaves it. They are written once for each format and
// never again, so this refuses to replace one. What they hold is in test/support/golden-content.ts.
//
//   npm run compile && node build/scripts/make-golden.js 1.0

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { openSync } from "../bindings/index.js";
import { fillFirst, fillSecond, fillThird } from "../test/support/golden-content.js";

const format = process.argv[2];
if (!/^\d+\.\d+$/.test(format ?? "")) throw new Error("say which format it is: 1.0");
const golden = join(resolve(fileURLToPath(import.meta.url), "../../.."), "test", "golden");
const targetOf = (kind: string) => join(golden, `format-${format}-${kind}.state.gz`);
for (const kind of ["closed", "running"])
  if (existsSync(targetOf(kind)))
    throw new Error(`${targetOf(kind)} is there; a golden file is never written again`);

mkdirSync(golden, { recursive: true });
const directory = mkdtempSync(join(tmpdir(), "perdure-"));
const path = join(directory, "golden.state");
const keep = (kind: string) => {
  const copy = join(directory, kind);
  copyFileSync(path, copy);
  writeFileSync(targetOf(kind), gzipSync(readFileSync(copy), { level: 9 }));
};
const memory = openSync(path, { autoCommit: false });
fillFirst(memory);
memory.commit();
memory.snapshots.create("first");
fillSecond(memory);
memory.commit();
fillThird(memory);
memory.commit({ durability: "none" });
keep("running");
memory.close();
keep("closed");
rmSync(directory, { recursive: true });
