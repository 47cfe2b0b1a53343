// Bytes that no encoder wrote: rotten, truncated, random, and hostile with their digests computed again. A decoder returns
// what is wrong or what is there; it never throws, never takes long and allocates no more than the bytes that it was given.

import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_FILE_SLOTS, SLOT_BYTES } from "../bindings/format/constants.js";
import type { Decoded } from "../bindings/format/decoded.js";
import { decodeDirectory, encodeDirectory } from "../bindings/format/directory.js";
import { decodeForwarding, encodeForwarding } from "../bindings/format/forwarding.js";
import { validateNode } from "../bindings/format/node.js";
import {
  decodeEntries,
  decodeHeader,
  decodeRecordBody,
  encodeRecordBody,
  entriesProblem,
  headerBody,
  Operation,
  verifyHeader,
} from "../bindings/format/segment.js";
import { decodeLock, decodePin } from "../bindings/format/side-files.js";
import { decodeSuperblock, EMPTY_ROOT, encodeSuperblock } from "../bindings/format/superblock.js";
import {
  breakages,
  broken,
  changed,
  hasher,
  overwrites,
  overwritten,
  reseal,
  sampleCommit,
  sampleRecord,
  sampleSuperblock,
  superblocks,
  uuid,
} from "./support/format-samples.js";
import { seedFromEnv } from "./support/random.js";

const tooLarge = [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const forwarding = { uuid, nonce: uuid, writer: 1, time: 1 };

function reasonOf(decoded: Decoded<unknown>): string {
  if (decoded.ok) return "ok";
  assert.notEqual(decoded.message, "");
  return decoded.reason;
}

const superblockReason = (bytes: Uint8Array): string => reasonOf(decodeSuperblock(bytes, hasher));

describe("format: hostile superblocks", () => {
  const bytes = encodeSuperblock(sampleSuperblock(), hasher);

  it("every flipped bit is noticed: in the magic as foreign, elsewhere as damaged", () => {
    const reasons = new Map<string, number>();
    for (let bit = 0; bit < SLOT_BYTES * 8; bit++) {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      const reason = superblockReason(bytes);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    assert.deepEqual(Object.fromEntries(reasons), { foreign: 64, damaged: SLOT_BYTES * 8 - 64 });
    assert.equal(superblockReason(bytes), "ok");
  });

  it("a greater major version is VERSION, whatever follows", () => {
    assert.equal(superblockReason(reseal(changed(bytes, 8, 2, 2))), "version");
    assert.equal(superblockReason(reseal(changed(bytes, 8, 65535, 2))), "version");
    assert.equal(superblockReason(reseal(changed(changed(bytes, 8, 2, 2), 12, 77, 4))), "version");
    assert.equal(superblockReason(reseal(changed(bytes, 8, 0, 2))), "damaged");
  });

  it("truncated at any length it is not one", () => {
    for (let length = 0; length < SLOT_BYTES; length += length < 256 ? 1 : 61) {
      assert.equal(superblockReason(bytes.subarray(0, length)), length < 8 ? "foreign" : "damaged");
    }
    const longer = new Uint8Array(SLOT_BYTES + 10);
    longer.set(bytes);
    assert.equal(superblockReason(longer), "ok");
  });

  it("another kind in its place is damaged", () => {
    assert.equal(superblockReason(encodeForwarding(forwarding, hasher)), "damaged");
    assert.equal(superblockReason(sampleCommit([{ block: 1, slot: 9 }])), "damaged");
  });

  it("numbers of 2^53 and more are damaged in every u64 field", () => {
    const fields = [40, 48, 56, 64, 72, 96, 120, 144, 160, 192, 204];
    for (const at of fields) {
      for (const value of tooLarge)
        assert.equal(superblockReason(reseal(changed(bytes, at, value))), "damaged", `${at}`);
    }
  });

  it("numbers out of their range are damaged", () => {
    const wrong: [at: number, value: number, width?: number][] = [
      [40, 0], // generation
      [144, 2], // file slots, below every root too
      [144, MAX_FILE_SLOTS + 1],
      [168, 0, 4], // run count
      [168, 257, 4],
      [168, 0xffffffff, 4],
      [168, 3, 4], // a third run of zeros
      [72, 1], // image in a superblock, in the forwarding slot, at the end of the file
      [72, 2],
      [72, 300],
      [72, 0], // an empty root with a digest
      [88, 0, 4], // height
      [88, 6, 4],
      [88, 0xffffffff, 4],
      [136, 1, 4], // an empty root with a height
      [192, 0], // first run
      [192, 2],
      [192, 85], // into the second
      [192, 2 ** 48],
      [200, 0, 4],
      [200, 71, 4], // into the second
      [200, 0xffffffff, 4],
      [160, 0], // chain next
      [160, 29],
      [160, 49], // only one slot left in its run
      [160, 50],
      [160, 164],
    ];
    for (const [at, value, width] of wrong) {
      assert.equal(
        superblockReason(reseal(changed(bytes, at, value, width))),
        "damaged",
        `${value} at ${at}`,
      );
    }
  });

  it("the next header needs two slots of one run, adjoining runs do not count", () => {
    const runs = [
      { slot: 30, slots: 11 },
      { slot: 41, slots: 2 },
    ];
    const reason = (chainNext: number) =>
      superblockReason(encodeSuperblock(sampleSuperblock({ chainNext, runs }), hasher));
    assert.deepEqual([39, 40, 41, 42].map(reason), ["ok", "damaged", "ok", "damaged"]);
  });

  it("what decodes after any change encodes to the same again", () => {
    const property = fc.property(superblocks, overwrites(700), (superblock, values) => {
      const decoded = decodeSuperblock(
        reseal(overwritten(encodeSuperblock(superblock, hasher), values)),
        hasher,
      );
      if (!decoded.ok) return;
      const again = decodeSuperblock(encodeSuperblock(decoded.value, hasher), hasher);
      assert.deepEqual(again, decoded);
    });
    fc.assert(property, { seed: seedFromEnv(), numRuns: 1000 });
  });
});

describe("format: hostile segment headers", () => {
  const commit = sampleCommit([
    { block: 5, slot: 46 },
    { block: 2, slot: 47 },
    { block: 9, slot: 0 },
  ]);
  const large = sampleCommit(Array.from({ length: 400 }, (_, i) => ({ block: 3 * i, slot: 100 + i })));
  const headerReason = (bytes: Uint8Array) => reasonOf(decodeHeader(bytes, uuid));

  it("a flipped bit anywhere in any of its slots is noticed", () => {
    for (const bytes of [commit, large]) {
      for (let bit = 0; bit < bytes.length * 8; bit += bytes === commit ? 1 : 17) {
        bytes[bit >> 3] ^= 1 << (bit & 7);
        const isAccepted = decodeHeader(bytes, uuid).ok && verifyHeader(bytes, hasher);
        bytes[bit >> 3] ^= 1 << (bit & 7);
        assert.equal(isAccepted, false, `bit ${bit}`);
      }
    }
  });

  it("further slots that are missing, in another order or too many do not verify", () => {
    assert.equal(large.length, 3 * SLOT_BYTES);
    assert.equal(verifyHeader(large, hasher), true);
    assert.equal(verifyHeader(large.subarray(0, 2 * SLOT_BYTES), hasher), false);
    assert.equal(verifyHeader(large.subarray(0, 100), hasher), false);
    const longer = new Uint8Array(4 * SLOT_BYTES);
    longer.set(large);
    assert.equal(verifyHeader(longer, hasher), false);
    const swapped = large.slice();
    swapped.copyWithin(SLOT_BYTES, 2 * SLOT_BYTES);
    swapped.set(large.subarray(SLOT_BYTES, 2 * SLOT_BYTES), 2 * SLOT_BYTES);
    assert.equal(verifyHeader(swapped, hasher), false);
  });

  it("a header of another file is foreign, a later major is VERSION", () => {
    const other = uuid.map((byte) => byte ^ 1);
    assert.equal(reasonOf(decodeHeader(commit, other)), "foreign");
    assert.equal(headerReason(new Uint8Array(SLOT_BYTES)), "foreign");
    assert.equal(headerReason(changed(commit, 8, 2, 2)), "version");
    assert.equal(headerReason(encodeSuperblock(sampleSuperblock(), hasher)), "damaged");
  });

  it("fields out of their range are damaged", () => {
    const wrong: [at: number, value: number | bigint, width?: number][] = [
      [40, 0], // sequence
      [64, 18], // last flushed, not below the sequence
      [80, 0], // next
      [80, 2],
      [80, 2 ** 48 - 1],
      [88, 5, 4], // operation
      [88, 0xffffffff, 4],
      [88, 1, 4], // a record of 72 bytes would do, so the body has to be looked at: see below
      [92, 73, 4], // body bytes
      [92, 0xfffffff0, 4],
      [92, 0xffffffff, 4],
      [96, 50], // a further slot without any
      [104, 1, 4],
      [104, 0xffffffff, 4],
    ];
    for (const at of [40, 48, 64, 72, 80, 96]) for (const value of tooLarge) wrong.push([at, value]);
    for (const [at, value, width] of wrong) {
      if (at === 88 && value === 1) continue;
      assert.equal(headerReason(changed(commit, at, value, width)), "damaged", `${value} at ${at}`);
    }
    const wrongFurther: [at: number, value: number, width?: number][] = [
      [96, 0],
      [96, 2],
      [96, 2 ** 48 - 1],
      [104, 1, 4],
      [104, 3, 4],
    ];
    for (const [at, value, width] of wrongFurther) {
      assert.equal(headerReason(changed(large, at, value, width)), "damaged", `${value} at ${at}`);
    }
    const asRecord = changed(commit, 88, 1, 4);
    assert.equal(headerReason(asRecord), "ok");
    assert.equal(reasonOf(decodeRecordBody(Operation.Checkpoint, headerBody(asRecord, 72))), "damaged");
  });

  it("records longer than any record are refused before their further slots are read", () => {
    const record = sampleRecord(Operation.Checkpoint, {
      runs: [{ slot: 60, slots: 4 }],
      name: "",
      image: null,
    });
    assert.equal(headerReason(record), "ok");
    assert.equal(headerReason(changed(record, 92, 19, 4)), "damaged");
    const huge = changed(changed(changed(record, 92, 3968 + 4096 * 1000, 4), 104, 1000, 4), 96, 100);
    assert.equal(headerReason(huge), "damaged");
  });

  it("entries that no commit has are damaged", () => {
    const body = headerBody(commit, 72);
    const reason = (at: number, value: number | bigint) => reasonOf(decodeEntries(changed(body, at, value)));
    assert.equal(reasonOf(decodeEntries(body)), "ok");
    assert.equal(reason(0, 2 ** 40), "damaged"); // block
    assert.equal(reason(0, 2), "damaged"); // a block twice
    assert.equal(reason(8, 47), "damaged"); // a slot twice
    assert.equal(reason(8, 1), "damaged");
    assert.equal(reason(8, 2), "damaged");
    assert.equal(reason(8, 2 ** 48), "damaged");
    assert.equal(reason(8, 0), "damaged"); // discarded, with a digest
    assert.equal(reason(64, 2n ** 63n), "damaged");
    for (const at of [0, 8, 24, 32, 48, 56])
      for (const value of tooLarge) assert.equal(reason(at, value), "damaged");
    for (const length of [1, 23, 25, 71])
      assert.equal(reasonOf(decodeEntries(body.subarray(0, length))), "damaged");
    assert.equal(entriesProblem(body, 48), null);
    assert.notEqual(entriesProblem(body, 47), null);
  });

  it("finds one block or slot that comes twice among very many", () => {
    const count = 100_000;
    const body = new Uint8Array(count * 24);
    const view = new DataView(body.buffer);
    for (let i = 0; i < count; i++) {
      view.setUint32(i * 24, count - i, true);
      view.setUint32(i * 24 + 8, 3 + ((i * 7) % count), true);
    }
    assert.equal(entriesProblem(body), null);
    view.setUint32(50_000 * 24, 17, true);
    assert.equal(entriesProblem(body), "block 17 twice");
    view.setUint32(50_000 * 24, 50_000, true);
    view.setUint32(8, 1003, true);
    assert.equal(entriesProblem(body), "slot 1003 twice");
  });

  it("record bodies that no checkpoint wrote are damaged", () => {
    const record = {
      runs: [{ slot: 60, slots: 4 }],
      name: "name",
      image: { slot: 5, digest: 7n, height: 1 },
    };
    const body = encodeRecordBody(Operation.Restore, record);
    const reason = (bytes: Uint8Array, operation = Operation.Restore) =>
      reasonOf(decodeRecordBody(operation, bytes));
    assert.equal(reason(body), "ok");
    const wrong: [at: number, value: number | bigint, width?: number][] = [
      [0, 0, 4], // run count
      [0, 2, 4],
      [0, 257, 4],
      [0, 0xffffffff, 4],
      [4, 0, 4], // length of the name
      [4, 3, 4],
      [4, 5, 4],
      [4, 0xffffffff, 4],
      [8, 2], // the run
      [8, 2n ** 53n],
      [16, 0, 4],
      [16, 1, 4], // too short for a header
      [20, 2], // image
      [20, 2n ** 53n],
      [36, 6, 4],
    ];
    for (const [at, value, width] of wrong) {
      assert.equal(reason(changed(body, at, value, width)), "damaged", `${value} at ${at}`);
    }
    const badName = body.slice();
    badName[44] = 0xff;
    assert.equal(reason(badName), "damaged");
    for (let length = 0; length < body.length; length++)
      assert.equal(reason(body.subarray(0, length)), "damaged");
    for (const operation of [Operation.Checkpoint, Operation.CreateSnapshot, Operation.DeleteSnapshot]) {
      assert.equal(reason(body, operation), "damaged");
    }
    const unnamed = encodeRecordBody(Operation.Checkpoint, { ...record, name: "", image: null });
    assert.equal(reason(unnamed, Operation.Checkpoint), "ok");
    assert.equal(reason(unnamed, Operation.CreateSnapshot), "damaged");
    const named = encodeRecordBody(Operation.CreateSnapshot, { ...record, image: null });
    assert.equal(reason(named, Operation.Checkpoint), "damaged");
  });
});

describe("format: hostile nodes, directories and forwarding slots", () => {
  it("node entries out of range", () => {
    const node = new Uint8Array(SLOT_BYTES);
    assert.equal(validateNode(node), null);
    assert.equal(validateNode(changed(node, 160, 99), 100), null);
    assert.notEqual(validateNode(changed(node, 160, 100), 100), null);
    for (const value of [1, 2, MAX_FILE_SLOTS, ...tooLarge])
      assert.notEqual(validateNode(changed(node, 4080, value)), null);
    assert.notEqual(validateNode(changed(node, 168, 1)), null);
    assert.notEqual(validateNode(changed(node, 168, 2n ** 63n)), null);
    assert.notEqual(validateNode(node.subarray(0, 4095)), null);
  });

  it("directories whose counts do not fit", () => {
    const entries = ["a", "b"].map((name) => ({
      name,
      root: { slot: 9, digest: 1n, height: 1 },
      sequence: 1,
      time: 1,
    }));
    const [leaf] = encodeDirectory(entries);
    const reason = (bytes: Uint8Array, fileSlots?: number) => reasonOf(decodeDirectory(bytes, fileSlots));
    assert.equal(reason(leaf), "ok");
    assert.equal(reason(leaf, 10), "ok");
    assert.equal(reason(leaf, 9), "damaged");
    const wrong: [at: number, value: number | bigint, width?: number][] = [
      [0, 0, 4], // bytes
      [0, 7, 4],
      [0, 8, 4],
      [0, 93, 4],
      [0, 95, 4],
      [0, 4096, 4],
      [0, 4097, 4],
      [0, 0xffffffff, 4],
      [4, 0, 4], // snapshots
      [4, 1, 4],
      [4, 0xffffffff, 4],
      [8, 1], // root
      [8, 2n ** 53n],
      [24, 0, 4],
      [32, 2n ** 53n], // sequence
      [40, 2n ** 53n], // time
      [48, 0, 2], // length of the name
      [48, 2, 2],
      [48, 1025, 2],
      [48, 65535, 2],
      [50, 0x62, 1], // both "b"
      [50, 0x63, 1], // not sorted
      [50, 0xff, 1], // not UTF-8
    ];
    for (const [at, value, width] of wrong) {
      const bytes = leaf.slice();
      if (width === 1) bytes[at] = Number(value);
      assert.equal(
        reason(width === 1 ? bytes : changed(leaf, at, value, width)),
        "damaged",
        `${value} at ${at}`,
      );
    }
    for (let length = 1; length < 94; length++) assert.equal(reason(leaf.subarray(0, length)), "damaged");
    const empty = changed(new Uint8Array(SLOT_BYTES), 0, 8, 4);
    assert.equal(reason(empty), "damaged");
    assert.deepEqual(decodeDirectory(new Uint8Array(0)), { ok: true, value: [] });
  });

  it("forwarding slots", () => {
    const bytes = encodeForwarding(forwarding, hasher);
    const reason = (changedBytes: Uint8Array) => reasonOf(decodeForwarding(changedBytes, hasher));
    for (const at of [56, 64])
      for (const value of tooLarge) assert.equal(reason(reseal(changed(bytes, at, value))), "damaged");
    assert.equal(reason(changed(bytes, 4088, 1)), "damaged");
    assert.equal(reason(new Uint8Array(SLOT_BYTES)), "foreign");
    assert.equal(reason(encodeSuperblock(sampleSuperblock(), hasher)), "damaged");
  });

  it("no decoder throws on random bytes, with or without the magic", () => {
    const samples = [
      encodeSuperblock(sampleSuperblock(), hasher),
      encodeForwarding(forwarding, hasher),
      sampleCommit(Array.from({ length: 200 }, (_, i) => ({ block: i, slot: 100 + i }))),
      sampleRecord(Operation.Restore, { runs: [{ slot: 60, slots: 4 }], name: "n", image: EMPTY_ROOT }),
      encodeDirectory([{ name: "n", root: EMPTY_ROOT, sequence: 1, time: 1 }])[0],
    ];
    const random = fc.oneof(
      fc.uint8Array({ maxLength: 9000, size: "max" }),
      breakages(samples.length, SLOT_BYTES),
    );
    const property = fc.property(random, (bytesOrBreakage) => {
      const bytes =
        bytesOrBreakage instanceof Uint8Array ? bytesOrBreakage : broken(samples, bytesOrBreakage);
      const before = bytes.slice();
      reasonOf(decodeSuperblock(bytes, hasher));
      reasonOf(decodeForwarding(bytes, hasher));
      reasonOf(decodeHeader(bytes, uuid));
      verifyHeader(bytes, hasher);
      reasonOf(decodeEntries(bytes));
      reasonOf(decodeEntries(headerBody(bytes, 0xffffffff)));
      for (let operation = 0; operation < 6; operation++) {
        reasonOf(decodeRecordBody(operation, bytes));
        reasonOf(decodeRecordBody(operation, headerBody(bytes, 61)));
      }
      reasonOf(decodeDirectory(bytes));
      validateNode(bytes);
      decodeLock(bytes);
      decodePin(bytes);
      assert.deepEqual(bytes, before);
    });
    fc.assert(property, { seed: seedFromEnv(), numRuns: 1000 });
  });
});
