// A reader of state files written from docs/FORMAT.md alone: it shares no code with bindings/, hashes with hash-wasm, and takes
// the shortest way to each answer (it reads the whole file and verifies every block). Where it and the pager disagree,
// one of them has misread the document.

import { createXXHash3 } from "hash-wasm";

const SLOT = 4096;

/** What the file says, or why it says nothing. */
export type Refusal = "CORRUPT" | "VERSION" | "FORWARDED";

export class FileRefused extends Error {
  constructor(
    readonly code: Refusal,
    message: string,
  ) {
    super(message);
  }
}

export interface IndependentSnapshot {
  sequence: number;
  blocks: Map<number, Uint8Array>;
}

export interface IndependentState {
  uuid: Uint8Array;
  generation: number;
  /** Of the commit that the file holds. */
  sequence: number;
  /** Every block that the image has, verified. */
  blocks: Map<number, Uint8Array>;
  snapshots: Map<string, IndependentSnapshot>;
  /** Slots of which the superblock's free map says something else than its trees do. */
  misaccounted: number[];
}

interface Root {
  slot: number;
  digest: bigint;
  height: number;
}

interface Run {
  slot: number;
  slots: number;
}

interface Superblock {
  uuid: bigint[];
  generation: number;
  sequence: number;
  writer: number;
  image: Root;
  freeMap: Root;
  directory: Root;
  fileSlots: number;
  chainDigest: bigint;
  chainNext: number;
  runs: Run[];
}

interface Header {
  slot: number;
  slots: number[];
  digest: bigint;
  sequence: number;
  writer: number;
  previous: bigint;
  lastFlushed: number;
  next: number;
  operation: number;
  /** Of a commit; slot 0 discards. */
  entries: { block: number; slot: number; digest: bigint }[];
  /** Of a record. */
  runs: Run[] | null;
  restored: Root | null;
  name: string;
}

/** Where a block lies and what it has to be; blocks are read when all is decided. */
type Places = Map<number, { slot: number; digest: bigint }>;

/** §6: an absent entry is all zeros, other slots lie in the file. */
class Slots {
  readonly count: number;

  constructor(
    private readonly file: Uint8Array,
    private readonly xxh3: (parts: Uint8Array[]) => bigint,
  ) {
    this.count = Math.floor(file.length / SLOT);
  }

  at(slot: number): Uint8Array {
    if (slot + 1 > this.count) throw new FileRefused("CORRUPT", `slot ${slot} is not in the file`);
    return this.file.subarray(slot * SLOT, (slot + 1) * SLOT);
  }

  digest(parts: Uint8Array[]): bigint {
    return this.xxh3(parts);
  }

  holds(slot: number, digest: bigint): boolean {
    return slot < this.count && this.digest([this.at(slot)]) === digest;
  }

  verified(slot: number, digest: bigint): Uint8Array {
    if (slot < 3) throw new FileRefused("CORRUPT", `a tree leads to slot ${slot}`);
    if (!this.holds(slot, digest)) throw new FileRefused("CORRUPT", `slot ${slot} does not verify`);
    return this.at(slot);
  }

  /** Of a structure with a preamble: its digest field counts as zero. */
  sealedDigest(parts: Uint8Array[]): bigint {
    const first = parts[0].slice();
    first.fill(0, 16, 24);
    return this.digest([first, ...parts.slice(1)]);
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** NaN from 2⁵³ on, which no comparison accepts. */
function u64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value < 2n ** 53n ? Number(value) : Number.NaN;
}

function rootAt(view: DataView, at: number): Root {
  return {
    slot: u64(view, at),
    digest: view.getBigUint64(at + 8, true),
    height: view.getUint32(at + 16, true),
  };
}

function runsAt(view: DataView, at: number, count: number): Run[] {
  return Array.from({ length: count }, (_, i) => ({
    slot: u64(view, at + 12 * i),
    slots: view.getUint32(at + 12 * i + 8, true),
  }));
}

const uuidAt = (view: DataView) => [view.getBigUint64(24, true), view.getBigUint64(32, true)];
const sameUuid = (a: bigint[], b: bigint[]) => a[0] === b[0] && a[1] === b[1];
const magic = [0x89, 0x50, 0x45, 0x52, 0x44, 0x55, 0x52, 0x45];
const hasMagic = (bytes: Uint8Array) => magic.every((byte, i) => bytes[i] === byte);

/** Two slots from `next` on lie in one of the runs. */
const fitsIn = (runs: readonly Run[], next: number) =>
  runs.some(({ slot, slots }) => next >= slot && next + 2 <= slot + slots);

/** §3, §4. Null when the slot holds no valid superblock. */
function superblockIn(slots: Slots, slot: 0 | 1): Superblock | null {
  if (slot >= slots.count) return null;
  const bytes = slots.at(slot);
  const view = viewOf(bytes);
  if (!hasMagic(bytes) || view.getUint32(12, true) !== 1) return null;
  if (slots.sealedDigest([bytes]) !== view.getBigUint64(16, true)) return null;
  if (view.getUint16(8, true) > 1) throw new FileRefused("VERSION", "written in a later format");
  if (view.getUint16(8, true) !== 1) return null;
  const generation = u64(view, 40);
  if (!(generation >= 1) || generation % 2 !== slot) return null;
  return {
    uuid: uuidAt(view),
    generation,
    sequence: u64(view, 48),
    writer: u64(view, 56),
    image: rootAt(view, 72),
    freeMap: rootAt(view, 96),
    directory: rootAt(view, 120),
    fileSlots: u64(view, 144),
    chainDigest: view.getBigUint64(152, true),
    chainNext: u64(view, 160),
    runs: runsAt(view, 192, view.getUint32(168, true)),
  };
}

/** §7. The header that begins in `slot`, when it is one of this file. */
function headerIn(slots: Slots, slot: number, uuid: bigint[]): Header | null {
  if (!(slot < slots.count)) return null;
  const first = slots.at(slot);
  const view = viewOf(first);
  if (!hasMagic(first) || view.getUint16(8, true) !== 1 || view.getUint32(12, true) !== 2) return null;
  if (!sameUuid(uuidAt(view), uuid)) return null;
  const furtherSlot = u64(view, 96);
  const furtherSlots = view.getUint32(104, true);
  if (furtherSlots > 0 && !(furtherSlot >= 3 && furtherSlot + furtherSlots <= slots.count)) return null;
  const all = [slot, ...Array.from({ length: furtherSlots }, (_, i) => furtherSlot + i)];
  const parts = all.map((each) => slots.at(each));
  const digest = view.getBigUint64(16, true);
  if (slots.sealedDigest(parts) !== digest) return null;
  const whole = new Uint8Array(all.length * SLOT);
  parts.forEach((part, i) => whole.set(part, i * SLOT));
  const bodyBytes = view.getUint32(92, true);
  if (128 + bodyBytes > whole.length) return null;
  const header: Header = {
    slot,
    slots: all,
    digest,
    sequence: u64(view, 40),
    writer: u64(view, 48),
    previous: view.getBigUint64(56, true),
    lastFlushed: u64(view, 64),
    next: u64(view, 80),
    operation: view.getUint32(88, true),
    entries: [],
    runs: null,
    restored: null,
    name: "",
  };
  const body = whole.subarray(128, 128 + bodyBytes);
  if (header.operation === 0) header.entries = entriesOf(body);
  else if (header.operation <= 4) Object.assign(header, recordOf(body, header.operation));
  else return null;
  return header.entries.every(({ slot }) => slot === 0 || slot >= 3) ? header : null;
}

function entriesOf(body: Uint8Array): Header["entries"] {
  const view = viewOf(body);
  return Array.from({ length: body.length / 24 }, (_, i) => ({
    block: u64(view, 24 * i),
    slot: u64(view, 24 * i + 8),
    digest: view.getBigUint64(24 * i + 16, true),
  }));
}

function recordOf(body: Uint8Array, operation: number): Pick<Header, "runs" | "restored" | "name"> {
  const view = viewOf(body);
  const runCount = view.getUint32(0, true);
  const rootBytes = operation === 4 ? 24 : 0;
  const nameAt = 8 + 12 * runCount + rootBytes;
  const name = body.subarray(nameAt, nameAt + view.getUint32(4, true));
  return {
    runs: runsAt(view, 8, runCount),
    restored: operation === 4 ? rootAt(view, nameAt - 24) : null,
    name: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name),
  };
}

/** §7, "The walk". */
function walk(slots: Slots, superblock: Superblock): Header[] {
  const found: Header[] = [];
  let { sequence, chainDigest: digest, chainNext: next, runs } = superblock;
  for (;;) {
    const header = headerIn(slots, next, superblock.uuid);
    if (header === null) break;
    runs = header.runs ?? runs;
    const follows = header.sequence === sequence + 1 && header.previous === digest;
    if (!follows || header.writer < superblock.writer || !fitsIn(runs, header.next)) break;
    found.push(header);
    ({ sequence, digest, next } = header);
  }
  const flushed = Math.max(superblock.sequence, ...found.map((header) => header.lastFlushed));
  const torn = found.findIndex(
    (header) =>
      header.sequence > flushed &&
      header.entries.some((entry) => entry.slot !== 0 && !slots.holds(entry.slot, entry.digest)),
  );
  return torn < 0 ? found : found.slice(0, torn);
}

/** §7, the end of "The walk": headers that prove flushed commits lost. */
function refuseLostCommits(slots: Slots, superblock: Superblock, chain: readonly Header[]): void {
  const end = chain.at(-1)?.sequence ?? superblock.sequence;
  const walked = new Set(
    chain.flatMap((header) => [...header.slots, ...header.entries.map(({ slot }) => slot)]),
  );
  const runs = [superblock.runs, ...chain.map((header) => header.runs ?? [])].flat();
  for (const run of runs) {
    for (let slot = run.slot; slot < Math.min(run.slot + run.slots, slots.count); slot++) {
      const header = walked.has(slot) ? null : headerIn(slots, slot, superblock.uuid);
      if (header !== null && header.sequence > end && header.lastFlushed > end) {
        throw new FileRefused(
          "CORRUPT",
          `commit ${header.lastFlushed} was flushed, but the chain ends at ${end}`,
        );
      }
    }
  }
}

/** §6. Calls `visit` with every leaf that is there, and `node` with the slot of every node. */
function leaves(
  slots: Slots,
  root: Root,
  visit: (leaf: number, slot: number, digest: bigint) => void,
  node: (slot: number) => void = () => {},
  base = 0,
): void {
  if (root.slot === 0) return;
  if (root.height > 5) throw new FileRefused("CORRUPT", `a tree of height ${root.height}`);
  node(root.slot);
  const view = viewOf(slots.verified(root.slot, root.digest));
  for (let i = 0; i < 256; i++) {
    const slot = u64(view, 16 * i);
    const digest = view.getBigUint64(16 * i + 8, true);
    if (slot === 0) continue;
    const leaf = base + i * 256 ** (root.height - 1);
    if (root.height === 1) visit(leaf, slot, digest);
    else leaves(slots, { slot, digest, height: root.height - 1 }, visit, node, leaf);
  }
}

function placesOf(slots: Slots, root: Root): Places {
  const places: Places = new Map();
  leaves(slots, root, (leaf, slot, digest) => places.set(leaf, { slot, digest }));
  return places;
}

/** §6, the directory. */
function directoryOf(slots: Slots, root: Root): { name: string; root: Root; sequence: number }[] {
  const parts: Uint8Array[] = [];
  leaves(slots, root, (leaf, slot, digest) => {
    parts[leaf] = slots.verified(slot, digest);
  });
  if (parts.length === 0) return [];
  const bytes = new Uint8Array(parts.length * SLOT);
  parts.forEach((part, i) => bytes.set(part, i * SLOT));
  const view = viewOf(bytes);
  const found = [];
  for (let at = 8; at < view.getUint32(0, true); ) {
    const nameBytes = view.getUint16(at + 40, true);
    const name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(at + 42, at + 42 + nameBytes),
    );
    found.push({ name, root: rootAt(view, at), sequence: u64(view, at + 24) });
    at += 42 + nameBytes;
  }
  if (found.length !== view.getUint32(4, true))
    throw new FileRefused("CORRUPT", "a directory of another length");
  return found;
}

/** §6, the free map: both planes against what the trees of the same superblock reach. */
function misaccounted(slots: Slots, superblock: Superblock): number[] {
  const reachOf = (roots: Root[]) => {
    const reached = new Set<number>();
    const add = (slot: number) => reached.add(slot);
    for (const root of roots) leaves(slots, root, (_, slot) => add(slot), add);
    return reached;
  };
  const image = reachOf([superblock.image]);
  const held = reachOf(directoryOf(slots, superblock.directory).map(({ root }) => root));
  const wrong: number[] = [];
  leaves(slots, superblock.freeMap, (page, pageSlot, digest) => {
    const bits = slots.verified(pageSlot, digest);
    for (let i = 0; i < 16384; i++) {
      const slot = 16384 * page + i;
      const says = (plane: number) => ((bits[plane + (i >> 3)] >> (i & 7)) & 1) === 1;
      if (says(0) !== image.delete(slot) || says(2048) !== held.delete(slot)) wrong.push(slot);
    }
  });
  // What is left lies in pages that are absent, which say that it is free.
  return [...wrong, ...image, ...held];
}

function newestSuperblock(slots: Slots): Superblock {
  const [even, odd] = [superblockIn(slots, 0), superblockIn(slots, 1)];
  if (even && odd && !sameUuid(even.uuid, odd.uuid)) throw new FileRefused("CORRUPT", "two uuids");
  const newest = even && odd ? (even.generation > odd.generation ? even : odd) : (even ?? odd);
  if (newest === null) throw new FileRefused("CORRUPT", "no superblock");
  if (slots.count < newest.fileSlots) throw new FileRefused("CORRUPT", "the file was cut short");
  return newest;
}

function readState(slots: Slots): IndependentState {
  const superblock = newestSuperblock(slots);
  if (slots.at(2).some((byte) => byte !== 0)) throw new FileRefused("FORWARDED", "open it by name again");
  const chain = walk(slots, superblock);
  refuseLostCommits(slots, superblock, chain);

  let image = placesOf(slots, superblock.image);
  const snapshots = new Map<string, { sequence: number; places: Places }>();
  for (const { name, root, sequence } of directoryOf(slots, superblock.directory)) {
    snapshots.set(name, { sequence, places: placesOf(slots, root) });
  }
  for (const header of chain) {
    for (const { block, slot, digest } of header.entries) {
      if (slot === 0) image.delete(block);
      else image.set(block, { slot, digest });
    }
    const { operation, name, sequence, restored } = header;
    if (operation === 2) snapshots.set(name, { sequence, places: new Map(image) });
    if (operation === 3) snapshots.delete(name);
    if (restored !== null) image = placesOf(slots, restored);
  }

  const read = (places: Places) =>
    new Map([...places].map(([block, { slot, digest }]) => [block, slots.verified(slot, digest).slice()]));
  const uuid = slots.at(superblock.generation % 2).slice(24, 40);
  return {
    uuid,
    generation: superblock.generation,
    sequence: chain.at(-1)?.sequence ?? superblock.sequence,
    blocks: read(image),
    misaccounted: misaccounted(slots, superblock),
    snapshots: new Map(
      [...snapshots].map(([name, { sequence, places }]) => [name, { sequence, blocks: read(places) }]),
    ),
  };
}

/** XXH3-64 of some parts end to end. */
export async function independentDigest(): Promise<(parts: readonly Uint8Array[]) => bigint> {
  const hash = await createXXHash3();
  return (parts) => {
    hash.init();
    for (const part of parts) hash.update(part);
    return BigInt(`0x${hash.digest("hex")}`);
  };
}

/** The reader; it throws FileRefused. */
export async function independentReader(): Promise<(file: Uint8Array) => IndependentState> {
  const digest = await independentDigest();
  return (file) => readState(new Slots(file, digest));
}
