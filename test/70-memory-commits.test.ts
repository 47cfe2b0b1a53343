import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommitEvent, MemoryErrorEvent, PerdureError } from "../bindings/index.js";
import { expectCode, expectCodeAsync } from "./support/expect-code.js";
import { endOfTurn, FaultyStorage, States } from "./support/memory-states.js";

describe("memory: commits", () => {
  const states = States.forEachTest();

  it("sequences count commits; a commit of nothing is none", () => {
    const memory = states.open({ autoCommit: false });
    assert.equal(memory.sequence, 0);
    const first = memory.commit();
    assert.equal(first, memory.sequence);
    const p = memory.alloc(8);
    const second = memory.commit();
    assert.equal(second, first + 1);
    assert.equal(memory.commit(), second);
    assert.equal(memory.commit({ durability: "none" }), second);
    p.u8 = 1;
    assert.equal(memory.sequence, second);
    assert.equal(memory.commit({ durability: "none" }), second + 1);
    p.u8 = 1;
    assert.equal(memory.commit(), second + 2, "what is stored again is committed again");
  });

  it("durability: flush waits for the device, none does not; the option sets the default", () => {
    for (const [option, level, flushes] of [
      ["flush", undefined, 1],
      ["flush", "none", 0],
      ["none", undefined, 0],
      ["none", "flush", 1],
    ] as const) {
      const memory = states.open({ autoCommit: false, durability: option }, `${option}-${level}.state`);
      const p = memory.alloc(8);
      memory.commit({ durability: "flush" });
      const before = memory.stats();
      p.u8 = 1;
      const sequence = memory.commit(level === undefined ? undefined : { durability: level });
      const after = memory.stats();
      assert.equal(after.work!.flushes - before.work!.flushes, flushes, `${option}, ${level}`);
      assert.equal(after.file!.lastFlushed === sequence, flushes === 1);
    }
    const memory = states.open();
    for (const durability of ["", "sync", 1, null])
      expectCode("INVALID_ARGUMENT", () => memory.commit({ durability: durability as never }));
  });

  it("a durable commit of nothing flushes what was not", () => {
    const memory = states.open({ autoCommit: false });
    memory.alloc(8);
    const sequence = memory.commit({ durability: "none" });
    assert.ok(memory.stats().file!.lastFlushed < sequence);
    assert.equal(memory.commit(), sequence);
    assert.equal(memory.stats().file!.lastFlushed, sequence);
  });

  it("at the end of the turn what was written is committed, and soon flushed", async () => {
    const memory = states.open();
    const p = memory.root("p", () => memory.alloc(8));
    p.u32 = 1;
    const reader = states.open({ readOnly: true });
    assert.equal(reader.roots.size, 0);
    await endOfTurn();
    assert.ok(reader.refresh() > 0);
    assert.equal(reader.roots.get("p")!.u32, 1);
    assert.equal(memory.sequence, reader.sequence);
    assert.equal(await memory.flushed(), memory.sequence);
    p.u32 = 2;
    await endOfTurn();
    for (let i = 0; i < 400 && memory.stats().file!.lastFlushed < memory.sequence; i++) await sleep(5);
    assert.equal(memory.stats().file!.lastFlushed, memory.sequence, "flushed by itself");
    reader.refresh();
    assert.equal(reader.roots.get("p")!.u32, 2);
    const { sequence } = memory;
    await endOfTurn();
    assert.equal(memory.sequence, sequence, "a turn that wrote nothing commits nothing");
  });

  it("autoCommit: false leaves it to commit and close", async () => {
    const memory = states.open({ autoCommit: false });
    memory.root("p", () => memory.alloc(8));
    await endOfTurn();
    assert.equal(memory.sequence, 0);
    memory.close();
    assert.equal(states.open().roots.size, 1);
  });

  it("durability: none never flushes in the background", async () => {
    const memory = states.open({ durability: "none" });
    const { flushes } = memory.stats().work!;
    memory.alloc(8);
    await endOfTurn();
    await endOfTurn();
    assert.ok(memory.sequence > 0);
    assert.equal(memory.stats().work!.flushes, flushes);
    assert.equal(await memory.flushed(), memory.sequence);
    assert.equal(memory.stats().work!.flushes, flushes + 1);
  });

  it("hold keeps the automatic commit off across awaits, until the last of them ends", async () => {
    const memory = states.open();
    const p = memory.root("p", () => memory.alloc(8));
    memory.commit();
    const { sequence } = memory;
    {
      using _outer = memory.hold();
      {
        using _inner = memory.hold();
        p.u8 = 1;
        await endOfTurn();
      }
      await endOfTurn();
      p.u8 = 2;
      await sleep(5);
      assert.equal(memory.sequence, sequence);
      assert.equal(memory.stats().memory.dirtyBytes, 4096);
    }
    await endOfTurn();
    assert.equal(memory.sequence, sequence + 1);
    const hold = memory.hold();
    p.u8 = 3;
    assert.equal(memory.commit(), sequence + 2, "an explicit commit commits");
    hold[Symbol.dispose]();
    hold[Symbol.dispose]();
    using again = memory.hold();
    p.u8 = 4;
    hold[Symbol.dispose]();
    await endOfTurn();
    assert.equal(memory.sequence, sequence + 2, "ending one twice does not end another");
    again[Symbol.dispose]();
    p.u8 = 5;
    using _late = memory.hold();
    await endOfTurn();
    assert.equal(memory.sequence, sequence + 2, "a hold that begins in the turn of the write");
  });

  it("rollback is back to the last commit, and then nothing is left to commit", async () => {
    const memory = states.open();
    const p = memory.root("p", () => memory.alloc(8));
    p.u32 = 1;
    memory.commit();
    const { sequence } = memory;
    p.u32 = 2;
    const q = memory.alloc(100_000);
    q.write(new Uint8Array(100_000).fill(1));
    memory.roots.set("q", q);
    memory.rollback();
    assert.equal(p.u32, 1);
    assert.equal(memory.roots.has("q"), false);
    expectCode("INVALID_ADDRESS", () => q.u8);
    expectCode("INVALID_ADDRESS", () => memory.sizeOf(q));
    await endOfTurn();
    assert.equal(memory.sequence, sequence);
    memory.rollback();
    assert.equal(p.u32, 1);
  });

  it("on a full device it closes when all is committed, and says so when something is not", () => {
    for (const isPending of [false, true]) {
      const storage = new FaultyStorage();
      const memory = states.inStorage(storage);
      const p = memory.alloc(8);
      p.u32 = 1;
      memory.commit();
      if (isPending) p.u32 = 2;
      storage.failOn("write", "NO_SPACE");
      if (isPending) expectCode("NO_SPACE", () => memory.close());
      else memory.close();
      assert.equal(memory.isOpen, false);
    }
  });

  it("a failed automatic commit raises an error event, the next write throws, and a commit that succeeds ends it", async () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage);
    const errors: unknown[] = [];
    memory.addEventListener("error", (event: MemoryErrorEvent) => void errors.push(event.error));
    const p = memory.alloc(8);
    await endOfTurn();
    p.u32 = 1;
    storage.failOn("write", "NO_SPACE");
    await endOfTurn();
    assert.equal(errors.length, 1);
    assert.equal((errors[0] as PerdureError).code, "NO_SPACE");
    for (const write of [
      () => (p.u32 = 2),
      () => memory.alloc(8),
      () => memory.release(p),
      () => memory.realloc(p, 8),
      () => memory.roots.set("p", p),
      () => memory.region("r", 10),
      () => memory.transaction(() => {}),
      () => memory.snapshots.create("s"),
    ]) {
      const error = expectCode("NO_SPACE", write);
      assert.equal(error.message, (errors[0] as Error).message);
    }
    assert.equal(p.u32, 1, "reading goes on");
    await endOfTurn();
    assert.equal(errors.length, 1, "one event for one failure");
    expectCode("NO_SPACE", () => memory.commit());
    storage.heal();
    const { sequence } = memory;
    assert.equal(memory.commit(), sequence + 1);
    p.u32 = 3;
    await endOfTurn();
    assert.equal(memory.sequence, sequence + 2);
    assert.equal(errors.length, 1);
  });

  it("rollback ends it too, without what was to be committed", async () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage);
    const p = memory.alloc(8);
    await endOfTurn();
    p.u32 = 1;
    storage.failOn("write");
    await endOfTurn();
    expectCode("IO", () => (p.u32 = 2));
    storage.heal();
    memory.rollback();
    assert.equal(p.u32, 0);
    p.u32 = 4;
    await endOfTurn();
    memory.rollback();
    assert.equal(p.u32, 4);
  });

  it("after a failed flush the handle writes nothing any more; reopened, there is one whole commit", async () => {
    const storage = new FaultyStorage();
    const memory = states.inStorage(storage);
    const errors: PerdureError[] = [];
    memory.addEventListener("error", (event) => void errors.push(event.error as PerdureError));
    const p = memory.root("p", () => memory.alloc(8));
    memory.commit();
    p.u32 = 5;
    storage.failOn("flush");
    await endOfTurn();
    await sleep(1);
    assert.deepEqual(
      errors.map(({ code }) => code),
      ["IO"],
    );
    storage.heal();
    expectCode("IO", () => (p.u32 = 6));
    expectCode("IO", () => memory.commit());
    await expectCodeAsync("IO", memory.flushed());
    memory.rollback();
    assert.equal(p.u32, 5, "that commit was made, only its durability is unknown");
    p.u32 = 7;
    expectCode("IO", () => memory.commit());
    await endOfTurn();
    assert.equal(errors.length, 2);
    expectCode("IO", () => memory.close());
    assert.equal(memory.isOpen, false);
    memory.close();
  });

  it("a fault while the engine changes the image suspends the handle until rollback", () => {
    let memory = states.open({ autoCommit: false });
    for (let i = 0; i < 2000; i++) memory.alloc(500);
    memory.commit();
    memory.close();
    memory = states.open({ autoCommit: false });
    const { pager } = memory.origin;
    const read = pager!.read.bind(pager);
    pager!.read = () => {
      throw expectCode("NOT_FOUND", () => memory.region("none"));
    };
    expectCode("NOT_FOUND", () => memory.alloc(500));
    pager!.read = read;
    for (const refused of [
      () => memory.alloc(8),
      () => memory.commit(),
      () => memory.roots.delete("x"),
      () => memory.transaction(() => {}),
    ])
      expectCode("SUSPENDED", refused);
    memory.rollback();
    assert.ok(memory.alloc(500));
    memory.commit();
  });

  it("a suspended memory that is closed drops the change", () => {
    let memory = states.open({ autoCommit: false });
    memory.root("kept", () => memory.alloc(500));
    memory.commit();
    memory.close();
    memory = states.open();
    const { pager } = memory.origin;
    const read = pager!.read.bind(pager);
    pager!.read = () => {
      throw new Error("no such block on purpose");
    };
    assert.throws(() => memory.alloc(500));
    pager!.read = read;
    expectCode("SUSPENDED", () => memory.alloc(8));
    memory.close();
    memory = states.open();
    assert.equal(memory.stats().heap.liveBlocks, states.open({ readOnly: true }).stats().heap.liveBlocks);
    assert.deepEqual([...memory.roots.keys()], ["kept"]);
  });

  it("a write that cannot read what it leaves in place has given nothing up", () => {
    let memory = states.open({ autoCommit: false });
    const p = memory.root("p", () => memory.alloc(6 * 4096, { align: 4096 }));
    p.write(new Uint8Array(6 * 4096).fill(7));
    memory.close();
    memory = states.open({ autoCommit: false });
    const q = memory.roots.get("p")!;
    const { pager } = memory.origin;
    const read = pager!.read.bind(pager);
    const last = q.address / 4096 + 5;
    pager!.read = (block, count, into) => {
      if (block + count > last && block <= last) throw expectCode("NOT_FOUND", () => memory.region("none"));
      read(block, count, into);
    };
    memory.sizeOf(q);
    expectCode("NOT_FOUND", () => q.add(10).write(new Uint8Array(6 * 4096 - 20).fill(9)));
    pager!.read = read;
    assert.ok(q.read(6 * 4096).every((byte) => byte === 7));
    q.add(10).write(new Uint8Array(6 * 4096 - 20).fill(9));
    memory.commit();
    memory.rollback();
    assert.ok(q.read(6 * 4096).every((byte, i) => byte === (i < 10 || i >= 6 * 4096 - 10 ? 7 : 9)));
  });

  it("flushed resolves to what was committed when it was called", async () => {
    const memory = states.open({ autoCommit: false });
    const p = memory.alloc(8);
    const first = memory.commit({ durability: "none" });
    const waiting = memory.flushed();
    p.u8 = 1;
    const second = memory.commit({ durability: "none" });
    assert.equal(await waiting, first);
    assert.equal(await memory.flushed(), second);
    assert.ok(memory.stats().file!.lastFlushed >= second);
    p.u8 = 2;
    assert.equal(await memory.flushed(), second, "what is not committed is not flushed");
    memory.close();
    await expectCodeAsync("CLOSED", memory.flushed());
  });

  it("commit events: one for each commit, automatic or not", async () => {
    const memory = states.open();
    const seen: number[] = [];
    const listener = (event: CommitEvent) => void seen.push(event.sequence);
    memory.addEventListener("commit", listener);
    const p = memory.alloc(8);
    const first = memory.commit();
    memory.commit();
    p.u8 = 1;
    await endOfTurn();
    memory.transaction(() => (p.u8 = 2));
    assert.deepEqual(seen, [first, first + 1, first + 2]);
    memory.removeEventListener("commit", listener as never);
    p.u8 = 3;
    memory.commit();
    assert.equal(seen.length, 3);
  });

  describe("commits()", () => {
    async function collect(source: AsyncIterable<number>, into: number[]): Promise<void> {
      for await (const sequence of source) into.push(sequence);
    }

    it("tells every commit from its beginning on, also those made while nobody asks", async () => {
      const memory = states.open({ autoCommit: false });
      const p = memory.alloc(8);
      memory.commit();
      const iterator = memory.commits()[Symbol.asyncIterator]();
      const change = () => {
        p.u8++;
        return memory.commit({ durability: "none" });
      };
      const made = [change(), change()];
      assert.deepEqual(await iterator.next(), { value: made[0], done: false });
      made.push(change());
      await endOfTurn();
      assert.deepEqual(await iterator.next(), { value: made[1], done: false });
      assert.deepEqual(await iterator.next(), { value: made[2], done: false });
      const next = iterator.next();
      const last = change();
      assert.deepEqual(await next, { value: last, done: false });
      await iterator.return!();
      assert.equal((await iterator.next()).done, true);
    });

    it("ends when it is aborted, before or later, and when the memory is closed", async () => {
      const memory = states.open({ autoCommit: false });
      const aborted: number[] = [];
      await collect(memory.commits({ signal: AbortSignal.abort() }), aborted);
      const controller = new AbortController();
      const seen: number[] = [];
      const all: number[] = [];
      const first = collect(memory.commits({ signal: controller.signal }), seen);
      const second = collect(memory.commits(), all);
      const p = memory.alloc(8);
      const one = memory.commit();
      await endOfTurn();
      controller.abort();
      p.u8 = 1;
      await first;
      memory.close();
      await second;
      assert.deepEqual(seen, [one]);
      assert.deepEqual(aborted, []);
      assert.deepEqual(all, [one, one + 1], "closing commits what is left");
      expectCode("CLOSED", () => memory.commits());
    });

    it("ends also when closing fails", async () => {
      const storage = new FaultyStorage();
      const memory = states.inStorage(storage, { autoCommit: false });
      const end = collect(memory.commits(), []);
      await endOfTurn();
      memory.alloc(8);
      memory.commit();
      await endOfTurn();
      storage.failOn("write");
      expectCode("IO", () => memory.close());
      await end;
      assert.equal(memory.isOpen, false);
    });

    it("in a reader: the newest, whenever that has changed; refresh shows it", async () => {
      const memory = states.open({ autoCommit: false });
      const p = memory.root("p", () => memory.alloc(8));
      memory.commit();
      const reader = states.open({ readOnly: true });
      const controller = new AbortController();
      const iterator = reader.commits({ signal: controller.signal })[Symbol.asyncIterator]();
      const next = iterator.next();
      p.u32 = 5;
      const sequence = memory.commit();
      assert.deepEqual(await next, { value: sequence, done: false });
      assert.equal(reader.roots.get("p")!.u32, 0);
      assert.equal(reader.refresh(), sequence);
      assert.equal(reader.roots.get("p")!.u32, 5);
      memory.snapshots.create("s");
      const later = await iterator.next();
      assert.ok((later.value as number) > sequence);
      const last = iterator.next();
      controller.abort();
      assert.equal((await last).done, true);
      reader.refresh();
      const closing = reader.commits()[Symbol.asyncIterator]().next();
      reader.close();
      assert.equal((await closing).done, true);
    });
  });
});
