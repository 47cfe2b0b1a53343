// Breaks the engine on purpose and looks whether the tests notice: applies each mutant to a copy of the sources, compiles it, and runs the test that
// is to find it. Only a failed assertion counts: a timeout, a build error or a crash of the runner does not.
//
//   node build/scripts/mutants.js [name…]            all, or those whose names contain a word
//   node build/scripts/mutants.js --slice 3          so many, chosen by PERDURE_SEED

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { engineMutants } from "../test/mutants/engine.js";
import { type Mutant, mutants as pagerMutants } from "../test/mutants/pager.js";
import { pageMutants } from "../test/mutants/pages.js";
import { tableMutants } from "../test/mutants/table.js";
import { ternaryMutants } from "../test/mutants/ternary.js";
import { tritMutants } from "../test/mutants/trits.js";
import { Random, seedFromEnv } from "../test/support/random.js";

const mutants: readonly Mutant[] = [
  ...pagerMutants,
  ...engineMutants,
  ...tableMutants,
  ...ternaryMutants,
  ...pageMutants,
  ...tritMutants,
];
const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const copy = join(root, "build", "mutants");

/** What a run of one mutant came to; only the first is a kill. */
type Outcome = "killed" | "survived" | "does not apply" | "does not compile" | "failed otherwise";

function prepareCopy(): void {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of [
    "assembly",
    "asconfig.json",
    "bindings",
    "test",
    "scripts",
    "package.json",
    "tsconfig.json",
  ]) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  mkdirSync(join(copy, "build"));
  for (const name of ["engine.wasm", "ternary.wasm", "engine.stamp", "package.json"]) {
    const path = join(root, "build", name);
    if (existsSync(path)) cpSync(path, join(copy, "build", name));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const { status, output } = compile();
  if (status !== 0) throw new Error(`the sources do not compile as they are:\n${output}`);
}

/** Only what has changed since the last time; the engine when its sources are not those that it was compiled from. */
function compile(): { status: number | null; output: string } {
  const tsc = join(copy, "node_modules", ".bin", "tsc");
  for (const command of [
    ["node", "scripts/asbuild.mjs"],
    [tsc, "--incremental"],
  ]) {
    const { status, stdout, stderr } = spawnSync(command[0], command.slice(1), {
      cwd: copy,
      encoding: "utf8",
    });
    if (status !== 0) return { status, output: `${stdout}${stderr}` };
  }
  return { status: 0, output: "" };
}

function runMutant(mutant: Mutant): { outcome: Outcome; detail: string } {
  const path = join(copy, mutant.file);
  const source = readFileSync(path, "utf8");
  if (source.split(mutant.find).length !== 2) return { outcome: "does not apply", detail: mutant.file };
  writeFileSync(
    path,
    source.replace(mutant.find, () => mutant.replace),
  );
  try {
    const compiled = compile();
    if (compiled.status !== 0) return { outcome: "does not compile", detail: compiled.output.slice(0, 300) };
    return runTest(mutant);
  } finally {
    writeFileSync(path, source);
  }
}

function runTest({ killedBy, title }: Mutant): { outcome: Outcome; detail: string } {
  const arguments_ = ["--reporter", "json", "--timeout", "120000", `build/test/${killedBy}.test.js`];
  if (title !== undefined) arguments_.push("--fgrep", title);
  const output = join(copy, "report.json");
  rmSync(output, { force: true });
  spawnSync(
    join(copy, "node_modules", ".bin", "mocha"),
    [...arguments_, "--reporter-option", `output=${output}`],
    {
      cwd: copy,
      encoding: "utf8",
      timeout: 300_000,
    },
  );
  if (!existsSync(output)) return { outcome: "failed otherwise", detail: "the test run did not end" };
  const { failures } = JSON.parse(readFileSync(output, "utf8")) as {
    failures: { fullTitle: string; err: { code?: string; name?: string; message?: string } }[];
  };
  const asserted = failures.find(({ err }) => err.code === "ERR_ASSERTION");
  if (asserted) return { outcome: "killed", detail: asserted.fullTitle };
  if (failures.length === 0) return { outcome: "survived", detail: killedBy };
  return { outcome: "failed otherwise", detail: `${failures[0].fullTitle}: ${failures[0].err.message}` };
}

function chosen(words: readonly string[]): readonly Mutant[] {
  if (words[0] !== "--slice") {
    return mutants.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  }
  const random = new Random(seedFromEnv());
  const left = [...mutants];
  return Array.from({ length: Number(words[1]) }, () => left.splice(random.below(left.length), 1)[0]);
}

prepareCopy();
const survivors: string[] = [];
const selected = chosen(process.argv.slice(2));
for (const mutant of selected) {
  const { outcome, detail } = runMutant(mutant);
  console.log(`${outcome.padEnd(16)} ${mutant.name}: ${detail}`);
  if (outcome !== "killed") survivors.push(mutant.name);
}
console.log(`${selected.length - survivors.length} of ${selected.length} mutants killed`);
process.exitCode = survivors.length === 0 ? 0 : 1;
