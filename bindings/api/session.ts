/**
 * What is common to everything that works on an open memory: access to its bytes, its commits, and whether it may be used. `Memory` is this with
 * the verbs of the public surface; pointers, regions and the like need no more than this.
 */
import { PerdureError } from "../base/errors.js";
import { BLOCK_BYTES } from "../core.js";
import type { Engine, Source } from "../engine.js";
import type { Pager } from "../pager/pager.js";
import type { Reader } from "../pager/reader.js";
import type { Place } from "../storage/storage.js";
import { Accessors } from "./accessors.js";
import { AutoCommit } from "./auto-commit.js";
import { CommitEvent, MemoryErrorEvent } from "./events.js";
import type { Settings } from "./options.js";

/** Of the heap: no object lies below. */
export const HEAP = 0x1400_0000;

/** Where a memory's commits are: exactly one of pager, reader and snapshot is what it shows. */
export interface Origin {
  readonly path: string;
  readonly pager: Pager | null;
  readonly reader: Reader | null;
  readonly source: Source & { readonly sequence: number };
  /** Lets go of it. */
  close(): void;
  /** Where a path leads, for copies. */
  locate(path: string): { place: Place; name: string };
}

export abstract class Session extends Accessors {
  readonly path: string;
  readonly readOnly: boolean;
  /** Of transactions under way. @internal */
  depth = 0;
  /** @internal */
  readonly auto: AutoCommit;
  /** Called before every commit, to put into the memory what belongs to it. @internal */
  readonly beforeCommit = new Set<() => void>();
  private closed = false;
  private hasCommitListener = false;

  /** @internal */
  constructor(
    /** @internal */
    readonly engine: Engine,
    /** @internal */
    readonly origin: Origin,
    /** @internal */
    readonly settings: Settings,
  ) {
    super();
    this.path = origin.path;
    this.readOnly = origin.pager === null;
    const self = this;
    const target = {
      get dirty() {
        return !self.closed && engine.halt === null && engine.dirty;
      },
      commitUnflushed: () => void this.commitNow(false),
      flushed: () => engine.pager.flushed(),
      failed: (error: unknown) => this.failed(error),
    };
    const isAutomatic = settings.autoCommit && !this.readOnly;
    this.auto = new AutoCommit(target, isAutomatic, settings.durability === "flush");
    engine.start(origin.source, origin.pager, {
      accessChanged: () => this.renewAccess(),
      firstTouch: () => this.auto.schedule(),
    });
  }

  /** Of the last commit; 0 in a new file. */
  get sequence(): number {
    return this.origin.source.sequence;
  }

  /** False after `close`. */
  get isOpen(): boolean {
    return !this.closed;
  }

  /** A copy of `length` bytes. */
  read(address: number, length: number): Uint8Array {
    this.verifyRange(address, length, false);
    this.engine.ensure(address, length, false);
    return this.engine.core.bytes.slice(address, address + length);
  }

  write(address: number, bytes: Uint8Array): void {
    if (!(bytes instanceof Uint8Array))
      throw new PerdureError("INVALID_ARGUMENT", "write takes a Uint8Array");
    this.verifyRange(address, bytes.length, true);
    // Bytes of this memory itself stay where they are while blocks come in, unless blocks of theirs do: so they are copied first.
    const from = bytes.buffer === this.engine.core.bytes.buffer ? bytes.slice() : bytes;
    this.engine.ensure(address, from.length, true, true);
    this.engine.core.bytes.set(from, address);
  }

  override addEventListener(
    type: "commit" | "error" | (string & {}),
    listener: ((event: CommitEvent & MemoryErrorEvent) => void) | EventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void {
    if (type === "commit") this.hasCommitListener = true;
    super.addEventListener(type, listener as EventListener, options);
  }

  /** Bytes from `address` to the end of the live block that it lies in. @internal */
  roomAt(address: number): number {
    this.ensureOpen();
    const { functions } = this.engine.core;
    const inside = address >= HEAP && address < 2 ** 32;
    const start = inside ? this.engine.ask(() => functions.blockOf(address)) : 0;
    if (start === 0) throw new PerdureError("INVALID_ADDRESS", `no live block is at ${hex(address)}`);
    return start + this.engine.ask(() => functions.sizeOf(start)) - address;
  }

  /** @internal */
  commitNow(durable: boolean): number {
    for (const complete of this.beforeCommit) complete();
    const before = this.sequence;
    const sequence = this.engine.commit(durable);
    if (sequence !== before && this.hasCommitListener) this.dispatchEvent(new CommitEvent(sequence));
    return sequence;
  }

  /** @internal */
  ensureOpen(): void {
    if (this.closed) throw new PerdureError("CLOSED", `${this.path}: this memory was closed`);
  }

  /** @internal */
  refuseInside(what: string): void {
    if (this.depth > 0)
      throw new PerdureError("BUSY", `${what} inside of a transaction; it commits by itself`);
  }

  /** @internal */
  protected admit(address: number, bytes: number, write: boolean): void {
    this.verifyRange(address, bytes, write);
    this.engine.ensure(address, bytes, write);
  }

  private verifyRange(address: number, bytes: number, write: boolean): void {
    this.ensureOpen();
    const { engine } = this;
    const whole = Number.isSafeInteger(address) && Number.isSafeInteger(bytes) && bytes >= 0;
    if (!whole || address < HEAP || address + bytes > engine.core.bytes.length)
      throw new PerdureError("INVALID_ADDRESS", `${bytes} bytes at ${hex(address)} are not in this memory`);
    if (write) engine.ensureWritable();
    if (bytes === 0) return;
    if (this.settings.checks) {
      const room = this.roomAt(address);
      if (bytes > room)
        throw new PerdureError(
          "INVALID_ADDRESS",
          `${bytes} bytes at ${hex(address)}: its block ends after ${room}`,
        );
    } else if (!this.isAllocated(address, bytes)) {
      throw new PerdureError("INVALID_ADDRESS", `no live block is at ${hex(address)}`);
    }
  }

  /** Whether the blocks of a range belong to the heap's objects. */
  private isAllocated(address: number, bytes: number): boolean {
    const { engine } = this;
    const { PAGE_MAP } = engine.core.constants;
    const first = Math.floor((address - HEAP) / BLOCK_BYTES);
    const last = Math.floor((address + bytes - 1 - HEAP) / BLOCK_BYTES);
    engine.ensure(PAGE_MAP + 4 * first, 4 * (last - first + 1), false);
    for (let frame = first; frame <= last; frame++)
      if (engine.core.data.getUint32(PAGE_MAP + 4 * frame, true) === 0) return false;
    return true;
  }

  /** The views of memory, or whether accesses may pass unseen, have changed. */
  private renewAccess(): void {
    const { core, halt } = this.engine;
    this.data = core.data;
    if (this.closed || halt !== null || this.settings.checks) this.lookAtAll();
    else this.trust(core.states);
  }

  private failed(error: unknown): void {
    if (error instanceof PerdureError && this.engine.halt === null) this.engine.halt = error;
    this.dispatchEvent(new MemoryErrorEvent(error));
  }

  /** @internal */
  protected letGo(): void {
    this.closed = true;
    this.auto.stop();
    // Also for what does not ask whether the memory is open: alloc would cost more by it.
    this.engine.halt = new PerdureError("CLOSED", `${this.path}: this memory was closed`);
    for (const watch of [...this.engine.watches]) watch.lost();
    this.engine.watches.clear();
    try {
      this.origin.close();
    } finally {
      this.dispatchEvent(new Event("close"));
    }
  }
}

export const hex = (address: number): string =>
  Number.isInteger(address) ? `0x${address.toString(16)}` : String(address);
