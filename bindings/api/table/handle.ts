/**
 * A table as one program has it open: its record in the image, its schema, its indexes, and rows that are written and found. The verbs that users see are in
 * table.ts; pipes build on this one.
 *
 * Invariant: what is kept of the image is of the engine's `generation`; `ensureCurrent` looks it up again when that has changed.
 */
import { equalBytes } from "../../base/bytes.js";
import { PerdureError } from "../../base/errors.js";
import type { Core } from "../../core.js";
import type { Engine } from "../../engine.js";
import type { Registry } from "../roots.js";
import type { Session } from "../session.js";
import { definitionAt, Index, indexRecords } from "./indexes.js";
import { type Column, END_IN_RUN, type RecordLayout } from "./layout.js";
import { entryAt, RecordWriter, referenceAt, type Taken } from "./record-writer.js";
import { type RowClass, type RowSource, type RowView, rowClassOf, valueIn } from "./row.js";
import { quote } from "./schema.js";
import { TABLE, TableStorage } from "./storage.js";
import { putFixed, valueError } from "./values.js";

/** What all handles of one table share while it is open. */
export interface Shared {
  /** Followers: while there are any, new rows go to the tail. */
  followers: number;
}

interface Run {
  readonly page: number;
  readonly bytes: number;
}

/** The key of a row in an index, before and after a change. */
interface KeyChange {
  readonly index: Index;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

export class TableHandle implements RowSource {
  readonly engine: Engine;
  readonly core: Core;
  readonly storage: TableStorage;
  readonly epochAt: number;
  indexes: readonly Index[] = [];
  private indexed = new Set<Column>();
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
    /** The one that a migration reads from: nobody else may use the table meanwhile. */
    private readonly isMigrating = false,
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
    const { storage, engine } = this;
    storage.record = entry.address;
    storage.verify();
    if (entry.layout !== this.hash || (storage.readU32(TABLE.target) !== 0 && !this.isMigrating))
      throw new PerdureError(
        "LAYOUT",
        `table ${quote(this.name)} has another layout since it was opened; open it again`,
      );
    // In a migration their fields may be of neither layout.
    const first = this.isMigrating ? 0 : storage.readU32(TABLE.indexes);
    const indexes = [...indexRecords(engine, first)].map(
      (record) => new Index(engine, this.layout, definitionAt(engine, record), record),
    );
    this.indexes = indexes;
    this.indexed = new Set(indexes.flatMap(({ columns }) => columns));
    this.generation = engine.generation;
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
    throw new PerdureError("NOT_FOUND", `table ${quote(this.name)} has no row ${String(id)}`);
  }

  /** A new row; its id. */
  insert(values: object): number {
    const { writer, engine, storage } = this;
    const taken = writer.take(values);
    this.ensureCurrent();
    engine.ensureWritable();
    let bytes = writer.write(taken, 0);
    let runs: Run[] = NO_RUNS;
    if (bytes === 0) {
      runs = [];
      bytes = this.writeLong(taken, 0, runs);
    }
    let id = 0;
    let entered = 0;
    try {
      id = storage.insert(bytes, this.shared.followers > 0);
      for (; entered < this.indexes.length; entered++)
        this.indexes[entered].insert(this.indexes[entered].valuesOf(taken), id);
    } catch (error) {
      this.undo(error, () => {
        while (entered-- > 0) this.indexes[entered].delete(this.indexes[entered].valuesOf(taken), id);
        if (id !== 0) storage.delete(id);
        for (const run of runs) storage.release(run);
      });
    }
    writer.done(taken);
    return id;
  }

  update(id: number, patch: object): void {
    const column = this.onlyFixedOf(patch);
    if (column === null) this.updateFrom(id, this.writer.take(patch));
    else {
      const value = (patch as Record<string, unknown>)[column.name];
      const address = this.locate(id);
      if (value !== undefined) this.set(id, address, column, value);
    }
  }

  /** False when there is no such row. */
  delete(id: number): boolean {
    this.ensureCurrent();
    const { engine, storage, indexes } = this;
    engine.ensureWritable();
    const record = storage.find(id);
    if (record === 0) return false;
    const runs = this.runsIn(record);
    if (runs.length === 0 && indexes.length === 0) return storage.delete(id);
    const keys = indexes.map((index) => ({ index, key: index.keyOf(this.valuesIn(index, id), id) }));
    return engine.changeAll(() => {
      storage.delete(id);
      for (const { index, key } of keys) index.tree.delete(index.tree.putKey(key));
      for (const run of runs) storage.release(run);
      return true;
    });
  }

  /** Another record for a row that `before` has read, of another layout; indexes are not kept up. */
  replace(id: number, values: object, before: TableHandle): void {
    const { writer, storage, engine } = this;
    const taken = writer.take(values);
    this.ensureCurrent();
    let bytes = writer.write(taken, 0);
    const old = before.runsIn(storage.find(id));
    const runs: Run[] = [];
    if (bytes === 0) bytes = this.writeLong(taken, 0, runs);
    try {
      storage.update(id, bytes);
    } catch (error) {
      this.undo(error, () => runs.forEach((run) => storage.release(run)));
    }
    engine.changeAll(() => old.forEach((run) => storage.release(run)));
    writer.done(taken);
  }

  /** Another value for one field; fixed ones that are in no index are written where they are. */
  set(id: number, address: number, column: Column, value: unknown): void {
    if (column.entry >= 0 || this.indexed.has(column)) {
      if (value === undefined) throw valueError(this.name, column, value);
      this.updateFrom(id, this.writer.take({ [column.name]: value }));
      return;
    }
    const { core, engine } = this;
    engine.ensureWritable();
    const { data, bytes } = core;
    if (core.states[address >>> 12] < DIRTY) engine.ensure(address, 1, true);
    if (value === null && column.optional) bytes[address + column.nullOffset] |= column.nullMask;
    else if (!putFixed(data, address + column.offset, column.type, value))
      throw valueError(this.name, column, value);
    else if (column.optional) bytes[address + column.nullOffset] &= ~column.nullMask;
  }

  valueInRun(at: number): Uint8Array {
    const { page, bytes } = referenceAt(this.core.data, at);
    return this.storage.load(page, bytes);
  }

  /** The values of an index's fields in a row. */
  valuesIn(index: Index, id: number): unknown[] {
    // Reading one that lies in a run may move the window of the record.
    return index.columns.map((column) => valueIn(this, column, this.storage.find(id)));
  }

  /** The index of that name. NOT_FOUND, BUSY. */
  indexNamed(name: string): Index {
    this.ensureCurrent();
    const index = this.indexes.find(({ definition }) => definition.name === name);
    if (index === undefined)
      throw new PerdureError("NOT_FOUND", `table ${quote(this.name)} has no index ${quote(name)}`);
    if (!index.isBuilt)
      throw new PerdureError("BUSY", `index ${quote(name)} of table ${quote(this.name)} is being built`);
    return index;
  }

  // Inside

  /** Writes what was taken over a row; what was not given stays. */
  updateFrom(id: number, taken: Taken): void {
    const { writer, engine, storage } = this;
    let record = this.locate(id);
    engine.ensureWritable();
    let bytes = writer.write(taken, record);
    const changes = this.keyChanges(id, taken);
    if (changes.length > 0) {
      record = storage.find(id);
      bytes = writer.write(taken, record);
    }
    const replaced = writer.replaced.length > 0 ? writer.replaced.slice() : NO_RUNS;
    const runs: Run[] = [];
    let entered = 0;
    try {
      for (; entered < changes.length; entered++) {
        const { index, after } = changes[entered];
        index.tree.insert(index.tree.putKey(after), id);
      }
      if (bytes === 0) bytes = this.writeLong(taken, record, runs);
      storage.update(id, bytes);
    } catch (error) {
      this.undo(error, () => {
        while (entered-- > 0) {
          const { index, after } = changes[entered];
          index.tree.delete(index.tree.putKey(after));
        }
        for (const run of runs) storage.release(run);
      });
    }
    if (changes.length + replaced.length > 0)
      engine.changeAll(() => {
        for (const { index, before } of changes) index.tree.delete(index.tree.putKey(before));
        for (const run of replaced) storage.release(run);
      });
    writer.done(taken);
  }

  /** The keys of a row that what was taken will change. */
  private keyChanges(id: number, taken: Taken): KeyChange[] {
    const changes: KeyChange[] = [];
    for (const index of this.indexes) {
      if (!index.columns.some((column) => taken[column.index] !== undefined)) continue;
      const old = this.valuesIn(index, id);
      const before = index.keyOf(old, id);
      const after = index.keyOf(
        index.columns.map(
          (column, i) => taken[column.index] ?? (taken[column.index] === null ? null : old[i]),
        ),
        id,
      );
      if (!equalBytes(before, after)) changes.push({ index, before, after });
    }
    return changes;
  }

  /** Undoes what a refused change has done, unless a rollback will have to; throws what has refused it. */
  private undo(error: unknown, body: () => void): never {
    if (this.engine.halt === null) this.engine.changeAll(body);
    throw error;
  }

  /** The record with its longest values in runs, which are noted as they are made. */
  private writeLong(taken: Taken, old: number, runs: Run[]): number {
    const { storage } = this;
    try {
      return this.writer.writeLong(taken, old, (value) => {
        const page = storage.store(value);
        runs.push({ page, bytes: value.length });
        return page;
      });
    } catch (error) {
      return this.undo(error, () => {
        for (const run of runs.splice(0)) storage.release(run);
      });
    }
  }

  private runsIn(record: number): Run[] {
    const { core, layout } = this;
    let runs: Run[] = NO_RUNS;
    for (const { entry } of layout.variable) {
      const { start, flags } = entryAt(core, layout, record, entry);
      if ((flags & END_IN_RUN) !== 0) runs = [...runs, referenceAt(core.data, start)];
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
}

const NO_RUNS: Run[] = [];

/** The state from which on a block may be written: assembly/block/states.ts. */
const DIRTY = 5;
