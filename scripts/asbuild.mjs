// Compiles assembly/ into the Wasm modules of build/ and inlines their bytes into bindings/generated/.
//
//   node scripts/asbuild.mjs            the release target, what the package ships
//   node scripts/asbuild.mjs debug      build/<module>.debug.wasm, with names and a source map; nothing is inlined
//   node scripts/asbuild.mjs --force    compile even though no source has changed
//
// Every module works on one and the same linear memory: they have no state of their own, so each contains what it needs of the floors below.
//
// Plain JavaScript, because it must run before the TypeScript compiler: what tsc compiles imports its output.
// Compiling takes seconds, so it is skipped when nothing that decides the output has changed: the sources, the
// options and the compiler version, compared by hash so that a checkout that only touches times costs nothing.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { embedWasm } from "./embed-wasm.mjs";

/** What each module exports: a file of assembly/. */
const modules = { engine: "index.ts", ternary: "ternary.ts" };

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const target = process.argv.includes("debug") ? "debug" : "release";
const suffix = target === "debug" ? ".debug" : "";
const stampPath = join(root, "build", `engine${suffix}.stamp`);

const stamp = sourceHash();
const fresh =
  existsSync(stampPath) &&
  readFileSync(stampPath, "utf8") === stamp &&
  Object.keys(modules).every((name) => existsSync(wasmPath(name)));

if (!fresh || process.argv.includes("--force")) {
  mkdirSync(dirname(stampPath), { recursive: true });
  for (const [name, entry] of Object.entries(modules)) await compile(name, entry);
  writeFileSync(stampPath, stamp);
}

if (target === "release") {
  for (const name of Object.keys(modules))
    embedWasm(name, wasmPath(name), join(root, "bindings", "generated", `${name}-wasm.ts`));
}

function wasmPath(name) {
  return join(root, "build", `${name}${suffix}.wasm`);
}

async function compile(name, entry) {
  const { main } = await import("assemblyscript/asc");
  const outputs = ["--outFile", wasmPath(name), "--textFile", wasmPath(name).replace(/m$/, "t")];
  const options = ["--baseDir", root, "--config", "asconfig.json", "--target", target, ...outputs];
  const { error } = await main([`assembly/${entry}`, ...options], {
    stdout: process.stdout,
    stderr: process.stderr,
  });
  if (error !== null) process.exit(1);
}

function sourceHash() {
  const hash = createHash("sha256");
  const files = readdirSync(join(root, "assembly"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join("assembly", name))
    .sort();
  for (const file of [
    "node_modules/assemblyscript/package.json",
    "asconfig.json",
    "scripts/asbuild.mjs",
    ...files,
  ]) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  }
  return hash.digest("hex");
}
