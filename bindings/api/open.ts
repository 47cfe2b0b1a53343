/** From a place and a name to a memory. The entries choose the place. */
import { PerdureError } from "../base/errors.js";
import { Engine } from "../engine.js";
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

/** Opens the file of a site, for writing or reading. The engine comes first: its memory is where blocks are hashed. */
export function openAt(site: Site, settings: Settings): Memory {
  const { place, name, processes } = site;
  const engine = newEngine(settings);
  const { hasher } = engine.core;
  if (settings.readOnly) {
    const reader = new Reader(place, name, hasher, processes);
    const close = () => reader.close();
    return guarded(
      close,
      () => new Memory(engine, readerOrigin(site.path, reader, site.locate, settings), settings),
    );
  }
  const pager = openPager(place, name, hasher, processes, settings);
  return guarded(
    () => pager.abandon(),
    () => new Memory(engine, pagerOrigin(site.path, pager, site.locate, settings), settings),
  );
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
  const engine = newEngine(settings);
  const pager = openPagerOn(storage, engine.core.hasher, settings);
  return guarded(
    () => pager.abandon(),
    () => new Memory(engine, pagerOrigin(path, pager, locate, settings), settings),
  );
}

function newEngine({ reserve, maxBytes, windowBytes }: Settings): Engine {
  return new Engine({ reserveBytes: reserve, maxBytes, windowBytes });
}

function guarded<T>(letGo: () => void, make: () => T): T {
  try {
    return make();
  } catch (error) {
    letGo();
    throw error;
  }
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
  return guarded(close, () => new Memory(newEngine(settings), origin, ofView));
}
