/**
 * A table as one program has it open: its record in the image, its schema, and rows that are written and found. The verbs that users see are in
 * table.ts; pipes and the check build on this one.
 *
 * Invariant: what is kept of the image is of the engine's `generation`; `ensureCurrent` looks it up again when that has changed.
 */
import { PerdureError } from "../../base/errors.js";
import type { Core } from "../../core.js";
import type { Engine } from "../../engine.js";
import type { Registry } from "../roots.js";
import type { Session } from "../session.js";
import { type Column, END_IN_RUN, type RecordLayout } from "./layout.js";
import { entryAt, RecordWriter, referenceAt, type Taken } from "./record-writer.js";
import { type RowClass, type RowSource, type RowView, rowClassOf } from "./row.js";
import { quote } from "./schema.js";
import { TableStorage } from "./storage.js";
import { putFixed, valueError } from "./values.js";

/** What all handles of one table share while it is open. */
export interface Shared {
  /** Followers: while there are any, new rows go to the tail. */
  followers: number;
}

export class TableHandle implements RowSource {
  readonly engine: Engine;
  readonly core: Core;
  readonly storage: TableStorage;
  readonly epochAt: number;
  private readonly writer: RecordWriter;
  private readonly RowOf: RowClass;
  private generation = -1;

  constructor(
    readonly memory: Session,
    private readonly registry: Registry,
    readonly name: string,
    readonly layout: RecordLayout,
    /** The layout hash that the registry has. */
    private readonly hash: bigint,
    readonly shared: Shared,
  ) {
    this.engine = memory.engine;
    this.core = memory.engine.core;
    this.epochAt = this.core.constants.STATE_EPOCH;
    this.storage = new TableStorage(this.engine, name);
    this.writer = new RecordWriter(this.core, layout);
    this.RowOf = rowClassOf(layout);
    this.find();
  }

  /** After a rollback, a restore, a refresh, or another handle's doing, the table may be elsewhere, another one, or gone. */
  ensureCurrent(): void {
    if (this.generation === this.engine.generation && this.memory.isOpen) return;
    this.memory.ensureOpen();
    this.find();
  }

  private find(): void {
    const entry = this.registry.find(this.name);
    if (entry === null) throw new PerdureError("NOT_FOUND", `there is no table ${quote(this.name)} any more`);
    if (entry.layout !== this.hash)
      throw new PerdureError(
        "LAYOUT",
        `table ${quote(this.name)} has another layout since it was opened; open it again`,
      );
    this.storage.record = entry.address;
    this.generation = this.engine.generation;
  }

  // Rows

  /** The row whose record is at an address, as `find` has just answered. */
  rowAt(id: number, address: number): RowView {
    return new this.RowOf(this, id, address, this.core.data.getUint32(this.epochAt, true));
  }

  locate(id: number): number {
    this.ensureCurrent();
    const address = this.storage.find(id);
    if (address !== 0) return address;
    throw this.notFound(id);
  }

  insert(values: object): number {
    const { writer, engine } = this;
    const taken = writer.take(values);
    this.ensureCurrent();
    engine.ensureWritable();
    let bytes = writer.write(taken, 0);
    const runs: Run[] = [];
    if (bytes === 0) bytes = this.writeLong(taken, 0, runs);
    const id = this.orRelease(runs, () => this.storage.insert(bytes, this.shared.followers > 0));
    writer.done(taken);
    return id;
  }

  update(id: number, patch: object): void {
    const column = this.onlyFixedOf(patch);
    if (column !== null) {
      const value = (patch as Record<string, unknown>)[column.name];
      if (value !== undefined) this.set(id, this.locate(id), column, value);
      else this.locate(id);
      return;
    }
    this.updateFrom(id, this.writer.take(patch));
  }

  delete(id: number): boolean {
    this.ensureCurrent();
    this.engine.ensureWritable();
    const record = this.storage.find(id);
    if (record === 0) return false;
    const runs = this.runsIn(record);
    if (runs.length === 0) return this.storage.delete(id);
    return this.engine.changeAll(() => {
      this.storage.delete(id);
      for (const run of runs) this.storage.release(run);
      return true;
    });
  }

  /** Another value for one field; fixed ones are written where they are. */
  set(id: number, address: number, column: Column, value: unknown): void {
    if (column.entry >= 0 || value === undefined) {
      if (value === undefined) throw valueError(this.name, column, value);
      this.updateFrom(id, this.writer.take({ [column.name]: value }));
      return;
    }
    const { core, engine } = this;
    engine.ensureWritable();
    if (core.states[address >>> 12] < DIRTY) engine.ensure(address, 1, true);
    if (value === null) {
      if (!column.optional) throw valueError(this.name, column, value);
      core.bytes[address + column.nullOffset] |= column.nullMask;
      return;
    }
    if (!putFixed(core.data, address + column.offset, column.type, value))
      throw valueError(this.name, column, value);
    if (column.optional) core.bytes[address + column.nullOffset] &= ~column.nullMask;
  }

  valueInRun(at: number): Uint8Array {
    const { page, bytes } = referenceAt(this.core.data, at);
    return this.storage.load(page, bytes);
  }

  // Inside

  private updateFrom(id: number, taken: Taken): void {
    const { writer, engine, storage } = this;
    const record = this.locate(id);
    engine.ensureWritable();
    let bytes = writer.write(taken, record);
    const replaced = writer.replaced.slice();
    const runs: Run[] = [];
    // Storing runs may move windows.
    if (bytes === 0) bytes = this.writeLong(taken, record, runs);
    this.orRelease(runs, () => storage.update(id, bytes));
    if (replaced.length > 0) engine.changeAll(() => replaced.forEach((run) => storage.release(run)));
    writer.done(taken);
  }

  private writeLong(taken: Taken, old: number, runs: Run[]): number {
    return this.orRelease(runs, () =>
      this.writer.writeLong(taken, old, (value) => {
        const page = this.storage.store(value);
        runs.push({ page, bytes: value.length });
        return page;
      }),
    );
  }

  /** Runs that were made for a record that is refused after all are given back. */
  private orRelease<T>(runs: readonly Run[], body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (this.engine.halt === null) for (const run of runs) this.storage.release(run);
      throw error;
    }
  }

  private runsIn(record: number): Run[] {
    const { core, layout } = this;
    const runs: Run[] = [];
    for (const { entry } of layout.variable) {
      const { start, flags } = entryAt(core, layout, record, entry);
      if ((flags & END_IN_RUN) !== 0) runs.push(referenceAt(core.data, start));
    }
    return runs;
  }

  /** The field of a patch that has only one, if that can be written in place; otherwise null. */
  private onlyFixedOf(patch: object): Column | null {
    let only: Column | null = null;
    for (const name in patch) {
      const column = this.layout.byName.get(name);
      if (only !== null || column === undefined || column.entry >= 0) return null;
      only = column;
    }
    return only;
  }

  notFound(id: unknown): PerdureError {
    return new PerdureError("NOT_FOUND", `table ${quote(this.name)} has no row ${String(id)}`);
  }
}

interface Run {
  readonly page: number;
  readonly bytes: number;
}

/** The state from which on a block may be written: assembly/block/states.ts. */
const DIRTY = 5;
