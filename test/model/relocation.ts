// Relocation (forced takeover, and finishing an interrupted one) and compaction by the living owner. The state is copied to
// a new file that then takes the name; whoever still has the old file open can destroy nothing and acknowledges nothing.
// docs/FORMAT.md §9, "Relocation", "Compaction". The lock was taken by the caller.

import { Inode } from "./disk.js";
import { checkForwarding, Handle } from "./handle.js";
import { listLocks, openByName, removeLock } from "./lock.js";
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
import { type Content, readContent, readSuperblocks, walk } from "./walk.js";
import { Failure, File, failureOf, nameCall, type Process, type Run, type World } from "./world.js";

/** Copies what `old` holds to a new file and gives it the name. BUSY means: begin again with a new lock. */
export function* relocate(old: File, process: Process, number: number): Run<Handle> {
  const { world } = old;
  const { rules } = world;

  // 2: the fence, in the file that was opened under the lock and in no other
  const mark = new Forwarding(world.unique(), number);
  const fenced = rules.fenceOpenedFile ? old : ((yield* openByName(world, process)) ?? old);
  if (rules.fenceBeforeCopy) {
    yield* fenced.write(2, mark);
    if (rules.flushFence) yield* fenced.flush();
  }

  // 3: from here on no earlier copy can take the name, unless it has it already
  if (rules.removeNewFilesBeforeCopy) yield* removeNewFiles(world, process);

  // 4
  if (rules.nameStillCarriesNonce && rules.fenceBeforeCopy) {
    const named = yield* openByName(world, process);
    if (named === null || (yield* named.read(2)) !== mark)
      throw new Failure("BUSY", "the name leads elsewhere");
  }

  // 5 and 6
  const name = `new-${mark.nonce}`;
  const copied = yield* copy(fenced, process, number, name);
  if (rules.flushNewFileBeforeRename) yield* copied.file.flush();
  if (rules.rereadNonceBeforeRename && rules.fenceBeforeCopy && (yield* fenced.read(2)) !== mark) {
    yield* removeFile(world, process, name);
    throw new Failure("LOCKED", "another relocation has begun");
  }

  // 7 and 8
  yield* takeName(fenced, copied, process, name);
  for (const record of yield* listLocks(world)) {
    if (record.number < number) yield* removeLock(world, process, record.number);
  }
  return yield* handleOf(copied, process, number);
}

/** The owner commits nothing meanwhile, so it copies first and fences itself last: a copy that fails costs nothing. */
export function* compact(old: Handle): Run<Handle> {
  const { world, process, number, file } = old;
  const { rules } = world;
  const mark = new Forwarding(world.unique(), number);
  const name = `new-${mark.nonce}`;
  const giveUp = function* (reason: string): Run<Failure> {
    old.status = "fenced";
    yield* removeFile(world, process, name);
    return new Failure("FENCED", reason);
  };

  // 1 and 2
  const copied = yield* copy(file, process, number, name);
  if (rules.flushNewFileBeforeRename) yield* copied.file.flush();
  if (rules.forwardingBeforeOwnFence && (yield* file.read(2)) !== zero)
    throw yield* giveUp("the forwarding slot is set");

  // 3
  if (rules.fenceAfterCompaction) {
    try {
      yield* file.write(2, mark);
      if (rules.flushFence) yield* file.flush();
    } catch (caught) {
      throw old.poison(failureOf(caught).reason);
    }
    if (rules.readBackOwnFence && (yield* file.read(2)) !== mark)
      throw yield* giveUp("another relocation has begun");
  }

  // 4 and 5
  old.status = "fenced";
  yield* takeName(file, copied, process, name);
  return yield* handleOf(copied, process, number);
}

function* takeName(from: File, copied: Copy, process: Process, name: string): Run<void> {
  const { world } = from;
  yield nameCall;
  if (!world.directory.rename(name, "state"))
    throw new Failure("LOCKED", "another relocation has removed the copy");
  world.trace?.(`${process.label}: renames ${name} over the name, file ${copied.file.inode.id}`);
  world.oracle.relocated(from.inode, copied.file.inode, copied.content);
  yield nameCall;
  if (world.rules.flushDirectoryAfterRename) world.directory.flush();
}

function* handleOf(copied: Copy, process: Process, number: number): Run<Handle> {
  const { world } = copied.file;
  const handle = new Handle(world, process, number, copied.file, copied.superblock, copied.content);
  handle.fallback = { superblock: copied.fallback, chain: [] };
  if (world.rules.forwardingAfterOpening) yield* checkForwarding(handle);
  world.oracle.opened(handle, copied.content);
  return handle;
}

function* removeFile(world: World, process: Process, name: string): Run<void> {
  yield nameCall;
  if (world.directory.remove(name)) world.trace?.(`${process.label}: removes ${name}`);
}

function* removeNewFiles(world: World, process: Process): Run<void> {
  yield nameCall;
  for (const name of [...world.directory.names()].filter((name) => name.startsWith("new-"))) {
    yield* removeFile(world, process, name);
  }
}

interface Copy {
  readonly file: File;
  readonly content: Content;
  readonly superblock: Superblock;
  readonly fallback: Superblock;
}

/** Reads the commit at the end of the old chain, every slot verified, and writes it to a new file. */
function* copy(old: File, process: Process, number: number, name: string): Run<Copy> {
  const { world } = old;
  for (let tries = 0; ; tries++) {
    try {
      const { content, sequence, slots } = yield* readAll(old);
      return yield* writeAll(world, process, number, name, content, sequence, slots);
    } catch (caught) {
      const failure = failureOf(caught);
      // Its owner may still have moved it; what does not verify twice more is damaged.
      if (failure.code !== "CORRUPT" || tries === 2) throw failure;
    }
  }
}

function* readAll(old: File): Run<{ content: Content; sequence: number; slots: Map<number, Value> }> {
  const { newest } = yield* readSuperblocks(old);
  if (newest === null) throw new Failure("CORRUPT", "no valid superblock");
  const found = yield* walk(old, newest);
  if (found.lost) throw new Failure("CORRUPT", "flushed commits are missing");
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
  const { oracle, rules } = old.world;
  const proof = oracle.proof(old.inode);
  if (rules.readAgainWhenMoved) {
    const again = yield* readSuperblocks(old);
    const moved = again.newest !== newest || (yield* walk(old, newest)).head !== found.head;
    if (moved) throw new Failure("CORRUPT", "the file keeps moving");
  }
  oracle.walked(old.inode, content.state, proof);
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
): Run<Copy> {
  const inode = new Inode(world.unique());
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
  return {
    file,
    superblock,
    fallback,
    content: { image: [...image], imageRoot, snapshots, state: old.state },
  };
}
