// Compiles assembly/ into build/engine.wasm and inlines the bytes into bindings/generated/engine-wasm.ts.
//
//   node scripts/asbuild.mjs            the release target, what the package ships
//   node scripts/asbuild.mjs debug      build/engine.debug.wasm, with names and a source map; nothing is inlined
//   node scripts/asbuild.mjs --force    compile even though no source has changed
//
// Plain JavaScript, because it must run before the TypeScript compiler: what tsc compiles imports its output.
// Compiling takes seconds, so it is skipped when nothing that decides the output has changed: the sources, the
// options and the compiler version, compared by hash so that a checkout that only touches times costs nothing.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { embedWasm } from "./embed-wasm.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const target = process.argv.includes("debug") ? "debug" : "release";
const wasmPath = join(root, "build", target === "debug" ? "engine.debug.wasm" : "engine.wasm");
const stampPath = `${wasmPath}.stamp`;
const generatedPath = join(root, "bindings", "generated", "engine-wasm.ts");

const stamp = sourceHash();
const fresh = existsSync(wasmPath) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp;

if (!fresh || process.argv.includes("--force")) {
  mkdirSync(dirname(wasmPath), { recursive: true });
  const { main } = await import("assemblyscript/asc");
  const options = ["--baseDir", root, "--config", "asconfig.json", "--target", target];
  const { error } = await main(options, { stdout: process.stdout, stderr: process.stderr });
  if (error !== null) process.exit(1);
  writeFileSync(stampPath, stamp);
}

if (target === "release") embedWasm(wasmPath, generatedPath);

function sourceHash() {
  const hash = createHash("sha256");
  const files = readdirSync(join(root, "assembly"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join("assembly", name))
    .sort();
  for (const file of ["node_modules/assemblyscript/package.json", "asconfig.json", ...files]) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  }
  return hash.digest("hex");
}
