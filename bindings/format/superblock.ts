/**
 * The superblock: from where everything else in the file is found. FORMAT.md §4. One that decodes is plausible in itself:
 * its numbers are in range and its runs are disjoint; that its trees verify is for the pager to see.
 */
import { viewOf } from "../base/bytes.js";
import type { Hasher } from "../hash/hasher.js";
import { FIRST_SLOT, Kind, MAX_FILE_SLOTS, SLOT_BYTES } from "./constants.js";
import { type Decoded, damaged, decoded } from "./decoded.js";
import { openSlot, sealDigest, writePreamble } from "./preamble.js";
import { readRuns, rootProblem, runCountProblem, runsProblem, writeRuns } from "./runs.js";
import {
  firstProblem,
  PREAMBLE,
  type Root,
  type Rules,
  type Run,
  readFields,
  readPlain,
  SUPERBLOCK,
  type Values,
  writeFields,
} from "./schema.js";

export type { Decoded } from "./decoded.js";
export { EMPTY_ROOT, type Root, type Run } from "./schema.js";

export interface Superblock {
  uuid: Uint8Array;
  /** 1, 2, 3 …; it lies in slot `generation mod 2`. */
  generation: number;
  /** Of the last commit or record that the trees contain. */
  sequence: number;
  writer: number;
  /** Milliseconds since 1970. */
  time: number;
  image: Root;
  freeMap: Root;
  directory: Root;
  /** The file has at least this many slots. */
  fileSlots: number;
  /** Digest of the header with this sequence. */
  chainDigest: bigint;
  /** Slot in which the header of `sequence + 1` begins. */
  chainNext: number;
  runs: Run[];
}

/** The 4096 bytes of a superblock. */
export function encodeSuperblock(superblock: Superblock, hasher: Hasher): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = viewOf(bytes);
  writePreamble(bytes, view, Kind.Superblock, superblock.uuid);
  writeFields(view, 0, SUPERBLOCK, { ...superblock, runCount: superblock.runs.length });
  writeRuns(view, SUPERBLOCK.fields.runs.offset, superblock.runs);
  sealDigest(bytes, view, hasher);
  return bytes;
}

export function decodeSuperblock(bytes: Uint8Array, hasher: Hasher): Decoded<Superblock> {
  const slot = openSlot(bytes, Kind.Superblock, hasher);
  if (!slot.ok) return slot;
  const view = slot.value;
  const { runCount, ...fields } = readFields(view, 0, SUPERBLOCK);
  const problem = firstProblem(SUPERBLOCK, { runCount, ...fields }, superblockRules);
  if (problem !== null) return damaged(problem);
  const runs = readRuns(view, SUPERBLOCK.fields.runs.offset, runCount);
  const runProblem = runsProblem(runs, fields.chainNext);
  if (runProblem !== null) return damaged(runProblem);
  return decoded({ uuid: readPlain(view, PREAMBLE.fields.uuid.offset, "id") as Uint8Array, ...fields, runs });
}

/** What can be wrong with the fields of a superblock; that the runs fit is for `runsProblem`. */
export const superblockRules: Rules<Values<typeof SUPERBLOCK>> = {
  generation: ({ generation }) => (generation >= 1 ? null : "generation 0"),
  image: ({ image, fileSlots }) => rootProblem(image, fileSlots),
  freeMap: ({ freeMap, fileSlots }) => rootProblem(freeMap, fileSlots),
  directory: ({ directory, fileSlots }) => rootProblem(directory, fileSlots),
  fileSlots: ({ fileSlots }) =>
    fileSlots >= FIRST_SLOT && fileSlots <= MAX_FILE_SLOTS ? null : `a file of ${fileSlots} slots`,
  runCount: ({ runCount }) => runCountProblem(runCount),
};
