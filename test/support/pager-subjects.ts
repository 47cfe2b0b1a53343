// Where a pager can live, for tests that run on each: a place in memory, a directory of the file system, and a storage
// that nobody else can open.

import type { Hasher } from "../../bindings/hash/hasher.js";
import { openPager, openPagerOn, type PagerOptions } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { MemoryPlace } from "../../bindings/storage/memory.js";
import { NodePlace } from "../../bindings/storage/node.js";
import type { Place } from "../../bindings/storage/storage.js";
import { FakeMachine } from "./fake-processes.js";
import { temporaryDirectory } from "./temporary-directory.js";

export interface Subject {
  /** Opens the state, which is created at the first time. */
  open(hasher: Hasher, options?: PagerOptions): Pager;
  /** Null for a storage without a place; the state's name in it is `state`. */
  place: Place | null;
  dispose(): void;
}

export const stateName = "state";

function inPlace(place: Place, dispose: () => void): Subject {
  const process = new FakeMachine().start();
  return {
    open: (hasher, options) => openPager(place, stateName, hasher, process, options),
    place,
    dispose,
  };
}

/** By name, what makes one. */
export const subjects: readonly [name: string, make: () => Subject][] = [
  ["a place in memory", () => inPlace(new MemoryPlace(), () => {})],
  [
    "a directory",
    () => {
      const directory = temporaryDirectory();
      return inPlace(new NodePlace(directory.path), directory.remove);
    },
  ],
  [
    "a bare storage",
    () => {
      const place = new MemoryPlace();
      place.createExclusive(stateName)!.close();
      return {
        open: (hasher, options) => openPagerOn(place.open(stateName, "write"), hasher, options),
        place: null,
        dispose: () => {},
      };
    },
  ],
];
