// What only the file system of a real machine has: its errors, its short transfers, things that are not files.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { ErrorCode } from "../bindings/base/errors.js";
import { type FileSystem, NodePlace } from "../bindings/storage/node.js";
import type { Storage } from "../bindings/storage/storage.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { bytesOf, contents, create, joined } from "./support/storage-conformance.js";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

/** A system error as `node:fs` throws it. */
function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says, call`), { code });
}

/** The real file system with some calls replaced. */
function fileSystemWith(replaced: Partial<FileSystem>): FileSystem {
  return { ...fs, ...replaced };
}

function fails(code: string): () => never {
  return () => {
    throw systemError(code);
  };
}

function openDescriptors(): number | undefined {
  return process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : undefined;
}

describe("the Node backend", () => {
  let directory: TemporaryDirectory;
  let place: NodePlace;

  beforeEach(() => {
    directory = temporaryDirectory();
    place = new NodePlace(directory.path);
    create(place, "file", 1, 2, 3, 4);
  });

  afterEach(() => directory.remove());

  /** Opens "file" with some system calls replaced. */
  function openWith(replaced: Partial<FileSystem>): Storage {
    return new NodePlace(directory.path, fileSystemWith(replaced)).open("file", "write");
  }

  describe("translates errors", () => {
    const writing: [string, ErrorCode][] = [
      ["ENOSPC", "NO_SPACE"],
      ["EDQUOT", "NO_SPACE"],
      ["EFBIG", "NO_SPACE"],
      ["EROFS", "READ_ONLY"],
      ["EACCES", "READ_ONLY"],
      ["EPERM", "READ_ONLY"],
      ["EIO", "IO"],
      ["ESTALE", "IO"],
    ];
    for (const [code, expected] of writing) {
      it(`${code} while writing is ${expected}`, () => {
        const file = openWith({
          writeSync: fails(code),
          writevSync: fails(code),
          ftruncateSync: fails(code),
          fdatasyncSync: fails(code),
        });
        for (const call of [
          () => file.write(0, bytesOf(9)),
          () => file.writeParts?.(0, [bytesOf(9), bytesOf(9)]),
          () => file.truncate(1),
          () => file.flush(),
        ]) {
          const error = expectCode(expected, call);
          assert.ok(error.message.includes(join(directory.path, "file")), error.message);
          assert.ok(error.message.includes(code), error.message);
          assert.equal((error.cause as NodeJS.ErrnoException).code, code);
        }
        file.close();
      });
    }

    it("of reading and of directories", () => {
      const file = openWith({ readSync: fails("EIO") });
      expectCode("IO", () => file.read(0, new Uint8Array(1)));
      file.close();
      const denied = new NodePlace(directory.path, fileSystemWith({ openSync: fails("EACCES") }));
      expectCode("IO", () => denied.open("file", "read"));
      expectCode("READ_ONLY", () => denied.open("file", "write"));
      expectCode("READ_ONLY", () => denied.createExclusive("new"));
      const failing = new NodePlace(
        directory.path,
        fileSystemWith({
          linkSync: fails("EROFS"),
          renameSync: fails("ENOSPC"),
          unlinkSync: fails("EACCES"),
          readdirSync: fails("EIO"),
          lstatSync: fails("EIO") as unknown as FileSystem["lstatSync"],
        }),
      );
      expectCode("READ_ONLY", () => failing.link("file", "new"));
      expectCode("NO_SPACE", () => failing.rename("file", "new"));
      expectCode("READ_ONLY", () => failing.remove("file"));
      expectCode("IO", () => failing.list(""));
      expectCode("IO", () => failing.exists("file"));
      const linkless = new NodePlace(directory.path, fileSystemWith({ linkSync: fails("EPERM") }));
      expectCode("UNSUPPORTED", () => linkless.link("file", "new"));
    });

    it("of a directory that cannot be flushed, where that is no fault of the device", () => {
      for (const code of ["EINVAL", "EPERM", "EISDIR"]) {
        new NodePlace(directory.path, fileSystemWith({ fsyncSync: fails(code) })).flush();
        new NodePlace(directory.path, fileSystemWith({ openSync: fails(code) })).flush();
      }
      const broken = new NodePlace(directory.path, fileSystemWith({ fsyncSync: fails("EIO") }));
      expectCode("IO", () => broken.flush());
    });

    it("of a directory that is not there, or is a file", () => {
      const missing = new NodePlace(join(directory.path, "missing"));
      expectCode("NOT_FOUND", () => missing.open("a", "write"));
      expectCode("NOT_FOUND", () => missing.createExclusive("a"));
      expectCode("NOT_FOUND", () => missing.list(""));
      assert.equal(missing.readFile("a"), null);
      const file = new NodePlace(join(directory.path, "file"));
      expectCode("INVALID_ARGUMENT", () => file.open("a", "read"));
      expectCode("INVALID_ARGUMENT", () => file.createExclusive("a"));
      expectCode("INVALID_ARGUMENT", () => file.list(""));
      expectCode("INVALID_ARGUMENT", () => place.open("long".repeat(1000), "read"));
    });

    it("of a position beyond what the file system can hold", function () {
      const file = place.open("file", "write");
      try {
        file.write(2 ** 53 - 4096, bytesOf(1));
        this.skip(); // This file system has no limit below 2⁵³.
      } catch (error) {
        assert.equal((error as { code?: string }).code, "NO_SPACE");
      } finally {
        file.close();
      }
    });
  });

  describe("completes what the system does in part", () => {
    it("goes on after short reads", () => {
      const file = openWith({
        readSync: ((fd: number, into: Uint8Array, start: number, length: number, position: number) =>
          fs.readSync(fd, into, start, Math.min(length, 3), position)) as FileSystem["readSync"],
      });
      const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
      file.write(0, bytes);
      assert.deepEqual(contents(file), bytes);
      assert.equal(file.read(90, new Uint8Array(50)), 10);
      file.close();
    });

    it("goes on after short writes", () => {
      const file = openWith({
        writeSync: ((fd: number, from: Uint8Array, start: number, length: number, position: number) =>
          fs.writeSync(fd, from, start, Math.min(length, 3), position)) as FileSystem["writeSync"],
      });
      const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
      file.write(2, bytes);
      assert.deepEqual(contents(file), joined([bytesOf(1, 2), bytes]));
      file.close();
    });

    it("goes on after short writes of parts, wherever they end", () => {
      for (let most = 1; most < 40; most++) {
        let calls = 0;
        const file = openWith({
          writevSync: ((fd: number, parts: Uint8Array[], position: number) => {
            calls++;
            assert.ok(parts.length <= 1024);
            return fs.writeSync(fd, joined(parts).subarray(0, most), 0, undefined, position);
          }) as FileSystem["writevSync"],
        });
        const parts = [5, 1, 0, 7, 16, 3].map((length, i) => new Uint8Array(length).fill(i + 1));
        file.truncate(0);
        file.writeParts?.(3, parts);
        assert.deepEqual(contents(file), joined([new Uint8Array(3), ...parts]));
        assert.ok(calls > 0);
        file.close();
      }
    });

    it("hands the system at most 1024 parts at once", () => {
      const counts: number[] = [];
      const file = openWith({
        writevSync: ((fd: number, parts: Uint8Array[], position: number) => {
          counts.push(parts.length);
          return fs.writevSync(fd, parts, position);
        }) as FileSystem["writevSync"],
      });
      const parts = Array.from({ length: 2500 }, (_, i) => bytesOf(i & 255, i >> 8));
      file.writeParts?.(0, parts);
      assert.deepEqual(counts, [1024, 1024, 452]);
      assert.deepEqual(contents(file), joined(parts));
      file.close();
    });

    it("makes interrupted calls again, but not for ever", () => {
      let interruptions = 0;
      const sometimes = <F extends (...args: never[]) => unknown>(call: F): F =>
        ((...args: never[]) => {
          if (interruptions++ % 3 < 2) throw systemError(interruptions % 2 === 0 ? "EINTR" : "EAGAIN");
          return call(...args);
        }) as F;
      const file = openWith({
        readSync: sometimes(fs.readSync) as FileSystem["readSync"],
        writeSync: sometimes(fs.writeSync) as FileSystem["writeSync"],
        writevSync: sometimes(fs.writevSync) as FileSystem["writevSync"],
      });
      file.write(0, bytesOf(5));
      file.writeParts?.(1, [bytesOf(6), bytesOf(7)]);
      assert.deepEqual(contents(file), bytesOf(5, 6, 7, 4));
      file.close();
      const stuck = openWith({ writeSync: fails("EINTR"), readSync: fails("EAGAIN") });
      expectCode("IO", () => stuck.write(0, bytesOf(1)));
      expectCode("IO", () => stuck.read(0, new Uint8Array(1)));
      stuck.close();
    });

    it("takes a write of zero bytes for an error", () => {
      const file = openWith({
        writeSync: (() => 0) as FileSystem["writeSync"],
        writevSync: () => 0,
      });
      expectCode("IO", () => file.write(0, bytesOf(1)));
      expectCode("IO", () => file.writeParts?.(0, [bytesOf(1), bytesOf(2)]));
      file.close();
    });

    it("never flushes a second time after a failure", () => {
      let calls = 0;
      const file = openWith({
        fdatasyncSync: () => {
          calls++;
          throw systemError("EINTR");
        },
      });
      expectCode("IO", () => file.flush());
      assert.equal(calls, 1);
      file.close();
    });
  });

  describe("refuses what is not a regular file", () => {
    function refused(name: string): void {
      expectCode("INVALID_ARGUMENT", () => place.open(name, "read"));
      expectCode("INVALID_ARGUMENT", () => place.open(name, "write"));
      expectCode("INVALID_ARGUMENT", () => place.readFile(name));
      assert.equal(place.createExclusive(name), null);
      assert.equal(place.exists(name), true);
    }

    it("a directory", () => {
      fs.mkdirSync(join(directory.path, "directory"));
      refused("directory");
    });

    it("a pipe, without waiting for its other end", function () {
      if (process.platform === "win32") return this.skip();
      execFileSync("mkfifo", [join(directory.path, "pipe")]);
      refused("pipe");
    });

    it("a device", function () {
      if (!fs.existsSync("/dev/null")) return this.skip();
      fs.symlinkSync("/dev/null", join(directory.path, "device"));
      refused("device");
    });

    it("a socket", async function () {
      if (process.platform === "win32") return this.skip();
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(join(directory.path, "socket"), resolve));
      try {
        refused("socket");
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });
  });

  describe("flushes off the thread", () => {
    it("through a description of its own", async () => {
      const opened: number[] = [];
      const flushed: number[] = [];
      const file = openWith({
        openSync: ((...args: Parameters<typeof fs.openSync>) => {
          opened.push(fs.openSync(...args));
          return opened.at(-1);
        }) as FileSystem["openSync"],
        fdatasyncSync: (descriptor) => {
          flushed.push(descriptor);
          fs.fdatasyncSync(descriptor);
        },
        fdatasync: ((descriptor: number, done: fs.NoParamCallback) => {
          flushed.push(descriptor);
          fs.fdatasync(descriptor, done);
        }) as FileSystem["fdatasync"],
      });
      assert.equal(opened.length, 2);
      file.write(0, bytesOf(1));
      file.flush();
      await file.flushAsync?.();
      assert.deepEqual(flushed, opened);
      file.close();
    });

    it("and reports its errors", async () => {
      const file = openWith({
        fdatasync: ((_: number, done: fs.NoParamCallback) =>
          setImmediate(() => done(systemError("EIO")))) as unknown as FileSystem["fdatasync"],
      });
      await expectCodeAsync("IO", file.flushAsync?.() ?? Promise.resolve());
      file.close();
    });

    it("what was written at length, before anybody asks, and not what is little", async function () {
      if (process.platform !== "linux") this.skip();
      let begun = 0;
      const file = openWith({
        fdatasync: ((descriptor: number, done: fs.NoParamCallback) => {
          begun++;
          fs.fdatasync(descriptor, done);
        }) as FileSystem["fdatasync"],
      });
      for (let i = 0; i < 1000; i++) {
        file.write(0, new Uint8Array(4096));
        file.flush();
      }
      assert.equal(begun, 0);
      file.write(0, new Uint8Array(2 ** 26));
      assert.ok(begun >= 3 && begun <= 8, `${begun} flushes of 64 MiB`);
      await file.flushAsync?.();
      file.close();
    });

    it("and lets no error of these go unreported", async function () {
      if (process.platform !== "linux") this.skip();
      for (const flush of [(file: Storage) => file.flush(), (file: Storage) => file.flushAsync?.()]) {
        let begun = 0;
        const file = openWith({
          fdatasync: ((descriptor: number, done: fs.NoParamCallback) =>
            begun++ === 0
              ? setImmediate(() => done(systemError("EIO")))
              : fs.fdatasync(descriptor, done)) as FileSystem["fdatasync"],
        });
        file.write(0, new Uint8Array(2 ** 21));
        await new Promise((resolve) => setTimeout(resolve, 20));
        for (let again = 0; again < 2; again++) await expectCodeAsync("IO", (async () => flush(file))());
        file.close();
      }
    });

    it("and keeps the descriptor until the last flush has ended", async () => {
      const before = openDescriptors();
      const callbacks: fs.NoParamCallback[] = [];
      const closed: number[] = [];
      const file = openWith({
        fdatasync: ((_: number, done: fs.NoParamCallback) =>
          callbacks.push(done)) as unknown as FileSystem["fdatasync"],
        closeSync: (descriptor) => {
          closed.push(descriptor);
          fs.closeSync(descriptor);
        },
      });
      const flushes = [file.flushAsync?.(), file.flushAsync?.()];
      file.close();
      file.close();
      assert.equal(closed.length, 1);
      callbacks[1]?.(null);
      await flushes[1];
      assert.equal(closed.length, 1);
      callbacks[0]?.(systemError("EIO"));
      await expectCodeAsync("IO", flushes[0] ?? Promise.resolve());
      assert.equal(closed.length, 2);
      assert.notEqual(closed[0], closed[1]);
      assert.equal(openDescriptors(), before);
    });

    it("of the file it opened, although the name moved on between the two opens", async () => {
      create(place, "successor", 9);
      const before = openDescriptors();
      let opens = 0;
      const file = openWith({
        openSync: ((...args: Parameters<typeof fs.openSync>) => {
          if (++opens === 2) fs.renameSync(join(directory.path, "successor"), join(directory.path, "file"));
          return fs.openSync(...args);
        }) as FileSystem["openSync"],
      });
      assert.equal(opens, 4);
      assert.deepEqual(contents(file), bytesOf(9));
      await file.flushAsync?.();
      file.close();
      assert.equal(openDescriptors(), before);
    });

    it("of a created file whose name was removed at once", async () => {
      const before = openDescriptors();
      let opens = 0;
      const racing = new NodePlace(
        directory.path,
        fileSystemWith({
          openSync: ((...args: Parameters<typeof fs.openSync>) => {
            if (++opens === 2) fs.unlinkSync(join(directory.path, "new"));
            return fs.openSync(...args);
          }) as FileSystem["openSync"],
        }),
      );
      const file = racing.createExclusive("new");
      assert.ok(file);
      file.write(0, bytesOf(1));
      file.flush();
      const flush = file.flushAsync?.();
      file.close();
      await flush;
      assert.equal(openDescriptors(), before);
    });

    it("and leaves nothing behind when the second open fails", () => {
      const before = openDescriptors();
      let opens = 0;
      const poor = new NodePlace(
        directory.path,
        fileSystemWith({
          openSync: ((...args: Parameters<typeof fs.openSync>) => {
            if (++opens % 2 === 0) throw systemError("EMFILE");
            return fs.openSync(...args);
          }) as FileSystem["openSync"],
        }),
      );
      expectCode("IO", () => poor.createExclusive("new"));
      expectCode("IO", () => poor.open("file", "write"));
      assert.deepEqual(place.list(""), ["file"]);
      assert.equal(openDescriptors(), before);
    });
  });

  it("closes every descriptor", () => {
    const before = openDescriptors();
    for (let i = 0; i < 10; i++) {
      place.open("file", "read").close();
      place.open("file", "write").close();
      place.createExclusive(`new-${i}`)?.close();
      assert.equal(place.createExclusive("file"), null);
      place.readFile("file");
      place.readFile("missing");
      place.flush();
    }
    assert.equal(openDescriptors(), before);
  });

  describe("finds the place of a path", () => {
    it("with links followed, whether the file exists or not", () => {
      fs.mkdirSync(join(directory.path, "inner"));
      fs.symlinkSync("inner", join(directory.path, "linked"));
      fs.symlinkSync("../file", join(directory.path, "inner", "alias"));
      for (const [path, label, name] of [
        ["file", "", "file"],
        ["inner/new", "inner", "new"],
        ["linked/new", "inner", "new"],
        ["linked/alias", "", "file"],
      ] as const) {
        const found = NodePlace.locate(join(directory.path, path));
        assert.equal(found.place.label, join(directory.path, label));
        assert.equal(found.name, name);
      }
    });

    it("or says why not", () => {
      fs.symlinkSync("nowhere", join(directory.path, "dangling"));
      expectCode("NOT_FOUND", () => NodePlace.locate(join(directory.path, "dangling")));
      expectCode("NOT_FOUND", () => NodePlace.locate(join(directory.path, "missing", "file")));
      expectCode("INVALID_ARGUMENT", () => NodePlace.locate(join(directory.path, "file", "inside")));
      expectCode("INVALID_ARGUMENT", () => NodePlace.locate("/"));
      expectCode("INVALID_ARGUMENT", () => NodePlace.locate(""));
    });
  });

  describe("on a small file system of its own", () => {
    let mounted: string | undefined;

    beforeEach(() => {
      const path = join(directory.path, "mount");
      fs.mkdirSync(path);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path], { stdio: "ignore" });
        mounted = path;
      } catch {
        mounted = undefined; // Only root may mount, and not everywhere.
      }
    });

    afterEach(() => {
      if (mounted !== undefined) execFileSync("umount", [mounted]);
      mounted = undefined;
    });

    it("reports a full device, and writes again when there is room", function () {
      if (mounted === undefined) return this.skip();
      const small = new NodePlace(mounted);
      create(small, "other", ...new Array(8192).fill(1));
      const file = small.createExclusive("file");
      assert.ok(file);
      expectCode("NO_SPACE", () => file.write(0, new Uint8Array(100_000).fill(7)));
      expectCode("NO_SPACE", () => file.writeParts?.(0, [new Uint8Array(60_000), new Uint8Array(60_000)]));
      small.remove("other");
      file.truncate(0);
      file.write(0, new Uint8Array(50_000).fill(7));
      file.flush();
      assert.equal(file.size(), 50_000);
      file.close();
    });

    it("reads where it may not write", function () {
      if (mounted === undefined) return this.skip();
      const small = new NodePlace(mounted);
      create(small, "file", 1, 2);
      execFileSync("mount", ["-o", "remount,ro", mounted]);
      const file = small.open("file", "read");
      assert.deepEqual(contents(file), bytesOf(1, 2));
      file.close();
      assert.deepEqual(small.readFile("file"), bytesOf(1, 2));
      assert.deepEqual(small.list(""), ["file"]);
      expectCode("READ_ONLY", () => small.open("file", "write"));
      expectCode("READ_ONLY", () => small.createExclusive("new"));
      expectCode("READ_ONLY", () => small.link("file", "new"));
      expectCode("READ_ONLY", () => small.rename("file", "new"));
      expectCode("READ_ONLY", () => small.remove("file"));
    });
  });

  describe("without permission", () => {
    it("says that it may only read", function () {
      if (process.getuid === undefined || process.getuid() === 0) return this.skip(); // root may do anything
      fs.chmodSync(join(directory.path, "file"), 0o444);
      fs.chmodSync(directory.path, 0o555);
      try {
        const file = place.open("file", "read");
        assert.deepEqual(contents(file), bytesOf(1, 2, 3, 4));
        file.close();
        expectCode("READ_ONLY", () => place.open("file", "write"));
        expectCode("READ_ONLY", () => place.createExclusive("new"));
      } finally {
        fs.chmodSync(directory.path, 0o755);
      }
    });
  });
});
