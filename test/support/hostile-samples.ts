// State files with a history, to be damaged: commits, snapshots, fragmentation, long headers, a chain after the last checkpoint. Each
// comes with what every commit looked like and with what every slot held before, so that a test knows what is right.

import { entrySlot } from "../../bindings/format/segment.js";
import type { ProcessIdentity } from "../../bindings/format/side-files.js";
import { BlockMap } from "../../bindings/pager/block-map.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Change, Pager } from "../../bindings/pager/pager.js";
import { Reader } from "../../bindings/pager/reader.js";
import type { Segment } from "../../bindings/pager/walk.js";
import { MemoryPlace } from "../../bindings/storage/memory.js";
import type { Processes } from "../../bindings/storage/processes.js";
import { hasher } from "./hostile-hasher.js";
import { Random } from "./random.js";

export const SLOT = 4096;
export const NAME = "state";

/** A block is told by one number: all its bytes follow from it. */
export type Content = ReadonlyMap<number, number>;

export interface Moment {
  image: Content;
  snapshots: ReadonlyMap<string, Content>;
}

export interface Sample {
  title: string;
  bytes: Uint8Array;
  /** What the commits looked like, the last one first. */
  moments: Moment[];
  /**
   * Slots of the commits that no `last flushed` on disk covers: damage there cannot be told from a torn tail (FORMAT.md §9, "The exception"). The
   * value says at which moment the file then may end.
   */
  tail: ReadonlyMap<number, number>;
  /** One more than the last slot of each segment of the chain; the last one led to the last moment. */
  chainEnds: number[];
  /** Slots that somebody needs; damage elsewhere changes nothing. */
  live: number[];
  /** For each slot what it held before, oldest first, its present content left out. */
  before: Map<number, Uint8Array[]>;
}

const identity: ProcessIdentity = {
  machine: "m",
  boot: "b",
  pidNamespace: "n",
  pid: 1,
  startTime: "1",
};

/** One process that has the place for itself: whoever else left a record is dead. */
export const alone: Processes = {
  self: identity,
  isDead: (other) => other.pid !== identity.pid,
  wait: () => {},
};

/** The bytes of the block that `value` stands for; 0 is a block that was never written. */
export function blockOf(value: number): Uint8Array {
  const bytes = new Uint8Array(SLOT);
  if (value === 0) return bytes;
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(value, 0x9e3779b1) + i;
  return bytes;
}

/** Whether `bytes` are those of the block; looks at all of them. */
export function isBlockOf(value: number, bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, blockOf(value)) === 0;
}

/** A place with one file of these bytes. */
export function placeWith(bytes: Uint8Array, name = NAME): MemoryPlace {
  const place = new MemoryPlace();
  const storage = place.createExclusive(name)!;
  storage.write(0, bytes);
  storage.close();
  return place;
}

export const fileOf = (place: MemoryPlace): Uint8Array => place.readFile(NAME)!;

/** Short log runs keep the files small. */
const small = { limits: { chainSlots: 24 } };

/** Writes a history and keeps a model of it. */
export class Historian {
  readonly place = new MemoryPlace();
  readonly moments: Moment[] = [];
  readonly before = new Map<number, Uint8Array[]>();
  pager: Pager;
  private image = new Map<number, number>();
  private snapshots = new Map<string, Content>();
  private value = 0;
  private last: Uint8Array = new Uint8Array(0);

  constructor(readonly random = new Random(20)) {
    this.pager = openPager(this.place, NAME, hasher, alone, small);
    this.note();
  }

  /** Writes the blocks with new content, and block 0 so that every moment differs from every other. */
  write(blocks: readonly number[], durable = true): void {
    const changes: Change[] = [...new Set([0, ...blocks])].map((block) => {
      this.image.set(block, ++this.value);
      return { block, count: 1, bytes: blockOf(this.value) };
    });
    this.pager.commit(changes, durable);
    this.note();
  }

  discard(block: number, count: number): void {
    for (let i = 0; i < count; i++) this.image.delete(block + i);
    this.pager.commit([{ block, count, bytes: null }], true);
    this.note();
  }

  createSnapshot(name: string): void {
    this.pager.createSnapshot(name);
    this.snapshots.set(name, new Map(this.image));
    this.note();
  }

  deleteSnapshot(name: string): void {
    this.pager.deleteSnapshot(name);
    this.snapshots.delete(name);
    this.note();
  }

  restoreSnapshot(name: string): void {
    this.pager.restoreSnapshot(name);
    this.image = new Map(this.snapshots.get(name));
    this.note();
  }

  reopen(): void {
    this.pager.close();
    this.note();
    this.pager = openPager(this.place, NAME, hasher, alone, small);
    this.note();
  }

  /** The file as it is now. */
  sample(title: string): Sample {
    const bytes = fileOf(this.place);
    const reader = new Reader(this.place, NAME, hasher, alone);
    const { segments, lastFlushed } = reader.view().walk;
    const tail = new Map<number, number>();
    segments.forEach((segment, i) => {
      if (segment.header.sequence <= lastFlushed) return;
      for (const slot of slotsOfSegment(segment)) tail.set(slot, segments.length - i);
    });
    const chainEnds = segments.map((segment) => 1 + Math.max(...slotsOfSegment(segment)));
    const live = liveSlots(reader);
    reader.close();
    const before = new Map([...this.before].map(([slot, contents]) => [slot, contents.slice(0, -1)]));
    return { title, bytes, moments: [...this.moments].reverse(), tail, chainEnds, live, before };
  }

  /** Some blocks near each other and far apart. */
  someBlocks(most: number): number[] {
    return Array.from({ length: 1 + this.random.below(most) }, () =>
      this.random.oneIn(6) ? 2 ** 30 + this.random.below(300) : this.random.below(120),
    );
  }

  private note(): void {
    this.moments.push({ image: new Map(this.image), snapshots: new Map(this.snapshots) });
    const now = fileOf(this.place);
    for (let slot = 0; slot < now.length / SLOT; slot++) {
      const bytes = now.slice(slot * SLOT, (slot + 1) * SLOT);
      if (Buffer.compare(bytes, this.last.subarray(slot * SLOT, (slot + 1) * SLOT)) === 0) continue;
      const contents = this.before.get(slot) ?? [];
      contents.push(bytes);
      this.before.set(slot, contents);
    }
    this.last = now;
  }
}

function slotsOfSegment({ slot, header, entries, view }: Segment): number[] {
  const further = Array.from({ length: header.furtherSlots }, (_, i) => header.furtherSlot + i);
  const blocks = Array.from({ length: entries }, (_, i) => entrySlot(view, i)).filter((each) => each !== 0);
  return [slot, ...further, ...blocks];
}

/** Superblocks, forwarding slot, chain, and what the trees of the newest superblock reach. */
function liveSlots(reader: Reader): number[] {
  const { file, walk } = reader.view();
  const { image, freeMap, directory } = walk.superblock;
  const live = new Set([0, 1, 2, ...walk.segments.flatMap(slotsOfSegment)]);
  const add = (slot: number) => {
    live.add(slot);
    return true;
  };
  const snapshots = reader.snapshots.map(({ root }) => root);
  for (const root of [image, freeMap, directory, ...snapshots]) {
    new BlockMap(file, root).visit({ node: add, leaf: (_, slot) => add(slot) });
  }
  return [...live].sort((a, b) => a - b);
}

/** The common past of all samples: fragmented, with snapshots that share most of their blocks. */
function past(): Historian {
  const history = new Historian();
  for (let i = 0; i < 6; i++) history.write(history.someBlocks(8));
  history.createSnapshot("first");
  for (let i = 0; i < 6; i++) history.write(history.someBlocks(8), i % 3 === 0);
  history.createSnapshot("später, mit ümlauten 🗝");
  history.discard(1, 30);
  history.write(history.someBlocks(4));
  history.reopen();
  for (let i = 0; i < 5; i++) history.write(history.someBlocks(6));
  history.createSnapshot("deleted");
  history.write(history.someBlocks(5));
  history.deleteSnapshot("deleted");
  history.write(history.someBlocks(5));
  return history;
}

/** Closed in order: the chain is empty. */
export function closedSample(): Sample {
  const history = past();
  history.reopen();
  history.write(history.someBlocks(5));
  history.pager.close();
  return history.sample("closed");
}

/** Opened and killed before anything was committed. */
export function openedSample(): Sample {
  const history = past();
  history.reopen();
  return history.sample("opened");
}

/** Killed with flushed commits in the chain, one of them with a header of three slots, and records before them. */
export function chainSample(): Sample {
  const history = past();
  history.write(history.someBlocks(6));
  history.restoreSnapshot("first");
  history.write(history.someBlocks(6));
  history.discard(60, 500);
  history.write([...Array(4).keys()].map((i) => 300 + i));
  history.write([7, 2 ** 30 + 5, 8]);
  return history.sample("chain");
}

/** As that, but the end of the chain was never flushed: nothing on disk says that more than the first commit is durable. */
export function unflushedSample(): Sample {
  const history = past();
  history.pager.checkpoint();
  history.write(history.someBlocks(6));
  for (let i = 0; i < 3; i++) history.write(history.someBlocks(4), false);
  return history.sample("unflushed");
}

export const allSamples = (): Sample[] => [closedSample(), openedSample(), chainSample(), unflushedSample()];
