/**
 * Segment headers: one link of the chain, and the list of what its commit changed. FORMAT.md §7.
 *
 * A header is one run of bytes in memory, of `headerSlots` slots: the first slot and then the further ones, wherever they lie
 * in the file; so the body is contiguous from offset 128 on. Reading one takes three steps, each bounded by the one before:
 * `decodeHeader` sees whether the first slot is plausible and how many slots there are, `verifyHeader` whether all of them
 * verify, `decodeEntries` or `decodeRecordBody` what the body (`headerBody`) says.
 */
import { equalBytes, readU64, u64Text, viewOf, writeU64 } from "../base/bytes.js";
import type { Hasher } from "../hash/hasher.js";
import {
  ENTRY_BYTES,
  FIRST_SLOT,
  FIRST_SLOT_BODY_BYTES,
  HEADER_BODY_OFFSET,
  Kind,
  MAX_BLOCK,
  MAX_FILE_SLOTS,
  SLOT_BYTES,
  UUID_BYTES,
} from "./constants.js";
import { type Decoded, damaged, decoded, type Failure } from "./decoded.js";
import { Operation } from "./operation.js";
import { checkPreamble, sealDigest, verifyDigest, writePreamble } from "./preamble.js";
import { recordBodyFits } from "./record.js";
import {
  COMMIT_ENTRY,
  firstProblem,
  HEADER,
  PREAMBLE,
  type Rules,
  readFields,
  readPlain,
  type Values,
  writeFields,
} from "./schema.js";

export { Operation } from "./operation.js";
export { decodeRecordBody, encodeRecordBody, type RecordBody } from "./record.js";

export interface SegmentHeader {
  uuid: Uint8Array;
  /** 1, 2, 3 …: that of the previous header + 1. */
  sequence: number;
  writer: number;
  /** Digest of the previous header. */
  previous: bigint;
  /** The last sequence written when the latest completed flush was issued; below `sequence`. */
  lastFlushed: number;
  /** Milliseconds since 1970. */
  time: number;
  /** Slot in which the next header begins. */
  next: number;
  operation: Operation;
  bodyBytes: number;
  /** Where the header goes on; 0 when one slot is enough. */
  furtherSlot: number;
  furtherSlots: number;
  digest: bigint;
}

/** Slots that a header with a body of so many bytes takes. */
export function headerSlots(bodyBytes: number): number {
  return 1 + Math.ceil(Math.max(0, bodyBytes - FIRST_SLOT_BODY_BYTES) / SLOT_BYTES);
}

/** A zeroed header with room for a body of `bodyBytes` at offset 128. */
export function newHeader(bodyBytes: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(headerSlots(bodyBytes) * SLOT_BYTES);
  return { bytes, view: viewOf(bytes) };
}

/**
 * Writes everything but the body, which the caller has written, and zeros behind it; returns the digest. The bytes of
 * an earlier header may be used again.
 */
export function sealHeader(
  bytes: Uint8Array,
  view: DataView,
  fields: Omit<SegmentHeader, "digest">,
  hasher: Hasher,
): bigint {
  const { bodyBytes } = fields;
  if (bytes.length !== headerSlots(bodyBytes) * SLOT_BYTES) {
    throw new RangeError(`${bytes.length} bytes for a header with a body of ${bodyBytes}`);
  }
  bytes.fill(0, HEADER.fields.reserved.offset, HEADER_BODY_OFFSET);
  bytes.fill(0, HEADER_BODY_OFFSET + bodyBytes);
  writePreamble(bytes, view, Kind.Segment, fields.uuid);
  writeFields(view, 0, HEADER, fields);
  return sealDigest(bytes, view, hasher);
}

/**
 * Whether a slot looks like the first slot of a header of the file `uuid`; the digest is not verified yet. The further slots
 * are as many as the body needs; they may still lie past the end of the file, so compare before reading them.
 */
export function decodeHeader(first: Uint8Array, uuid: Uint8Array): Decoded<SegmentHeader> {
  const view = viewOf(first);
  const failure = checkPreamble(view, Kind.Segment);
  if (failure !== null) return failure;
  const found = first.subarray(PREAMBLE.fields.uuid.offset, PREAMBLE.fields.uuid.offset + UUID_BYTES);
  if (!equalBytes(found, uuid)) return otherFile;
  const fields = readFields(view, 0, HEADER);
  const problem = firstProblem(HEADER, fields, headerRules);
  if (problem !== null) return damaged(problem);
  const digest = readPlain(view, PREAMBLE.fields.digest.offset, "digest") as bigint;
  return decoded({ uuid: found.slice(), ...fields, digest });
}

const otherFile: Failure = Object.freeze({
  ok: false,
  reason: "foreign",
  message: "a segment header of another file",
});

/** What can be wrong with the fields of a header. */
export const headerRules: Rules<Values<typeof HEADER>> = {
  sequence: ({ sequence }) => (sequence >= 1 ? null : "sequence 0"),
  lastFlushed: ({ lastFlushed, sequence }) =>
    lastFlushed < sequence ? null : `last flushed ${lastFlushed} in the header of ${u64Text(sequence)}`,
  next: ({ next }) =>
    next >= FIRST_SLOT && next + 2 <= MAX_FILE_SLOTS ? null : `the next header in slot ${next}`,
  operation: ({ operation }) => (operation <= Operation.Restore ? null : `operation ${operation}`),
  bodyBytes: ({ operation, bodyBytes }) => {
    const fits = operation === Operation.Commit ? bodyBytes % ENTRY_BYTES === 0 : recordBodyFits(bodyBytes);
    return fits ? null : `a body of ${bodyBytes} bytes for operation ${operation}`;
  },
  furtherSlot: ({ furtherSlot, furtherSlots }) => {
    const fits = furtherSlot >= FIRST_SLOT && furtherSlot + furtherSlots <= MAX_FILE_SLOTS;
    return (furtherSlots === 0 ? furtherSlot === 0 : fits)
      ? null
      : `${furtherSlots} further slots at ${furtherSlot}`;
  },
  furtherSlots: ({ furtherSlots, bodyBytes }) =>
    furtherSlots === headerSlots(bodyBytes) - 1
      ? null
      : `${furtherSlots} further slots for ${bodyBytes} bytes`,
};

/** The body of a header, given all its slots and how long the header says it is. */
export function headerBody(bytes: Uint8Array, bodyBytes: number): Uint8Array {
  return bytes.subarray(HEADER_BODY_OFFSET, HEADER_BODY_OFFSET + bodyBytes);
}

/** Whether the digest verifies; `bytes` are all slots of the header, in order, and are left as they were. */
export function verifyHeader(bytes: Uint8Array, hasher: Hasher): boolean {
  if (bytes.length < SLOT_BYTES) return false;
  const view = viewOf(bytes);
  const bodyBytes = view.getUint32(HEADER.fields.bodyBytes.offset, true);
  return bytes.length === headerSlots(bodyBytes) * SLOT_BYTES && verifyDigest(bytes, view, hasher);
}

/** A block that a commit changed. */
export interface CommitEntry {
  block: number;
  /** Where it lies; 0 when the commit discards it. */
  slot: number;
  digest: bigint;
}

const slotField = COMMIT_ENTRY.fields.slot.offset;
const digestField = COMMIT_ENTRY.fields.digest.offset;
const entryOffset = (index: number): number => HEADER_BODY_OFFSET + index * ENTRY_BYTES;

/** Block and slot of entry `index` in a header; its digest goes to `entryDigestOffset`. */
export function setEntry(view: DataView, index: number, block: number, slot: number): void {
  const at = entryOffset(index);
  writeU64(view, at, block);
  writeU64(view, at + slotField, slot);
}

/** Where in a header the digest of entry `index` lies; those of the following entries are `ENTRY_BYTES` apart. */
export function entryDigestOffset(index: number): number {
  return entryOffset(index) + digestField;
}

export function entryBlock(view: DataView, index: number): number {
  return readU64(view, entryOffset(index));
}

export function entrySlot(view: DataView, index: number): number {
  return readU64(view, entryOffset(index) + slotField);
}

/**
 * What is wrong with the body of a commit in a file of `fileSlots` slots; null when nothing is. For those who go on to read the
 * entries in place.
 */
export function entriesProblem(body: Uint8Array, fileSlots = MAX_FILE_SLOTS): string | null {
  if (body.length % ENTRY_BYTES !== 0) return `a body of ${body.length} bytes`;
  const view = viewOf(body);
  const count = body.length / ENTRY_BYTES;
  const blocks = new Float64Array(count);
  const slots = new Float64Array(count);
  let slotCount = 0;
  for (let i = 0; i < count; i++) {
    const problem = entryProblem(view, i * ENTRY_BYTES, fileSlots);
    if (problem !== null) return `entry ${i}: ${problem}`;
    blocks[i] = readU64(view, i * ENTRY_BYTES);
    const slot = readU64(view, i * ENTRY_BYTES + slotField);
    if (slot !== 0) slots[slotCount++] = slot;
  }
  const block = firstTwice(blocks);
  if (block !== null) return `block ${block} twice`;
  const slot = firstTwice(slots.subarray(0, slotCount));
  return slot === null ? null : `slot ${slot} twice`;
}

/** What is wrong with the entry at `at`, apart from what the others say; null when nothing is. */
export function entryProblem(view: DataView, at: number, fileSlots = MAX_FILE_SLOTS): string | null {
  const block = readU64(view, at);
  const slot = readU64(view, at + slotField);
  if (!(block < MAX_BLOCK)) return `block ${u64Text(block)}`;
  if (slot >= FIRST_SLOT && slot < fileSlots) return null;
  if (slot !== 0) return `slot ${u64Text(slot)} of ${fileSlots}`;
  return view.getBigUint64(at + digestField, true) === 0n ? null : `discards block ${block} but has a digest`;
}

/** A number that occurs twice; null when none does. Sorts in place, but only what is not in order already. */
function firstTwice(numbers: Float64Array): number | null {
  for (let pass = 0; pass < 2; pass++) {
    let i = 1;
    while (i < numbers.length && numbers[i - 1] < numbers[i]) i++;
    if (i >= numbers.length) return null;
    if (pass === 1) return numbers[i];
    numbers.sort();
  }
  return null;
}

/** The entries in the body of a commit. */
export function decodeEntries(body: Uint8Array, fileSlots = MAX_FILE_SLOTS): Decoded<CommitEntry[]> {
  const problem = entriesProblem(body, fileSlots);
  if (problem !== null) return damaged(problem);
  const view = viewOf(body);
  const count = body.length / ENTRY_BYTES;
  return decoded(Array.from({ length: count }, (_, i) => readFields(view, i * ENTRY_BYTES, COMMIT_ENTRY)));
}
