// The rules of bindings/storage/storage.ts as tests. Every backend runs all of them.

import assert from "node:assert/strict";
import type { Access, Place, Storage } from "../../bindings/storage/storage.js";
import { expectCode, expectCodeAsync } from "./expect-code.js";
import { type Random, withSeed } from "./random.js";

export interface StorageSubject {
  /** Empty and open for writing. */
  storage: Storage;
  dispose?(): void;
}

export interface PlaceSubject {
  /** Empty. */
  place: Place;
  dispose?(): void;
}

export interface StorageOptions {
  /** The backend holds files of many GiB when most of their bytes were never written. */
  sparse?: boolean;
}

export function describeStorage(
  name: string,
  factory: () => StorageSubject,
  options: StorageOptions = {},
): void {
  describe(`${name} as a storage`, () => {
    let subject: StorageSubject;
    let storage: Storage;

    beforeEach(() => {
      subject = factory();
      storage = subject.storage;
    });

    afterEach(() => {
      storage.close();
      subject.dispose?.();
    });

    it("is empty at first", () => {
      assert.equal(storage.size(), 0);
      assert.equal(storage.read(0, new Uint8Array(10)), 0);
    });

    it("reads back what was written, and leaves the rest of the target alone", () => {
      storage.write(0, bytesOf(1, 2, 3, 4, 5));
      assert.equal(storage.size(), 5);
      const into = bytesOf(9, 9, 9, 9);
      assert.equal(storage.read(1, into.subarray(1, 3)), 2);
      assert.deepEqual(into, bytesOf(9, 2, 3, 9));
    });

    it("reads fewer bytes than asked only at the end", () => {
      storage.write(0, new Uint8Array(100).fill(7));
      assert.equal(storage.read(90, new Uint8Array(20)), 10);
      assert.equal(storage.read(100, new Uint8Array(20)), 0);
      assert.equal(storage.read(5000, new Uint8Array(20)), 0);
      assert.equal(storage.read(80, new Uint8Array(20)), 20);
      assert.equal(storage.read(80, new Uint8Array(0)), 0);
    });

    it("overwrites in place", () => {
      storage.write(0, new Uint8Array(10).fill(1));
      storage.write(3, new Uint8Array(4).fill(2));
      assert.deepEqual(contents(storage), bytesOf(1, 1, 1, 2, 2, 2, 2, 1, 1, 1));
    });

    it("fills a gap past the end with zeros", () => {
      storage.write(0, bytesOf(1));
      storage.write(10_000, bytesOf(2));
      const expected = new Uint8Array(10_001);
      expected[0] = 1;
      expected[10_000] = 2;
      assert.deepEqual(contents(storage), expected);
    });

    it("changes nothing by writing no bytes", () => {
      storage.write(10, new Uint8Array(0));
      assert.equal(storage.size(), 0);
    });

    it("keeps no reference to what it was given", () => {
      const from = bytesOf(1, 2, 3);
      storage.write(0, from);
      from.fill(9);
      assert.deepEqual(contents(storage), bytesOf(1, 2, 3));
      const into = new Uint8Array(3);
      storage.read(0, into);
      into.fill(9);
      assert.deepEqual(contents(storage), bytesOf(1, 2, 3));
    });

    it("writes parts as if they were joined", () => {
      if (storage.writeParts === undefined) return;
      storage.writeParts(2, [bytesOf(1, 2), new Uint8Array(0), bytesOf(3), bytesOf(4, 5, 6)]);
      assert.deepEqual(contents(storage), bytesOf(0, 0, 1, 2, 3, 4, 5, 6));
      storage.writeParts(0, [bytesOf(7)]);
      storage.writeParts(100, []);
      storage.writeParts(100, [new Uint8Array(0)]);
      assert.deepEqual(contents(storage), bytesOf(7, 0, 1, 2, 3, 4, 5, 6));
    });

    it("writes many parts at once", () => {
      if (storage.writeParts === undefined) return;
      const parts = Array.from({ length: 5000 }, (_, i) => new Uint8Array(i % 7).fill(i));
      storage.writeParts(1, parts);
      assert.deepEqual(contents(storage), joined([new Uint8Array(1), ...parts]));
    });

    it("cuts, and shows zeros where it grows again", () => {
      storage.write(0, new Uint8Array(6000).fill(1));
      storage.truncate(10);
      assert.equal(storage.size(), 10);
      storage.truncate(5000);
      const expected = new Uint8Array(5000);
      expected.fill(1, 0, 10);
      assert.deepEqual(contents(storage), expected);
      storage.truncate(0);
      storage.write(100, bytesOf(2));
      assert.deepEqual(contents(storage), joined([new Uint8Array(100), bytesOf(2)]));
    });

    it("takes every write of bytes inside a larger buffer", () => {
      const whole = bytesOf(0, 1, 2, 3, 4, 5);
      storage.write(0, whole.subarray(2, 4));
      assert.deepEqual(contents(storage), bytesOf(2, 3));
    });

    it("flushes, also when there is nothing to flush", async () => {
      storage.flush();
      storage.write(0, bytesOf(1));
      storage.flush();
      storage.flush();
      await storage.flushAsync?.();
      assert.deepEqual(contents(storage), bytesOf(1));
    });

    it("flushes off the thread while writing goes on, and while it is closed", async () => {
      if (storage.flushAsync === undefined) return;
      storage.write(0, new Uint8Array(100_000).fill(1));
      const first = storage.flushAsync();
      storage.write(100_000, bytesOf(2));
      const second = storage.flushAsync();
      storage.close();
      await Promise.all([first, second]);
    });

    it("refuses offsets that are no positions", () => {
      storage.write(0, bytesOf(1));
      for (const offset of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
        expectCode("INVALID_ARGUMENT", () => storage.read(offset, new Uint8Array(1)));
        expectCode("INVALID_ARGUMENT", () => storage.write(offset, new Uint8Array(1)));
        if (storage.writeParts !== undefined) {
          expectCode("INVALID_ARGUMENT", () => storage.writeParts?.(offset, [new Uint8Array(1)]));
        }
        expectCode("INVALID_ARGUMENT", () => storage.truncate(offset));
      }
      assert.deepEqual(contents(storage), bytesOf(1));
    });

    it("is CLOSED after close, which may be repeated", async () => {
      storage.close();
      storage.close();
      expectCode("CLOSED", () => storage.size());
      expectCode("CLOSED", () => storage.read(0, new Uint8Array(1)));
      expectCode("CLOSED", () => storage.write(0, new Uint8Array(1)));
      expectCode("CLOSED", () => storage.truncate(0));
      expectCode("CLOSED", () => storage.flush());
      if (storage.writeParts !== undefined) {
        expectCode("CLOSED", () => storage.writeParts?.(0, [new Uint8Array(1)]));
      }
      if (storage.flushAsync !== undefined) await expectCodeAsync("CLOSED", storage.flushAsync());
    });

    it("behaves as an array of bytes under random operations", () => {
      withSeed(`${name} as an array of bytes`, (random) => compareWithArray(storage, random, 400));
    });

    if (options.sparse === true) {
      it("reaches beyond 2³¹, 2³² and many GiB", () => {
        for (const offset of [2 ** 31 - 3, 2 ** 32 - 3, 2 ** 35 + 1]) {
          storage.write(offset, bytesOf(1, 2, 3, 4, 5, 6));
          assert.equal(storage.size(), offset + 6);
          storage.writeParts?.(offset + 6, [bytesOf(7), bytesOf(8)]);
          const into = new Uint8Array(10).fill(9);
          assert.equal(storage.read(offset - 1, into), storage.writeParts === undefined ? 7 : 9);
          assert.deepEqual(into.subarray(0, 7), bytesOf(0, 1, 2, 3, 4, 5, 6));
        }
        const into = new Uint8Array(5).fill(9);
        assert.equal(storage.read(2 ** 33, into), 5);
        assert.deepEqual(into, new Uint8Array(5));
        storage.truncate(2 ** 32 + 1);
        assert.equal(storage.size(), 2 ** 32 + 1);
        assert.equal(storage.read(2 ** 32 - 3, into), 4);
        assert.deepEqual(into.subarray(0, 4), bytesOf(1, 2, 3, 4));
      });
    }
  });
}

export function describePlace(name: string, factory: () => PlaceSubject): void {
  describe(`${name} as a place`, () => {
    let subject: PlaceSubject;
    let place: Place;

    beforeEach(() => {
      subject = factory();
      place = subject.place;
    });

    afterEach(() => subject.dispose?.());

    it("has a label and is empty at first", () => {
      assert.notEqual(place.label, "");
      assert.deepEqual(place.list(""), []);
      assert.equal(place.exists("a"), false);
      assert.equal(place.readFile("a"), null);
      assert.equal(place.remove("a"), false);
      expectCode("NOT_FOUND", () => place.open("a", "read"));
      expectCode("NOT_FOUND", () => place.open("a", "write"));
      assert.deepEqual(place.list(""), []);
    });

    it("creates a file once", () => {
      const file = place.createExclusive("a");
      assert.ok(file);
      file.write(0, bytesOf(1, 2));
      assert.equal(place.createExclusive("a"), null);
      file.write(2, bytesOf(3));
      file.close();
      assert.equal(place.createExclusive("a"), null);
      assert.deepEqual(place.readFile("a"), bytesOf(1, 2, 3));
      assert.equal(place.exists("a"), true);
      place.flush();
    });

    it("shows the writes of one handle to all others", () => {
      create(place, "a", 1, 2, 3);
      const writer = place.open("a", "write");
      const reader = place.open("a", "read");
      writer.write(1, bytesOf(9));
      assert.deepEqual(contents(reader), bytesOf(1, 9, 3));
      writer.truncate(1);
      assert.equal(reader.size(), 1);
      writer.close();
      assert.equal(reader.size(), 1);
      reader.close();
    });

    it("refuses to change a file that was opened for reading", async () => {
      create(place, "a", 1, 2, 3);
      const file = place.open("a", "read");
      expectCode("READ_ONLY", () => file.write(0, bytesOf(9)));
      expectCode("READ_ONLY", () => file.truncate(0));
      if (file.writeParts !== undefined) {
        expectCode("READ_ONLY", () => file.writeParts?.(0, [bytesOf(9)]));
      }
      file.flush();
      await file.flushAsync?.();
      assert.deepEqual(contents(file), bytesOf(1, 2, 3));
      file.close();
    });

    it("gives a file a second name", () => {
      create(place, "a", 1);
      create(place, "other", 2);
      assert.equal(place.link("a", "b"), true);
      assert.equal(place.link("a", "b"), false);
      assert.equal(place.link("a", "other"), false);
      assert.equal(place.link("a", "a"), false);
      expectCode("NOT_FOUND", () => place.link("gone", "c"));
      overwrite(place, "a", 7);
      assert.deepEqual(place.readFile("b"), bytesOf(7));
      assert.equal(place.remove("a"), true);
      assert.deepEqual(place.readFile("b"), bytesOf(7));
      assert.deepEqual(place.readFile("other"), bytesOf(2));
      assert.deepEqual(place.list(""), ["b", "other"]);
    });

    it("renames, and replaces", () => {
      create(place, "a", 1);
      create(place, "b", 2);
      place.rename("a", "b");
      assert.deepEqual(place.list(""), ["b"]);
      assert.deepEqual(place.readFile("b"), bytesOf(1));
      place.rename("b", "c");
      assert.deepEqual(place.list(""), ["c"]);
      expectCode("NOT_FOUND", () => place.rename("b", "c"));
      assert.deepEqual(place.readFile("c"), bytesOf(1));
      place.rename("c", "c");
      assert.deepEqual(place.readFile("c"), bytesOf(1));
    });

    it("keeps both names when one is renamed to the other and they are the same file", () => {
      create(place, "a", 1);
      place.link("a", "b");
      place.rename("a", "b");
      assert.deepEqual(place.list(""), ["a", "b"]);
    });

    for (const access of ["read", "write"] satisfies Access[]) {
      it(`lets a handle keep its file when the name is renamed over or removed (${access})`, () => {
        create(place, "old", 1);
        create(place, "new", 2);
        const handle = place.open("old", access);
        place.rename("new", "old");
        assert.deepEqual(contents(handle), bytesOf(1));
        assert.deepEqual(place.readFile("old"), bytesOf(2));
        const second = place.open("old", access);
        assert.equal(place.remove("old"), true);
        assert.deepEqual(contents(second), bytesOf(2));
        if (access === "write") {
          handle.write(0, bytesOf(8));
          handle.flush();
          assert.deepEqual(contents(handle), bytesOf(8));
          assert.deepEqual(contents(second), bytesOf(2));
        }
        const fresh = place.createExclusive("old");
        assert.ok(fresh);
        assert.equal(fresh.size(), 0);
        for (const file of [handle, second, fresh]) file.close();
      });
    }

    it("lists the names with a prefix in order", () => {
      for (const file of ["state.lock-10", "state", "state.lock-9", "other", "state.pin-é", "state.lock"]) {
        create(place, file);
      }
      assert.deepEqual(place.list("state.lock-"), ["state.lock-10", "state.lock-9"]);
      assert.deepEqual(place.list("state"), [
        "state",
        "state.lock",
        "state.lock-10",
        "state.lock-9",
        "state.pin-é",
      ]);
      assert.deepEqual(place.list("x"), []);
      assert.equal(place.list("").length, 6);
    });

    it("reads a whole file as a copy", () => {
      create(place, "a", 1, 2);
      create(place, "empty");
      const copy = place.readFile("a");
      assert.deepEqual(copy, bytesOf(1, 2));
      copy?.fill(9);
      assert.deepEqual(place.readFile("a"), bytesOf(1, 2));
      assert.deepEqual(place.readFile("empty"), new Uint8Array(0));
    });

    it("refuses names that lead elsewhere", () => {
      create(place, "a", 1);
      for (const bad of ["", ".", "..", "../a", "b/c", "b\\c", "a\0"]) {
        expectCode("INVALID_ARGUMENT", () => place.open(bad, "read"));
        expectCode("INVALID_ARGUMENT", () => place.createExclusive(bad));
        expectCode("INVALID_ARGUMENT", () => place.link(bad, "c"));
        expectCode("INVALID_ARGUMENT", () => place.link("a", bad));
        expectCode("INVALID_ARGUMENT", () => place.rename(bad, "c"));
        expectCode("INVALID_ARGUMENT", () => place.rename("a", bad));
        expectCode("INVALID_ARGUMENT", () => place.remove(bad));
        expectCode("INVALID_ARGUMENT", () => place.readFile(bad));
        expectCode("INVALID_ARGUMENT", () => place.exists(bad));
      }
      assert.deepEqual(place.list(""), ["a"]);
    });

    it("is told of its labels in messages", () => {
      const error = expectCode("NOT_FOUND", () => place.open("missing", "read"));
      assert.ok(error.message.includes("missing"), error.message);
      assert.ok(error.message.includes(place.label), error.message);
    });
  });
}

/** Random writes, cuts and reads, each compared with a plain array. */
function compareWithArray(storage: Storage, random: Random, steps: number): void {
  const limit = 40_000;
  const model = new Uint8Array(limit);
  let size = 0;
  for (let step = 0; step < steps; step++) {
    const offset = random.below(random.oneIn(4) ? limit / 2 : Math.min(size + 600, limit / 2));
    const length = random.below(random.oneIn(8) ? 10_000 : 1000);
    switch (random.below(5)) {
      case 0:
      case 1: {
        const parts = [
          random.bytes(length),
          random.bytes(random.below(50)),
          random.bytes(random.below(5000)),
        ];
        const bytes =
          random.oneIn(2) || storage.writeParts === undefined ? (parts[0] as Uint8Array) : joined(parts);
        if (bytes === parts[0]) storage.write(offset, bytes);
        else storage.writeParts?.(offset, parts);
        model.set(bytes, offset);
        if (bytes.length > 0) size = Math.max(size, offset + bytes.length);
        break;
      }
      case 2: {
        if (!random.oneIn(6)) break;
        storage.truncate(offset);
        model.fill(0, offset);
        size = offset;
        break;
      }
      default: {
        const into = new Uint8Array(length);
        const count = storage.read(offset, into);
        const expected = model.subarray(offset, Math.max(offset, Math.min(offset + length, size)));
        assert.equal(count, expected.length);
        assert.deepEqual(into.subarray(0, count), expected.slice());
      }
    }
    assert.equal(storage.size(), size);
  }
  assert.deepEqual(contents(storage), model.slice(0, size));
}

export function bytesOf(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** The whole file. */
export function contents(storage: Storage): Uint8Array {
  const bytes = new Uint8Array(storage.size());
  assert.equal(storage.read(0, bytes), bytes.length);
  return bytes;
}

export function create(place: Place, name: string, ...values: number[]): void {
  const file = place.createExclusive(name);
  assert.ok(file, `${name} exists already`);
  file.write(0, bytesOf(...values));
  file.close();
}

function overwrite(place: Place, name: string, ...values: number[]): void {
  const file = place.open(name, "write");
  file.write(0, bytesOf(...values));
  file.close();
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}
