/**
 * Making indexes and ending them. An index of a table that has rows is built row by row, and its record says how far: so a build that a crash has stopped goes on when the
 * table is opened the next time.
 */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import type { Session } from "../session.js";
import type { TableHandle } from "./handle.js";
import {
  ALL_BUILT,
  definitionsOf,
  INDEX,
  type Index,
  type IndexDefinition,
  type IndexOptions,
  indexBytes,
  indexText,
  sameDefinition,
} from "./indexes.js";
import { Scanner } from "./scan.js";
import { quote } from "./schema.js";
import { TABLE, type TableStorage } from "./storage.js";
import { Tree } from "./tree.js";

/** Rows between two commits of long work that may commit by itself. */
export const CHUNK_ROWS = 20_000;

/**
 * Whether long work may commit what it has done so far: only where commits are made automatically, are not held, and there is nothing of the program's
 * that would be committed with it.
 */
export function mayCommit(memory: Session): boolean {
  const { depth, settings, auto, engine } = memory;
  return depth === 0 && settings.autoCommit && !auto.held && !engine.dirty;
}

/**
 * Makes the indexes of a table those that were declared; without a declaration they are what they are. LAYOUT for one that is missing or
 * declared otherwise. Finishes those that are not built.
 */
export function declareIndexes(
  handle: TableHandle,
  options: Readonly<Record<string, IndexOptions>> | undefined,
  commits: boolean,
): void {
  const declared = options === undefined ? [] : definitionsOf(handle.layout, options);
  const stored = new Map(handle.indexes.map(({ definition }) => [definition.name, definition]));
  const isNew = ({ name }: IndexDefinition) => !stored.has(name);
  for (const definition of declared) {
    const known = stored.get(definition.name);
    if (known !== undefined && !sameDefinition(known, definition))
      throw layoutError(
        handle,
        `index ${quote(known.name)} is ${describe(known)}, not ${describe(definition)}`,
      );
  }
  const names = new Set(declared.map(({ name }) => name));
  const missing = options === undefined ? undefined : [...stored.keys()].find((name) => !names.has(name));
  if (missing !== undefined)
    throw layoutError(handle, `index ${quote(missing)} is not declared; \`dropIndex\` ends it`);
  if (handle.memory.readOnly) return;
  for (const definition of declared.filter(isNew)) create(handle, definition);
  rebuildIndexes(handle, commits);
}

/** Builds those that are not, or goes on where a build was stopped. */
export function rebuildIndexes(handle: TableHandle, commits: boolean): void {
  for (const { definition, isBuilt } of handle.indexes) if (!isBuilt) build(handle, definition.name, commits);
}

/** Takes all entries out of an index; it has to be built again. */
export function resetIndex(handle: TableHandle, name: string): void {
  const { engine } = handle;
  const index = handle.indexes.find(({ definition }) => definition.name === name) as Index;
  index.tree.destroy();
  const tree = Tree.create(engine, name);
  engine.ensure(index.record, INDEX.text, true);
  engine.core.data.setUint32(index.record + INDEX.tree, tree.address, true);
  index.built = 0;
  changed(handle);
}

/** An index without entries. */
function create(handle: TableHandle, definition: IndexDefinition): void {
  const { engine, storage } = handle;
  const text = indexText(definition);
  const tree = Tree.create(engine, definition.name);
  const record = engine.alloc(indexBytes(text), 8, 1);
  if (engine.core.codeOf(record) !== null) {
    engine.changeAll(() => tree.destroy());
    throw new PerdureError("OUT_OF_MEMORY", `there is no memory for index ${quote(definition.name)}`);
  }
  const isEmpty = storage.readU64(TABLE.rows) === 0;
  engine.changeAll(() => {
    engine.ensure(record, indexBytes(text), true);
    const { data, bytes } = engine.core;
    data.setUint32(record + INDEX.tree, tree.address, true);
    data.setBigUint64(record + INDEX.built, BigInt(isEmpty ? ALL_BUILT : 0), true);
    data.setUint32(record + INDEX.textBytes, text.length, true);
    bytes.set(text, record + INDEX.text);
    link(engine, storage, record);
  });
  changed(handle);
}

/** Puts an index record behind the others. */
function link(engine: Engine, storage: TableStorage, record: number): void {
  let last = storage.readU32(TABLE.indexes);
  storage.writeU32(TABLE.indexes + 4, storage.readU32(TABLE.indexes + 4) + 1);
  if (last === 0) {
    storage.writeU32(TABLE.indexes, record);
    return;
  }
  for (let next = nextOf(engine, last); next !== 0; next = nextOf(engine, last)) last = next;
  engine.ensure(last, INDEX.text, true);
  engine.core.data.setUint32(last + INDEX.next, record, true);
}

/** Enters the rows that are not in it yet. When one cannot be, the index is ended. */
function build(handle: TableHandle, name: string, commits: boolean): void {
  const { memory, storage } = handle;
  const index = handle.indexes.find(({ definition }) => definition.name === name) as Index;
  const scanner = new Scanner(handle, index.built, storage.end);
  let rows = 0;
  try {
    while (scanner.next()) {
      index.insert(handle.valuesIn(index, scanner.id), scanner.id);
      if (++rows % CHUNK_ROWS !== 0 || !commits) continue;
      index.built = scanner.position;
      memory.commitNow(false);
    }
    index.built = ALL_BUILT;
  } catch (error) {
    if (handle.engine.halt === null) dropIndex(handle, name);
    throw error;
  }
}

/** Ends an index and gives back what it has. */
export function dropIndex(handle: TableHandle, name: string): void {
  const { engine, storage } = handle;
  const at = handle.indexes.findIndex(({ definition }) => definition.name === name);
  const index = handle.indexes[at];
  if (index === undefined)
    throw new PerdureError("NOT_FOUND", `table ${quote(handle.name)} has no index ${quote(name)}`);
  engine.changeAll(() => {
    const next = nextOf(engine, index.record);
    const before = handle.indexes[at - 1];
    if (before === undefined) storage.writeU32(TABLE.indexes, next);
    else {
      engine.ensure(before.record, INDEX.text, true);
      engine.core.data.setUint32(before.record + INDEX.next, next, true);
    }
    storage.writeU32(TABLE.indexes + 4, handle.indexes.length - 1);
    index.tree.destroy();
    engine.release(index.record);
  });
  changed(handle);
}

/** All handles of the table learn of it. */
function changed(handle: TableHandle): void {
  handle.engine.generation++;
  handle.ensureCurrent();
}

function nextOf(engine: Engine, record: number): number {
  engine.ensure(record, INDEX.text, false);
  return engine.core.data.getUint32(record + INDEX.next, true);
}

const describe = ({ on, unique }: IndexDefinition): string => `${unique ? "unique " : ""}on ${on.join(", ")}`;

function layoutError(handle: TableHandle, problem: string): PerdureError {
  return new PerdureError("LAYOUT", `table ${quote(handle.name)}: ${problem}`);
}
