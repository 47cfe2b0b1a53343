// What must hold, told by somebody who sees everything. The oracle follows the linear history of each state file: the
// states its owner attempted, how far they were acknowledged, and which were reported as failed. Whoever opens the file
// must find exactly one of them: not before what was acknowledged (after a power cut: acknowledged as flushed), not one
// that was reported as failed, not one of another history.

import type { Inode } from "./disk.js";
import {
  asHeader,
  asSuperblock,
  type Block,
  type Header,
  type Node,
  type Operation,
  type Place,
  State,
  type Superblock,
  type Value,
} from "./values.js";

/** The protocol broke a promise. */
export class Violation extends Error {}

interface Owner {
  readonly status: string;
  readonly process: { readonly alive: boolean; readonly label: string };
  readonly file: { readonly inode: Inode };
  readonly state: State;
}

interface Found {
  readonly image: readonly Place[];
  readonly snapshots: readonly { readonly name: string; readonly places: readonly Place[] }[];
  readonly state: State;
}

/** The history of one inode as a state file. */
class Lineage {
  /** The state it was opened with, and all attempted since. */
  readonly states: State[];
  acknowledged = 0;
  flushed = 0;
  /** A write-back failed: what was not flushed before may be gone without a power cut. */
  lossy = false;
  /** The last state a finished copy of this file contains; −1 as long as there is no copy. */
  copied = -1;
  owner: Owner | null = null;

  constructor(
    first: State,
    readonly parent: Lineage | null,
  ) {
    this.states = [first];
  }

  /** The first state that may be found. */
  get floor(): number {
    return this.lossy ? this.flushed : this.acknowledged;
  }

  restart(state: State, owner: Owner): void {
    this.states.splice(0, this.states.length, state);
    this.acknowledged = 0;
    this.flushed = 0;
    this.lossy = false;
    this.owner = owner;
  }

  descendsFrom(other: Lineage): boolean {
    return this === other || (this.parent?.descendsFrom(other) ?? false);
  }
}

export class Oracle {
  private readonly lineages = new Map<Inode, Lineage>();
  /** The history that the latest acknowledged opening continued. */
  private latest: Lineage | null = null;
  private stateCount = 0;
  private rotten: {
    readonly inode: Inode;
    readonly slot: number;
    readonly was: Value;
    readonly victims: Header[];
    /** It is a superblock, and a checkpoint has begun since. */
    noticed: boolean;
    /** … and was about to overwrite the other one: from here on it is no excuse any more. */
    mended: boolean;
  } | null = null;
  /** A write or flush has failed in this run. */
  writesFailed = false;
  /** Off for mutants, which must be found out by what they lose. */
  accounting = false;

  constructor(private readonly blockCount: number) {}

  /** The state of a new file. */
  blank(): State {
    return new State(0, Array<Block | null>(this.blockCount).fill(null), new Map());
  }

  created(inode: Inode, state: State): void {
    if (this.latest !== null) throw new Violation("a new file was created although there was one");
    this.lineages.set(inode, new Lineage(state, null));
  }

  attemptCommit(owner: Owner, edits: ReadonlyMap<number, Block | null>): State {
    const image = [...owner.state.image];
    for (const [block, content] of edits) image[block] = content;
    return this.attempt(owner, image, owner.state.snapshots);
  }

  attemptSnapshot(owner: Owner, operation: Operation, name: string): State {
    const { image, snapshots } = owner.state;
    if (operation === "restore") return this.attempt(owner, snapshots.get(name) ?? [], snapshots);
    const changed = new Map(snapshots);
    if (operation === "create") changed.set(name, image);
    else changed.delete(name);
    return this.attempt(owner, image, changed);
  }

  private attempt(owner: Owner, image: State["image"], snapshots: State["snapshots"]): State {
    const state = new State(++this.stateCount, image, snapshots);
    this.lineageOf(owner.file.inode).states.push(state);
    return state;
  }

  acknowledge(owner: Owner, state: State, flushed: boolean): void {
    const lineage = this.lineageOf(owner.file.inode);
    const index = lineage.states.indexOf(state);
    if (index < 0) {
      if (lineage.owner === owner)
        throw new Violation(`${state.label} is acknowledged but not in the history`);
      return;
    }
    if (lineage.copied >= 0 && index > lineage.copied) {
      throw new Violation(
        `${owner.process.label} acknowledges ${state.label}, which its successor does not have`,
      );
    }
    lineage.acknowledged = Math.max(lineage.acknowledged, index);
    if (flushed) lineage.flushed = Math.max(lineage.flushed, index);
  }

  /** The user was told that the commit failed and that the handle goes on without it. */
  failed(owner: Owner, state: State): void {
    const lineage = this.lineageOf(owner.file.inode);
    state.failed = true;
    const index = lineage.states.indexOf(state);
    if (lineage.copied >= index && index >= 0) {
      throw new Violation(
        `${owner.process.label} reports ${state.label} as failed, but its successor has it`,
      );
    }
    if (index >= 0) lineage.states.splice(index, 1);
  }

  writeBackFailed(inode: Inode): void {
    this.writesFailed = true;
    const lineage = this.lineages.get(inode);
    if (lineage !== undefined) lineage.lossy = true;
  }

  powerWasCut(): void {
    for (const lineage of this.lineages.values()) {
      lineage.acknowledged = lineage.flushed;
      lineage.copied = -1;
      lineage.owner = null;
    }
  }

  /** Somebody opened the file for writing, in place. */
  opened(owner: Owner, found: Found): void {
    const { inode } = owner.file;
    const lineage = this.lineageOf(inode);
    const { state } = found;
    if (this.latest !== null && !lineage.descendsFrom(this.latest)) {
      throw new Violation(`${owner.process.label} opened a file that is no longer the state`);
    }
    const { owner: other } = lineage;
    if (other !== null && other !== owner && other.process.alive && other.status === "open") {
      throw new Violation(`${owner.process.label} opened the file of ${other.process.label}, which is alive`);
    }
    this.requireInHistory(lineage, state);
    this.requireContent(inode, found);
    lineage.restart(state, owner);
    this.latest = lineage;
  }

  /** A copy was renamed to the name: its lineage begins. */
  relocated(from: Inode, to: Inode, found: Found): void {
    const lineage = this.lineageOf(from);
    lineage.copied = this.requireInHistory(lineage, found.state);
    this.lineages.set(to, new Lineage(found.state, lineage));
  }

  private requireInHistory(lineage: Lineage, state: State): number {
    const index = lineage.states.lastIndexOf(state);
    if (state.failed) throw new Violation(`${state.label}, which was reported as failed, came back`);
    if (index < 0) throw new Violation(`${state.label} came back from another history`);
    if (index < lineage.floor) {
      const lost = lineage.states[lineage.floor] as State;
      throw new Violation(`${lost.label} was acknowledged, but ${state.label} was found`);
    }
    return index;
  }

  /** What is on disk is what the state says, in every block. */
  private requireContent(inode: Inode, { image, snapshots, state }: Found): void {
    this.requireImage(inode, image, state.image, state.label);
    if (snapshots.length !== state.snapshots.size) throw new Violation(`wrong snapshots in ${state.label}`);
    for (const { name, places } of snapshots) {
      const expected = state.snapshots.get(name);
      if (expected === undefined) throw new Violation(`unknown snapshot ${name} in ${state.label}`);
      this.requireImage(inode, places, expected, `${state.label}, snapshot ${name}`);
    }
  }

  private requireImage(inode: Inode, places: readonly Place[], expected: State["image"], what: string): void {
    expected.forEach((block, index) => {
      const place = places[index] ?? null;
      if ((place?.digest ?? null) !== block) {
        throw new Violation(
          `${what}: block ${index} should be ${block?.label} but is ${place?.digest.label}`,
        );
      }
      if (place === null || inode.read(place.slot) === place.digest) return;
      if (this.rotten?.inode === inode && this.rotten.slot === place.slot) return;
      throw new Violation(`${what}: block ${place.digest.label} in slot ${place.slot} is gone`);
    });
  }

  /** A reader read a whole image (or a snapshot) of a commit. */
  hasRead(blocks: State["image"], expected: State["image"] | undefined, what: string): void {
    if (expected === undefined) throw new Violation(`${what}: there is no such snapshot`);
    blocks.forEach((block, index) => {
      if (block !== expected[index]) {
        throw new Violation(
          `${what}: block ${index} should be ${expected[index]?.label} but is ${block?.label}`,
        );
      }
    });
  }

  /** The last state that the owner of the file has acknowledged. */
  get latestAcknowledged(): State | null {
    const lineage = this.latest;
    return lineage === null || lineage.lossy ? null : (lineage.states[lineage.acknowledged] ?? null);
  }

  /** What a reader sees is not older than what was acknowledged before it looked. */
  isFresh(state: State, acknowledged: State | null, who: string): void {
    if (
      acknowledged === null ||
      state.ordinal >= acknowledged.ordinal ||
      this.rotten !== null ||
      this.writesFailed
    )
      return;
    throw new Violation(`${who} sees ${state.label} although ${acknowledged.label} had been acknowledged`);
  }

  /** A pinned commit goes away only when it was never acknowledged: its write failed and it was voided, or lost. */
  reportedStale(who: string, pinned: boolean): void {
    if (pinned && this.rotten === null && !this.writesFailed)
      throw new Violation(`${who} reports STALE in spite of its pin`);
  }

  reportedCorrupt(who: string, reason: string): void {
    if (this.rotten === null || this.rotten.mended)
      throw new Violation(`${who} reports CORRUPT without reason: ${reason}`);
  }

  checkpointBegins(inode: Inode): void {
    if (this.rotten?.inode === inode && this.rotten.slot < 2) this.rotten.noticed = true;
  }

  superblockIsOverwritten(inode: Inode): void {
    if (this.rotten?.inode === inode) this.rotten.mended = this.rotten.noticed;
  }

  /** The last commit of which something on disk proves that it had been flushed. */
  proof(inode: Inode): number {
    let proven = 0;
    for (let slot = 0; slot < inode.size; slot++) {
      const value = inode.read(slot);
      proven = Math.max(proven, asHeader(value)?.lastFlushed ?? 0, asSuperblock(value)?.sequence ?? 0);
    }
    return proven;
  }

  /** The last commit that a superblock contains. */
  superblockProof(inode: Inode): number {
    return Math.max(...[0, 1].map((slot) => asSuperblock(inode.read(slot))?.sequence ?? 0));
  }

  /**
   * Somebody who is going to write has walked to `state`, after `proof` was on disk. The documented exception of
   * docs/FORMAT.md §9: when the rotten slot belongs to a commit that nothing proves to have been flushed, the walk ends
   * before that commit.
   */
  walked(inode: Inode, state: State, proof: number): void {
    if (this.rotten?.inode !== inode) return;
    const victims = [...this.rotten.victims, ...this.victims(inode, this.rotten.slot, this.rotten.was)];
    if (!victims.some((victim) => victim.before === state && victim.sequence > proof)) return;
    const lineage = this.lineageOf(inode);
    const index = lineage.states.lastIndexOf(state);
    lineage.acknowledged = Math.min(lineage.acknowledged, index);
    lineage.flushed = Math.min(lineage.flushed, index);
  }

  /** Called before a slot rots: notes the commits that it belongs to. */
  rots(inode: Inode, slot: number): void {
    const was = inode.read(slot);
    this.rotten = {
      inode,
      slot,
      was,
      victims: this.victims(inode, slot, was),
      noticed: false,
      mended: false,
    };
  }

  private victims(inode: Inode, slot: number, was: Value): Header[] {
    const victims: Header[] = [];
    for (let other = 0; other < inode.size; other++) {
      const header = asHeader(inode.read(other));
      if (header === null) continue;
      const listed = header.changes.some(({ place }) => place?.slot === slot && place.digest === was);
      if (other === slot || listed) victims.push(header);
    }
    return victims;
  }

  /** Slots about to be handed out for new log runs and nodes. */
  chosen(owner: Owner, slots: readonly number[]): void {
    if (!this.accounting) return;
    const { inode } = owner.file;
    for (const position of [0, 1]) {
      for (const value of inode.possible(position)) {
        const superblock = asSuperblock(value);
        if (superblock === null) continue;
        // One whose free map has rotted leads no writer anywhere.
        if (this.rotten?.inode === inode && this.rotten.slot === superblock.freeMap.slot) continue;
        const reached = trueReach(inode, superblock);
        const both = slots.find((slot) => reached.has(slot));
        if (both !== undefined) {
          throw new Violation(
            `slot ${both} is handed out, but superblock ${superblock.generation} may need it`,
          );
        }
      }
    }
  }

  private lineageOf(inode: Inode): Lineage {
    const lineage = this.lineages.get(inode);
    if (lineage === undefined) throw new Error(`file ${inode.id} has no history`);
    return lineage;
  }
}

/** The slots that a superblock leads to, by marking from its roots and following its chain; planes are not trusted. */
function trueReach(inode: Inode, superblock: Superblock): Set<number> {
  const reached = new Set<number>([...superblock.runs, superblock.freeMap.slot]);
  const tree = (slot: number, node: Node): void => {
    reached.add(slot);
    for (const place of node.places) if (place !== null) reached.add(place.slot);
  };
  tree(superblock.image.slot, superblock.image.digest);
  if (superblock.directory !== null) {
    reached.add(superblock.directory.slot);
    for (const { root } of superblock.directory.digest.snapshots) tree(root.slot, root.digest);
  }
  let previous = superblock.chain;
  let slot = superblock.next;
  for (;;) {
    const header = asHeader(inode.read(slot));
    if (header === null || header.previous !== previous || header.uuid !== superblock.uuid) return reached;
    for (const run of header.runs) reached.add(run);
    for (const { place } of header.changes) if (place !== null) reached.add(place.slot);
    if (header.root !== null) tree(header.root.slot, header.root.digest);
    previous = header;
    slot = header.next;
  }
}
