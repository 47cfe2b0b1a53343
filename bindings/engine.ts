/**
 * Where the Wasm engine and the pager meet: blocks are faulted in from a source, dirty ones go into commits.
 *
 * Invariants. Memory and block states are what the source has, plus what is dirty. `halt`, when set, is why nothing may be written: after an
 * error that left a call of the engine half done (until `rollback`), after a commit that failed by itself (until one succeeds), or for good.
 */
import { PerdureError } from "./base/errors.js";
import { BLOCK_BYTES, Core, type CoreOptions } from "./core.js";
import { addUnseenChanges, dirtyChanges } from "./engine/changes.js";
import { explain, MOUNT_PROBLEMS } from "./engine/problems.js";
import type { Source } from "./engine/source.js";
import { blocksOf, type Watch } from "./engine/watch.js";
import type { WasmHasher } from "./hash/wasm-hasher.js";
import type { Pager } from "./pager/pager.js";

export type { Source } from "./engine/source.js";
export type { Watch } from "./engine/watch.js";

export interface Listener {
  /** The views of memory were renewed, or whether it may be written is another matter now. */
  accessChanged(): void;
  /** Something will need a commit. */
  firstTouch(): void;
}

export class Engine {
  readonly core: Core;
  readonly watches = new Set<Watch>();
  /** Called after the image changed as a whole, when all of it can be read. */
  readonly resumed = new Set<() => void>();
  /** Changes when the image does as a whole, and when a region is resized or dropped: what was read of where it lies means nothing any more. */
  generation = 0;
  /** How often what is in memory was taken back or replaced: rollbacks, restores, refreshes. */
  reverts = 0;
  private reason: PerdureError | null = null;
  private writer: Pager | null = null;
  private source!: Source;
  private listener: Listener | null = null;

  constructor(options: CoreOptions, hasher?: WasmHasher) {
    this.core = new Core(
      {
        fault: (block) => this.fault(block),
        firstTouch: () => this.listener?.firstTouch(),
        spill: (block) => this.spill(block),
      },
      options,
      hasher,
    );
  }

  /** Shows what the pager or reader has. CORRUPT or VERSION when it is not an image of this engine. */
  start(source: Source, writer: Pager | null, listener: Listener): void {
    this.source = source;
    this.writer = writer;
    this.mount();
    this.listener = listener;
    listener.accessChanged();
    // What makes a new image usable is the first thing to commit.
    if (writer !== null && this.dirty) listener.firstTouch();
  }

  get pager(): Pager {
    if (this.writer === null) throw new PerdureError("READ_ONLY", "this memory was opened for reading only");
    return this.writer;
  }

  get readOnly(): boolean {
    return this.writer === null;
  }

  /** Why nothing may be written; null when it may. */
  get halt(): PerdureError | null {
    return this.reason;
  }

  set halt(error: PerdureError | null) {
    this.reason = error;
    this.listener?.accessChanged();
  }

  ensureWritable(): void {
    if (this.writer === null) throw new PerdureError("READ_ONLY", "this memory was opened for reading only");
    if (this.reason !== null)
      throw new PerdureError(this.reason.code, this.reason.message, { cause: this.reason });
  }

  /** Whether anything would be part of a commit now. */
  get dirty(): boolean {
    const { data, constants } = this.core;
    const listed = data.getUint32(constants.DIRTY_COUNT, true) > 0;
    return (
      listed ||
      data.getUint32(constants.DIRTY_WINDOWS, true) > 0 ||
      this.hasWritableWatch() ||
      this.writer?.hasPending === true
    );
  }

  /** Blocks that the next commit will write, without what changed under views and what was spilled. */
  get dirtyBlocks(): number {
    const { core } = this;
    let count = core.data.getUint32(core.constants.DIRTY_COUNT, true);
    core.eachDirtyInWindows(() => count++);
    return count;
  }

  // Calls

  /**
   * Calls a function of the engine that changes the image; what gives blocks of the heap back is called through this or `release`. An error of the host in
   * the middle of it may have left the image half changed: then nothing more is written before `rollback`.
   */
  mutate(call: () => number): number {
    this.ensureWritable();
    const { core } = this;
    let result: number;
    try {
      result = call() >>> 0;
    } catch (cause) {
      throw this.suspend(cause);
    }
    core.renew();
    this.listener?.accessChanged();
    return result;
  }

  /** The same as `mutate` for the calls that matter most. */
  alloc(size: number, align: number, zero: number): number {
    if (this.reason !== null || this.writer === null) this.ensureWritable();
    const { core } = this;
    const { data } = core;
    let result: number;
    try {
      result = core.functions.alloc(size, align, zero) >>> 0;
    } catch (cause) {
      throw this.suspend(cause);
    }
    core.renew();
    if (core.data !== data) this.listener?.accessChanged();
    return result;
  }

  release(address: number): number {
    if (this.reason !== null || this.writer === null) this.ensureWritable();
    let code: number;
    try {
      code = this.core.functions.release(address) >>> 0;
    } catch (cause) {
      throw this.suspend(cause);
    }
    // Its span may have gone back with it.
    if (this.core.states[address >>> 12] < this.core.constants.CLEAN) this.listener?.accessChanged();
    return code;
  }

  /** Calls what changes nothing. A trap is damage. */
  ask(call: () => number): number {
    try {
      return call() >>> 0;
    } catch (cause) {
      throw explain(cause);
    }
  }

  /** Runs several changes that belong together: when one fails, nothing more is written before `rollback`. */
  changeAll<T>(body: () => T): T {
    try {
      return body();
    } catch (cause) {
      throw this.suspend(cause);
    }
  }

  /** Nothing more is written before `rollback`. Returns the error to throw. */
  suspend(cause: unknown): unknown {
    this.core.renew();
    this.listener?.accessChanged();
    if (this.reason?.code === "SUSPENDED") return cause;
    const suspended = new PerdureError(
      "SUSPENDED",
      "an error stopped a change half way; nothing is written until rollback()",
      { cause: explain(cause) },
    );
    this.halt = suspended;
    return cause instanceof PerdureError ? cause : suspended;
  }

  // Presence

  /**
   * Makes a range present; with `write` also part of the next commit. With `overwrite` all of it is about to be written, so that whole blocks need
   * not be read. The range lies in the low image or in one window.
   */
  ensure(address: number, bytes: number, write: boolean, overwrite = false): void {
    if (bytes === 0) return;
    const first = Math.floor(address / BLOCK_BYTES);
    const last = Math.floor((address + bytes - 1) / BLOCK_BYTES);
    if (!write) {
      this.bringIn(first, last);
      return;
    }
    this.ensureWritable();
    const { functions, states, constants } = this.core;
    if (overwrite && address >= constants.LOW_IMAGE) {
      const from = Math.ceil(address / BLOCK_BYTES);
      const to = Math.floor((address + bytes) / BLOCK_BYTES);
      // What is kept of the blocks at both ends comes first: when it cannot be read nothing has changed.
      if (from > first) this.bringIn(first, first);
      if (to <= last) this.bringIn(last, last);
      for (let block = from; block < to; block++)
        if (states[block] === constants.ABSENT) functions.discard(block, 1);
    }
    if (last > first) this.bringIn(first, last);
    for (let block = first; block <= last; block++)
      if (states[block] < constants.DIRTY) functions.touch(block);
  }

  /** Reads the absent blocks of a range, neighbours at once. */
  private bringIn(first: number, last: number): void {
    const { states, constants, functions } = this.core;
    const { ABSENT, CLEAN } = constants;
    for (let block = first; block <= last; block++) {
      if (states[block] !== ABSENT) {
        if (states[block] < CLEAN) functions.fetch(block);
        continue;
      }
      let end = block + 1;
      while (end <= last && states[end] === ABSENT) end++;
      this.source.read(this.core.imageBlock(block), end - block, this.core.blocks(block, end - block));
      states.fill(CLEAN, block, end);
      block = end - 1;
    }
  }

  private fault(block: number): void {
    const { core } = this;
    this.source.read(core.imageBlock(block), 1, core.blocks(block, 1));
  }

  private spill(block: number): void {
    const { core } = this;
    this.pager.spill(core.imageBlock(block), core.blocks(block, 1));
  }

  /** Where a cluster of high memory can be seen, until the epoch of the windows changes. */
  windowOf(cluster: number): number {
    const { core } = this;
    const address = this.ask(() => core.functions.windowOf(cluster));
    if (core.codeOf(address) !== null)
      throw new PerdureError("INVALID_ADDRESS", `there is no cluster ${cluster}`);
    return address;
  }

  /** False in a reader of an image in which nothing was committed yet. */
  isFormatted(): boolean {
    return this.writer !== null || this.source.has(this.core.constants.HEADER / BLOCK_BYTES);
  }

  /** What a block of the low image has now; undefined for zeros. Brings nothing in. */
  blockNow(block: number): Uint8Array | undefined {
    const { core } = this;
    const state = core.states[block];
    if (state >= core.constants.CLEAN) return core.blocks(block, 1);
    if (state !== core.constants.ABSENT || !this.source.has(block)) return undefined;
    const bytes = new Uint8Array(BLOCK_BYTES);
    this.source.read(block, 1, bytes);
    return bytes;
  }

  // Commits

  /** Commits what is dirty and what changed under a view; returns the sequence. */
  commit(durable: boolean): number {
    const { pager } = this;
    if (this.reason !== null && this.reason.code === "SUSPENDED") this.ensureWritable();
    const changes = dirtyChanges(this.core);
    if (this.hasWritableWatch()) addUnseenChanges(this.core, pager, this.watches, changes);
    const sequence = pager.commit(changes, durable);
    this.noteDurability();
    this.core.functions.settle();
    this.halt = null;
    return sequence;
  }

  /** Tells the engine from which commit on it is not known that they are durable; the next one to settle is the latest. */
  noteDurability(): void {
    const { data, constants } = this.core;
    const isDurable = this.writer === null || this.writer.lastFlushed >= this.writer.sequence;
    const known = data.getUint32(constants.UNFLUSHED, true);
    const first = isDurable ? 0 : known || data.getUint32(constants.COMMIT_COUNT, true) + 1;
    data.setUint32(constants.UNFLUSHED, first, true);
  }

  /** Back to the last commit, and out of suspension. */
  rollback(): void {
    this.pager.rollback();
    this.core.functions.revert();
    this.resume();
  }

  /** The source shows another commit now: forgets what is in memory. */
  showAnother(): void {
    this.core.functions.forget();
    this.resume();
  }

  /** After the image changed as a whole: the engine's own view of it, then what programs look at through views. */
  private resume(): void {
    this.generation++;
    this.reverts++;
    this.reason = null;
    try {
      this.mount();
      for (const watch of this.watches) this.reload(watch);
      for (const watch of [...this.watches]) if (!this.isLive(watch)) this.lose(watch);
      for (const call of this.resumed) call();
    } catch (cause) {
      // What views show may still be that of before, which must not be committed.
      throw this.writer === null ? cause : this.suspend(cause);
    } finally {
      this.listener?.accessChanged();
    }
  }

  private mount(): void {
    const { core } = this;
    const blank = !this.source.has(core.constants.HEADER / BLOCK_BYTES);
    // A reader of an image in which nothing was committed sees zeros, which is an image with nothing in it.
    if (blank && this.writer === null) return;
    const { functions } = core;
    const code = core.codeOf(this.ask(() => (blank ? functions.format() : functions.mount())));
    core.renew();
    if (code !== null) throw new PerdureError(code, MOUNT_PROBLEMS[code] ?? "the image cannot be shown");
  }

  // Views

  /** Begins to watch a range that lies in one live object. */
  watch(watch: Watch): void {
    const [first, last] = blocksOf(watch);
    this.ensure(watch.address, watch.bytes, false);
    if (watch.writable) {
      this.ensureWritable();
      this.core.functions.watch(first, last - first + 1);
    }
    this.watches.add(watch);
    this.lockGrowth();
  }

  unwatch(watch: Watch): void {
    if (!this.watches.delete(watch)) return;
    this.lockGrowth();
    if (!watch.writable) return;
    const { core } = this;
    const [first, last] = blocksOf(watch);
    const others = [...this.watches].filter(({ writable }) => writable).map(blocksOf);
    // Also while nothing may be written: what was stored waits with all else that is dirty for the commit or the rollback.
    for (let block = first; block <= last; block++) {
      if (others.some(([from, to]) => from <= block && block <= to)) continue;
      const isWatched = core.states[block] === core.constants.WATCHED;
      core.functions.unwatch(block, isWatched && this.mayDiffer(block) ? 1 : 0);
    }
  }

  /** True also when it cannot be told, because the file cannot be read. */
  private mayDiffer(block: number): boolean {
    try {
      return this.pager.differing(block, 1, this.core.blocks(block, 1)).length > 0;
    } catch {
      return true;
    }
  }

  /** Whether a program looks at any byte of this range through a view; one of no bytes looks at the byte where it is. */
  isWatched(address: number, bytes: number): boolean {
    for (const watch of this.watches)
      if (watch.address < address + bytes && address < watch.address + Math.max(watch.bytes, 1)) return true;
    return false;
  }

  private lockGrowth(): void {
    this.core.data.setUint32(this.core.constants.GROWTH_LOCK, this.hasWritableWatch() ? 1 : 0, true);
  }

  private hasWritableWatch(): boolean {
    if (this.watches.size === 0) return false;
    for (const { writable } of this.watches) if (writable) return true;
    return false;
  }

  /** What a view shows is that of the source again. */
  private reload(watch: Watch): void {
    const { states, constants } = this.core;
    const [first, last] = blocksOf(watch);
    for (let block = first; block <= last; block++) {
      if (states[block] === constants.WATCHED) this.fault(block);
    }
    this.bringIn(first, last);
    if (watch.writable) this.core.functions.watch(first, last - first + 1);
  }

  private isLive({ address, bytes }: Watch): boolean {
    const { functions } = this.core;
    const start = this.ask(() => functions.blockOf(address));
    return start !== 0 && address + bytes <= start + this.ask(() => functions.sizeOf(start));
  }

  private lose(watch: Watch): void {
    this.unwatch(watch);
    watch.lost();
  }
}
