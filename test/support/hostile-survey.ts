// Everything that can be done with a file, done to a hostile one: it is read, checked, written to, backed up, compacted and opened again. What comes
// out are coded errors or consistent results: a block reads as it did before, as what was committed since, or as CORRUPT; never as anything else.

import assert from "node:assert/strict";
import { type ErrorCode, PerdureError } from "../../bindings/base/errors.js";
import type { Hasher } from "../../bindings/hash/hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { Reader } from "../../bindings/pager/reader.js";
import type { MemoryPlace } from "../../bindings/storage/memory.js";
import type { Place } from "../../bindings/storage/storage.js";
import { type Bounds, Guard, GuardedPlace } from "./hostile-guard.js";
import { hasher } from "./hostile-hasher.js";
import { alone, blockOf, fileOf, NAME, SLOT } from "./hostile-samples.js";

export interface SurveyOptions {
  hasher?: Hasher;
  bounds?: Partial<Bounds>;
  /** False when the hasher accepts everything: then nothing can be said about the data. */
  trusted?: boolean;
}

export interface Verdict {
  /** "ok" or the code that opening threw. */
  reader: string;
  writer: string;
  /** Of `check(true)` right after opening for writing. */
  problems: string[];
  /** Codes of what failed later, by operation. */
  failures: Map<string, string>;
  used: Bounds;
}

const MIB = 2 ** 20;

/** Some bytes for the operations themselves, and so many times the file for what the file makes them do. */
const usual = (fileBytes: number): Bounds => ({
  calls: 100_000,
  readBytes: 64 * MIB + 24 * fileBytes,
  writtenBytes: 8 * MIB + 6 * fileBytes,
  largestArray: 8 * MIB + 3 * fileBytes,
  arrayBytes: 128 * MIB + 32 * fileBytes,
});

const allowed: readonly ErrorCode[] = ["CORRUPT", "STALE", "VERSION", "LIMIT", "LOCKED", "NO_SPACE"];
const blocks = [...Array(16).keys(), 100, 255, 256, 300, 600, 65535, 65536, 2 ** 24, 2 ** 32, 2 ** 40 - 1];
/** Of many snapshots only some are looked at. */
const mostSnapshots = 6;

/** Content of blocks by where they were read; null is CORRUPT. */
type Seen = Map<string, Uint8Array | null>;

/** The code of the error that `body` throws, "ok" otherwise; other errors than the allowed ones pass through. */
async function codeOf(body: () => unknown): Promise<string> {
  try {
    await body();
    return "ok";
  } catch (error) {
    if (error instanceof PerdureError && allowed.includes(error.code)) return error.code;
    throw error;
  }
}

export async function survey(place: MemoryPlace, options: SurveyOptions = {}): Promise<Verdict> {
  const guard = new Guard({ ...usual(fileOf(place).length), ...options.bounds });
  const it = new Survey(new GuardedPlace(place, guard), options);
  const verdict = await guard.watch(() => it.run());
  return { ...verdict, used: guard.used };
}

class Survey {
  private seen: Seen = new Map();
  private readonly failures = new Map<string, string>();
  private readonly hasher: Hasher;

  constructor(
    private readonly place: Place,
    private readonly options: SurveyOptions,
  ) {
    this.hasher = options.hasher ?? hasher;
  }

  async run(): Promise<Omit<Verdict, "used">> {
    const before = this.place.readFile(NAME)!;
    const reader = await codeOf(() => this.read());
    this.assertFile(before, "reading has changed the file");
    let problems: string[] = [];
    const sides = this.place.list("");
    const writer = await codeOf(async () => {
      const pager = openPager(this.place, NAME, this.hasher, alone);
      try {
        problems = this.check(pager);
        await this.use(pager);
      } finally {
        await this.attempt("close", () => pager.close());
      }
    });
    if (writer !== "ok") {
      this.assertFile(before, `refused with ${writer}, but the file has changed`);
      assert.deepEqual(this.place.list(""), sides, `refused with ${writer}, but a file was left behind`);
    } else {
      await this.attempt("read again", () => this.read());
      await this.attempt("open again", () => {
        const pager = openPager(this.place, NAME, this.hasher, alone);
        this.compare("opened again", (block, into) => pager.read(block, 1, into));
        this.check(pager);
        pager.close();
      });
    }
    return { reader, writer, problems, failures: this.failures };
  }

  private assertFile(before: Uint8Array, message: string): void {
    assert.ok(Buffer.compare(this.place.readFile(NAME)!, before) === 0, message);
  }

  private read(): void {
    const reader = new Reader(this.place, NAME, this.hasher, alone);
    try {
      this.compare("reader", (block, into) => reader.read(block, 1, into));
      const names = this.namesOf(() => reader.snapshots);
      for (const name of names) {
        this.compare(`snapshot ${name}`, (block, into) => reader.readSnapshot(name, block, 1, into));
      }
    } finally {
      reader.close();
    }
  }

  /** The same for an image and for each snapshot: who reads them later must see what was seen first. */
  private compare(where: string, read: (block: number, into: Uint8Array) => void): void {
    const key = where.startsWith("snapshot") ? where : "image";
    const into = new Uint8Array(SLOT);
    for (const block of blocks) {
      into.fill(0xee);
      const known = this.seen.get(`${key} ${block}`);
      const bytes = this.corruptOr(() => {
        read(block, into);
        return into.slice();
      });
      if (known === undefined || known === null) this.seen.set(`${key} ${block}`, bytes);
      else if (bytes !== null && this.options.trusted !== false) {
        assert.ok(Buffer.compare(bytes, known) === 0, `${where}: block ${block} is not what it was`);
      }
    }
  }

  private corruptOr<T>(read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      // STALE where a second walk of a file that lies ends elsewhere than the first.
      if (error instanceof PerdureError && (error.code === "CORRUPT" || error.code === "STALE")) return null;
      throw error;
    }
  }

  private namesOf(list: () => readonly { name: string }[]): string[] {
    return (this.corruptOr(list) ?? []).slice(0, mostSnapshots).map(({ name }) => name);
  }

  private check(pager: Pager): string[] {
    const { ok, problems } = pager.check(true);
    assert.equal(ok, problems.length === 0);
    assert.ok(problems.length <= 100);
    return problems;
  }

  /** Operations that fail with CORRUPT have done nothing. */
  private async attempt(what: string, body: () => unknown): Promise<boolean> {
    const code = await codeOf(body);
    if (code !== "ok") this.failures.set(what, code);
    return code === "ok";
  }

  private async commit(
    pager: Pager,
    what: string,
    values: readonly (readonly [block: number, value: number])[],
  ): Promise<void> {
    const changes = values.map(([block, value]) => ({
      block,
      count: 1,
      bytes: value === 0 ? null : blockOf(value),
    }));
    if (await this.attempt(what, () => pager.commit(changes))) {
      for (const [block, value] of values) this.seen.set(`image ${block}`, blockOf(value));
    }
    this.compare(what, (block, into) => pager.read(block, 1, into));
  }

  private async use(pager: Pager): Promise<void> {
    this.compare("writer", (block, into) => pager.read(block, 1, into));
    const names = this.namesOf(() => pager.snapshots);
    const compareSnapshots = () => {
      for (const name of this.namesOf(() => pager.snapshots)) {
        const view = this.corruptOr(() => pager.openSnapshot(name));
        if (view === null) continue;
        this.compare(`snapshot ${name}`, (block, into) => view.read(block, 1, into));
        view.close();
      }
    };
    compareSnapshots();
    await this.commit(pager, "commit", [
      [0, 1001],
      [9, 1002],
      [300, 1003],
    ]);
    await this.commit(pager, "discard", [[1, 0]]);
    if (await this.attempt("spill", () => pager.spill(2, blockOf(1004)))) await this.spilled(pager);
    await this.attempt("checkpoint", () => pager.checkpoint());
    const name = "a new snapshot";
    const created = await this.attempt("create snapshot", () => pager.createSnapshot(name));
    if (created) {
      for (const block of blocks)
        this.seen.set(`snapshot ${name} ${block}`, this.seen.get(`image ${block}`) ?? null);
    }
    for (let i = 0; i < 16; i++) {
      const values = [i % 12, 256 + (i % 3), 600, 65536].map(
        (block, j) => [block, 2000 + 4 * i + j] as const,
      );
      await this.commit(pager, `commit ${i}`, values);
    }
    await this.attempt("second checkpoint", () => pager.checkpoint());
    compareSnapshots();
    if (names[0] !== undefined) await this.attempt("delete snapshot", () => pager.deleteSnapshot(names[0]));
    await this.backup(pager);
    await this.attempt("compact", () => pager.compact());
    compareSnapshots();
    await this.commit(pager, "commit after compaction", [[3, 3003]]);
    if (created && (await this.attempt("restore snapshot", () => pager.restoreSnapshot(name)))) {
      for (const block of blocks)
        this.seen.set(`image ${block}`, this.seen.get(`snapshot ${name} ${block}`) ?? null);
    }
    this.compare("restored", (block, into) => pager.read(block, 1, into));
    this.check(pager);
  }

  private async spilled(pager: Pager): Promise<void> {
    if (await this.attempt("commit spilled", () => pager.commit([]))) this.seen.set("image 2", blockOf(1004));
    else pager.rollback();
  }

  private async backup(pager: Pager): Promise<void> {
    if (!(await this.attempt("backup", () => pager.backup(this.place, "copy")))) return;
    const copy = new Reader(this.place, "copy", this.hasher, alone);
    this.compare("backup", (block, into) => copy.read(block, 1, into));
    copy.close();
  }
}
