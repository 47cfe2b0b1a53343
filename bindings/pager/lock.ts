/**
 * The writer's lock: numbered records beside the file, the highest number wins, and only the dead are passed over. FORMAT.md §8 and §9. A
 * record is complete before it gets its name, so one without content lost it in a power cut, and its owner with it.
 */
import { isZero } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import { MAX_NUMBER } from "../format/constants.js";
import {
  decodeLock,
  encodeLock,
  type LockRecord,
  lockName,
  MAX_RECORD_BYTES,
  parseLockName,
  temporaryName,
} from "../format/side-files.js";
import type { Processes } from "../storage/processes.js";
import type { Place } from "../storage/storage.js";
import { randomNonce } from "./random.js";

export interface Lock {
  readonly n: number;
  release(): void;
  /** Removes the records below this one, whoever they belong to: their owners are fenced by now. */
  removeLower(): void;
}

interface Found {
  n: number;
  record: LockRecord | null;
  dead: boolean;
}

const ATTEMPTS = 5;

/** What a lock is taken for. */
export interface Candidate {
  /** Opens the file anew. */
  reopen(): void;
  /** The writer number in the superblock of the file that is open, read now. */
  writer(): number;
}

/**
 * Takes the lock of `name`, or throws LOCKED saying who has it. With `force` records not proven dead are passed over, and stay.
 */
export function acquireLock(
  place: Place,
  name: string,
  processes: Processes,
  candidate: Candidate,
  force: boolean,
): Lock {
  const nonce = randomNonce();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) processes.wait(1 + Math.random() * 10);
    const before = listLocks(place, name, processes);
    const blocking = before.find((each) => !each.dead);
    if (blocking && !force) throw lockedBy(place, name, blocking, processes);
    candidate.reopen();
    const n = 1 + Math.max(candidate.writer(), ...before.map((each) => each.n));
    if (n > MAX_NUMBER) {
      throw new PerdureError(
        "LIMIT",
        `${place.label}/${name}: there is no writer number left after ${n - 1}`,
      );
    }
    if (!linkRecord(place, name, { writer: n, nonce, process: processes.self })) continue;
    const lock = {
      n,
      release: () => release(place, name, n, nonce),
      removeLower: () => removeLower(place, name, n),
    };
    try {
      candidate.reopen();
      const after = listLocks(place, name, processes, n);
      // Read last: an owner who is not in the list has let go of the file, and its number is in there if it wrote anything.
      const writer = candidate.writer();
      const rival = after.some((each) => each.n > n || (!force && !each.dead));
      if (!rival && writer < n) {
        for (const each of after) if (each.dead) place.remove(lockName(name, each.n));
        return lock;
      }
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
  }
  throw new PerdureError(
    "LOCKED",
    `${place.label}/${name}: other processes are opening this file at the same time; try again`,
  );
}

/** All lock records but the own one. */
function listLocks(place: Place, name: string, processes: Processes, own = 0): Found[] {
  return listNumbers(place, name).flatMap((n) => {
    if (n === own) return [];
    const bytes = readRecord(place, lockName(name, n), MAX_RECORD_BYTES);
    if (bytes === "gone") return [];
    if (bytes === "unreadable") return { n, record: null, dead: false };
    const record = decodeLock(bytes);
    return { n, record, dead: record === null ? isZero(bytes) : processes.isDead(record.process) };
  });
}

/** Whether there are records below `n`: after `acquireLock` these are of owners not proven dead. */
export function hasLower(place: Place, name: string, n: number): boolean {
  return listNumbers(place, name).some((each) => each < n);
}

function listNumbers(place: Place, name: string): number[] {
  return place.list(lockName(name, 0).slice(0, -1)).flatMap((file) => parseLockName(name, file) ?? []);
}

function lockedBy(place: Place, name: string, { n, record }: Found, processes: Processes): PerdureError {
  const path = `${place.label}/${name}`;
  if (record === null) {
    return new PerdureError(
      "LOCKED",
      `${path} has a lock record (number ${n}) that cannot be read; if no process writes this file, run: perdure unlock ${name}`,
    );
  }
  const { pid, pidNamespace, boot, machine } = record.process;
  const { self } = processes;
  const here =
    pid === self.pid && pidNamespace === self.pidNamespace && boot === self.boot && machine === self.machine;
  if (here)
    return new PerdureError(
      "LOCKED",
      `${path} is open for writing in this process already; close that handle first`,
    );
  const where =
    machine === self.machine && boot === self.boot && pidNamespace === self.pidNamespace
      ? ""
      : ", of another machine or container";
  return new PerdureError(
    "LOCKED",
    `${path} is being written by process ${pid}${where}; end it or open with readOnly, or take over with: perdure unlock ${name}`,
  );
}

/** False when the number is taken. */
function linkRecord(place: Place, name: string, record: LockRecord): boolean {
  return linkFile(
    place,
    temporaryName(name, randomNonce()),
    lockName(name, record.writer),
    encodeLock(record),
  );
}

/** Gives a small file its name when it is complete; false when the name is taken (or a winner tidied the unnamed file away). */
export function linkFile(place: Place, temporary: string, name: string, bytes: Uint8Array): boolean {
  const storage = place.createExclusive(temporary);
  if (storage === null) return false;
  try {
    storage.write(0, bytes);
  } finally {
    storage.close();
  }
  try {
    return place.link(temporary, name);
  } catch (error) {
    if (error instanceof PerdureError && error.code === "NOT_FOUND") return false;
    throw error;
  } finally {
    place.remove(temporary);
  }
}

/** A lock or pin record, whatever somebody may have put there: what is longer than any record, or not a file at all, is not read. */
export function readRecord(
  place: Place,
  name: string,
  mostBytes: number,
): Uint8Array | "gone" | "unreadable" {
  try {
    const storage = place.open(name, "read");
    try {
      const size = storage.size();
      if (size > mostBytes) return "unreadable";
      const bytes = new Uint8Array(size);
      return bytes.subarray(0, storage.read(0, bytes));
    } finally {
      storage.close();
    }
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    if (error.code === "NOT_FOUND") return "gone";
    if (error.code === "INVALID_ARGUMENT") return "unreadable";
    throw error;
  }
}

function release(place: Place, name: string, n: number, nonce: string): void {
  const bytes = place.readFile(lockName(name, n));
  if (bytes !== null && decodeLock(bytes)?.nonce === nonce) place.remove(lockName(name, n));
}

function removeLower(place: Place, name: string, n: number): void {
  for (const lower of listNumbers(place, name)) if (lower < n) place.remove(lockName(name, lower));
}
