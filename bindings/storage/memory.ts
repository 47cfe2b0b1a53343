// Storage in memory, for states that need not outlive the process and for tests. A place maps names to files, and
// a file lives as long as a name or an open handle refers to it: names come and go as in a POSIX directory.
//
// Invariant: the bytes of a file's buffer beyond its size are zero.

import { PerdureError } from "../base/errors.js";
import {
  type Access,
  checkName,
  checkRange,
  closedError,
  notFoundError,
  type Place,
  readOnlyError,
  type Storage,
} from "./storage.js";

const firstCapacityBytes = 4096;

/** The bytes of one file; several handles may share it. */
class MemoryFile {
  bytes = new Uint8Array(0);
  size = 0;

  /** Grows the file to `size`, and the buffer at least by half, so that appending costs O(1) a byte. */
  grow(size: number): void {
    if (size > this.bytes.length) {
      const wanted = Math.max(size, Math.ceil(this.bytes.length * 1.5), firstCapacityBytes);
      const larger = allocate(wanted) ?? allocate(size);
      if (larger === null) throw new PerdureError("NO_SPACE", `no memory for a file of ${size} bytes`);
      larger.set(this.bytes.subarray(0, this.size));
      this.bytes = larger;
    }
    this.size = size;
  }

  truncate(size: number): void {
    if (size > this.size) this.grow(size);
    this.bytes.fill(0, size, this.size);
    this.size = size;
  }
}

function allocate(size: number): Uint8Array<ArrayBuffer> | null {
  try {
    return new Uint8Array(size);
  } catch {
    return null;
  }
}

/** A file in memory. `new MemoryStorage()` is an empty one of its own. */
export class MemoryStorage implements Storage {
  private file: MemoryFile | null;

  constructor(
    file: MemoryFile = new MemoryFile(),
    private readonly access: Access = "write",
    private readonly path = "memory",
  ) {
    this.file = file;
  }

  size(): number {
    return this.open().size;
  }

  read(offset: number, into: Uint8Array): number {
    const file = this.open();
    checkRange(offset, into.length);
    const count = Math.min(into.length, Math.max(0, file.size - offset));
    if (count > 0) into.set(file.bytes.subarray(offset, offset + count));
    return count;
  }

  write(offset: number, from: Uint8Array): void {
    this.writeParts(offset, [from]);
  }

  writeParts(offset: number, parts: readonly Uint8Array[]): void {
    const file = this.writable();
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    checkRange(offset, length);
    if (length === 0) return;
    if (offset + length > file.size) file.grow(offset + length);
    let position = offset;
    for (const part of parts) {
      file.bytes.set(part, position);
      position += part.length;
    }
  }

  flush(): void {
    this.open();
  }

  async flushAsync(): Promise<void> {
    this.open();
  }

  truncate(size: number): void {
    const file = this.writable();
    checkRange(size, 0);
    file.truncate(size);
  }

  close(): void {
    this.file = null;
  }

  private open(): MemoryFile {
    if (this.file === null) throw closedError(this.path);
    return this.file;
  }

  private writable(): MemoryFile {
    const file = this.open();
    if (this.access === "read") throw readOnlyError(this.path);
    return file;
  }
}

/** A directory in memory. */
export class MemoryPlace implements Place {
  private readonly files = new Map<string, MemoryFile>();

  constructor(readonly label = "memory") {}

  open(name: string, access: Access): Storage {
    return new MemoryStorage(this.find(name), access, this.path(name));
  }

  createExclusive(name: string): Storage | null {
    checkName(name);
    if (this.files.has(name)) return null;
    const file = new MemoryFile();
    this.files.set(name, file);
    return new MemoryStorage(file, "write", this.path(name));
  }

  link(from: string, to: string): boolean {
    const file = this.find(from);
    checkName(to);
    if (this.files.has(to)) return false;
    this.files.set(to, file);
    return true;
  }

  rename(from: string, to: string): void {
    const file = this.find(from);
    checkName(to);
    if (this.files.get(to) === file) return;
    this.files.set(to, file);
    this.files.delete(from);
  }

  remove(name: string): boolean {
    checkName(name);
    return this.files.delete(name);
  }

  list(prefix: string): string[] {
    return [...this.files.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  readFile(name: string): Uint8Array | null {
    checkName(name);
    const file = this.files.get(name);
    return file === undefined ? null : file.bytes.slice(0, file.size);
  }

  exists(name: string): boolean {
    checkName(name);
    return this.files.has(name);
  }

  flush(): void {}

  private find(name: string): MemoryFile {
    checkName(name);
    const file = this.files.get(name);
    if (file === undefined) throw notFoundError(this.path(name));
    return file;
  }

  private path(name: string): string {
    return `${this.label}/${name}`;
  }
}
