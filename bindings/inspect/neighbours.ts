/**
 * Who else has a state file open, from the small files beside it (FORMAT.md §8). Reads only: what the dead left behind is told and not
 * removed.
 */

import { SLOT_BYTES } from "../format/constants.js";
import {
  decodeLock,
  decodePin,
  MAX_RECORD_BYTES,
  newName,
  type ProcessIdentity,
  parseLockName,
  parseNewName,
  parsePinName,
  pinName,
} from "../format/side-files.js";
import { readRecord } from "../pager/lock.js";
import type { Processes } from "../storage/processes.js";
import type { Place } from "../storage/storage.js";

/** `alive` is said of everything that is not proven dead. */
export type Life = "alive" | "dead";

export interface Owner {
  pid: number;
  life: Life;
  /** Whether the pid means something here; otherwise it is one of another machine, container or boot. */
  here: boolean;
  machine: string | null;
}

export interface Writer {
  /** Name of the record. */
  file: string;
  number: number;
  /** Null when the record cannot be read: then it counts as alive. */
  owner: Owner | null;
}

export interface Pin {
  file: string;
  /** The commit and the snapshot that is read; null when the record cannot be read. */
  commit: number | null;
  snapshot: string | null;
  owner: Owner | null;
}

export interface Neighbours {
  /** The highest number last: it has the lock. */
  writers: Writer[];
  readers: Pin[];
  /** State files that are being created or copied, or were when their maker died. */
  unfinished: string[];
}

export function findNeighbours(place: Place, name: string, processes: Processes): Neighbours {
  const owner = (identity: ProcessIdentity | undefined) => identity && ownerOf(identity, processes);
  const writers: Writer[] = [];
  const readers: Pin[] = [];
  for (const file of place.list(`${name}.lock-`)) {
    const number = parseLockName(name, file);
    if (number === null) continue;
    const bytes = readRecord(place, file, MAX_RECORD_BYTES);
    if (bytes === "gone") continue;
    const record = typeof bytes === "string" ? null : decodeLock(bytes);
    writers.push({ file, number, owner: owner(record?.process) ?? null });
  }
  for (const file of place.list(pinName(name, ""))) {
    if (parsePinName(name, file) === null) continue;
    const bytes = readRecord(place, file, SLOT_BYTES + MAX_RECORD_BYTES);
    if (bytes === "gone") continue;
    const record = typeof bytes === "string" ? null : decodePin(bytes);
    const { commit = null, snapshot = null } = record ?? {};
    readers.push({ file, commit, snapshot, owner: owner(record?.process) ?? null });
  }
  writers.sort((a, b) => a.number - b.number);
  const unfinished = place.list(newName(name, "")).filter((file) => parseNewName(name, file) !== null);
  return { writers, readers, unfinished };
}

/** The writers that stand in the way of another one. */
export function livingWriters({ writers }: Neighbours): Writer[] {
  return writers.filter(({ owner }) => owner?.life !== "dead");
}

function ownerOf(identity: ProcessIdentity, processes: Processes): Owner {
  const { self } = processes;
  const here =
    identity.machine === self.machine &&
    identity.boot === self.boot &&
    identity.pidNamespace === self.pidNamespace;
  const life = processes.isDead(identity) ? "dead" : "alive";
  return { pid: identity.pid, life, here, machine: identity.machine };
}
