/**
 * Checkpoint: a record in the chain, the changed tree nodes, a superblock. Also how snapshots are created, deleted and restored, since each of these is a
 * checkpoint whose record says so. FORMAT.md §9.
 *
 * Everything new is prepared beside the old state and installed after the last flush. A write that fails before the first flush is
 * taken back (the record is voided, the nodes become dirty again); a failure after it poisons the handle.
 */
import { equalBytes } from "../base/bytes.js";
import { FIRST_SLOT, FREE_PAGE_SLOTS, HEADER_BODY_OFFSET, SLOT_BYTES } from "../format/constants.js";
import { encodeDirectory, type SnapshotEntry } from "../format/directory.js";
import { Plane, planeOf } from "../format/free-map.js";
import { encodeRecordBody, headerSlots, newHeader, Operation, sealHeader } from "../format/segment.js";
import { EMPTY_ROOT, encodeSuperblock, type Root, type Run, type Superblock } from "../format/superblock.js";
import { BlockMap, type MapNode } from "./block-map.js";
import { Log, RECORD_SLOTS } from "./log.js";
import { chooseRuns, SMALL_BUDGET_SLOTS } from "./runs.js";
import { SlotSet } from "./slot-set.js";
import { mark, type Space, takeExtent, takeExtents } from "./space.js";
import type { Limits, WriterState } from "./writer-state.js";

export type DirectoryChange =
  | { operation: Operation.CreateSnapshot; name: string }
  | { operation: Operation.DeleteSnapshot; name: string }
  | { operation: Operation.Restore; name: string; image: Root };

export interface CheckpointOptions {
  change?: DirectoryChange;
  /** Slots of a segment that waits to be written into the new runs, and how many of them continue its header. */
  needed?: number;
  further?: number;
  /** Small log runs, because the file is being closed. */
  closing?: boolean;
  /** Compute both planes by marking from all roots: the walk that led here changed the directory. */
  remark?: boolean;
}

/** A slot that is to be written in step 3. */
interface PlannedWrite {
  slot: number;
  bytes: Uint8Array;
}

/** What the checkpoint installs when it is durable. */
interface Plan {
  writes: PlannedWrite[];
  map: BlockMap;
  /** Nodes of the block map (and of forks of it) that got their slots here. */
  nodes: MapNode[];
  image: Root;
  snapshots: SnapshotEntry[];
  directory: Root;
  freeMap: BlockMap;
  freeRoot: Root;
  meta: SlotSet;
}

/** Checkpoints, with `change` applied to the snapshot directory; returns the record's sequence. */
export function checkpoint(state: WriterState, options: CheckpointOptions = {}): number {
  state.ensureWritable();
  state.refreshPins();
  const { space } = state;
  const spilled = [...state.spilled.values()].map((spill) => spill.slot);
  const busy = space.busy(spilled);
  const before = { image: space.image.clone(), held: space.held.clone() };
  const sequence = state.sequence + 1;
  const plan = newPlan(state, options);
  let runs: Run[];
  let digest: bigint;
  try {
    prepare(state, plan, options, sequence, busy);
    // After the nodes: these are written together, so they go before the log's taking the largest extents.
    runs = nextRuns(state, options, busy);
    mendNewest(state);
    digest = writeRecord(state, options.change, sequence, runs, plan);
  } catch (cause) {
    for (const node of plan.nodes) node.slot = 0;
    space.replacePlanes(before.image, before.held);
    throw cause;
  }
  const superblock: Superblock = {
    uuid: state.newest.uuid,
    generation: state.newest.generation + 1,
    sequence,
    writer: state.writer,
    time: Date.now(),
    image: plan.image,
    freeMap: plan.freeRoot,
    directory: plan.directory,
    fileSlots: Math.max(space.image.end(), space.held.end(), plan.meta.end(), FIRST_SLOT),
    chainDigest: digest,
    chainNext: runs[0].slot,
    runs,
  };
  const acknowledged = { sequence: state.sequence, digest: state.digest };
  state.sequence = sequence;
  state.digest = digest;
  try {
    state.flush();
    writeSuperblock(state, superblock);
    state.verifyUnfenced();
  } catch (error) {
    // The handle is poisoned; what can still be read is the last commit that was acknowledged.
    Object.assign(state, acknowledged);
    throw error;
  }
  install(state, plan, superblock);
  state.counters.checkpoints++;
  return sequence;
}

/** Writes the newest superblock again when it has rotted: it is about to be the only one while the other is overwritten. */
function mendNewest({ file, newest }: WriterState): void {
  const expected = encodeSuperblock(newest, file.hasher);
  if (!equalBytes(file.read(newest.generation % 2), expected)) file.write(newest.generation % 2, expected);
}

/** Writes and flushes a superblock over the older one. FORMAT.md §9, steps 5 and 6. */
function writeSuperblock(state: WriterState, superblock: Superblock): void {
  try {
    state.file.write(superblock.generation % 2, encodeSuperblock(superblock, state.file.hasher));
  } catch (cause) {
    state.fail("IO", "a superblock could not be written; close and open the file again", cause);
  }
  state.flush();
}

function nextRuns(
  state: WriterState,
  { needed = 0, further = 0, closing = false }: CheckpointOptions,
  busy: SlotSet,
): Run[] {
  const { log, limits, space } = state;
  const live = space.image.clone();
  live.addAll(space.held);
  state.budget = closing ? SMALL_BUDGET_SLOTS : nextBudget(log, limits);
  const typical = log.largestSegment;
  const { chainSlots } = limits;
  return chooseRuns(busy, { budget: state.budget, needed, further, typical, live: live.count(), chainSlots });
}

/** Twice what the last chain took, within the limits: small while little is written, long when it pays. */
function nextBudget(
  { spentSlots, segments, largestSegment }: Log,
  { chainSlots, chainCommits }: Limits,
): number {
  const wished = Math.max(SMALL_BUDGET_SLOTS, 2 * (spentSlots + largestSegment));
  const longest =
    segments === 0 ? chainSlots : Math.ceil((spentSlots / segments) * chainCommits) + RECORD_SLOTS;
  return Math.min(chainSlots, wished, Math.max(SMALL_BUDGET_SLOTS, longest));
}

function newPlan(state: WriterState, { change }: CheckpointOptions): Plan {
  const restored = change?.operation === Operation.Restore;
  return {
    writes: [],
    map: restored ? state.openMap(change.image) : state.map,
    nodes: [],
    image: EMPTY_ROOT,
    snapshots: state.snapshots,
    directory: state.newest.directory,
    freeMap: new BlockMap(state.file, state.newest.freeMap),
    freeRoot: EMPTY_ROOT,
    meta: new SlotSet(),
  };
}

/** Gives all changed nodes and pages their slots and bytes, in memory. */
function prepare(
  state: WriterState,
  plan: Plan,
  options: CheckpointOptions,
  sequence: number,
  busy: SlotSet,
): void {
  const { space } = state;
  const { change, remark = false } = options;
  // Snapshots that a recovery replayed are trees in memory; what they share with the image is written once.
  for (const [name, fork] of state.forks) {
    const root = planImageTree(space, fork, plan, busy);
    plan.snapshots = plan.snapshots.map((entry) => (entry.name === name ? { ...entry, root } : entry));
  }
  plan.image = planImageTree(space, plan.map, plan, busy);
  if (change?.operation === Operation.CreateSnapshot) {
    plan.snapshots = [...plan.snapshots, { name: change.name, root: plan.image, sequence, time: Date.now() }];
    const held = space.held.clone();
    held.addAll(space.image);
    space.replacePlanes(space.image, held);
  } else if (change?.operation === Operation.DeleteSnapshot) {
    plan.snapshots = plan.snapshots.filter((entry) => entry.name !== change.name);
  }
  if (remark || change?.operation === Operation.DeleteSnapshot || change?.operation === Operation.Restore) {
    markFromRoots(state, plan);
  }
  let directory = new BlockMap(state.file, state.newest.directory);
  if (plan.snapshots !== state.snapshots || remark) {
    directory = new BlockMap(state.file, EMPTY_ROOT);
    planLeaves(state, directory, [...encodeDirectory(plan.snapshots).entries()], plan, busy);
    plan.directory = planTree(directory, plan, busy).root;
  }
  planLeaves(state, plan.freeMap, changedFreePages(space), plan, busy);
  plan.freeRoot = planTree(plan.freeMap, plan, busy).root;
  mark(plan.freeMap, plan.meta);
  mark(directory, plan.meta);
}

function planTree(tree: BlockMap, plan: Plan, busy: SlotSet): { root: Root; nodes: MapNode[] } {
  const nodes = tree.dirtyNodes();
  const root = tree.assign(nodes, takeExtents(busy, nodes.length));
  for (const node of nodes) plan.writes.push({ slot: node.slot, bytes: node.bytes });
  return { root, nodes };
}

function planImageTree(space: Space, tree: BlockMap, plan: Plan, busy: SlotSet): Root {
  const { root, nodes } = planTree(tree, plan, busy);
  for (const node of nodes) {
    space.addImage(node.slot);
    plan.nodes.push(node);
  }
  return root;
}

/** Gives leaves their slots in one extent and enters them in `tree`; a leaf without bytes is cleared. */
function planLeaves(
  state: WriterState,
  tree: BlockMap,
  leaves: readonly [leaf: number, bytes: Uint8Array | null][],
  plan: Plan,
  busy: SlotSet,
): void {
  const digest = new DataView(new ArrayBuffer(8));
  let slot = takeExtent(busy, leaves.filter(([, bytes]) => bytes !== null).length);
  for (const [leaf, bytes] of leaves) {
    if (bytes === null) {
      tree.clear(leaf);
      continue;
    }
    state.file.hasher.digest(bytes, digest, 0);
    tree.set(leaf, slot, digest, 0);
    plan.writes.push({ slot, bytes });
    slot++;
  }
}

function changedFreePages(space: Space): [number, Uint8Array | null][] {
  return [...space.changedPages]
    .sort((a, b) => a - b)
    .map((page) => {
      const bytes = new Uint8Array(SLOT_BYTES);
      space.image.copyBits(page * FREE_PAGE_SLOTS, planeOf(bytes, Plane.Image));
      space.held.copyBits(page * FREE_PAGE_SLOTS, planeOf(bytes, Plane.Held));
      return [page, bytes.every((byte) => byte === 0) ? null : bytes];
    });
}

/** Computes both planes anew. Shared nodes are visited once, so this costs as many steps as there are nodes in all. */
function markFromRoots(state: WriterState, plan: Plan): void {
  const image = new SlotSet();
  mark(plan.map, image);
  const held = new SlotSet();
  for (const { name, root } of plan.snapshots) {
    mark(state.forks.get(name) ?? new BlockMap(state.file, root), held);
  }
  state.space.replacePlanes(image, held);
}

/** Steps 2 and 3: the record, then everything that is planned. A failure voids the record. */
function writeRecord(
  state: WriterState,
  change: DirectoryChange | undefined,
  sequence: number,
  runs: Run[],
  plan: Plan,
): bigint {
  const operation = change?.operation ?? Operation.Checkpoint;
  const image = change?.operation === Operation.Restore ? change.image : null;
  const body = encodeRecordBody(operation, { runs, name: change?.name ?? "", image });
  const { bytes, view } = newHeader(body.length);
  bytes.set(body, HEADER_BODY_OFFSET);
  const furtherSlots = headerSlots(body.length) - 1;
  const fields = {
    uuid: state.newest.uuid,
    sequence,
    writer: state.writer,
    previous: state.digest,
    lastFlushed: state.lastFlushed,
    time: Date.now(),
    next: runs[0].slot,
    operation,
    bodyBytes: body.length,
    furtherSlot: furtherSlots === 0 ? 0 : state.log.next + 1,
    furtherSlots,
  };
  const digest = sealHeader(bytes, view, fields, state.file.hasher);
  try {
    writeSlots(state, state.log.next, [bytes]);
    writePlanned(state, plan.writes);
  } catch (cause) {
    state.voidHeader(digest, cause);
    throw cause;
  }
  return digest;
}

/** Writes in file order, neighbours in one call. */
function writePlanned(state: WriterState, writes: readonly PlannedWrite[]): void {
  const ordered = [...writes].sort((a, b) => a.slot - b.slot);
  for (let i = 0; i < ordered.length; ) {
    const first = ordered[i].slot;
    const parts: Uint8Array[] = [];
    while (i < ordered.length && ordered[i].slot === first + parts.length) parts.push(ordered[i++].bytes);
    writeSlots(state, first, parts);
  }
}

function writeSlots(state: WriterState, slot: number, parts: readonly Uint8Array[]): void {
  state.file.writeParts(slot, parts);
  const slots = parts.reduce((sum, part) => sum + part.length, 0) / SLOT_BYTES;
  state.counters.bytesWritten += slots * SLOT_BYTES;
  state.fileSlots = Math.max(state.fileSlots, slot + slots);
}

function install(state: WriterState, plan: Plan, superblock: Superblock): void {
  const { space } = state;
  space.meta = plan.meta;
  space.changedPages.clear();
  space.fallback = space.newest;
  space.newest = { generation: superblock.generation, slots: space.union(), runs: [...superblock.runs] };
  state.fallback = state.newest;
  state.newest = superblock;
  state.map = plan.map;
  state.map.trim(state.limits.mapNodes);
  state.snapshots = plan.snapshots;
  state.forks.clear();
  state.log = new Log(superblock.runs, superblock.chainNext);
}
