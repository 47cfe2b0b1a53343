/** The file that a verb is about. */
import { join } from "node:path";
import { PerdureError } from "../base/errors.js";
import type { Hasher } from "../hash/hasher.js";
import { WasmHasher } from "../hash/wasm-hasher.js";
import { openFile } from "../pager/files.js";
import { openPager, type PagerOptions } from "../pager/open.js";
import type { Pager } from "../pager/pager.js";
import { Reader } from "../pager/reader.js";
import type { StateFile } from "../pager/state-file.js";
import { NodePlace } from "../storage/node.js";
import { NodeProcesses } from "../storage/node-processes.js";
import type { Processes } from "../storage/processes.js";

export interface Target {
  /** The whole path, links followed. */
  path: string;
  place: NodePlace;
  name: string;
  hasher: Hasher;
  processes: Processes;
}

export function locate(path: unknown): Target {
  const { place, name } = NodePlace.locate(path as string);
  const processes = new NodeProcesses(place.label);
  return { path: join(place.label, name), place, name, hasher: WasmHasher.create(), processes };
}

/** Opens an existing file for writing, and closes it whatever happens. */
export async function writing<T>(
  { place, name, hasher, processes }: Target,
  work: (pager: Pager) => T | Promise<T>,
  options: PagerOptions = {},
): Promise<T> {
  const pager = openPager(place, name, hasher, processes, { ...options, create: false });
  try {
    return await work(pager);
  } finally {
    pager.close();
  }
}

/** Opens an existing file for reading, beside whoever writes it, and closes it whatever happens. */
export async function reading<T>(
  { place, name, hasher, processes }: Target,
  work: (reader: Reader) => T | Promise<T>,
): Promise<T> {
  const reader = new Reader(place, name, hasher, processes);
  try {
    return await work(reader);
  } finally {
    reader.close();
  }
}

/** The same for a file that may be damaged: then there is no reader, but the error that says why, and the file as bytes. */
export async function looking<T>(
  target: Target,
  work: (file: StateFile, seen: Reader | PerdureError) => T | Promise<T>,
): Promise<T> {
  const { place, name, hasher, processes } = target;
  let reader: Reader;
  try {
    reader = new Reader(place, name, hasher, processes);
  } catch (error) {
    if (!(error instanceof PerdureError && error.code === "CORRUPT")) throw error;
    const file = openFile(place, name, "read", hasher);
    try {
      return await work(file, error);
    } finally {
      file.storage.close();
    }
  }
  try {
    return await work(reader.view().file, reader);
  } finally {
    reader.close();
  }
}
