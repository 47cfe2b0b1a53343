// Reading a state file: the superblocks, the walk along the chain, the scan for lost commits, and what the store holds at
// the end of it. Everyone who opens a file uses this: writers, readers, and those who copy it.

import type { Known } from "./space.js";
import {
  asHeader,
  asSuperblock,
  type Header,
  type Node,
  type Place,
  type Root,
  type Snapshot,
  type State,
  type Superblock,
} from "./values.js";
import { Failure, type File, type Run } from "./world.js";

export interface Superblocks {
  readonly newest: Superblock | null;
  readonly fallback: Superblock | null;
}

/** Read again when neither is whole: a living owner may have written the one before it was read, and the other after that. */
export function* readSuperblocks(file: File): Run<Superblocks> {
  let even: Superblock | null = null;
  let odd: Superblock | null = null;
  const attempts = file.world.rules.readSuperblocksAgain ? 3 : 1;
  for (let attempt = 0; attempt < attempts && even === null && odd === null; attempt++) {
    even = asSuperblock(yield* file.read(0));
    odd = asSuperblock(yield* file.read(1));
  }
  if (even === null || odd === null) return { newest: even ?? odd, fallback: null };
  return even.generation > odd.generation ? { newest: even, fallback: odd } : { newest: odd, fallback: even };
}

export interface Segment {
  readonly slot: number;
  readonly header: Header;
}

/** The headers that follow a superblock up to a sequence, each linked to the one before; blocks are not looked at. */
export function* followChain(
  file: File,
  superblock: Superblock,
  upTo = Number.POSITIVE_INFINITY,
): Run<Segment[]> {
  const segments: Segment[] = [];
  for (let head: Header | null = null; (head?.sequence ?? superblock.sequence) < upTo; ) {
    const segment: Segment | null = yield* nextSegment(file, superblock, head);
    if (segment === null) break;
    segments.push(segment);
    head = segment.header;
  }
  return segments;
}

/** A superblock with its chain, as read from the file; null when its free map is not there any more. */
export function* knownOf(file: File, superblock: Superblock, upTo: number): Run<Known | null> {
  if ((yield* file.read(superblock.freeMap.slot)) !== superblock.freeMap.digest) return null;
  const segments = yield* followChain(file, superblock, upTo);
  return { superblock, chain: segments.map(({ header }) => header) };
}

/** The segment that follows `head`, or the superblock itself; null when the chain ends there. */
export function* nextSegment(file: File, superblock: Superblock, head: Header | null): Run<Segment | null> {
  const { rules } = file.world;
  const { sequence, next: slot } = head ?? superblock;
  const header = asHeader(yield* file.read(slot));
  if (header === null || header.uuid !== superblock.uuid || header.sequence !== sequence + 1) return null;
  if (rules.linkToPrevious && header.previous !== (head ?? superblock.chain)) return null;
  if (rules.writerNumberInChain && header.writer < superblock.writer) return null;
  return { slot, header };
}

export interface Walk {
  readonly superblock: Superblock;
  /** The segments up to the commit C at which the walk ends. */
  readonly segments: readonly Segment[];
  /** The last of them; null when C is the superblock's own commit. */
  readonly head: Header | null;
  readonly sequence: number;
  readonly lastFlushed: number;
  /** Where the header after C lies or will lie. */
  readonly next: number;
  /** Proof that flushed commits are missing, in words; null when there is none. */
  readonly lost: string | null;
}

export function* walk(file: File, superblock: Superblock): Run<Walk> {
  const { rules } = file.world;
  const followed = yield* followChain(file, superblock);
  let lastFlushed = superblock.sequence;
  for (const { header } of followed) lastFlushed = Math.max(lastFlushed, header.lastFlushed);
  let length = 0;
  for (const { header } of followed) {
    if (rules.verifyUnflushedBlocks && header.sequence > lastFlushed && !(yield* isWhole(file, header)))
      break;
    length++;
  }
  const segments = followed.slice(0, length);
  const head = segments.at(-1)?.header ?? null;
  const sequence = head?.sequence ?? superblock.sequence;
  const next = head?.next ?? superblock.next;

  // Runs that a record beyond the end names are searched, too: the proof may lie there.
  let lost: string | null = null;
  const runs = new Set(superblock.runs);
  for (const { header } of segments) for (const slot of header.runs) runs.add(slot);
  const inChain = new Set(segments.map(({ slot }) => slot));
  for (const slot of runs) {
    if (inChain.has(slot)) continue;
    const header = asHeader(yield* file.read(slot));
    if (header === null || header.uuid !== superblock.uuid || header.sequence <= sequence) continue;
    if (rules.scanRunsOfLostRecords) for (const named of header.runs) runs.add(named);
    if (header.lastFlushed > sequence && rules.scanForLostHeaders)
      lost ??= `the chain ends at ${sequence}, but ${header.sequence} in slot ${slot} says that ${header.lastFlushed} was flushed`;
  }
  return { superblock, segments, head, sequence, lastFlushed, next, lost };
}

/** A walk that must not find proof of missing commits. */
export function* findCommit(file: File, superblock: Superblock): Run<Walk> {
  const found = yield* walk(file, superblock);
  if (found.lost !== null) throw new Failure("CORRUPT", found.lost);
  return found;
}

/** Whether all blocks of a commit are as its header says. */
export function* isWhole(file: File, header: Header): Run<boolean> {
  for (const { place } of header.changes) {
    if (place !== null && (yield* file.read(place.slot)) !== place.digest) return false;
  }
  return true;
}

export function* readNode(file: File, root: Root): Run<Node> {
  if ((yield* file.read(root.slot)) !== root.digest)
    throw new Failure("CORRUPT", `tree node in slot ${root.slot}`);
  return root.digest;
}

/** A snapshot as known in memory; its root is null while only the chain knows it. */
export interface KnownSnapshot {
  readonly name: string;
  readonly places: readonly Place[];
  root: Root | null;
}

export interface Content {
  readonly image: Place[];
  /** A node on disk that says the same as `image`, if there is one. */
  imageRoot: Root | null;
  readonly snapshots: KnownSnapshot[];
  /** For the oracle: what the store should hold. */
  readonly state: State;
}

/** Reads the trees of a superblock and applies the segments of a walk to them. */
export function* readContent(file: File, { superblock, segments, head }: Walk): Run<Content> {
  let imageRoot: Root | null = superblock.image;
  let image = [...(yield* readNode(file, superblock.image)).places];
  let snapshots: KnownSnapshot[] = [];
  if (superblock.directory !== null) {
    const entries: readonly Snapshot[] = (yield* readNode(file, superblock.directory)).snapshots;
    for (const { name, root } of entries) {
      snapshots.push({ name, root, places: (yield* readNode(file, root)).places });
    }
  }
  for (const { header } of segments) {
    switch (header.operation) {
      case "commit":
        for (const { block, place } of header.changes) image[block] = place;
        imageRoot = null;
        break;
      case "create":
        snapshots.push({ name: header.name, root: imageRoot, places: [...image] });
        break;
      case "delete":
        snapshots = snapshots.filter((snapshot) => snapshot.name !== header.name);
        break;
      case "restore":
        imageRoot = header.root as Root;
        image = [...(yield* readNode(file, imageRoot)).places];
        break;
      default:
    }
  }
  return { image, imageRoot, snapshots, state: head?.state ?? superblock.state };
}
