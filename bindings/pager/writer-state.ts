/**
 * What a writer knows between two calls, and the few steps that commit, checkpoint and recovery share. One verb a file: `commit.ts`,
 * `checkpoint.ts`, `recover.ts` work on this.
 *
 * Invariants. `map`, `snapshots` and `sequence` are those of the last acknowledged commit, never ahead of the file. `failure` once set
 * stays: such a handle writes nothing any more, and only opening the file again decides what the last commit is.
 */
import { PerdureError } from "../base/errors.js";
import { SLOT_BYTES } from "../format/constants.js";
import type { SnapshotEntry } from "../format/directory.js";
import { decodeHeader } from "../format/segment.js";
import type { Root, Superblock } from "../format/superblock.js";
import { BlockMap } from "./block-map.js";
import { BlockRanges } from "./block-ranges.js";
import { readDirectory } from "./directory.js";
import { Log } from "./log.js";
import { SMALL_BUDGET_SLOTS } from "./runs.js";
import { type Reach, Space, tryReach } from "./space.js";
import type { StateFile } from "./state-file.js";

export interface Limits {
  /** Chain after which a commit checkpoints first. */
  chainSlots: number;
  chainCommits: number;
  /** Map nodes kept in memory. */
  mapNodes: number;
  /** Blocks that one commit can list: what the u32 `body bytes` of a header can, with as many spilled blocks beside. */
  commitBlocks: number;
}

export const DEFAULT_LIMITS: Limits = {
  chainSlots: 16384,
  chainCommits: 4000,
  mapNodes: 16384,
  commitBlocks: 2 ** 26,
};

/** A reader's pin as the writer sees it. */
export interface Pin {
  nonce: string;
  superblock: Superblock;
  sequence: number;
}

export interface Spill {
  slot: number;
  digest: DataView;
}

const ZERO_SLOT = new Uint8Array(SLOT_BYTES);

export class WriterState {
  sequence: number;
  digest: bigint;
  /** The last sequence that a completed flush covers. */
  lastFlushed: number;
  log: Log;
  map: BlockMap;
  failure: PerdureError | null = null;
  /** Set while a copy is being made that later commits would miss. */
  frozen = false;
  /** With `discarded`, what the next commit will have besides its changes: see `pending.ts`. */
  readonly spilled = new Map<number, Spill>();
  readonly discarded = new BlockRanges();
  /** How many of those the map has. */
  discardedBlocks = 0;
  /** Snapshots that a recovery replayed from the chain, whose trees are not all in the file yet. */
  readonly forks = new Map<string, BlockMap>();
  /** Slots of log runs wanted at the next checkpoint. */
  budget = SMALL_BUDGET_SLOTS;
  /** Slots in the file, as far as this writer has written it. */
  fileSlots: number;
  counters = { commits: 0, checkpoints: 0, flushes: 0, bytesWritten: 0 };
  private loadedSpace: Space | null = null;
  private loadedSnapshots: SnapshotEntry[] | null = null;

  constructor(
    readonly file: StateFile,
    public newest: Superblock,
    public fallback: Superblock | null,
    readonly writer: number,
    readonly limits: Limits,
    /** Whether another process can set slot 2 at all. */
    readonly fenced: boolean,
    readonly listPins: () => Pin[],
  ) {
    this.sequence = newest.sequence;
    this.digest = newest.chainDigest;
    this.lastFlushed = newest.sequence;
    this.log = new Log(newest.runs, newest.chainNext);
    this.map = this.openMap(newest.image);
    this.fileSlots = file.slots();
  }

  /** Keeps the free map's planes in step with the block map. */
  readonly observer = {
    added: (slot: number) => this.space.addImage(slot),
    released: (slot: number) => this.space.removeImage(slot),
  };

  openMap(root: Root): BlockMap {
    return new BlockMap(this.file, root, this.observer.released);
  }

  /** Loaded when first needed: a file that is opened and read costs no look at the free map. */
  get space(): Space {
    this.loadedSpace ??= Space.load(this.file, this.newest, this.fallback);
    return this.loadedSpace;
  }

  get snapshots(): SnapshotEntry[] {
    this.loadedSnapshots ??= readDirectory(this.file, this.newest.directory);
    return this.loadedSnapshots;
  }

  set snapshots(entries: SnapshotEntry[]) {
    this.loadedSnapshots = entries;
  }

  ensureWritable(): void {
    if (this.failure)
      throw new PerdureError(this.failure.code, this.failure.message, { cause: this.failure });
    if (this.frozen) throw new PerdureError("BUSY", `${this.file.label}: the file is being compacted`);
  }

  /** Poisons the handle with `code` and throws. */
  fail(code: "IO" | "FENCED", message: string, cause?: unknown): never {
    this.failure ??= new PerdureError(code, `${this.file.label}: ${message}`, { cause });
    throw this.failure;
  }

  /** Everything written is durable, or the handle is poisoned. */
  flush(): void {
    const written = this.sequence;
    try {
      this.file.storage.flush();
    } catch (cause) {
      this.fail(
        "IO",
        "a flush failed, so it is unknown what is durable; close and open the file again",
        cause,
      );
    }
    this.counters.flushes++;
    this.lastFlushed = Math.max(this.lastFlushed, written);
  }

  /** To be called before anything is acknowledged: throws FENCED when another writer has taken the file over. */
  verifyUnfenced(): void {
    if (!this.fenced) return;
    let forwarded: boolean;
    try {
      forwarded = this.file.isForwarded();
    } catch (cause) {
      // What was to be acknowledged is in the file already: a handle that went on would write over it.
      this.fail(
        "IO",
        "slot 2 cannot be read, so it is unknown what was committed; close and open again",
        cause,
      );
    }
    if (!forwarded) return;
    this.fail(
      "FENCED",
      "another process has taken this file over; nothing more is written here, open it again",
    );
  }

  /**
   * The header at `next`, or what belongs to it, could not be written whole. A header that has arrived is overwritten, durably, so that an error
   * that was reported can never turn into a commit later; when even that fails, the handle is poisoned. One that has not come to the cache cannot
   * reach the disk either: on a full one there is nothing to void, and no room for zeros.
   */
  voidHeader(digest: bigint, cause: unknown): void {
    try {
      if (this.hasArrived(digest)) {
        this.file.write(this.log.next, ZERO_SLOT);
        this.file.storage.flush();
      }
    } catch (second) {
      this.failure ??= new PerdureError(
        "IO",
        `${this.file.label}: a write failed (${message(cause)}) and could not be taken back (${message(second)}); close and open the file again`,
        { cause },
      );
      return;
    }
    // A taker may have walked over the header before it was voided: then the outcome is not "failed" but unknown.
    this.verifyUnfenced();
  }

  /** Whether the beginning of the header with this digest is at `next`; its other slots without it are nothing. */
  private hasArrived(digest: bigint): boolean {
    const there = decodeHeader(this.file.read(this.log.next), this.newest.uuid);
    return there.ok && there.value.digest === digest;
  }

  /** Gives back what a failed write has added to the end of the file, where nothing of any commit lies: on a full disk it may be all the room there is. */
  cutOffGrowth(): void {
    const { storage } = this.file;
    const end = this.fileSlots * SLOT_BYTES;
    try {
      if (this.failure === null && storage.size() > end) storage.truncate(end);
    } catch {
      // It stays; its slots are free, and will be used.
    }
  }

  /** Brings the retained reaches in line with the pins that exist now. */
  refreshPins(): void {
    const pins = this.listPins();
    const space = this.space;
    for (const key of space.pinned.keys()) {
      if (typeof key === "string" && !pins.some((pin) => pin.nonce === key)) space.pinned.delete(key);
    }
    for (const pin of pins) {
      const reach = space.pinned.has(pin.nonce) ? null : this.reachOf(pin);
      if (reach) space.pinned.set(pin.nonce, reach);
    }
  }

  /** Null for a pin that came too late: what it is about has been overwritten, and its reader will find that out. */
  private reachOf(pin: Pin): Reach | null {
    for (const known of [this.space.newest, this.space.fallback]) {
      // A copy: what is named later is not needed for what the reader sees now.
      if (known?.generation === pin.superblock.generation) return { ...known, runs: [...known.runs] };
    }
    return tryReach(this.file, pin.superblock, pin.sequence);
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
