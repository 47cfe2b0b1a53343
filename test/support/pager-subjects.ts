// Where a pager can live, for tests that run on each: a place in memory, a directory of the file system, and a storage
// that nobody else can open.

import type { Hasher } from "../../bindings/hash/hasher.js";
import { openPager, openPagerOn, type PagerOptions } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { MemoryPlace, MemoryStorage } from "../../bindings/storage/memory.js";
import { NodePlace } from "../../bindings/storage/node.js";
import type { Place } from "../../bindings/storage/storage.js";
import { FakeMachine } from "./fake-processes.js";
import { type PagerModel, verifyAgainst } from "./pager-model.js";
import { temporaryDirectory } from "./temporary-directory.js";

export interface Subject {
  /** Opens the state, which is created at the first time. */
  open(hasher: Hasher, options?: PagerOptions): Pager;
  /** Null for a storage without a place; the state's name in it is `state`. */
  place: Place | null;
  /** The file as it is now. */
  bytes(): Uint8Array;
  dispose(): void;
}

export const stateName = "state";

function inPlace(place: Place, dispose: () => void): Subject {
  const process = new FakeMachine().start();
  return {
    open: (hasher, options) => openPager(place, stateName, hasher, process, options),
    place,
    bytes: () => place.readFile(stateName)!,
    dispose,
  };
}

/** A storage of its own with these bytes. */
export function storageOf(bytes: Uint8Array): MemoryStorage {
  const storage = new MemoryStorage();
  storage.write(0, bytes);
  return storage;
}

/** The file as it would be if the newer one of its two superblocks were lost. */
export function withoutNewest(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer, copy.byteOffset);
  const generation = (slot: number) => view.getBigUint64(slot * 4096 + 40, true);
  const newest = generation(0) > generation(1) ? 0 : 1;
  copy.fill(0, newest * 4096, (newest + 1) * 4096);
  return copy;
}

/**
 * Opens the file as a process that was killed now leaves it: from its newest superblock, and from the other one, which
 * leads to the same commit. `model` has nothing spilled.
 */
export function verifyKilled(bytes: Uint8Array, hasher: Hasher, model: PagerModel): void {
  for (const file of [bytes, withoutNewest(bytes)]) {
    const pager = openPagerOn(storageOf(file), hasher);
    verifyAgainst(pager, model);
    pager.close();
  }
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
        bytes: () => place.readFile(stateName)!,
        dispose: () => {},
      };
    },
  ],
];
