// The machine on which a run takes place: one directory, the processes, and how processes reach files. A process is a
// set of tasks, each a generator that yields before every call to the operating system; the schedule decides who goes on,
// and whether the call that comes next fails. What a task does between two yields nobody else can see in part.

import type { Chooser } from "./choice.js";
import { Directory, Inode } from "./disk.js";
import { Oracle } from "./oracle.js";
import type { Rules } from "./rules.js";
import { type Block, type Header, type Superblock, type Value, zero } from "./values.js";

export const readCall = 0;
export const writeCall = 1;
export const flushCall = 2;
export const nameCall = 3;
/** The kind of call that comes next. The answer to the yield says whether it fails. */
export type Call = typeof readCall | typeof writeCall | typeof flushCall | typeof nameCall;
export type Run<T> = Generator<Call, T, boolean>;

export type Code = "IO" | "POISONED" | "FENCED" | "LOCKED" | "CORRUPT" | "STALE" | "BUSY";

/** What a call of the library reports to its user; not a defect of the protocol. */
export class Failure {
  constructor(
    readonly code: Code,
    readonly reason: string,
  ) {}
}

/** For `catch`: lets everything but a Failure through. */
export function failureOf(caught: unknown): Failure {
  if (caught instanceof Failure) return caught;
  throw caught;
}

export class Process {
  readonly tasks: Run<void>[] = [];
  stopped = false;
  alive = true;

  constructor(
    readonly id: number,
    readonly role: string,
  ) {}

  get label(): string {
    return `${this.role} ${this.id}`;
  }
}

/** `lock-<n>`: the writer with that number. */
export interface LockRecord {
  readonly kind: "lock";
  readonly number: number;
  readonly process: Process;
}

/** `pin-<n>`: a reader of the commit with this sequence. */
export interface PinRecord {
  readonly kind: "pin";
  readonly superblock: Superblock;
  readonly sequence: number;
  readonly snapshot: string | null;
  readonly process: Process;
}

export interface StateFile {
  readonly kind: "file";
  readonly inode: Inode;
}

export type Entry = LockRecord | PinRecord | StateFile;

export interface Shape {
  readonly blockCount: number;
  readonly logSlots: number;
}

export class World {
  readonly directory = new Directory<Entry>();
  readonly processes: Process[] = [];
  readonly oracle: Oracle;
  /** All files there ever were. */
  readonly inodes: Inode[] = [];
  private nonceCount = 0;
  /** How much of the script of a plan has been done, by all writers together. */
  scriptPosition = 0;
  /** More than one task is alive, so that it matters what happens between two reads. */
  crowded = false;

  constructor(
    readonly rules: Rules,
    readonly shape: Shape,
    readonly choose: Chooser,
    /** Told what happens, when somebody wants to know. */
    readonly trace: ((text: string) => void) | null,
  ) {
    this.oracle = new Oracle(shape.blockCount);
  }

  newInode(): Inode {
    const inode = new Inode(this.unique());
    this.inodes.push(inode);
    return inode;
  }

  /** Different for every caller: nonces, uuids. */
  unique(): number {
    return ++this.nonceCount;
  }
}

/** An open file. It remembers which write-back errors of the inode it has reported. */
export class File {
  private errorsSeen: number;

  constructor(
    readonly world: World,
    readonly process: Process,
    readonly inode: Inode,
  ) {
    this.errorsSeen = inode.errorCount;
  }

  *read(slot: number): Run<Value> {
    if (this.world.crowded) yield readCall;
    return this.inode.read(slot);
  }

  *readFirstSector(slot: number): Run<Value> {
    if (this.world.crowded) yield readCall;
    return this.inode.readFirstSector(slot);
  }

  *write(slot: number, value: Value): Run<void> {
    const { world, inode } = this;
    const fails = yield writeCall;
    const first = (): void => inode.writeSector(2 * slot, value);
    const second = (): void => inode.writeSector(2 * slot + 1, value.whole ? value : zero);
    if (fails) {
      world.oracle.writesFailed = true;
      const part = world.choose.fate(4);
      if (part & 1) first();
      if (part & 2) second();
      const arrived = ["nothing", "the first sector", "the second sector", "all"][part];
      this.trace?.(`write slot ${slot} FAILS, ${arrived} arrives of ${describe(value)}`);
      throw new Failure("IO", "write failed");
    }
    first();
    if (world.crowded && world.choose.pick(4) === 3) {
      this.trace?.(`write slot ${slot}, half of ${describe(value)}`);
      yield readCall;
    }
    second();
    this.trace?.(`write slot ${slot}: ${describe(value)}`);
  }

  *flush(): Run<void> {
    const { world, inode } = this;
    const fails = yield flushCall;
    const beginning = inode.beginFlush();
    if (world.crowded) {
      this.trace?.("flush begins");
      yield readCall;
    }
    if (fails) {
      inode.fail(world.choose);
      world.oracle.writeBackFailed(inode);
    }
    if (this.errorsSeen < inode.errorCount) {
      this.errorsSeen = inode.errorCount;
      this.trace?.("flush FAILS");
      throw new Failure("IO", "flush failed");
    }
    inode.endFlush(beginning);
    this.trace?.("flush done");
  }

  private get trace(): ((text: string) => void) | null {
    const { trace } = this.world;
    return trace && ((text) => trace(`${this.process.label}, file ${this.inode.id}: ${text}`));
  }
}

/** One line for a trace. */
export function describe(value: Value): string {
  switch (value.kind) {
    case "header": {
      const { operation, sequence, writer, lastFlushed, next, changes, name, runs } = value as Header;
      const what =
        operation === "commit"
          ? changes
              .map(({ block, place }) => (place ? `${place.digest.label}@${place.slot}` : `${block}:zero`))
              .join(" ")
          : `${name} runs ${runs.join(" ")}`;
      return `${operation} ${sequence} by ${writer}, last flushed ${lastFlushed}, next ${next}: ${what}`;
    }
    case "superblock": {
      const { generation, sequence, writer, runs } = value as Superblock;
      return `superblock ${generation} by ${writer}, sequence ${sequence}, runs ${runs.join(" ")}`;
    }
    case "block":
      return `block ${(value as Block).label}`;
    default:
      return value.kind;
  }
}
