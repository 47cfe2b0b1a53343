// What salvaging made of a damaged file, held against the history that the file had.

import assert from "node:assert/strict";
import type { Hasher } from "../../bindings/hash/hasher.js";
import { type Loss, type Salvage, salvageTo } from "../../bindings/inspect/salvage.js";
import { openPager } from "../../bindings/pager/open.js";
import { Reader } from "../../bindings/pager/reader.js";
import { hasher } from "./hostile-hasher.js";
import {
  alone,
  blockOf,
  type Content,
  fileOf,
  isBlockOf,
  type Moment,
  NAME,
  placeWith,
  type Sample,
  SLOT,
} from "./hostile-samples.js";

export interface Saved {
  salvage: Salvage;
  /** Sequence of the new file. */
  sequence: number;
  snapshots: string[];
  /** A block of the image or of a snapshot. */
  read(snapshot: string | null, block: number): Uint8Array;
}

const TARGET = "saved";

/** Salvages a file of these bytes, which must stay as it was; the new one must be sound, and nothing else may be left behind. */
export async function salvage(bytes: Uint8Array, by: Hasher = hasher): Promise<Saved> {
  const place = placeWith(bytes);
  const source = { place, name: NAME, hasher: by, processes: alone };
  const found = await salvageTo(source, place, TARGET);
  assert.deepEqual(place.list(""), [TARGET, NAME].sort());
  assert.ok(Buffer.compare(fileOf(place), bytes) === 0, "the damaged file has changed");
  const pager = openPager(place, TARGET, by, alone);
  assert.deepEqual(pager.check(true).problems, []);
  pager.abandon();
  const reader = new Reader(place, TARGET, by, alone);
  const read = (snapshot: string | null, block: number) => {
    const into = new Uint8Array(SLOT);
    if (snapshot === null) reader.read(block, 1, into);
    else reader.readSnapshot(snapshot, block, 1, into);
    return into;
  };
  const snapshots = reader.snapshots.map(({ name }) => name);
  return { salvage: found, sequence: reader.sequence, snapshots, read };
}

const covers = (lost: readonly Loss[], snapshot: string | null, block: number): boolean =>
  lost.some((loss) => loss.snapshot === snapshot && loss.firstBlock <= block && block <= loss.lastBlock);

/** Every block that was ever written, and the values that it had. */
export function valuesOf({ moments }: Sample): Map<number, Set<number>> {
  const values = new Map<number, Set<number>>();
  for (const { image } of moments) {
    for (const [block, value] of image) values.set(block, (values.get(block) ?? new Set()).add(value));
  }
  return values;
}

/** The blocks that are zeros instead of what they should be; fails when one is anything else, or its loss was not told. */
export function missing(
  saved: Saved,
  snapshot: string | null,
  content: Content,
  blocks: Iterable<number>,
): number[] {
  const missing: number[] = [];
  for (const block of blocks) {
    const bytes = saved.read(snapshot, block);
    const value = content.get(block) ?? 0;
    if (isBlockOf(value, bytes)) continue;
    assert.ok(isBlockOf(0, bytes), `block ${block} of ${snapshot ?? "the image"} was never like that`);
    assert.ok(
      covers(saved.salvage.lost, snapshot, block),
      `block ${block} of ${snapshot ?? "the image"} is gone, which is not told`,
    );
    missing.push(block);
  }
  return missing;
}

/** The same for a whole moment. Snapshots may be gone only when the directory is. */
export function missingOf(saved: Saved, moment: Moment, sample: Sample): number {
  const blocks = valuesOf(sample).keys();
  const all = [...blocks, 5000, 2 ** 30 + 5000];
  let count = missing(saved, null, moment.image, all).length;
  const lostDirectory = saved.salvage.notes.some((note) =>
    note.startsWith("the directory of snapshots is lost"),
  );
  if (!lostDirectory) assert.deepEqual(saved.snapshots, [...moment.snapshots.keys()].sort());
  for (const name of saved.snapshots) {
    const content = moment.snapshots.get(name);
    if (content) count += missing(saved, name, content, all).length;
  }
  return count;
}

/** How many blocks of the image are the newest, an older version, or zeros although the moment has them; fails when one is anything else. */
export function freshness(
  saved: Saved,
  sample: Sample,
  snapshot: string | null = null,
): { newest: number; older: number; gone: number } {
  const counts = { newest: 0, older: 0, gone: 0 };
  const [newest] = sample.moments;
  for (const [block, values] of valuesOf(sample)) {
    const bytes = saved.read(snapshot, block);
    const value = newest.image.get(block) ?? 0;
    if (isBlockOf(value, bytes)) counts.newest++;
    else if ([...values].some((each) => isBlockOf(each, bytes))) counts.older++;
    else {
      assert.ok(isBlockOf(0, bytes), `block ${block} was never like that`);
      counts.gone++;
    }
  }
  return counts;
}

/** Whether a snapshot in the new file is the image of this moment. */
export function shows(saved: Saved, snapshot: string, { image }: Moment): boolean {
  return [...image].every(
    ([block, value]) => Buffer.compare(saved.read(snapshot, block), blockOf(value)) === 0,
  );
}
