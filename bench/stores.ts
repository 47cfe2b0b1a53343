// The stores side by side: each keeps numbered values and changes some of them in one transaction. Every one is set up as its own
// documentation advises for this work; `durable` asks for the device's word before a commit returns, without it the system writes when it likes.

import fs from "node:fs";
import { join } from "node:path";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager } from "../bindings/pager/open.js";
import type { Change, Pager } from "../bindings/pager/pager.js";
import { NodePlace } from "../bindings/storage/node.js";
import { NodeProcesses } from "../bindings/storage/node-processes.js";
import { peer } from "./peers.js";

export const blockBytes = 4096;
/** Of the state file in its folder. */
export const stateName = "perdure.state";
const wasmPageBytes = 65536;

/** A block and what it becomes; `bytes` may be shorter for the peers, which store values of any length. */
export type BlockChange = Change & { bytes: Uint8Array };

export interface Store {
  /** One transaction. Only LevelDB answers with a promise. */
  commit(changes: readonly BlockChange[]): unknown;
  close(): unknown;
}

export type OpenStore = (folder: string, durable: boolean) => Store | Promise<Store>;

/** One for all: its memory is also where the blocks lie, as they do in the engine, so that perdure hashes them in place. */
export const hasher = WasmHasher.create();

/** Fresh memory for `count` blocks, filled with what does not compress. Detaches what was made before. */
export function blockMemory(count: number): Uint8Array {
  const { memory } = hasher;
  const at = memory.buffer.byteLength;
  memory.grow((count * blockBytes) / wasmPageBytes);
  const words = new Uint32Array(memory.buffer, at, (count * blockBytes) / 4);
  for (let i = 0, word = 1; i < words.length; i++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[i] = word;
  }
  return new Uint8Array(memory.buffer, at, count * blockBytes);
}

/** An empty folder; what an earlier run left is removed. */
export function emptyFolder(folder: string): string {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** Bytes of all files in a folder and below; a file that goes away meanwhile has none. */
export function folderBytes(folder: string): number {
  let sum = 0;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    sum += entry.isDirectory()
      ? folderBytes(path)
      : (fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  }
  return sum;
}

/** Everything in a folder is on the device, so that what follows does not wait for it. */
export function flushFolder(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) flushFolder(path);
    else flushFile(path);
  }
}

export function flushFile(path: string): void {
  const file = fs.openSync(path, "r+");
  fs.fsyncSync(file);
  fs.closeSync(file);
}

export function openPerdurePager(folder: string): Pager {
  return openPager(new NodePlace(folder), stateName, hasher, new NodeProcesses(folder));
}

export function openPerdure(folder: string, durable: boolean): Store {
  const pager = openPerdurePager(folder);
  return {
    commit: (changes) => pager.commit(changes, durable),
    close: () => pager.close(),
  };
}

interface Lmdb {
  transactionSync(action: () => void): void;
  putSync(key: number, value: Uint8Array): void;
  get(key: number): Uint8Array;
  close(): Promise<void>;
}

export function openLmdbDatabase(folder: string, durable: boolean): Lmdb {
  const { open } = peer<{ open(options: object): Lmdb }>("lmdb");
  return open({
    path: join(folder, "lmdb.mdb"),
    encoding: "binary",
    keyEncoding: "uint32",
    mapSize: 8 * 2 ** 30,
    noSync: !durable,
    // Otherwise a commit returns before its flush.
    overlappingSync: false,
  });
}

export function openLmdb(folder: string, durable: boolean): Store {
  const database = openLmdbDatabase(folder, durable);
  return {
    commit(changes) {
      database.transactionSync(() => {
        for (let i = 0; i < changes.length; i++) database.putSync(changes[i].block, changes[i].bytes);
      });
    },
    close: () => database.close(),
  };
}

interface Statement {
  run(...values: unknown[]): { changes: number };
  get(...values: unknown[]): { bytes: Uint8Array };
}

interface Sqlite {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): Statement;
  transaction<T>(action: (value: T) => void): (value: T) => void;
  close(): void;
}

export function openSqliteDatabase(folder: string, durable: boolean): Sqlite {
  const Database = peer<new (path: string) => Sqlite>("better-sqlite3");
  const database = new Database(join(folder, "sqlite.db"));
  database.pragma("journal_mode = WAL");
  database.pragma(`synchronous = ${durable ? "FULL" : "OFF"}`);
  database.exec("CREATE TABLE IF NOT EXISTS block (number INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
  return database;
}

export function openSqlite(folder: string, durable: boolean): Store {
  const database = openSqliteDatabase(folder, durable);
  // An UPDATE writes only those pages of a value that differ; an upsert writes all of them.
  const update = database.prepare("UPDATE block SET bytes = ? WHERE number = ?");
  const insert = database.prepare("INSERT INTO block (bytes, number) VALUES (?, ?)");
  const put = ({ block, bytes }: BlockChange): void => {
    if (update.run(bytes, block).changes === 0) insert.run(bytes, block);
  };
  const putAll = database.transaction((changes: readonly BlockChange[]) => {
    for (let i = 0; i < changes.length; i++) put(changes[i]);
  });
  return {
    // A single statement is a transaction by itself, and faster so.
    commit: (changes) => (changes.length === 1 ? put(changes[0]) : putAll(changes)),
    close: () => database.close(),
  };
}

interface Level {
  open(): Promise<void>;
  get(key: Uint8Array): Promise<Uint8Array>;
  batch(operations: object[], options: object): Promise<void>;
  close(): Promise<void>;
}

export async function openLevelDatabase(folder: string): Promise<Level> {
  const { ClassicLevel } = peer<{ ClassicLevel: new (path: string, options: object) => Level }>(
    "classic-level",
  );
  // Without compression, as the others: the values are random.
  const options = { keyEncoding: "view", valueEncoding: "view", compression: false };
  const database = new ClassicLevel(join(folder, "level"), options);
  await database.open();
  return database;
}

export async function openLevel(folder: string, durable: boolean): Promise<Store> {
  const database = await openLevelDatabase(folder);
  return {
    commit: (changes) =>
      database.batch(
        changes.map(({ block, bytes }) => ({ type: "put", key: keyOf(block), value: bytes })),
        { sync: durable },
      ),
    close: () => database.close(),
  };
}

/** Big-endian, so that keys sort as numbers. */
export function keyOf(block: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, block);
  return key;
}

/** No store, only what the disk costs: as many blocks in one write, through a file that was written in full before. */
export function openContiguous(fileBlocks: number): OpenStore {
  return (folder, durable) => {
    const { file, close } = openRaw(folder, fileBlocks);
    let next = 0;
    return {
      commit(changes) {
        const length = changes.length * blockBytes;
        if (next + length > fileBlocks * blockBytes) next = 0;
        fs.writeSync(file, neighbours(changes[0].bytes, length), 0, length, next);
        next += length;
        if (durable) fs.fdatasyncSync(file);
      },
      close,
    };
  };
}

/** The same with every block written to its own place. */
export function openScattered(fileBlocks: number): OpenStore {
  return (folder, durable) => {
    const { file, close } = openRaw(folder, fileBlocks);
    return {
      commit(changes) {
        for (let i = 0; i < changes.length; i++) {
          const { block, bytes } = changes[i];
          fs.writeSync(file, bytes, 0, blockBytes, block * blockBytes);
        }
        if (durable) fs.fdatasyncSync(file);
      },
      close,
    };
  };
}

function openRaw(folder: string, fileBlocks: number): { file: number; close(): void } {
  const file = fs.openSync(join(folder, "raw"), "w+");
  const chunk = Buffer.alloc(256 * blockBytes, 0x5a);
  for (let at = 0; at < fileBlocks * blockBytes; at += chunk.length)
    fs.writeSync(file, chunk, 0, chunk.length, at);
  fs.fsyncSync(file);
  return { file, close: () => fs.closeSync(file) };
}

/** `length` bytes of the memory in which `bytes` lie, from there on or, near its end, a little before. */
function neighbours({ buffer, byteOffset }: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(buffer, Math.min(byteOffset, buffer.byteLength - length), length);
}
