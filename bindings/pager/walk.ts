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
  /** One more than the greatest slot of a block; past the end of the file when the power was cut while it grew. */
  blocksEnd: number;
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
  /** These, and all that the superblock and the walked records named before; what the commits list elsewhere is in them as runs of one slot. */
  knownRuns: Run[];
  /** Slots of the headers, and the slots that commits list outside the runs. */
  headerSlots: SlotSet;
  strays: SlotSet;
}

/** How far past the end of the file log runs may reach: further than any honest writer plans, and near enough to count slots in memory. */
const MAX_AHEAD_SLOTS = 2 ** 23;
/** A scan follows so many records: one is left by each opening that was killed before its superblock was written. */
const MAX_SCAN_RECORDS = 1024;
/** Further slots of headers are read in a scan up to this many times the file. */
const SCAN_READS = 2;
/** Slots read at once in a scan, into a buffer that every scan reuses: an opening looks at all the room that is left in the log runs. */
const SCAN_SLOTS = 64;
const scanned = new Uint8Array(SCAN_SLOTS * SLOT_BYTES);

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
    headerSlots: new SlotSet(),
    strays: new SlotSet(),
  };
  while (walk.sequence < upTo) {
    const segment = nextSegment(file, walk);
    if (segment === null) break;
    append(walk, segment, file.slots());
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
  return linked && fits && !sharesSlots(walk, header, segment.slot) ? segment : null;
}

/** Whether a header lies where an earlier one of the walk does: few slots could seem to be any number of headers. */
function sharesSlots(
  { headerSlots }: Walk,
  { furtherSlot, furtherSlots }: SegmentHeader,
  slot: number,
): boolean {
  if (headerSlots.has(slot)) return true;
  for (let i = 0; i < furtherSlots; i++) if (headerSlots.has(furtherSlot + i)) return true;
  return false;
}

/** CORRUPT for log runs that no honest writer chooses. */
export function ensureRunsFit(file: StateFile, runs: readonly Run[]): void {
  const limit = file.slots() + MAX_AHEAD_SLOTS;
  const wild = runs.find(({ slot, slots }) => slot + slots > limit);
  if (wild)
    throw file.corrupt(`log runs reach to slot ${wild.slot + wild.slots}, far past the end of the file`);
}

/** Whether the next header has its two slots in the log runs: a hostile one could make a writer overwrite anything else. */
function inRuns(runs: readonly Run[], next: number): boolean {
  return runs.some((run) => next >= run.slot && next + 2 <= run.slot + run.slots);
}

/** Moves the end of the walk over a segment that `nextSegment` gave. */
export function append(walk: Walk, segment: Segment, fileSlots: number): void {
  walk.segments.push(segment);
  walk.headerSlots.add(segment.slot);
  walk.headerSlots.addRange(segment.header.furtherSlot, segment.header.furtherSlots);
  walk.sequence = segment.header.sequence;
  walk.digest = segment.header.digest;
  walk.next = segment.header.next;
  walk.lastFlushed = Math.max(walk.lastFlushed, segment.header.lastFlushed);
  if (segment.record) {
    walk.runs = segment.record.runs;
    walk.knownRuns.push(...segment.record.runs);
  }
  if (segment.blocksEnd > fileSlots) return;
  // A block that was spilled before a checkpoint lies in runs that this superblock does not name.
  let run = walk.runs[0];
  for (let i = 0; i < segment.entries; i++) {
    const slot = entrySlot(segment.view, i);
    const inside = (each: Run) => slot >= each.slot && slot < each.slot + each.slots;
    if (slot === 0 || inside(run)) continue;
    const current = walk.runs.find(inside);
    if (current) run = current;
    else if (!walk.strays.has(slot)) {
      walk.strays.add(slot);
      walk.knownRuns.push({ slot, slots: 1 });
    }
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
    const entries = header.bodyBytes / ENTRY_BYTES;
    return { slot, header, bytes, view, entries, blocksEnd: blocksEnd(view, entries), record: null };
  }
  const record = decodeRecordBody(header.operation, headerBody(bytes, header.bodyBytes));
  return record.ok ? { slot, header, bytes, view, entries: 0, blocksEnd: 0, record: record.value } : null;
}

function blocksEnd(view: DataView, entries: number): number {
  let end = 0;
  for (let i = 0; i < entries; i++) end = Math.max(end, entrySlot(view, i) + 1);
  return end;
}

/**
 * Verifies the blocks of the commits above `lastFlushed` and cuts the walk off before the first that does not verify.
 * Those up to `lastFlushed` are known to be whole: a flush that completed covered them.
 */
export function cutTornTail(file: StateFile, walk: Walk): Walk {
  const torn = walk.segments.findIndex(
    (segment) => segment.header.sequence > walk.lastFlushed && !blocksVerify(file, segment),
  );
  if (torn < 0) return ensureBlocksInFile(file, walk);
  const cut = walkHeaders(file, walk.superblock, walk.segments[torn].header.sequence - 1);
  cut.lastFlushed = Math.max(cut.lastFlushed, walk.lastFlushed);
  return ensureBlocksInFile(file, cut);
}

function ensureBlocksInFile(file: StateFile, walk: Walk): Walk {
  const slots = file.slots();
  const outside = walk.segments.find(({ blocksEnd }) => blocksEnd > slots);
  if (outside === undefined) return walk;
  throw file.corrupt(
    `commit ${outside.header.sequence} was flushed and needs ${outside.blocksEnd} slots of 4096 bytes, but the file has ${slots}; it was cut short`,
  );
}

/** Whether all blocks of a commit are as its header says. */
export function blocksVerify(file: StateFile, segment: Segment): boolean {
  const slots = file.slots();
  for (const extent of blockExtents(segment)) {
    if (extent.slot + extent.count > slots) return false;
    if (wrongBlock(file, segment, extent, file.read(extent.slot, extent.count)) >= 0) return false;
  }
  return true;
}

/** Blocks that follow each other in the file as they do in a commit's list: `count` of them from entry `entry` on. */
export interface BlockExtent {
  slot: number;
  entry: number;
  count: number;
}

/** All blocks of a commit, in extents that are small enough to be read at once. */
export function* blockExtents({ view, entries }: Segment): Generator<BlockExtent, void> {
  for (let entry = 0; entry < entries; ) {
    const slot = entrySlot(view, entry);
    let count = 1;
    if (slot !== 0) {
      const most = Math.min(CHUNK_SLOTS, entries - entry);
      while (count < most && entrySlot(view, entry + count) === slot + count) count++;
      yield { slot, entry, count };
    }
    entry += count;
  }
}

/** Which of the blocks of `extent`, whose `bytes` these are, is not as the header says; -1 when all are. */
export function wrongBlock(
  file: StateFile,
  { view }: Segment,
  { entry, count }: BlockExtent,
  bytes: Uint8Array,
): number {
  for (let i = 0; i < count; i++) {
    const block = bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES);
    if (!file.hasher.matches(block, view, entryDigestOffset(entry + i))) return i;
  }
  return -1;
}

/** A header above the end of a walk, whose `last flushed` proves that flushed commits are missing. */
export interface LostProof {
  slot: number;
  sequence: number;
  lastFlushed: number;
}

/**
 * Looks through what the walk left of the known log runs, and of those that records found there name, for a header that proves that flushed commits above
 * its end are missing.
 */
export function scanForLost(file: StateFile, walk: Walk): LostProof | null {
  const seen = new SlotSet();
  for (const segment of walk.segments) {
    seen.add(segment.slot);
    seen.addRange(segment.header.furtherSlot, segment.header.furtherSlots);
    for (let i = 0; i < segment.entries; i++) seen.add(entrySlot(segment.view, i));
  }
  const end = file.slots();
  const scan: Scan = { lost: null, reads: SCAN_READS * end, runs: [...walk.knownRuns], records: 0 };
  // Grows while it is gone through.
  for (const run of scan.runs) {
    if (run.slot >= end) continue;
    const runEnd = Math.min(run.slot + run.slots, end);
    seen.gaps(run.slot, runEnd, (from, count) => {
      for (let at = from; at < from + count; at += SCAN_SLOTS) {
        scanChunk(file, walk, at, Math.min(SCAN_SLOTS, from + count - at), scan);
      }
    });
    seen.addRange(run.slot, runEnd - run.slot);
  }
  return scan.lost;
}

interface Scan {
  lost: LostProof | null;
  /** Further slots that may still be read. */
  reads: number;
  /** The known runs, and those that records beyond the end name: the proof may lie there. */
  runs: Run[];
  records: number;
}

function scanChunk(file: StateFile, walk: Walk, from: number, count: number, scan: Scan): void {
  const { uuid } = walk.superblock;
  file.readInto(from, scanned.subarray(0, count * SLOT_BYTES));
  for (let i = 0; i < count && scan.lost === null; i++) {
    // Most slots are still zeros.
    if (scanned[i * SLOT_BYTES] === 0) continue;
    const decoded = decodeHeader(scanned.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES), uuid);
    if (!decoded.ok) continue;
    const { sequence, lastFlushed, furtherSlots, operation } = decoded.value;
    const proves = lastFlushed > walk.sequence;
    if (!proves && (operation === Operation.Commit || sequence <= walk.sequence)) continue;
    scan.reads -= furtherSlots;
    if (scan.reads < 0) throw file.corrupt("the log runs are full of headers that do not verify");
    const segment = readSegment(file, from + i, uuid);
    if (segment === null) continue;
    if (proves) scan.lost = { slot: from + i, sequence, lastFlushed };
    else if (++scan.records <= MAX_SCAN_RECORDS) scan.runs.push(...(segment.record?.runs ?? []));
  }
}
