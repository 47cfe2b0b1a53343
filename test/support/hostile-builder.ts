// Builds state files slot by slot, with digests that verify and contents that need not be true. A new builder is an honest little file; a test
// then changes what it wants to lie about, and `finish` seals it.

import { FREE_PAGE_SLOTS, HEADER_BODY_OFFSET } from "../../bindings/format/constants.js";
import type { SnapshotEntry } from "../../bindings/format/directory.js";
import { encodeDirectory } from "../../bindings/format/directory.js";
import { Plane, planeOf } from "../../bindings/format/free-map.js";
import {
  encodeRecordBody,
  headerSlots,
  newHeader,
  Operation,
  type RecordBody,
  type SegmentHeader,
  sealHeader,
} from "../../bindings/format/segment.js";
import {
  EMPTY_ROOT,
  encodeSuperblock,
  type Root,
  type Superblock,
} from "../../bindings/format/superblock.js";
import type { Hasher } from "../../bindings/hash/hasher.js";
import { hasher } from "./hostile-hasher.js";
import { blockOf, SLOT } from "./hostile-samples.js";

export interface Placed {
  slot: number;
  digest: bigint;
}

export type Entries = ReadonlyMap<number, Placed>;

/** What one commit in the chain changes. */
export interface LyingCommit {
  entries: readonly { block: number; slot: number; digest: bigint }[];
  header?: Partial<SegmentHeader>;
}

const uuid = Uint8Array.from({ length: 16 }, (_, i) => 0x10 + i);

/** Accepts whatever is there: with it trees and chains can bite their own tail, which a hash makes hard to build. */
export const credulous: Hasher = {
  digest: (_, out, at) => out.setBigUint64(at, 1n, true),
  digestBlocks: (bytes, out, at, stride) => {
    for (let i = 0; i < bytes.length / SLOT; i++) out.setBigUint64(at + i * stride, 1n, true);
  },
  matches: () => true,
};

export class HostileFile {
  /** Bytes of the slots that were put; the others are zeros. */
  private readonly slots = new Map<number, Uint8Array>();
  private free = 3;
  /** What the free map will say. */
  readonly imagePlane = new Set<number>();
  readonly heldPlane = new Set<number>();
  image: Root = EMPTY_ROOT;
  directory: Root = EMPTY_ROOT;
  /** Built by `finish` from the planes unless it is set. */
  freeMap: Root | null = null;
  /** Slots 64 to 127, unless it is changed. */
  superblock: Partial<Superblock> = { chainNext: 64, runs: [{ slot: 64, slots: 64 }] };
  /** Written as generation 1 beside generation 2; the same content by default. */
  fallback: Partial<Superblock> = {};
  size = 128;
  private chain: { sequence: number; digest: bigint; next: number } | null = null;

  constructor(readonly hasher: Hasher = hasherOfTests) {}

  /** A slot that nothing has been put in yet. */
  take(count = 1): number {
    const first = this.free;
    this.free += count;
    return first;
  }

  put(bytes: Uint8Array, slot = this.take()): Placed {
    this.slots.set(slot, bytes);
    this.size = Math.max(this.size, slot + 1);
    return { slot, digest: this.digest(bytes) };
  }

  digest(bytes: Uint8Array): bigint {
    const out = new DataView(new ArrayBuffer(8));
    this.hasher.digest(bytes, out, 0);
    return out.getBigUint64(0, true);
  }

  /** A block with the content of `value`, which the image plane has. */
  block(value: number, slot?: number): Placed {
    const placed = this.put(blockOf(value), slot);
    this.imagePlane.add(placed.slot);
    return placed;
  }

  /** A node of these entries; the image plane has it. */
  node(entries: Entries, slot?: number): Placed {
    const placed = this.put(nodeBytes(entries), slot);
    this.imagePlane.add(placed.slot);
    return placed;
  }

  /** A node whose 256 entries are all the same. */
  bomb(below: Placed): Placed {
    return this.node(new Map(Array.from({ length: 256 }, (_, i) => [i, below])));
  }

  root({ slot, digest }: Placed, height: number): Root {
    return { slot, digest, height };
  }

  /** An image of the blocks 0 … `count` − 1, with contents 1 … `count`, below one node. */
  honestImage(count = 8): Map<number, Placed> {
    const entries = new Map(Array.from({ length: count }, (_, i) => [i, this.block(i + 1)]));
    this.image = this.root(this.node(entries), 1);
    return entries;
  }

  /** A directory of these snapshots; a stream that is not one can be given as leaves. */
  snapshots(entries: readonly SnapshotEntry[]): void {
    this.directoryOf(encodeDirectory(entries));
  }

  directoryOf(leaves: readonly Uint8Array[]): void {
    let level = leaves.map((bytes) => this.put(bytes));
    let height = 0;
    do {
      const nodes: Placed[] = [];
      for (let i = 0; i < level.length; i += 256) {
        nodes.push(this.put(nodeBytes(new Map(level.slice(i, i + 256).entries()))));
      }
      level = nodes;
      height++;
    } while (level.length > 1);
    this.directory = this.root(level[0], height);
  }

  /** The snapshot of the image as it is now. */
  honestSnapshot(name: string): SnapshotEntry {
    for (const slot of this.imagePlane) this.heldPlane.add(slot);
    return { name, root: this.image, sequence: 1, time: 1 };
  }

  /** The next header of the chain: a commit. */
  commit({ entries, header = {} }: LyingCommit): void {
    const body = new Uint8Array(entries.length * 24);
    const view = new DataView(body.buffer);
    entries.forEach(({ block, slot, digest }, i) => {
      view.setBigUint64(24 * i, BigInt(block), true);
      view.setBigUint64(24 * i + 8, BigInt(slot), true);
      view.setBigUint64(24 * i + 16, digest, true);
    });
    this.header(Operation.Commit, body, header);
  }

  record(operation: Operation, body: RecordBody, header: Partial<SegmentHeader> = {}): void {
    this.header(operation, encodeRecordBody(operation, body), { next: body.runs[0].slot, ...header });
  }

  private header(operation: Operation, body: Uint8Array, changes: Partial<SegmentHeader>): void {
    const chain = this.chain ?? {
      sequence: this.superblock.sequence ?? 10,
      digest: this.superblock.chainDigest ?? 77n,
      next: this.superblock.chainNext!,
    };
    const further = headerSlots(body.length) - 1;
    const { bytes, view } = newHeader(body.length);
    bytes.set(body, HEADER_BODY_OFFSET);
    const fields = {
      uuid,
      sequence: chain.sequence + 1,
      writer: 5,
      previous: chain.digest,
      lastFlushed: chain.sequence,
      time: 1,
      next: chain.next + 1 + further,
      operation,
      furtherSlot: further === 0 ? 0 : chain.next + 1,
      furtherSlots: further,
      ...changes,
      bodyBytes: body.length,
    };
    let digest = sealHeader(bytes, view, fields, this.hasher);
    if (changes.bodyBytes !== undefined) {
      view.setUint32(92, changes.bodyBytes, true);
      view.setBigUint64(16, 0n, true);
      digest = this.digest(bytes);
      view.setBigUint64(16, digest, true);
    }
    this.put(bytes.slice(0, SLOT), chain.next);
    for (let i = 0; i < further; i++)
      this.put(bytes.slice((i + 1) * SLOT, (i + 2) * SLOT), fields.furtherSlot + i);
    this.chain = { sequence: fields.sequence, digest, next: fields.next };
  }

  /** The bytes of the file. */
  finish(): Uint8Array {
    const freeMap = this.freeMap ?? this.freeMapOf(this.imagePlane, this.heldPlane);
    const base: Superblock = {
      uuid,
      generation: 2,
      sequence: 10,
      writer: 5,
      time: 1,
      image: this.image,
      freeMap,
      directory: this.directory,
      fileSlots: Math.max(this.free, 3),
      chainDigest: 77n,
      chainNext: 0,
      runs: [],
      ...this.superblock,
    };
    const older = { ...base, generation: base.generation - 1, ...this.fallback };
    const bytes = new Uint8Array(this.size * SLOT);
    for (const [slot, content] of this.slots) bytes.set(content, slot * SLOT);
    if (older.generation > 0) bytes.set(encodeSuperblock(older, this.hasher), (older.generation % 2) * SLOT);
    bytes.set(encodeSuperblock(base, this.hasher), (base.generation % 2) * SLOT);
    return bytes;
  }

  freeMapOf(image: Iterable<number>, held: Iterable<number>): Root {
    const pages = new Map<number, Uint8Array>();
    const set = (plane: Plane) => (slot: number) => {
      const page = Math.floor(slot / FREE_PAGE_SLOTS);
      const bytes = pages.get(page) ?? new Uint8Array(SLOT);
      pages.set(page, bytes);
      const bit = slot % FREE_PAGE_SLOTS;
      planeOf(bytes, plane)[bit >> 3] |= 1 << (bit & 7);
    };
    [...image].forEach(set(Plane.Image));
    [...held].forEach(set(Plane.Held));
    if (pages.size === 0) return EMPTY_ROOT;
    const leaves = new Map([...pages].map(([page, bytes]) => [page, this.put(bytes)]));
    return this.root(this.put(nodeBytes(leaves)), 1);
  }
}

const hasherOfTests: Hasher = hasher;

export function nodeBytes(entries: Entries): Uint8Array {
  const bytes = new Uint8Array(SLOT);
  const view = new DataView(bytes.buffer);
  for (const [index, { slot, digest }] of entries) {
    view.setBigUint64(16 * index, BigInt(slot), true);
    view.setBigUint64(16 * index + 8, digest, true);
  }
  return bytes;
}
