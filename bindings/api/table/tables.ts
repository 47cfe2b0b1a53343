/** The tables of a memory by name: made, opened as they were made, or extended by optional fields. */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import { Kind, layoutHash, type NamedEntry, Registry } from "../roots.js";
import type { Session } from "../session.js";
import { type Shared, TableHandle } from "./handle.js";
import { declareIndexes, mayCommit } from "./index-build.js";
import { definitionsOf, type IndexOptions } from "./indexes.js";
import { RecordLayout } from "./layout.js";
import { definitionIn, definitionOf, extended, quote, type TableSchema } from "./schema.js";
import { allocate, putText, TABLE, TableStorage, textAt } from "./storage.js";

export interface TableOptions {
  /** By name. Without them the indexes stay what they are. */
  readonly indexes?: Readonly<Record<string, IndexOptions>>;
}

export class Tables {
  /** @internal */
  readonly registry: Registry;
  private readonly shared = new Map<string, Shared>();

  constructor(readonly memory: Session) {
    this.registry = new Registry(memory, Kind.Table);
  }

  /** DUPLICATE when rows that there are cannot be in a new index that is unique. */
  open(name: string, schema: TableSchema, { indexes }: TableOptions): TableHandle {
    const commits = mayCommit(this.memory);
    const handle = this.openRows(name, schema, indexes);
    if (indexes !== undefined || handle.indexes.length > 0) declareIndexes(handle, indexes, commits);
    return handle;
  }

  private openRows(name: string, schema: TableSchema, indexes: TableOptions["indexes"]): TableHandle {
    const known = this.registry.find(name);
    if (known === null) {
      if (this.memory.readOnly) throw new PerdureError("NOT_FOUND", `there is no table ${quote(name)}`);
      const definition = definitionOf(name, schema);
      const layout = new RecordLayout(name, definition);
      definitionsOf(layout, indexes ?? {});
      return this.handleOf(name, layout, this.create(name, layout));
    }
    this.refuseMigrating(name, known);
    const stored = definitionIn(textAt(this.memory.engine, known.address, TABLE.definition).text);
    const wanted = extended(name, stored, schema);
    const layout = new RecordLayout(name, wanted);
    if (wanted === stored || this.memory.readOnly) return this.handleOf(name, layout, known.layout);
    return this.handleOf(name, layout, this.extend(name, known, layout));
  }

  /** Ends a table and gives back all that it has. */
  drop(handle: TableHandle): void {
    const { engine } = this.memory;
    handle.ensureCurrent();
    engine.ensureWritable();
    const { storage } = handle;
    const { record } = storage;
    if (storage.readU32(TABLE.cursors) > 0)
      throw new PerdureError("BUSY", `table ${quote(handle.name)} is the source of a pipe; reset that first`);
    const text = storage.readU32(TABLE.definition);
    // What may be refused comes first.
    storage.drop();
    engine.changeAll(() => {
      for (const { tree, record: index } of handle.indexes) {
        tree.destroy();
        engine.release(index);
      }
      this.registry.delete(handle.name);
      engine.release(text);
      engine.release(record);
    });
    engine.generation++;
  }

  private refuseMigrating(name: string, { address }: NamedEntry): void {
    const { engine } = this.memory;
    engine.ensure(address, TABLE.bytes, false);
    if (engine.core.data.getUint32(address + TABLE.target, true) === 0) return;
    throw new PerdureError("LAYOUT", `table ${quote(name)}: a migration is unfinished; call migrate again`);
  }

  /** @internal */
  handleOf(name: string, layout: RecordLayout, hash: bigint, isMigrating = false): TableHandle {
    let shared = this.shared.get(name);
    if (shared === undefined) {
      shared = { followers: 0 };
      this.shared.set(name, shared);
    }
    return new TableHandle(this.memory, this.registry, name, layout, hash, shared, isMigrating);
  }

  private create(name: string, layout: RecordLayout): bigint {
    const { engine } = this.memory;
    const hash = layoutHash(engine, layout.text);
    const made: number[] = [];
    try {
      const record = allocate(engine, TABLE.bytes, TABLE.bytes);
      made.push(record);
      made.push(putText(engine, record, TABLE.definition, layout.text));
      TableStorage.create(engine, record);
      this.registry.set(name, record, hash);
    } catch (error) {
      if (engine.halt === null) undo(engine, made);
      throw error;
    }
    return hash;
  }

  /** The table has more optional fields from now on. */
  private extend(name: string, entry: NamedEntry, layout: RecordLayout): bigint {
    const { engine } = this.memory;
    const hash = layoutHash(engine, layout.text);
    const before = textAt(engine, entry.address, TABLE.definition);
    engine.changeAll(() => {
      putText(engine, entry.address, TABLE.definition, layout.text);
      this.registry.set(name, entry.address, hash);
      engine.release(before.address);
    });
    // Other handles learn of it.
    engine.generation++;
    return hash;
  }
}

/** Takes back a table that was made half way: nothing but its parts in the heap and its extent are there. */
function undo(engine: Engine, made: readonly number[]): void {
  const [record] = made;
  if (record !== undefined) {
    engine.ensure(record, TABLE.bytes, false);
    const extent = engine.core.data.getUint32(record + TABLE.extent, true);
    if (extent !== 0) engine.mutate(() => engine.core.functions.giveExtent(extent));
  }
  for (const address of made) engine.release(address);
}
