/** From a place and a name to a memory. The entries choose the place. */
import { PerdureError } from "../base/errors.js";
import { BLOCK_BYTES } from "../core.js";
import { HEADER_BLOCK, heapBytesOf } from "../engine/header.js";
import { Engine, type Source } from "../engine.js";
import { WasmHasher } from "../hash/wasm-hasher.js";
import { openPager, openPagerOn } from "../pager/open.js";
import type { Pager } from "../pager/pager.js";
import { Reader } from "../pager/reader.js";
import type { Processes } from "../storage/processes.js";
import type { Place, Storage } from "../storage/storage.js";
import { Memory, type MemoryOrigin } from "./memory.js";
import type { Settings } from "./options.js";

/** A state file in a place, and how other paths are found for copies. */
export interface Site {
  readonly path: string;
  readonly place: Place;
  readonly name: string;
  readonly processes: Processes;
  locate(path: string): { place: Place; name: string };
}

/**
 * Opens the file of a site, for writing or reading. The engine comes last: its memory is so large that V8 begins to collect, and each buffer that is
 * made meanwhile does a part of that.
 */
export function openAt(site: Site, settings: Settings): Memory {
  const { path, place, name, processes, locate } = site;
  const hasher = new WasmHasher();
  if (settings.readOnly) {
    const reader = new Reader(place, name, hasher, processes);
    const close = () => reader.close();
    return memoryOf(readerOrigin(path, reader, locate, settings), settings, hasher, close);
  }
  const pager = openPager(place, name, hasher, processes, settings);
  return memoryOf(pagerOrigin(path, pager, locate, settings), settings, hasher, () => pager.abandon());
}

/** Opens a storage that nobody else can open. UNSUPPORTED for reading: there is nobody whose commits one could see. */
export function openStorage(
  path: string,
  storage: Storage,
  settings: Settings,
  locate: Site["locate"],
): Memory {
  if (settings.readOnly)
    throw new PerdureError(
      "UNSUPPORTED",
      "a storage of its own has one handle; open snapshots of it for reading",
    );
  const hasher = new WasmHasher();
  const pager = openPagerOn(storage, hasher, settings);
  return memoryOf(pagerOrigin(path, pager, locate, settings), settings, hasher, () => pager.abandon());
}

/** `hasher` is that of the origin; `letGo` ends the origin when there is no room for its memory, or the image cannot be shown. */
function memoryOf(origin: MemoryOrigin, settings: Settings, hasher: WasmHasher, letGo: () => void): Memory {
  const { reserve, maxBytes, windowBytes } = settings;
  try {
    const reserveBytes = Math.max(reserve, heapBytesIn(origin.source));
    return new Memory(new Engine({ reserveBytes, maxBytes, windowBytes }, hasher), origin, settings);
  } catch (error) {
    letGo();
    throw error;
  }
}

/** What the image needs, so that memory is made large enough at once. */
function heapBytesIn(source: Source): number {
  if (!source.has(HEADER_BLOCK)) return 0;
  const header = new Uint8Array(BLOCK_BYTES);
  source.read(HEADER_BLOCK, 1, header);
  return heapBytesOf(header);
}

function pagerOrigin(path: string, pager: Pager, locate: Site["locate"], settings: Settings): MemoryOrigin {
  return {
    path,
    pager,
    reader: null,
    source: pager,
    locate,
    close: () => pager.close(),
    openSnapshot(name) {
      const view = pager.openSnapshot(name);
      return openView(`${path}#${name}`, settings, locate, view, () => view.close());
    },
  };
}

function readerOrigin(
  path: string,
  reader: Reader,
  locate: Site["locate"],
  settings: Settings,
): MemoryOrigin {
  return {
    path,
    pager: null,
    reader,
    source: reader,
    locate,
    close: () => reader.close(),
    openSnapshot(name) {
      const entry = reader.snapshots.find((each) => each.name === name);
      if (entry === undefined)
        throw new PerdureError("NOT_FOUND", `there is no snapshot ${JSON.stringify(name)}`);
      const source: MemoryOrigin["source"] = {
        sequence: entry.sequence,
        read: (block, count, into) => reader.readSnapshot(name, block, count, into),
        has: (block) => reader.hasInSnapshot(name, block),
        written: (block, count) => reader.writtenInSnapshot(name, block, count),
      };
      return openView(`${path}#${name}`, settings, locate, source, () => {});
    },
  };
}

function openView(
  path: string,
  settings: Settings,
  locate: Site["locate"],
  source: MemoryOrigin["source"],
  close: () => void,
): Memory {
  const refuse = (): never => {
    throw new PerdureError("UNSUPPORTED", "a snapshot has no snapshots; open them from the memory itself");
  };
  const origin = { path, pager: null, reader: null, source, locate, close, openSnapshot: refuse };
  const ofView = { ...settings, readOnly: true };
  return memoryOf(origin, ofView, new WasmHasher(), close);
}
