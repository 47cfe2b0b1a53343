// Keeps the house in order: run by `npm test`, fails on anything the source tree or the built Wasm must not contain.
//
//  * a folder imports only itself and the floors below it; no import cycle; no package but Node's own modules
//    and what is listed
//  * no source file over 420 lines, no test over 600
//  * in assembly/, words that write to memory stand only in the files listed as writers
//  * the Wasm module has no mutable global and no data segment (all state is in linear memory, so that it can be
//    committed and rolled back as a whole) and imports nothing but what is listed
//
// The checks are pure functions of file texts and bytes; `main` at the end is the only part that reads the disk.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Lowest first. A floor is named by its folder or by a file of that name: `pager` is `pager/…` or `pager.ts`. */
export const bindingsFloors: readonly string[] = [
  "generated",
  "base",
  "trit",
  "hash",
  "format",
  "storage",
  "pager",
  "core",
  "engine",
  "api",
  "sources",
  "inspect",
  "top",
];

/** Share the floor `top` with the entries, which are all other files directly in bindings/. */
export const topFolders: readonly string[] = ["cli", "hud", "module", "replication"];

/** Packages that a folder of bindings/ may import; no other may any. So a program that imports the library loads none of them. */
export const allowedPackages: Readonly<Record<string, readonly string[]>> = {
  sources: ["csv-parse"],
  cli: ["commander", "cli-progress"],
};

export const assemblyFloors: readonly string[] = [
  "base",
  "trit",
  "block",
  "frame",
  "heap",
  "page",
  "object",
  "index",
  "ternary",
];

/** Programs of their own under assembly/: they share no code with the engine, in either direction. */
export const assemblyPrograms: readonly string[] = ["wasi"];

/** Files under assembly/ that may contain the words of `writingWords`. */
export const assemblyWriters: readonly string[] = [
  "assembly/block/hash-blocks.ts", // digests and the hash state, in the volatile zone
  "assembly/block/states.ts", // block states and the dirty list; zeros, into blocks that become present
  "assembly/block/window-table.ts", // what is known of the windows, in the volatile zone
  "assembly/trit/bytes.ts", // where the host says: staging in the volatile zone, or a memory without an image
  "assembly/trit/products.ts", // the same
  "assembly/trit/rows.ts", // the same
  "assembly/trit/trytes.ts", // the same
  "assembly/page/tlb.ts", // where the latest pages lie, in the volatile zone
  "assembly/page/marks.ts", // what was accessed and written, in the volatile zone
  "assembly/block/access.ts", // the barrier: all other writing, after a touch; results in the exchange area
];

/** Functions the engine calls on the host, as `module.name`. */
export const hostFunctions: readonly string[] = [
  "env.fault", // put the content of a block into memory
  "env.firstTouch", // something will need a commit
  "env.spill", // write a block of a window to the file before its commit
];

/** In build/. */
export const wasmModules: readonly string[] = ["engine.wasm", "ternary.wasm"];

export const allowedWasmImports: readonly string[] = ["env.memory", ...hostFunctions];

export const sourceLineLimit = 420;
export const testLineLimit = 600;

const writingWords: readonly { word: string; pattern: RegExp }[] = [
  { word: "store<", pattern: /\bstore\s*</ },
  { word: "a typed store", pattern: /\b(?:[iuf](?:8|16|32|64)|atomic)\.store\w*/ },
  { word: "v128.store", pattern: /\bv128\.store\w*/ },
  { word: "memory.copy", pattern: /\bmemory\.copy\b/ },
  { word: "memory.fill", pattern: /\bmemory\.(?:fill|init|repeat)\b/ },
  { word: "changetype", pattern: /\bchangetype\b/ },
];

export interface SourceFile {
  /** Relative to the root of the repository, with forward slashes. */
  path: string;
  text: string;
}

/** Problems of a source tree, each one line that names the file; empty when it is in order. */
export function checkSources(files: readonly SourceFile[], writers: readonly string[] = []): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const imports = new Map<string, string[]>();
  const problems: string[] = [];
  for (const file of files) {
    const code = withoutComments(file.text);
    const targets: string[] = [];
    for (const specifier of importSpecifiers(code)) {
      const target = resolveImport(file.path, specifier, byPath);
      if (target !== undefined) targets.push(target);
      const problem = checkImport(file.path, specifier, target);
      if (problem !== undefined) problems.push(problem);
    }
    imports.set(file.path, targets);
    problems.push(...checkLength(file), ...checkWritingWords(file.path, code, writers));
  }
  for (const writer of writers) {
    if (!byPath.has(writer)) problems.push(`${writer}: listed as a writer but not there`);
  }
  for (const cycle of findCycles(imports)) problems.push(`import cycle: ${cycle.join(" → ")}`);
  return problems;
}

function checkLength({ path, text }: SourceFile): string[] {
  if (path.startsWith("bindings/generated/")) return [];
  const limit = path.startsWith("test/") ? testLineLimit : sourceLineLimit;
  const lineCount = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return lineCount > limit ? [`${path}: ${lineCount} lines, the limit is ${limit}`] : [];
}

function checkWritingWords(path: string, code: string, writers: readonly string[]): string[] {
  if (!path.startsWith("assembly/") || writers.includes(path) || isProgram(path)) return [];
  const bare = code.replace(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, '""');
  return writingWords
    .filter(({ pattern }) => pattern.test(bare))
    .map(({ word }) => `${path}: contains ${word} but is not listed as a writer`);
}

/** Rank of a file's floor; undefined outside bindings/ and assembly/, −1 for a folder that has no floor yet. */
function floorOf(path: string): { house: string; name: string; rank: number } | undefined {
  const [house, first, ...rest] = path.split("/");
  if (first === undefined || (house !== "bindings" && house !== "assembly")) return undefined;
  const floors = house === "bindings" ? bindingsFloors : assemblyFloors;
  let name = first.replace(/\.[^.]*$/, "");
  if (house === "bindings" && (topFolders.includes(name) || (rest.length === 0 && !floors.includes(name)))) {
    name = "top";
  }
  return { house, name, rank: floors.indexOf(name) };
}

function isProgram(path: string): boolean {
  return assemblyPrograms.some((program) => path.startsWith(`assembly/${program}/`));
}

function checkImport(path: string, specifier: string, target: string | undefined): string | undefined {
  const from = floorOf(path);
  if (from === undefined) return undefined;
  if (isProgram(path)) {
    const own = path.split("/").slice(0, 2).join("/");
    return target?.startsWith(`${own}/`) ? undefined : `${path}: imports ${specifier} from outside ${own}/`;
  }
  if (from.rank < 0) return `${path}: ${from.house}/${from.name} is on no floor; add it to the list`;
  if (!specifier.startsWith(".")) {
    const folder = path.split("/")[1];
    const allowed = specifier.startsWith("node:") || allowedPackages[folder]?.includes(specifier) === true;
    return from.house === "bindings" && allowed ? undefined : `${path}: imports the package ${specifier}`;
  }
  if (target === undefined) return `${path}: imports ${specifier}, which is not there`;
  const to = floorOf(target);
  if (to === undefined || to.house !== from.house || isProgram(target)) {
    return `${path}: imports ${target} from outside ${from.house}/`;
  }
  return to.rank > from.rank ? `${path}: upward import of ${target} (${from.name} → ${to.name})` : undefined;
}

function withoutComments(text: string): string {
  const token = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replace(token, (_, literal: string | undefined) => literal ?? " ");
}

function importSpecifiers(code: string): string[] {
  const statement = /(?:^|[\n;}])\s*(?:import|export)\b[^;"'`()]*?\bfrom\s*["']([^"']+)["']/g;
  const bare = /(?:^|[\n;}])\s*import\s*["']([^"']+)["']/g;
  const dynamic = /\bimport\s*\(\s*["']([^"']+)["']/g;
  return [statement, bare, dynamic].flatMap((form) =>
    [...code.matchAll(form)].map((match) => match[1] as string),
  );
}

function resolveImport(
  from: string,
  specifier: string,
  files: ReadonlyMap<string, unknown>,
): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const path = posix.join(posix.dirname(from), specifier);
  const candidates = [path, path.replace(/\.js$/, ".ts"), `${path}.ts`, `${path}/index.ts`];
  return candidates.find((candidate) => files.has(candidate));
}

/** One cycle for each group of files that import each other, as the path that closes it. */
function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const stack: string[] = [];
  const visit = (path: string): void => {
    if (done.has(path)) return;
    const start = stack.indexOf(path);
    if (start >= 0) {
      cycles.push([...stack.slice(start), path]);
      return;
    }
    stack.push(path);
    for (const target of imports.get(path) ?? []) visit(target);
    stack.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return cycles;
}

export interface WasmShape {
  /** `module.name` of every import. */
  imports: string[];
  mutableGlobalCount: number;
  dataSegmentCount: number;
}

/** Reads the import, global and data sections of a Wasm module (core specification, chapter 5, "Binary Format"). */
export function readWasm(bytes: Uint8Array): WasmShape {
  const shape: WasmShape = { imports: [], mutableGlobalCount: 0, dataSegmentCount: 0 };
  const reader = new WasmReader(bytes);
  if (reader.u32le() !== 0x6d736100 || reader.u32le() !== 1)
    throw new Error("not a Wasm module of version 1");
  while (reader.offset < bytes.length) {
    const id = reader.byte();
    const end = reader.leb() + reader.offset;
    if (id === 2) readImports(reader, shape);
    else if (id === 6) readGlobals(reader, shape);
    else if (id === 11) shape.dataSegmentCount = reader.leb();
    reader.offset = end;
  }
  return shape;
}

function readImports(reader: WasmReader, shape: WasmShape): void {
  for (let left = reader.leb(); left > 0; left--) {
    shape.imports.push(`${reader.name()}.${reader.name()}`);
    const kind = reader.byte();
    if (kind === 0) {
      reader.leb();
    } else if (kind === 1) {
      reader.byte();
      reader.limits();
    } else if (kind === 2) {
      reader.limits();
    } else if (kind === 3) {
      reader.byte();
      shape.mutableGlobalCount += reader.byte();
    } else {
      throw new Error(`unknown kind of import ${kind}`);
    }
  }
}

function readGlobals(reader: WasmReader, shape: WasmShape): void {
  for (let left = reader.leb(); left > 0; left--) {
    reader.byte();
    shape.mutableGlobalCount += reader.byte();
    reader.constantExpression();
  }
}

class WasmReader {
  offset = 0;

  constructor(private readonly bytes: Uint8Array) {}

  byte(): number {
    const value = this.bytes[this.offset++];
    if (value === undefined) throw new Error("Wasm module ends too early");
    return value;
  }

  u32le(): number {
    return (this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24)) >>> 0;
  }

  /** An LEB128 number. The value is right below 2³²; longer and signed ones are only skipped over. */
  leb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const part = this.byte();
      value += (part & 127) * scale;
      if (part < 128) return value;
    }
  }

  name(): string {
    const length = this.leb();
    this.offset += length;
    return new TextDecoder().decode(this.bytes.subarray(this.offset - length, this.offset));
  }

  limits(): void {
    const flags = this.byte();
    this.leb();
    if ((flags & 1) !== 0) this.leb();
  }

  constantExpression(): void {
    for (let opcode = this.byte(); opcode !== 0x0b; opcode = this.byte()) {
      if (opcode === 0x41 || opcode === 0x42 || opcode === 0x23 || opcode === 0xd2) this.leb();
      else if (opcode === 0x43) this.offset += 4;
      else if (opcode === 0x44) this.offset += 8;
      else if (opcode === 0xd0) this.byte();
      else if (opcode === 0xfd && this.leb() === 12) this.offset += 16;
      else throw new Error(`unexpected opcode 0x${opcode.toString(16)} in a constant expression`);
    }
  }
}

export function checkWasm(bytes: Uint8Array, allowedImports = allowedWasmImports): string[] {
  const { imports, mutableGlobalCount, dataSegmentCount } = readWasm(bytes);
  const problems: string[] = [];
  if (mutableGlobalCount > 0) problems.push(`Wasm: ${mutableGlobalCount} mutable globals`);
  if (dataSegmentCount > 0) problems.push(`Wasm: ${dataSegmentCount} data segments`);
  for (const name of imports) {
    if (!allowedImports.includes(name)) problems.push(`Wasm: unexpected import ${name}`);
  }
  return problems;
}

/** The source files under `root` that the checks are about. */
export function readSources(root: string): SourceFile[] {
  const files: SourceFile[] = [];
  for (const folder of ["assembly", "bench", "bindings", "examples", "scripts", "test"]) {
    if (!existsSync(join(root, folder))) continue;
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      const path = `${folder}/${name.split(sep).join("/")}`;
      if (!/\.(?:ts|mts|mjs|js)$/.test(path) || path.includes("/node_modules/")) continue;
      files.push({ path, text: readFileSync(join(root, path), "utf8") });
    }
  }
  return files;
}

function main(): void {
  const root = resolve(fileURLToPath(import.meta.url), "../../..");
  const problems = [
    ...checkSources(readSources(root), assemblyWriters),
    ...wasmModules.flatMap((name) => checkWasm(readFileSync(join(root, "build", name)))),
  ];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exit(1);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) main();
