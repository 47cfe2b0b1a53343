// Loops inside Wasm: a file of bench/assembly compiled beside the code that it measures, with the options that the engine itself is built with.

import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";

const built = fileURLToPath(new URL(".", import.meta.url));
const root = resolve(built, "../..");

export async function compileLoops(
  name: string,
  runtime: "stub" | "minimal" = "stub",
  more: readonly string[] = [],
): Promise<WebAssembly.Module> {
  const output = join(relative(root, built), `${name}.${runtime}`);
  const options = ["--baseDir", root, "--config", "asconfig.json", "--target", "release"];
  const files = ["--outFile", `${output}.wasm`, "--textFile", `${output}.wat`];
  const streams = { stdout: process.stdout, stderr: process.stderr };
  const source = `bench/assembly/${name}.ts`;
  const { error } = await main([source, ...options, "--runtime", runtime, ...more, ...files], streams);
  if (error !== null) throw error;
  return new WebAssembly.Module(readFileSync(join(root, `${output}.wasm`)));
}
