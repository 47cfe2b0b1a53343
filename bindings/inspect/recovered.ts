/**
 * What is left of a state when one begins at one of its superblocks: as opening it would, but past damage. Reads only.
 */

import { toHex } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import type { SnapshotEntry } from "../format/directory.js";
import { quote } from "../format/names.js";
import { Operation } from "../format/segment.js";
import { EMPTY_ROOT, type Superblock } from "../format/superblock.js";
import { readDirectory } from "../pager/directory.js";
import { applyEntries } from "../pager/replay.js";
import { SlotSet } from "../pager/slot-set.js";
import type { StateFile } from "../pager/state-file.js";
import { blocksVerify, type Segment, scanForLost, type Walk, walkHeaders } from "../pager/walk.js";
import { withoutLabel } from "./leaves.js";
import { gapsIn, inOrder, scanHeaders } from "./scan.js";
import { dropDamaged, forkTree, openTree, type Tree } from "./trees.js";

export interface Recovered {
  /** Of the last commit that is in the image. */
  sequence: number;
  image: Tree;
  snapshots: { entry: SnapshotEntry; tree: Tree }[];
  /** False when the directory could not be read: there may have been snapshots. */
  directoryRead: boolean;
  /** Commits before the last one are missing, so the image is of no single commit. */
  hasGap: boolean;
  notes: string[];
}

/** Yields the slots gone through. */
export function* recoverFrom(file: StateFile, superblock: Superblock): Generator<number, Recovered> {
  const notes: string[] = [];
  const walk = wholeWalk(file, superblock, notes);
  const recovered: Recovered = {
    sequence: superblock.sequence,
    image: openTree(file, superblock.image),
    snapshots: [],
    directoryRead: true,
    hasGap: false,
    notes,
  };
  enterDirectory(file, superblock, recovered);
  for (const segment of walk.segments) apply(file, recovered, segment);
  if (isCutShort(file, walk)) {
    // What is known to be of one commit is kept beside what is newer.
    const kept = forkTree(recovered.image);
    const { sequence } = recovered;
    if (yield* applyLater(file, walk, recovered)) {
      recovered.hasGap = true;
      const name = freeName(recovered, `salvage: whole up to commit ${sequence}`);
      const entry = { name, root: EMPTY_ROOT, sequence, time: superblock.time };
      recovered.snapshots.push({ entry, tree: kept });
      notes.push(`snapshot ${quote(name)} has the state as of commit ${sequence}, before the gap`);
    }
  }
  const sound = new SlotSet();
  let done = yield* dropDamaged(file, recovered.image, sound, 0);
  for (const { tree } of recovered.snapshots) done = yield* dropDamaged(file, tree, sound, done);
  return recovered;
}

/** The chain as far as opening would follow it: without what was not known to be flushed and is not whole. */
function wholeWalk(file: StateFile, superblock: Superblock, notes: string[]): Walk {
  const walk = walkHeaders(file, superblock);
  const torn = walk.segments.find(
    (segment) => segment.header.sequence > walk.lastFlushed && !blocksVerify(file, segment),
  );
  if (!torn) return walk;
  const { sequence } = torn.header;
  notes.push(
    `commit ${sequence} is not known to have been durable and is incomplete: left out, as opening would`,
  );
  const cut = walkHeaders(file, superblock, sequence - 1);
  cut.lastFlushed = walk.lastFlushed;
  return cut;
}

/** Whether flushed commits are missing after the walk, or may be: a file that lost its end lost them too. */
function isCutShort(file: StateFile, walk: Walk): boolean {
  const slots = file.slots();
  if (walk.segments.some(({ blocksEnd }) => blocksEnd > slots)) return true;
  try {
    return scanForLost(file, walk) !== null;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    return true;
  }
}

function enterDirectory(file: StateFile, superblock: Superblock, recovered: Recovered): void {
  try {
    for (const entry of readDirectory(file, superblock.directory))
      recovered.snapshots.push({ entry, tree: openTree(file, entry.root) });
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    recovered.directoryRead = false;
    recovered.notes.push(`the directory of snapshots is lost: ${withoutLabel(file, error.message)}`);
  }
}

/** Enters a commit or record, and what in it contradicts the rest is passed over. */
export function apply(
  file: StateFile,
  recovered: Recovered,
  { header, view, entries, record }: Segment,
): void {
  recovered.sequence = Math.max(recovered.sequence, header.sequence);
  if (record === null) {
    applyEntries(recovered.image.map, view, entries);
    return;
  }
  const { operation, sequence, time } = header;
  const others = recovered.snapshots.filter(({ entry }) => entry.name !== record.name);
  if (operation === Operation.CreateSnapshot) {
    const entry = { name: record.name, root: EMPTY_ROOT, sequence, time };
    recovered.snapshots = [...others, { entry, tree: forkTree(recovered.image) }];
  } else if (operation === Operation.DeleteSnapshot) recovered.snapshots = others;
  else if (operation === Operation.Restore) recovered.image = openTree(file, record.image!);
}

/** Flushed commits beyond a hole in the chain. False when none is left. */
function* applyLater(file: StateFile, walk: Walk, recovered: Recovered): Generator<number, boolean> {
  const { uuid, writer } = walk.superblock;
  const hex = toHex(uuid);
  const found = (yield* scanHeaders(file)).filter(
    ({ uuid, header }) => uuid === hex && header.sequence > walk.sequence && header.writer >= writer,
  );
  const flushed = found.reduce((most, { header }) => Math.max(most, header.lastFlushed), walk.lastFlushed);
  const later = inOrder(found).filter(
    (segment) => segment.header.sequence <= flushed || blocksVerify(file, segment),
  );
  for (const { first, last } of gapsIn(walk.sequence, later)) {
    const range = first === last ? `commit ${first} is` : `commits ${first} … ${last} are`;
    recovered.notes.push(
      `${range} lost: what they changed is older in the image, unless a later commit changed it`,
    );
  }
  for (const segment of later) apply(file, recovered, segment);
  return later.length > 0;
}

function freeName({ snapshots }: Recovered, wanted: string): string {
  let name = wanted;
  for (let i = 2; snapshots.some(({ entry }) => entry.name === name); i++) name = `${wanted} (${i})`;
  return name;
}

export function isCorrupt(error: unknown): error is PerdureError {
  return error instanceof PerdureError && error.code === "CORRUPT";
}
