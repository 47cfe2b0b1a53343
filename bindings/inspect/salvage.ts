/**
 * Writes everything that still verifies into a new state file, and says what was lost. The damaged file is never written to. From the newest
 * superblock first; what is lost there is taken from the fallback, which leads to the same commit; without either from a scan of the file.
 */
import { PerdureError } from "../base/errors.js";
import { MAX_NUMBER } from "../format/constants.js";
import { quote } from "../format/names.js";
import type { Superblock } from "../format/superblock.js";
import type { Hasher } from "../hash/hasher.js";
import type { BlockMap } from "../pager/block-map.js";
import type { CopySource } from "../pager/copy.js";
import { copyFile, openFile } from "../pager/files.js";
import { writePin } from "../pager/pins.js";
import type { StateFile } from "../pager/state-file.js";
import { type CopyOptions, runSteps } from "../pager/steps.js";
import type { Processes } from "../storage/processes.js";
import type { Place } from "../storage/storage.js";
import { rebuild } from "./rebuild.js";
import { isCorrupt, type Recovered, recoverFrom } from "./recovered.js";
import { surveySuperblocks } from "./survey.js";
import { countLeaves, emptyTree, fillFrom, rebuilt, type Tree } from "./trees.js";

export interface Source {
  place: Place;
  name: string;
  hasher: Hasher;
  processes: Processes;
}

export interface Loss {
  /** Null for the image. */
  snapshot: string | null;
  firstBlock: number;
  lastBlock: number;
  why: string;
  /** Blocks of a range below a lost node that were found elsewhere; a range may have had fewer blocks than it has room for. */
  saved: number;
}

export interface Salvage {
  from: "superblock" | "scan";
  /** Sequence of the last commit that is in the new file. */
  commit: number;
  /** In the image. */
  blocks: number;
  snapshots: { name: string; blocks: number }[];
  lost: Loss[];
  notes: string[];
}

const ATTEMPTS = 16;
/** The first part of the work reads every block, the second one copies it. */
const PARTS = 2;

/** INVALID_ARGUMENT when the new file exists, CORRUPT when there is nothing to be saved. */
export async function salvageTo(
  { place, name, hasher, processes }: Source,
  toPlace: Place,
  toName: string,
  { signal, onProgress }: CopyOptions = {},
): Promise<Salvage> {
  if (toPlace.exists(toName)) {
    throw new PerdureError(
      "INVALID_ARGUMENT",
      `${toPlace.label}/${toName} exists already; salvaging never overwrites a file`,
    );
  }
  const file = openFile(place, name, "read", hasher);
  let unpin = () => {};
  try {
    unpin = pin(file, place, name, processes);
    const slots = Math.max(1, file.slots());
    const part = (n: number): CopyOptions => ({
      signal,
      onProgress: (done) => onProgress?.(n * slots + Math.min(done, slots), PARTS * slots),
    });
    const { recovered, from } = await runSteps(recover(file), slots, part(0));
    const report = describe(file, recovered, from);
    await copy(file, recovered, (source) =>
      runSteps(copyFile(toPlace, toName, hasher, source), slots, part(1)),
    );
    return report;
  } finally {
    unpin();
    file.storage.close();
  }
}

/** Keeps a writer that goes on meanwhile from reusing what is read. Where no pin can be written it is done without. */
function pin(file: StateFile, place: Place, name: string, processes: Processes): () => void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const superblock = newestOf(file);
    if (!superblock) break;
    let unpin: () => void;
    try {
      const commit = superblock.sequence;
      unpin = writePin(place, name, { superblock, commit, snapshot: null }, file.hasher, processes);
    } catch (error) {
      if (error instanceof PerdureError && (error.code === "READ_ONLY" || error.code === "NO_SPACE")) break;
      throw error;
    }
    if (newestOf(file)?.generation === superblock.generation) return unpin;
    unpin();
  }
  return () => {};
}

function newestOf(file: StateFile): Superblock | null {
  return surveySuperblocks(file).find(({ state }) => state === "newest")?.superblock ?? null;
}

function* recover(file: StateFile): Generator<number, { recovered: Recovered; from: Salvage["from"] }> {
  const survey = surveySuperblocks(file);
  const superblocks = ["newest", "fallback"].flatMap(
    (wanted) => survey.find(({ state }) => state === wanted)?.superblock ?? [],
  );
  if (superblocks.length === 0) {
    const recovered = yield* rebuild(file);
    if (recovered === null) throw file.corrupt("not a perdure state file, or nothing of it is left");
    return { recovered, from: "scan" };
  }
  const recovered = yield* recoverFrom(file, superblocks[0]);
  for (const fallback of superblocks.slice(1)) {
    if (isComplete(recovered)) break;
    const other = yield* recoverFrom(file, fallback);
    // What is missing may only be taken from what is of the very same commit.
    const isSame = other.sequence === recovered.sequence && !other.hasGap && !recovered.hasGap;
    if (isSame) merge(file, recovered, other);
  }
  return { recovered, from: "superblock" };
}

function isComplete({ image, snapshots, directoryRead }: Recovered): boolean {
  return (
    directoryRead && [image, ...snapshots.map(({ tree }) => tree)].every(({ lost }) => lost.length === 0)
  );
}

function merge(file: StateFile, recovered: Recovered, other: Recovered): void {
  fillFrom(file, recovered.image, other.image);
  for (const { entry, tree } of recovered.snapshots) {
    const same = other.snapshots.find((each) => each.entry.name === entry.name);
    if (same?.entry.sequence === entry.sequence) fillFrom(file, tree, same.tree);
  }
  if (recovered.directoryRead || !other.directoryRead) return;
  const known = new Set(recovered.snapshots.map(({ entry }) => entry.name));
  recovered.snapshots.push(...other.snapshots.filter(({ entry }) => !known.has(entry.name)));
  recovered.notes = recovered.notes.filter((note) => !note.startsWith("the directory of snapshots is lost"));
  recovered.notes.push("the directory of snapshots was taken from the fallback superblock");
}

function describe(
  file: StateFile,
  { sequence, image, snapshots, notes }: Recovered,
  from: Salvage["from"],
): Salvage {
  const lost: Loss[] = [];
  const count = (snapshot: string | null, tree: Tree): number => {
    tree.lost.sort((a, b) => a.first - b.first);
    const ranges = tree.lost.filter(({ exact }) => !exact);
    const { blocks, within } = countLeaves(file, tree, ranges);
    let joining = false;
    for (const damage of tree.lost) {
      const { first, last, why, exact } = damage;
      const before = lost.at(-1);
      if (before && joining && exact && before.lastBlock === first - 1) {
        before.lastBlock = last;
        before.why = `${before.why.replace(/, and so on$/, "")}, and so on`;
      } else {
        const saved = exact ? 0 : within[ranges.indexOf(damage)];
        lost.push({ snapshot, firstBlock: first, lastBlock: last, why, saved });
      }
      joining = exact;
    }
    return blocks;
  };
  const blocks = count(null, image);
  const named = snapshots.map(({ entry, tree }) => ({ name: entry.name, blocks: count(entry.name, tree) }));
  return { from, commit: sequence, blocks, snapshots: named, lost, notes };
}

/** Copies the trees, and once more from maps built anew when nodes of a lying file are in each other's way. */
async function copy(
  file: StateFile,
  recovered: Recovered,
  write: (source: CopySource) => Promise<void>,
): Promise<void> {
  const source = (mapOf: (tree: Tree) => BlockMap): CopySource => ({
    file,
    map: mapOf(recovered.image),
    snapshots: recovered.snapshots.map(({ entry }) => entry),
    forks: new Map(recovered.snapshots.map(({ entry, tree }) => [entry.name, mapOf(tree)])),
    sequence: recovered.sequence <= MAX_NUMBER ? recovered.sequence : 0,
  });
  try {
    await write(source(pruned));
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    await write(source(({ map }) => pruned({ ...emptyTree(file), map: rebuilt(file, map, () => {}) })));
  }
}

/** Cuts nodes out that have lost all their leaves. */
function pruned({ map }: Tree): BlockMap {
  map.dirtyNodes();
  return map;
}

/** For people. */
export function salvageLines({ from, commit, blocks, snapshots, lost, notes }: Salvage): string[] {
  const lines = [
    `  commit ${commit}, ${blocks} blocks${from === "scan" ? ", from a scan of the whole file" : ""}`,
    ...snapshots.map(({ name, blocks }) => `  snapshot ${quote(name)}, ${blocks} blocks`),
    ...notes.map((note) => `  note: ${note}`),
  ];
  if (lost.length === 0) lines.push("  no block is known to be lost");
  for (const { snapshot, firstBlock, lastBlock, why, saved } of lost) {
    const range = firstBlock === lastBlock ? `block ${firstBlock}` : `blocks ${firstBlock} … ${lastBlock}`;
    const where = snapshot === null ? "" : ` of snapshot ${quote(snapshot)}`;
    const rest = saved === 0 ? "" : ` (${saved} of them were found elsewhere)`;
    lines.push(`  LOST ${range}${where}: ${why}${rest}`);
  }
  return lines;
}
