// Address spaces as programs see them: what the document of ternary memory says of them, one test for each thing, and what it does not say: reopening,
// readers, memory that runs out, and storage that fails. Forks have a file of their own.

import assert from "node:assert/strict";
import {
  type AddressSpace,
  MappingFlags,
  Mode,
  PAGE_TRYTES,
  PageFlags,
  type TernaryMemory,
  Zone,
} from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { FaultyStorage, States } from "./support/memory-states.js";
import { fewFrames, framesUsed, openSpace } from "./support/spaces-site.js";

const { WRITABLE } = PageFlags;
const { READ, WRITE, EXECUTE, STACK } = MappingFlags;
const PAGE = PAGE_TRYTES;
const FRAME = 2 * PAGE;

describe("ternary memory: address spaces", () => {
  const states = States.forEachTest();

  it("have a code, a data and a stack section, and become active", () => {
    const { ternary, space } = openSpace(states);
    const [code, data, stack] = [0, 100 * PAGE, 3 ** 20 * PAGE];
    space.mapRegion(code, 4 * PAGE, READ | EXECUTE);
    space.mapRegion(data, 4 * PAGE, READ | WRITE);
    space.mapRegion(stack - 16 * PAGE, 16 * PAGE, READ | WRITE | STACK);
    assert.equal(ternary.active, null);
    expectCode("ADDRESS_NOT_MAPPED", () => ternary.loadTryte(data));
    expectCode("ADDRESS_NOT_MAPPED", () => ternary.storeTryte(data, 1));
    space.activate();
    assert.equal(ternary.active, space);
    ternary.storeTryte(data + 1, 200);
    assert.equal(ternary.loadTryte(data + 1), 200);
    assert.equal(space.loadTryte(data + 1), 200);
    expectCode("PERMISSION_DENIED", () => ternary.storeTryte(code, 1));
    expectCode("PERMISSION_DENIED", () => space.translate(data, "execute"));
    space.translate(code, "execute");
    ternary.space("other").activate();
    expectCode("ADDRESS_NOT_MAPPED", () => ternary.loadTryte(data + 1));
    space.activate();
    assert.equal(ternary.loadTryte(data + 1), 200);
  });

  it("let a stack grow downwards to its beginning, and fault below", () => {
    const { ternary, space } = openSpace(states);
    const top = 1000 * PAGE;
    space.mapRegion(top - 8 * PAGE, 8 * PAGE, WRITE | STACK);
    const lowest = () => space.regions().at(-1)!.lowest;
    assert.equal(lowest(), top);
    for (let v = top - 1; v >= top - 8 * PAGE; v -= 500) {
      space.storeTryte(v, -1);
      assert.equal(lowest(), PAGE * Math.floor(v / PAGE));
    }
    assert.equal(framesUsed(ternary), 8);
    expectCode("ADDRESS_NOT_MAPPED", () => space.storeTryte(top - 8 * PAGE - 1, 0));
    expectCode("ADDRESS_NOT_MAPPED", () => space.storeTryte(top, 0));
    // Somewhere in the middle at once.
    space.mapRegion(0, 500 * PAGE, WRITE | STACK);
    space.storeTryte(17 * PAGE, 1);
    const flags = READ | WRITE | STACK;
    assert.deepEqual(space.regions()[0], { start: 0, trytes: 500 * PAGE, flags, lowest: 17 * PAGE });
  });

  it("promise regions of any size at no cost until they are touched", () => {
    const { memory, ternary, space } = openSpace(states);
    memory.commit();
    const bytes = memory.stats().heap.usedBytes;
    space.mapRegion(0, PAGE * 3 ** 26, READ | WRITE);
    space.mapRegion(-PAGE * 3 ** 26, PAGE * 3 ** 26, READ | WRITE);
    assert.ok(memory.stats().heap.usedBytes <= bytes + 2 * 4096);
    assert.equal(framesUsed(ternary), 0);
    for (const v of [0, 3 ** 30, -1, -(3 ** 31)]) {
      assert.equal(space.loadTryte(v), 0);
      space.storeTryte(v, 77);
      assert.equal(space.loadTryte(v), 77);
    }
    assert.equal(framesUsed(ternary), 4);
    assert.deepEqual(space.read(3 ** 29, 5000), new Int16Array(5000));
    assert.deepEqual(space.readBytes(3 ** 29, 5000), new Uint8Array(5000));
    assert.equal(framesUsed(ternary), 4);
    space.unmapRegion(-PAGE * 3 ** 26, 2 * PAGE * 3 ** 26);
    assert.equal(framesUsed(ternary), 0);
    assert.deepEqual(space.statistics(), { mappedPages: 0, tables: 0, regions: 0 });
  });

  it("take frames for promised pages from Normal, then High, then DMA, and then refuse", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(0, 200 * PAGE, WRITE);
    const { byZone, totalFrames } = ternary.frames.statistics();
    const zones: Zone[] = [];
    for (let page = 0; page < totalFrames; page++) {
      space.storeTryte(page * PAGE, 1);
      zones.push(ternary.frames.at(space.entry(page * PAGE).frame).zone);
    }
    const counts = byZone.map((zone) => zone.totalFrames);
    const expected = [Zone.Normal, Zone.High, Zone.DMA].flatMap((zone) => Array(counts[zone]).fill(zone));
    assert.deepEqual(zones, expected);
    const last = (totalFrames - 1) * PAGE;
    for (const refused of [
      () => space.storeTryte(150 * PAGE, 1),
      () => space.loadTryte(150 * PAGE),
      () => space.translate(150 * PAGE),
      () => space.write(last, new Int16Array(3 * PAGE)),
    ])
      expectCode("OUT_OF_MEMORY", refused);
    assert.equal(space.loadTryte(last), 1);
    assert.equal(space.entry(150 * PAGE).present, 0);
    space.unmapRegion(0, PAGE);
    space.storeTryte(150 * PAGE, 1);
  });

  it("refuse regions over each other and over pages, off a page, of no length, or past the end", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(10 * PAGE, 10 * PAGE, READ);
    space.map(30 * PAGE, ternary.frames.allocate(), WRITABLE);
    for (const [page, pages] of [
      [10, 1],
      [9, 2],
      [19, 5],
      [0, 50],
      [12, 1],
      [25, 6],
    ])
      expectCode("ALREADY_MAPPED", () => space.mapRegion(page! * PAGE, pages! * PAGE, READ));
    space.mapRegion(9 * PAGE, 1, READ);
    assert.equal(space.regions().length, 1);
    for (const start of [1, PAGE + 1, -1]) {
      expectCode("INVALID_ALIGNMENT", () => space.mapRegion(start, PAGE, READ));
      expectCode("INVALID_ALIGNMENT", () => space.unmapRegion(start, PAGE));
      expectCode("INVALID_ALIGNMENT", () => space.protect(start, PAGE, READ));
    }
    for (const trytes of [0, -1, 0.5, Number.NaN]) {
      expectCode("INVALID_ARGUMENT", () => space.mapRegion(0, trytes, READ));
      expectCode("INVALID_ARGUMENT", () => space.unmapRegion(0, trytes));
      expectCode("INVALID_ARGUMENT", () => space.read(0, trytes === 0 ? -1 : trytes));
    }
    for (const trytes of [3 ** 33, 2 ** 60, Number.POSITIVE_INFINITY])
      expectCode("INVALID_ADDRESS", () => space.mapRegion(0, trytes, READ));
    expectCode("ADDRESS_NOT_MAPPED", () => space.unmapRegion(40 * PAGE, 10 * PAGE));
  });

  it("cut a region where a page of it is unmapped", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(0, 9 * PAGE, WRITE);
    space.storeTryte(4 * PAGE, 44);
    const frame = space.unmap(4 * PAGE);
    assert.equal(ternary.frames.read(frame, 1)[0], 44);
    assert.deepEqual(
      space.regions().map(({ start, trytes }) => [start / PAGE, trytes / PAGE]),
      [
        [0, 4],
        [5, 4],
      ],
    );
    expectCode("ADDRESS_NOT_MAPPED", () => space.loadTryte(4 * PAGE));
    space.mapRegion(4 * PAGE, PAGE, WRITE);
    assert.equal(space.regions().length, 1);
    assert.equal(space.loadTryte(4 * PAGE), 0);
  });

  it("read and write ranges across pages and zones, all or nothing", () => {
    const { space } = openSpace(states);
    space.mapRegion(0, 100 * PAGE, WRITE);
    space.mapRegion(100 * PAGE, PAGE, READ);
    const trytes = Int16Array.from({ length: 70 * PAGE }, (_, i) => (i % 729) - 364);
    space.write(333, trytes);
    assert.deepEqual(space.read(333, trytes.length), trytes);
    assert.equal(space.loadTryte(332), 0);
    expectCode("PERMISSION_DENIED", () => space.write(99 * PAGE, new Int16Array(PAGE + 1).fill(9)));
    assert.deepEqual(space.read(99 * PAGE, PAGE), new Int16Array(PAGE));
    expectCode("ADDRESS_NOT_MAPPED", () => space.read(100 * PAGE, PAGE + 1));
    for (const bad of [[365], [-365], [0.5], [1, 2, Number.NaN]]) {
      expectCode("INVALID_ARGUMENT", () => space.write(0, bad));
      expectCode("INVALID_ARGUMENT", () => space.storeTryte(0, bad.at(-1)!));
    }
    expectCode("INVALID_ARGUMENT", () => space.write(0, null as never));
    space.write(5, []);
    assert.deepEqual(space.read(5, 0), new Int16Array(0));
  });

  it("read and write bytes, two a cell", () => {
    const { space } = openSpace(states);
    space.mapRegion(0, 10 * PAGE, WRITE);
    const bytes = Uint8Array.from({ length: 5001 }, (_, i) => i * 7);
    space.storeTryte(PAGE - 3 + 2500, 0x101);
    space.writeBytes(PAGE - 3, bytes);
    assert.deepEqual(space.readBytes(PAGE - 3, 5001), bytes);
    assert.equal(space.readBytes(PAGE - 3, 5002)[5001], 1);
    // Raw: what they make need not be a tryte.
    space.writeBytes(0, new Uint8Array([0xff, 0x7f, 0x01]));
    assert.deepEqual([space.loadTryte(0), space.loadTryte(1)], [0x7fff, 1]);
    expectCode("INVALID_ARGUMENT", () => space.writeBytes(0, [1, 2] as never));
    expectCode("ADDRESS_NOT_MAPPED", () => space.writeBytes(10 * PAGE - 1, new Uint8Array(3)));
  });

  it("are found again by name, dropped, and listed in the order of their making", () => {
    const { memory, ternary, space } = openSpace(states);
    const twin = memory.ternary("twin", fewFrames);
    assert.equal(ternary.space("main"), space);
    const table = ternary.pageTable("table");
    twin.space("main").mapRegion(0, PAGE, WRITE);
    const late = ternary.space("late");
    assert.deepEqual(ternary.spaces(), [space, late]);
    assert.equal(space.table, space);
    expectCode("LAYOUT", () => ternary.space("table"));
    expectCode("LAYOUT", () => ternary.pageTable("main"));
    for (const name of ["", "x".repeat(1017), 5 as never])
      expectCode("INVALID_ARGUMENT", () => ternary.space(name));
    ternary.space("x".repeat(1016)).drop();
    late.mapRegion(0, 5 * PAGE, WRITE);
    late.storeTryte(0, 1);
    late.activate();
    late.drop();
    table.drop();
    assert.equal(ternary.active, null);
    assert.equal(framesUsed(ternary), 0);
    for (const gone of [
      () => late.loadTryte(0),
      () => late.drop(),
      () => late.fork("f"),
      () => table.entry(0),
    ])
      expectCode("NOT_FOUND", gone);
    assert.deepEqual(ternary.spaces(), [space]);
    // Another one of that name, at the same place perhaps, has nothing of the first.
    const again = ternary.space("late");
    expectCode("ADDRESS_NOT_MAPPED", () => again.loadTryte(0));
    ternary.pageTable("late table");
    assert.equal(twin.space("main").loadTryte(0), 0);
  });

  it("ask for the mode at every access", () => {
    const { ternary, space } = openSpace(states);
    space.mapRegion(-PAGE, 2 * PAGE, WRITE);
    space.activate();
    ternary.storeTryte(-1, 1);
    ternary.lower(Mode.User);
    expectCode("PERMISSION_DENIED", () => ternary.loadTryte(-1));
    ternary.storeTryte(0, 1);
    ternary.raise(Mode.Hypervisor, ternary.gate);
    assert.equal(ternary.loadTryte(-1), 1);
  });
});

describe("ternary memory: spaces and their memory", () => {
  const states = States.forEachTest();

  it("are there again when it is opened again, with all that they had", () => {
    const { memory, ternary, space } = openSpace(states);
    space.mapRegion(0, 100 * PAGE, WRITE);
    space.write(0, new Int16Array(70 * PAGE).fill(6));
    ternary.pageTable("table").map(-PAGE, ternary.frames.allocate(), WRITABLE);
    const child = space.fork("child");
    child.storeTryte(0, 7);
    memory.close();
    const again = states.open().ternary("t");
    assert.equal(again.active, null);
    const [main, other] = again.spaces() as [AddressSpace, AddressSpace];
    assert.deepEqual([main.name, other.name, again.spaces().length], ["main", "child", 2]);
    assert.deepEqual(main.read(0, 70 * PAGE), new Int16Array(70 * PAGE).fill(6));
    assert.equal(other.loadTryte(0), 7);
    main.storeTryte(PAGE, 8);
    assert.equal(other.loadTryte(PAGE), 6);
    assert.equal(again.pageTable("table").entry(-1).present, 1);
    for (const closed of [() => space.loadTryte(0), () => space.storeTryte(0, 1), () => child.entry(0)])
      expectCode("CLOSED", closed);
  });

  it("are rolled back with it, whatever was looked up before", () => {
    const { memory, ternary, space } = openSpace(states, { autoCommit: false });
    space.mapRegion(0, 10 * PAGE, WRITE);
    space.storeTryte(0, 1);
    memory.commit();
    space.storeTryte(0, 2);
    space.storeTryte(PAGE, 2);
    space.protect(2 * PAGE, PAGE, READ);
    const child = space.fork("child");
    child.storeTryte(0, 3);
    memory.rollback();
    assert.deepEqual([space.loadTryte(0), framesUsed(ternary)], [1, 1]);
    assert.equal(space.entry(PAGE).present, 0);
    space.storeTryte(2 * PAGE, 1);
    for (const gone of [() => child.loadTryte(0), () => child.regions()]) expectCode("NOT_FOUND", gone);
    const again = space.fork("child");
    assert.equal(again.loadTryte(0), 1);
    assert.equal(child.loadTryte(0), 1);
    memory.commit();
    space.drop();
    memory.rollback();
    assert.equal(space.loadTryte(0), 1);
  });

  it("come back from a snapshot", () => {
    const { memory, space } = openSpace(states);
    space.mapRegion(0, 10 * PAGE, WRITE);
    space.storeTryte(0, 1);
    memory.snapshots.create("s");
    space.storeTryte(0, 2);
    const child = space.fork("child");
    const snapshot = states.adopt(memory.snapshots.open("s"));
    assert.equal(snapshot.ternary("t").space("main").loadTryte(0), 1);
    snapshot.close();
    memory.snapshots.restore("s");
    assert.equal(space.loadTryte(0), 1);
    expectCode("NOT_FOUND", () => child.loadTryte(0));
    space.storeTryte(0, 3);
    assert.equal(space.loadTryte(0), 3);
  });

  it("can be read in a memory that may only be read, where promised pages are zeros", () => {
    const { memory, ternary, space } = openSpace(states);
    space.mapRegion(0, 10 * PAGE, WRITE);
    space.storeTryte(0, 1);
    memory.commit();
    const reader = states.open({ readOnly: true });
    const twin = reader.ternary("t");
    const looked = twin.space("main");
    looked.activate();
    assert.deepEqual([twin.loadTryte(0), twin.loadTryte(5 * PAGE), framesUsed(twin)], [1, 0, 1]);
    assert.deepEqual(looked.read(0, 2), Int16Array.of(1, 0));
    assert.equal(looked.entry(0).accessed, 1);
    for (const change of [
      () => looked.storeTryte(0, 2),
      () => looked.write(0, [1]),
      () => looked.translate(5 * PAGE),
      () => looked.mapRegion(20 * PAGE, PAGE, READ),
      () => looked.unmapRegion(0, PAGE),
      () => looked.protect(0, PAGE, READ),
      () => looked.unmap(0),
      () => looked.fork("f"),
      () => looked.drop(),
      () => looked.map(20 * PAGE, ternary.frames.at(0), WRITABLE),
    ])
      expectCode("READ_ONLY", change);
    expectCode("NOT_FOUND", () => twin.space("none"));
    space.storeTryte(0, 2);
    memory.commit();
    assert.equal(looked.loadTryte(0), 1);
    reader.refresh();
    assert.equal(looked.loadTryte(0), 2);
  });

  it("can be far larger than the memory that holds them", () => {
    const memory = states.open({ windowBytes: 10 * 40_960, reserve: 2 ** 20 });
    const ternary = memory.ternary("t", { regions: [{ start: 2 ** 32, end: 2 ** 32 + 2 ** 30 }] });
    const space = ternary.space("main");
    space.mapRegion(0, 3 ** 25, WRITE);
    const step = 40 * PAGE + 1;
    for (let i = 0; i < 2000; i++) space.storeTryte(i * step, (i % 729) - 364);
    memory.commit();
    for (let i = 0; i < 2000; i += 3) assert.equal(space.loadTryte(i * step), (i % 729) - 364);
    assert.ok(memory.stats().heap.usedBytes < 4 * 2 ** 20);
  });

  it("say so when there is no memory for their tables, and have changed nothing", () => {
    const memory = states.open({ maxBytes: 2 ** 20, reserve: 2 ** 20 });
    const ternary = memory.ternary("t", { regions: [{ start: 0, end: 20 * FRAME }] });
    const space = ternary.space("main");
    const frame = ternary.frames.allocate();
    const usedBytes = () => memory.stats().heap.usedBytes;
    const before = usedBytes();
    space.mapRegion(0, 10 * PAGE, WRITE);
    space.mapRegion(PAGE * 3 ** 20, 10 * PAGE, WRITE);
    space.storeTryte(0, 1);
    space.storeTryte(PAGE * 3 ** 20, 1);
    assert.equal(space.statistics().tables, 5);
    const full = usedBytes();
    for (const refused of [
      () => space.map(PAGE * 3 ** 22, frame, WRITABLE),
      () => space.map(-PAGE * 3 ** 25, frame, WRITABLE),
      () => space.fork("child"),
    ])
      expectCode("OUT_OF_MEMORY", refused);
    assert.equal(usedBytes(), full);
    assert.deepEqual(ternary.spaces(), [space]);
    space.unmapRegion(PAGE * 3 ** 20, PAGE);
    const child = space.fork("child");
    for (const each of [space, child]) {
      for (const refused of [
        () => each.storeTryte(0, 2),
        () => each.storeTryte(PAGE, 2),
        () => each.unmap(0),
        () => each.protect(0, PAGE, READ),
        () => each.unmapRegion(0, PAGE),
      ])
        expectCode("OUT_OF_MEMORY", refused);
      assert.equal(each.loadTryte(0), 1);
      assert.deepEqual(each.regions(), space.regions());
    }
    child.drop();
    space.storeTryte(0, 2);
    space.drop();
    assert.ok(usedBytes() <= before + 8 * 4096);
  });

  it("suspend it when the storage fails in the middle of a change, but not when it fails in an access", () => {
    const storage = new FaultyStorage();
    storage.close = () => {}; // it is opened again
    const open = () => states.inStorage(storage, { autoCommit: false });
    const first = open();
    const space = first.ternary("t", fewFrames).space("main");
    space.mapRegion(0, 10 * PAGE, WRITE);
    space.write(0, new Int16Array(5 * PAGE).fill(3));
    first.close();
    const memory = open();
    const again = memory.ternary("t").space("main");
    assert.equal(again.loadTryte(0), 3);
    storage.failOn("read");
    expectCode("IO", () => again.loadTryte(4 * PAGE));
    expectCode("IO", () => again.storeTryte(4 * PAGE, 1));
    storage.heal();
    again.storeTryte(4 * PAGE, 1);
    assert.equal(again.loadTryte(4 * PAGE), 1);
    memory.rollback();
    again.fork("child");
    memory.close();
    const last = open();
    const child = last.ternary("t").space("child");
    // All that an access looks at is there, but not what a copy needs.
    assert.deepEqual([child.loadTryte(3 * PAGE), child.entry(3 * PAGE).global], [3, 0]);
    storage.failOn("read");
    expectCode("IO", () => child.storeTryte(3 * PAGE, 1));
    storage.heal();
    expectCode("SUSPENDED", () => child.storeTryte(3 * PAGE, 1));
    expectCode("SUSPENDED", () => child.mapRegion(20 * PAGE, PAGE, READ));
    assert.equal(child.loadTryte(3 * PAGE), 3);
    last.rollback();
    child.storeTryte(3 * PAGE, 1);
    const main: TernaryMemory = last.ternary("t");
    assert.equal(main.space("main").loadTryte(3 * PAGE), 3);
  });
});
