// Much at once: fresh blocks in one commit that is on the device when it returns, in a store that was empty. What a program would do that
// keeps its state in an object is measured, too: to make a text or a buffer of all of it, and to write and flush that.

import fs from "node:fs";
import { join } from "node:path";
import { serialize } from "node:v8";
import type { Memory, View } from "../bindings/index.js";
import { letGo, makeBlocks, openMemory } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import { scratchFolder } from "./harness.js";
import {
  type BlockChange,
  blockBytes,
  blockMemory,
  emptyFolder,
  hasher,
  type OpenStore,
  openLmdb,
  openPerdure,
  openSqlite,
  type Store,
} from "./stores.js";

const mebibyte = 2 ** 20;
const largestBytes = 2 ** 30;
const raw = "one write + fdatasync";
const lmdb = "LMDB";
const sqlite = "SQLite, WAL, FULL";
const bars: Bar[] = [
  { of: raw, speedAtLeast: 0.8 },
  { of: lmdb, speedAtLeast: 3 },
  { of: sqlite, speedAtLeast: 3 },
];

let memory: Uint8Array = new Uint8Array(0);

/** The first `bytes` of the memory that all cases write. */
function sharedMemory(bytes: number): Uint8Array {
  if (memory.buffer !== hasher.memory.buffer) memory = blockMemory(largestBytes / blockBytes);
  return memory.subarray(0, bytes);
}

function bulkWorkload(bytes: number, rounds: number, bars: Bar[], peers: Case[]): Workload {
  return {
    name: `bulk persist of ${bytes / mebibyte} MiB of fresh blocks, flushed`,
    unit: "MB/s",
    bytesPerOperation: bytes,
    iterations: 1,
    rounds,
    cases: [
      fileCase(raw, (file) => fs.writeSync(file, sharedMemory(bytes))),
      { ...storeCase("perdure, the pager", openPerdure, bytes, bytes / blockBytes), bars },
      { ...viewCase("perdure, a view that was filled", bytes, false), bars },
      viewCase("perdure, a view, with the filling", bytes, true),
      ...peers,
    ],
  };
}

/** All of the memory in changes of `blocks` blocks each. */
function changes(bytes: number, blocks: number): BlockChange[] {
  const all = sharedMemory(bytes);
  const length = blocks * blockBytes;
  return Array.from({ length: bytes / length }, (_, i) => ({
    block: i * blocks,
    count: blocks,
    bytes: all.subarray(i * length, (i + 1) * length),
  }));
}

/** `blocks` in each change of the one transaction. */
function storeCase(name: string, open: OpenStore, bytes: number, blocks: number): Case {
  const folder = `bulk/${bytes}-${name.replace(/\W+/g, "-")}`;
  let store: Store | null = null;
  let transaction: BlockChange[] = [];
  const drop = async (): Promise<void> => {
    await store?.close();
    store = null;
    emptyFolder(scratchFolder(folder));
  };
  return {
    name,
    async prepare() {
      await drop();
      transaction = changes(bytes, blocks);
      store = await open(scratchFolder(folder), true);
    },
    run: () => store?.commit(transaction),
    teardown: drop,
  };
}

/** An object as large, which is written through a view; what the commit then has to look for is all of it. */
function viewCase(name: string, bytes: number, fills: boolean): Case {
  const folder = `bulk/${bytes}-${name.replace(/\W+/g, "-")}`;
  let memory: Memory | null = null;
  let view: View<Uint8Array> | null = null;
  const drop = (): void => {
    if (memory !== null) letGo(memory);
    memory = null;
    emptyFolder(scratchFolder(folder));
  };
  const fill = (): void => view?.array.set(sharedMemory(bytes));
  return {
    name,
    prepare() {
      drop();
      memory = openMemory(scratchFolder(folder), { autoCommit: false, reserve: 2 * bytes });
      view = memory.view(makeBlocks(memory, bytes / blockBytes), Uint8Array, bytes);
      if (!fills) fill();
    },
    run() {
      if (fills) fill();
      memory?.commit();
    },
    teardown: drop,
  };
}

/** A file that is created, written and flushed. */
function fileCase(name: string, write: (file: number) => void): Case {
  const path = join(scratchFolder("bulk"), name.replace(/\W+/g, "-"));
  return {
    name,
    prepare: () => fs.rmSync(path, { force: true }),
    run() {
      const file = fs.openSync(path, "w");
      write(file);
      fs.fdatasyncSync(file);
      fs.closeSync(file);
    },
    teardown: () => fs.rmSync(path, { force: true }),
  };
}

function serializeCase(bytes: number): Case {
  return fileCase("v8.serialize, write + fdatasync", (file) =>
    fs.writeSync(file, serialize(sharedMemory(bytes))),
  );
}

/** Piece by piece, because no string can hold 256 MiB as decimal numbers; the same piece each time, which JSON cannot know. */
function jsonCase(bytes: number): Case {
  let numbers: number[] = [];
  const json = fileCase("JSON.stringify of numbers, write + fdatasync", (file) => {
    for (let done = 0; done < bytes; done += mebibyte) fs.writeSync(file, JSON.stringify(numbers));
  });
  return {
    ...json,
    setup() {
      const { buffer, byteOffset } = sharedMemory(bytes);
      numbers = Array.from(new Uint32Array(buffer, byteOffset, mebibyte / 4));
    },
  };
}

const small = 256 * mebibyte;
const peers = [
  storeCase(lmdb, openLmdb, small, 1),
  storeCase(sqlite, openSqlite, small, 1),
  serializeCase(small),
  jsonCase(small),
];

// A GiB takes the peers many seconds, so it is compared with the bare write alone.
export default [bulkWorkload(small, 3, bars, peers), bulkWorkload(largestBytes, 3, bars.slice(0, 1), [])];
