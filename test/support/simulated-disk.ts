// A disk that records what is done to it, fails where it is told to, and can be cut off from its power at any
// instant. It is the Place of every crash test.
//
// What a power cut may leave of a file is described in simulated-file.ts. Names are journaled: of the changes since
// the last flush of the directory a prefix persists, in order, and independently of the data of the files.
//
// Several processes may use one disk. Each sees what the others wrote, as on one machine; a process that was stopped
// never does another operation, whatever its code tries while it unwinds. `crash`, `kill` and the generators of
// states never change the disk they are called on, so a hook may explore the states of each instant on the way.

import type { Access, Place, Storage } from "../../bindings/storage/storage.js";
import {
  type Chooser,
  ExhaustiveChooser,
  everythingPersists,
  nothingPersists,
  RecordingChooser,
  SeededChooser,
} from "./crash-chooser.js";
import { fingerprint } from "./disk-fingerprint.js";
import { DiskMachine } from "./disk-machine.js";
import type { LogEntry } from "./disk-operations.js";
import { PagedBytes } from "./paged-bytes.js";
import type { Random } from "./random.js";
import { SimulatedDirectory } from "./simulated-directory.js";
import { SimulatedFile } from "./simulated-file.js";
import { SimulatedPlace } from "./simulated-place.js";

export * from "./crash-chooser.js";
export { Fault, type FaultKind, type FaultOptions } from "./disk-faults.js";
export {
  describeOperation,
  type LogEntry,
  type Operation,
  type OperationKind,
  SimulatedCrash,
  stopAt,
} from "./disk-operations.js";

const slotBytes = 4096;

/** What was done before a crash or kill. */
interface Past {
  readonly log: readonly LogEntry[];
  readonly past: Past | null;
}

export interface CrashStatesOptions {
  random: Random;
  /** How many states are drawn when there are too many to enumerate; repetitions are left out. Default 100. */
  samples?: number;
  /** States are enumerated up to this many pending sectors. Default 12. */
  exhaustiveLimit?: number;
}

export class SimulatedDisk extends DiskMachine implements Place {
  private directory = new SimulatedDirectory();
  private nextFile = 0;
  private past: Past | null = null;
  private main: Place;

  constructor(readonly label = "disk") {
    super();
    this.main = this.process("main");
  }

  /** The disk as the process of this label sees it. The disk itself is the place of the process "main". */
  process(label: string): Place {
    const newFile = (): SimulatedFile => new SimulatedFile(this.nextFile++);
    return new SimulatedPlace(this.label, label, this, this.directory, newFile);
  }

  open(name: string, access: Access): Storage {
    return this.main.open(name, access);
  }

  createExclusive(name: string): Storage | null {
    return this.main.createExclusive(name);
  }

  link(from: string, to: string): boolean {
    return this.main.link(from, to);
  }

  rename(from: string, to: string): void {
    this.main.rename(from, to);
  }

  remove(name: string): boolean {
    return this.main.remove(name);
  }

  list(prefix: string): string[] {
    return this.main.list(prefix);
  }

  readFile(name: string): Uint8Array | null {
    return this.main.readFile(name);
  }

  exists(name: string): boolean {
    return this.main.exists(name);
  }

  flush(): void {
    this.main.flush();
  }

  /** The disk after a power cut at this instant: every process gone, and of what was not flushed what the chooser keeps. */
  crash(chooser: Chooser): SimulatedDisk {
    chooser.begin?.(this.pendingSectorCount());
    const names = this.directory.afterCrash(chooser);
    const copy = copyOnce((file) => file.afterCrash(chooser));
    return this.successor(
      new SimulatedDirectory(new Map([...names].map(([name, file]) => [name, copy(file)]))),
    );
  }

  /** The disk after every process was killed: all of the cache is there, and what was pending still is. */
  kill(): SimulatedDisk {
    return this.successor(this.directory.copy(copyOnce((file) => file.copy())));
  }

  /** Sectors that a power cut at this instant may keep or lose. */
  pendingSectorCount(): number {
    let count = 0;
    for (const file of this.directory.files()) count += file.pendingSectorCount();
    return count;
  }

  /** The states that a power cut at this instant may leave: all of them when they are few, else a sample. */
  *crashStates(options: CrashStatesOptions): Generator<SimulatedDisk, void, undefined> {
    const { random, samples = 100, exhaustiveLimit = 12 } = options;
    if (this.pendingSectorCount() <= exhaustiveLimit) {
      yield* enumerateCrashes(this, exhaustiveLimit);
      return;
    }
    const seeded = new SeededChooser(random);
    const drawn = new Set<string>();
    for (let i = 0; i < samples; i++) {
      const chooser = new RecordingChooser([nothingPersists, everythingPersists][i] ?? seeded);
      const state = this.crash(chooser);
      const answers = chooser.answers.join();
      if (!drawn.has(answers)) yield state;
      drawn.add(answers);
    }
  }

  /** A test whether a state that comes from this disk differs from those it was called with before. */
  distinct(): (state: SimulatedDisk) => boolean {
    const sectors = new Map<number, number[]>();
    for (const file of this.directory.files()) sectors.set(file.id, file.pendingSectors());
    const seen = new Set<string>();
    return (state) => {
      const before = seen.size;
      return seen.add(fingerprint(state.directory.names, sectors)).size > before;
    };
  }

  /** Puts a durable file there, replacing one of that name. Not an operation. */
  install(name: string, bytes: Uint8Array): void {
    const content = new PagedBytes();
    content.write(0, bytes);
    this.directory.change([name, new SimulatedFile(this.nextFile++, content)]);
    this.directory.persist();
  }

  /** A copy of what processes read in the file. Not an operation. */
  contents(name: string): Uint8Array {
    const { cache } = this.file(name);
    return cache.slice(0, cache.size);
  }

  names(): string[] {
    return [...this.directory.names.keys()].sort();
  }

  /** A write-back that fails in the background: each description is told of it by its own next flush. */
  failWriteback(name: string, persisted: Chooser = nothingPersists): void {
    this.file(name).failWriteback(this.lastOrder, persisted);
  }

  /** Drops clean pages from memory, so that reads show what a failed flush has lost. */
  evict(name: string): void {
    this.file(name).evict();
  }

  // Rot: changes on the medium and in the cache that nobody asked for. None is an operation. What is pending in a
  // place still overwrites it there when it is flushed.

  flipBit(name: string, offset: number, bit: number): void {
    const file = this.file(name);
    const byte = file.cache.slice(offset, offset + 1);
    file.rot(
      offset,
      byte.map((value) => value ^ (1 << bit)),
    );
  }

  overwrite(name: string, offset: number, bytes: Uint8Array): void {
    this.file(name).rot(offset, bytes);
  }

  zeroSlot(name: string, slot: number): void {
    this.file(name).rot(slot * slotBytes, new Uint8Array(slotBytes));
  }

  swapSlots(name: string, first: number, second: number): void {
    const file = this.file(name);
    const [a, b] = [first, second].map((slot) => file.cache.slice(slot * slotBytes, (slot + 1) * slotBytes));
    file.rot(first * slotBytes, b as Uint8Array);
    file.rot(second * slotBytes, a as Uint8Array);
  }

  /**
   * Puts back what a slot held before: with `age` 1 the last content that differs from the present one, with 2 the
   * one before, and so on, as the log knows them, those before crashes and kills too. False when there is none.
   */
  staleSlot(name: string, slot: number, age = 1): boolean {
    const file = this.file(name);
    const older = this.slotHistory(file, slot).at(-age);
    if (older === undefined) return false;
    file.rot(slot * slotBytes, older);
    return true;
  }

  /** Cuts the file to a size, durably. */
  cut(name: string, size: number): void {
    this.file(name).cut(size);
  }

  /** The different contents that a slot has had, oldest first, without the present one. */
  private slotHistory(file: SimulatedFile, slot: number): Uint8Array[] {
    const logs: (readonly LogEntry[])[] = [];
    const present: Past = { log: this.log, past: this.past };
    for (let past: Past | null = present; past !== null; past = past.past) logs.unshift(past.log);
    const start = slot * slotBytes;
    const slotContent = new PagedBytes();
    slotContent.resize(slotBytes);
    const contents = new Map<string, Uint8Array>();
    const keep = (bytes: Uint8Array): void => {
      const key = Buffer.from(bytes).toString("latin1");
      contents.delete(key);
      contents.set(key, bytes);
    };
    keep(slotContent.slice(0, slotBytes));
    for (const entry of logs.flat()) {
      if (entry.file !== file.id) continue;
      if (entry.kind === "truncate" && entry.length < start + slotBytes) {
        slotContent.resize(Math.max(0, entry.length - start));
        slotContent.resize(slotBytes);
      } else if (entry.bytes !== null && entry.offset < start + slotBytes) {
        const from = Math.max(entry.offset, start);
        const part = entry.bytes.subarray(from - entry.offset, start + slotBytes - entry.offset);
        if (part.length === 0) continue;
        slotContent.write(from - start, part);
      } else {
        continue;
      }
      keep(slotContent.slice(0, slotBytes));
    }
    const now = new Uint8Array(slotBytes);
    file.cache.read(start, now);
    contents.delete(Buffer.from(now).toString("latin1"));
    return [...contents.values()];
  }

  private file(name: string): SimulatedFile {
    const file = this.directory.names.get(name);
    if (file === undefined) throw new RangeError(`there is no file ${name} on the simulated disk`);
    return file;
  }

  private successor(directory: SimulatedDirectory): SimulatedDisk {
    const disk = new SimulatedDisk(this.label);
    disk.directory = directory;
    disk.nextFile = this.nextFile;
    disk.lastOrder = this.lastOrder;
    disk.past = { log: this.log, past: this.past };
    disk.main = disk.process("main");
    return disk;
  }
}

/** Every state that a power cut at this instant may leave, each once. Throws when more than `limit` sectors are pending. */
export function* enumerateCrashes(
  disk: SimulatedDisk,
  limit = 12,
): Generator<SimulatedDisk, void, undefined> {
  const sectorCount = disk.pendingSectorCount();
  if (sectorCount > limit) throw new RangeError(`${sectorCount} sectors are pending, the limit is ${limit}`);
  const chooser = new ExhaustiveChooser();
  const isNew = disk.distinct();
  do {
    const state = disk.crash(chooser);
    if (isNew(state)) yield state;
  } while (chooser.advance());
}

/** Two names of one file lead to one copy of it. */
function copyOnce(copyFile: (file: SimulatedFile) => SimulatedFile): (file: SimulatedFile) => SimulatedFile {
  const copies = new Map<SimulatedFile, SimulatedFile>();
  return (file) => {
    const copy = copies.get(file) ?? copyFile(file);
    copies.set(file, copy);
    return copy;
  };
}
