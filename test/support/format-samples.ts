// Structures of the state file for tests: the hasher, one valid sample of each structure, and ways to break them.

import fc from "fast-check";
import { viewOf, writeU64 } from "../../bindings/base/bytes.js";
import { MAX_FILE_SLOTS } from "../../bindings/format/constants.js";
import type { SnapshotEntry } from "../../bindings/format/directory.js";
import { PREAMBLE } from "../../bindings/format/schema.js";
import {
  encodeRecordBody,
  headerSlots,
  newHeader,
  Operation,
  type RecordBody,
  type SegmentHeader,
  sealHeader,
  setEntry,
} from "../../bindings/format/segment.js";
import { EMPTY_ROOT, type Root, type Run, type Superblock } from "../../bindings/format/superblock.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";

export const hasher = WasmHasher.create();
export const uuid = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);

/** A superblock that decodes, with `changes`. */
export function sampleSuperblock(changes: Partial<Superblock> = {}): Superblock {
  return {
    uuid,
    generation: 4,
    sequence: 17,
    writer: 2,
    time: 1_700_000_000_000,
    image: { slot: 9, digest: 0x0123456789abcdefn, height: 2 },
    freeMap: { slot: 10, digest: 1n, height: 1 },
    directory: EMPTY_ROOT,
    fileSlots: 300,
    chainDigest: 0xfedcba9876543210n,
    chainNext: 40,
    runs: [
      { slot: 30, slots: 20 },
      { slot: 100, slots: 64 },
    ],
    ...changes,
  };
}

export type HeaderFields = Omit<SegmentHeader, "digest">;

export function headerFields(
  bodyBytes: number,
  operation: Operation,
  changes: Partial<HeaderFields> = {},
): HeaderFields {
  const furtherSlots = headerSlots(bodyBytes) - 1;
  return {
    uuid,
    sequence: 18,
    writer: 2,
    previous: 0xfedcba9876543210n,
    lastFlushed: 15,
    time: 1_700_000_000_001,
    next: 45,
    operation,
    bodyBytes,
    furtherSlot: furtherSlots === 0 ? 0 : 50,
    furtherSlots,
    ...changes,
  };
}

/** A commit's header of blocks with their slots; slot 0 discards. Digests are arbitrary. */
export function sampleCommit(
  entries: readonly { block: number; slot: number }[],
  changes: Partial<HeaderFields> = {},
): Uint8Array {
  const bodyBytes = entries.length * 24;
  const { bytes, view } = newHeader(bodyBytes);
  entries.forEach(({ block, slot }, i) => {
    setEntry(view, i, block, slot);
    if (slot !== 0) view.setBigUint64(128 + i * 24 + 16, 0x1111n * BigInt(i + 1), true);
  });
  sealHeader(bytes, view, headerFields(bodyBytes, Operation.Commit, changes), hasher);
  return bytes;
}

export function sampleRecord(operation: Operation, record: RecordBody): Uint8Array {
  const body = encodeRecordBody(operation, record);
  const { bytes, view } = newHeader(body.length);
  bytes.set(body, 128);
  sealHeader(bytes, view, headerFields(body.length, operation, { next: record.runs[0].slot }), hasher);
  return bytes;
}

/** Computes the digest of a changed structure again, as a hostile writer would. */
export function reseal(bytes: Uint8Array): Uint8Array {
  const view = viewOf(bytes);
  const { offset } = PREAMBLE.fields.digest;
  view.setBigUint64(offset, 0n, true);
  hasher.digest(bytes, view, offset);
  return bytes;
}

/** A copy with some u64, u32 or u16 replaced. Values of 2⁵³ and more are given as bigint. */
export function changed(bytes: Uint8Array, at: number, value: number | bigint, width = 8): Uint8Array {
  const copy = bytes.slice();
  const view = viewOf(copy);
  if (typeof value === "bigint") view.setBigUint64(at, value, true);
  else if (width === 8) writeU64(view, at, value);
  else if (width === 4) view.setUint32(at, value, true);
  else view.setUint16(at, value, true);
  return copy;
}

/** The bytes that the parts say, at their offsets, and zeros between them. */
export function handWritten(
  length: number,
  parts: readonly (readonly [at: number, hex: string])[],
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const [at, hex] of parts) {
    hex
      .trim()
      .split(/\s+/)
      .forEach((pair, i) => {
        bytes[at + i] = Number.parseInt(pair, 16);
      });
  }
  return bytes;
}

const u64 = (max = Number.MAX_SAFE_INTEGER) => fc.integer({ min: 0, max });
const digests = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

/** fast-check's records without the objects of no prototype that it mixes in, which no decoder returns. */
export const plainRecord = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(fields, { noNullPrototype: true });

export function roots(fileSlots: number): fc.Arbitrary<Root> {
  if (fileSlots <= 3) return fc.constant(EMPTY_ROOT);
  const slot = fc.integer({ min: 3, max: fileSlots - 1 });
  const present = plainRecord<Root>({ slot, digest: digests, height: fc.integer({ min: 1, max: 5 }) });
  return fc.oneof(fc.constant(EMPTY_ROOT), present);
}

/** Log runs that do not overlap, in any order, the first of at least two slots. */
export const logRuns: fc.Arbitrary<Run[]> = fc
  .array(plainRecord({ gap: u64(2 ** 30), slots: fc.integer({ min: 2, max: 2 ** 30 }) }), {
    minLength: 1,
    maxLength: 256,
  })
  .chain((spaced) => {
    let end = 3;
    const runs = spaced.map(({ gap, slots }) => {
      const slot = end + gap;
      end = slot + slots;
      return { slot, slots };
    });
    return fc.shuffledSubarray(runs, { minLength: runs.length, maxLength: runs.length });
  });

export const superblocks: fc.Arbitrary<Superblock> = fc
  .tuple(fc.integer({ min: 3, max: MAX_FILE_SLOTS }), logRuns)
  .chain(([fileSlots, runs]) =>
    plainRecord({
      uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      generation: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      sequence: u64(),
      writer: u64(),
      time: u64(),
      image: roots(fileSlots),
      freeMap: roots(fileSlots),
      directory: roots(fileSlots),
      fileSlots: fc.constant(fileSlots),
      chainDigest: digests,
      chainNext: fc.constantFrom(...runs).map((run) => run.slot + run.slots - 2),
      runs: fc.constant(runs),
    }),
  );

/** Names of snapshots of any characters, up to their limit. */
export const names: fc.Arbitrary<string> = fc
  .oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
    fc.string({ unit: "binary", minLength: 1 }),
  )
  .filter((name) => !/\p{Surrogate}/u.test(name) && new TextEncoder().encode(name).length <= 1024);

export const snapshots: fc.Arbitrary<SnapshotEntry[]> = fc.uniqueArray(
  plainRecord({ name: names, root: roots(MAX_FILE_SLOTS), sequence: u64(), time: u64() }),
  { selector: ({ name }) => name, maxLength: 200 },
);

/** Up to 8 bytes to overwrite, anywhere in `length` bytes but more often among the first 256. */
export function overwrites(length: number): fc.Arbitrary<[at: number, value: number][]> {
  const at = fc.oneof(
    fc.integer({ min: 0, max: Math.min(255, length - 1) }),
    fc.integer({ min: 0, max: length - 1 }),
  );
  return fc.array(fc.tuple(at, fc.constantFrom(0, 1, 2, 3, 0x7f, 0x80, 0xff)), {
    minLength: 1,
    maxLength: 8,
  });
}

export function overwritten(bytes: Uint8Array, values: readonly [at: number, value: number][]): Uint8Array {
  const copy = bytes.slice();
  for (const [at, value] of values) copy[at] = value;
  return copy;
}

/** How to break a sample: so that a counterexample is short to print. */
export interface Breakage {
  sample: number;
  values: [at: number, value: number][];
  /** The digest is computed again; otherwise the bytes are cut to this length. */
  length: number | null;
}

export function breakages(sampleCount: number, reach: number): fc.Arbitrary<Breakage> {
  return plainRecord<Breakage>({
    sample: fc.nat(sampleCount - 1),
    values: overwrites(reach),
    length: fc.option(fc.nat(9000)),
  });
}

export function broken(samples: readonly Uint8Array[], { sample, values, length }: Breakage): Uint8Array {
  const bytes = overwritten(samples[sample], values);
  return length === null ? reseal(bytes) : bytes.slice(0, length);
}
