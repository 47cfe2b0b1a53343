// Files that lie: every digest verifies, but what they say is not true. Nothing they say makes the pager read, allocate or write
// without bounds, throw an error of its own, or give data that was never written; and check() finds the lies.

import assert from "node:assert/strict";
import {
  encodeLock,
  encodePin,
  lockName,
  newName,
  pinName,
  temporaryName,
} from "../bindings/format/side-files.js";
import type { Superblock } from "../bindings/format/superblock.js";
import type { MemoryPlace } from "../bindings/storage/memory.js";
import { credulous, HostileFile } from "./support/hostile-builder.js";
import { type Lie, lyingDirectories, lyingFreeMaps, lyingTrees } from "./support/hostile-files.js";
import { lyingChains, lyingSuperblocks } from "./support/hostile-logs.js";
import { bitingTails, randomLie } from "./support/hostile-mixture.js";
import { alone, NAME, placeWith } from "./support/hostile-samples.js";
import { survey } from "./support/hostile-survey.js";
import { withSeed } from "./support/random.js";

async function findOut({
  what,
  file,
  reader = "ok",
  writer = reader,
  problem,
  readBytes,
}: Lie): Promise<void> {
  const trusted = file.hasher !== credulous;
  const bounds = readBytes === undefined ? {} : { readBytes };
  try {
    const found = await survey(placeWith(file.finish()), { hasher: file.hasher, trusted, bounds });
    if (!trusted) return;
    assert.deepEqual([found.reader, found.writer], [reader, writer]);
    if (writer !== "ok") return;
    if (problem === null) assert.deepEqual(found.problems, []);
    else
      assert.ok(
        found.problems.some((each) => problem?.test(each)),
        found.problems.slice(0, 3).join("; "),
      );
  } catch (error) {
    if (error instanceof Error) error.message = `${what}: ${error.message}`;
    throw error;
  }
}

describe("hostile files", () => {
  const kinds = {
    trees: lyingTrees,
    "free maps": lyingFreeMaps,
    directories: lyingDirectories,
    superblocks: lyingSuperblocks,
    chains: lyingChains,
    "trees and chains that bite their own tail": bitingTails,
  };
  for (const [title, lies] of Object.entries(kinds)) {
    it(title, async () => {
      for (const each of lies()) await findOut(each);
    });
  }

  it("lies at random", () =>
    withSeed("hostile: random", async (random) => {
      let refused = 0;
      for (let i = 0; i < 60; i++) {
        const file = randomLie(random);
        const trusted = file.hasher !== credulous;
        const { writer } = await survey(placeWith(file.finish()), { hasher: file.hasher, trusted });
        if (writer !== "ok") refused++;
      }
      assert.ok(refused < 50, `${refused} refused: too few got far`);
    }));
});

describe("hostile files beside the state file", () => {
  const nonce = "0123456789abcdef".repeat(2);
  const dead = { ...alone.self, pid: 999 };
  const MIB = 2 ** 20;
  const few = { readBytes: 20 * MIB, largestArray: 8 * MIB };

  /** An honest file, and another one beside it. */
  function placeBeside(name: string, content: Uint8Array): MemoryPlace {
    const file = new HostileFile();
    file.honestImage();
    const place = placeWith(file.finish());
    const storage = place.createExclusive(name)!;
    storage.write(0, content);
    storage.close();
    return place;
  }

  /** Opens beside such a file and does everything. */
  async function beside(name: string, content: Uint8Array, code = "ok"): Promise<void> {
    const place = placeBeside(name, content);
    const { reader, writer, problems, failures } = await survey(place, { bounds: few });
    assert.deepEqual([reader, writer, problems], ["ok", code, []], name);
    if (code === "ok") assert.deepEqual([...failures], [], name);
  }

  function pinOf(changes: Partial<Superblock>, commit = 10, process = alone.self): Uint8Array {
    const file = new HostileFile();
    file.honestImage();
    Object.assign(file.superblock, changes);
    file.fallback = { generation: 0 };
    const bytes = file.finish();
    const { generation = 2 } = changes;
    const superblock = bytes.slice((generation % 2) * 4096, (generation % 2) * 4096 + 4096);
    return encodePin({ superblock, commit, snapshot: null, process });
  }

  it("pins that are not pins are ignored, however long", async () => {
    const name = pinName(NAME, nonce);
    await beside(name, new Uint8Array(0));
    await beside(name, new Uint8Array(4096));
    await beside(name, new Uint8Array(64 * MIB));
    await beside(name, new TextEncoder().encode("[".repeat(60_000)));
    await beside(name, pinOf({}).slice(0, 4100));
    await beside(pinName(NAME, "\u202e"), new Uint8Array(10));
    await beside(pinName(NAME, "../x".replaceAll("/", "-")), new Uint8Array(10));
  });

  it("pins that lead nowhere do not keep a writer from writing", async () => {
    const name = pinName(NAME, nonce);
    const run = { slot: 64, slots: 64 };
    const bomb = { slot: 3, digest: 1n, height: 5 };
    for (const lie of [
      {},
      { generation: 4 },
      { generation: 2 ** 53 - 1 },
      { sequence: 2 ** 53 - 1 },
      { fileSlots: 2 ** 48 },
      { freeMap: bomb },
      { directory: bomb },
      { generation: 6, runs: [run, { slot: 2 ** 47, slots: 4 }] },
      { generation: 6, freeMap: bomb },
      { generation: 6, fileSlots: 2 ** 48, image: { slot: 2 ** 47, digest: 1n, height: 5 } },
    ]) {
      await beside(name, pinOf(lie));
      await beside(name, pinOf(lie, 2 ** 53 - 1));
    }
  });

  it("pins of the dead are removed", async () => {
    const place = placeBeside(pinName(NAME, nonce), pinOf({}, 10, dead));
    await survey(place);
    assert.deepEqual(place.list(`${NAME}.`), []);
  });

  it("a lock that cannot be read is somebody's; the dead one's is passed over", async () => {
    const lock = (writer: number, process = alone.self) => encodeLock({ writer, nonce, process });
    await beside(lockName(NAME, 7), new TextEncoder().encode("{}"), "LOCKED");
    await beside(lockName(NAME, 7), new TextEncoder().encode("[".repeat(60_000)), "LOCKED");
    await beside(lockName(NAME, 7), new Uint8Array(64 * MIB), "LOCKED");
    await beside(lockName(NAME, 7), lock(7), "LOCKED");
    await beside(lockName(NAME, 7), lock(7, dead));
    await beside(lockName(NAME, 7), lock(2 ** 53 - 1, dead));
    await beside(lockName(NAME, 7), new Uint8Array(0));
    await beside(lockName(NAME, 2 ** 53 - 1), lock(1, dead), "LIMIT");
  });

  it("names that only look like locks are nobody's", async () => {
    for (const suffix of [
      "",
      "01",
      "-1",
      "1.5",
      "1e3",
      "9007199254740992",
      "99999999999999999999",
      "7\n",
      " 7",
      "٧",
    ]) {
      await beside(`${NAME}.lock-${suffix}`, new Uint8Array(10).fill(1));
    }
  });

  it("what was left half done is removed without being read; what only looks like it stays", async () => {
    const place = placeBeside(newName(NAME, nonce), new Uint8Array(64 * MIB));
    const others = [
      `${NAME}.new-year`,
      `${NAME}.new-${nonce}x`,
      `${NAME}.tmp-x`,
      `${NAME}.lock-x`,
      `${NAME}.pin-x`,
      `${NAME}2`,
    ];
    for (const name of [...others, temporaryName(NAME, nonce)]) {
      const storage = place.createExclusive(name)!;
      storage.write(0, encodeLock({ writer: 1, nonce, process: dead }));
      storage.close();
    }
    const { writer } = await survey(place, { bounds: few });
    assert.equal(writer, "ok");
    assert.deepEqual(place.list(NAME), [NAME, ...others].sort());
  });
});
