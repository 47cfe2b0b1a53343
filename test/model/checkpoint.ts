// Checkpoint, and with it the snapshot operations: docs/FORMAT.md §9, "Checkpoint, snapshot, restore".

import { checkForwarding, flushOrPoison, type Handle, newEdits, voidHeader, writeCommit } from "./handle.js";
import { refreshPins } from "./pins.js";
import { firstFreeSlot, freeSlots, markPlaces, markReach, markTree } from "./space.js";
import { Header, Node, type Operation, type Place, type Root, type Snapshot, Superblock } from "./values.js";
import { failureOf, type Run } from "./world.js";

export function* checkpoint(
  handle: Handle,
  operation: Exclude<Operation, "commit">,
  about: string,
): Run<void> {
  const { world, file } = handle;
  const { rules, oracle, choose } = world;
  const old = handle.newest;
  yield* handle.loadSpace();

  // 1: pins, the new log runs, the slots of the new nodes
  yield* refreshPins(handle);
  oracle.checkpointBegins(file.inode);
  const marks = slotsInUse(handle);
  const start = firstFreeSlot + (choose.pick(3) === 2 ? choose.pick(file.inode.size) : 0);
  const free = freeSlots(marks, start, file.inode.size);
  const take = (): number => free.next().value;
  const runs = Array.from({ length: world.shape.logSlots }, take);
  const long = choose.pick(3) === 2;
  const restored = operation === "restore" ? find(handle, about) : null;
  const image = restored?.root ?? handle.imageRoot ?? { slot: take(), digest: new Node([...handle.image]) };
  const nodes: Root[] = [];
  if (image !== handle.imageRoot && restored === null) nodes.push(image);
  let snapshots = handle.snapshots.map(({ name, root, places }) => {
    if (root !== null) return { name, root, places };
    const written = { slot: take(), digest: new Node(places) };
    nodes.push(written);
    return { name, root: written, places };
  });
  if (operation === "create") snapshots.push({ name: about, root: image, places: handle.image });
  if (operation === "delete") snapshots = snapshots.filter((snapshot) => snapshot.name !== about);
  const directory = directoryRoot(handle, snapshots, take);
  if (directory !== null && directory !== old.superblock.directory) nodes.push(directory);
  const planes = planesOf(handle, operation, image, snapshots);
  const freeMap = { slot: take(), digest: new Node([], [], planes) };
  nodes.push(freeMap);
  oracle.chosen(handle, [...runs, ...nodes.map(({ slot }) => slot)]);

  // 2 and 3: the newest superblock, which is about to be the only one; the record, then the nodes
  const newestSlot = old.superblock.generation % 2;
  if (rules.mendNewest && (yield* file.read(newestSlot)) !== old.superblock)
    yield* file.write(newestSlot, old.superblock);
  const headerSlot = handle.log[0] as number;
  const state = operation === "checkpoint" ? handle.state : oracle.attemptSnapshot(handle, operation, about);
  const record = new Header(
    old.superblock.uuid,
    handle.sequence + 1,
    handle.number,
    handle.head,
    handle.lastFlushed,
    runs[0] as number,
    operation,
    [],
    runs,
    about,
    restored?.root ?? null,
    handle.state,
    state,
    long,
  );
  try {
    if (rules.recordInChain) yield* file.write(headerSlot, record);
    for (const { slot, digest } of nodes) yield* file.write(slot, digest);
  } catch (caught) {
    const failure = failureOf(caught);
    yield* voidHeader(handle, headerSlot, record, state === handle.state ? null : state);
    throw failure;
  }

  // 4: what the superblock will need
  if (rules.flushBeforeSuperblock) yield* flushOrPoison(handle);
  const next = { superblock: undefined as unknown as Superblock, chain: [] as Header[] };
  old.chain.push(record);
  handle.log = [...runs];
  handle.head = record;
  handle.sequence = record.sequence;
  handle.state = state;
  handle.imageRoot = image;
  handle.image = [...image.digest.places];
  handle.snapshots = snapshots;
  if (!rules.noCommitBeforeSuperblock && handle.busy) {
    const before = old.chain.length;
    while (handle.log.length >= 6 && choose.pick(3) > 0) {
      yield* writeCommit(handle, newEdits(world, handle.image), choose.pick(2) === 1);
    }
    next.chain.push(...old.chain.slice(before));
  }

  // 5 and 6: the superblock
  oracle.superblockIsOverwritten(file.inode);
  next.superblock = new Superblock(
    old.superblock.uuid,
    old.superblock.generation + 1,
    record.sequence,
    handle.number,
    image,
    directory,
    freeMap,
    record,
    runs[0] as number,
    runs,
    state,
    long,
  );
  try {
    yield* file.write(next.superblock.generation % 2, next.superblock);
  } catch (caught) {
    throw handle.poison(failureOf(caught).reason);
  }
  if (rules.flushAfterSuperblock) yield* flushOrPoison(handle);
  handle.lastFlushed = Math.max(handle.lastFlushed, record.sequence);
  handle.fallback = old;
  handle.newest = next;

  // 7
  yield* checkForwarding(handle);
  oracle.acknowledge(handle, state, true);
}

/** All slots that some reach contains, and those of spilled blocks. */
function slotsInUse(handle: Handle): Set<number> {
  const { world } = handle;
  const { rules } = world;
  const marks = new Set<number>();
  markReach(marks, handle.newest, rules);
  if (handle.fallback !== null && rules.protectFallbackReach) markReach(marks, handle.fallback, rules);
  markPlaces(marks, handle.image);
  for (const { root, places } of handle.snapshots) {
    if (root === null) markPlaces(marks, places);
  }
  if (rules.protectSpilled) for (const { slot } of handle.spilled.values()) marks.add(slot);
  if (rules.pinsProtect) for (const known of handle.pinned.values()) markReach(marks, known, rules);
  return marks;
}

function find(handle: Handle, name: string): { root: Root; places: readonly Place[] } {
  const snapshot = handle.snapshots.find((candidate) => candidate.name === name);
  if (snapshot?.root == null) throw new Error(`no snapshot ${name} with a root`);
  return { root: snapshot.root, places: snapshot.places };
}

function directoryRoot(handle: Handle, snapshots: readonly Snapshot[], take: () => number): Root | null {
  if (snapshots.length === 0) return null;
  const { directory } = handle.newest.superblock;
  const before = directory?.digest.snapshots;
  const same =
    before?.length === snapshots.length &&
    snapshots.every(({ name, root }, index) => before[index]?.name === name && before[index]?.root === root);
  if (same) return directory;
  return {
    slot: take(),
    digest: new Node(
      [],
      snapshots.map(({ name, root }) => ({ name, root })),
    ),
  };
}

/** The planes of the free map. A plain checkpoint keeps the held plane, a new snapshot adds to it, all else marks anew. */
function planesOf(
  handle: Handle,
  operation: Operation,
  image: Root,
  snapshots: readonly Snapshot[],
): { image: number[]; held: number[] } {
  const reached = new Set<number>();
  markTree(reached, image);
  const before = handle.newest.superblock.freeMap.digest.planes?.held ?? [];
  const replayed = handle.newest.chain.some((header) => header.operation !== "commit");
  let held = new Set(before);
  if (operation === "delete" || operation === "restore" || replayed) {
    held = new Set();
    for (const { root } of snapshots) markTree(held, root);
  } else if (operation === "create" && handle.world.rules.holdSnapshots) {
    for (const slot of reached) held.add(slot);
  }
  return { image: [...reached], held: [...held] };
}
