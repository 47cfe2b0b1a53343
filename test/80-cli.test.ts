// The command line, started as a user types it, on files of every kind. Figures are compared with the independent reader.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../bindings/base/bytes.js";
import { verbs } from "../bindings/cli/verbs.js";
import { openSync } from "../bindings/index.js";
import { openPager } from "../bindings/pager/open.js";
import { Reader } from "../bindings/pager/reader.js";
import { NodePlace } from "../bindings/storage/node.js";
import { NodeProcesses } from "../bindings/storage/node-processes.js";
import { Child } from "./support/child-run.js";
import { perdure, perdureHere, perdureJson } from "./support/cli.js";
import { hasher } from "./support/hostile-hasher.js";
import { type IndependentState, independentReader } from "./support/independent-reader.js";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

const NAME = "app.state";
const NOBODY = 65534;

let directory: TemporaryDirectory;
let readState: (file: Uint8Array) => IndependentState;
let sample: Uint8Array;
let folders = 0;

/** Two commits after the last checkpoint, a snapshot, blocks far apart. */
function writeSample(path: string): void {
  const pager = openPager(new NodePlace(path), NAME, hasher, new NodeProcesses(path));
  const put = (first: number, count: number, value: number) =>
    pager.commit([{ block: first, count, bytes: new Uint8Array(4096 * count).fill(value) }]);
  put(0, 20, 1);
  put(70_000, 3, 2);
  pager.createSnapshot("before");
  put(5, 4, 3);
  pager.createSnapshot("näher");
  pager.checkpoint();
  put(1, 2, 4);
  put(300, 1, 5);
  pager.abandon();
}

/** A folder of its own with the sample, or what `change` makes of it; returns the path of the file. */
function place(change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): string {
  const folder = join(directory.path, `${folders++}`);
  mkdirSync(folder);
  const path = join(folder, NAME);
  writeFileSync(path, change(sample.slice()));
  return path;
}

const state = (path: string): IndependentState => readState(new Uint8Array(readFileSync(path)));
const beside = (path: string): string[] => readdirSync(join(path, "..")).sort();

function sameBlocks(a: IndependentState["blocks"], b: IndependentState["blocks"]): void {
  assert.deepEqual([...a.keys()].sort(), [...b.keys()].sort());
  for (const [block, bytes] of a) assert.ok(Buffer.compare(bytes, b.get(block)!) === 0, `block ${block}`);
}

function sameState(a: IndependentState, b: IndependentState): void {
  sameBlocks(a.blocks, b.blocks);
  assert.deepEqual([...a.snapshots.keys()], [...b.snapshots.keys()]);
  for (const [name, { blocks }] of a.snapshots) sameBlocks(blocks, b.snapshots.get(name)!.blocks);
}

/** The error that a verb reports with --json. */
async function errorOf(words: readonly string[], exitCode = 1): Promise<Record<string, string>> {
  const { code, json } = await perdureJson(words, {}, perdureHere);
  assert.deepEqual(Object.keys(json), ["error"], JSON.stringify(json));
  assert.equal(code, exitCode);
  const error = json.error as Record<string, string>;
  assert.deepEqual(Object.keys(error), ["code", "message", "remedy"]);
  for (const text of Object.values(error)) assert.notEqual(text, "");
  return error;
}

/** Runs all at once, as far as the machine can. */
const each = <T>(items: readonly T[], body: (item: T) => Promise<void>) => Promise.all(items.map(body));

describe("command line", function () {
  this.timeout(60_000);

  before(async () => {
    directory = temporaryDirectory();
    // Others must be able to reach the files.
    chmodSync(directory.path, 0o755);
    readState = await independentReader();
    const path = join(directory.path, "sample");
    mkdirSync(path);
    writeSample(path);
    sample = new Uint8Array(readFileSync(join(path, NAME)));
  });

  after(() => directory.remove());

  describe("a file that is in order", () => {
    it("inspect tells what the independent reader finds, and changes nothing", async () => {
      const path = place();
      const { code, json } = await perdureJson(["inspect", path]);
      const known = state(path);
      assert.equal(code, 0);
      assert.equal(json.commit, known.sequence);
      assert.equal(json.generation, known.generation);
      assert.equal(String(json.uuid).replaceAll("-", ""), toHex(known.uuid));
      assert.equal(json.fileBytes, sample.length);
      const snapshots = json.snapshots as { name: string; sequence: number }[];
      assert.deepEqual(
        snapshots.map(({ name, sequence }) => [name, sequence]),
        [...known.snapshots].map(([name, { sequence }]) => [name, sequence]),
      );
      assert.equal((json.chain as { segments: number }).segments, 2);
      assert.deepEqual([json.problems, json.writers, json.readers, json.unfinished], [[], [], [], []]);
      const live = json.live as { bytes: number; slots: Record<string, number> };
      assert.equal(live.bytes, 4096 * live.slots.total);
      assert.ok(live.slots.total >= known.blocks.size && live.bytes < sample.length);
      const { out } = await perdure(["inspect", path]);
      assert.match(out, new RegExp(`commit +${known.sequence}\\b`));
      assert.match(out, /writer +nobody/);
      assert.match(out, /"näher" of commit/);
      assert.deepEqual(beside(path), [NAME]);
      assert.ok(Buffer.compare(readFileSync(path), sample) === 0);
    });

    it("fsck says that it is in order; with --all every digest is compared", async () => {
      const path = place();
      const { code, json } = await perdureJson(["fsck", path], {}, perdureHere);
      const known = state(path);
      assert.deepEqual([code, json.ok, json.problems, json.verified], [0, true, [], 0]);
      assert.deepEqual([json.commit, json.generation], [known.sequence, known.generation]);
      assert.equal(json.snapshots, known.snapshots.size);
      const all = await perdureJson(["fsck", path, "--all"]);
      assert.equal(all.code, 0);
      assert.ok((all.json.verified as number) >= known.blocks.size);
      const { out } = await perdureHere(["fsck", path, "--all"]);
      assert.match(out, /: in order\n/);
      assert.match(out, /digests compared/);
      assert.ok(Buffer.compare(readFileSync(path), sample) === 0);
    });

    it("fsck finds structures in the image that do not agree, though every digest is right", async () => {
      const path = join(directory.path, "image.state");
      const memory = openSync(path, { autoCommit: false, reserve: 0 });
      memory.root("p", () => memory.alloc(100_000));
      memory.commit();
      assert.equal((await perdureHere(["fsck", path])).code, 0);
      const { PAGE_MAP } = memory.engine.core.constants;
      memory.engine.ensure(PAGE_MAP, 64, true);
      memory.engine.core.bytes.fill(0, PAGE_MAP, PAGE_MAP + 64);
      memory.commit();
      memory.close();
      const { code, json } = await perdureJson(["fsck", path], {}, perdureHere);
      assert.equal(code, 1);
      assert.ok((json.problems as string[]).length > 0);
    });

    it("dump explains slots by number and by name", async () => {
      const path = place();
      const { code, out } = await perdure(["dump", path]);
      assert.equal(code, 0);
      assert.match(out, /^slot 0 \(superblock, (?:newest|fallback)\): superblock, 4096 bytes\n/);
      assert.match(out, /generation = \d+ +1, 2, 3/);
      const chain = await perdureJson(["dump", path, "chain"], {}, perdureHere);
      const slots = chain.json.slots as { slot: number; role: string; kind: string; lines: string[] }[];
      assert.deepEqual(
        slots.map(({ kind }) => kind),
        ["header", "header"],
      );
      const changed = slots.flatMap(({ lines }) =>
        lines.flatMap((line) => /block (\d+) =/.exec(line)?.[1] ?? []),
      );
      assert.deepEqual(changed, ["1", "2", "300"]);
      const image = await perdureJson(
        ["dump", path, "image", "free-map", "directory", "forwarding"],
        {},
        perdureHere,
      );
      const kinds = (image.json.slots as { kind: string }[]).map(({ kind }) => kind);
      for (const kind of ["node", "free page", "directory", "zeros"]) assert.ok(kinds.includes(kind), kind);
      const hex = await perdureHere(["dump", path, `${slots[0].slot + 1}..${slots[0].slot + 2}`, "--hex"]);
      assert.match(hex.out, /block 1, written by commit \d+\): data, 4096 bytes\n +0 {2}04 04/);
      assert.equal((await errorOf(["dump", path, "9999999"])).code, "NOT_FOUND");
      assert.equal((await errorOf(["dump", path, "nonsense"], 2)).code, "USAGE");
    });

    it("snapshots: list, create, delete, restore", async () => {
      const path = place();
      const before = state(path);
      const list = await perdureJson(["snapshot", "list", path], {}, perdureHere);
      assert.deepEqual(
        (list.json.snapshots as { name: string }[]).map(({ name }) => name),
        ["before", "näher"],
      );
      assert.equal((await perdure(["snapshot", "create", path, "new one"])).code, 0);
      sameBlocks(state(path).snapshots.get("new one")!.blocks, before.blocks);
      assert.equal((await errorOf(["snapshot", "create", path, "new one"])).code, "INVALID_ARGUMENT");
      const restored = await perdureJson(["restore", path, "before", "--keep", "kept"]);
      assert.deepEqual([restored.code, restored.json.kept], [0, "kept"]);
      const after = state(path);
      assert.equal(after.sequence, restored.json.commit);
      sameBlocks(after.blocks, before.snapshots.get("before")!.blocks);
      sameBlocks(after.snapshots.get("kept")!.blocks, before.blocks);
      assert.equal((await perdureHere(["snapshot", "delete", path, "before"])).code, 0);
      assert.deepEqual([...state(path).snapshots.keys()].sort(), ["kept", "new one", "näher"].sort());
      assert.equal((await errorOf(["snapshot", "delete", path, "before"])).code, "NOT_FOUND");
      assert.equal((await errorOf(["restore", path, "before", "--keep", "unwanted"])).code, "NOT_FOUND");
      assert.ok(!state(path).snapshots.has("unwanted"));
      assert.deepEqual(beside(path), [NAME]);
    });

    it("backup and compact keep everything", async () => {
      const path = place();
      const before = state(path);
      const copy = `${path}.copy`;
      const { code, json } = await perdureJson(["backup", path, copy]);
      assert.deepEqual([code, json.commit, json.snapshots], [0, before.sequence, 2]);
      sameState(state(copy), before);
      assert.equal(state(copy).sequence, before.sequence);
      assert.ok(Buffer.compare(readFileSync(path), sample) === 0);
      assert.equal((await errorOf(["backup", path, copy])).code, "INVALID_ARGUMENT");
      const compacted = await perdureJson(["compact", path]);
      assert.equal(compacted.json.bytesAfter, readFileSync(path).length);
      assert.ok((compacted.json.bytesAfter as number) < (compacted.json.bytesBefore as number));
      sameState(state(path), before);
      assert.match((await perdureHere(["unlock", path])).out, /is not locked/);
      assert.deepEqual(beside(path), [NAME, `${NAME}.copy`]);
    });
  });

  describe("a damaged file", () => {
    it("a block: only --all finds it, salvage loses it alone", async () => {
      const folder = join(place(), "..");
      const reader = new Reader(new NodePlace(folder), NAME, hasher, new NodeProcesses(folder));
      const slot = reader.view().replayed.map.slotOf(0);
      reader.close();
      const path = place((bytes) => {
        bytes[slot * 4096 + 17] ^= 4;
        return bytes;
      });
      const whole = readState(sample.slice());
      assert.equal((await perdureHere(["fsck", path])).code, 0);
      const saved = `${path}.saved`;
      const { code, json } = await perdureJson(["fsck", path, "--all", "--salvage", saved]);
      assert.equal(code, 1);
      assert.match((json.problems as string[]).join("\n"), new RegExp(`block 0: slot ${slot} does not have`));
      const salvage = json.salvage as { commit: number; blocks: number; lost: Record<string, unknown>[] };
      assert.deepEqual([salvage.commit, salvage.blocks], [whole.sequence, whole.blocks.size - 1]);
      assert.deepEqual(
        salvage.lost.map(({ snapshot, firstBlock, lastBlock }) => [snapshot, firstBlock, lastBlock]),
        [
          [null, 0, 0],
          ["before", 0, 0],
          ["näher", 0, 0],
        ],
      );
      whole.blocks.delete(0);
      for (const { blocks } of whole.snapshots.values()) blocks.delete(0);
      sameState(state(saved), whole);
      assert.equal((await errorOf(["backup", path, `${path}.copy`])).code, "CORRUPT");
      assert.deepEqual(beside(path), [NAME, `${NAME}.saved`]);
    });

    it("one superblock: told by inspect and fsck; the other one serves", async () => {
      const path = place((bytes) => bytes.fill(7, 100, 4096));
      const { code, out } = await perdureHere(["inspect", path]);
      assert.equal(code, 1);
      assert.match(out, /slot 0: damaged: its digest does not verify/);
      assert.match(out, /commit +\d/);
      const checked = await perdureHere(["fsck", path]);
      assert.equal(checked.code, 1);
      assert.match(checked.out, /: 1 problem\n/);
      assert.match(checked.out, /PROBLEM +superblock in slot 0/);
      assert.match(checked.out, /--salvage <new-file>/);
    });

    it("both superblocks: refused, and salvaged by a scan", async () => {
      const path = place((bytes) => bytes.fill(0, 0, 8192));
      assert.equal((await errorOf(["inspect", path])).code, "CORRUPT");
      assert.equal((await errorOf(["fsck", path])).code, "CORRUPT");
      const { code, out } = await perdure(["fsck", path, "--salvage", `${path}.saved`]);
      assert.equal(code, 1);
      assert.match(out, /from a scan of the whole file/);
      sameState(state(`${path}.saved`), readState(sample.slice()));
      const again = await errorOf(["fsck", path, "--salvage", `${path}.saved`]);
      assert.equal(again.code, "INVALID_ARGUMENT");
    });
  });

  describe("a file that a program writes", () => {
    it("reading verbs work beside it; writing verbs say LOCKED and by whom; unlock takes over", async () => {
      const path = place();
      const writer = new Child("holder", [join(path, ".."), NAME]);
      await writer.expect("open");
      writer.send("commit");
      const sequence = Number(await writer.expect("committed"));

      const { json } = await perdureJson(["inspect", path]);
      assert.equal(json.commit, sequence);
      const [{ owner }] = json.writers as { owner: { pid: number; life: string } }[];
      assert.deepEqual([owner.pid, owner.life], [writer.pid, "alive"]);
      for (const words of [
        ["fsck", path, "--all"],
        ["dump", path, "chain"],
        ["snapshot", "list", path],
      ])
        assert.equal((await perdureHere(words)).code, 0);
      writer.send("commit");
      assert.equal((await perdureJson(["backup", path, `${path}.copy`])).code, 0);
      const copied = state(`${path}.copy`);
      assert.ok(copied.sequence >= sequence && copied.blocks.get(0)![0] >= 100);
      await writer.expect("committed");

      const verbs = [
        ["snapshot", "create", path, "x"],
        ["snapshot", "delete", path, "before"],
        ["restore", path, "before"],
        ["compact", path],
      ];
      for (const words of verbs) {
        const error = await errorOf(words);
        assert.equal(error.code, "LOCKED");
        assert.match(error.message, new RegExp(`process ${writer.pid}\\b`));
      }
      const { code, errors } = await perdure(["unlock", path]);
      assert.equal(code, 2);
      assert.match(errors, /add --yes/);
      const locks = beside(path).filter((name) => name.includes(".lock-"));
      assert.deepEqual([locks.length, beside(path).length], [1, 3]);

      const before = state(path);
      const unlocked = await perdureJson(["unlock", path, "--yes"]);
      assert.deepEqual([unlocked.code, unlocked.json.unlocked], [0, true]);
      writer.send("commit");
      assert.equal(await writer.expect("failed"), "FENCED");
      sameState(state(path), before);
      await writer.killed();
      assert.deepEqual(beside(path), [NAME, `${NAME}.copy`]);
      assert.equal((await perdureHere(["snapshot", "create", path, "x"])).code, 0);
    });
  });

  describe("other files", () => {
    it("read-only: reading verbs work, the others say so", async () => {
      const path = place();
      chmodSync(path, 0o444);
      chmodSync(join(path, ".."), 0o555);
      const copies = join(directory.path, "copies");
      mkdirSync(copies);
      chmodSync(copies, 0o777);
      const options = process.getuid?.() === 0 ? { user: NOBODY } : {};
      const inspected = await perdureJson(["inspect", path], options);
      assert.deepEqual([inspected.code, inspected.json.commit], [0, state(path).sequence]);
      assert.equal((await perdureJson(["fsck", path, "--all"], options)).code, 0);
      assert.equal((await perdureJson(["backup", path, join(copies, NAME)], options)).code, 0);
      sameState(state(join(copies, NAME)), state(path));
      const { code, json } = await perdureJson(["snapshot", "create", path, "x"], options);
      assert.equal(code, 1);
      assert.equal((json.error as Record<string, string>).code, "READ_ONLY");
      chmodSync(join(path, ".."), 0o755);
    });

    it("foreign, empty, missing, a directory, a newer format", async () => {
      const foreign = place(() => new Uint8Array(20_000).fill(65));
      const empty = place(() => new Uint8Array(0));
      const folder = join(empty, "..");
      const newer = place((bytes) => {
        for (const slot of [0, 1]) {
          const view = new DataView(bytes.buffer, slot * 4096, 4096);
          view.setUint16(8, 2, true);
          view.setBigUint64(16, 0n, true);
          hasher.digest(bytes.subarray(slot * 4096, slot * 4096 + 4096), view, 16);
        }
        return bytes;
      });
      const found: [string, string][] = [
        [foreign, "CORRUPT"],
        [empty, "CORRUPT"],
        [`${foreign}.missing`, "NOT_FOUND"],
        [folder, "INVALID_ARGUMENT"],
        [newer, "VERSION"],
      ];
      await each(found, async ([path, code]) => {
        assert.equal((await errorOf(["inspect", path])).code, code);
        assert.equal((await errorOf(["fsck", path])).code, code);
      });
      for (const [path, code] of found) {
        const { out, errors, code: exitCode } = await perdureHere(["snapshot", "create", path, "x"]);
        assert.deepEqual([out, exitCode], ["", 1]);
        assert.match(errors, new RegExp(`^perdure: ${code}: .*\\n {2}\\S`));
      }
      assert.deepEqual(beside(foreign), [NAME], "nothing was created");
    });
  });

  describe("words", () => {
    it("the help says what there is, with examples and exit codes", async () => {
      const { code, out } = await perdure(["--help"]);
      assert.equal(code, 0);
      for (const verb of ["inspect", "fsck", "dump", "snapshot", "restore", "backup", "compact", "unlock"])
        assert.match(out, new RegExp(`^ {2}${verb} `, "m"));
      assert.match(out, /Exit codes:/);
      await each(verbs, async ({ name }) => {
        const { code, out } = await perdureHere([...name.split(" "), "--help"]);
        assert.equal(code, 0);
        assert.match(out, new RegExp(`^Usage: perdure ${name} `));
        for (const text of ["--json", "Examples:\n  perdure ", "Exit codes:\n  0 "])
          assert.ok(out.includes(text), text);
      });
    });

    it("what is typed wrong is exit code 2", async () => {
      const wrong = [
        ["inspect"],
        ["inspect", "a", "b"],
        ["frobnicate"],
        ["fsck", "a", "--everything"],
        ["snapshot", "list"],
      ];
      await each(wrong, async (words) => {
        assert.equal((await errorOf(words, 2)).code, "USAGE");
      });
      const alone = await perdure([]);
      assert.equal(alone.code, 2);
      assert.match(alone.errors, /^Usage: perdure /);
      assert.match((await perdure(["--version"])).out, /^\d+\.\d+\.\d+\n$/);
    });

    it("Ctrl-C leaves nothing behind", async () => {
      const path = place();
      const folder = join(path, "..");
      const large = openPager(new NodePlace(folder), NAME, hasher, new NodeProcesses(folder));
      large.commit([{ block: 1000, count: 16384, bytes: new Uint8Array(2 ** 26).fill(1) }]);
      large.close();
      let kill: (signal: NodeJS.Signals) => void = () => {};
      const watcher = watch(folder, (_, name) => {
        if (!name?.startsWith(`${NAME}.copy.new-`)) return;
        kill("SIGINT");
        kill = () => {};
      });
      const { code, json } = await perdureJson(["backup", path, `${path}.copy`], {
        started: (killing) => {
          kill = killing;
        },
      }).finally(() => watcher.close());
      if (code === 0) return;
      assert.equal(code, 130);
      assert.equal((json.error as Record<string, string>).code, "INTERRUPTED");
      assert.deepEqual(beside(path), [NAME]);
    });
  });
});
