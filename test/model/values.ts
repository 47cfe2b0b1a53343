// What can lie in a slot. Digests are ideal: where the format stores the digest of something, the model stores a
// reference to that very object, so two things have the same digest exactly when they are the same object.
//
// A slot is two sectors. Blocks and tree nodes fill both; a superblock, a header and the forwarding mark fill the
// first and leave the second zero, as small ones do in the file. That is enough for torn slots, and for the nasty
// case that a torn slot becomes whole again because somebody else writes zeros into its second half.
//
//        ┌──────────────┬──────────────┐
//        │ first sector │ second sector│     whole value v:  v │ v        small value v:  v │ 0
//        └──────────────┴──────────────┘     anything else reads as junk

export interface Value {
  readonly kind: "zero" | "junk" | "block" | "node" | "superblock" | "header" | "forwarding";
  readonly whole: boolean;
}

export const zero: Value = { kind: "zero", whole: false };
export const junk: Value = { kind: "junk", whole: true };

/** Contents of one block of the image; `label` tells versions apart. */
export class Block implements Value {
  readonly kind = "block";
  readonly whole = true;

  constructor(readonly label: string) {}
}

/** Where a block of the image lies; null is a block that reads as zeros. */
export type Place = { readonly slot: number; readonly digest: Block } | null;

export interface Root {
  readonly slot: number;
  readonly digest: Node;
}

/** One node stands for each tree: the image's block map, the directory of snapshots, or the free map. */
export class Node implements Value {
  readonly kind = "node";
  readonly whole = true;

  constructor(
    readonly places: readonly Place[],
    readonly snapshots: readonly Snapshot[] = [],
    readonly planes: Planes | null = null,
  ) {}
}

export interface Snapshot {
  readonly name: string;
  readonly root: Root;
}

/** The free map: slots the image reaches, and slots some snapshot reaches. */
export interface Planes {
  readonly image: readonly number[];
  readonly held: readonly number[];
}

export type Operation = "commit" | "checkpoint" | "create" | "delete" | "restore";

/** The header of a segment: of a commit with its blocks, or of the record that a checkpoint begins with. */
export class Header implements Value {
  readonly kind = "header";

  constructor(
    readonly uuid: number,
    readonly sequence: number,
    readonly writer: number,
    readonly previous: Header | null,
    readonly lastFlushed: number,
    readonly next: number,
    readonly operation: Operation,
    /** A commit: what it changes. */
    readonly changes: readonly { readonly block: number; readonly place: Place }[],
    /** A record: the new log runs, flattened to slots in the order of use. */
    readonly runs: readonly number[],
    /** A record: the snapshot it is about, and for a restore its root. */
    readonly name: string,
    readonly root: Root | null,
    /** Not in the file: what the store holds before and after this header, for the oracle. */
    readonly before: State,
    readonly state: State,
    /** A long list of changes or of runs goes on in the second sector. */
    readonly whole: boolean,
  ) {}
}

export class Superblock implements Value {
  readonly kind = "superblock";

  constructor(
    readonly uuid: number,
    readonly generation: number,
    readonly sequence: number,
    readonly writer: number,
    readonly image: Root,
    readonly directory: Root | null,
    readonly freeMap: Root,
    readonly chain: Header | null,
    readonly next: number,
    readonly runs: readonly number[],
    /** Not in the file, for the oracle. */
    readonly state: State,
    /** A long list of runs goes on in the second sector. */
    readonly whole: boolean,
  ) {}
}

export class Forwarding implements Value {
  readonly kind = "forwarding";
  readonly whole = false;

  constructor(
    readonly nonce: number,
    readonly writer: number,
  ) {}
}

/** What the user has stored: the image and the snapshots of it. Immutable; one object for each attempted commit. */
export class State {
  /** An error was reported for it, after which it must never come back. */
  failed = false;

  constructor(
    /** Counts all attempts of a run. */
    readonly ordinal: number,
    readonly image: readonly (Block | null)[],
    readonly snapshots: ReadonlyMap<string, readonly (Block | null)[]>,
  ) {}

  get label(): string {
    return `S${this.ordinal}`;
  }
}

export function asHeader(value: Value): Header | null {
  return value.kind === "header" ? (value as Header) : null;
}

export function asSuperblock(value: Value): Superblock | null {
  return value.kind === "superblock" ? (value as Superblock) : null;
}
