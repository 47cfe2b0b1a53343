// Readers: they take no lock, see exactly one commit until they refresh, and say STALE or CORRUPT when a slot no longer
// verifies. docs/FORMAT.md §9, "Readers".

import { openByName } from "./lock.js";
import { type Block, type Place, type State, zero } from "./values.js";
import { readContent, readSuperblocks, type Walk, walk } from "./walk.js";
import { Failure, type File, failureOf, nameCall, type Process, type Run, type World } from "./world.js";

export class Reader {
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

export function* openReader(world: World, process: Process, options: ReaderOptions): Run<Reader> {
  const file = yield* openByName(world, process);
  if (file === null) throw new Failure("BUSY", "no file");
  return yield* openAt(file, options);
}

/** Moves to the newest commit; a set forwarding slot sends to the file that has the name now. */
export function* refresh(reader: Reader, options: ReaderOptions): Run<Reader> {
  const { world, process } = reader.file;
  const moved = (yield* reader.file.read(2)) !== zero;
  const fresh = yield* moved ? openReader(world, process, options) : openAt(reader.file, options);
  yield* unpin(world, reader.pin);
  return fresh;
}

/** Walks to the end of the chain, pins what was found, and begins again when the superblock moved meanwhile. */
function* openAt(file: File, { pinned, snapshot }: ReaderOptions): Run<Reader> {
  const { world, process } = file;
  for (let tries = 0; tries < 6; tries++) {
    const found = yield* walkCarefully(file);
    if (found === null) continue;
    if (!pinned) return new Reader(file, found, null);
    const pin = `pin-${world.unique()}`;
    const chain = found.segments.map(({ header }) => header);
    yield nameCall;
    world.directory.link(pin, { kind: "pin", superblock: found.superblock, chain, snapshot, process });
    world.trace?.(
      `${process.label}: pins superblock ${found.superblock.generation}, sequence ${found.sequence}`,
    );
    if (!world.rules.rereadSuperblockAfterPin) return new Reader(file, found, pin);
    if ((yield* readSuperblocks(file)).newest === found.superblock) return new Reader(file, found, pin);
    yield* unpin(world, pin);
  }
  throw new Failure("BUSY", "the superblock keeps moving");
}

/** A walk that proves corruption is believed only when a second one, under the same superblock, ends at the same place. */
function* walkCarefully(file: File): Run<Walk | null> {
  const { newest } = yield* readSuperblocks(file);
  const found = newest && (yield* walk(file, newest));
  if (found !== null && !found.lost) return found;
  if (!file.world.rules.secondWalkBeforeCorrupt) throw new Failure("CORRUPT", "the first walk says so");
  const { newest: second } = yield* readSuperblocks(file);
  const again = second && (yield* walk(file, second));
  const { newest: third } = yield* readSuperblocks(file);
  if (newest !== second || second !== third || again?.head !== found?.head || again?.lost === false)
    return null;
  throw new Failure("CORRUPT", found === null ? "no valid superblock" : "flushed commits are missing");
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
      if (yield* hasMoved(reader)) throw new Failure("STALE", failure.reason);
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
