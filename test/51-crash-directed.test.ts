// One scene for each promise of the crash protocol (FORMAT.md §9): what a power cut, a failed flush or rot does at the moment the promise is about.
// The campaigns of the other crash tests find the same by chance; here it is found at once.

import assert from "node:assert/strict";
import { equalBytes } from "../bindings/base/bytes.js";
import { PerdureError } from "../bindings/base/errors.js";
import { decodeSuperblock } from "../bindings/format/superblock.js";
import { openPager, openPagerOn } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { hasher, stateName } from "./support/crash-explorer.js";
import { versionBytes } from "./support/crash-oracle.js";
import { CrashProcess } from "./support/crash-processes.js";
import { expectCode } from "./support/expect-code.js";
import {
  type Chooser,
  everythingPersists,
  nothingPersists,
  type Operation,
  SimulatedCrash,
  SimulatedDisk,
} from "./support/simulated-disk.js";

const SLOT = 4096;
const SLOT_SECTORS = 8;
const BLOCKS = 8;
const limits = { chainSlots: 64, chainCommits: 4, mapNodes: 8 };

/** A disk with an empty state file and nothing pending. */
function newDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.createExclusive(stateName)!.close();
  open(disk).close();
  disk.flush();
  return disk;
}

/** Opens the file, which must succeed. */
function open(disk: SimulatedDisk): Pager {
  return succeeding(() => openPagerOn(disk.open(stateName, "write"), hasher, { limits }));
}

function succeeding<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof PerdureError) assert.fail(`${error.code}: ${error.message}`);
    throw error;
  }
}

function put(pager: Pager, block: number, version: number, durable = true): void {
  pager.commit([{ block, count: 1, bytes: versionBytes(version) }], durable);
}

/** The versions of the blocks that are not zeros; each must be whole. */
function versionsIn(pager: Pager): Record<number, number> {
  const bytes = new Uint8Array(BLOCKS * SLOT);
  succeeding(() => pager.read(0, BLOCKS, bytes));
  const versions: Record<number, number> = {};
  for (let block = 0; block < BLOCKS; block++) {
    const content = bytes.subarray(block * SLOT, (block + 1) * SLOT);
    const version = new DataView(content.buffer, content.byteOffset).getUint32(0, true);
    const expected = version === 0 ? new Uint8Array(SLOT) : versionBytes(version);
    assert.ok(equalBytes(content, expected), `block ${block} is not what was written`);
    if (version !== 0) versions[block] = version;
  }
  return versions;
}

const versionsOn = (disk: SimulatedDisk) => versionsIn(open(disk));

/** Names and sizes persist, and of the pending sectors, in the order of the writes, those for which `keeps` holds. */
function sectors(keeps: (sector: number, count: number) => boolean): Chooser {
  let position = 0;
  let count = 0;
  return {
    begin: (sectorCount) => {
      position = 0;
      count = sectorCount;
    },
    below: (n) => n - 1,
    bits: (n) => {
      let bits = 0;
      for (let i = 0; i < n; i++) if (keeps(position + i, count)) bits += 2 ** i;
      position += n;
      return bits;
    },
  };
}

function superblocks(disk: SimulatedDisk) {
  const bytes = disk.contents(stateName);
  return [0, 1].flatMap((slot) => {
    const decoded = decodeSuperblock(bytes.subarray(slot * SLOT, (slot + 1) * SLOT), hasher);
    return decoded.ok ? decoded.value : [];
  });
}

function newestOf(disk: SimulatedDisk) {
  return superblocks(disk).reduce((a, b) => (a.generation > b.generation ? a : b));
}

/** Rots the newest superblock. */
function rotNewest(disk: SimulatedDisk): SimulatedDisk {
  const copy = disk.kill();
  copy.zeroSlot(stateName, newestOf(copy).generation % 2);
  return copy;
}

const writesSuperblock = ({ kind, offset }: Operation) => kind === "write" && offset < 2 * SLOT;

/** What a power cut leaves when a superblock is written by `body` and not flushed yet. */
function duringSuperblock(disk: SimulatedDisk, body: () => void, chooser: Chooser): SimulatedDisk {
  let written = false;
  let left: SimulatedDisk | null = null;
  disk.onOperation = (operation) => {
    if (written) left = disk.crash(chooser);
    // Opening writes the newest one again, which changes nothing.
    written = writesSuperblock(operation) && operation.offset / SLOT !== newestOf(disk).generation % 2;
  };
  body();
  disk.onOperation = null;
  assert.ok(left, "no superblock was written");
  return left;
}

/** The next flush fails, or the one after so many; what it should have written stays in the cache only. */
function failFlush(disk: SimulatedDisk, after = 0): void {
  let left = after;
  disk.failAt(({ kind }) => kind === "flush" && left-- === 0, "FLUSH");
}

describe("crashes at chosen moments", () => {
  it("keep a durable commit", () => {
    const disk = newDisk();
    put(open(disk), 0, 1);
    assert.deepEqual(versionsOn(disk.crash(nothingPersists)), { 0: 1 });
  });

  it("drop a commit whose header has arrived without its block", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    put(pager, 0, 2, false);
    assert.deepEqual(versionsOn(disk.crash(sectors((sector) => sector < SLOT_SECTORS))), { 0: 1 });
    assert.deepEqual(versionsOn(disk.crash(everythingPersists)), { 0: 2 });
  });

  it("leave no superblock without the trees it leads to", () => {
    const disk = newDisk();
    const pager = open(disk);
    const states: SimulatedDisk[] = [];
    put(pager, 0, 1);
    put(pager, 3, 2);
    let written = false;
    disk.onOperation = (operation) => {
      // Of what is pending only the superblock persists.
      if (written) states.push(disk.crash(sectors((sector, count) => sector >= count - SLOT_SECTORS)));
      written = writesSuperblock(operation);
    };
    pager.checkpoint();
    assert.ok(states.length > 0);
    for (const state of states) assert.deepEqual(versionsOn(state), { 0: 1, 3: 2 });
  });

  it("do not undo what an opening has shown after a failed flush", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    failFlush(disk);
    expectCode("IO", () => put(pager, 0, 2));
    const next = disk.kill();
    assert.deepEqual(versionsOn(next), { 0: 2 });
    assert.deepEqual(versionsOn(next.crash(nothingPersists)), { 0: 2 });
  });

  it("leave a fallback when the flush of the superblock before had failed", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    failFlush(disk, 1);
    expectCode("IO", () => pager.checkpoint());
    const next = disk.kill();
    const second = open(next);
    put(second, 1, 2);
    second.checkpoint();
    const left = next.crash(nothingPersists);
    // An older one than that is no fallback: what it leads to may have been reused.
    const newest = newestOf(left).generation;
    const generations = superblocks(left).map(({ generation }) => generation);
    assert.deepEqual(generations.sort(), [newest - 1, newest]);
    assert.deepEqual(versionsOn(rotNewest(left)), { 0: 1, 1: 2 });
  });

  it("let nothing that was lost join the chain behind a later commit", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    pager.checkpoint();
    put(pager, 0, 2, false);
    const first = disk.pendingSectorCount();
    put(pager, 0, 3, false);
    // The second of two commits persists, the first one does not.
    const next = disk.crash(sectors((sector) => sector >= first));
    const second = open(next);
    assert.deepEqual(versionsIn(second), { 0: 1 });
    put(second, 1, 4);
    assert.deepEqual(versionsOn(next.kill()), { 0: 1, 1: 4 });
  });

  it("do not complete a torn header by a later one", () => {
    const disk = newDisk();
    const pager = open(disk);
    // Until the log goes on in slots of the file that were in use before, where old bytes can lie.
    let rounds = 0;
    do {
      put(pager, 0, 1);
      pager.checkpoint();
      assert.ok(++rounds < 20);
    } while ((newestOf(disk).chainNext + 2) * SLOT > disk.contents(stateName).length);
    disk.overwrite(stateName, newestOf(disk).chainNext * SLOT, new Uint8Array(SLOT).fill(0xee));
    put(pager, 0, 2, false);
    const torn = (sector: number) => sector > 0 && sector < SLOT_SECTORS;
    const left = disk.crash(sectors((sector) => !torn(sector)));
    const second = open(left);
    assert.deepEqual(versionsIn(second), { 0: 1 });
    put(second, 0, 3, false);
    assert.deepEqual(versionsOn(left.crash(sectors(torn))), { 0: 1 });
  });

  it("do not complete a torn superblock by a later one", () => {
    for (let rounds = 1; rounds <= 12; rounds++) {
      const disk = newDisk();
      const pager = open(disk);
      for (let round = 1; round <= rounds; round++) {
        put(pager, round % BLOCKS, round);
        put(pager, 1000 * (round % 3), round);
        pager.checkpoint();
      }
      put(pager, 1, 100);
      const torn = (sector: number, count: number) => count === SLOT_SECTORS && sector > 0;
      // Old bytes lie in all sectors of the superblock but the first, and only that one of the new superblock persists.
      const slot = (newestOf(disk).generation + 1) % 2;
      disk.overwrite(stateName, slot * SLOT + 512, new Uint8Array(SLOT - 512).fill(0xee));
      const left = duringSuperblock(
        disk,
        () => pager.checkpoint(),
        sectors((sector) => sector === 0),
      );
      const expected = versionsOn(left.kill());
      assert.equal(expected[1], 100);
      const again = duringSuperblock(left, () => open(left), sectors(torn));
      assert.deepEqual(versionsOn(again), expected, `${rounds} rounds`);
    }
  }).timeout(60_000);

  it("go on behind a record whose superblock was lost", () => {
    for (let rounds = 1; rounds <= 6; rounds++) {
      const disk = newDisk();
      const pager = open(disk);
      for (let round = 1; round <= rounds; round++) {
        put(pager, round % BLOCKS, round);
        pager.checkpoint();
      }
      put(pager, 1, 100);
      const left = duringSuperblock(disk, () => pager.checkpoint(), nothingPersists);
      const second = open(left);
      put(second, 2, 101);
      assert.deepEqual(versionsOn(rotNewest(left)), versionsIn(second), `${rounds} rounds`);
    }
  });

  it("find a new file whole or not at all", () => {
    const disk = new SimulatedDisk();
    const states: SimulatedDisk[] = [];
    disk.onOperation = () => {
      for (const chooser of [nothingPersists, everythingPersists, sectors(() => false)]) {
        states.push(disk.crash(chooser));
      }
    };
    openPager(disk, stateName, hasher, new CrashProcess(), { limits });
    disk.onOperation = null;
    const present = states.filter((state) => state.exists(stateName));
    assert.ok(present.length > 0 && present.length < states.length);
    for (const state of present) assert.deepEqual(versionsOn(state), {});
  });

  it("do not lose the name that a creator had not made durable", () => {
    const disk = new SimulatedDisk();
    disk.onOperation = ({ kind }) => {
      if (kind === "flushDirectory") throw new SimulatedCrash();
    };
    assert.throws(() => openPager(disk, stateName, hasher, new CrashProcess(), { limits }), SimulatedCrash);
    const next = disk.kill();
    assert.ok(next.exists(stateName));
    put(openPager(next, stateName, hasher, new CrashProcess(), { limits }), 0, 1);
    const left = next.crash(nothingPersists);
    assert.ok(left.exists(stateName), "the file of a durable commit is gone");
    assert.deepEqual(versionsOn(left), { 0: 1 });
  });

  it("never bring back a commit that has failed", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    const fault = disk.failAt(({ kind }) => kind === "write", "SHORT", { appliedBytes: 2 * SLOT });
    expectCode("IO", () => put(pager, 0, 2));
    assert.equal(fault.fired, 1);
    assert.deepEqual(versionsIn(pager), { 0: 1 });
    assert.deepEqual(versionsOn(disk.kill()), { 0: 1 });
    put(pager, 1, 3);
    assert.deepEqual(versionsOn(disk.crash(nothingPersists)), { 0: 1, 1: 3 });
  });

  it("find no commit acknowledged after a failed flush", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    failFlush(disk);
    expectCode("IO", () => put(pager, 0, 2));
    expectCode("IO", () => put(pager, 1, 3));
    expectCode("IO", () => pager.flush());
    assert.deepEqual(versionsOn(disk.crash(nothingPersists)), { 0: 1 });
  });

  it("keep blocks that were spilled before checkpoints", () => {
    const pager = open(newDisk());
    for (let block = 0; block < BLOCKS; block++) {
      pager.spill(block, versionBytes(10 + block));
      for (let i = 0; i < 3; i++) pager.checkpoint();
      const versions = versionsIn(pager);
      for (let before = 0; before <= block; before++) assert.equal(versions[before], 10 + before);
    }
  });

  it("keep blocks that a commit lists and that were spilled before checkpoints", () => {
    const disk = newDisk();
    const pager = open(disk);
    put(pager, 0, 1);
    for (let block = 1; block < BLOCKS; block++) pager.spill(block, versionBytes(10 + block));
    // Neither superblock leads through the runs that they lie in after two of these.
    for (let i = 0; i < 3; i++) pager.checkpoint();
    put(pager, 0, 2, false);
    // Their slots lie alone between others in use: the nodes of the next checkpoint would fit there.
    for (const block of [2, 4, 6]) put(pager, block, 20 + block, false);
    pager.checkpoint();
    assert.deepEqual(versionsOn(rotNewest(disk)), versionsIn(pager));
  });

  it("keep what only a snapshot leads to", () => {
    const disk = newDisk();
    const pager = open(disk);
    for (let block = 0; block < BLOCKS; block++) put(pager, block, 1 + block);
    const kept = versionsIn(pager);
    pager.createSnapshot("kept");
    for (let step = 0; step < 24; step++) {
      put(pager, step % BLOCKS, 100 + step);
      if (step % 4 === 0) pager.checkpoint();
    }
    const left = open(disk.crash(nothingPersists));
    succeeding(() => left.restoreSnapshot("kept"));
    assert.deepEqual(versionsIn(left), kept);
  });

  it("lead to the same commit from either superblock, whatever a checkpoint has written by then", () => {
    const disk = newDisk();
    const pager = open(disk);
    const points = ["{}"];
    let durable = 0;
    const states: { disk: SimulatedDisk; from: number; to: number; where: string }[] = [];
    const choosers: [string, Chooser][] = [
      ["all", everythingPersists],
      ["none", nothingPersists],
      ["all but the first slot", sectors((sector) => sector >= SLOT_SECTORS)],
    ];
    const note = ({ index, kind }: Operation): void => {
      if (kind !== "write" && kind !== "flush") return;
      for (const [which, chooser] of disk.pendingSectorCount() > 0 ? choosers : choosers.slice(0, 1)) {
        const where = `${which} of the sectors before operation ${index}`;
        states.push({ disk: disk.crash(chooser), from: durable, to: points.length - 1, where });
      }
    };
    const now: Record<number, number> = {};
    for (let step = 1; step <= 24; step++) {
      const block = (step * 5) % BLOCKS;
      now[block] = step;
      points.push(JSON.stringify(now));
      const isDurable = step % 8 === 3;
      put(pager, block, step, isDurable);
      if (isDurable) durable = step;
      if (step % 4 > 0) continue;
      disk.onOperation = note;
      pager.checkpoint();
      durable = step;
      disk.onOperation = null;
    }
    for (const { disk: state, from, to, where } of states) {
      const rotten = superblocks(state).length === 2 ? rotNewest(state) : null;
      const found = JSON.stringify(versionsOn(state));
      assert.ok(points.slice(from, to + 1).includes(found), `${found} after ${where}`);
      if (rotten !== null)
        assert.equal(JSON.stringify(versionsOn(rotten)), found, `the fallback after ${where}`);
    }
  }).timeout(60_000);
});
