// Relocation (forced takeover, and finishing an interrupted one) and compaction by the living owner. The state is copied to
// a new file that then takes the name; whoever still has the old file open can destroy nothing and acknowledges nothing.
// docs/FORMAT.md §9, "Relocation", "Compaction". The lock was taken by the caller.

import { checkpoint } from "./checkpoint.js";
import type { Inode } from "./disk.js";
import type { Handle } from "./handle.js";
import { listLocks, openByName, removeFile, removeLock, removeNewFiles, writerOf } from "./lock.js";
import { openInPlace } from "./opening.js";
import {
  Forwarding,
  Node,
  type Place,
  type Root,
  type Snapshot,
  Superblock,
  type Value,
  zero,
} from "./values.js";
import { type Content, findCommit, readContent, readSuperblocks } from "./walk.js";
import { Failure, File, failureOf, nameCall, type Process, type Run, type World } from "./world.js";

const attempts = 3;

/** Copies what `old` holds to a new file and gives it the name. BUSY means: begin again with a new lock. */
export function* relocate(old: File, process: Process, number: number): Run<Handle> {
  const { world } = old;
  const { rules } = world;

  // 2: a file that cannot be copied is left as it is
  yield* ensureSound(old);

  // 3: the fence, in the file that was opened under the lock and in no other
  const mark = new Forwarding(world.unique(), number);
  const fenced = rules.fenceOpenedFile ? old : ((yield* openByName(world, process)) ?? old);
  if (rules.fenceBeforeCopy) {
    yield* fenced.write(2, mark);
    if (rules.flushFence) yield* fenced.flush();
  }

  // 4: from here on no earlier copy can take the name, unless it has it already
  if (rules.removeNewFilesBeforeCopy) yield* removeNewFiles(world, process);

  // 5
  if (rules.nameStillCarriesNonce && rules.fenceBeforeCopy) {
    const named = yield* openByName(world, process);
    if (named === null || (yield* named.read(2)) !== mark)
      throw new Failure("BUSY", "the name leads elsewhere");
  }

  // 6 to 8
  const name = `new-${mark.nonce}`;
  try {
    const copied = yield* copyUnmoved(fenced, process, number, name);
    if (rules.rereadNonceBeforeRename && rules.fenceBeforeCopy && (yield* fenced.read(2)) !== mark)
      throw new Failure("LOCKED", "another relocation has begun");
    yield* takeName(fenced, copied, process, name, "LOCKED");
  } catch (caught) {
    yield* removeFile(world, process, name);
    throw caught;
  }

  // 9
  return yield* openOwn(world, process, number);
}

/** The owner commits nothing meanwhile, so it copies first and fences itself last: a copy that fails costs nothing. */
export function* compact(old: Handle): Run<Handle> {
  const { world, process, number, file } = old;
  const { rules } = world;
  const mark = new Forwarding(world.unique(), number);
  const name = `new-${mark.nonce}`;

  // 1
  if (old.newest.chain.length > 0) yield* checkpoint(old, "checkpoint", "");
  old.frozen = true;
  try {
    const copied = yield* copy(file, process, number, name);
    // 2
    if (rules.forwardingBeforeOwnFence && (yield* file.read(2)) !== zero)
      throw new Failure("FENCED", "the forwarding slot is set");
    // 3
    if (rules.fenceAfterCompaction) {
      yield* file.write(2, mark);
      if (rules.flushFence) yield* file.flush();
    }
    // 4
    yield* takeName(file, copied, process, name, "FENCED");
  } catch (caught) {
    yield* removeFile(world, process, name);
    old.frozen = false;
    if ((yield* file.read(2)) !== zero) old.status = "fenced";
    throw caught;
  }

  // 5
  old.status = "fenced";
  return yield* openOwn(world, process, number);
}

function* takeName(
  from: File,
  copied: Copy,
  process: Process,
  name: string,
  gone: "LOCKED" | "FENCED",
): Run<void> {
  const { world } = from;
  yield nameCall;
  if (!world.directory.rename(name, "state")) throw new Failure(gone, "somebody has removed the copy");
  world.trace?.(`${process.label}: renames ${name} over the name, file ${copied.inode.id}`);
  world.oracle.relocated(from.inode, copied.inode, copied.content);
}

/** Opens the copy that this process put under the name. */
function* openOwn(world: World, process: Process, number: number): Run<Handle> {
  const file = yield* openByName(world, process);
  if (file === null || (world.rules.nameStillCarriesNumber && (yield* writerOf(file)) !== number))
    throw new Failure("LOCKED", "another process has taken the file over");
  const handle = yield* openInPlace(process, file, number);
  for (const record of yield* listLocks(world)) {
    if (record.number < number) yield* removeLock(world, process, record.number);
  }
  return handle;
}

interface Copy {
  readonly inode: Inode;
  readonly content: Content;
  /** For the oracle: the last commit that was known to be flushed before it was looked for. */
  readonly proof: number;
}

/** Begun again while the owner still moves the file: it can finish at most what it is doing now. */
function* copyUnmoved(old: File, process: Process, number: number, name: string): Run<Copy> {
  const { rules, oracle } = old.world;
  for (let attempt = 1; ; attempt++) {
    try {
      const { newest } = yield* readSuperblocks(old);
      const copied = yield* copy(old, process, number, name);
      const proof = Math.max(copied.proof, oracle.superblockProof(old.inode));
      if (!rules.readAgainWhenMoved || (yield* readSuperblocks(old)).newest === newest) {
        oracle.walked(old.inode, copied.content.state, proof);
        return copied;
      }
      if (attempt === attempts) throw new Failure("LOCKED", "the file keeps moving");
    } catch (caught) {
      const failure = failureOf(caught);
      if (failure.code !== "CORRUPT" || attempt === attempts) throw failure;
    }
    yield* removeFile(old.world, process, name);
  }
}

function* copy(old: File, process: Process, number: number, name: string): Run<Copy> {
  const proof = old.world.oracle.proof(old.inode);
  const { content, sequence, slots } = yield* readAll(old);
  return { ...(yield* writeAll(old.world, process, number, name, content, sequence, slots)), proof };
}

/** Throws CORRUPT for a file that cannot be copied; what its owner moved while it was read is read again. */
function* ensureSound(old: File): Run<void> {
  let failed: { newest: Superblock | null; reason: string } = { newest: null, reason: "" };
  for (;;) {
    const { newest } = yield* readSuperblocks(old);
    try {
      yield* readAll(old);
      return;
    } catch (caught) {
      const failure = failureOf(caught);
      if (failed.newest === newest && failed.reason === failure.reason) throw failure;
      failed = { newest, reason: failure.reason };
    }
  }
}

/** The commit at the end of the old chain, every slot verified. */
function* readAll(old: File): Run<{ content: Content; sequence: number; slots: Map<number, Value> }> {
  const { newest } = yield* readSuperblocks(old);
  if (newest === null) throw new Failure("CORRUPT", "no valid superblock");
  const found = yield* findCommit(old, newest);
  const content = yield* readContent(old, found);
  const slots = new Map<number, Value>();
  for (const places of [content.image, ...content.snapshots.map((snapshot) => snapshot.places)]) {
    for (const place of places) {
      if (place === null || slots.has(place.slot)) continue;
      if ((yield* old.read(place.slot)) !== place.digest)
        throw new Failure("CORRUPT", `block in slot ${place.slot}`);
      slots.set(place.slot, place.digest);
    }
  }
  return { content, sequence: found.sequence, slots };
}

function* writeAll(
  world: World,
  process: Process,
  number: number,
  name: string,
  old: Content,
  sequence: number,
  slots: ReadonlyMap<number, Value>,
): Run<Omit<Copy, "proof">> {
  const inode = world.newInode();
  yield nameCall;
  world.directory.link(name, { kind: "file", inode });
  const file = new File(world, process, inode);
  let end = 3;
  const moved = new Map<number, number>();
  for (const [slot, value] of slots) {
    moved.set(slot, end);
    yield* file.write(end++, value);
  }
  const movedPlaces = (places: readonly Place[]): Place[] =>
    places.map((place) => place && { slot: moved.get(place.slot) as number, digest: place.digest });
  const nodes: Root[] = [];
  const add = (digest: Node): Root => {
    const root = { slot: end++, digest };
    nodes.push(root);
    return root;
  };
  const image = movedPlaces(old.image);
  const imageRoot = add(new Node(image));
  const snapshots = old.snapshots.map(({ name, places }) => {
    const copied = movedPlaces(places);
    return { name, places: copied, root: add(new Node(copied)) };
  });
  const entries: Snapshot[] = snapshots.map(({ name, root }) => ({ name, root }));
  const directory = entries.length === 0 ? null : add(new Node([], entries));
  const reached = (roots: readonly Root[]): number[] => [
    ...new Set(
      roots.flatMap(({ slot, digest }) => [slot, ...digest.places.flatMap((place) => place?.slot ?? [])]),
    ),
  ];
  const planes = { image: reached([imageRoot]), held: reached(entries.map(({ root }) => root)) };
  const freeMap = add(new Node([], [], planes));
  for (const { slot, digest } of nodes) yield* file.write(slot, digest);
  const runs = Array.from({ length: world.shape.logSlots }, (_, index) => end + index);
  const uuid = world.unique();
  const [fallback, superblock] = [1, 2].map(
    (generation) =>
      new Superblock(
        uuid,
        generation,
        sequence,
        number,
        imageRoot,
        directory,
        freeMap,
        null,
        end,
        runs,
        old.state,
        false,
      ),
  ) as [Superblock, Superblock];
  for (const written of [fallback, superblock]) yield* file.write(written.generation % 2, written);
  if (world.rules.flushNewFileBeforeRename) yield* file.flush();
  return { inode, content: { image: [...image], imageRoot, snapshots, state: old.state } };
}
