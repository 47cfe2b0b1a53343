// Commits of 1, 8, 64 and 1,024 changed blocks, at random positions among 20,000 live ones, in every store. The workloads commit-durable
// and commit-unflushed differ only in whether a commit waits for the device. perdure is there as its pager, which is given the blocks, and as
// programs have it: they change eight bytes of a block in memory, and commit.

import { Random } from "../test/support/random.js";
import { openCommitting, openTransacting } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import { scratchFolder } from "./harness.js";
import {
  type BlockChange,
  blockBytes,
  blockMemory,
  emptyFolder,
  hasher,
  type OpenStore,
  openContiguous,
  openLevel,
  openLmdb,
  openPerdure,
  openScattered,
  openSqlite,
  type Store,
} from "./stores.js";

const liveBlocks = 20_000;
/** Blocks named by the transactions that are prepared before the clock runs. */
const preparedBlocks = 32_768;
const fillBlocks = 1000;
const changedBytes = 8;

export interface CommitBars {
  ofRaw: number;
  ofLmdb: number;
  ofSqlite: number;
}

/** Where a commit of `count` blocks lies, drawn anew for each of `transactions`. */
type Positions = number[][];

export function commitWorkloads(name: string, durable: boolean, bars: CommitBars): Workload[] {
  return [1, 8, 64, 1024].map((count) => commitWorkload(name, durable, count, bars));
}

function commitWorkload(name: string, durable: boolean, count: number, bars: CommitBars): Workload {
  const lmdb = durable ? "LMDB" : "LMDB, noSync";
  const sqlite = durable ? "SQLite, WAL, FULL" : "SQLite, WAL, OFF";
  const level = durable ? "LevelDB, sync, asynchronous calls" : "LevelDB, asynchronous calls";
  const raw = durable ? "one write + fdatasync" : "one write";
  const scattered = durable ? "writes in place + fdatasync" : "writes in place";
  const small = `, rows of ${changedBytes} bytes`;
  const reached: Bar[] = [
    { of: raw, speedAtLeast: bars.ofRaw },
    { of: lmdb, speedAtLeast: bars.ofLmdb },
    { of: sqlite, speedAtLeast: bars.ofSqlite },
  ];
  const smallReached: Bar[] = [
    { of: lmdb + small, speedAtLeast: bars.ofLmdb },
    { of: sqlite + small, speedAtLeast: bars.ofSqlite },
  ];
  const positions = draw(count);
  const build = (title: string, open: OpenStore, bytes = blockBytes): Case =>
    commitCase(title, `${name}/${title.replace(/\W+/g, "-")}`, open, durable, positions, bytes);
  const ours = [
    build("perdure, the pager", openPerdure),
    build(`perdure, ${changedBytes} bytes a block, commit()`, openCommitting(liveBlocks)),
    build(`perdure, ${changedBytes} bytes a block, transaction()`, openTransacting(liveBlocks)),
  ];
  const cases = [
    build(raw, openContiguous(liveBlocks)),
    ...(count > 1 ? [build(scattered, openScattered(liveBlocks))] : []),
    ...(count > 1 ? ours : ours.map((each) => ({ ...each, bars: [...reached, ...smallReached] }))),
    build(lmdb, openLmdb),
    build(sqlite, openSqlite),
    build(level, openLevel),
    ...(count > 1
      ? []
      : [build(lmdb + small, openLmdb, changedBytes), build(sqlite + small, openSqlite, changedBytes)]),
  ];
  const title = `${durable ? "durable commit" : "commit without flush"} of ${count.toLocaleString("en-US")} changed block${count > 1 ? "s" : ""}`;
  return { name: title, unit: "ops/s", reference: raw, cases };
}

function draw(count: number): Positions {
  const random = new Random(count);
  return Array.from({ length: preparedBlocks / count }, () => {
    const chosen = new Set<number>();
    while (chosen.size < count) chosen.add(random.below(liveBlocks));
    return [...chosen];
  });
}

/** All cases read their bytes from the same memory, so that none has them in a nearer cache. */
let memory: Uint8Array = new Uint8Array(0);

function sharedMemory(): Uint8Array {
  if (memory.buffer !== hasher.memory.buffer) memory = blockMemory(liveBlocks);
  return memory;
}

function commitCase(
  name: string,
  folder: string,
  open: OpenStore,
  durable: boolean,
  positions: Positions,
  bytes: number,
): Case {
  let store: Store;
  let transactions: BlockChange[][] = [];
  let next = 0;
  const change = (block: number): BlockChange => {
    const at = block * blockBytes;
    return { block, count: 1, bytes: sharedMemory().subarray(at, at + bytes) };
  };
  const fill = async (): Promise<void> => {
    for (let block = 0; block < liveBlocks; block += fillBlocks) {
      await store.commit(Array.from({ length: fillBlocks }, (_, i) => change(block + i)));
    }
  };
  /** The next transaction, with a byte of each block changed: some stores skip what is as it was. */
  const draft = (): BlockChange[] => {
    const changes = transactions[next++ % transactions.length];
    for (let i = 0; i < changes.length; i++) changes[i].bytes[i % changedBytes]++;
    return changes;
  };
  const runSync = (iterations: number): void => {
    for (let left = iterations; left > 0; left--) store.commit(draft());
  };
  const runAsync = async (iterations: number): Promise<void> => {
    for (let left = iterations; left > 0; left--) await store.commit(draft());
  };
  return {
    name,
    async setup() {
      store = await open(emptyFolder(scratchFolder(folder)), durable);
      transactions = positions.map((blocks) => blocks.map(change));
      await fill();
    },
    run: open === openLevel ? runAsync : runSync,
    async teardown() {
      await store?.close();
      transactions = [];
      emptyFolder(scratchFolder(folder));
    },
  };
}
