// `npm run bench [-- [options] [name …]]`: runs the workloads, or those whose file name contains one of the names.
//
//   --rounds <n>     rounds of every workload that does not fix its own
//   --round-ms <ms>  length of one timed run
//   --json <file>    writes every round's figures as well
//   --strict         exit code 1 when a bar is short
//   --list           prints the names

import { readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Workload, WorkloadResult } from "./harness.js";
import { defaultOptions, describeMachine, formatTable, measure } from "./harness.js";
import { installPeers } from "./peers.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: String(defaultOptions.rounds) },
    "round-ms": { type: "string", default: String(defaultOptions.roundMs) },
    json: { type: "string" },
    strict: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});
const options = { rounds: positiveNumber(values.rounds), roundMs: positiveNumber(values["round-ms"]) };

const suffix = ".bench.js";
const folder = resolve(fileURLToPath(import.meta.url), "..");
const names = readdirSync(folder)
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();
const chosen = names.filter(
  (name) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);

if (values.list) {
  console.log(names.join("\n"));
} else if (chosen.length === 0) {
  console.error(`No workload matches. There are: ${names.join(", ")}`);
  process.exitCode = 2;
} else {
  await run();
}

async function run(): Promise<void> {
  installPeers();
  console.log(`${describeMachine()}\n`);
  const results: WorkloadResult[] = [];
  for (const name of chosen) {
    const module = await import(pathToFileURL(join(folder, name + suffix)).href);
    for (const workload of [module.default as Workload | Workload[]].flat()) {
      const result = await measure(workload, options);
      console.log(formatTable(result));
      results.push(result);
    }
  }
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ machine: describeMachine(), results }, null, 2)}\n`);
  }
  const bars = results.flatMap((result) => result.cases.flatMap((entry) => entry.bars));
  const shortCount = bars.filter((bar) => !bar.ok).length;
  if (bars.length > 0) console.log(`${bars.length - shortCount} of ${bars.length} bars reached`);
  if (values.strict && shortCount > 0) process.exitCode = 1;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`not a positive number: ${text}`);
  return value;
}
