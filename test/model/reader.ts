// Readers: they take no lock, see exactly one commit until they refresh, and say STALE or CORRUPT when a slot no longer
// verifies. docs/FORMAT.md §9, "Readers".

import { openByName } from "./lock.js";
import { type Block, type Place, type State, type Superblock, zero } from "./values.js";
import { findCommit, isWhole, nextSegment, readContent, readSuperblocks, type Walk, walk } from "./walk.js";
import { Failure, type File, failureOf, nameCall, type Process, type Run, type World } from "./world.js";

export class Reader {
  /** What it sees has been overwritten: only looking anew leads on. */
  stale = false;

  constructor(
    readonly file: File,
    readonly found: Walk,
    /** Null for a reader that may not write to the directory. */
    readonly pin: string | null,
  ) {}

  get state(): State {
    return this.found.head?.state ?? this.found.superblock.state;
  }
}

export interface ReaderOptions {
  readonly pinned: boolean;
  /** The snapshot that is read, which must not be deleted meanwhile. */
  readonly snapshot: string | null;
}

/** Opens the name anew and looks; what fails twice in the same place, while nothing moves, is damage and not somebody writing. */
export function* openReader(world: World, process: Process, options: ReaderOptions): Run<Reader> {
  let failed: { newest: Superblock | null; reason: string } = { newest: null, reason: "" };
  for (let tries = 0; tries < 8; tries++) {
    const file = yield* openByName(world, process);
    if (file === null) throw new Failure("BUSY", "no file");
    try {
      const reader = yield* lookAt(file, options);
      if (reader !== null) return reader;
    } catch (caught) {
      const { code, reason } = failureOf(caught);
      if (code !== "CORRUPT" || !world.rules.secondWalkBeforeCorrupt) throw caught;
      const again = yield* openByName(world, process);
      const newest = again && (yield* readSuperblocks(again)).newest;
      if (failed.newest === newest && failed.reason === reason) throw caught;
      failed = { newest, reason };
    }
  }
  throw new Failure("BUSY", "the file keeps changing");
}

/** Walks to the end of the chain and pins what was found; null when the superblock is not the newest any more after that. */
function* lookAt(file: File, { pinned, snapshot }: ReaderOptions): Run<Reader | null> {
  const { world, process } = file;
  const { newest } = yield* readSuperblocks(file);
  if (newest === null) throw new Failure("CORRUPT", "no valid superblock");
  const found = yield* findCommit(file, newest);
  const pin = pinned ? `pin-${world.unique()}` : null;
  if (pin !== null) {
    yield nameCall;
    const { sequence } = found;
    world.directory.link(pin, { kind: "pin", superblock: newest, sequence, snapshot, process });
    world.trace?.(`${process.label}: pins superblock ${newest.generation}, sequence ${sequence}`);
  }
  if (!world.rules.rereadSuperblockAfterPin || (yield* readSuperblocks(file)).newest === newest)
    return new Reader(file, found, pin);
  yield* unpin(world, pin);
  return null;
}

/**
 * Moves to the newest commit: along the chain under the same pin, or by looking anew; a set forwarding slot sends to the
 * file that has the name now.
 */
export function* refresh(reader: Reader, options: ReaderOptions): Run<Reader> {
  const { world, process } = reader.file;
  const { followThenLook } = world.rules;
  const here = !reader.stale && (yield* reader.file.read(2)) === zero && (yield* isOnChain(reader));
  if (here && (followThenLook || !(yield* superblockMoved(reader)))) {
    const further = yield* follow(reader);
    // The end of an old chain that is being overwritten looks like the end of the chain.
    if (further !== null && (!followThenLook || !(yield* superblockMoved(reader)))) return further;
  }
  const fresh = yield* openReader(world, process, options);
  yield* unpin(world, reader.pin);
  return fresh;
}

function* superblockMoved({ file, found }: Reader): Run<boolean> {
  return (yield* readSuperblocks(file)).newest !== found.superblock;
}

/** Whether the commit is still there: a writer takes one back that it could not write whole. */
function* isOnChain({ file, found }: Reader): Run<boolean> {
  const last = found.segments.at(-1);
  return last === undefined || (yield* file.read(last.slot)) === last.header;
}

/**
 * Null when the pin does not cover what came: a record, which may name other runs and snapshots, or blocks that were spilled
 * before the superblock was written.
 */
function* follow({ file, found, pin }: Reader): Run<Reader | null> {
  const { superblock } = found;
  const segments = [...found.segments];
  let { head, lastFlushed } = found;
  for (;;) {
    const segment = yield* nextSegment(file, superblock, head);
    if (segment?.header.runs.length) return null;
    if (segment === null || !(yield* isWhole(file, segment.header))) break;
    segments.push(segment);
    head = segment.header;
    lastFlushed = Math.max(lastFlushed, head.lastFlushed);
    const runs = segments.findLast(({ header }) => header.runs.length > 0)?.header.runs ?? superblock.runs;
    if (head.changes.some(({ place }) => place !== null && !runs.includes(place.slot))) return null;
  }
  const { sequence, next } = head ?? superblock;
  return new Reader(file, { ...found, segments, head, sequence, next, lastFlushed }, pin);
}

/** Reads all blocks of the commit, or of a snapshot that it contains. What does not verify is read once more. */
export function* readEverything(reader: Reader, snapshot: string | null): Run<(Block | null)[]> {
  const { rules } = reader.file.world;
  for (let tries = 0; ; tries++) {
    try {
      return yield* readOnce(reader, snapshot);
    } catch (caught) {
      const failure = failureOf(caught);
      if (!rules.secondWalkBeforeCorrupt) throw failure;
      if (yield* hasMoved(reader)) {
        reader.stale = true;
        throw new Failure("STALE", failure.reason);
      }
      if (tries === 1 || !rules.readAgainBeforeCorrupt) throw failure;
    }
  }
}

function* readOnce({ file, found }: Reader, snapshot: string | null): Run<(Block | null)[]> {
  const content = yield* readContent(file, found);
  let places: readonly Place[] = content.image;
  if (snapshot !== null) places = content.snapshots.find(({ name }) => name === snapshot)?.places ?? [];
  const blocks: (Block | null)[] = [];
  for (const place of places) {
    if (place !== null && (yield* file.read(place.slot)) !== place.digest) {
      throw new Failure("CORRUPT", `block in slot ${place.slot}`);
    }
    blocks.push(place?.digest ?? null);
  }
  return blocks;
}

/** Whether something else than damage can explain it: the superblock is another one, or the walk no longer ends at this commit. */
function* hasMoved({ file, found }: Reader): Run<boolean> {
  if ((yield* readSuperblocks(file)).newest !== found.superblock) return true;
  const again = yield* walk(file, found.superblock);
  return again.head !== found.head || (yield* readSuperblocks(file)).newest !== found.superblock;
}

export function* unpin(world: World, pin: string | null): Run<void> {
  if (pin === null) return;
  yield nameCall;
  world.directory.remove(pin);
}
