// A place that tells of every call before it is made, so that a process can be stopped or killed between any two. A flush off
// the thread tells twice: before it is issued and when it is done.

import type { Access, Place, Storage } from "../../bindings/storage/storage.js";

export class WatchedPlace implements Place {
  readonly label: string;

  constructor(
    private readonly inner: Place,
    private readonly before: (call: string) => void,
  ) {
    this.label = inner.label;
  }

  open(name: string, access: Access): Storage {
    this.before(`open ${name} to ${access}`);
    return new WatchedStorage(this.inner.open(name, access), name, this.before);
  }

  createExclusive(name: string): Storage | null {
    this.before(`create ${name}`);
    const storage = this.inner.createExclusive(name);
    return storage && new WatchedStorage(storage, name, this.before);
  }

  link(from: string, to: string): boolean {
    this.before(`link ${from} to ${to}`);
    return this.inner.link(from, to);
  }

  rename(from: string, to: string): void {
    this.before(`rename ${from} to ${to}`);
    this.inner.rename(from, to);
  }

  remove(name: string): boolean {
    this.before(`remove ${name}`);
    return this.inner.remove(name);
  }

  list(prefix: string): string[] {
    this.before(`list ${prefix}`);
    return this.inner.list(prefix);
  }

  readFile(name: string): Uint8Array | null {
    this.before(`read file ${name}`);
    return this.inner.readFile(name);
  }

  exists(name: string): boolean {
    this.before(`look for ${name}`);
    return this.inner.exists(name);
  }

  flush(): void {
    this.before("flush the directory");
    this.inner.flush();
  }
}

class WatchedStorage implements Storage {
  constructor(
    private readonly inner: Storage,
    private readonly name: string,
    private readonly before: (call: string) => void,
  ) {}

  size(): number {
    this.before(`size of ${this.name}`);
    return this.inner.size();
  }

  read(offset: number, into: Uint8Array): number {
    this.before(`read ${this.name} at ${offset}`);
    return this.inner.read(offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    this.before(`write ${this.name} at ${offset}`);
    this.inner.write(offset, from);
  }

  writeParts(offset: number, parts: readonly Uint8Array[]): void {
    this.before(`write ${this.name} at ${offset}`);
    this.inner.writeParts!(offset, parts);
  }

  flush(): void {
    this.before(`flush ${this.name}`);
    this.inner.flush();
  }

  async flushAsync(): Promise<void> {
    this.before(`flush ${this.name} off the thread`);
    await this.inner.flushAsync!();
    this.before(`go on after the flush of ${this.name}`);
  }

  truncate(size: number): void {
    this.before(`truncate ${this.name}`);
    this.inner.truncate(size);
  }

  close(): void {
    this.before(`close ${this.name}`);
    this.inner.close();
  }
}
