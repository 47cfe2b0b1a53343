// What the module knows of pages beside their tables: the TLB and when it forgets, the marks and when they move, and the lists of both when they are full.

import assert from "node:assert/strict";
import { codes, engineConstants } from "./support/engine-harness.js";
import { PagesDriver } from "./support/pages-driver.js";
import { addressOf, firstUserPage, flagsOf, mapping, pageTrytes } from "./support/pages-model.js";
import { type Random, withSeed } from "./support/random.js";

const stateEpoch = engineConstants.STATE_EPOCH as number;
const unflushed = engineConstants.UNFLUSHED as number;
const commitCount = engineConstants.COMMIT_COUNT as number;
const { READ, WRITE } = mapping;
const tlbEntries = 65_536;
const tableEntries = 19_683;

/** A space with so many promised pages from address 0 on. */
function withPages(pages: number, frames = 40): PagesDriver {
  const driver = PagesDriver.format([{ first: 20_000, count: frames, zone: 1 }]);
  driver.create("s");
  if (pages > 0) driver.mapRegion("s", 1, 0, pages * pageTrytes, READ | WRITE);
  return driver;
}

describe("ternary: TLB", () => {
  it("knows a page until it is unmapped, moved, protected, or its space dropped", () => {
    const driver = withPages(10);
    for (const change of [
      () => driver.unmap("s", 1, 0),
      () => driver.unmapRegion("s", 1, pageTrytes, pageTrytes),
      () => driver.protect("s", 1, 2 * pageTrytes, pageTrytes, READ),
      () => driver.fork("s", "child"),
      () => driver.drop("child"),
    ]) {
      for (let v = 0; v < 10 * pageTrytes; v += pageTrytes) driver.store("s", 1, v, 7);
      change();
      for (let v = 0; v < 10 * pageTrytes; v += pageTrytes) {
        driver.load("s", 1, v);
        driver.store("s", 1, v, 8);
      }
    }
    driver.store("s", 1, 5 * pageTrytes, 9);
    const again = driver.unmap("s", 1, 5 * pageTrytes) as number;
    driver.map("s", 1, 6 * pageTrytes + 10 * pageTrytes, again, flagsOf.WRITABLE);
    assert.equal(driver.load("s", 1, 5 * pageTrytes), "ADDRESS_NOT_MAPPED");
    assert.equal(driver.load("s", 1, 16 * pageTrytes), "OK");
    driver.drop("s");
    driver.create("s");
    assert.equal(driver.load("s", 1, 6 * pageTrytes), "ADDRESS_NOT_MAPPED");
    driver.checkAll([]);
  });

  it("tells modes, spaces and the two ways of access apart", () => {
    const driver = withPages(0);
    driver.create("t");
    const frame = driver.allocate(3);
    driver.map("s", 1, 0, frame, flagsOf.WRITABLE | flagsOf.KERNEL_ONLY);
    driver.map("s", 1, pageTrytes, frame + 1, flagsOf.USER);
    driver.map("t", 1, pageTrytes, frame + 2, flagsOf.USER | flagsOf.WRITABLE);
    for (let round = 0; round < 3; round++)
      for (const name of ["s", "t"])
        for (const mode of [0, 1, 2, 3])
          for (const v of [0, pageTrytes]) {
            driver.load(name, mode, v);
            driver.store(name, mode, v, mode + round);
          }
    driver.checkAll([0, pageTrytes]);
  });

  it("replaces pages that have the same place, of one space and of several", () => {
    const driver = withPages(0, 60);
    driver.create("t");
    // Within each group the pages have one place; those of the spaces meet somewhere.
    for (const name of ["s", "t"])
      for (const group of [0, 1, 5])
        for (let i = 0; i < 4; i++)
          driver.mapRegion(name, 1, addressOf(firstUserPage + group + i * tlbEntries), pageTrytes, WRITE);
    const pages = [0, 1, 5].flatMap((group) =>
      [0, 1, 2, 3].map((i) => addressOf(firstUserPage + group + i * tlbEntries)),
    );
    for (let round = 0; round < 3; round++)
      for (const v of pages)
        for (const name of ["s", "t"]) {
          driver.store(name, 1, v + 3, (round * 100 + v) % 365);
          driver.load(name, 1, v + 3);
        }
    driver.checkAll(pages);
  });

  it("is empty when the epochs begin anew", () => {
    const driver = withPages(3);
    const { view } = driver.harness;
    view.setUint32(stateEpoch, 5, true);
    driver.store("s", 1, 0, 1);
    const frame = driver.model.pageOf(driver.model.space("s"), firstUserPage)!.frame;
    view.setUint32(stateEpoch, 2 ** 32 - 1, true);
    driver.unmap("s", 1, 0);
    assert.equal(view.getUint32(stateEpoch, true), 0);
    for (let i = 0; i < 5; i++) driver.protect("s", 1, pageTrytes, pageTrytes, i % 2 === 0 ? READ : WRITE);
    assert.equal(view.getUint32(stateEpoch, true), 5);
    assert.equal(driver.load("s", 1, 0), "ADDRESS_NOT_MAPPED");
    driver.deallocate(frame);
  });

  it("follows high frames through windows that come and go", () =>
    withSeed("ternary TLB windows", (random) => {
      const driver = PagesDriver.format([{ first: 2_945_794, count: 27 * 40, zone: 2 }]);
      driver.create("s");
      driver.mapRegion("s", 1, 0, 27 * 40 * pageTrytes, WRITE);
      driver.harness.view.setUint32(0x3000c, 8, true);
      for (let i = 0; i < 6000; i++) {
        const v = random.below(27 * (random.oneIn(3) ? 40 : 9)) * pageTrytes + random.below(pageTrytes);
        if (random.oneIn(2)) driver.store("s", 1, v, random.below(729) - 364);
        else driver.load("s", 1, v);
        if (random.oneIn(1000)) driver.commit();
      }
      assert.ok(driver.harness.spills > 100);
      driver.checkAll(Array.from({ length: 27 * 40 }, (_, i) => i * pageTrytes));
    }));
});

interface Mark {
  /** 2 since the last sweep, 1 before it, 0. */
  accessed: number;
  written: boolean;
  before: boolean;
}

class MarksRun {
  readonly driver: PagesDriver;
  private readonly marks = new Map<number, Mark>();
  private isUnflushed = false;

  constructor(
    private readonly random: Random,
    readonly pages: readonly number[],
  ) {
    this.driver = withPages(0, pages.length);
    for (const v of pages) {
      this.driver.mapRegion("s", 1, v, pageTrytes, WRITE);
      this.marks.set(v, { accessed: 0, written: false, before: false });
    }
    for (const v of pages) this.driver.translate("s", 1, v, "read");
    this.driver.commit();
  }

  step(): void {
    const { driver, random } = this;
    const v = random.pick(this.pages);
    const mark = this.marks.get(v)!;
    const choice = random.below(40);
    if (choice < 25) {
      mark.accessed = 2;
      if (choice < 10) mark.written = true;
      if (choice < 10) driver.store("s", random.below(2), v, 1);
      else driver.load("s", random.below(2), v + 5);
    } else if (choice < 30) this.sweep();
    else if (choice < 33) this.commit();
    else if (choice < 35) {
      this.isUnflushed = false;
      driver.harness.view.setUint32(unflushed, 0, true);
    } else if (choice < 36) {
      driver.rollback();
      for (const each of this.marks.values())
        Object.assign(each, { accessed: 0, written: false, before: false });
    } else driver.translate("s", 1, v, "write");
    this.check();
  }

  private sweep(): void {
    const { driver } = this;
    const accessed = [...this.marks.values()].map((each) => each.accessed);
    driver.functions.sweep(driver.spaces.get("s")!);
    for (const [i, level] of [2, 1, 0].entries())
      assert.equal(driver.harness.exchangeF64(8 * i), accessed.filter((each) => each === level).length);
    for (const each of this.marks.values()) each.accessed = Math.max(0, each.accessed - 1);
  }

  private commit(): void {
    const { driver } = this;
    const { view } = driver.harness;
    const wasUnflushed = this.isUnflushed;
    this.isUnflushed = wasUnflushed || this.random.oneIn(2);
    if (this.isUnflushed && !wasUnflushed)
      view.setUint32(unflushed, view.getUint32(commitCount, true) + 1, true);
    driver.commit();
    for (const each of this.marks.values()) {
      each.before = (each.written && this.isUnflushed) || (wasUnflushed && each.before);
      each.written = false;
    }
  }

  private check(): void {
    for (const [v, { accessed, written, before }] of this.marks) {
      const entry = this.driver.entry("s", v);
      assert.equal(entry.accessed, accessed - 1, `accessed, page ${v}`);
      assert.equal(entry.dirty, written ? 1 : before && this.isUnflushed ? 0 : -1, `dirty, page ${v}`);
    }
  }
}

describe("ternary: marks", () => {
  it("follow a model through sweeps, commits that are durable or not, and rollbacks", () =>
    withSeed("ternary marks", (random) => {
      const pages = [0, 1, 63, 64, 9841, 9842, 9843, 5 * tableEntries, 700 * tableEntries, -1, -9842];
      const run = new MarksRun(
        random,
        pages.map((page) => addressOf(firstUserPage + page)),
      );
      for (let i = 0; i < 2500; i++) run.step();
    }));

  it("are those of a large page as a whole, in two tables if need be", () => {
    const driver = withPages(0);
    const frame = driver.allocate(3, 3);
    const [v, others] = [9840 * pageTrytes, [9840, 9841, 9842].map((page) => page * pageTrytes)];
    driver.map("s", 1, v, frame, flagsOf.WRITABLE | flagsOf.LARGE);
    driver.commit();
    driver.load("s", 1, v + pageTrytes);
    for (const each of others)
      assert.deepEqual([driver.entry("s", each).accessed, driver.entry("s", each).dirty], [1, -1]);
    driver.store("s", 1, v, 1);
    for (const each of others) assert.equal(driver.entry("s", each).dirty, 1);
  });

  it("begin anew with another page at the same address, and with another table at the same place", () => {
    const driver = withPages(5);
    driver.store("s", 1, 0, 1);
    driver.store("s", 1, pageTrytes, 1);
    const frame = driver.unmap("s", 1, 0) as number;
    driver.map("s", 1, 0, frame, flagsOf.WRITABLE);
    const trits = (v: number) => [driver.entry("s", v).accessed, driver.entry("s", v).dirty];
    assert.deepEqual(
      [trits(0), trits(pageTrytes)],
      [
        [-1, -1],
        [1, 1],
      ],
    );
    driver.unmapRegion("s", 1, 0, 5 * pageTrytes);
    driver.mapRegion("s", 1, 0, 5 * pageTrytes, WRITE);
    driver.translate("s", 1, pageTrytes, "read");
    assert.deepEqual(trits(pageTrytes), [-1, -1]);
  });

  it("let no page pass for clean when there are too many to remember", () => {
    const count = 1100;
    const driver = withPages(0, count);
    const addresses = Array.from({ length: count }, (_, i) => i * tableEntries * pageTrytes);
    const context = driver.context("s", 1);
    const { mapRegion, touchPage, storeTryte } = driver.functions;
    for (const v of addresses) {
      assert.equal(mapRegion(context, v, pageTrytes, WRITE), codes.OK);
      assert.equal(touchPage(context, v, 1), codes.OK);
    }
    driver.harness.commit();
    const write = (v: number) => assert.equal(storeTryte(context, v, 1), codes.OK);
    for (const v of addresses.slice(0, 300)) write(v);
    assert.equal(driver.entry("s", addresses[1000]!).dirty, -1);
    for (const v of addresses) write(v);
    for (const v of addresses) assert.equal(driver.entry("s", v).dirty, 1);
    driver.harness.commit();
    for (const v of addresses) assert.equal(driver.entry("s", v).dirty, -1);
    const accessed = addresses.filter((v) => driver.entry("s", v).accessed === 1);
    assert.equal(accessed.length, 896);
    write(addresses[0]!);
    assert.equal(driver.entry("s", addresses[1]!).dirty, -1);
  });
});
