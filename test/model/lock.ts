// The writer's lock and the creation of a file: docs/FORMAT.md §9, "The writer's lock", "Creation".

import { type Block, Node, Superblock } from "./values.js";
import { readSuperblocks } from "./walk.js";
import { Failure, File, type LockRecord, nameCall, type Process, type Run, type World } from "./world.js";

export interface Lock {
  readonly number: number;
  /** The file that is to be opened; opened before the locks were listed for the last time. */
  readonly file: File;
  /** A forced takeover in spite of lower records of processes not proven dead. */
  readonly relocates: boolean;
}

export function* takeLock(world: World, process: Process, forced: boolean): Run<Lock> {
  const { directory, rules } = world;
  for (let tries = 0; tries < 3; tries++) {
    // 1 and 2
    const records = yield* listLocks(world);
    if (!forced && records.some((record) => record.process.alive))
      throw new Failure("LOCKED", "a record is alive");
    const before = yield* openByName(world, process);
    if (before === null) throw new Failure("BUSY", "the file has gone");
    let number = (yield* writerOf(before)) + 1;
    for (const record of records) number = Math.max(number, record.number + 1);
    yield nameCall;
    if (!directory.link(`lock-${number}`, { kind: "lock", number, process })) continue;
    world.trace?.(`${process.label}: takes lock ${number}`);

    // 3
    let file = rules.openBeforeRecheck ? yield* openByName(world, process) : before;
    let others: LockRecord[];
    let used: boolean;
    try {
      const early = rules.listBeforeWriterNumber ? false : yield* isUsed(file, number);
      others = (yield* listLocks(world)).filter((record) => record.number !== number);
      used = rules.listBeforeWriterNumber ? yield* isUsed(file, number) : early;
    } catch (caught) {
      yield* removeLock(world, process, number);
      throw caught;
    }
    const living = others.filter((record) => record.process.alive);
    if (rules.recheckLocksAfterWinning && file !== null) {
      const higher = rules.higherNumberWins && others.some((record) => record.number > number);
      if (higher || used || (living.length > 0 && !forced)) file = null;
    }
    if (file === null) {
      yield* removeLock(world, process, number);
      continue;
    }

    // 4
    for (const record of others) {
      if (record.number >= number || (living.includes(record) && rules.keepLivingRecords)) continue;
      yield* removeLock(world, process, record.number);
    }
    if (!rules.openBeforeRecheck) file = (yield* openByName(world, process)) ?? file;
    const relocates = forced && (yield* listLocks(world)).some((record) => record.number < number);
    return { number, file, relocates };
  }
  throw new Failure("LOCKED", "others were faster");
}

/** Whether a later writer, whose record may have gone since, has left the file with a number that is not less. */
function* isUsed(file: File | null, number: number): Run<boolean> {
  if (file === null || !file.world.rules.rereadWriterNumber) return false;
  return (yield* writerOf(file)) >= number;
}

export function* removeLock(world: World, process: Process, number: number): Run<void> {
  yield nameCall;
  if (world.directory.remove(`lock-${number}`)) world.trace?.(`${process.label}: removes lock ${number}`);
}

export function* listLocks(world: World): Run<LockRecord[]> {
  yield nameCall;
  const records: LockRecord[] = [];
  for (const [name, entry] of world.directory.all()) {
    if (entry.kind !== "lock") continue;
    // Listed first, read one by one.
    if (world.crowded) yield nameCall;
    if (world.directory.get(name)?.kind === "lock") records.push(world.directory.get(name) as LockRecord);
  }
  return records;
}

/** Files that are not the state yet; whoever was making one finds it gone and gives up. */
export function* removeNewFiles(world: World, process: Process): Run<void> {
  yield nameCall;
  for (const name of [...world.directory.names()].filter((name) => name.startsWith("new-"))) {
    yield* removeFile(world, process, name);
  }
}

export function* removeFile(world: World, process: Process, name: string): Run<void> {
  yield nameCall;
  if (world.directory.remove(name)) world.trace?.(`${process.label}: removes ${name}`);
}

export function* openByName(world: World, process: Process): Run<File | null> {
  yield nameCall;
  const entry = world.directory.get("state");
  return entry?.kind === "file" ? new File(world, process, entry.inode) : null;
}

/** The number of the writer that wrote the newest superblock. */
export function* writerOf(file: File): Run<number> {
  const { newest } = yield* readSuperblocks(file);
  if (newest === null) throw new Failure("CORRUPT", "no valid superblock");
  return newest.writer;
}

export function* create(world: World, process: Process): Run<void> {
  const { directory, shape, oracle } = world;
  const inode = world.newInode();
  const name = `new-${world.unique()}`;
  yield nameCall;
  directory.link(name, { kind: "file", inode });
  const file = new File(world, process, inode);
  const state = oracle.blank();

  // 1 and 2: both superblocks, the trees they need, and zeros in the forwarding slot
  const image = {
    slot: 3,
    digest: new Node(
      Array<Block | null>(shape.blockCount)
        .fill(null)
        .map(() => null),
    ),
  };
  const freeMap = { slot: 4, digest: new Node([], [], { image: [3], held: [] }) };
  const runs = Array.from({ length: shape.logSlots }, (_, index) => 5 + index);
  const uuid = world.unique();
  for (const { slot, digest } of [image, freeMap]) yield* file.write(slot, digest);
  for (const generation of [1, 2]) {
    const superblock = new Superblock(
      uuid,
      generation,
      0,
      0,
      image,
      null,
      freeMap,
      null,
      5,
      runs,
      state,
      false,
    );
    yield* file.write(generation % 2, superblock);
  }
  yield* file.flush();

  // 3 and 4
  yield nameCall;
  if (directory.get(name) === undefined) return; // a writer that took the name over has tidied it away
  if (directory.link("state", { kind: "file", inode })) {
    world.trace?.(`${process.label}: creates file ${inode.id}`);
    oracle.created(inode, state);
  }
  yield nameCall;
  directory.remove(name);
  yield nameCall;
  directory.flush();
}
