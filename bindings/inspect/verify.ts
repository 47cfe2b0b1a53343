/**
 * The check behind fsck: the accounting of the file, and with `all` every digest in it. Goes on after damage, to tell as much as it can. Reads
 * only, in steps.
 */
import type { PerdureError } from "../base/errors.js";
import { quote } from "../format/names.js";
import type { Superblock } from "../format/superblock.js";
import { BlockMap } from "../pager/block-map.js";
import { attempt, type CheckReport, checkAccounting } from "../pager/check.js";
import { readDirectory } from "../pager/directory.js";
import { readSuperblocks } from "../pager/recover.js";
import type { Replayed } from "../pager/replay.js";
import { SlotSet } from "../pager/slot-set.js";
import { loadPlanes, mark } from "../pager/space.js";
import { CHUNK_SLOTS, type StateFile } from "../pager/state-file.js";
import { cutTornTail, scanForLost, type Walk, walkHeaders } from "../pager/walk.js";
import { bottomNodes, type Damage, verifyLeaves } from "./leaves.js";
import { isForwarded, surveySuperblocks } from "./survey.js";

export interface Findings {
  /** Each one line, without the name of the file. */
  problems: string[];
  /** What is unusual but as it should be. */
  notes: string[];
  /** Of the superblock that was used; null when there is none. */
  generation: number | null;
  /** The commit that the file holds; null when that cannot be told. */
  commit: number | null;
  snapshots: number;
  /** Blocks that the image and snapshots reach. */
  blocks: number;
  /** Blocks whose digest was compared. */
  verified: number;
  slots: CheckReport["slots"] | null;
}

/** What a reader sees. */
export interface Sight {
  walk: Walk;
  replayed: Replayed;
}

const MAX_PROBLEMS = 200;

/** What is known of the file before its trees are looked at. */
export function newFindings(file: StateFile): Findings {
  const findings: Findings = {
    problems: [],
    notes: [],
    generation: null,
    commit: null,
    snapshots: 0,
    blocks: 0,
    verified: 0,
    slots: null,
  };
  for (const { slot, state, message } of surveySuperblocks(file)) {
    if (state === "damaged") say(findings, `superblock in slot ${slot}: ${message}`);
    if (state === "empty") {
      findings.notes.push(
        `superblock in slot ${slot}: empty until the next checkpoint; the other one serves, with no fallback`,
      );
    }
    if (state === "older")
      findings.notes.push(`superblock in slot ${slot}: too old to fall back on until the next checkpoint`);
  }
  if (isForwarded(file))
    findings.notes.push(
      "the file has been taken over and its copy not finished; the next writer finishes it",
    );
  return findings;
}

/** The check of a file that a reader could open. Yields the slots gone through. */
export function* verify(
  file: StateFile,
  { walk, replayed }: Sight,
  all: boolean,
): Generator<number, Findings> {
  const findings = newFindings(file);
  const { superblock } = walk;
  findings.generation = superblock.generation;
  findings.commit = walk.sequence;
  const meta = accountSuperblock(file, superblock, findings, "");
  yield 0;
  const snapshots =
    replayed.snapshots ??
    attempt(
      (text) => say(findings, text, file),
      "the directory",
      () => readDirectory(file, superblock.directory),
    ) ??
    [];
  findings.snapshots = snapshots.length;
  if (walk.segments.length > 0) {
    const { map, forks } = replayed;
    const input = {
      file,
      problems: [],
      map,
      snapshots,
      forks,
      planes: null,
      meta,
      runs: walk.runs,
      next: walk.next,
    };
    adopt(file, findings, checkAccounting(input, false), "");
  }
  if (!all) return findings;
  let done = 0;
  const scrubbed = new SlotSet();
  const trees = snapshots.map(({ name, root }) => ({
    what: `snapshot ${quote(name)}`,
    open: () => replayed.forks.get(name) ?? new BlockMap(file, root),
  }));
  for (const { what, open } of [{ what: "the image", open: () => replayed.map }, ...trees]) {
    const tree = attempt((text) => say(findings, text, file), what, open);
    if (tree) done = yield* scrub(file, tree, what, scrubbed, findings, done);
  }
  yield* scrubFallback(file, superblock, scrubbed, findings, done);
  return findings;
}

/** The check of a file that cannot be opened, for `reason`: whatever else can be said of it. */
export function verifyDamaged(file: StateFile, reason: PerdureError): Findings {
  const findings = newFindings(file);
  say(findings, reason.message, file);
  const superblock = surveySuperblocks(file).find(({ state }) => state === "newest")?.superblock;
  if (!superblock) return findings;
  findings.generation = superblock.generation;
  accountSuperblock(file, superblock, findings, "");
  const lost = attempt(
    (text) => say(findings, text, file),
    "the chain",
    () => scanForLost(file, cutTornTail(file, walkHeaders(file, superblock))),
  );
  if (lost)
    say(
      findings,
      `commit ${lost.sequence} in slot ${lost.slot} says that ${lost.lastFlushed} was flushed, but the chain ends before it`,
    );
  return findings;
}

/** The accounting of what a superblock itself leads to; returns the slots of its free map and directory. */
function accountSuperblock(
  file: StateFile,
  superblock: Superblock,
  findings: Findings,
  prefix: string,
): SlotSet {
  const planes = { image: new SlotSet(), held: new SlotSet() };
  const meta = new SlotSet();
  const problems: string[] = [];
  const tell = (problem: string) => problems.push(problem);
  const known = attempt(tell, "the free map", () => {
    loadPlanes(file, new BlockMap(file, superblock.freeMap), planes.image, planes.held, meta);
    return planes;
  });
  attempt(tell, "the directory", () => mark(new BlockMap(file, superblock.directory), meta));
  const snapshots = attempt(tell, "the directory", () => readDirectory(file, superblock.directory)) ?? [];
  const map = attempt(tell, "the image", () => new BlockMap(file, superblock.image));
  if (map === null) {
    for (const problem of problems) say(findings, `${prefix}${problem}`, file);
    return meta;
  }
  const { runs, chainNext: next } = superblock;
  const input = { file, problems, map, snapshots, forks: new Map(), planes: known, meta, runs, next };
  adopt(file, findings, checkAccounting(input, false), prefix);
  return meta;
}

function adopt(file: StateFile, findings: Findings, report: CheckReport, prefix: string): void {
  for (const problem of report.problems) say(findings, `${prefix}${problem}`, file);
  if (prefix !== "") return;
  findings.blocks = report.blocks;
  findings.slots = report.slots;
}

/** Verifies the blocks of a tree, those below nodes in `scrubbed` left out; returns how many slots were gone through. */
function* scrub(
  file: StateFile,
  tree: BlockMap,
  what: string,
  scrubbed: SlotSet,
  findings: Findings,
  before: number,
): Generator<number, number> {
  let done = before;
  let told = before;
  const tell = ({ first, last, why }: Damage) =>
    say(
      findings,
      `${what}: ${first === last ? `block ${first}` : `blocks ${first} … ${last}`}: ${why}`,
      file,
    );
  for (const bottom of bottomNodes(file, tree, tell)) {
    const { slot } = bottom.node;
    if (slot !== 0 && scrubbed.has(slot)) continue;
    if (slot !== 0) scrubbed.add(slot);
    const leaves = verifyLeaves(file, bottom, tell);
    findings.verified += leaves;
    done += leaves + 1;
    if (done - told < CHUNK_SLOTS) continue;
    told = done;
    yield done;
  }
  return done;
}

/** The superblock that would serve if the newest one rotted; what a writer that goes on meanwhile moves away is not looked at. */
function* scrubFallback(
  file: StateFile,
  newest: Superblock,
  scrubbed: SlotSet,
  findings: Findings,
  before: number,
): Generator<number, void> {
  const { fallback } = readSuperblocks(file);
  if (fallback?.generation !== newest.generation - 1) return;
  const found: Findings = { ...findings, problems: [] };
  accountSuperblock(file, fallback, found, "fallback superblock: ");
  const image = attempt(
    (text) => say(found, text, file),
    "fallback superblock",
    () => new BlockMap(file, fallback.image),
  );
  if (image) yield* scrub(file, image, "fallback superblock: the image", scrubbed, found, before);
  if (readSuperblocks(file).newest.generation !== newest.generation) return;
  findings.verified = found.verified;
  for (const problem of found.problems) say(findings, problem);
}

function say(findings: Findings, problem: string, file?: StateFile): void {
  const text = file ? problem.replaceAll(`${file.label}: `, "") : problem;
  if (findings.problems.length < MAX_PROBLEMS && !findings.problems.includes(text))
    findings.problems.push(text);
}
