// Opening a store that was closed well, and reading one of its blocks: what a program waits for when it starts. The files are in the
// system's cache. One opening is timed at a time, because the closing between two of them is not part of it.

import fs from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { Random } from "../test/support/random.js";
import { blocksOf, makeBlocks, openMemory } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import { scratchFolder } from "./harness.js";
import {
  type BlockChange,
  blockBytes,
  blockMemory,
  emptyFolder,
  flushFolder,
  keyOf,
  type OpenStore,
  openContiguous,
  openLevel,
  openLevelDatabase,
  openLmdb,
  openLmdbDatabase,
  openPerdure,
  openPerdurePager,
  openSqlite,
  openSqliteDatabase,
} from "./stores.js";

const mebibyte = 2 ** 20;
const fillBlocks = 1024;

/** How a store is filled, and how it is opened to read one block; `close` is called before the next opening. */
interface Peer {
  name: string;
  fill: OpenStore;
  open(folder: string, block: number): Opened | Promise<Opened>;
}

interface Opened {
  close(): unknown;
}

const pager: Peer = {
  name: "perdure, the pager",
  fill: openPerdure,
  open(folder, block) {
    const pager = openPerdurePager(folder);
    pager.read(block, 1, new Uint8Array(blockBytes));
    return pager;
  },
};

/** A program's memory, for writing or reading. */
function memoryPeer(name: string, bytes: number, readOnly: boolean): Peer {
  return {
    name,
    fill(folder) {
      const memory = openMemory(folder, { autoCommit: false, reserve: bytes, durability: "none" });
      const { address } = makeBlocks(memory, bytes / blockBytes);
      return {
        commit(changes) {
          for (const { block, bytes } of changes) memory.write(address + block * blockBytes, bytes);
          memory.commit();
        },
        close: () => memory.close(),
      };
    },
    open(folder, block) {
      const memory = openMemory(folder, { readOnly });
      memory.getF64(blocksOf(memory).address + block * blockBytes);
      return memory;
    },
  };
}

const peers: Peer[] = [
  {
    name: "LMDB",
    fill: openLmdb,
    open(folder, block) {
      const database = openLmdbDatabase(folder, true);
      database.get(block);
      return database;
    },
  },
  {
    name: "SQLite, WAL, FULL",
    fill: openSqlite,
    open(folder, block) {
      const database = openSqliteDatabase(folder, true);
      database.prepare("SELECT bytes FROM block WHERE number = ?").get(block);
      return database;
    },
  },
  {
    name: "LevelDB",
    fill: openLevel,
    async open(folder, block) {
      const database = await openLevelDatabase(folder);
      await database.get(keyOf(block));
      return database;
    },
  },
];

/** Into memory that is there already: what is measured is the reading. */
const readingAll = (bytes: number): Peer => ({
  name: "reading it all",
  fill: openContiguous(bytes / blockBytes),
  open(folder) {
    const file = fs.openSync(join(folder, "raw"), "r");
    const into = sharedMemory();
    for (let at = 0; at < bytes; at += into.length) fs.readSync(file, into, 0, into.length, at);
    return { close: () => fs.closeSync(file) };
  },
});

/** An object that is all of the state: written by `v8.serialize`, read as a whole. */
const deserializing = (bytes: number): Peer => ({
  name: "v8.deserialize",
  fill(folder) {
    const all = new Uint8Array(bytes);
    return {
      commit(changes) {
        for (const { block, bytes } of changes) all.set(bytes, block * blockBytes);
      },
      close: () => fs.writeFileSync(join(folder, "v8"), serialize(all)),
    };
  },
  open(folder, block) {
    const all: Uint8Array = deserialize(fs.readFileSync(join(folder, "v8")));
    return { close: () => all[block * blockBytes] };
  },
});

function openCase({ name, fill, open }: Peer, title: string, bytes: number, bars: Bar[] = []): Case {
  const folder = `open/${title}-${name}`.replace(/[^\w/]+/g, "-");
  const blocks = bytes / blockBytes;
  const random = new Random(1);
  let opened: Opened | null = null;
  const close = async (): Promise<void> => {
    await opened?.close();
    opened = null;
  };
  return {
    name: `${name}, ${title}`,
    bars,
    async setup() {
      const store = await fill(emptyFolder(scratchFolder(folder)), false);
      const memory = sharedMemory();
      for (let first = 0; first < blocks; first += fillBlocks) {
        const changes = Array.from({ length: Math.min(fillBlocks, blocks - first) }, (_, i): BlockChange => {
          const block = memory.subarray(i * blockBytes, (i + 1) * blockBytes);
          return { block: first + i, count: 1, bytes: block };
        });
        await store.commit(changes);
      }
      await store.close();
      flushFolder(scratchFolder(folder));
    },
    prepare: close,
    async run() {
      opened = await open(scratchFolder(folder), random.below(blocks));
    },
    async teardown() {
      await close();
      emptyFolder(scratchFolder(folder));
    },
  };
}

let memory: Uint8Array = new Uint8Array(0);

function sharedMemory(): Uint8Array {
  if (memory.length === 0) memory = blockMemory(fillBlocks);
  return memory;
}

const sizes = [
  { title: "1 MiB", bytes: mebibyte },
  { title: "64 MiB", bytes: 64 * mebibyte },
  { title: "1 GiB", bytes: 1024 * mebibyte },
];
const [smallest] = sizes;

const ours = (bytes: number): Peer[] => [
  pager,
  memoryPeer("perdure", bytes, false),
  memoryPeer("perdure, for reading", bytes, true),
];

const workload: Workload = {
  name: "open and read one block, warm",
  unit: "ms",
  reference: `perdure, ${smallest.title}`,
  iterations: 1,
  rounds: 21,
  cases: sizes.flatMap(({ title, bytes }) => [
    ...ours(bytes).map((peer) => {
      const flat: Bar[] =
        title === smallest.title ? [] : [{ of: `${peer.name}, ${smallest.title}`, timeAtMost: 1.5 }];
      return openCase(peer, title, bytes, [{ millisecondsAtMost: 3 }, ...flat]);
    }),
    ...[...peers, readingAll(bytes), deserializing(bytes)].map((peer) => openCase(peer, title, bytes)),
  ]),
};

export default workload;
