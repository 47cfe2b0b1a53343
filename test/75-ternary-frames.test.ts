// Frames as programs see them: which regions there are, modes, who holds what, views of physical memory, the accounting check, and every error.

import assert from "node:assert/strict";
import { rangesOf } from "../bindings/api/ternary/regions.js";
import {
  type Frame,
  type Gate,
  type MemoryRegion,
  Mode,
  PAGE_TRYTES,
  type TernaryOptions,
  Zone,
} from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { FaultyStorage, States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";
import { smallRegions, zoneByHand } from "./support/ternary-memory-model.js";

const FRAME = 1458;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const small: TernaryOptions = { lowBytes: 10 * FRAME, highBytes: 31 * FRAME };

describe("ternary memory: regions", () => {
  const states = States.forEachTest();
  const cut = (start: number, end: number) => rangesOf({ regions: [{ start, end }] });

  it("are rounded inward and cut where the zones meet, whatever bytes they begin and end with", () =>
    withSeed("ternary regions", (random) => {
      const edges = [0, FRAME, 2 ** 24, 2 ** 32, 2 ** 40, FRAME * ((3 ** 21 + 1) / 2)];
      for (let i = 0; i < 3000; i++) {
        const pick = () => random.pick(edges) + random.below(5 * FRAME) * random.pick([-1, 0, 1]);
        const [start, end] = [pick(), pick()];
        const first = Math.ceil(start / FRAME);
        const last = Math.floor(end / FRAME) - 1;
        const isRange = start >= 0 && start < end && end <= edges.at(-1)!;
        const across = Math.floor(2 ** 32 / FRAME);
        if (!isRange || first > last || (first === across && last === across)) {
          expectCode("INVALID_ARGUMENT", () => cut(start, end));
          continue;
        }
        const ranges = cut(start, end);
        // The frame that lies across 4 GiB is the only one that is missing.
        const missing = first <= across && across <= last ? 1 : 0;
        assert.equal(
          ranges.reduce((sum, { count }) => sum + count, 0),
          last - first + 1 - missing,
        );
        assert.equal(ranges[0]!.first, first === across ? across + 1 : first);
        for (const range of ranges) {
          assert.ok(range.count > 0 && range.count <= 27 * 2 ** 26);
          for (const number of [range.first, range.first + range.count - 1])
            assert.equal(range.zone, zoneByHand(number), `frame ${number}`);
        }
      }
    }));

  it("that nobody names are 32 MiB", () => {
    const { frames } = states.open().ternary("t");
    assert.deepEqual(frames.ranges, [
      { first: 0, count: 11_507, zone: Zone.DMA },
      { first: 11_507, count: Math.floor((32 * MIB) / FRAME) - 11_507, zone: Zone.Normal },
    ]);
    expectCode("OUT_OF_MEMORY", () => frames.allocate(Zone.High));
  });

  it("reach as far as 21 trits, and cost next to nothing when they are high", () => {
    const memory = states.open();
    const { frames } = memory.ternary("t", { lowBytes: MIB, highBytes: 256 * GIB });
    const frame = frames.allocate(Zone.High);
    assert.equal(frame.startAddress, frame.number * PAGE_TRYTES);
    assert.ok(memory.stats().heap.extentBytes < 40 * MIB);
    memory.commit();
    assert.ok(memory.stats().file!.bytes < 4 * MIB);
    assert.deepEqual(cut(2 ** 32, FRAME * ((3 ** 21 + 1) / 2)).length, 3);
  });

  it("follow the document: 1 to 16 MB and 16 to 256 MB", () => {
    const regions = [
      { start: 0x100000, end: 0x1000000 },
      { start: 0x1000000, end: 0x10000000 },
    ];
    const { frames } = states.open().ternary("t", { regions });
    const { totalFrames, byZone } = frames.statistics();
    assert.equal(byZone[Zone.DMA].totalFrames, 11_507 - 720);
    assert.equal(byZone[Zone.Normal].totalFrames, Math.floor(0x10000000 / FRAME) - 11_508);
    assert.equal(totalFrames, byZone[0].totalFrames + byZone[1].totalFrames);
  });

  it("that cannot be are refused, and nothing is made", () => {
    const memory = states.open();
    const bad: unknown[] = [
      { regions: [] },
      { regions: [{ start: 0, end: FRAME - 1 }] },
      { regions: [{ start: FRAME, end: 0 }] },
      { regions: [{ start: 0.5, end: FRAME }] },
      { regions: [{ start: -1, end: FRAME }] },
      { regions: [{ start: 0, end: Number.NaN }] },
      { regions: [{ start: 0, end: 2 ** 50 }] },
      {
        regions: [
          { start: 0, end: 5 * FRAME },
          { start: 5 * FRAME - 1, end: 9 * FRAME },
        ],
      },
      { regions: [{ start: 0, end: FRAME }], lowBytes: FRAME },
      { lowBytes: 0 },
      { lowBytes: 100 },
      { lowBytes: 4 * GIB + 1 },
      { highBytes: -1 },
      { highBytes: "1" },
      { windowBytes: 0 },
      { windowBytes: 1.5 },
    ];
    for (const options of bad)
      expectCode("INVALID_ARGUMENT", () => memory.ternary("t", options as TernaryOptions));
    expectCode("OUT_OF_MEMORY", () => memory.ternary("t", { lowBytes: 4 * GIB }));
    const many = Array.from(
      { length: 257 },
      (_, i): MemoryRegion => ({ start: 2 * i * FRAME, end: (2 * i + 1) * FRAME }),
    );
    expectCode("LIMIT", () => memory.ternary("t", { regions: many }));
    expectCode("INVALID_ARGUMENT", () => memory.ternary("", small));
    assert.equal(memory.check().liveBlocks, 0);
  });
});

describe("ternary memory: by name", () => {
  const states = States.forEachTest();

  it("is made once and found again, the same object each time", () => {
    const memory = states.open();
    const ternary = memory.ternary("t", small);
    const frame = ternary.frames.allocate();
    ternary.frames.write(frame, [1, -364, 364]);
    assert.equal(memory.ternary("t"), ternary);
    assert.equal(memory.ternary("t", { lowBytes: 10 * FRAME, highBytes: 31 * FRAME }), ternary);
    assert.notEqual(memory.ternary("other", small), ternary);
    memory.close();
    const again = states.open().ternary("t");
    assert.deepEqual([...again.frames.read(frame, 4)], [1, -364, 364, 0]);
    assert.deepEqual(again.frames.ownersOf(frame), { held: true, mappings: 0 });
  });

  it("is not what it was not: LAYOUT says what differs", () => {
    const memory = states.open();
    memory.ternary("t", small);
    for (const options of [
      { lowBytes: 11 * FRAME, highBytes: 31 * FRAME },
      { lowBytes: 10 * FRAME },
      { highBytes: 31 * FRAME },
    ]) {
      const { message } = expectCode("LAYOUT", () => memory.ternary("t", options));
      assert.match(message, /DMA 0 … 9, High 2945794 … 2945823/);
    }
  });

  it("shows high memory through as many windows as it is told", () => {
    const memory = states.open();
    const { frames } = memory.ternary("t", { highBytes: 40 * MIB, windowBytes: 9 * 40_960 });
    for (const frame of frames.allocateContiguous(10_000, Zone.High))
      frames.write(frame, [frame.number % 300]);
    const { core } = memory.engine;
    assert.equal(core.data.getUint32(core.constants.WINDOW_LIMIT!, true), 9);
    for (const number of [0, 1, 5000, 9999].map((i) => 2_945_794 + i))
      assert.equal(frames.loadTryte(number * PAGE_TRYTES), number % 300);
  });

  it("that a rollback or a restore took away is NOT_FOUND, and can be made anew", () => {
    const memory = states.open({ autoCommit: false });
    memory.snapshots.create("before");
    const first = memory.ternary("t", small);
    memory.rollback();
    for (const use of [
      () => first.frames.allocate(),
      () => first.frames.statistics(),
      () => first.frames.ranges,
    ])
      expectCode("NOT_FOUND", use);
    const second = memory.ternary("t", { lowBytes: 5 * FRAME });
    assert.ok(second.gate !== undefined);
    second.frames.allocate();
    memory.commit();
    memory.snapshots.restore("before");
    expectCode("NOT_FOUND", () => second.frames.allocate());
    memory.ternary("t", small);
    assert.equal(second.frames.statistics().totalFrames, 40);
    memory.close();
    expectCode("CLOSED", () => second.frames.allocate());
  });

  it("can be looked at by readers, who cannot make one nor change it", () => {
    const memory = states.open({ autoCommit: false });
    const { frames } = memory.ternary("t", small);
    const frame = frames.allocate(Zone.DMA);
    frames.write(frame, [7]);
    const reader = states.open({ readOnly: true });
    expectCode("NOT_FOUND", () => reader.ternary("t"));
    memory.commit();
    reader.refresh();
    const seen = reader.ternary("t");
    assert.equal(seen.frames.loadTryte(frame.startAddress), 7);
    assert.equal(seen.frames.view([frame]).array[0], 7);
    assert.equal(seen.frames.statistics().usedFrames, 1);
    for (const change of [
      () => seen.frames.allocate(),
      () => seen.frames.deallocate(frame),
      () => seen.frames.write(frame, [1]),
      () => seen.frames.view([frame], { writable: true }),
    ])
      expectCode("READ_ONLY", change);
    expectCode("PERMISSION_DENIED", () => seen.gate);
  });

  it("has modes: less is free, more takes the gate of whoever made it", () => {
    const memory = states.open();
    const ternary = memory.ternary("t", small);
    const { gate } = ternary;
    assert.equal(ternary.mode, Mode.Kernel);
    expectCode("PERMISSION_DENIED", () => ternary.lower(Mode.Hypervisor));
    ternary.raise(Mode.Hypervisor, gate);
    for (const mode of [Mode.Kernel, Mode.Supervisor, Mode.Supervisor, Mode.User]) {
      ternary.lower(mode);
      assert.equal(ternary.mode, mode);
    }
    for (const other of [memory.ternary("other", small).gate, {} as Gate, null as unknown as Gate])
      expectCode("PERMISSION_DENIED", () => ternary.raise(Mode.Kernel, other));
    assert.equal(ternary.mode, Mode.User);
    for (const mode of [-1, 4, 0.5, "User", undefined] as unknown as Mode[]) {
      expectCode("INVALID_ARGUMENT", () => ternary.lower(mode));
      expectCode("INVALID_ARGUMENT", () => ternary.raise(mode, gate));
    }
    ternary.raise(Mode.Kernel, gate);
    assert.equal(ternary.mode, Mode.Kernel);
    memory.close();
    const again = states.open().ternary("t");
    assert.equal(again.mode, Mode.Kernel);
    expectCode("PERMISSION_DENIED", () => again.gate);
    expectCode("PERMISSION_DENIED", () => again.raise(Mode.Hypervisor, gate));
  });
});

describe("ternary memory: frames", () => {
  const states = States.forEachTest();
  const make = (options = small) => states.open({ autoCommit: false }).ternary("t", options);

  it("without a zone come from Normal, then High, and from DMA last", () => {
    const { frames } = make(smallRegions);
    const order: Zone[] = [];
    for (let frame = frames.tryAllocate(); frame !== null; frame = frames.tryAllocate())
      if (order.at(-1) !== frame.zone) order.push(frame.zone);
    assert.deepEqual(order, [Zone.Normal, Zone.High, Zone.DMA]);
    assert.equal(frames.statistics().freeFrames, 0);
  });

  it("that there are not: null, or OUT_OF_MEMORY", () => {
    const { frames } = make();
    frames.allocateContiguous(10, Zone.DMA);
    for (const zone of [Zone.DMA, Zone.Normal]) {
      assert.equal(frames.tryAllocate(zone), null);
      assert.equal(frames.tryAllocateContiguous(2, zone), null);
      assert.equal(frames.tryAllocateLarge(zone), null);
      expectCode("OUT_OF_MEMORY", () => frames.allocate(zone));
      expectCode("OUT_OF_MEMORY", () => frames.allocateContiguous(2, zone));
      expectCode("OUT_OF_MEMORY", () => frames.allocateLarge(zone));
      expectCode("OUT_OF_MEMORY", () => frames.guard(zone));
    }
    for (const count of [31, 2 ** 32 - 1, 2 ** 32, 2 ** 52])
      assert.equal(frames.tryAllocateContiguous(count), null);
    assert.equal(frames.allocateContiguous(30).length, 30);
    expectCode("OUT_OF_MEMORY", () => frames.allocate());
  });

  it("for a large page are three, the first at a multiple of three", () => {
    const { frames } = make();
    for (let i = 0; i < 3; i++)
      assert.deepEqual(
        frames.allocateLarge(Zone.DMA).map(({ number }) => number),
        [3 * i, 3 * i + 1, 3 * i + 2],
      );
    assert.equal(frames.tryAllocateLarge(Zone.DMA), null);
    const high = frames.allocateLarge();
    assert.equal(high[0]!.number % 3, 0);
    frames.write(high[0]!, new Int16Array(2187).fill(3));
    assert.ok(frames.read(high[0]!, 2187).every((tryte) => tryte === 3));
  });

  it("are given back once", () => {
    const ternary = make();
    const { frames } = ternary;
    const frame = frames.allocate(Zone.DMA);
    frames.deallocate(frame);
    expectCode("DOUBLE_FREE", () => frames.deallocate(frame));
    expectCode("INVALID_ADDRESS", () => frames.deallocate({ ...frame, number: 9 }));
    expectCode("INVALID_ADDRESS", () => frames.deallocate({ ...frame, number: 10 }));
    for (const number of [-1, 0.5, Number.NaN, 2 ** 53, 2 ** 70])
      expectCode("INVALID_ADDRESS", () => frames.deallocate({ ...frame, number }));
    for (const none of [undefined, null, {}, 3, { number: "0" }] as unknown as Frame[])
      expectCode("INVALID_ARGUMENT", () => frames.deallocate(none));
    expectCode("INVALID_ADDRESS", () => frames.at(10));
    expectCode("INVALID_ADDRESS", () => frames.ownersOf({ ...frame, number: 10 }));
    for (const zone of [3, -1, "DMA"] as unknown as Zone[])
      expectCode("INVALID_ARGUMENT", () => frames.allocate(zone));
    for (const count of [0, -1, 1.5, "2"] as number[])
      expectCode("INVALID_ARGUMENT", () => frames.allocateContiguous(count));
    assert.equal(frames.statistics().usedFrames, 0);
  });

  it("of the High zone have owners of their own, one beyond a cluster of owner words as well", () => {
    const ternary = states
      .open({ autoCommit: false })
      .ternary("m", { lowBytes: 0, highBytes: 1458 * 22_000 });
    const { frames } = ternary;
    const all = frames.allocateContiguous(21_000, Zone.High);
    for (const frame of all) assert.deepEqual(frames.ownersOf(frame), { held: true, mappings: 0 });
    for (const frame of all) frames.deallocate(frame);
    assert.equal(frames.statistics().usedFrames, 0);
  });

  it("are given back all together, or none of them", () => {
    const { frames } = make();
    const run = frames.allocateContiguous(5, Zone.DMA);
    frames.deallocate(run[3]!);
    expectCode("DOUBLE_FREE", () => frames.deallocateAll(run));
    expectCode("DOUBLE_FREE", () => frames.deallocateAll([run[0]!, run[1]!, run[0]!]));
    expectCode("INVALID_ADDRESS", () => frames.deallocateAll([run[0]!, { ...run[0]!, number: 10 }]));
    const view = frames.view([run[1]!]);
    expectCode("BUSY", () => frames.deallocateAll([run[0]!, run[1]!]));
    view.close();
    assert.equal(frames.statistics().usedFrames, 4);
    frames.deallocateAll([run[4]!, run[0]!, run[2]!, run[1]!]);
    assert.equal(frames.statistics().usedFrames, 0);
  });

  it("under a guard live as long as it does", () => {
    const memory = states.open({ autoCommit: false });
    const { frames } = memory.ternary("t", small);
    const used = () => frames.statistics().usedFrames;
    const guard = frames.guard(Zone.High);
    assert.equal(guard.frame.zone, Zone.High);
    assert.ok(frames.ownersOf(guard.frame).held);
    guard[Symbol.dispose]();
    guard[Symbol.dispose]();
    assert.equal(used(), 0);
    const kept = frames.guard();
    const frame = kept.release();
    kept[Symbol.dispose]();
    assert.equal(used(), 1);
    frames.deallocate(frame);
    // What a rollback took away is not given back again, whoever has it now.
    memory.commit();
    const lost = frames.guard(Zone.DMA);
    memory.rollback();
    const other = frames.allocate(Zone.DMA);
    assert.equal(other.number, lost.frame.number);
    lost[Symbol.dispose]();
    assert.ok(frames.ownersOf(other).held);
    // What was committed before it is.
    const committed = frames.guard();
    assert.throws(() => memory.transaction(() => assert.fail("on purpose")), /on purpose/);
    assert.equal(used(), 2);
    committed[Symbol.dispose]();
    assert.equal(used(), 1);
  });

  it("fragment: what part of the free ones lies outside of the longest run", () => {
    const { frames } = make({ lowBytes: 10 * FRAME });
    const all = frames.allocateContiguous(10);
    assert.equal(frames.statistics().fragmentationPercent, 0);
    for (const i of [0, 2, 3, 4, 9]) frames.deallocate(all[i]!);
    const expected = { totalFrames: 10, freeFrames: 5, usedFrames: 5, fragmentationPercent: 40 };
    const none = { totalFrames: 0, freeFrames: 0, usedFrames: 0, fragmentationPercent: 0 };
    assert.deepEqual(frames.statistics(), { ...expected, byZone: [expected, none, none] });
    expectCode("OUT_OF_MEMORY", () => frames.allocateContiguous(4));
    assert.equal(frames.allocateContiguous(3)[0]!.number, 2);
  });

  it("when the file cannot be read are not handed out, and nothing is until the rollback", () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage, { autoCommit: false });
    const { frames } = memory.ternary("t", small);
    const frame = frames.allocate(Zone.High);
    memory.commit();
    frames.deallocate(frame);
    memory.rollback();
    storage.failOn("read");
    expectCode("IO", () => frames.deallocate(frame));
    storage.heal();
    expectCode("SUSPENDED", () => frames.allocate());
    memory.rollback();
    frames.deallocate(frame);
    assert.deepEqual(memory.check().problems, []);
  });
});

describe("ternary memory: physical memory", () => {
  const states = States.forEachTest();

  it("is read and written across frames, by the kernel and above", () => {
    const memory = states.open();
    const ternary = memory.ternary("t", small);
    const { frames } = ternary;
    for (const zone of [Zone.DMA, Zone.High]) {
      const [first] = frames.allocateContiguous(3, zone) as [Frame];
      const cells = Int16Array.from({ length: 1500 }, (_, i) => (i % 729) - 364);
      frames.write(first.startAddress + 500, cells);
      assert.deepEqual(frames.read(first.startAddress + 500, 1500), cells);
      assert.equal(frames.loadTryte(first.startAddress + 499), 0);
      frames.storeTryte(first.startAddress + 2186, -364);
      assert.equal(frames.loadTryte(first.startAddress + 2186), -364);
      expectCode("INVALID_ADDRESS", () => frames.write(first.startAddress + 2000, new Int16Array(300)));
      expectCode("INVALID_ADDRESS", () => frames.loadTryte(first.startAddress + 2187));
    }
    for (const address of [-1, 0.5, Number.NaN, 2 ** 53])
      expectCode("INVALID_ADDRESS", () => frames.loadTryte(address));
    expectCode("INVALID_ADDRESS", () => frames.read(0, -1));
    for (const tryte of [365, -365, 0.5, Number.NaN, "1"] as number[])
      expectCode("INVALID_ARGUMENT", () => frames.storeTryte(0, tryte));
    expectCode("INVALID_ARGUMENT", () => frames.write(0, null as unknown as number[]));
    ternary.lower(Mode.Supervisor);
    for (const use of [
      () => frames.loadTryte(0),
      () => frames.storeTryte(0, 1),
      () => frames.view([frames.at(0)]),
    ])
      expectCode("PERMISSION_DENIED", use);
  });

  it("of the DMA zone is one typed array, all 16 MB of it", () => {
    const memory = states.open({ autoCommit: false, reserve: 64 * MIB });
    const { frames } = memory.ternary("t", { lowBytes: 17 * MIB });
    const buffer = frames.allocateContiguous(11_507, Zone.DMA);
    const trytes = 11_507 * PAGE_TRYTES;
    const view = frames.view(buffer);
    assert.equal(view.array.length, trytes);
    for (let i = 0; i < trytes; i += 997) view.array[i] = (i % 729) - 364;
    memory.commit();
    view.array[trytes - 1] = 5;
    memory.commit();
    view.array[0] = 77;
    memory.rollback();
    assert.equal(view.array[0], -364);
    expectCode("BUSY", () => frames.deallocate(buffer[11_506]!));
    view.close();
    expectCode("CLOSED", () => view.array);
    memory.close();
    const again = states.open().ternary("t").frames;
    const { array } = again.view(again.allocateContiguous(1, Zone.Normal));
    assert.equal(array.length, PAGE_TRYTES);
    const seen = again.view(buffer, { writable: false }).array;
    for (let i = 0; i < trytes - 1; i += 997) assert.equal(seen[i], (i % 729) - 364);
    assert.equal(seen[trytes - 1], 5);
    assert.equal(again.loadTryte(buffer[11_506]!.startAddress + 728), 5);
  });

  it("that a rollback took away closes its views, and leaves no trace", () => {
    const memory = states.open({ autoCommit: false });
    const { frames } = memory.ternary("t", { lowBytes: 100 * FRAME });
    const kept = frames.allocateContiguous(5);
    memory.commit();
    const lost = frames.allocateContiguous(5);
    const [old, fresh] = [frames.view(kept), frames.view(lost)];
    old.array.fill(1);
    fresh.array.fill(2);
    memory.rollback();
    expectCode("CLOSED", () => fresh.array);
    assert.ok(old.array.every((tryte) => tryte === 0));
    old.close();
    assert.deepEqual(memory.check().problems, []);
    assert.ok(frames.view(frames.allocateContiguous(5)).array.every((tryte) => tryte === 0));
  });

  it("has no view of frames that are high, apart, free, or of two regions", () => {
    const memory = states.open();
    const { frames } = memory.ternary("t", {
      regions: [
        { start: 0, end: 5 * FRAME },
        { start: 5 * FRAME, end: 9 * FRAME },
        { start: 2 ** 32, end: 2 ** 32 + 5 * FRAME },
      ],
    });
    const low = [...frames.allocateContiguous(5, Zone.DMA), ...frames.allocateContiguous(4, Zone.DMA)];
    const high = frames.allocate(Zone.High);
    const bad = [
      [],
      [high],
      [low[0]!, low[2]!],
      [low[1]!, low[0]!],
      [low[4]!, low[5]!],
      [{}],
      null,
    ] as unknown as Frame[][];
    for (const each of bad) expectCode("INVALID_ARGUMENT", () => frames.view(each));
    frames.deallocate(low[3]!);
    expectCode("INVALID_ADDRESS", () => frames.view(low.slice(2, 5)));
    assert.equal(frames.view(low.slice(0, 3)).array.length, 3 * PAGE_TRYTES);
  });
});

describe("ternary memory: the accounting check", () => {
  const states = States.forEachTest();

  it("finds every record and area that is not as it should be", () => {
    const damage: Record<string, (at: { record: number; low: number; high: number }) => [number, number]> = {
      "its records": ({ record }) => [record, 0x1400_0010],
      "a count of regions": ({ record }) => [record + 4, 60_000],
      capacity: ({ low }) => [low, 39],
      end: ({ low }) => [low + 4, 5],
      "free frames": ({ low }) => [low + 8, 3],
      "a used frame that is free": ({ low }) => [-(low + 16), 0],
      bounds: ({ high }) => [high + 20, 0x1400_0010],
      "the bitmap of another": ({ low, high }) => [high + 16, -(low + 16)],
      "what is reserved": ({ low }) => [low + 24, 1],
      "recent frames": ({ low }) => [low + 28, 25],
      "the first frame": ({ low }) => [low + 128, 11_500],
      "another zone": ({ low }) => [low + 136, 1],
      "where frames are": ({ low }) => [low + 140, 0x1400_0010],
      "owner words": ({ low }) => [-(low + 156), 0],
      "the cluster of frames": ({ high }) => [high + 144, 1],
      "the extent": ({ high }) => [high + 152, 0x1400_0010],
      "the cluster of owner words": ({ high }) => [high + 160, 3],
    };
    const memory = states.open({ autoCommit: false });
    const ternary = memory.ternary("t", small);
    const { frames } = ternary;
    for (const zone of [Zone.DMA, Zone.High])
      frames
        .allocateContiguous(8, zone)
        .slice(2, 4)
        .forEach((f) => frames.deallocate(f));
    memory.commit();
    const { record } = ternary;
    const low = memory.getU32(record);
    for (const [what, where] of Object.entries(damage)) {
      // A negative number stands for what lies at that address.
      const [address, value] = where({ record, low, high: low + 256 }).map((n) =>
        n < 0 ? memory.getU32(-n) : n,
      ) as [number, number];
      memory.setU32(address, value);
      assert.ok(memory.check().problems.length > 0, `${what}: nothing was found`);
      memory.rollback();
    }
    // What lies in the high image: the word of a used frame, committed and not.
    const cluster = 2 ** 32 / FRAME;
    const clusters = Math.floor((2_945_794 + 29) / 27) - Math.floor(Math.ceil(cluster) / 27) + 1;
    const word = memory.engine.windowOf(memory.getU32(low + 256 + 144) + clusters);
    memory.engine.ensure(word, 4, true);
    memory.engine.core.data.setUint32(word, 0, true);
    assert.match(memory.check().problems.join(), /frame 2945794 is used, but of nobody/);
    memory.rollback();
    assert.deepEqual(memory.check().problems, []);
  });
});
