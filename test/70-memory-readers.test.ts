import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { openAt } from "../bindings/api/open.js";
import { settingsOf } from "../bindings/api/options.js";
import { PerdureError } from "../bindings/base/errors.js";
import { MemoryStorage, type OpenOptions } from "../bindings/index.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { NodeProcesses } from "../bindings/storage/node-processes.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { assertSound, SMALL, States } from "./support/memory-states.js";
import { TappedPlace } from "./support/tapped-place.js";

describe("memory: readers", () => {
  const states = States.forEachTest();

  it("refuse everything that writes, and change nothing by it", async () => {
    const memory = states.open();
    const p = memory.root("p", () => memory.alloc(64));
    memory.region("r", 100);
    memory.snapshots.create("s");
    const bytes = readFileSync(states.path());
    const reader = states.open({ readOnly: true });
    assert.equal(reader.readOnly, true);
    assert.equal(memory.readOnly, false);
    const q = reader.roots.get("p")!;
    const region = reader.region("r", 50);
    for (const write of [
      () => reader.alloc(8),
      () => reader.realloc(q, 100),
      () => reader.release(q),
      () => (q.u8 = 1),
      () => (q.f64 = 1),
      () => (q.u64 = 1n),
      () => (q.ref = q),
      () => q.write(new Uint8Array(8)),
      () => q.writeString("x"),
      () => reader.setU32(q.address, 1),
      () => reader.write(q.address, new Uint8Array(1)),
      () => reader.roots.set("q", q),
      () => reader.roots.delete("p"),
      () => reader.root("new", () => q),
      () => region.setU8(0, 1),
      () => region.write(0, new Uint8Array(10)),
      () => region.resize(10),
      () => region.resize(1000),
      () => region.drop(),
      () => reader.commit(),
      () => reader.rollback(),
      () => reader.transaction(() => {}),
      () => reader.snapshots.create("t"),
      () => reader.snapshots.restore("s"),
      () => reader.snapshots.delete("s"),
      () => reader.view(q, Uint8Array, 1, { writable: true }),
    ])
      expectCode("READ_ONLY", write);
    await expectCodeAsync("READ_ONLY", reader.flushed());
    await expectCodeAsync("READ_ONLY", reader.compact());
    expectCode("NOT_FOUND", () => reader.region("none", 100));
    reader.hold()[Symbol.dispose]();
    assert.equal(region.length, 100);
    assert.equal(reader.root("p", () => assert.fail("it is there")).equals(q), true);
    reader.close();
    assert.deepEqual(readFileSync(states.path()), bytes);
    assert.equal(p.u8, 0);
  });

  it("show one commit until refresh", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(20_000));
    const region = memory.region("r", 100_000);
    memory.commit();
    const reader = states.open({ readOnly: true });
    const q = reader.roots.get("p")!;
    const r = reader.region("r");
    for (let i = 1; i <= 5; i++) {
      for (let at = 0; at < 20_000; at += 1000) p.add(at).u8 = i;
      region.setU8(77_777, i);
      region.resize(100_000 + i);
      memory.root(`root ${i}`, () => memory.alloc(i));
      const sequence = memory.commit({ durability: "none" });
      for (let at = 0; at < 20_000; at += 1000) assert.equal(q.add(at).u8, i - 1);
      assert.deepEqual([r.getU8(77_777), r.length], [i - 1, 100_000 + i - 1]);
      assert.equal(reader.roots.size, i);
      assert.ok(reader.sequence < sequence);
      assert.equal(reader.refresh(), sequence);
      assert.equal(reader.sequence, sequence);
      assert.equal(reader.refresh(), sequence);
      for (let at = 0; at < 20_000; at += 1000) assert.equal(q.add(at).u8, i);
      assert.deepEqual([r.getU8(77_777), r.length], [i, 100_000 + i]);
      assert.equal(reader.roots.size, i + 1);
      assertSound(reader);
    }
    region.drop();
    memory.commit();
    assert.equal(r.getU8(77_777), 5);
    reader.refresh();
    expectCode("NOT_FOUND", () => r.getU8(77_777));
    assert.equal(memory.refresh(), memory.sequence);
  });

  it("one of a new file sees an empty memory, and then what comes", () => {
    const memory = states.open({ autoCommit: false });
    const reader = states.open({ readOnly: true });
    assert.equal(reader.sequence, 0);
    assert.equal(reader.roots.size, 0);
    assert.deepEqual([...reader.roots], []);
    assert.equal(reader.roots.get("p"), undefined);
    expectCode("NOT_FOUND", () => reader.region("r", 5));
    expectCode("INVALID_ADDRESS", () => reader.getU8(0x1400_0000));
    expectCode("INVALID_ADDRESS", () => reader.sizeOf(reader.ptr(0x1400_0000)));
    expectCode("READ_ONLY", () => reader.alloc(1));
    assert.equal(reader.stats().heap.liveBlocks, 0);
    assertSound(reader);
    assert.equal(reader.refresh(), 0);
    memory.root("p", () => memory.alloc(8)).u8 = 5;
    memory.commit();
    reader.refresh();
    assert.equal(reader.roots.get("p")!.u8, 5);
    assertSound(reader);
  });

  it("a file that is not there, or is none, and a storage of its own", () => {
    expectCode("NOT_FOUND", () => states.open({ readOnly: true }, "none.state"));
    expectCode("NOT_FOUND", () => states.open({ create: false }, "none.state"));
    writeFileSync(states.path("text.state"), "this is a text and no state\n".repeat(1000));
    expectCode("CORRUPT", () => states.open({ readOnly: true }, "text.state"));
    expectCode("CORRUPT", () => states.open({}, "text.state"));
    writeFileSync(states.path("empty.state"), "");
    expectCode("CORRUPT", () => states.open({ readOnly: true }, "empty.state"));
    expectCode("UNSUPPORTED", () => states.inStorage(new MemoryStorage(), { readOnly: true }));
    expectCode("NOT_FOUND", () => states.inStorage(new MemoryStorage(), { create: false }));
  });

  it("many at once, each at its own commit; and they outlive the writer", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(8));
    const readers = Array.from({ length: 5 }, (_, i) => {
      p.u32 = i;
      memory.commit();
      return states.open({ readOnly: true });
    });
    memory.close();
    for (const [i, reader] of readers.entries()) assert.equal(reader.roots.get("p")!.u32, i);
    const next = states.open();
    next.roots.get("p")!.u32 = 99;
    next.commit();
    assert.equal(readers[0].roots.get("p")!.u32, 0);
    readers[0].refresh();
    assert.equal(readers[0].roots.get("p")!.u32, 99);
  });

  it("an image of nothing but the heap's end and what lies below a reader's reserve", () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(SMALL * 3));
    p.add(SMALL * 3 - 1).u8 = 7;
    memory.commit();
    const reader = states.open({ readOnly: true, reserve: 0 });
    assert.equal(reader.roots.get("p")!.add(SMALL * 3 - 1).u8, 7);
  });

  it("a refresh that fails half way is made good by the next", () => {
    const inner = new MemoryPlace();
    const open = (place: MemoryPlace | TappedPlace, options: OpenOptions) => {
      const processes = new NodeProcesses(states.folder);
      const locate = (name: string) => ({ place, name });
      const settings = settingsOf({ reserve: SMALL, ...options });
      return states.adopt(openAt({ path: "a", place, name: "a", processes, locate }, settings));
    };
    const memory = open(inner, { autoCommit: false });
    const p = memory.root("p", () => memory.alloc(4096 * 3000));
    for (let i = 0; i < 3000; i++) p.add(4096 * i).u32 = 1;
    memory.commit();
    memory.snapshots.create("checkpoint");
    for (let failing = 1; failing < 12; failing++) {
      const place = new TappedPlace(inner);
      const reader = open(place, { readOnly: true });
      const q = reader.roots.get("p")!;
      assert.equal(q.u32, failing);
      p.u32 = failing + 1;
      p.add(4096 * (200 * failing)).u32 = failing + 1;
      memory.commit();
      let left = failing;
      place.onCall = (call) => {
        if (call === "read" && --left === 0) throw new PerdureError("IO", "on purpose");
      };
      const moved = (() => {
        try {
          return reader.refresh();
        } catch (error) {
          assert.equal((error as PerdureError).code, "IO");
          return null;
        }
      })();
      place.onCall = () => {};
      if (moved === null) assert.equal(reader.refresh(), memory.sequence);
      assert.equal(q.u32, failing + 1, `after call ${failing} had failed`);
      assert.equal(q.add(4096 * (200 * failing)).u32, failing + 1);
      reader.close();
    }
  });
});
