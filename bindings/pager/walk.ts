/**
 * The walk of FORMAT.md §7: follows the chain from a superblock, decides which commit the file holds, and looks for headers that
 * prove flushed commits lost. Reads only; the same for a writer that recovers, a reader, a check and a copy.
 */
import { ENTRY_BYTES, SLOT_BYTES } from "../format/constants.js";
import {
  decodeHeader,
  decodeRecordBody,
  entriesProblem,
  entryDigestOffset,
  entrySlot,
  headerBody,
  Operation,
  type RecordBody,
  type SegmentHeader,
  verifyHeader,
} from "../format/segment.js";
import type { Run, Superblock } from "../format/superblock.js";
import { SlotSet } from "./slot-set.js";
import { CHUNK_SLOTS, type StateFile } from "./state-file.js";

export interface Segment {
  /** Slot of the header. */
  slot: number;
  header: SegmentHeader;
  /** All slots of the header. */
  bytes: Uint8Array;
  view: DataView;
  /** Entries of a commit; 0 for a record. */
  entries: number;
  record: RecordBody | null;
}

export interface Walk {
  superblock: Superblock;
  segments: Segment[];
  /** The commit at which the walk ends, its digest, and where the next header goes. */
  sequence: number;
  digest: bigint;
  next: number;
  /** The greatest `last flushed` found. */
  lastFlushed: number;
  /** Log runs in force at the end. */
  runs: Run[];
  /** These, and all that the superblock and the walked records named before. */
  knownRuns: Run[];
}

/** Follows the headers from `superblock` up to sequence `upTo`, without looking at blocks. */
export function walkHeaders(file: StateFile, superblock: Superblock, upTo = Number.POSITIVE_INFINITY): Walk {
  const walk: Walk = {
    superblock,
    segments: [],
    sequence: superblock.sequence,
    digest: superblock.chainDigest,
    next: superblock.chainNext,
    lastFlushed: superblock.sequence,
    runs: superblock.runs,
    knownRuns: [...superblock.runs],
  };
  while (walk.sequence < upTo) {
    const segment = nextSegment(file, walk);
    if (segment === null) break;
    append(walk, segment);
  }
  return walk;
}

/** The segment that follows the end of the walk, or null. */
export function nextSegment(file: StateFile, walk: Walk): Segment | null {
  const segment = readSegment(file, walk.next, walk.superblock.uuid);
  if (segment === null) return null;
  const { header, record } = segment;
  const linked = header.sequence === walk.sequence + 1 && header.previous === walk.digest;
  const fits = header.writer >= walk.superblock.writer && inRuns(record?.runs ?? walk.runs, header.next);
  return linked && fits ? segment : null;
}

/** Whether the next header has its two slots in the log runs: a hostile one could make a writer overwrite anything else. */
function inRuns(runs: readonly Run[], next: number): boolean {
  return runs.some((run) => next >= run.slot && next + 2 <= run.slot + run.slots);
}

/** Moves the end of the walk over a segment that `nextSegment` gave. */
export function append(walk: Walk, segment: Segment): void {
  walk.segments.push(segment);
  walk.sequence = segment.header.sequence;
  walk.digest = segment.header.digest;
  walk.next = segment.header.next;
  walk.lastFlushed = Math.max(walk.lastFlushed, segment.header.lastFlushed);
  if (segment.record) {
    walk.runs = segment.record.runs;
    walk.knownRuns.push(...segment.record.runs);
  }
  // A block that was spilled before a checkpoint lies in runs that this superblock does not name.
  let run = walk.runs[0];
  for (let i = 0; i < segment.entries; i++) {
    const slot = entrySlot(segment.view, i);
    const inside = (each: Run) => slot >= each.slot && slot < each.slot + each.slots;
    if (slot === 0 || inside(run)) continue;
    const known = walk.knownRuns.find(inside);
    if (known) run = known;
    else walk.knownRuns.push({ slot, slots: 1 });
  }
}

/** The header that begins in `slot`, whole and verified, or null. */
export function readSegment(file: StateFile, slot: number, uuid: Uint8Array): Segment | null {
  const slots = file.slots();
  if (slot >= slots) return null;
  let bytes = file.read(slot);
  const decoded = decodeHeader(bytes, uuid);
  if (!decoded.ok) return null;
  const header = decoded.value;
  if (header.furtherSlots > 0) {
    if (header.furtherSlot + header.furtherSlots > slots) return null;
    const whole = new Uint8Array((1 + header.furtherSlots) * SLOT_BYTES);
    whole.set(bytes);
    file.readInto(header.furtherSlot, whole.subarray(SLOT_BYTES));
    bytes = whole;
  }
  if (!verifyHeader(bytes, file.hasher)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header.operation === Operation.Commit) {
    if (entriesProblem(headerBody(bytes, header.bodyBytes)) !== null) return null;
    return { slot, header, bytes, view, entries: header.bodyBytes / ENTRY_BYTES, record: null };
  }
  const record = decodeRecordBody(header.operation, headerBody(bytes, header.bodyBytes));
  return record.ok ? { slot, header, bytes, view, entries: 0, record: record.value } : null;
}

/**
 * Verifies the blocks of the commits above `lastFlushed` and cuts the walk off before the first that does not verify.
 * Those up to `lastFlushed` are known to be whole: a flush that completed covered them.
 */
export function cutTornTail(file: StateFile, walk: Walk): Walk {
  const torn = walk.segments.findIndex(
    (segment) => segment.header.sequence > walk.lastFlushed && !blocksVerify(file, segment),
  );
  if (torn < 0) return walk;
  const cut = walkHeaders(file, walk.superblock, walk.segments[torn].header.sequence - 1);
  cut.lastFlushed = Math.max(cut.lastFlushed, walk.lastFlushed);
  return cut;
}

/** Whether all blocks of a commit are as its header says. */
export function blocksVerify(file: StateFile, segment: Segment): boolean {
  const slots = file.slots();
  let at = 0;
  while (at < segment.entries) {
    const slot = entrySlot(segment.view, at);
    if (slot === 0) {
      at++;
      continue;
    }
    let count = 1;
    while (
      count < CHUNK_SLOTS &&
      at + count < segment.entries &&
      entrySlot(segment.view, at + count) === slot + count
    )
      count++;
    if (slot + count > slots) return false;
    const bytes = file.read(slot, count);
    for (let i = 0; i < count; i++) {
      const block = bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES);
      if (!file.hasher.matches(block, segment.view, entryDigestOffset(at + i))) return false;
    }
    at += count;
  }
  return true;
}

/** A header above the end of a walk, whose `last flushed` proves that flushed commits are missing. */
export interface LostProof {
  slot: number;
  sequence: number;
  lastFlushed: number;
}

/**
 * Reads what the walk left of the known log runs: whether there is any valid header above the end (a torn tail), and whether one of
 * them proves that flushed commits above the end are missing.
 */
export function scanBeyond(file: StateFile, walk: Walk): { tail: boolean; lost: LostProof | null } {
  const seen = new SlotSet();
  for (const segment of walk.segments) {
    seen.add(segment.slot);
    seen.addRange(segment.header.furtherSlot, segment.header.furtherSlots);
    for (let i = 0; i < segment.entries; i++) seen.add(entrySlot(segment.view, i));
  }
  const end = file.slots();
  const found: { tail: boolean; lost: LostProof | null } = { tail: false, lost: null };
  for (const run of walk.knownRuns) {
    seen.gaps(run.slot, Math.min(run.slot + run.slots, end), (from, count) => {
      for (let at = from; at < from + count; at += CHUNK_SLOTS) {
        scanChunk(file, walk, at, Math.min(CHUNK_SLOTS, from + count - at), found);
      }
    });
  }
  return found;
}

function scanChunk(
  file: StateFile,
  walk: Walk,
  from: number,
  count: number,
  found: { tail: boolean; lost: LostProof | null },
): void {
  const { uuid } = walk.superblock;
  const bytes = file.read(from, count);
  for (let i = 0; i < count; i++) {
    const first = bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES);
    if (first[0] === 0 || !decodeHeader(first, uuid).ok) continue;
    const header = readSegment(file, from + i, uuid)?.header;
    if (header === undefined || header.sequence <= walk.sequence) continue;
    found.tail = true;
    const { sequence, lastFlushed } = header;
    if (lastFlushed > walk.sequence) found.lost ??= { slot: from + i, sequence, lastFlushed };
  }
}
