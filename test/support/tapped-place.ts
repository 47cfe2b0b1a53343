// A place whose every call can be watched, and stopped: what one process does with it, while others use the place that
// it wraps. A process that is stopped for ever was killed; what it wrote until then is there.

import type { Access, Place, Storage } from "../../bindings/storage/storage.js";

/** Thrown by every call of a killed process. */
export class Killed extends Error {}

export class TappedPlace implements Place {
  readonly label: string;
  /** Called before each call, with its name. */
  onCall: (call: string) => void = () => {};
  /** Calls so far. */
  calls = 0;
  private killed = false;

  constructor(private readonly inner: Place) {
    this.label = inner.label;
  }

  /** From now on every call fails, also on the files that are open. */
  kill(): never {
    this.killed = true;
    throw new Killed("killed");
  }

  open(name: string, access: Access): Storage {
    return new TappedStorage(
      this.tap("open", () => this.inner.open(name, access)),
      this,
    );
  }

  createExclusive(name: string): Storage | null {
    const storage = this.tap("create", () => this.inner.createExclusive(name));
    return storage && new TappedStorage(storage, this);
  }

  link = (from: string, to: string) => this.tap("link", () => this.inner.link(from, to));
  rename = (from: string, to: string) => this.tap("rename", () => this.inner.rename(from, to));
  remove = (name: string) => this.tap("remove", () => this.inner.remove(name));
  list = (prefix: string) => this.tap("list", () => this.inner.list(prefix));
  readFile = (name: string) => this.tap("read file", () => this.inner.readFile(name));
  exists = (name: string) => this.tap("exists", () => this.inner.exists(name));
  flush = () => this.tap("flush directory", () => this.inner.flush());

  tap<T>(call: string, body: () => T): T {
    if (this.killed) throw new Killed("killed");
    this.calls++;
    this.onCall(call);
    return body();
  }
}

class TappedStorage implements Storage {
  constructor(
    private readonly inner: Storage,
    private readonly place: TappedPlace,
  ) {}

  size = () => this.inner.size();
  read = (offset: number, into: Uint8Array) => this.place.tap("read", () => this.inner.read(offset, into));
  write = (offset: number, from: Uint8Array) => this.place.tap("write", () => this.inner.write(offset, from));
  flush = () => this.place.tap("flush", () => this.inner.flush());
  flushAsync = async () => this.place.tap("flush", () => this.inner.flush());
  truncate = (size: number) => this.place.tap("truncate", () => this.inner.truncate(size));
  close = () => this.inner.close();
}
