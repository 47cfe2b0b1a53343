import assert from "node:assert/strict";
import type { Memory, Ptr } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { type Random, withSeed } from "./support/random.js";

const HEAP = 0x1400_0000;
const BLOCK = 4096;

interface Accessor {
  type: "U8" | "I8" | "U16" | "I16" | "U32" | "I32" | "U64" | "I64" | "F32" | "F64";
  bytes: number;
  view: string;
}

const ACCESSORS: readonly Accessor[] = [
  { type: "U8", bytes: 1, view: "Uint8" },
  { type: "I8", bytes: 1, view: "Int8" },
  { type: "U16", bytes: 2, view: "Uint16" },
  { type: "I16", bytes: 2, view: "Int16" },
  { type: "U32", bytes: 4, view: "Uint32" },
  { type: "I32", bytes: 4, view: "Int32" },
  { type: "U64", bytes: 8, view: "BigUint64" },
  { type: "I64", bytes: 8, view: "BigInt64" },
  { type: "F32", bytes: 4, view: "Float32" },
  { type: "F64", bytes: 8, view: "Float64" },
];

type Calls = Record<string, (...args: unknown[]) => unknown>;
const calls = (target: object) => target as unknown as Calls;

const NUMBERS = [
  0,
  1,
  -1,
  127,
  128,
  255,
  256,
  -129,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 + 5,
  1.5,
  -0,
  1e300,
  Number.NaN,
];
const BIGINTS = [0n, 1n, -1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n + 5n, 0x0102_0304_0506_0708n];

const valueFor = ({ view }: Accessor, random: Random) =>
  view.startsWith("Big") ? random.pick(BIGINTS) : random.pick(NUMBERS);

describe("memory: access", () => {
  const states = States.forEachTest();

  it("every type at every alignment around a block's end is what a DataView says", () =>
    withSeed("accessors", (random) => {
      const memory = states.open();
      const p = memory.alloc(3 * BLOCK, { align: BLOCK });
      const model = new DataView(new ArrayBuffer(3 * BLOCK));
      for (const accessor of ACCESSORS) {
        for (let offset = BLOCK - 9; offset <= BLOCK + 9; offset++) {
          const value = valueFor(accessor, random);
          calls(memory)[`set${accessor.type}`](p.address + offset, value);
          calls(model)[`set${accessor.view}`](offset, value, true);
          const through = p.add(offset) as unknown as Record<string, unknown>;
          const expected = calls(model)[`get${accessor.view}`](offset, true);
          assert.deepEqual(calls(memory)[`get${accessor.type}`](p.address + offset), expected);
          assert.deepEqual(through[accessor.type.toLowerCase()], expected);
        }
        assert.deepEqual(p.read(3 * BLOCK), new Uint8Array(model.buffer), accessor.type);
      }
    }));

  it("random access, with commits, rollbacks and reopenings between, is what a DataView says", () =>
    withSeed("random access", (random) => {
      const length = 5 * BLOCK;
      let memory = states.open({ durability: "none", autoCommit: false });
      const { address } = memory.root("data", () => memory.alloc(length, { align: BLOCK }));
      let model = new Uint8Array(length);
      let committed = model.slice();
      memory.commit();
      for (let i = 0; i < 4000; i++) {
        const accessor = random.pick(ACCESSORS);
        const near = random.oneIn(2)
          ? BLOCK * (1 + random.below(4)) - 8 + random.below(16)
          : random.below(length);
        const offset = Math.min(near, length - accessor.bytes);
        const view = new DataView(model.buffer);
        if (random.oneIn(2)) {
          const value = valueFor(accessor, random);
          calls(memory)[`set${accessor.type}`](address + offset, value);
          calls(view)[`set${accessor.view}`](offset, value, true);
        }
        const found = calls(memory)[`get${accessor.type}`](address + offset);
        assert.deepEqual(found, calls(view)[`get${accessor.view}`](offset, true), `step ${i}`);
        if (random.oneIn(40)) {
          const bytes = random.bytes(random.below(2 * BLOCK + 2));
          const at = random.below(length - bytes.length);
          memory.write(address + at, bytes);
          model.set(bytes, at);
        }
        if (random.oneIn(60)) {
          memory.commit();
          committed = model.slice();
        } else if (random.below(60) === 1) {
          memory.rollback();
          model = committed.slice();
        } else if (random.oneIn(300)) {
          memory.close();
          committed = model.slice();
          memory = states.open({ durability: "none", autoCommit: false });
        }
      }
      assert.deepEqual(memory.read(address, length), model);
    }));

  const WILD = [
    0,
    -1,
    HEAP - 1,
    HEAP - 4,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 32 + HEAP,
    2 ** 53,
    1e300,
    -HEAP,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    HEAP + 0.5,
  ];

  function refuseAll(memory: Memory, addresses: readonly unknown[]): void {
    for (const address of addresses) {
      for (const accessor of ACCESSORS) {
        const value = accessor.view.startsWith("Big") ? 1n : 1;
        const { message } = expectCode("INVALID_ADDRESS", () =>
          calls(memory)[`get${accessor.type}`](address),
        );
        assert.ok(message.length > 10);
        expectCode("INVALID_ADDRESS", () => calls(memory)[`set${accessor.type}`](address, value));
      }
      expectCode("INVALID_ADDRESS", () => memory.read(address as number, 1));
      expectCode("INVALID_ADDRESS", () => memory.write(address as number, new Uint8Array(1)));
    }
  }

  for (const checks of [false, true]) {
    it(`addresses that are none are refused by every accessor${checks ? ", with checks" : ""}`, () => {
      const memory = states.open({ checks });
      refuseAll(memory, WILD);
      const p = memory.alloc(64);
      p.f64 = 1;
      refuseAll(memory, [...WILD, p.address + 0.5, undefined, "x", String(p.address), {}, [p.address]]);
      refuseAll(memory, [HEAP + 2 ** 30, HEAP + 8 * 2 ** 20]);
      const before = memory.read(p.address, 64);
      for (const length of [-1, 0.5, Number.NaN, 2 ** 32, 2 ** 53])
        expectCode("INVALID_ADDRESS", () => memory.read(p.address, length));
      assert.equal(memory.read(p.address, 0).length, 0);
      memory.write(p.address, new Uint8Array(0));
      for (const bytes of [null, undefined, "text", [1, 2], new Uint16Array(4), new ArrayBuffer(4)])
        expectCode("INVALID_ARGUMENT", () => memory.write(p.address, bytes as never));
      assert.deepEqual(memory.read(p.address, 64), before);
    });
  }

  it("where the heap of memory ends, nothing is read or written past it", () => {
    const memory = states.open({ reserve: 0, maxBytes: 2 ** 20 });
    const p = memory.alloc(16 * BLOCK);
    p.write(new Uint8Array(16 * BLOCK).fill(1));
    const end = p.address + 16 * BLOCK;
    assert.equal(memory.getF64(end - 8), new Float64Array(new Uint8Array(8).fill(1).buffer)[0]);
    for (let past = 1; past < 8; past++) {
      expectCode("INVALID_ADDRESS", () => memory.getF64(end - 8 + past));
      expectCode("INVALID_ADDRESS", () => memory.setF64(end - 8 + past, 0));
    }
    assert.ok(p.read(16 * BLOCK).every((byte) => byte === 1));
  });

  it("a number is no bigint and a bigint no number: a TypeError, and nothing is stored", () => {
    const memory = states.open();
    const p = memory.alloc(8);
    p.u32 = 7;
    assert.throws(() => (p.u64 = 1 as never), TypeError);
    assert.throws(() => (p.u32 = 1n as never), TypeError);
    assert.equal(p.u32, 7);
  });

  it("write takes bytes that lie in this memory itself", () => {
    const memory = states.open();
    const p = memory.alloc(2 * BLOCK, { align: BLOCK });
    p.write(new Uint8Array(2 * BLOCK).map((_, i) => i));
    const view = memory.view(p, Uint8Array, 2 * BLOCK);
    p.add(10).write(view.array.subarray(0, BLOCK));
    view.close();
    assert.deepEqual(
      p.read(2 * BLOCK),
      new Uint8Array(2 * BLOCK).map((_, i) => (i >= 10 && i < 10 + BLOCK ? i - 10 : i)),
    );
  });

  describe("with checks", () => {
    const overrun = (p: Ptr, size: number) => {
      expectCode("INVALID_ADDRESS", () => p.add(size - 1).u16);
      expectCode("INVALID_ADDRESS", () => (p.add(size).u8 = 1));
      expectCode("INVALID_ADDRESS", () => p.read(size + 1));
      expectCode("INVALID_ADDRESS", () => p.write(new Uint8Array(size + 1)));
      expectCode("INVALID_ADDRESS", () => p.sub(1).u8);
    };

    it("an access past its block, before it, or after its release is refused; without, its neighbours are reached", () => {
      const memory = states.open({ checks: true });
      for (const size of [16, 64, 512, 20_480]) {
        const before = memory.alloc(size);
        const p = memory.alloc(size);
        const after = memory.alloc(size);
        memory.release(before);
        memory.release(after);
        assert.equal(memory.sizeOf(p), size);
        p.write(new Uint8Array(size).fill(1));
        p.add(size - 1).u8 = 2;
        overrun(p, size);
        memory.release(p);
        expectCode("INVALID_ADDRESS", () => p.u8);
        expectCode("INVALID_ADDRESS", () => (p.u8 = 1));
        expectCode("INVALID_ADDRESS", () => p.readString());
      }
      const loose = states.open({}, "b.state");
      const p = loose.alloc(64);
      const neighbour = loose.alloc(64);
      p.add(64).u8 = 5;
      assert.equal(neighbour.u8, 5);
    });

    it("two live neighbours are two blocks", () => {
      const memory = states.open({ checks: true });
      const p = memory.alloc(64);
      const neighbour = memory.alloc(64);
      assert.equal(neighbour.distance(p), 64);
      expectCode("INVALID_ADDRESS", () => p.add(60).u64);
      expectCode("INVALID_ADDRESS", () => (p.add(62).u32 = 1));
      p.add(56).u64 = 1n;
      neighbour.u64 = 2n;
      assert.equal(p.add(56).u64, 1n);
    });
  });

  it("an address that has no meaning stays refused after the block beside it was used", () => {
    const memory = states.open();
    const p = memory.alloc(BLOCK, { align: BLOCK });
    p.u8 = 1;
    p.add(BLOCK - 1).u8 = 1;
    for (const address of [Number.NaN, p.address - HEAP, p.address + 2 ** 32, -p.address])
      expectCode("INVALID_ADDRESS", () => memory.setU32(address, 1));
    assert.equal(memory.getU8(p.address), 1);
  });
});
