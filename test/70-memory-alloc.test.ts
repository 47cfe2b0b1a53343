import assert from "node:assert/strict";
import { equalBytes } from "../bindings/base/bytes.js";
import { type Memory, Ptr } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";
import { Random, withSeed } from "./support/random.js";

const HEAP = 0x1400_0000;

describe("memory: blocks", () => {
  const states = States.forEachTest();
  const filled = (memory: Memory, size: number, byte: number) => {
    const p = memory.alloc(size);
    p.write(new Uint8Array(size).fill(byte));
    return p;
  };

  it("alloc gives zeros, at least as large as asked, at disjoint addresses", () => {
    const memory = states.open();
    const sizes = [0, 1, 15, 16, 17, 127, 128, 129, 1000, 4095, 4096, 4097, 16_384, 16_385, 100_000, 2 ** 20];
    const blocks = sizes.map((size) => ({ size, p: memory.alloc(size) }));
    for (const { size, p } of blocks) {
      assert.ok(p instanceof Ptr);
      assert.ok(memory.sizeOf(p) >= Math.max(size, 1), `sizeOf(${size})`);
      assert.ok(p.read(size).every((byte) => byte === 0));
      if (size > 0) p.write(new Uint8Array(size).fill(0xff));
    }
    const sorted = blocks.map(({ p }) => p).sort((a, b) => a.address - b.address);
    for (let i = 1; i < sorted.length; i++)
      assert.ok(sorted[i].distance(sorted[i - 1]) >= memory.sizeOf(sorted[i - 1]));
    for (const { p } of blocks) memory.release(p);
    for (const { size } of blocks) {
      const again = memory.alloc(size);
      assert.ok(
        again.read(size).every((byte) => byte === 0),
        `${size} bytes again`,
      );
    }
  });

  it("alignment is what was asked for; what is none is refused and takes nothing", () => {
    const memory = states.open();
    for (const align of [1, 2, 4, 8, 16, 64, 256, 1024, 4096])
      for (const size of [1, 24, 100, 5000])
        assert.equal(memory.alloc(size, { align }).address % align, 0, `${size} at ${align}`);
    const { liveBlocks } = memory.stats().heap;
    for (const align of [0, 3, 24, 8192, -8, 1.5, Number.NaN, 2 ** 32, "8" as never])
      expectCode("INVALID_ALIGNMENT", () => memory.alloc(8, { align }));
    assert.equal(memory.stats().heap.liveBlocks, liveBlocks);
  });

  it("zero: false may leave what was there, zero: true never does", () => {
    const memory = states.open();
    const p = filled(memory, 64, 0xaa);
    memory.release(p);
    const dirty = memory.alloc(64, { zero: false });
    assert.equal(dirty.address, p.address, "the lowest free slot is taken");
    memory.release(dirty);
    const clean = memory.alloc(64, { zero: true });
    assert.ok(clean.read(64).every((byte) => byte === 0));
  });

  it("sizes that are none", () => {
    const memory = states.open();
    for (const size of [-1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY, "8" as never, undefined as never]) {
      expectCode("INVALID_ARGUMENT", () => memory.alloc(size));
      expectCode("INVALID_ARGUMENT", () => memory.realloc(memory.alloc(8), size));
    }
    for (const size of [2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER])
      expectCode("OUT_OF_MEMORY", () => memory.alloc(size));
    for (const size of [2 ** 32 - 1, 2 ** 32 - 2 ** 28])
      expectCode("OUT_OF_MEMORY", () => memory.alloc(size));
  });

  it("realloc keeps the content, gives zeros beyond it, and the old pointer is dead when it moved", () =>
    withSeed("realloc", (random) => {
      const memory = states.open();
      let p = memory.alloc(1);
      let model = p.read(memory.sizeOf(p));
      let moves = 0;
      for (let i = 0; i < 200; i++) {
        const size = random.pick([0, 1, 15, 16, 40, 200, 1000, 4096, 9000, 20_000, 70_000, 300_000]);
        const wall = random.oneIn(3) ? memory.alloc(random.below(60_000)) : null;
        const moved = memory.realloc(p, size);
        if (moved.address !== p.address) {
          moves++;
          expectCode("INVALID_ADDRESS", () => memory.sizeOf(p));
        }
        p = moved;
        const usable = memory.sizeOf(p);
        assert.ok(usable >= size);
        const expected = new Uint8Array(usable);
        expected.set(model.subarray(0, usable));
        const kept = Math.min(model.length, size);
        const found = p.read(usable);
        assert.ok(
          equalBytes(found.subarray(0, kept), expected.subarray(0, kept)),
          `step ${i}: the first ${kept}`,
        );
        const had = model.length;
        assert.ok(
          found.subarray(had).every((byte) => byte === 0),
          `step ${i}: past the ${had} that it had`,
        );
        model = random.bytes(usable);
        p.write(model);
        if (wall !== null && random.oneIn(2)) memory.release(wall);
      }
      assert.ok(moves > 20);
    }));

  it("wild, interior, stale and double releases change nothing", () => {
    const memory = states.open();
    const p = filled(memory, 100, 7);
    const large = filled(memory, 100_000, 9);
    const other = memory.alloc(100);
    memory.release(other);
    expectCode("DOUBLE_FREE", () => memory.release(other));
    for (const wild of [
      p.add(1),
      p.add(16),
      large.add(4096),
      memory.ptr(HEAP + 2 ** 30),
      memory.ptr(2 ** 32),
    ])
      for (const call of [
        () => memory.release(wild),
        () => memory.realloc(wild, 10),
        () => memory.sizeOf(wild),
      ]) {
        try {
          call();
          assert.fail(`${wild} was taken`);
        } catch (error) {
          assert.match((error as { code: string }).code, /^(INVALID_ADDRESS|DOUBLE_FREE)$/);
        }
      }
    expectCode("INVALID_ADDRESS", () => memory.sizeOf(other));
    expectCode("DOUBLE_FREE", () => memory.realloc(other, 10));
    memory.release(large);
    for (const call of [() => memory.release(large), () => memory.sizeOf(large)])
      assert.throws(call, { name: "PerdureError" });
    assert.equal(memory.stats().heap.liveBlocks, 1);
    assert.ok(p.read(100).every((byte) => byte === 7));
    expectCode("INVALID_ADDRESS", () => large.u8);
  });

  it("pointers of another memory, and what is no pointer, are refused", () => {
    const memory = states.open();
    const other = states.open({}, "b.state");
    const foreign = other.alloc(8);
    const mine = memory.alloc(8);
    for (const p of [foreign, null as never, { address: mine.address } as never, mine.address as never]) {
      expectCode("INVALID_ARGUMENT", () => memory.release(p));
      expectCode("INVALID_ARGUMENT", () => memory.realloc(p, 8));
      expectCode("INVALID_ARGUMENT", () => memory.sizeOf(p));
      expectCode("INVALID_ARGUMENT", () => memory.view(p, Uint8Array, 1));
      expectCode("INVALID_ARGUMENT", () => memory.roots.set("x", p));
      if (p !== null) expectCode("INVALID_ARGUMENT", () => (mine.ref = p));
    }
    expectCode("INVALID_ARGUMENT", () => (mine.ref = undefined as never));
    assert.equal(mine.equals(other.ptr(mine.address)), false);
  });

  it("a pointer is a value", () => {
    const memory = states.open();
    memory.alloc(64);
    const p = memory.alloc(64);
    assert.equal(p.add(16).address, p.address + 16);
    assert.equal(p.add(16).sub(16).equals(p), true);
    assert.equal(p.add(-8).address, p.address - 8);
    assert.equal(p.add(40).distance(p), 40);
    assert.equal(p.distance(p.add(40)), -40);
    assert.equal(p.equals(null), false);
    assert.equal(p.equals(memory.ptr(p.address)), true);
    assert.equal(`${p}`, `Ptr(0x${p.address.toString(16)})`);
    assert.equal(JSON.stringify({ p }), `{"p":${p.address}}`);
    for (const bytes of [Number.NaN, 0.5, Number.POSITIVE_INFINITY, -(2 ** 31), 2 ** 40])
      expectCode("INVALID_ADDRESS", () => p.add(bytes));
    for (const address of [0, -1, HEAP - 1, 2 ** 32 + 1, 2 ** 53, Number.NaN, HEAP + 0.5, "8" as never])
      expectCode("INVALID_ADDRESS", () => memory.ptr(address));
    assert.equal(memory.ptr(HEAP).address, HEAP);
  });

  it("ref stores a pointer in eight bytes, nil is 0", () => {
    const memory = states.open();
    const p = memory.alloc(16);
    const target = memory.alloc(8);
    assert.equal(p.ref, null);
    p.ref = target;
    assert.equal(p.u64, BigInt(target.address));
    assert.equal(p.ref?.equals(target), true);
    p.u64 = 0xffff_ffff_ffff_ffffn;
    expectCode("INVALID_ADDRESS", () => p.ref);
    p.u64 = 12n;
    expectCode("INVALID_ADDRESS", () => p.ref);
    p.ref = null;
    assert.equal(p.u64, 0n);
    const straddling = memory.alloc(8192).add(4092);
    straddling.ref = target;
    assert.equal(straddling.ref?.address, target.address);
  });

  it("strings: UTF-8 with their length, as long as the block allows", () => {
    const memory = states.open();
    const p = memory.alloc(64);
    for (const written of ["", "a", "żółw 🐢", "\u0000\u0001", "\uFEFFmark", "x".repeat(60)]) {
      p.writeString(written);
      assert.equal(p.readString(), written);
      assert.equal(p.u32, Buffer.byteLength(written));
    }
    const before = p.read(64);
    expectCode("LIMIT", () => p.writeString("x".repeat(61)));
    assert.deepEqual(p.read(64), before, "a refused string has changed nothing");
    p.writeString("half \uD800");
    assert.equal(p.readString(), "half \uFFFD", "half of a surrogate pair is no text, as TextEncoder has it");
    p.write(Uint8Array.of(2, 0, 0, 0, 0xff, 0xff));
    expectCode("INVALID_ARGUMENT", () => p.readString());
    p.u32 = 0xffff_ffff;
    expectCode("INVALID_ADDRESS", () => p.readString());
    memory.release(p);
    expectCode("INVALID_ADDRESS", () => p.writeString("late"));
    const long = memory.alloc(20_000);
    long.add(4090).writeString("ß".repeat(5000));
    assert.equal(long.add(4090).readString(), "ß".repeat(5000));
  });

  it("a block that is released last is given back whole, and its memory is no longer written", () => {
    const memory = states.open();
    const p = memory.alloc(8 * 4096);
    p.write(new Uint8Array(8 * 4096).fill(1));
    memory.commit();
    memory.release(p);
    for (const [read, write] of [
      [() => p.u8, () => (p.u8 = 1)],
      [() => p.add(4096).f64, () => (p.add(4096).f64 = 1)],
      [() => p.add(4094).u32, () => (p.add(4094).u32 = 1)],
      [() => p.read(4096), () => p.write(new Uint8Array(3 * 4096))],
    ]) {
      expectCode("INVALID_ADDRESS", read);
      expectCode("INVALID_ADDRESS", write);
    }
    memory.commit();
    const again = memory.alloc(8 * 4096);
    assert.ok(again.read(8 * 4096).every((byte) => byte === 0));
  });

  it("maxBytes bounds the heap, not what lies in it", () => {
    const memory = states.open({ maxBytes: 2 ** 20 });
    const blocks: Ptr[] = [];
    expectCode("OUT_OF_MEMORY", () => {
      for (;;) blocks.push(memory.alloc(32_768));
    });
    assert.ok(blocks.length >= 28 && blocks.length <= 32, `${blocks.length} of 32 KiB in 1 MiB`);
    for (const [i, p] of blocks.entries()) p.u32 = i;
    memory.release(blocks.pop()!);
    assert.ok(memory.alloc(32_768));
    expectCode("OUT_OF_MEMORY", () => memory.alloc(2 ** 21));
    expectCode("OUT_OF_MEMORY", () => memory.realloc(blocks[0], 2 ** 21));
    for (const [i, p] of blocks.entries()) assert.equal(p.u32, i);
  });

  it("opened again with a smaller reserve it has exactly the room that the image needs, from the start", () => {
    const memory = states.open({ reserve: 0 });
    const p = memory.alloc(20 * 2 ** 20);
    p.add(20 * 2 ** 20 - 8).f64 = 1.5;
    memory.root("large", () => p);
    memory.close();
    for (const readOnly of [false, true]) {
      const again = states.open({ reserve: 0, readOnly });
      // Before the heap: the volatile zone and what describes it. Growing would have added half.
      const heap = again.stats().memory.reservedBytes - 0x1400_0000;
      assert.ok(heap >= 20 * 2 ** 20 && heap < 21 * 2 ** 20, `${heap} bytes`);
      assert.equal(again.roots.get("large")!.add(20 * 2 ** 20 - 8).f64, 1.5);
      again.close();
    }
  });

  it("memory grows past its reserve, and what was there stays", () => {
    const memory = states.open({ reserve: 0 });
    const first = filled(memory, 1000, 5);
    const { reservedBytes } = memory.stats().memory;
    const large = memory.alloc(64 * 2 ** 20);
    large.add(64 * 2 ** 20 - 8).f64 = 1.5;
    assert.ok(memory.stats().memory.reservedBytes > reservedBytes);
    assert.ok(first.read(1000).every((byte) => byte === 5));
    assert.equal(first.u8, 5);
    assert.equal(large.add(64 * 2 ** 20 - 8).f64, 1.5);
  });

  it("churn against a model, over reopenings", () =>
    withSeed("api churn", (random) => {
      let memory = states.open({ durability: "none" });
      const model = new Map<number, Uint8Array>();
      const pick = () => [...model.keys()][random.below(model.size)];
      for (let i = 0; i < 1500; i++) {
        const fill = new Random(random.next());
        if (model.size < 10 || random.oneIn(2)) {
          const bytes = fill.bytes(random.oneIn(20) ? random.below(40_000) : random.below(300));
          const p = memory.alloc(bytes.length);
          assert.ok(!model.has(p.address));
          p.write(bytes);
          model.set(p.address, bytes);
        } else if (random.oneIn(3)) {
          const address = pick();
          const moved = memory.realloc(memory.ptr(address), random.below(2000));
          const old = model.get(address)!;
          const size = memory.sizeOf(moved);
          model.delete(address);
          model.set(moved.address, moved.read(Math.min(old.length, size)));
          assert.deepEqual(model.get(moved.address), old.slice(0, Math.min(old.length, size)));
        } else {
          const address = pick();
          memory.release(memory.ptr(address));
          model.delete(address);
        }
        if (random.oneIn(100)) memory.commit();
        if (random.oneIn(500)) {
          memory.close();
          memory = states.open({ durability: "none" });
        }
      }
      for (const [address, bytes] of model) assert.deepEqual(memory.read(address, bytes.length), bytes);
      assert.equal(memory.stats().heap.liveBlocks, model.size);
    }));
});
