// The first mistakes one makes with a path: each gets a coded error that says what to do, and leaves the file, and the directory around it, byte for byte
// as they were.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ErrorCode } from "../bindings/base/errors.js";
import { openSync } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

/** Names and contents of a directory. */
function contents(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    found.set(name, statSync(path).isDirectory() ? "directory" : readFileSync(path, "latin1"));
  }
  return found;
}

describe("bad input", () => {
  let directory: TemporaryDirectory;
  let path: string;
  let good: Buffer;

  beforeEach(() => {
    directory = temporaryDirectory();
    path = join(directory.path, "app.state");
    const memory = openSync(path);
    memory.root("counter", () => memory.alloc(8)).u64 = 5n;
    memory.commit();
    memory.close();
    good = readFileSync(path);
  });
  afterEach(() => directory.remove());

  /** Both ways of opening refuse with the code, the message matches, and nothing has changed. */
  function refuses(code: ErrorCode, message: RegExp, options: { readOnlyToo?: boolean } = {}): void {
    const before = contents(directory.path);
    assert.match(expectCode(code, () => openSync(path)).message, message);
    if (options.readOnlyToo !== false)
      assert.match(expectCode(code, () => openSync(path, { readOnly: true })).message, message);
    assert.deepEqual(contents(directory.path), before);
  }

  it("a file of something else", () => {
    writeFileSync(path, "a,b,c\n1,2,3\n".repeat(2000));
    refuses("CORRUPT", /not a perdure state file|no superblock|superblock/i);
  });

  it("an empty file", () => {
    writeFileSync(path, "");
    refuses("CORRUPT", /not a perdure state file/);
  });

  it("a file that was cut short, at every slot", () => {
    for (let slots = 0; slots < good.length / 4096; slots += 1 + (slots >> 2)) {
      writeFileSync(path, good.subarray(0, slots * 4096));
      const before = contents(directory.path);
      try {
        openSync(path, { readOnly: true }).close();
      } catch {
        expectCode("CORRUPT", () => openSync(path));
      }
      assert.deepEqual(contents(directory.path), before, `${slots} slots`);
    }
  });

  it("a file whose superblocks are damaged", () => {
    const damaged = Buffer.from(good);
    damaged[100] ^= 1;
    damaged[4096 + 100] ^= 1;
    writeFileSync(path, damaged);
    refuses("CORRUPT", /superblock/i);
  });

  it("a file of a newer format", async () => {
    const { WasmHasher } = await import("../bindings/hash/wasm-hasher.js");
    const hasher = WasmHasher.create();
    const newer = Buffer.from(good);
    for (const slot of [0, 1]) {
      const bytes = new Uint8Array(newer.buffer, newer.byteOffset + 4096 * slot, 4096);
      const view = new DataView(bytes.buffer, bytes.byteOffset, 4096);
      view.setUint16(8, 2, true);
      view.setBigUint64(16, 0n, true);
      const digest = new DataView(new ArrayBuffer(8));
      hasher.digest(bytes, digest, 0);
      view.setBigUint64(16, digest.getBigUint64(0, true), true);
    }
    writeFileSync(path, newer);
    refuses("VERSION", /newer|upgrade|format/i);
  });

  it("a directory", () => {
    path = join(directory.path, "folder");
    mkdirSync(path);
    refuses("INVALID_ARGUMENT", /not a regular file|a directory/);
  });

  it("a directory that is not there", () => {
    path = join(directory.path, "missing", "app.state");
    refuses("NOT_FOUND", /missing/);
  });

  it("a file that is not there, when it must not be created", () => {
    path = join(directory.path, "other.state");
    const before = contents(directory.path);
    assert.match(expectCode("NOT_FOUND", () => openSync(path, { create: false })).message, /other\.state/);
    assert.match(expectCode("NOT_FOUND", () => openSync(path, { readOnly: true })).message, /other\.state/);
    assert.deepEqual(contents(directory.path), before);
  });

  it("no path at all", () => {
    for (const wrong of ["", undefined, null, 7, {}])
      expectCode("INVALID_ARGUMENT", () => openSync(wrong as unknown as string));
  });

  it("a second writer, here and in another process", async () => {
    const memory = openSync(path);
    refuses("LOCKED", /this process|close/, { readOnlyToo: false });
    memory.close();
    const script = `
      import { openSync } from ${JSON.stringify(new URL("../bindings/index.js", import.meta.url).href)};
      const memory = openSync(${JSON.stringify(path)});
      process.stdout.write("open");
      process.stdin.once("data", () => { memory.close(); process.exit(0); });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    refuses("LOCKED", new RegExp(`\\b${child.pid}\\b`), { readOnlyToo: false });
    const reader = openSync(path, { readOnly: true });
    assert.equal(reader.roots.get("counter")?.u64, 5n);
    reader.close();
    child.stdin.write("go\n");
    await new Promise((resolve) => child.once("exit", resolve));
    openSync(path).close();
  });

  it("a file system that may only be read", function () {
    const mounted = join(directory.path, "mount");
    mkdirSync(mounted);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", mounted], { stdio: "ignore" });
    } catch {
      return this.skip(); // Only root may mount, and not everywhere.
    }
    try {
      path = join(mounted, "app.state");
      writeFileSync(path, good);
      execFileSync("mount", ["-o", "remount,ro", mounted]);
      const error = expectCode("READ_ONLY", () => openSync(path));
      assert.match(error.message, /app\.state|mount/);
      expectCode("READ_ONLY", () => openSync(join(mounted, "new.state")));
      const reader = openSync(path, { readOnly: true });
      assert.equal(reader.roots.get("counter")?.u64, 5n);
      reader.close();
      assert.ok(readFileSync(path).equals(good));
      assert.deepEqual(readdirSync(mounted), ["app.state"]);
    } finally {
      execFileSync("umount", ["-l", mounted]);
    }
  });

  it("a full disk, while a program goes on", function () {
    const mounted = join(directory.path, "mount");
    mkdirSync(mounted);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", mounted], { stdio: "ignore" });
    } catch {
      return this.skip();
    }
    try {
      path = join(mounted, "app.state");
      const memory = openSync(path, { autoCommit: false });
      const p = memory.root("data", () => memory.alloc(8));
      p.u64 = 1n;
      memory.commit();
      const large = memory.alloc(16 * 2 ** 20);
      memory.write(large.address, new Uint8Array(16 * 2 ** 20).fill(7));
      expectCode("NO_SPACE", () => memory.commit());
      memory.rollback();
      assert.equal(p.u64, 1n);
      p.u64 = 2n;
      memory.commit();
      memory.close();
      const again = openSync(path);
      assert.equal(again.roots.get("data")?.u64, 2n);
      assert.deepEqual(again.check({ all: true }).problems, []);
      again.close();
    } finally {
      execFileSync("umount", ["-l", mounted]);
    }
  });

  it("is told by a path that a person can find", () => {
    writeFileSync(path, "nonsense");
    assert.ok(expectCode("CORRUPT", () => openSync(path)).message.includes("app.state"));
  });
});
