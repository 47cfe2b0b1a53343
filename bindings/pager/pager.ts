/**
 * The pager: a store of 4096-byte blocks in one file whose commits are atomic, with one contiguous write and one flush. This is the writer's
 * handle; `Reader` is the other one. It knows files and blocks, and nothing of who wrote the bytes.
 */
import { PerdureError } from "../base/errors.js";
import type { SnapshotEntry } from "../format/directory.js";
import { snapshotNameBytes } from "../format/names.js";
import { Operation } from "../format/operation.js";
import type { Hasher } from "../hash/hasher.js";
import type { Place } from "../storage/storage.js";
import { BlockMap } from "./block-map.js";
import type { BlockRanges } from "./block-ranges.js";
import { attempt, type CheckReport, checkAccounting } from "./check.js";
import { checkpoint, type DirectoryChange } from "./checkpoint.js";
import { commit, makeDurable } from "./commit.js";
import type { CopySource } from "./copy.js";
import { differingBlocks } from "./differing.js";
import { copyFile, replaceByCopy } from "./files.js";
import { readBlocks, verifyBlocks, writtenBlocks } from "./image.js";
import type { Lock } from "./lock.js";
import { discard, dropPending, hasPending, readPending, spill } from "./pending.js";
import type { Change } from "./segment-writer.js";
import { SlotSet } from "./slot-set.js";
import { type CopyOptions, runSteps } from "./steps.js";
import type { WriterState } from "./writer-state.js";

export type { Change } from "./segment-writer.js";
export type { CopyOptions } from "./steps.js";

/** A state file's name and how its lock is held; null for a storage that nobody else can open. */
export interface Home {
  place: Place;
  name: string;
  lock: Lock;
  /** Opens the name again, after it was replaced, as its writer. */
  reopen(): WriterState;
  /** Names of snapshots that readers of the file with this uuid have open in other processes. */
  pinnedSnapshots(uuid: Uint8Array): string[];
}

export interface PagerStats {
  sequence: number;
  lastFlushed: number;
  generation: number;
  fileBytes: number;
  /** Slots that the image and snapshots reach. */
  liveSlots: number;
  chain: { commits: number; slots: number; runs: number };
  commits: number;
  checkpoints: number;
  flushes: number;
  bytesWritten: number;
}

export class Pager {
  private closed = false;
  private backups = 0;
  private readonly openSnapshots = new Map<string, number>();

  /** See `open.ts` for the ways to get one. */
  constructor(
    private state: WriterState,
    private readonly home: Home | null,
    private readonly hasher: Hasher,
  ) {}

  /** Of the last commit; 0 in a new file. Checkpoints take sequence numbers too. */
  get sequence(): number {
    return this.state.sequence;
  }

  /** The last sequence that is known to be durable. */
  get lastFlushed(): number {
    return this.state.lastFlushed;
  }

  get snapshots(): readonly SnapshotEntry[] {
    this.ensureOpen();
    return this.state.snapshots;
  }

  /** Reads `count` blocks from `block` on, spilled ones included; those never written and discarded ones are zeros. CORRUPT when one does not verify. */
  read(block: number, count: number, into: Uint8Array): void {
    this.ensureOpen();
    readPending(this.state, block, count, into);
  }

  /** Whether the last commit has this block; one it has not reads as zeros. */
  has(block: number): boolean {
    this.ensureOpen();
    verifyBlocks(block, 1);
    return this.state.map.slotOf(block) !== 0;
  }

  /** Those of `count` blocks that may be something else than zeros: committed, or spilled since. */
  written(block: number, count: number): BlockRanges {
    this.ensureOpen();
    const { map, spilled } = this.state;
    const found = writtenBlocks(map, block, count);
    for (const each of spilled.keys()) if (each >= block && each < block + count) found.add(each, 1);
    return found;
  }

  /** Whether anything was spilled or discarded that the next commit will list. */
  get hasPending(): boolean {
    return hasPending(this.state);
  }

  /** Those of `count` blocks whose content in `bytes` is not that of the last commit, for the next one to be given. */
  differing(block: number, count: number, bytes: Uint8Array): Change[] {
    this.ensureOpen();
    const { file, map } = this.state;
    return differingBlocks(file, map, block, count, bytes);
  }

  /**
   * Commits the changes, and what was spilled and discarded, as one. Returns the sequence. With `durable` it is flushed when this returns. Errors: NO_SPACE and IO
   * leave the last commit in force; after a failed flush, and when FENCED, the handle writes nothing any more.
   */
  commit(changes: readonly Change[], durable = true): number {
    this.ensureOpen();
    return commit(this.state, changes, durable);
  }

  /** Writes a block before its commit, so that its memory can be used for something else. Part of the next commit, or dropped by `rollback`. */
  spill(block: number, bytes: Uint8Array): void {
    this.ensureOpen();
    spill(this.state, block, bytes);
  }

  /**
   * These blocks, however many, read as zeros from now on: part of the next commit, or undone by `rollback`. What is spilled or committed later
   * counts. LIMIT, with nothing changed, when the last commit has more of them than one commit can list.
   */
  discard(block: number, count: number): void {
    this.ensureOpen();
    discard(this.state, block, count);
  }

  /** Drops what was spilled and discarded: the image is that of the last commit. */
  rollback(): void {
    this.ensureOpen();
    dropPending(this.state);
  }

  /** Makes everything committed so far durable, not what was spilled since; returns its sequence. */
  flush(): number {
    this.ensureOpen();
    makeDurable(this.state);
    return this.state.sequence;
  }

  /** The same without blocking the thread, where the storage can. */
  async flushed(): Promise<number> {
    this.ensureOpen();
    const { state } = this;
    state.ensureWritable();
    const issued = state.sequence;
    const { storage } = state.file;
    if (state.lastFlushed >= issued) return issued;
    if (!storage.flushAsync) return this.flush();
    try {
      await storage.flushAsync();
    } catch (cause) {
      state.fail(
        "IO",
        "a flush failed, so it is unknown what is durable; close and open the file again",
        cause,
      );
    }
    state.counters.flushes++;
    state.lastFlushed = Math.max(state.lastFlushed, issued);
    // While a compaction replaces the file, slot 2 is set by this process itself; what was committed before is in the copy too.
    if (!this.closed && this.state === state && !state.frozen) state.verifyUnfenced();
    return issued;
  }

  /** Writes the block map and a superblock, so that opening has nothing to replay. Returns the record's sequence. */
  checkpoint(): number {
    this.ensureOpen();
    return checkpoint(this.state);
  }

  /** Keeps the last commit under a name. INVALID_ARGUMENT for a name that is in use, empty or longer than 1024 bytes of UTF-8. */
  createSnapshot(name: string): number {
    this.ensureOpen();
    if (snapshotNameBytes(name) === null) {
      throw new PerdureError("INVALID_ARGUMENT", "the name of a snapshot is 1 to 1024 bytes of UTF-8");
    }
    if (this.state.snapshots.some((entry) => entry.name === name)) {
      throw new PerdureError("INVALID_ARGUMENT", `there is a snapshot "${name}" already`);
    }
    return this.changeDirectory({ operation: Operation.CreateSnapshot, name });
  }

  /** Frees what only this snapshot holds. LOCKED while somebody has it open. */
  deleteSnapshot(name: string): number {
    this.snapshot(name);
    if (this.openSnapshots.has(name) || this.pinnedSnapshots().includes(name)) {
      throw new PerdureError("LOCKED", `snapshot "${name}" is open; close it first`);
    }
    return this.changeDirectory({ operation: Operation.DeleteSnapshot, name });
  }

  /** Makes the image that of the snapshot again, as a new commit; what was spilled and discarded is dropped. */
  restoreSnapshot(name: string): number {
    const { root } = this.snapshot(name);
    this.rollback();
    return this.changeDirectory({ operation: Operation.Restore, name, image: root });
  }

  /** A read-only look at a snapshot; it cannot be deleted until this is closed. */
  openSnapshot(name: string): SnapshotView {
    const { root, sequence } = this.snapshot(name);
    let { file } = this.state;
    let map = new BlockMap(file, root);
    let open = true;
    this.openSnapshots.set(name, (this.openSnapshots.get(name) ?? 0) + 1);
    const mapNow = () => {
      if (!open || this.closed) throw new PerdureError("CLOSED", `snapshot "${name}" is closed`);
      // A compaction has replaced the file.
      if (this.state.file !== file) {
        file = this.state.file;
        map = new BlockMap(file, this.snapshot(name).root);
      }
      return map;
    };
    return {
      sequence,
      read: (block, count, into) => readBlocks(this.state.file, mapNow(), block, count, into),
      has: (block) => mapNow().slotOf(block) !== 0,
      written: (block, count) => writtenBlocks(mapNow(), block, count),
      close: () => {
        if (!open) return;
        open = false;
        const left = this.openSnapshots.get(name)! - 1;
        if (left === 0) this.openSnapshots.delete(name);
        else this.openSnapshots.set(name, left);
      },
    };
  }

  /** Writes the last commit and all snapshots to a new file, while commits go on. Never overwrites. */
  async backup(place: Place, name: string, options: CopyOptions = {}): Promise<void> {
    this.ensureOpen();
    const { state } = this;
    state.ensureWritable();
    if (state.log.segments > 0) checkpoint(state);
    // As a reader's pin would: this reach is kept until the copy is done.
    const { space } = state;
    const token = {};
    space.pinned.set(token, { ...space.newest, runs: [...space.newest.runs] });
    const { file, newest, snapshots } = state;
    const source: CopySource = {
      file,
      map: new BlockMap(file, newest.image),
      snapshots,
      forks: new Map(),
      sequence: newest.sequence,
    };
    this.backups++;
    try {
      await this.runCopy(copyFile(place, name, this.hasher, source), options);
    } finally {
      this.backups--;
      space.pinned.delete(token);
    }
  }

  /** Replaces the file by a dense copy of itself. Until it is done commits are refused with BUSY. UNSUPPORTED without a place. */
  async compact(options: CopyOptions = {}): Promise<void> {
    this.ensureOpen();
    const { home, state } = this;
    if (home === null)
      throw new PerdureError(
        "UNSUPPORTED",
        "a storage without a place cannot be replaced by a compacted one",
      );
    if (hasPending(state)) throw new PerdureError("BUSY", "compact: commit or roll back first");
    if (this.backups > 0) throw new PerdureError("BUSY", "compact: a backup is being made of this file");
    if (state.log.segments > 0) checkpoint(state);
    state.ensureWritable();
    state.frozen = true;
    try {
      const source: CopySource = {
        file: state.file,
        map: state.map,
        snapshots: state.snapshots,
        forks: new Map(),
        sequence: state.sequence,
      };
      const steps = replaceByCopy(home.place, home.name, this.hasher, home.lock.n, source);
      await this.runCopy(steps, options, () => {
        this.state = home.reopen();
        state.file.storage.close();
      });
    } catch (error) {
      if (this.state === state && state.file.isForwarded()) state.failure ??= fenced(state, error);
      throw error;
    } finally {
      state.frozen = false;
    }
  }

  /** Accounting of the file; with `all` every block is read and verified. Never writes. */
  check(all = false): CheckReport {
    this.ensureOpen();
    const { state } = this;
    const { file, map, forks, log } = state;
    const problems: string[] = [];
    const say = (problem: string) => problems.push(problem);
    const planes = attempt(say, "the free map", () => state.space);
    const snapshots = attempt(say, "the directory", () => state.snapshots) ?? [];
    const meta = planes?.meta ?? new SlotSet();
    return checkAccounting(
      { file, problems, map, snapshots, forks, planes, meta, runs: log.runs, next: log.next },
      all,
    );
  }

  stats(): PagerStats {
    this.ensureOpen();
    const { state } = this;
    const live = state.space.image.clone();
    live.addAll(state.space.held);
    return {
      sequence: state.sequence,
      lastFlushed: state.lastFlushed,
      generation: state.newest.generation,
      fileBytes: state.file.storage.size(),
      liveSlots: live.count(),
      chain: { commits: state.log.segments, slots: state.log.spentSlots, runs: state.log.runs.length },
      ...state.counters,
    };
  }

  /**
   * Checkpoints and unlocks; on a full device without the checkpoint, for the next opening to replay. A poisoned handle only unlocks. Idempotent;
   * throws when the last commits could not be made durable.
   */
  close(): void {
    if (this.closed) return;
    const { state } = this;
    try {
      if (state.failure === null) {
        this.rollback();
        if (state.log.segments > 0) this.checkpointOrFlush();
      }
    } finally {
      this.closed = true;
      this.home?.lock.release();
      state.file.storage.close();
    }
  }

  /** Lets go of the file without writing anything more, as a crash would, except that the lock is released. */
  abandon(): void {
    this.state.failure ??= new PerdureError("CLOSED", `${this.state.file.label}: abandoned`);
    this.close();
  }

  private checkpointOrFlush(): void {
    try {
      checkpoint(this.state, { closing: true });
    } catch (error) {
      const { state } = this;
      if (state.failure !== null) throw error;
      // The chain stays as it is; what it holds is made durable all the same.
      state.flush();
      if (!(error instanceof PerdureError && error.code === "NO_SPACE")) throw error;
      state.verifyUnfenced();
    }
  }

  /** `install` is called when the copy is done, in the same turn. */
  private runCopy(steps: Generator<number, void>, options: CopyOptions, install?: () => void): Promise<void> {
    return runSteps(steps, this.state.space.union().count(), options, install);
  }

  private changeDirectory(change: DirectoryChange): number {
    return checkpoint(this.state, { change });
  }

  private pinnedSnapshots(): string[] {
    return this.home?.pinnedSnapshots(this.state.newest.uuid) ?? [];
  }

  private snapshot(name: string): SnapshotEntry {
    this.ensureOpen();
    const entry = this.state.snapshots.find((each) => each.name === name);
    if (!entry) throw new PerdureError("NOT_FOUND", `there is no snapshot "${name}"`);
    return entry;
  }

  private ensureOpen(): void {
    if (this.closed) throw new PerdureError("CLOSED", `${this.state.file.label}: this handle is closed`);
  }
}

export interface SnapshotView {
  /** Of the commit that it shows. */
  readonly sequence: number;
  read(block: number, count: number, into: Uint8Array): void;
  /** Whether it has this block; one it has not reads as zeros. */
  has(block: number): boolean;
  written(block: number, count: number): BlockRanges;
  close(): void;
}

function fenced(state: WriterState, cause: unknown): PerdureError {
  return new PerdureError(
    "FENCED",
    `${state.file.label}: replacing the file was interrupted; close and open it again`,
    { cause },
  );
}
