// Bounds on what code may do with a hostile file: a place that counts what is read and written, and a count of the memory that is
// asked for. Going past a bound throws a plain Error, which no code under test takes for one of its own.

import { PerdureError } from "../../bindings/base/errors.js";
import type { Access, Place, Storage } from "../../bindings/storage/storage.js";

export interface Bounds {
  /** Calls of read and write. */
  calls: number;
  readBytes: number;
  writtenBytes: number;
  /** The largest typed array asked for at once, and all of them together. */
  largestArray: number;
  arrayBytes: number;
}

/** Where the disk is full: a file that claims to be huge cannot be made so. */
const mostFileBytes = 2 ** 30;

export class BoundExceeded extends Error {}

/** What was used so far; throws when it is too much. */
export class Guard {
  readonly used: Bounds = { calls: 0, readBytes: 0, writtenBytes: 0, largestArray: 0, arrayBytes: 0 };

  constructor(readonly bounds: Bounds) {}

  add(kind: "readBytes" | "writtenBytes", bytes: number): void {
    this.used[kind] += bytes;
    this.used.calls++;
    this.verify();
  }

  array(bytes: number): void {
    this.used.largestArray = Math.max(this.used.largestArray, bytes);
    this.used.arrayBytes += bytes;
    this.verify();
  }

  /** Runs `body` with the memory that it asks for counted. */
  async watch<T>(body: () => Promise<T> | T): Promise<T> {
    const real = { Uint8Array, Uint32Array, Float64Array };
    const watched = Object.fromEntries(
      Object.entries(real).map(([name, array]) => [name, this.watched(array)]),
    );
    Object.assign(globalThis, watched);
    try {
      return await body();
    } finally {
      Object.assign(globalThis, real);
    }
  }

  private watched(array: { BYTES_PER_ELEMENT: number }): unknown {
    const count = (length: number) => this.array(length * array.BYTES_PER_ELEMENT);
    return new Proxy(array as unknown as new () => object, {
      construct(target, args, newTarget) {
        if (typeof args[0] === "number") count(args[0]);
        return Reflect.construct(target, args, newTarget === this ? target : newTarget);
      },
    });
  }

  private verify(): void {
    for (const key of Object.keys(this.bounds) as (keyof Bounds)[]) {
      if (this.used[key] > this.bounds[key]) {
        throw new BoundExceeded(`${key} ${this.used[key]} of ${this.bounds[key]}`);
      }
    }
  }
}

class GuardedStorage implements Storage {
  constructor(
    private readonly storage: Storage,
    private readonly guard: Guard,
  ) {}

  size = () => this.storage.size();
  flush = () => this.storage.flush();
  truncate = (size: number) => this.storage.truncate(size);
  close = () => this.storage.close();

  read(offset: number, into: Uint8Array): number {
    this.guard.add("readBytes", into.length);
    return this.storage.read(offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    this.guard.add("writtenBytes", from.length);
    if (offset + from.length > mostFileBytes) throw new PerdureError("NO_SPACE", "the quota is used up");
    this.storage.write(offset, from);
  }
}

export class GuardedPlace implements Place {
  readonly label = "guarded";

  constructor(
    readonly inner: Place,
    private readonly guard: Guard,
  ) {}

  open(name: string, access: Access): Storage {
    return new GuardedStorage(this.inner.open(name, access), this.guard);
  }

  createExclusive(name: string): Storage | null {
    const storage = this.inner.createExclusive(name);
    return storage && new GuardedStorage(storage, this.guard);
  }

  readFile(name: string): Uint8Array | null {
    const bytes = this.inner.readFile(name);
    this.guard.add("readBytes", bytes?.length ?? 0);
    return bytes;
  }

  link = (from: string, to: string) => this.inner.link(from, to);
  rename = (from: string, to: string) => this.inner.rename(from, to);
  remove = (name: string) => this.inner.remove(name);
  list = (prefix: string) => this.inner.list(prefix);
  exists = (name: string) => this.inner.exists(name);
  flush = () => this.inner.flush();
}
