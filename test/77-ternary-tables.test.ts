// Page tables and protection as programs see them: what the document of ternary memory says of them, one test for each thing, and every error.

import assert from "node:assert/strict";
import { MappingFlags, Mode, PAGE_TRYTES, PageFlags, TernaryAddress, Zone } from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { openSpace } from "./support/spaces-site.js";

const { PRESENT, WRITABLE, EXECUTE, USER, SUPERVISOR, KERNEL_ONLY, GLOBAL, LARGE } = PageFlags;
const { READ, WRITE, STACK } = MappingFlags;
const PAGE = PAGE_TRYTES;
const LOWEST = -PAGE * ((3 ** 27 - 1) / 2);
const HIGHEST = -LOWEST + PAGE - 1;
describe("ternary memory: page tables", () => {
  const states = States.forEachTest();

  it("map a virtual page to a physical frame, translate, and unmap", () => {
    const { memory, ternary } = openSpace(states);
    const table = ternary.pageTable("by itself");
    const frame = ternary.frames.allocate();
    table.map(5 * PAGE, frame, PRESENT | WRITABLE | USER);
    assert.equal(table.translate(5 * PAGE + 17), frame.startAddress + 17);
    assert.deepEqual(ternary.frames.ownersOf(frame), { held: true, mappings: 1 });
    assert.deepEqual(table.unmap(5 * PAGE), frame);
    expectCode("ADDRESS_NOT_MAPPED", () => table.translate(5 * PAGE));
    assert.deepEqual(table.statistics(), { mappedPages: 0, tables: 0, regions: 0 });
    ternary.frames.deallocate(frame);
    assert.deepEqual(memory.check().problems, []);
  });

  it("have three levels of 19,683 entries, and a table only where something is mapped", () => {
    const { ternary, space } = openSpace(states);
    const pages = [0, 1, 9841, 9842, -9841, -9842, 193_710_244, 193_710_245, 3 ** 26, -(3 ** 26)];
    const frames = ternary.frames.allocateContiguous(pages.length);
    const tables = [3, 3, 3, 4, 4, 5, 6, 8, 10, 12];
    for (const [i, page] of pages.entries()) {
      space.map(page * PAGE, frames[i]!, WRITABLE);
      assert.equal(space.statistics().tables, tables[i], `page ${page}`);
    }
    for (const [i, page] of pages.entries())
      assert.equal(space.translate(page * PAGE), frames[i]!.startAddress);
    for (const page of pages) space.unmap(page * PAGE);
    assert.equal(space.statistics().tables, 0);
  });

  it("take an address as a number or as a ternary address", () => {
    const { ternary, space } = openSpace(states);
    const address = (n: number) => TernaryAddress.fromInteger(n);
    space.map(address(-PAGE), ternary.frames.allocate(), WRITABLE);
    ternary.raise(Mode.Hypervisor, ternary.gate);
    space.storeTryte(address(-1), 7);
    assert.equal(space.loadTryte(-1), 7);
    assert.equal(space.translate(address(-1)), space.translate(-1));
    for (const nothing of [null, undefined, "5", {}])
      expectCode("INVALID_ADDRESS", () => space.loadTryte(nothing as unknown as number));
  });

  it("reach from the lowest to the highest page of 27 trits", () => {
    const { ternary, space } = openSpace(states);
    const [low, high] = ternary.frames.allocateContiguous(2);
    space.map(LOWEST, low!, WRITABLE);
    space.map(HIGHEST - PAGE + 1, high!, WRITABLE);
    space.storeTryte(LOWEST, 1);
    space.storeTryte(HIGHEST, -1);
    assert.deepEqual(
      [space.loadTryte(LOWEST), space.loadTryte(HIGHEST), space.translate(HIGHEST)],
      [1, -1, high!.startAddress + PAGE - 1],
    );
    for (const v of [
      LOWEST - 1,
      HIGHEST + 1,
      0.5,
      -0.5,
      2 ** 53,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 51 + 0.5,
    ]) {
      expectCode("INVALID_ADDRESS", () => space.loadTryte(v));
      expectCode("INVALID_ADDRESS", () => space.storeTryte(v, 0));
      expectCode("INVALID_ADDRESS", () => space.translate(v));
      expectCode("INVALID_ADDRESS", () => space.entry(v));
      expectCode("INVALID_ADDRESS", () => space.map(v, low!, WRITABLE));
      expectCode("INVALID_ADDRESS", () => space.unmap(v));
      expectCode("INVALID_ADDRESS", () => space.mapRegion(v, PAGE, READ));
      expectCode("INVALID_ADDRESS", () => space.read(v, 1));
      expectCode("INVALID_ADDRESS", () => space.write(v, [0]));
    }
    space.storeTryte(LOWEST + PAGE - 1, 3);
    assert.equal(space.loadTryte(LOWEST + PAGE - 1), 3);
    const [a, b] = [-(2 ** 51), 2 ** 51].map((v) => PAGE * Math.floor(v / PAGE));
    for (const start of [a!, b!]) {
      space.mapRegion(start, 2 * PAGE, READ | WRITE);
      for (let v = start; v < start + 2 * PAGE; v += 13) space.storeTryte(v, (v - start) % 365);
      for (let v = start; v < start + 2 * PAGE; v += 13) assert.equal(space.loadTryte(v), (v - start) % 365);
    }
  });

  it("have entries of six flag trits and a frame of 21 trits, 27 in all", () => {
    const { memory, ternary, space } = openSpace(states);
    const frame = ternary.frames.allocate(Zone.High);
    space.map(0, frame, PRESENT | WRITABLE | USER);
    memory.commit();
    const clean = { present: 1, writable: 1, user: 1, accessed: -1, dirty: -1, global: -1, large: false };
    const word = 1 + 3 + 9 - 27 - 81 - 243 + PAGE * frame.number;
    assert.deepEqual(space.entry(100), { ...clean, frame: frame.number, word });
    assert.ok(Math.abs(word) <= (3 ** 27 - 1) / 2);
    space.loadTryte(0);
    assert.equal(space.entry(0).accessed, 1);
    assert.equal(space.entry(0).dirty, -1);
    space.storeTryte(0, 5);
    assert.equal(space.entry(0).dirty, 1);
    assert.equal(space.entry(0).word, word + 2 * 27 + 2 * 81);
    const nothing = { present: -1, writable: -1, user: -1, accessed: -1, dirty: -1, global: -1 };
    assert.deepEqual(space.entry(PAGE), { ...nothing, frame: 0, large: false, word: -364 });
    space.mapRegion(PAGE, PAGE, MappingFlags.EXECUTE);
    const promised = { ...nothing, present: 0, user: 1 };
    assert.deepEqual(space.entry(PAGE), { ...promised, frame: 0, large: false, word: -364 + 1 + 18 });
  });

  it("say whether a page was written: since the last commit, in one that is being flushed, or not", async () => {
    const { memory, space } = openSpace(states);
    const hold = memory.hold();
    space.mapRegion(0, 3 * PAGE, WRITE);
    for (const page of [0, 1, 2]) space.loadTryte(page * PAGE);
    const dirty = () => [0, 1, 2].map((page) => space.entry(page * PAGE).dirty);
    assert.deepEqual(dirty(), [-1, -1, -1]);
    space.storeTryte(0, 1);
    assert.deepEqual(dirty(), [1, -1, -1]);
    memory.commit({ durability: "none" });
    assert.deepEqual(dirty(), [0, -1, -1]);
    space.storeTryte(PAGE, 1);
    assert.deepEqual(dirty(), [0, 1, -1]);
    memory.commit({ durability: "none" });
    assert.deepEqual(dirty(), [0, 0, -1]);
    await memory.flushed();
    assert.deepEqual(dirty(), [-1, -1, -1]);
    space.storeTryte(2 * PAGE, 1);
    space.storeTryte(0, 2);
    assert.deepEqual(dirty(), [1, -1, 1]);
    memory.commit({ durability: "flush" });
    assert.deepEqual(dirty(), [-1, -1, -1]);
    space.write(PAGE, [1, 2, 3]);
    assert.deepEqual(dirty(), [-1, 1, -1]);
    memory.rollback();
    assert.deepEqual(dirty(), [-1, -1, -1]);
    hold[Symbol.dispose]();
  });

  it("say whether a page was accessed: since the last sweep, in the period before, or not", () => {
    const { space } = openSpace(states);
    space.mapRegion(0, 4 * PAGE, WRITE);
    for (const page of [0, 1, 2]) space.storeTryte(page * PAGE, 0);
    assert.deepEqual(space.sweep(), { accessed: 3, before: 0, rest: 0 });
    const accessed = () => [0, 1, 2, 3].map((page) => space.entry(page * PAGE).accessed);
    assert.deepEqual(accessed(), [0, 0, 0, -1]);
    space.loadTryte(0);
    space.read(PAGE, 5);
    assert.deepEqual(accessed(), [1, 1, 0, -1]);
    assert.deepEqual(space.sweep(), { accessed: 2, before: 1, rest: 0 });
    assert.deepEqual(accessed(), [0, 0, -1, -1]);
    space.loadTryte(0);
    assert.deepEqual(space.sweep(), { accessed: 1, before: 1, rest: 1 });
    assert.deepEqual(space.sweep(), { accessed: 0, before: 1, rest: 2 });
    assert.deepEqual(space.sweep(), { accessed: 0, before: 0, rest: 3 });
  });

  it("support large pages of 2187 trytes", () => {
    const { memory, ternary, space } = openSpace(states);
    const frames = ternary.frames.allocateLarge();
    space.map(3 * PAGE, frames[0]!, WRITABLE | USER | LARGE);
    for (let i = 0; i < 3 * PAGE; i += 100) space.storeTryte(3 * PAGE + i, i % 365);
    for (let i = 0; i < 3 * PAGE; i += 100) {
      assert.equal(space.loadTryte(3 * PAGE + i), i % 365);
      assert.equal(space.translate(3 * PAGE + i), frames[0]!.startAddress + i);
    }
    assert.ok([3, 4, 5].every((page) => space.entry(page * PAGE).large));
    assert.deepEqual(space.statistics(), { mappedPages: 3, tables: 3, regions: 0 });
    expectCode("INVALID_ALIGNMENT", () => space.protect(4 * PAGE, PAGE, READ));
    expectCode("INVALID_ALIGNMENT", () => space.unmapRegion(3 * PAGE, PAGE));
    assert.deepEqual(space.unmap(4 * PAGE + 1), frames[0]);
    assert.ok([3, 4, 5].every((page) => space.entry(page * PAGE).present === -1));
    for (const frame of frames) ternary.frames.deallocate(frame);
    for (const page of [1, 2, 4])
      expectCode("INVALID_ALIGNMENT", () => space.map(page * PAGE, frames[0]!, LARGE));
    const odd = ternary.frames.allocateContiguous(4).find(({ number }) => number % 3 !== 0)!;
    expectCode("INVALID_ALIGNMENT", () => space.map(0, odd, LARGE));
    // Large pages lie across the border of tables as well.
    const across = ternary.frames.allocateLarge();
    space.map(9840 * PAGE, across[0]!, WRITABLE | LARGE);
    assert.equal(space.statistics().tables, 4);
    space.storeTryte(9842 * PAGE + 5, 44);
    assert.equal(ternary.frames.loadTryte(across[2]!.startAddress + 5), 44);
    space.unmap(9841 * PAGE);
    assert.equal(space.statistics().tables, 0);
    assert.deepEqual(memory.check().problems, []);
  });

  it("keep global pages in every space, whichever is active", () => {
    const { memory, ternary, space } = openSpace(states);
    const other = ternary.space("other");
    const frame = ternary.frames.allocate();
    space.map(-PAGE, frame, WRITABLE | KERNEL_ONLY | GLOBAL);
    for (const each of [space, other]) {
      each.activate();
      ternary.storeTryte(-PAGE, ternary.loadTryte(-PAGE) + 1);
      assert.equal(each.entry(-1).global, 1);
    }
    assert.equal(ternary.space("later").loadTryte(-PAGE), 2);
    const child = space.fork("child");
    child.storeTryte(-PAGE, 50);
    assert.equal(other.loadTryte(-PAGE), 50);
    expectCode("ALREADY_MAPPED", () => other.map(-PAGE, frame, WRITABLE));
    expectCode("ALREADY_MAPPED", () => other.mapRegion(-2 * PAGE, 2 * PAGE, READ));
    other.mapRegion(0, PAGE, READ);
    space.map(PAGE, frame, WRITABLE);
    for (const v of [0, PAGE]) expectCode("ALREADY_MAPPED", () => child.map(v, frame, GLOBAL));
    assert.deepEqual(other.unmap(-PAGE), frame);
    for (const each of ternary.spaces()) expectCode("ADDRESS_NOT_MAPPED", () => each.loadTryte(-PAGE));
    assert.deepEqual(memory.check().problems, []);
  });

  it("refuse what is there already, what is not aligned, and frames that nobody has", () => {
    const { ternary, space } = openSpace(states);
    const frame = ternary.frames.allocate();
    const free = ternary.frames.allocate();
    ternary.frames.deallocate(free);
    space.map(0, frame, WRITABLE);
    space.mapRegion(PAGE, PAGE, READ);
    for (const v of [0, PAGE]) expectCode("ALREADY_MAPPED", () => space.map(v, frame, WRITABLE));
    for (const v of [1, -1, PAGE + 1]) expectCode("INVALID_ALIGNMENT", () => space.map(v, frame, WRITABLE));
    expectCode("INVALID_ADDRESS", () => space.map(2 * PAGE, free, WRITABLE));
    expectCode("INVALID_ARGUMENT", () => space.map(2 * PAGE, null as never, WRITABLE));
    for (const number of [-1, 0.5, Number.NaN, 2 ** 60])
      expectCode("INVALID_ADDRESS", () => space.map(2 * PAGE, { ...frame, number }, WRITABLE));
    for (const flags of [USER | SUPERVISOR, KERNEL_ONLY | USER, 256, -1, 0.5, Number.NaN])
      expectCode("INVALID_ARGUMENT", () => space.map(2 * PAGE, frame, flags));
    expectCode("INVALID_ARGUMENT", () => space.map(-PAGE, frame, USER));
    expectCode("INVALID_ARGUMENT", () => space.translate(0, "jump" as never));
    for (const v of [PAGE, 2 * PAGE]) expectCode("ADDRESS_NOT_MAPPED", () => space.unmap(v));
  });

  it("give the frame to whoever unmaps it, unless somebody else has it", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(0, 2 * PAGE, WRITE);
    space.storeTryte(0, 9);
    const frame = space.unmap(0);
    assert.deepEqual(ternary.frames.ownersOf(frame), { held: true, mappings: 0 });
    assert.equal(ternary.frames.loadTryte(frame.startAddress), 9);
    space.map(0, frame, WRITABLE);
    space.map(5 * PAGE, frame, WRITABLE);
    ternary.frames.deallocate(frame);
    space.storeTryte(5 * PAGE + 1, 4);
    assert.equal(space.loadTryte(1), 4);
    assert.deepEqual(space.unmap(0), frame);
    assert.deepEqual(ternary.frames.ownersOf(frame), { held: false, mappings: 1 });
    assert.deepEqual(space.unmap(5 * PAGE), frame);
    ternary.frames.deallocate(frame);
    expectCode("INVALID_ADDRESS", () => space.map(0, frame, WRITABLE));
  });
});

describe("ternary memory: protection", () => {
  const states = States.forEachTest();

  it("of a page that only the kernel may use, a user page, and a shared one that may only be read", () => {
    const { ternary, space } = openSpace(states);
    const frame = ternary.frames.allocate();
    space.map(0, frame, PRESENT | WRITABLE | KERNEL_ONLY);
    space.map(PAGE, frame, PRESENT | WRITABLE | USER);
    space.map(2 * PAGE, frame, PRESENT | USER);
    space.map(3 * PAGE, frame, PRESENT | EXECUTE);
    space.map(-PAGE, frame, PRESENT | WRITABLE | SUPERVISOR);
    space.storeTryte(0, 12);
    const allowed: [Mode, number[], number[], number[]][] = [
      [Mode.Hypervisor, [0, 1, 2, 3, -1], [0, 1, 2, 3, -1], [0, 1, 2, 3, -1]],
      [Mode.Kernel, [0, 1, 2, 3, -1], [0, 1, -1], [3]],
      [Mode.Supervisor, [1, 2, 3], [1], [3]],
      [Mode.User, [1, 2], [1], []],
    ];
    for (const [mode, reads, writes, executes] of allowed) {
      ternary.raise(mode, ternary.gate);
      for (const page of [0, 1, 2, 3, -1]) {
        const tries: [number[], () => unknown][] = [
          [reads, () => assert.equal(space.loadTryte(page * PAGE), 12)],
          [reads, () => space.read(page * PAGE, 3)],
          [reads, () => space.translate(page * PAGE)],
          [writes, () => space.storeTryte(page * PAGE, 12)],
          [writes, () => space.write(page * PAGE, [12])],
          [writes, () => space.translate(page * PAGE, "write")],
          [executes, () => space.translate(page * PAGE, "execute")],
        ];
        for (const [pages, access] of tries) {
          if (pages.includes(page)) access();
          else expectCode("PERMISSION_DENIED", access);
        }
      }
    }
  });

  it("closes the kernel's half to supervisor and user, whether anything is there or not", () => {
    const { ternary, space } = openSpace(states);
    const frame = ternary.frames.allocate();
    expectCode("ADDRESS_NOT_MAPPED", () => space.loadTryte(-1));
    space.mapRegion(-PAGE, PAGE, WRITE);
    for (const mode of [Mode.Supervisor, Mode.User]) {
      ternary.lower(mode);
      for (const v of [-1, -PAGE - 1, LOWEST]) {
        expectCode("PERMISSION_DENIED", () => space.loadTryte(v));
        expectCode("PERMISSION_DENIED", () => space.storeTryte(v, 0));
        expectCode("PERMISSION_DENIED", () => space.translate(v));
        expectCode("PERMISSION_DENIED", () => space.unmap(v));
      }
      expectCode("PERMISSION_DENIED", () => space.map(-2 * PAGE, frame, WRITABLE));
      expectCode("PERMISSION_DENIED", () => space.mapRegion(-2 * PAGE, PAGE, READ));
      expectCode("PERMISSION_DENIED", () => space.unmapRegion(-PAGE, PAGE));
      expectCode("PERMISSION_DENIED", () => space.protect(-PAGE, PAGE, READ));
      expectCode("ADDRESS_NOT_MAPPED", () => space.loadTryte(0));
    }
  });

  it("is not changed by those whom it keeps out", () => {
    const { ternary, space } = openSpace(states);
    const [first, second] = ternary.frames.allocateContiguous(2);
    space.map(0, first!, WRITABLE | KERNEL_ONLY);
    space.map(PAGE, second!, WRITABLE | USER | GLOBAL);
    ternary.lower(Mode.User);
    expectCode("PERMISSION_DENIED", () => space.unmap(0));
    expectCode("PERMISSION_DENIED", () => space.unmap(PAGE));
    expectCode("PERMISSION_DENIED", () => space.unmapRegion(0, PAGE));
    expectCode("PERMISSION_DENIED", () => space.protect(0, PAGE, READ));
    for (const flags of [0, SUPERVISOR, KERNEL_ONLY, USER | GLOBAL])
      expectCode("PERMISSION_DENIED", () => space.map(2 * PAGE, second!, flags));
    space.map(2 * PAGE, second!, USER | WRITABLE);
    space.unmap(2 * PAGE);
  });

  it("never lets a page be written and executed", () => {
    const { ternary, space } = openSpace(states);
    const frame = ternary.frames.allocate();
    const both = MappingFlags.WRITE | MappingFlags.EXECUTE;
    expectCode("PERMISSION_DENIED", () => space.map(0, frame, WRITABLE | EXECUTE));
    expectCode("PERMISSION_DENIED", () => space.mapRegion(0, PAGE, both));
    space.mapRegion(0, PAGE, WRITE);
    expectCode("PERMISSION_DENIED", () => space.protect(0, PAGE, both));
    for (const flags of [0, 16, STACK, -1, 0.5, Number.NaN])
      expectCode("INVALID_ARGUMENT", () => space.mapRegion(PAGE, PAGE, flags));
    expectCode("INVALID_ARGUMENT", () => space.protect(0, PAGE, WRITE | STACK));
  });

  it("can be changed for a range, which it cuts where it must", () => {
    const { memory, ternary, space } = openSpace(states);
    space.mapRegion(0, 10 * PAGE, READ | WRITE);
    for (let page = 0; page < 10; page += 2) space.storeTryte(page * PAGE, page);
    space.protect(3 * PAGE, 3 * PAGE, READ);
    const ranges = () =>
      space.regions().map(({ start, trytes, flags }) => [start / PAGE, trytes / PAGE, flags]);
    assert.deepEqual(ranges(), [
      [0, 3, 3],
      [3, 3, 1],
      [6, 4, 3],
    ]);
    expectCode("PERMISSION_DENIED", () => space.storeTryte(4 * PAGE, 1));
    expectCode("PERMISSION_DENIED", () => space.storeTryte(3 * PAGE, 1));
    assert.equal(space.loadTryte(4 * PAGE), 4);
    space.storeTryte(6 * PAGE, 1);
    space.protect(3 * PAGE, 3 * PAGE, MappingFlags.EXECUTE);
    assert.equal(space.translate(4 * PAGE, "execute"), space.translate(4 * PAGE));
    space.protect(3 * PAGE, 2 * PAGE + 1, WRITE);
    assert.deepEqual(ranges(), [[0, 10, 3]]);
    space.storeTryte(4 * PAGE, 40);
    // Pages that were mapped by hand, and global ones, belong to a range as well; a gap does not.
    const [own, all] = ternary.frames.allocateContiguous(2);
    space.map(10 * PAGE, own!, WRITABLE | USER);
    expectCode("ADDRESS_NOT_MAPPED", () => space.protect(9 * PAGE, 3 * PAGE, READ));
    space.map(11 * PAGE, all!, WRITABLE | USER | GLOBAL);
    space.protect(9 * PAGE, 3 * PAGE, READ);
    for (const page of [9, 10, 11]) expectCode("PERMISSION_DENIED", () => space.storeTryte(page * PAGE, 1));
    expectCode("PERMISSION_DENIED", () => ternary.space("other").storeTryte(11 * PAGE, 1));
    assert.deepEqual(memory.check().problems, []);
  });
});
