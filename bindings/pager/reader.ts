/**
 * A reader: sees one commit, verified, until `refresh`, while a writer in any process goes on. Takes no lock; a pin keeps the writer from
 * reusing what it sees. FORMAT.md §9, "Readers".
 */
import { PerdureError } from "../base/errors.js";
import type { SnapshotEntry } from "../format/directory.js";
import type { Superblock } from "../format/superblock.js";
import type { Hasher } from "../hash/hasher.js";
import type { Processes } from "../storage/processes.js";
import type { Place } from "../storage/storage.js";
import { BlockMap } from "./block-map.js";
import type { BlockRanges } from "./block-ranges.js";
import { readDirectory } from "./directory.js";
import { copyFile, openFile } from "./files.js";
import { readBlocks, writtenBlocks } from "./image.js";
import { writePin } from "./pins.js";
import { findCommit, readSuperblocks } from "./recover.js";
import { applySegment, type Replayed, replay } from "./replay.js";
import type { StateFile } from "./state-file.js";
import { type CopyOptions, runSteps } from "./steps.js";
import {
  append,
  blocksVerify,
  cutTornTail,
  nextSegment,
  readSegment,
  type Walk,
  walkHeaders,
} from "./walk.js";

const ATTEMPTS = 16;

/** What a reader sees, as of one commit. */
interface Sight {
  file: StateFile;
  walk: Walk;
  replayed: Replayed;
  /** Takes the pin away; null when none could be written. */
  unpin: (() => void) | null;
  /** Trees of the snapshots that were read. */
  trees: Map<string, BlockMap>;
}

export class Reader {
  private sight: Sight;
  private closed = false;
  private torn = false;
  private backups = 0;
  /** What is seen has been overwritten, or was never flushed and is gone: only looking anew leads on. */
  private lost = false;

  /** Opens `name`, which must exist; CORRUPT, VERSION, NOT_FOUND. */
  constructor(
    private readonly place: Place,
    private readonly name: string,
    private readonly hasher: Hasher,
    private readonly processes: Processes,
  ) {
    this.sight = this.look(true);
  }

  /** The commit that is seen. */
  get sequence(): number {
    return this.sight.walk.sequence;
  }

  /** Whether a pin protects what is seen; without one a read can fail with STALE. */
  get pinned(): boolean {
    return this.sight.unpin !== null;
  }

  get superblock(): Superblock {
    return this.sight.walk.superblock;
  }

  get snapshots(): readonly SnapshotEntry[] {
    const { file, replayed } = this.sight;
    return this.guard(() => {
      replayed.snapshots ??= readDirectory(file, this.superblock.directory);
      return replayed.snapshots;
    });
  }

  /** Reads `count` blocks; those never written are zeros. STALE or CORRUPT when one does not verify. */
  read(block: number, count: number, into: Uint8Array): void {
    this.guard(() => readBlocks(this.sight.file, this.sight.replayed.map, block, count, into));
  }

  /** Whether the commit that is seen has this block; one it has not reads as zeros. */
  has(block: number): boolean {
    return this.guard(() => this.sight.replayed.map.slotOf(block) !== 0);
  }

  /** Those of `count` blocks that the commit has. */
  written(block: number, count: number): BlockRanges {
    return this.guard(() => writtenBlocks(this.sight.replayed.map, block, count));
  }

  writtenInSnapshot(name: string, block: number, count: number): BlockRanges {
    return this.guard(() => writtenBlocks(this.snapshotMap(name), block, count));
  }

  hasInSnapshot(name: string, block: number): boolean {
    return this.guard(() => this.snapshotMap(name).slotOf(block) !== 0);
  }

  /** The newest commit in the file, without moving there. */
  latest(): number {
    this.ensureOpen();
    const { file, walk } = this.sight;
    if (file.isForwarded() || this.hasMoved()) {
      const now = openFile(this.place, this.name, "read", this.hasher);
      try {
        return cutTornTail(now, walkHeaders(now, readSuperblocks(now).newest)).sequence;
      } finally {
        now.storage.close();
      }
    }
    const ahead: Walk = {
      ...walk,
      segments: [...walk.segments],
      knownRuns: [...walk.knownRuns],
      headerSlots: walk.headerSlots.clone(),
      strays: walk.strays.clone(),
    };
    for (;;) {
      const segment = nextSegment(file, ahead);
      if (segment === null || (segment.record === null && !blocksVerify(file, segment)))
        return ahead.sequence;
      append(ahead, segment, file.slots());
    }
  }

  /** The same in a snapshot; NOT_FOUND when there is none of this name. */
  readSnapshot(name: string, block: number, count: number, into: Uint8Array): void {
    this.guard(() => readBlocks(this.sight.file, this.snapshotMap(name), block, count, into));
  }

  /** For checks: everything that is known of the file as this reader sees it. */
  view(): { file: StateFile; walk: Walk; replayed: Replayed } {
    this.ensureOpen();
    return this.sight;
  }

  /** Writes what is seen, and all snapshots, to a new file, while a writer goes on. Never overwrites. STALE or CORRUPT as for `read`. */
  async backup(place: Place, name: string, options: CopyOptions = {}): Promise<void> {
    const { snapshots } = this;
    const { file, walk, replayed } = this.sight;
    const { map, forks } = replayed;
    const source = { file, map, snapshots, forks, sequence: walk.sequence };
    this.backups++;
    try {
      await runSteps(copyFile(place, name, this.hasher, source), file.slots(), options);
    } catch (error) {
      if (this.closed || !isCorrupt(error)) throw error;
      // What a pin protects stays although the superblock moves on.
      if (this.pinned ? this.endsAsBefore() : this.isCurrent()) throw error;
      throw this.stale(error);
    } finally {
      this.backups--;
    }
  }

  /** Moves on to the newest commit; returns its sequence. BUSY while a backup is being written. */
  refresh(): number {
    this.ensureOpen();
    if (this.backups > 0)
      throw new PerdureError("BUSY", `${this.sight.file.label}: a backup is being made of what is seen`);
    if (this.torn || this.lost || !this.moveOn()) {
      const before = this.sight;
      this.sight = this.look(false);
      this.torn = false;
      this.lost = false;
      drop(before);
    }
    return this.sequence;
  }

  /** Goes on along the chain, if that leads to the newest commit: the end of an old one that is being overwritten looks like the end of the chain. */
  private moveOn(): boolean {
    try {
      return !this.sight.file.isForwarded() && this.isOnChain() && this.follow() && !this.hasMoved();
    } catch (error) {
      if (isCorrupt(error) && !this.isCurrent()) return false;
      throw error;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    drop(this.sight);
  }

  /**
   * Goes on along the chain of the same superblock; false when the pin does not cover what came: a record, which may name other runs and
   * snapshots, or blocks that were spilled before the superblock was written.
   */
  private follow(): boolean {
    const { file, walk, replayed } = this.sight;
    for (;;) {
      const segment = nextSegment(file, walk);
      if (segment === null) return true;
      if (segment.record !== null) return false;
      if (!blocksVerify(file, segment)) return true;
      const { length } = walk.knownRuns;
      append(walk, segment, file.slots());
      // When this fails half way what is seen is of two commits; looking anew is the only way on.
      this.torn = true;
      applySegment(file, walk, replayed, segment);
      this.torn = false;
      if (walk.knownRuns.length > length) return false;
    }
  }

  private look(scan: boolean): Sight {
    let failed: { generation: number; digest: string } | null = null;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const file = openFile(this.place, this.name, "read", this.hasher);
      try {
        const sight = this.lookAt(file, scan);
        if (sight) return sight;
      } catch (error) {
        file.storage.close();
        // Only what fails twice in the same place, while nothing moved, is damage and not somebody writing.
        if (!isCorrupt(error)) throw error;
        const now = { generation: this.generationOf(), digest: error.message };
        if (failed && failed.generation === now.generation && failed.digest === now.digest) throw error;
        failed = now;
        continue;
      }
      file.storage.close();
    }
    throw new PerdureError(
      "STALE",
      `${this.place.label}/${this.name}: the file keeps changing faster than it can be read; try again`,
    );
  }

  /**
   * Walks, pins, and looks whether the superblock is still the newest; null when it is not. The log runs are scanned for lost commits when the file
   * is opened; later only a writer can have added any.
   */
  private lookAt(file: StateFile, scan: boolean): Sight | null {
    const { newest } = readSuperblocks(file);
    const walk = scan ? findCommit(file, newest) : cutTornTail(file, walkHeaders(file, newest));
    const unpin = this.pin(walk);
    try {
      if (readSuperblocks(file).newest.generation === newest.generation)
        return { file, walk, replayed: replay(file, walk), unpin, trees: new Map() };
    } catch (error) {
      unpin?.();
      throw error;
    }
    unpin?.();
    return null;
  }

  private pin(walk: Walk): (() => void) | null {
    const pin = { superblock: walk.superblock, commit: walk.sequence, snapshot: null };
    try {
      return writePin(this.place, this.name, pin, this.hasher, this.processes);
    } catch (error) {
      if (error instanceof PerdureError && (error.code === "READ_ONLY" || error.code === "NO_SPACE"))
        return null;
      throw error;
    }
  }

  private generationOf(): number {
    try {
      const file = openFile(this.place, this.name, "read", this.hasher);
      try {
        return readSuperblocks(file).newest.generation;
      } finally {
        file.storage.close();
      }
    } catch {
      return -1;
    }
  }

  private hasMoved(): boolean {
    try {
      return readSuperblocks(this.sight.file).newest.generation !== this.superblock.generation;
    } catch {
      return true;
    }
  }

  /** Whether the commit that is seen is still there: a writer takes one back that it could not write whole. */
  private isOnChain(): boolean {
    const { file, walk } = this.sight;
    const last = walk.segments.at(-1);
    return (
      last === undefined || readSegment(file, last.slot, walk.superblock.uuid)?.header.digest === walk.digest
    );
  }

  private snapshotMap(name: string): BlockMap {
    const { file, replayed, trees } = this.sight;
    const known = replayed.forks.get(name) ?? trees.get(name);
    if (known) return known;
    const entry = this.snapshots.find((each) => each.name === name);
    if (!entry) throw new PerdureError("NOT_FOUND", `${file.label} has no snapshot "${name}"`);
    const tree = new BlockMap(file, entry.root);
    trees.set(name, tree);
    return tree;
  }

  /** A slot that does not verify is damage only when the file has not moved on since, and still holds the commit that is seen. */
  private guard<T>(read: () => T): T {
    this.ensureOpen();
    if (this.torn)
      throw new PerdureError("STALE", `${this.sight.file.label}: refresh() failed; call it again`);
    for (let attempt = 1; ; attempt++) {
      try {
        return read();
      } catch (error) {
        if (!isCorrupt(error)) throw error;
        if (!this.isCurrent()) throw this.stale(error);
        // Read once more: what a failed flush had lost may have been written again meanwhile.
        if (attempt === 2) throw error;
      }
    }
  }

  /** Whether nothing can have been overwritten of what is seen. */
  private isCurrent(): boolean {
    return this.endsAsBefore() && !this.hasMoved();
  }

  /** Whether a second walk ends at the commit that is seen: after a failed flush a commit before it may be gone although its header is not. */
  private endsAsBefore(): boolean {
    const { file, walk } = this.sight;
    try {
      const again = walkHeaders(file, walk.superblock, walk.sequence);
      // What is known of flushes may stand in a header behind the commit that is seen.
      again.lastFlushed = Math.max(again.lastFlushed, walk.lastFlushed);
      return cutTornTail(file, again).digest === walk.digest;
    } catch (error) {
      if (isCorrupt(error)) return false;
      throw error;
    }
  }

  private stale(cause: unknown): PerdureError {
    this.lost = true;
    const message = `${this.sight.file.label}: what was seen has been overwritten since; call refresh()`;
    return new PerdureError("STALE", message, { cause });
  }

  private ensureOpen(): void {
    if (this.closed)
      throw new PerdureError("CLOSED", `${this.place.label}/${this.name}: this reader is closed`);
  }
}

function isCorrupt(error: unknown): error is PerdureError {
  return error instanceof PerdureError && error.code === "CORRUPT";
}

function drop(sight: Sight): void {
  sight.unpin?.();
  sight.file.storage.close();
}
