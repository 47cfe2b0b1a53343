// What decides whether an access may pass unseen: the state of its block, and what is remembered of it (70-memory-ready.test.ts).

import assert from "node:assert/strict";
import { HEAP } from "../bindings/api/session.js";
import { Core } from "../bindings/core.js";
import { type Memory, MemoryStorage, openSync } from "../bindings/index.js";
import { expectCode } from "./support/expect-code.js";

const blockBytes = 4096;

describe("accessors", () => {
  let memory: Memory;
  let address: number;

  beforeEach(() => {
    memory = openSync("accessors", { autoCommit: false, storage: new MemoryStorage() });
    address = memory.alloc(8 * blockBytes).address;
  });

  afterEach(() => memory.close());

  it("repeat constants of the engine", () => {
    const host = { fault() {}, firstTouch() {}, spill() {} };
    const { constants } = new Core(host, { reserveBytes: 0, maxBytes: 0, windowBytes: 0 });
    const { CLEAN, DIRTY, CLUSTER_BYTES, WINDOW_EPOCH } = constants;
    assert.deepEqual([constants.HEAP, CLEAN, DIRTY], [HEAP, 3, 5]);
    assert.deepEqual([CLUSTER_BYTES, WINDOW_EPOCH], [40_960, 0x3_0010]);
  });

  it("refuse what is no address, however ready the block is that it would wrap around to", () => {
    memory.setU32(address, 1);
    memory.commit();
    memory.setU32(address, 2);
    for (const wrong of [address + 2 ** 32, address - 2 ** 32, address + 0.5, HEAP - 8, -8, Number.NaN]) {
      expectCode("INVALID_ADDRESS", () => memory.setU32(wrong, 3));
      expectCode("INVALID_ADDRESS", () => memory.getU32(wrong));
      expectCode("INVALID_ADDRESS", () => memory.setU8(wrong, 3));
      expectCode("INVALID_ADDRESS", () => memory.getF64(wrong));
    }
    assert.equal(memory.getU32(address), 2);
  });

  it("make every block that they write part of the next commit, also one that was written before the last", () => {
    for (let commit = 1; commit <= 3; commit++) {
      for (let i = 0; i < 8; i++) memory.setF64(address + ((i * 3) % 8) * blockBytes + 8, commit);
      memory.commit();
    }
    for (let i = 0; i < 8; i++) memory.setF64(address + i * blockBytes + 8, 9);
    memory.rollback();
    for (let i = 0; i < 8; i++) assert.equal(memory.getF64(address + i * blockBytes + 8), 3);
  });

  it("bring in both blocks of a number that lies in two", () => {
    const across = address + blockBytes - 3;
    memory.commit();
    memory.setU8(address, 1);
    memory.setU64(across, 0x0102030405060708n);
    memory.commit();
    memory.setU64(across, 0n);
    memory.rollback();
    assert.equal(memory.getU64(across), 0x0102030405060708n);
  });

  it("refuse a block that went back", () => {
    memory.setU32(address, 1);
    memory.release(memory.ptr(address));
    expectCode("INVALID_ADDRESS", () => memory.setU32(address, 2));
    expectCode("INVALID_ADDRESS", () => memory.getU32(address));
  });
});
