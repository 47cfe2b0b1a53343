// Slotted pages in Wasm against a Map, through commits, rollbacks, remounts, evicted windows and failing hosts; what lies in the
// pages is checked by a reader of docs/TABLES.md after each.

import assert from "node:assert/strict";
import { codes, EngineHarness, engineConstants, HostFailure } from "./support/engine-harness.js";
import { TableDriver } from "./support/engine-table-model.js";
import { withSeed } from "./support/random.js";

const fewWindows = 8;
const someWindows = 200;

describe("engine: pages of tables", () => {
  for (const [name, lengths, windows] of [
    ["short records", [4, 8, 20], fewWindows],
    ["records of all lengths", [4, 30, 200, 900, 1900], fewWindows],
    ["long records", [1000, 1500, 1960], fewWindows],
    ["records in many windows", [40, 100, 1000], someWindows],
  ] as const) {
    it(`${name} are those of a model`, () =>
      withSeed(`pages: ${name}`, (random) => {
        const driver = TableDriver.create(random, windows);
        for (let round = 0; round < 12; round++) {
          const steps: string[] = [];
          for (let i = 0; i < 120; i++) steps.push(driver.step(lengths));
          try {
            driver.verify();
          } catch (error) {
            console.error(`    after ${steps.slice(-10).join(", ")}`);
            throw error;
          }
          const choice = random.below(10);
          if (choice < 6) driver.commit();
          else if (choice < 8) driver.rollback();
          else driver.remount();
          driver.verify();
        }
      }));
  }

  it("a host that throws at any call leaves what a rollback makes whole again", () =>
    withSeed("pages: faults", (random) => {
      const driver = TableDriver.create(random, fewWindows);
      for (let i = 0; i < 250; i++) driver.insert(random.pick([100, 700, 1500]));
      driver.commit();
      let failures = 0;
      for (let failIn = 1; failIn < 60; failIn++) {
        driver.remount();
        driver.harness.failIn = failIn;
        try {
          for (let i = 0; i < 100; i++) driver.step([100, 700, 1500]);
        } catch (error) {
          if (!(error instanceof HostFailure)) throw error;
          failures++;
        }
        driver.harness.failIn = 0;
        if (random.oneIn(2)) driver.rollback();
        else driver.remount();
        driver.verify();
      }
      assert.ok(failures > 20);
    }));

  it("rows in steady turnover need little more room than they have bytes", () =>
    withSeed("pages: turnover", (random) => {
      const driver = TableDriver.create(random, someWindows);
      for (const lengths of [[20], [100, 300], [1000]]) {
        for (let i = 0; i < 1500; i++) driver.insert(random.pick(lengths) + random.below(20));
        for (let i = 0; i < 4000; i++) {
          const ids = random.pick([...driver.rows.keys()]);
          driver.delete(ids);
          driver.insert(random.pick(lengths) + random.below(20));
        }
        const { rowPages } = driver.verify();
        let bytes = 0;
        for (const record of driver.rows.values()) bytes += record.length + 2;
        assert.ok(bytes / (4096 * rowPages) > 0.6, `${bytes} bytes in ${rowPages} pages`);
        for (const id of [...driver.rows.keys()]) driver.delete(id);
        driver.commit();
        // The tail, and a page for what comes next.
        assert.ok(driver.verify().rowPages <= 2);
      }
    }));

  it("records that grow move, leave a forward, and come home when there is room", () =>
    withSeed("pages: forwards", (random) => {
      const driver = TableDriver.create(random, someWindows);
      const ids = Array.from({ length: 40 }, () => driver.insert(96));
      assert.deepEqual(new Set(ids.map((id) => id >>> 9)), new Set([1]));
      for (const id of ids) driver.update(id, 1800);
      assert.ok(driver.verify().forwards > 30);
      // Moved records move again, and still there is one forward for each.
      for (const id of ids) driver.update(id, 1999);
      const { forwards, rowPages, records } = driver.verify();
      assert.ok(forwards > 30 && forwards <= 39 && rowPages >= 20);
      const last = ids.find((id) => Math.floor((records.get(id) as number) / 4096) !== id >>> 9) as number;
      for (const id of ids) if (id !== last) driver.delete(id);
      const page = Math.floor((driver.verify().records.get(last) as number) / 4096);
      assert.notEqual(page, 1);
      // Its page fills up with others, its home has room.
      driver.update(last, 1000);
      while ([...driver.rows.keys()].filter((id) => id >>> 9 === page).length < 3) driver.insert(1000);
      for (const id of [...driver.rows.keys()]) if (id >>> 9 === 1 && id !== last) driver.delete(id);
      assert.equal(driver.verify().forwards, 1);
      driver.update(last, 2000);
      assert.equal(driver.verify().forwards, 0, "it has come home");
    }));

  it("while there is a cursor nothing is put behind what was read", () =>
    withSeed("pages: cursor", (random) => {
      const driver = TableDriver.create(random, fewWindows);
      for (let i = 0; i < 300; i++) driver.insert(60);
      driver.setCursor(true);
      for (const id of [...driver.rows.keys()]) if (random.oneIn(2)) driver.delete(id);
      for (const id of [...driver.rows.keys()]) if (random.oneIn(4)) driver.update(id, 300);
      for (let i = 0; i < 300; i++) driver.insert(random.pick([60, 300]));
      for (const id of [...driver.rows.keys()]) if (random.oneIn(3)) driver.delete(id);
      driver.verify();
      driver.setCursor(false);
      const { rowPages } = driver.verify();
      for (let i = 0; i < 50; i++) driver.insert(60);
      assert.equal(driver.verify().rowPages, rowPages, "room is used again");
    }));

  it("a full directory is no way to lose a row", () =>
    withSeed("pages: slots", (random) => {
      const driver = TableDriver.create(random, fewWindows);
      const ids = Array.from({ length: 406 }, () => driver.insert(4));
      assert.deepEqual([ids[0], ids[405]], [512, 512 + 405]);
      assert.equal(driver.insert(4), 1024);
      driver.delete(512 + 200);
      driver.delete(512 + 100);
      assert.deepEqual(
        [driver.insert(8), driver.insert(4)].sort(),
        [1025, 1026],
        "the tail, as little is free",
      );
      // Emptied under a cursor: the slots of the tail are not given again.
      driver.setCursor(true);
      for (const id of [...driver.rows.keys()]) driver.delete(id);
      assert.equal(driver.insert(4), 1027);
      driver.verify();
    }));

  it("runs lie between pages, and are passed over", () =>
    withSeed("pages: runs", (random) => {
      const driver = TableDriver.create(random, fewWindows);
      driver.insert(1900);
      driver.insert(1900);
      const long = driver.takeRun(25);
      const one = driver.takeRun(1);
      driver.insert(1900);
      assert.deepEqual([long, one], [2, 27]);
      assert.deepEqual(driver.scan(), [512, 513, 28 * 512]);
      driver.commit();
      driver.drop(long, 25);
      driver.drop(one, 1);
      driver.commit();
      driver.remount();
      assert.deepEqual(driver.scan(), [512, 513, 28 * 512]);
      assert.equal([...driver.harness.file.keys()].filter((block) => block >= 2 ** 20).length, 2);
    }));

  it("an extent that cannot grow is said so, with nothing changed", () =>
    withSeed("pages: extent", (random) => {
      const driver = TableDriver.create(random, someWindows);
      const { functions } = driver.harness;
      // Another extent takes the place behind, at the last headroom there is.
      const all = (2 ** 40 - 2 ** 20) / 10;
      const other = functions.takeExtent(all - 2);
      assert.ok(other >>> 0 >= 65536, "the rest is taken");
      let inserted = 0;
      while (true) {
        driver.harness.bytes.set([0xd0, 7], engineConstants.RECORD as number);
        const id = functions.tableInsert(driver.record, 2000, 0);
        if (id < 0) {
          assert.equal(-id, codes.MUST_MOVE);
          break;
        }
        inserted++;
      }
      assert.equal(inserted, 2 * 19);
      assert.equal(functions.tableTakeRun(driver.record, 1, 10), -codes.MUST_MOVE);
      assert.equal(functions.tableUpdate(driver.record, 512, 2000), codes.OK);
    }));

  it("blocks that are dropped are gone from windows and with the next commit from the file", () =>
    withSeed("pages: drop", (random) => {
      const harness = EngineHarness.format();
      const { functions } = harness;
      for (let round = 0; round < 200; round++) {
        const written = new Map<number, number>();
        for (let i = 0; i < 30; i++) {
          const block = random.below(45);
          const address = (functions.windowOf(Math.floor(block / 10)) >>> 0) + 4096 * (block % 10);
          const fill = 1 + random.below(255);
          harness.write(address, new Uint8Array(4096).fill(fill));
          written.set(block, fill);
          if (random.oneIn(10)) harness.commit();
        }
        const first = random.below(45);
        const count = 1 + random.below(45 - first);
        assert.equal(harness.dropBlocks(first, count), codes.OK);
        for (let block = first; block < first + count; block++) written.set(block, 0);
        harness.checkBarrier();
        if (random.oneIn(2)) harness.commit();
        for (const [block, fill] of written) {
          const address = (functions.windowOf(Math.floor(block / 10)) >>> 0) + 4096 * (block % 10);
          assert.ok(
            harness.read(address, 4096).every((byte) => byte === fill),
            `block ${block}`,
          );
        }
        harness.commit();
        for (const [block, fill] of written) assert.equal(harness.file.has(2 ** 20 + block), fill !== 0);
      }
      for (const [first, count] of [
        [-1, 1],
        [0, 0],
        [0.5, 1],
        [0, 1.5],
        [2 ** 40, 1],
      ] as const)
        assert.equal(functions.dropBlocks(first, count), codes.INVALID_ARGUMENT);
    }));
});
