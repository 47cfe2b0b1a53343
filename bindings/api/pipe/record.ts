/**
 * What a memory keeps of a pipe: its cursor and all that must be committed together with it. An object of 128 bytes in the heap, to which the
 * pipe's name leads (registry kind 3; the layout hash of the entry is the signature of the stages).
 *
 *    0  f64  offset of the cursor: bytes, records or pages, as the source counts
 *    8  u32  slot of the cursor
 *   12  u32  state: 0 stopped, 1 running, 2 at the end
 *   16  f64  records that were read
 *   24  f64  records that left the last stage
 *   32  f64  sequence: records given to functions outside
 *   40  u64  fingerprint of the source, 0 for none
 *   48  f64  records that are still to come, as far as was known; −1 for unknown
 *   56  f64  when it was last saved, in milliseconds of Unix time
 *   64  ref  accumulator: text of JSON
 *   72  ref  source: text of JSON, its kind and label
 *   80  f64  records that were rejected
 */
import { PerdureError } from "../../base/errors.js";
import { Ptr } from "../ptr.js";
import { Kind, Registry } from "../roots.js";
import type { Session } from "../session.js";
import { countCursors } from "../table/pipe-source.js";
import type { Position } from "./source.js";

const RECORD_BYTES = 128;
const OFFSET = 0;
const SLOT = 8;
const STATE = 12;
const READ = 16;
const EMITTED = 24;
const SEQUENCE = 32;
const FINGERPRINT = 40;
const REMAINING = 48;
const SAVED_AT = 56;
const ACCUMULATOR = 64;
const SOURCE = 72;
const REJECTED = 80;

export const PipeState = { Stopped: 0, Running: 1, Finished: 2 } as const;

const stateNames = ["stopped", "running", "finished"] as const;

export interface PipeStatus {
  readonly name: string;
  readonly source: { readonly kind: string; readonly label: string };
  /** "running" also when the process that ran it is gone. */
  readonly state: (typeof stateNames)[number];
  readonly cursor: PipeCursor;
  /** Records that left the last stage. */
  readonly emitted: number;
  readonly rejected: number;
  /** Records still to come when it was last saved; undefined when that is not known. */
  readonly remaining: number | undefined;
  readonly savedAt: Date;
}

export interface PipeCursor {
  /** Page of a table; byte of a file; count of others. */
  readonly page: number;
  readonly slot: number;
  /** That were read and are done with. */
  readonly records: number;
}

/** What is saved at once. */
export interface Progress extends Position {
  readonly records: number;
  readonly emitted: number;
  readonly sequence: number;
  readonly rejected: number;
  readonly fingerprint: bigint;
  readonly remaining: number | undefined;
  readonly state: number;
}

export class PipeRecord {
  constructor(
    private readonly memory: Session & Allocator,
    private readonly address: number,
  ) {}

  get progress(): Progress {
    const { memory, address } = this;
    const remaining = memory.getF64(address + REMAINING);
    return {
      offset: memory.getF64(address + OFFSET),
      slot: memory.getU32(address + SLOT),
      records: memory.getF64(address + READ),
      emitted: memory.getF64(address + EMITTED),
      sequence: memory.getF64(address + SEQUENCE),
      rejected: memory.getF64(address + REJECTED),
      fingerprint: memory.getU64(address + FINGERPRINT),
      remaining: remaining < 0 ? undefined : remaining,
      state: memory.getU32(address + STATE),
    };
  }

  set progress(now: Progress) {
    const { memory, address } = this;
    memory.setF64(address + OFFSET, now.offset);
    memory.setU32(address + SLOT, now.slot);
    memory.setU32(address + STATE, now.state);
    memory.setF64(address + READ, now.records);
    memory.setF64(address + EMITTED, now.emitted);
    memory.setF64(address + SEQUENCE, now.sequence);
    memory.setU64(address + FINGERPRINT, now.fingerprint);
    memory.setF64(address + REMAINING, now.remaining ?? -1);
    memory.setF64(address + SAVED_AT, Date.now());
    memory.setF64(address + REJECTED, now.rejected);
  }

  get savedAt(): Date {
    return new Date(this.memory.getF64(this.address + SAVED_AT));
  }

  /** Text of JSON, or null. */
  get accumulator(): string | null {
    return this.text(ACCUMULATOR);
  }

  set accumulator(text: string | null) {
    this.setText(ACCUMULATOR, text);
  }

  get source(): { kind: string; label: string } {
    return JSON.parse(this.text(SOURCE) ?? '{"kind":"","label":""}');
  }

  set source({ kind, label }: { kind: string; label: string }) {
    this.setText(SOURCE, JSON.stringify({ kind, label }));
  }

  private text(field: number): string | null {
    return new Ptr(this.memory, this.address + field).ref?.readString() ?? null;
  }

  private setText(field: number, text: string | null): void {
    const place = new Ptr(this.memory, this.address + field);
    const old = place.ref;
    if (text !== null && old?.readString() === text) return;
    let made: Ptr | null = null;
    if (text !== null) {
      made = this.memory.alloc(4 + 3 * text.length);
      made.writeString(text);
    }
    place.ref = made;
    if (old !== null) this.memory.release(old);
  }

  /** Gives back its memory. */
  release(): void {
    this.setText(ACCUMULATOR, null);
    this.setText(SOURCE, null);
    this.memory.release(new Ptr(this.memory, this.address));
  }
}

/** The part of a memory that hands out blocks. */
export interface Allocator {
  alloc(size: number): Ptr;
  release(p: Ptr): void;
}

/** The pipes of a memory by name. */
export class PipeRecords {
  private readonly registry: Registry;

  constructor(private readonly memory: Session & Allocator) {
    this.registry = new Registry(memory, Kind.Pipe);
  }

  find(name: string): { record: PipeRecord; signature: bigint } | null {
    const entry = this.registry.find(name);
    return entry === null
      ? null
      : { record: new PipeRecord(this.memory, entry.address), signature: entry.layout };
  }

  create(name: string, signature: bigint, source: { kind: string; label: string }): PipeRecord {
    const { memory } = this;
    const { address } = memory.alloc(RECORD_BYTES);
    const record = new PipeRecord(memory, address);
    record.source = source;
    this.registry.set(name, address, signature);
    if (source.kind === "table") countCursors(memory, source.label, 1);
    return record;
  }

  /** The stages are others now. */
  redefine(name: string, signature: bigint): void {
    const entry = this.registry.find(name);
    if (entry === null) throw new PerdureError("NOT_FOUND", `there is no pipe ${JSON.stringify(name)}`);
    this.registry.set(name, entry.address, signature);
  }

  delete(name: string): boolean {
    const found = this.find(name);
    if (found === null) return false;
    const { kind, label } = found.record.source;
    if (kind === "table") countCursors(this.memory, label, -1);
    this.registry.delete(name);
    found.record.release();
    return true;
  }

  list(): PipeStatus[] {
    return this.registry.entries().map(({ name, address }) => {
      const record = new PipeRecord(this.memory, address);
      const { offset, slot, records, emitted, rejected, remaining, state } = record.progress;
      return {
        name,
        source: record.source,
        state: stateNames[state] ?? "stopped",
        cursor: { page: offset, slot, records },
        emitted,
        rejected,
        remaining,
        savedAt: record.savedAt,
      };
    });
  }
}
