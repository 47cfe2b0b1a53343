import assert from "node:assert/strict";
import type { Memory, Region } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { FaultyStorage, States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";

const CLUSTER = 40_960;
const TYPES = {
  U8: "Uint8",
  I8: "Int8",
  U16: "Uint16",
  I16: "Int16",
  U32: "Uint32",
  I32: "Int32",
  U64: "BigUint64",
  I64: "BigInt64",
  F32: "Float32",
  F64: "Float64",
} as const;
type Calls = Record<string, (...args: unknown[]) => unknown>;
const calls = (target: object) => target as unknown as Calls;
const widthOf = (type: string) => Math.max(1, Number(type.slice(1)) / 8);

describe("memory: regions", () => {
  const states = States.forEachTest();
  const zeros = (region: Region, from: number, to: number) =>
    region.read(from, to - from).every((byte) => byte === 0);

  it("every accessor, across the ends of blocks and clusters, is what a DataView says", () =>
    withSeed("regions", (random) => {
      const memory = states.open({ autoCommit: false });
      const region = memory.region("r", 3 * CLUSTER);
      assert.equal(region.name, "r");
      const model = new DataView(new ArrayBuffer(3 * CLUSTER));
      for (const [type, view] of Object.entries(TYPES)) {
        for (const edge of [4096, CLUSTER, 2 * CLUSTER]) {
          for (let offset = edge - 9; offset < edge + 9; offset++) {
            const value = view.startsWith("Big")
              ? BigInt(random.next()) << 31n
              : random.next() - 2 ** 31 + 0.5;
            calls(region)[`set${type}`](offset, value);
            calls(model)[`set${view}`](offset, value, true);
            assert.deepEqual(calls(region)[`get${type}`](offset), calls(model)[`get${view}`](offset, true));
          }
        }
        const last = 3 * CLUSTER - widthOf(type);
        calls(region)[`set${type}`](last, view.startsWith("Big") ? 1n : 1);
        calls(model)[`set${view}`](last, view.startsWith("Big") ? 1n : 1, true);
      }
      assert.deepEqual(region.read(0, 3 * CLUSTER), new Uint8Array(model.buffer));
      memory.commit();
      const reader = states.open({ readOnly: true });
      assert.deepEqual(reader.region("r").read(0, 3 * CLUSTER), new Uint8Array(model.buffer));
    }));

  it("offsets that are none are refused by everything", () => {
    const memory = states.open();
    const region = memory.region("r", 100);
    region.write(0, new Uint8Array(100).fill(1));
    for (const offset of [-1, 100, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", undefined]) {
      for (const [type, view] of Object.entries(TYPES)) {
        expectCode("INVALID_ADDRESS", () => calls(region)[`get${type}`](offset));
        expectCode("INVALID_ADDRESS", () =>
          calls(region)[`set${type}`](offset, view.startsWith("Big") ? 1n : 1),
        );
      }
      expectCode("INVALID_ADDRESS", () => region.read(offset as number, 1));
      expectCode("INVALID_ADDRESS", () => region.write(offset as number, new Uint8Array(1)));
    }
    for (const type of Object.keys(TYPES))
      if (widthOf(type) > 1)
        expectCode("INVALID_ADDRESS", () => calls(region)[`get${type}`](101 - widthOf(type)));
    for (const length of [-1, 101, 0.5, Number.NaN])
      expectCode("INVALID_ADDRESS", () => region.read(0, length));
    for (const bytes of [null, [1], "text", new Uint16Array(1)])
      expectCode("INVALID_ARGUMENT", () => region.write(0, bytes as never));
    assert.equal(region.read(100, 0).length, 0);
    assert.ok(region.read(0, 100).every((byte) => byte === 1));
    for (const bytes of [-1, 0.5, Number.NaN, "5", null]) {
      expectCode("INVALID_ARGUMENT", () => memory.region("s", bytes as never));
      expectCode("INVALID_ARGUMENT", () => region.resize(bytes as never));
    }
    for (const bytes of [2 ** 52, 2 ** 53 - 1]) {
      expectCode("OUT_OF_MEMORY", () => memory.region("s", bytes));
      expectCode("OUT_OF_MEMORY", () => region.resize(bytes));
    }
    assert.equal(region.length, 100);
    expectCode("NOT_FOUND", () => memory.region("s"));
  });

  it("is resumed by its name, grows when more is asked for, never shrinks by that", () => {
    let memory = states.open();
    memory.region("r", 1000).setU32(996, 7);
    memory.close();
    memory = states.open();
    assert.equal(memory.region("r").length, 1000);
    assert.equal(memory.region("r", 10).length, 1000);
    const first = memory.region("r", 1000);
    const second = memory.region("r", 100_000);
    assert.equal(second.length, 100_000);
    assert.equal(first.length, 100_000, "both handles are of the same region");
    assert.equal(first.getU32(996), 7);
    second.setU32(99_996, 8);
    assert.equal(first.getU32(99_996), 8);
    const none = memory.region("empty", 0);
    assert.equal(none.length, 0);
    expectCode("INVALID_ADDRESS", () => none.getU8(0));
    none.resize(1);
    assert.equal(none.getU8(0), 0);
  });

  it("what is cut off reads as zeros when it grows again, committed between or not", () => {
    const memory = states.open({ autoCommit: false });
    const full = new Uint8Array(5 * CLUSTER).fill(0xee);
    for (const commits of [false, true]) {
      const region = memory.region(`r${commits}`, 5 * CLUSTER);
      for (const size of [
        0,
        1,
        4095,
        4096,
        CLUSTER - 1,
        CLUSTER,
        CLUSTER + 1,
        3 * CLUSTER,
        5 * CLUSTER - 1,
      ]) {
        region.write(0, full);
        if (commits) memory.commit();
        region.resize(size);
        assert.equal(region.length, size);
        expectCode("INVALID_ADDRESS", () => region.getU8(size));
        if (commits) memory.commit();
        region.resize(5 * CLUSTER);
        assert.ok(
          region.read(0, size).every((byte) => byte === 0xee),
          `${size} stay`,
        );
        assert.ok(zeros(region, size, 5 * CLUSTER), `zeros past ${size}`);
        if (commits) memory.commit();
      }
    }
    memory.commit();
    memory.rollback();
    assert.ok(zeros(memory.region("rtrue"), 5 * CLUSTER - 1, 5 * CLUSTER));
  });

  it("dropped, it is gone for every handle, its name is free and its bytes are zeros", () => {
    const memory = states.open({ autoCommit: false });
    const region = memory.region("r", 3 * CLUSTER);
    const second = memory.region("r");
    region.write(0, new Uint8Array(3 * CLUSTER).fill(1));
    memory.commit();
    const { liveBytes } = memory.stats().file!;
    region.drop();
    for (const each of [region, second]) {
      for (const call of [
        () => each.length,
        () => each.getU8(0),
        () => each.setU8(0, 1),
        () => each.read(0, 1),
        () => each.resize(5),
        () => each.drop(),
      ])
        expectCode("NOT_FOUND", call);
    }
    memory.commit();
    assert.ok(memory.stats().file!.liveBytes <= liveBytes - 3 * CLUSTER, "its blocks are given back");
    const other = memory.region("other", 3 * CLUSTER);
    assert.ok(zeros(other, 0, 3 * CLUSTER));
    other.setU8(0, 5);
    const again = memory.region("r", 10);
    assert.ok(zeros(again, 0, 10));
    assert.equal(second.length, 10, "a handle goes by the name");
    assert.equal(other.getU8(0), 5);
  });

  it("rollback: made, resized, dropped and written are undone", () => {
    const memory = states.open({ autoCommit: false });
    const region = memory.region("r", 2 * CLUSTER);
    region.setU32(CLUSTER, 1);
    memory.commit();
    region.resize(10);
    const young = memory.region("young", 10);
    memory.rollback();
    assert.equal(region.length, 2 * CLUSTER);
    assert.equal(region.getU32(CLUSTER), 1);
    expectCode("NOT_FOUND", () => young.length);
    region.setU32(CLUSTER, 2);
    region.drop();
    expectCode("NOT_FOUND", () => region.length);
    memory.rollback();
    assert.equal(region.getU32(CLUSTER), 1);
    assert.throws(() =>
      memory.transaction(() => {
        region.resize(5 * CLUSTER);
        region.setU32(4 * CLUSTER, 9);
        throw new Error("no");
      }),
    );
    assert.equal(region.length, 2 * CLUSTER);
    region.resize(5 * CLUSTER);
    assert.equal(region.getU32(4 * CLUSTER), 0);
  });

  it("far larger than its windows: everything is read back, spilled before its commit or not", () =>
    withSeed("spilled regions", (random) => {
      const clusters = 60;
      const options = { windowBytes: 0, autoCommit: false, durability: "none" } as const;
      let memory = states.open(options);
      const region = memory.region("r", clusters * CLUSTER);
      const model = new Uint32Array(clusters * 10);
      const look = (of: Memory) => {
        const r = of.region("r");
        return Uint32Array.from(model, (_, block) => r.getU32(4096 * block + 8));
      };
      let committed = model.slice();
      memory.commit();
      for (let i = 0; i < 3000; i++) {
        const block = random.below(model.length);
        model[block] = random.next();
        region.setU32(4096 * block + 8, model[block]);
        if (random.oneIn(5)) {
          const any = random.below(model.length);
          assert.equal(region.getU32(4096 * any + 8), model[any]);
        }
        if (random.oneIn(400)) {
          memory.commit();
          committed = model.slice();
        } else if (random.below(400) === 1) {
          memory.rollback();
          model.set(committed);
        }
      }
      assert.deepEqual(look(memory), model);
      memory.close();
      memory = states.open(options);
      assert.deepEqual(look(memory), model);
    }));

  it("a spill that fails loses nothing", () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage, { windowBytes: 0, autoCommit: false });
    const region = memory.region("r", 30 * CLUSTER);
    memory.commit();
    storage.failOn("write", "NO_SPACE");
    let done = 0;
    expectCode("NO_SPACE", () => {
      for (; done < 30; done++) region.setU8(done * CLUSTER, done + 1);
    });
    assert.ok(done >= 8 && done < 30);
    storage.heal();
    for (; done < 30; done++) region.setU8(done * CLUSTER, done + 1);
    for (let i = 0; i < 30; i++) assert.equal(region.getU8(i * CLUSTER), i + 1);
    memory.commit();
    memory.rollback();
    for (let i = 0; i < 30; i++) assert.equal(region.getU8(i * CLUSTER), i + 1);
  });

  it("2⁴⁰ bytes cost what is written of them", () => {
    const memory = states.open({ autoCommit: false });
    const region = memory.region("sparse", 2 ** 40);
    const offsets = [0, 4096, 2 ** 32, 2 ** 32 + 3, 2 ** 39 + 12_345, 2 ** 40 - 8];
    for (const offset of offsets) region.setU64(offset, BigInt(offset) + 1n);
    memory.commit();
    assert.ok(memory.stats().file!.bytes < 8 * 2 ** 20);
    assert.equal(region.length, 2 ** 40);
    const reader = states.open({ readOnly: true }).region("sparse");
    assert.equal(reader.getU64(2 ** 40 - 8), BigInt(2 ** 40 - 8) + 1n);
    assert.equal(reader.getU64(2 ** 38), 0n);
    memory.snapshots.create("s");
    region.resize(2 ** 33);
    region.resize(2 ** 40);
    assert.equal(region.getU64(2 ** 39 + 12_345), 0n);
    assert.equal(region.getU8(2 ** 32 + 3), (2 ** 32 + 4) & 0xff);
    using snapshot = memory.snapshots.open("s");
    assert.equal(snapshot.region("sparse").getU64(2 ** 39 + 12_345), BigInt(2 ** 39 + 12_346));
    region.drop();
    memory.commit();
  });

  it("moves when its neighbour is in the way, for every handle", () => {
    const memory = states.open({ autoCommit: false, windowBytes: 0 });
    const region = memory.region("r", 12 * CLUSTER);
    const second = memory.region("r");
    const data = new Uint8Array(12 * CLUSTER).map((_, i) => (i >>> 12) + 1);
    region.write(0, data);
    // An extent right behind it, as no headroom would leave: taken through the engine, which puts it a headroom further, and drawn near.
    const { engine } = memory;
    const { data: view, functions } = engine.core;
    const neighbour = functions.takeExtent(1) >>> 0;
    const own = view.getUint32(0x1000_0000 + 24, true);
    assert.notEqual(own, neighbour);
    const first = view.getBigUint64(own, true);
    engine.ensure(neighbour, 64, true);
    view.setBigUint64(neighbour, first + 12n, true);
    memory.commit();
    assert.equal(functions.resizeExtent(own, 13) >>> 0, engine.core.constants.MUST_MOVE);
    region.resize(13 * CLUSTER);
    assert.equal(region.length, 13 * CLUSTER);
    assert.deepEqual(region.read(0, 12 * CLUSTER), data);
    assert.ok(zeros(region, 12 * CLUSTER, 13 * CLUSTER));
    second.setU8(12 * CLUSTER, 7);
    assert.equal(region.getU8(12 * CLUSTER), 7);
    assert.deepEqual(second.read(0, 12 * CLUSTER), data);
    const { liveBytes } = memory.stats().file!;
    memory.rollback();
    assert.equal(region.length, 12 * CLUSTER);
    assert.deepEqual(second.read(0, 12 * CLUSTER), data);
    region.resize(13 * CLUSTER);
    memory.commit();
    assert.ok(memory.stats().file!.liveBytes <= liveBytes + 20 * 4096, "the old place is given back");
    engine.mutate(() => functions.giveExtent(neighbour));
  });

  it("of a closed memory is CLOSED", () => {
    const memory = states.open();
    const region = memory.region("r", 10);
    region.setU8(0, 1);
    memory.close();
    for (const call of [
      () => region.length,
      () => region.getU8(0),
      () => region.setU8(0, 2),
      () => region.resize(1),
      () => region.drop(),
      () => memory.region("r"),
    ])
      expectCode("CLOSED", call);
  });

  it("regions, resized and dropped at random, keep apart", () =>
    withSeed("many regions", (random) => {
      const memory = states.open({ autoCommit: false, durability: "none", windowBytes: 0 });
      let model = new Map<string, Uint8Array>();
      let committed = new Map(model);
      const sized = (from: Uint8Array, size: number) => {
        const bytes = new Uint8Array(size);
        bytes.set(from.subarray(0, size));
        return bytes;
      };
      const size = () => random.below(random.oneIn(3) ? 4 * CLUSTER : 5000);
      for (let i = 0; i < 250; i++) {
        const name = `r${random.below(6)}`;
        const bytes = model.get(name);
        if (bytes === undefined) {
          const length = size();
          memory.region(name, length);
          model.set(name, new Uint8Array(length));
        } else if (random.oneIn(8)) {
          memory.region(name).drop();
          model.delete(name);
        } else if (random.oneIn(4)) {
          const length = size();
          memory.region(name).resize(length);
          model.set(name, sized(bytes, length));
        } else if (bytes.length > 0) {
          const at = random.below(bytes.length);
          const part = random.bytes(1 + random.below(Math.min(9000, bytes.length - at)));
          memory.region(name).write(at, part);
          const changed = bytes.slice();
          changed.set(part, at);
          model.set(name, changed);
        }
        if (random.oneIn(20)) {
          memory.commit();
          committed = new Map(model);
        } else if (random.below(25) === 0) {
          memory.rollback();
          model = new Map(committed);
        }
        if (random.oneIn(10))
          for (const [each, expected] of model)
            assert.deepEqual(memory.region(each).read(0, expected.length), expected);
      }
      for (const [each, expected] of model) {
        assert.equal(memory.region(each).length, expected.length);
        assert.deepEqual(memory.region(each).read(0, expected.length), expected);
      }
    }));
});
