// The entry for Node, Bun and Deno: states are files, read and written through `node:fs`.

import { closeAtExit } from "./api/at-exit.js";
import type { Memory } from "./api/memory.js";
import { openAt, openStorage } from "./api/open.js";
import { type OpenOptions, settingsOf } from "./api/options.js";
import { PerdureError } from "./base/errors.js";
import { NodePlace } from "./storage/node.js";
import { NodeProcesses } from "./storage/node-processes.js";

export type { CheckReport } from "./api/check.js";
export { CommitEvent, MemoryErrorEvent } from "./api/events.js";
export { Memory } from "./api/memory.js";
export type { Durability, OpenOptions } from "./api/options.js";
export { Pipe, type Pipes } from "./api/pipe/pipe.js";
export type { PipeCursor, PipeStatus } from "./api/pipe/record.js";
export type { PipeProgress, PipeResult, RunOptions } from "./api/pipe/run.js";
export type { Located, Source } from "./api/pipe/source.js";
export type { RecordKey } from "./api/pipe/stages.js";
export { Ptr } from "./api/ptr.js";
export { Region } from "./api/region.js";
export { Roots } from "./api/roots.js";
export { type SnapshotInfo, Snapshots } from "./api/snapshots.js";
export type { MemoryStats } from "./api/stats.js";
export {
  type Accessor,
  type FieldType,
  type NumberList,
  type Schema,
  type Struct,
  struct,
} from "./api/struct.js";
export type { AnyRow, TableCatalog, TableStatus } from "./api/table/catalog.js";
export type { IndexOptions } from "./api/table/indexes.js";
export { migrate } from "./api/table/migrate.js";
export { rowId } from "./api/table/row.js";
export type { ColumnType, NewRow, Row, TableSchema } from "./api/table/schema.js";
export { type RowId, Table, type TableRow } from "./api/table/table.js";
export type { TableOptions } from "./api/table/tables.js";
export { type TypedArray, type TypedArrayConstructor, View } from "./api/view.js";
export { type ErrorCode, type ErrorDescription, errorTable, PerdureError } from "./base/errors.js";
export type { CopyOptions } from "./pager/pager.js";
export { sources } from "./sources/index.js";
export { MemoryStorage } from "./storage/memory.js";
export type { Storage } from "./storage/storage.js";

/**
 * Opens the state file at `path`, creating it when there is none, and gives its memory as of the last commit. One process can have it open for
 * writing. LOCKED, NOT_FOUND, CORRUPT, VERSION, NO_SPACE, READ_ONLY, IO.
 */
export function openSync(path: string, options: OpenOptions = {}): Memory {
  options.signal?.throwIfAborted();
  const settings = settingsOf(options);
  if (typeof path !== "string" || path === "")
    throw new PerdureError("INVALID_ARGUMENT", "the path of a state file is a text that is not empty");
  const memory =
    options.storage === undefined
      ? openAt(siteOf(path), settings)
      : openStorage(path, options.storage, settings, NodePlace.locate);
  if (!memory.readOnly) closeAtExit(memory);
  return memory;
}

/** The same, as every runtime has it. */
export async function open(path: string, options: OpenOptions = {}): Promise<Memory> {
  return openSync(path, options);
}

function siteOf(path: string) {
  const { place, name } = NodePlace.locate(path);
  const locate = (other: string) => NodePlace.locate(other);
  return { path, place, name, processes: new NodeProcesses(place.label), locate };
}
