import assert from "node:assert/strict";
import type { Memory, TypedArray, TypedArrayConstructor } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";
import { endOfTurn, FaultyStorage, SMALL, States } from "./support/memory-states.js";
import { withSeed } from "./support/random.js";

const BLOCK = 4096;

describe("memory: views", () => {
  const states = States.forEachTest();
  const reopened = (memory: Memory) => {
    memory.close();
    return states.open();
  };

  it("every typed array sees what the accessors see, and the other way round", () => {
    const memory = states.open();
    const p = memory.alloc(64);
    p.write(new Uint8Array(64).map((_, i) => 37 * i));
    const bytes = p.read(64).buffer as ArrayBuffer;
    const types: TypedArrayConstructor<TypedArray>[] = [
      Uint8Array,
      Uint8ClampedArray,
      Int8Array,
      Uint16Array,
      Int16Array,
      Uint32Array,
      Int32Array,
      Float32Array,
      Float64Array,
      BigUint64Array,
      BigInt64Array,
    ];
    for (const type of types) {
      const length = 64 / type.BYTES_PER_ELEMENT;
      const view = memory.view(p, type, length, { writable: false });
      assert.ok(view.array instanceof (type as never));
      assert.deepEqual(view.array, new type(bytes, 0, length));
      assert.equal(view.ptr.equals(p), true);
      view.close();
    }
    const writable = memory.view(p, Float64Array, 8);
    assert.equal(writable.array, writable.array, "the same array as long as memory has not grown");
    writable.array[3] = 1.25;
    assert.equal(p.add(24).f64, 1.25);
    p.add(24).f64 = -2;
    assert.equal(writable.array[3], -2);
    writable.close();
  });

  it("what is refused", () => {
    const memory = states.open();
    const p = memory.alloc(100);
    const usable = memory.sizeOf(p);
    expectCode("INVALID_ALIGNMENT", () => memory.view(p.add(4), Float64Array, 1));
    expectCode("INVALID_ALIGNMENT", () => memory.view(p.add(1), Uint16Array, 1));
    expectCode("INVALID_ADDRESS", () => memory.view(p, Uint8Array, usable + 1));
    expectCode("INVALID_ADDRESS", () => memory.view(p.add(16), Uint8Array, usable - 15));
    for (const length of [-1, 1.5, Number.NaN, "1" as never])
      expectCode("INVALID_ARGUMENT", () => memory.view(p, Uint8Array, length));
    expectCode("OUT_OF_MEMORY", () => memory.view(p, Uint8Array, 2 ** 32));
    for (const type of [undefined, null, DataView, Array, "Uint8Array"])
      expectCode("INVALID_ARGUMENT", () => memory.view(p, type as never, 1));
    memory.release(p);
    expectCode("INVALID_ADDRESS", () => memory.view(p, Uint8Array, 1));
    assert.equal(memory.stats().memory.openViews, 0);
    assert.ok(memory.alloc(64 * 2 ** 20), "a refused view has locked nothing");
  });

  it("a writable view keeps memory from growing; a reading one follows it", () => {
    const memory = states.open({ reserve: 2 ** 20 });
    const p = memory.alloc(64);
    const writable = memory.view(p, Uint8Array, 64);
    const bytes = memory.stats().memory.reservedBytes;
    expectCode("OUT_OF_MEMORY", () => memory.alloc(256 * 2 ** 20));
    assert.equal(memory.stats().memory.reservedBytes, bytes);
    assert.ok(memory.alloc(1000), "what fits without growing is given");
    const stale = writable.array;
    stale[0] = 7;
    writable.close();
    const reading = memory.view(p, Uint8Array, 64, { writable: false });
    const before = reading.array;
    const large = memory.alloc(256 * 2 ** 20);
    large.add(256 * 2 ** 20 - 1).u8 = 1;
    assert.notEqual(reading.array, before);
    assert.equal(before.length, 0, "the array of before is detached");
    assert.equal(reading.array[0], 7);
    p.u8 = 8;
    assert.equal(reading.array[0], 8);
    reading.close();
  });

  it("release and realloc under a view are BUSY, of the block itself only", () => {
    const memory = states.open();
    const small = memory.alloc(64);
    const neighbour = memory.alloc(64);
    const large = memory.alloc(50_000);
    for (const writable of [true, false])
      for (const p of [small, large])
        for (const [offset, length] of [
          [0, 1],
          [0, 0],
          [8, 0],
          [32, 32],
        ]) {
          const view = memory.view(p.add(offset), Uint8Array, length, { writable });
          expectCode("BUSY", () => memory.release(p));
          expectCode("BUSY", () => memory.realloc(p, 10));
          expectCode("BUSY", () => memory.realloc(p, 100_000));
          view.close();
          view.close();
        }
    const view = memory.view(small, Uint8Array, 64);
    memory.release(neighbour);
    memory.release(large);
    view.close();
    memory.release(small);
  });

  it("stores through a view are committed: at commit, at the end of its turn, after close", async () => {
    let memory = states.open();
    const p = memory.root("p", () => memory.alloc(10 * BLOCK, { align: BLOCK }));
    memory.commit();
    const view = memory.view(p, Uint32Array, 10 * 1024);
    const { sequence } = memory;
    assert.equal(memory.commit(), sequence, "nothing was stored");
    view.array[5 * 1024] = 5;
    assert.equal(memory.commit(), sequence + 1);
    assert.equal(memory.commit(), sequence + 1);
    view.array[9 * 1024] = 9;
    await endOfTurn();
    assert.equal(memory.sequence, sequence + 2);
    view.array[1] = 1;
    view.close();
    expectCode("CLOSED", () => view.array);
    await endOfTurn();
    assert.equal(memory.sequence, sequence + 3);
    memory = reopened(memory);
    const q = memory.roots.get("p")!;
    assert.deepEqual([q.add(20_480).u32, q.add(36_864).u32, q.add(4).u32], [5, 9, 1]);
  });

  it("a store that the engine sees, into a block that a view watches, is not lost in the comparison", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.alloc(2 * BLOCK, { align: BLOCK });
    memory.commit();
    const view = memory.view(p, Uint8Array, BLOCK);
    p.add(8).u32 = 1;
    assert.equal(view.array[8], 1);
    view.array[9] = 2;
    memory.commit();
    p.add(8).u32 = 0x0203;
    memory.rollback();
    assert.equal(p.add(8).u32, 0x0201);
    assert.equal(view.array[8], 1);
    p.add(8).u32 = 7;
    view.close();
    memory.commit();
    p.u8 = 1;
    memory.rollback();
    assert.equal(p.add(8).u32, 7);
    // A view of what was dirty before it.
    p.add(12).u32 = 12;
    const second = memory.view(p, Uint8Array, BLOCK);
    second.array[16] = 16;
    second.close();
    memory.commit();
    memory.rollback();
    assert.deepEqual([p.add(12).u32, p.add(16).u8], [12, 16]);
  });

  it("overlapping views: one that closes leaves the others watched", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.alloc(8 * BLOCK, { align: BLOCK });
    memory.commit();
    const whole = memory.view(p, Uint8Array, 8 * BLOCK);
    const part = memory.view(p.add(2 * BLOCK + 8), Float64Array, 3);
    const reading = memory.view(p, Uint8Array, BLOCK, { writable: false });
    part.array[0] = 1;
    part.close();
    whole.array[2 * BLOCK + 100] = 2;
    whole.array[7 * BLOCK] = 3;
    memory.commit();
    whole.array[2 * BLOCK + 100] = 9;
    memory.rollback();
    assert.equal(whole.array[2 * BLOCK + 100], 2);
    assert.equal(p.add(2 * BLOCK + 8).f64, 1);
    whole.close();
    assert.equal(reading.array[0], 0);
    assert.equal(memory.stats().memory.openViews, 1);
    reading.close();
  });

  it("closed while nothing may be written, it loses nothing and watches nothing", async () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage);
    const p = memory.alloc(2 * BLOCK, { align: BLOCK });
    memory.commit();
    const view = memory.view(p, Uint8Array, 2 * BLOCK);
    view.array[0] = 1;
    storage.failOn("write", "NO_SPACE");
    await endOfTurn();
    expectCode("NO_SPACE", () => view.array);
    view.close();
    storage.heal();
    const { sequence } = memory;
    assert.equal(memory.commit(), sequence + 1);
    p.u8 = 9;
    memory.rollback();
    assert.equal(p.u8, 1);
    memory.release(p);
  });

  it("rollback and restore show what was committed; a view of a block that is gone is lost", () => {
    const memory = states.open({ autoCommit: false });
    const kept = memory.alloc(3 * BLOCK, { align: BLOCK });
    kept.u8 = 1;
    memory.snapshots.create("one");
    kept.u8 = 2;
    memory.commit();
    const view = memory.view(kept, Uint8Array, 3 * BLOCK);
    const reading = memory.view(kept, Uint8Array, 1, { writable: false });
    view.array[0] = 3;
    view.array[2 * BLOCK] = 3;
    const fresh = memory.alloc(64);
    const lost = memory.view(fresh, Uint8Array, 64);
    const lostLarge = memory.view(memory.alloc(9 * BLOCK), Uint8Array, 9 * BLOCK);
    lost.array[0] = 1;
    lostLarge.array.fill(1);
    memory.rollback();
    assert.equal(view.array[0], 2);
    assert.equal(reading.array[0], 2);
    assert.equal(view.array[2 * BLOCK], 0);
    expectCode("CLOSED", () => lost.array);
    expectCode("CLOSED", () => lostLarge.array);
    lost.close();
    const { sequence } = memory;
    assert.equal(memory.commit(), sequence, "nothing is left to commit");
    const late = memory.alloc(9 * BLOCK);
    assert.ok(late.read(9 * BLOCK).every((byte) => byte === 0));
    memory.commit();
    const ofLate = memory.view(late, Uint8Array, 9);
    memory.snapshots.restore("one");
    expectCode("CLOSED", () => ofLate.array);
    assert.equal(view.array[0], 1);
    assert.equal(reading.array[0], 1);
    view.array[0] = 4;
    memory.commit();
    memory.rollback();
    assert.equal(kept.u8, 4);
    view.close();
    reading.close();
    assert.ok(memory.alloc(64 * 2 ** 20), "no lost view keeps memory from growing");
  });

  it("in a reader: read only, and fresh after refresh", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(BLOCK));
    const gone = memory.root("gone", () => memory.alloc(BLOCK));
    p.u8 = 1;
    memory.commit();
    const reader = states.open({ readOnly: true });
    const ofReader = reader.roots.get("p")!;
    expectCode("READ_ONLY", () => reader.view(ofReader, Uint8Array, 8, { writable: true }));
    const view = reader.view(ofReader, Uint8Array, 8);
    const ofGone = reader.view(reader.roots.get("gone")!, Uint8Array, 8);
    assert.equal(view.array[0], 1);
    p.u8 = 2;
    memory.release(gone);
    memory.alloc(SMALL * 2);
    memory.commit();
    assert.equal(view.array[0], 1);
    reader.refresh();
    assert.equal(view.array[0], 2);
    expectCode("CLOSED", () => ofGone.array);
    reader.close();
    expectCode("CLOSED", () => view.array);
    view.close();
  });

  it("closing the memory loses its views", () => {
    const memory = states.open();
    const view = memory.view(memory.alloc(8), Uint8Array, 8);
    {
      using second = memory.view(view.ptr, Uint8Array, 8);
      second.array[0] = 1;
    }
    assert.equal(memory.stats().memory.openViews, 1);
    memory.close();
    expectCode("CLOSED", () => view.array);
    view.close();
  });

  it("random views, stores, commits and rollbacks against a model", () =>
    withSeed("views", (random) => {
      const memory = states.open({ autoCommit: false, durability: "none" });
      const size = 6 * BLOCK;
      const p = memory.alloc(size, { align: BLOCK });
      memory.commit();
      let model = new Uint8Array(size);
      let committed = model.slice();
      const views: ReturnType<typeof memory.view<Uint8Array>>[] = [];
      const offsets = new Map<unknown, number>();
      for (let i = 0; i < 1500; i++) {
        const what = random.below(20);
        if (what < 3 && views.length < 6) {
          const offset = random.below(size);
          const length = random.below(size - offset + 1);
          const view = memory.view(p.add(offset), Uint8Array, length, { writable: !random.oneIn(4) });
          offsets.set(view, offset);
          views.push(view);
        } else if (what < 5 && views.length > 0) {
          views.splice(random.below(views.length), 1)[0].close();
        } else if (what < 12 && views.length > 0) {
          const view = random.pick(views);
          const { array } = view;
          if (view.writable && array.length > 0) {
            const at = random.below(array.length);
            model[offsets.get(view)! + at] = array[at] = random.below(256);
          }
          assert.deepEqual(array, model.subarray(offsets.get(view)!, offsets.get(view)! + array.length));
        } else if (what < 16) {
          const at = random.below(size);
          model[at] = random.below(256);
          p.add(at).u8 = model[at];
        } else if (what < 18) {
          memory.commit();
          committed = model.slice();
        } else if (what < 19) {
          memory.rollback();
          model = committed.slice();
        }
      }
      for (const view of views) view.close();
      assert.deepEqual(p.read(size), model);
      memory.rollback();
      assert.deepEqual(p.read(size), committed);
    }));
});
