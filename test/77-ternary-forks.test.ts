// Forks of address spaces as programs see them: who sees what, what is copied and what is not, and what they cost.

import assert from "node:assert/strict";
import { MappingFlags, PAGE_TRYTES, PageFlags } from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { framesUsed, openSpace } from "./support/spaces-site.js";

const { WRITABLE, USER, LARGE } = PageFlags;
const { READ, WRITE, STACK } = MappingFlags;
const PAGE = PAGE_TRYTES;

describe("ternary memory: forks", () => {
  const states = States.forEachTest();

  it("see what there was, and nothing that the other writes from then on", () => {
    const { memory, ternary, space } = openSpace(states);
    space.mapRegion(0, 20 * PAGE, WRITE);
    space.map(50 * PAGE, ternary.frames.allocate(), WRITABLE);
    for (const page of [0, 3, 50]) space.storeTryte(page * PAGE, page + 1);
    const before = framesUsed(ternary);
    const child = space.fork("child");
    assert.equal(framesUsed(ternary), before);
    assert.equal(space.entry(0).global, 0);
    for (const page of [0, 3, 50]) assert.equal(child.loadTryte(page * PAGE), page + 1);
    child.storeTryte(0, 100);
    space.storeTryte(3 * PAGE, 200);
    child.write(50 * PAGE + 1, [5, 6]);
    child.storeTryte(7 * PAGE, 300);
    const seen = [space, child].map((each) =>
      [0, 3 * PAGE, 50 * PAGE + 1, 7 * PAGE].map((v) => each.loadTryte(v)),
    );
    assert.deepEqual(seen, [
      [1, 200, 0, 0],
      [100, 4, 5, 300],
    ]);
    assert.equal(framesUsed(ternary), before + 3 + 2);
    assert.equal(child.entry(0).global, -1);
    const grandchild = child.fork("grandchild");
    space.drop();
    grandchild.storeTryte(3 * PAGE, 7);
    assert.deepEqual([child.loadTryte(3 * PAGE), grandchild.loadTryte(0)], [4, 100]);
    child.drop();
    assert.equal(grandchild.loadTryte(50 * PAGE + 2), 6);
    assert.deepEqual(memory.check().problems, []);
  });

  it("copy tables when something below them changes, and pages when they are written, not before", () => {
    const { memory, space } = openSpace(states);
    for (const page of [0, 19_683, 400_000_000]) {
      space.mapRegion(page * PAGE, 2 * PAGE, WRITE);
      space.storeTryte(page * PAGE, 1);
    }
    const bytes = () => memory.stats().heap.usedBytes;
    const [before, table] = [bytes(), 39 * 4096];
    const child = space.fork("child");
    const forked = bytes();
    assert.ok(forked - before >= table && forked - before < 2 * table);
    child.storeTryte(0, 2);
    assert.equal(bytes() - forked, 2 * table);
    child.storeTryte(19_683 * PAGE, 2);
    assert.equal(bytes() - forked, 3 * table);
    child.storeTryte(PAGE, 2);
    assert.equal(bytes() - forked, 3 * table);
    assert.deepEqual([space.statistics().tables, child.statistics().tables], [6, 6]);
    child.drop();
    assert.equal(bytes() - before, 0);
    assert.equal(space.loadTryte(0), 1);
  });

  it("copy no page that nobody else maps any more", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(0, 10 * PAGE, WRITE);
    for (let page = 0; page < 10; page++) space.storeTryte(page * PAGE, page);
    const child = space.fork("child");
    for (let page = 0; page < 5; page++) child.storeTryte(page * PAGE, 99);
    assert.equal(framesUsed(ternary), 15);
    const frames = () => [0, 1, 5, 6].map((page) => space.entry(page * PAGE).frame);
    const before = frames();
    for (const page of [0, 1]) space.storeTryte(page * PAGE, 50);
    child.drop();
    for (const page of [5, 6]) space.storeTryte(page * PAGE, 50);
    assert.deepEqual(frames(), before);
    assert.equal(framesUsed(ternary), 10);
  });

  it("see their own page as soon as it is copied, however it came to that", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(0, PAGE, WRITE);
    space.storeTryte(0, 1);
    const child = space.fork("child");
    assert.equal(child.loadTryte(0), 1);
    const copy = child.translate(0, "write");
    assert.notEqual(copy, space.translate(0, "write"));
    space.storeTryte(0, 2);
    assert.equal(child.loadTryte(0), 1);
    assert.equal(ternary.frames.loadTryte(copy), 1);
  });

  it("make three small pages of a large one that both keep, and leave a large one that one keeps", () => {
    const { ternary, space } = openSpace(states);
    space.map(0, ternary.frames.allocateLarge()[0]!, WRITABLE | USER | LARGE);
    space.write(
      0,
      Int16Array.from({ length: 3 * PAGE }, (_, i) => i % 365),
    );
    const child = space.fork("child");
    assert.ok(child.entry(0).large);
    child.storeTryte(PAGE, -5);
    for (const page of [0, 1, 2]) {
      assert.equal(child.entry(page * PAGE).large, false);
      assert.equal(space.entry(page * PAGE).large, true);
    }
    assert.deepEqual([space.loadTryte(PAGE), child.loadTryte(PAGE), child.loadTryte(2)], [PAGE % 365, -5, 2]);
    child.unmap(PAGE);
    child.drop();
    space.storeTryte(2 * PAGE, 1);
    for (const page of [0, 1, 2]) {
      assert.equal(space.entry(page * PAGE).large, true);
      assert.equal(space.entry(page * PAGE).global, -1);
    }
  });

  it("copy no page of a large one that nobody else maps, though others are", () => {
    const { ternary, space } = openSpace(states);
    space.map(0, ternary.frames.allocateLarge()[0]!, WRITABLE | USER | LARGE);
    const child = space.fork("child");
    child.storeTryte(PAGE, 1);
    const frames = () => [0, 1, 2].map((page) => space.entry(page * PAGE).frame);
    const [before, used] = [frames(), framesUsed(ternary)];
    space.storeTryte(PAGE, 2);
    assert.deepEqual([frames(), framesUsed(ternary)], [before, used]);
    assert.deepEqual(
      [0, 1, 2].map((page) => [space.entry(page * PAGE).large, space.entry(page * PAGE).global]),
      [
        [false, 0],
        [false, -1],
        [false, 0],
      ],
    );
  });

  it("need frames for what is written, and say so when there are none", () => {
    const { ternary, space } = openSpace(states);
    const { totalFrames } = ternary.frames.statistics();
    space.mapRegion(0, totalFrames * PAGE, WRITE);
    for (let page = 0; page < totalFrames - 1; page++) space.storeTryte(page * PAGE, 1);
    const child = space.fork("child");
    child.storeTryte(0, 2);
    for (const each of [space, child]) {
      expectCode("OUT_OF_MEMORY", () => each.storeTryte(5 * PAGE, 2));
      expectCode("OUT_OF_MEMORY", () => each.write(0, new Int16Array(9 * PAGE)));
      assert.equal(each.loadTryte(5 * PAGE), 1);
    }
    child.unmapRegion(50 * PAGE, 10 * PAGE);
    space.storeTryte(50 * PAGE, 2);
    expectCode("OUT_OF_MEMORY", () => space.storeTryte(5 * PAGE, 2));
    child.drop();
    space.storeTryte(5 * PAGE, 2);
    assert.equal(framesUsed(ternary), totalFrames - 1);
  });

  it("end what two pages with one frame had in common, when they are written", () => {
    const { ternary, space } = openSpace(states);
    const frame = ternary.frames.allocate();
    for (const v of [0, PAGE]) space.map(v, frame, WRITABLE);
    space.storeTryte(0, 1);
    const child = space.fork("child");
    space.storeTryte(0, 2);
    const seen = [space, child].map((each) => [each.loadTryte(0), each.loadTryte(PAGE)]);
    assert.deepEqual(seen, [
      [2, 1],
      [1, 1],
    ]);
    // What is changed in the frame itself is seen wherever it is still mapped.
    ternary.frames.storeTryte(frame.startAddress, 3);
    assert.deepEqual([space.loadTryte(PAGE), child.loadTryte(0), space.loadTryte(0)], [3, 3, 2]);
  });

  it("have regions and protection of their own, and the stacks that there were", () => {
    const { space } = openSpace(states);
    space.mapRegion(0, 10 * PAGE, WRITE);
    space.mapRegion(20 * PAGE, 10 * PAGE, WRITE | STACK);
    space.storeTryte(25 * PAGE, 1);
    space.storeTryte(PAGE, 1);
    const child = space.fork("child");
    assert.deepEqual(child.regions(), space.regions());
    child.protect(0, 5 * PAGE, READ);
    space.unmapRegion(5 * PAGE, 5 * PAGE);
    space.storeTryte(PAGE, 2);
    expectCode("PERMISSION_DENIED", () => child.storeTryte(PAGE, 2));
    assert.equal(child.loadTryte(PAGE), 1);
    child.storeTryte(7 * PAGE, 3);
    expectCode("ADDRESS_NOT_MAPPED", () => space.loadTryte(7 * PAGE));
    child.storeTryte(21 * PAGE, 1);
    assert.equal(space.regions().at(-1)!.lowest, 25 * PAGE);
    assert.equal(child.regions().at(-1)!.lowest, 21 * PAGE);
  });

  it("know what was accessed and written before, and from then on by themselves", () => {
    const { memory, space } = openSpace(states, { autoCommit: false });
    space.mapRegion(0, 10 * PAGE, WRITE);
    for (const page of [0, 1, 2]) space.storeTryte(page * PAGE, 1);
    const child = space.fork("child");
    child.storeTryte(0, 2);
    const trits = (page: number) => [space, child].map((each) => each.entry(page * PAGE).dirty);
    assert.deepEqual(
      [trits(0), trits(1)],
      [
        [1, 1],
        [1, 1],
      ],
    );
    memory.commit();
    child.storeTryte(1 * PAGE, 2);
    assert.deepEqual(
      [trits(0), trits(1)],
      [
        [-1, -1],
        [-1, 1],
      ],
    );
  });

  it("take a name that is free", () => {
    const { ternary, space } = openSpace(states);
    ternary.space("taken");
    for (const name of ["taken", "main", "", 5 as never])
      expectCode("INVALID_ARGUMENT", () => space.fork(name));
    assert.equal(ternary.spaces().length, 2);
  });
});
