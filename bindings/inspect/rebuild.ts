/**
 * A state without superblocks, put together from what a scan of the whole file finds: the newest block map that is left whole enough to be known,
 * the commits whose headers are left, and the snapshots of the directories that are. Which of two things is newer is told by the sequences
 * in the headers; where there are none it is a guess, and the notes say so.
 */

import { SLOT_BYTES } from "../format/constants.js";
import { entryBlock, entryDigestOffset, entrySlot, Operation } from "../format/segment.js";
import { SlotSet } from "../pager/slot-set.js";
import type { StateFile } from "../pager/state-file.js";
import type { Recovered } from "./recovered.js";
import { findRoots } from "./roots.js";
import { type FoundSegment, inOrder, scanHeaders } from "./scan.js";
import { dropDamaged, emptyTree, openTree, type Tree } from "./trees.js";

/** Null when nothing of a state is found. Yields the slots gone through. */
export function* rebuild(file: StateFile): Generator<number, Recovered | null> {
  const notes = ["neither superblock can be used: the state is rebuilt from a scan of the whole file"];
  const segments = inOrder(ofOneFile(yield* scanHeaders(file), notes));
  const roots = yield* findRoots(file, segments);
  if (segments.length === 0 && roots.image === null && roots.snapshots.length === 0) return null;

  const sound = new SlotSet();
  const last = segments.at(-1)?.header.sequence ?? 0;
  const sequence = Math.max(last, roots.sequence);
  const restore = segments.findLast(({ header }) => header.operation === Operation.Restore);
  const restoredLast = restore !== undefined && restore.header.sequence > roots.sequence;
  const base = restoredLast ? restore.record!.image : roots.image;
  const image = base ? openTree(file, base) : emptyTree(file);
  yield* dropDamaged(file, image, sound, 0);
  const since = restoredLast ? restore.header.sequence : roots.sequence;
  const newer = segments.filter(({ header }) => header.sequence > since);
  const older = yield* overlay(file, image, newer);

  if (base === null) {
    notes.push(
      `no block map was found: only what the ${newer.length} commits changed whose headers were found is here; all older blocks are missing`,
    );
  } else if (roots.sequence === 0 && !restoredLast)
    notes.push("the newest block map that was found is taken; which commit it is of cannot be told");
  else notes.push(`the newest block map that was found has commits up to ${since}, at least in part`);
  if (newer.length > 0)
    notes.push(`of the commits after it ${newer.length} were found, ${newer[0].header.sequence} … ${last}`);
  if (older > 0) notes.push(`${older} blocks are older than their newest version, which does not verify`);
  notes.push("blocks may be older than the last commit, and snapshots may be here that were deleted");

  const snapshots: Recovered["snapshots"] = [];
  for (const entry of roots.snapshots) {
    const tree = openTree(file, entry.root);
    yield* dropDamaged(file, tree, sound, 0);
    snapshots.push({ entry, tree });
  }
  return { sequence, image, snapshots, directoryRead: roots.snapshots.length > 0, hasGap: true, notes };
}

/** The headers of the file that most of them are of: what was copied into a reused part of a disk is not ours. */
function ofOneFile(segments: readonly FoundSegment[], notes: string[]): FoundSegment[] {
  const counts = new Map<string, number>();
  for (const { uuid } of segments) counts.set(uuid, (counts.get(uuid) ?? 0) + 1);
  const [most] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [""];
  if (counts.size > 1)
    notes.push(`headers of ${counts.size} files were found; those of ${most}, which are most, are used`);
  return segments.filter(({ uuid }) => uuid === most);
}

/** Puts what commits changed over a tree: of each block the newest version that verifies. Returns how many are not the newest there was. */
function* overlay(file: StateFile, tree: Tree, segments: readonly FoundSegment[]): Generator<number, number> {
  const bytes = new Uint8Array(SLOT_BYTES);
  const decided = new Set<number>();
  /** By block, why its newest version is not here. */
  const damaged = new Map<number, string>();
  let older = 0;
  let done = 0;
  const slots = file.slots();
  for (const { header, view, entries } of segments.toReversed()) {
    for (let i = 0; i < entries; i++) {
      const block = entryBlock(view, i);
      if (decided.has(block)) continue;
      const slot = entrySlot(view, i);
      if (slot === 0) tree.map.clear(block);
      else {
        if (slot < slots) file.readInto(slot, bytes);
        if (slot >= slots || !file.hasher.matches(bytes, view, entryDigestOffset(i))) {
          if (!damaged.has(block))
            damaged.set(block, `commit ${header.sequence} put it in slot ${slot}, which does not verify`);
          continue;
        }
        tree.map.set(block, slot, view, entryDigestOffset(i));
      }
      if (damaged.has(block)) older++;
      decided.add(block);
    }
    done += entries + 1;
    yield done;
  }
  for (const [block, why] of damaged) {
    if (decided.has(block)) continue;
    if (tree.map.slotOf(block) !== 0) older++;
    else tree.lost.push({ first: block, last: block, why, exact: true });
  }
  return older;
}
