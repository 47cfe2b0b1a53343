// Memories for the tests of the public surface: each test has a directory of its own, and every memory that it leaves open is checked
// and closed at its end. Also a storage that fails when it is told to.

import assert from "node:assert/strict";
import { join } from "node:path";
import { PerdureError } from "../../bindings/base/errors.js";
import {
  type Memory,
  MemoryStorage,
  type OpenOptions,
  openSync,
  type Storage,
} from "../../bindings/index.js";
import { type TemporaryDirectory, temporaryDirectory } from "./temporary-directory.js";

/** A small reserve, so that many are open at once without asking the machine for much. */
export const SMALL = 16 * 2 ** 20;

export class States {
  private directory: TemporaryDirectory | null = null;
  private readonly opened: Memory[] = [];

  /** Call it in the body of a `describe`. */
  static forEachTest(): States {
    const states = new States();
    afterEach(() => states.end());
    return states;
  }

  get folder(): string {
    this.directory ??= temporaryDirectory();
    return this.directory.path;
  }

  path(name = "a.state"): string {
    return join(this.folder, name);
  }

  /** A file of this test. */
  open(options: OpenOptions = {}, name?: string): Memory {
    return this.adopt(openSync(this.path(name), { reserve: SMALL, ...options }));
  }

  /** One in a storage of its own. */
  inStorage(storage: Storage = new MemoryStorage(), options: OpenOptions = {}): Memory {
    return this.adopt(openSync("memory", { reserve: SMALL, ...options, storage }));
  }

  adopt(memory: Memory): Memory {
    this.opened.push(memory);
    return memory;
  }

  private end(): void {
    const memories = this.opened.splice(0);
    try {
      for (const memory of memories) if (memory.isOpen) assertSound(memory);
    } finally {
      for (const memory of memories.reverse()) closeQuietly(memory);
      this.directory?.remove();
      this.directory = null;
    }
  }
}

/** A handle that a test has broken says so once more when it is closed. */
function closeQuietly(memory: Memory): void {
  try {
    memory.close();
  } catch (error) {
    assert.ok(error instanceof PerdureError, `close: ${error}`);
  }
}

/** The accounting of file and heap agrees. */
export function assertSound(memory: Memory): void {
  assert.deepEqual(memory.check({ all: true }).problems, []);
}

export type StorageCall = "size" | "read" | "write" | "flush" | "truncate";

/** Bytes in memory whose calls fail while `fault` says so. */
export class FaultyStorage implements Storage {
  /** The error that a call is answered with, or null for none. */
  fault: (call: StorageCall, offset: number) => PerdureError | null = () => null;

  constructor(readonly inner: Storage = new MemoryStorage()) {}

  size = () => this.after("size", 0, () => this.inner.size());
  read = (offset: number, into: Uint8Array) =>
    this.after("read", offset, () => this.inner.read(offset, into));
  write = (offset: number, from: Uint8Array) =>
    this.after("write", offset, () => this.inner.write(offset, from));
  flush = () => this.after("flush", 0, () => this.inner.flush());
  flushAsync = async () => this.flush();
  truncate = (size: number) => this.after("truncate", size, () => this.inner.truncate(size));
  close = () => this.inner.close();

  /** Every call of this kind fails from now on. */
  failOn(call: StorageCall, code: "IO" | "NO_SPACE" = "IO"): void {
    this.fault = (each) => (each === call ? new PerdureError(code, `${call} failed on purpose`) : null);
  }

  heal(): void {
    this.fault = () => null;
  }

  private after<T>(call: StorageCall, offset: number, body: () => T): T {
    const error = this.fault(call, offset);
    if (error !== null) throw error;
    return body();
  }
}

/** Lets the automatic commit happen. */
export async function endOfTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}
