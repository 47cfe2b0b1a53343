// A handle open for writing: what it knows, how it writes one commit, and what it does when that fails.
// docs/FORMAT.md §9, "Commit".

import type { Known } from "./space.js";
import { Block, Header, type Place, type Root, type State, type Superblock, zero } from "./values.js";
import { type Content, type KnownSnapshot, knownOf } from "./walk.js";
import { Failure, File, failureOf, type Process, type Run, type World } from "./world.js";

export class Handle {
  status: "open" | "poisoned" | "fenced" | "closed" = "open";
  /** Inside a call. What a background flush found out is told between calls, as in one JavaScript thread. */
  busy = false;
  flushing = false;
  readonly background: File;
  newest: Known;
  fallback: Known | null = null;
  /** The fallback that was found when the file was opened, as long as nobody has looked what it reaches. */
  retained: Superblock | null = null;
  /** Whether the free map has been read. */
  private loaded = false;
  sequence: number;
  head: Header | null;
  lastFlushed: number;
  /** The slots of the log runs that are not used yet; the next header goes to the first. */
  log: number[];
  image: Place[];
  imageRoot: Root | null;
  snapshots: KnownSnapshot[];
  /** What readers' pins protect, by the name of the pin. */
  readonly pinned = new Map<string, Known>();
  /** A copy is being made, and nothing is committed meanwhile. */
  frozen = false;
  /** For the oracle: what the last commit made of the store. */
  state: State;
  /** Blocks written before their commit. */
  readonly spilled = new Map<number, { slot: number; digest: Block }>();

  constructor(
    readonly world: World,
    readonly process: Process,
    readonly number: number,
    readonly file: File,
    superblock: Superblock,
    content: Content,
  ) {
    this.background = world.rules.ownDescriptor ? new File(world, process, file.inode) : file;
    this.newest = { superblock, chain: [] };
    this.sequence = superblock.sequence;
    this.head = superblock.chain;
    this.lastFlushed = superblock.sequence;
    this.log = [...superblock.runs];
    this.image = content.image;
    this.imageRoot = content.imageRoot;
    this.snapshots = content.snapshots;
    this.state = content.state;
  }

  /** Reads what slots are in use, when that is needed first: a file that is opened and read costs no look at the free map. */
  *loadSpace(): Run<void> {
    if (this.loaded) return;
    const { file, newest, retained } = this;
    const { superblock } = newest;
    if ((yield* knownOf(file, superblock, superblock.sequence)) === null)
      throw new Failure("CORRUPT", "the free map is damaged");
    this.fallback = retained && (yield* knownOf(file, retained, superblock.sequence));
    this.loaded = true;
  }

  /** What is on disk is unknown now: nothing more is written until the file is opened again. */
  poison(why: string): Failure {
    if (this.status === "open" && this.world.rules.poisonAfterFailedFlush) this.status = "poisoned";
    return new Failure("POISONED", why);
  }
}

/** What a commit changes: a new block, or null to discard the old one. */
export type Edits = ReadonlyMap<number, Block | null>;

/** An application changes one to three blocks; now and then back to a content that existed before. */
export function newEdits(world: World, known: readonly Place[]): Edits {
  const { choose, shape } = world;
  const edits = new Map<number, Block | null>();
  for (let count = 1 + choose.pick(3); count > 0; count--) {
    const block = choose.pick(shape.blockCount);
    const manner = choose.pick(12);
    const other = known[choose.pick(shape.blockCount)]?.digest;
    if (manner === 11) edits.set(block, null);
    else if (manner === 10 && other !== undefined) edits.set(block, other);
    else edits.set(block, new Block(`${block}.${world.unique()}`));
  }
  return edits;
}

/** Writes the segment of a commit into log runs that have room, flushes if asked to, and acknowledges. */
export function* writeCommit(handle: Handle, edits: Edits, flushed: boolean): Run<void> {
  yield* handle.loadSpace();
  const { world, file, log } = handle;
  const headerSlot = log[0] as number;
  const changes: { block: number; place: Place }[] = [];
  const pieces: { slot: number; digest: Block }[] = [];
  let used = 1;
  for (const [block, digest] of edits) {
    let place: Place = null;
    if (digest !== null) {
      const spilled = handle.spilled.get(block);
      place = spilled?.digest === digest ? spilled : null;
      if (place === null) {
        place = { slot: log[used++] as number, digest };
        pieces.push(place);
      }
    }
    changes.push({ block, place });
  }
  const state = world.oracle.attemptCommit(handle, edits);
  const header = new Header(
    handle.newest.superblock.uuid,
    handle.sequence + 1,
    handle.number,
    handle.head,
    handle.lastFlushed,
    log[used] as number,
    "commit",
    changes,
    [],
    "",
    null,
    handle.state,
    state,
    changes.length > 1,
  );
  try {
    // 1: the segment, and zeros behind it when the file grows, ahead of need
    const end = file.inode.size;
    yield* file.write(headerSlot, header);
    for (const { slot, digest } of pieces) yield* file.write(slot, digest);
    if (file.inode.size > end && world.choose.pick(2) === 1) {
      for (const slot of log.slice(used, used + 2))
        if (slot >= file.inode.size) yield* file.write(slot, zero);
    }
  } catch (caught) {
    const failure = failureOf(caught);
    yield* voidHeader(handle, headerSlot, header, state);
    throw failure;
  }
  log.splice(0, used);
  handle.newest.chain.push(header);
  handle.head = header;
  handle.sequence = header.sequence;
  handle.state = state;
  for (const { block, place } of changes) handle.image[block] = place;
  handle.imageRoot = null;
  handle.spilled.clear();
  // 2 and 3
  if (flushed) yield* flushOrPoison(handle);
  yield* checkForwarding(handle);
  if (flushed) handle.lastFlushed = header.sequence;
  world.oracle.acknowledge(handle, state, flushed);
}

/** A failed write leaves a header that may be whole: it is overwritten, so that what it announces cannot come back. */
export function* voidHeader(handle: Handle, slot: number, header: Header, state: State | null): Run<void> {
  const { file, world } = handle;
  const { rules } = world;
  try {
    // What has not come to the cache cannot reach the disk: on a full one there is nothing to void, and no room for zeros.
    const arrived = (yield* file.readFirstSector(slot)) === header;
    if (rules.voidFailedHeader && arrived) {
      yield* file.write(slot, zero);
      if (rules.flushAfterVoid) yield* file.flush();
    }
  } catch (caught) {
    throw handle.poison(`voiding: ${failureOf(caught).reason}`);
  }
  if (rules.forwardingAfterVoid) yield* checkForwarding(handle);
  if (state !== null) world.oracle.failed(handle, state);
}

export function* flushOrPoison(handle: Handle): Run<void> {
  try {
    yield* handle.file.flush();
  } catch (caught) {
    throw handle.poison(failureOf(caught).reason);
  }
}

/** Read before every acknowledgement: once the forwarding slot is set, the file is no longer the state. */
export function* checkForwarding(handle: Handle): Run<void> {
  if (!handle.world.rules.forwardingBeforeAck) return;
  if ((yield* handle.file.read(2)) === zero) return;
  handle.status = "fenced";
  throw new Failure("FENCED", "the forwarding slot is set");
}
