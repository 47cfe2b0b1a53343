// Removes from build/ what a deleted or renamed TypeScript file has left behind, so that a test that is gone from
// the tree is gone from the run. tsc itself never deletes.

import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

for (const folder of ["bindings", "test", "bench", "examples", "scripts"]) {
  const compiled = join(root, "build", folder);
  if (!existsSync(compiled)) continue;
  for (const name of readdirSync(compiled, { recursive: true, encoding: "utf8" })) {
    const stem = /^(.*?)(?:\.d\.ts|\.js)$/.exec(name)?.[1];
    if (stem === undefined || existsSync(join(root, folder, `${stem}.ts`))) continue;
    rmSync(join(compiled, name), { force: true });
  }
}
