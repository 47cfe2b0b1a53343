// Bytes written out by hand from docs/FORMAT.md, not by the encoders, one for each structure; their digests were computed
// with hash-wasm. A change of these bytes is a change of the format.

import assert from "node:assert/strict";
import { createXXHash3, type IHasher } from "hash-wasm";
import { digestHex, toHex } from "../bindings/base/bytes.js";
import { decodeDirectory, encodeDirectory } from "../bindings/format/directory.js";
import { decodeForwarding, encodeForwarding } from "../bindings/format/forwarding.js";
import { clearNodeEntry, nodeSlot, setNodeEntry, validateNode } from "../bindings/format/node.js";
import {
  decodeEntries,
  decodeHeader,
  decodeRecordBody,
  encodeRecordBody,
  entryDigestOffset,
  headerBody,
  newHeader,
  Operation,
  sealHeader,
  setEntry,
  verifyHeader,
} from "../bindings/format/segment.js";
import { decodeLock, decodePin, encodeLock, encodePin } from "../bindings/format/side-files.js";
import {
  decodeSuperblock,
  EMPTY_ROOT,
  encodeSuperblock,
  type Superblock,
} from "../bindings/format/superblock.js";
import { handWritten, hasher } from "./support/format-samples.js";

const uuid = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const uuidHex = "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f";

const superblock: Superblock = {
  uuid,
  generation: 2,
  sequence: 258,
  writer: 3,
  time: 1_700_000_000_000,
  image: { slot: 4, digest: 0x1122334455667788n, height: 1 },
  freeMap: { slot: 5, digest: 0x99aabbccddeeff00n, height: 2 },
  directory: EMPTY_ROOT,
  fileSlots: 2 ** 33 + 1,
  chainDigest: 0x0102030405060708n,
  chainNext: 2 ** 32 + 5,
  runs: [
    { slot: 2 ** 32 + 4, slots: 16 },
    { slot: 6, slots: 300 },
  ],
};

const superblockBytes = handWritten(4096, [
  [0, "89 50 45 52 44 55 52 45"], // magic
  [8, "01 00"], // major
  [10, "00 00"], // minor
  [12, "01 00 00 00"], // kind
  [16, "b5 fb e9 3f 4c dd e6 3c"], // digest
  [24, uuidHex],
  [40, "02 00 00 00 00 00 00 00"], // generation
  [48, "02 01 00 00 00 00 00 00"], // sequence
  [56, "03 00 00 00 00 00 00 00"], // writer
  [64, "00 68 e5 cf 8b 01 00 00"], // time
  [72, "04 00 00 00 00 00 00 00  88 77 66 55 44 33 22 11  01 00 00 00"], // image
  [96, "05 00 00 00 00 00 00 00  00 ff ee dd cc bb aa 99  02 00 00 00"], // free map
  [144, "01 00 00 00 02 00 00 00"], // file slots
  [152, "08 07 06 05 04 03 02 01"], // chain digest
  [160, "05 00 00 00 01 00 00 00"], // chain next
  [168, "02 00 00 00"], // run count
  [192, "04 00 00 00 01 00 00 00  10 00 00 00"],
  [204, "06 00 00 00 00 00 00 00  2c 01 00 00"],
]);

const forwarding = { uuid, nonce: uuid.map((byte) => 255 - byte), writer: 7, time: 256 };
const forwardingBytes = handWritten(4096, [
  [0, "89 50 45 52 44 55 52 45  01 00  00 00  03 00 00 00"],
  [16, "fe df a5 22 2b b9 c4 aa"],
  [24, uuidHex],
  [40, "ff fe fd fc fb fa f9 f8 f7 f6 f5 f4 f3 f2 f1 f0"], // nonce
  [56, "07 00 00 00 00 00 00 00"], // writer
  [64, "00 01 00 00 00 00 00 00"], // time
]);

/** A commit of two blocks and a discarded one. */
const commitBytes = handWritten(4096, [
  [0, "89 50 45 52 44 55 52 45  01 00  00 00  02 00 00 00"],
  [16, "1d a7 c0 29 09 75 58 b4"],
  [24, uuidHex],
  [40, "03 01 00 00 00 00 00 00"], // sequence
  [48, "03 00 00 00 00 00 00 00"], // writer
  [56, "08 07 06 05 04 03 02 01"], // previous
  [64, "02 01 00 00 00 00 00 00"], // last flushed
  [72, "01 68 e5 cf 8b 01 00 00"], // time
  [80, "08 00 00 00 00 00 00 00"], // next
  [88, "00 00 00 00"], // operation
  [92, "48 00 00 00"], // body bytes
  [128, "00 00 00 00 01 00 00 00  06 00 00 00 00 00 00 00  0f 0e 0d 0c 0b 0a 09 08"],
  [152, "01 00 00 00 01 00 00 00  07 00 00 00 00 00 00 00  1f 1e 1d 1c 1b 1a 19 18"],
  [176, "02 00 00 00 00 00 00 00"],
]);
const commitFields = {
  uuid,
  sequence: 259,
  writer: 3,
  previous: 0x0102030405060708n,
  lastFlushed: 258,
  time: 1_700_000_000_001,
  next: 8,
  operation: Operation.Commit,
  bodyBytes: 72,
  furtherSlot: 0,
  furtherSlots: 0,
};

/** A restore of the snapshot "früh". */
const restoreBytes = handWritten(4096, [
  [0, "89 50 45 52 44 55 52 45  01 00  00 00  02 00 00 00"],
  [16, "a4 6a 2a b8 81 54 d1 2d"],
  [24, uuidHex],
  [40, "04 01 00 00 00 00 00 00"],
  [48, "03 00 00 00 00 00 00 00"],
  [56, "0f 0e 0d 0c 0b 0a 09 08"],
  [64, "03 01 00 00 00 00 00 00"],
  [72, "00 00 00 00 00 00 00 00"],
  [80, "09 00 00 00 00 00 00 00"],
  [88, "04 00 00 00"],
  [92, "3d 00 00 00"], // 8 + 2 × 12 + 24 + 5 bytes
  [128, "02 00 00 00"], // runs
  [132, "05 00 00 00"], // length of the name
  [136, "09 00 00 00 00 00 00 00  04 00 00 00"],
  [148, "20 00 00 00 00 00 00 00  00 01 00 00"],
  [160, "04 00 00 00 00 00 00 00  88 77 66 55 44 33 22 11  01 00 00 00  00 00 00 00"], // image
  [184, "66 72 c3 bc 68"], // name
]);
const restore = {
  runs: [
    { slot: 9, slots: 4 },
    { slot: 32, slots: 256 },
  ],
  name: "früh",
  image: { slot: 4, digest: 0x1122334455667788n, height: 1 },
};

const nodeBytes = handWritten(4096, [
  [0, "03 00 00 00 00 00 00 00  08 07 06 05 04 03 02 01"],
  [255 * 16, "ff ff ff ff ff ff 00 00  18 17 16 15 14 13 12 11"],
]);

const directoryBytes = handWritten(4096, [
  [0, "63 00 00 00"], // 8 + 42 + 2 + 42 + 5 bytes
  [4, "02 00 00 00"], // snapshots
  [8, "04 00 00 00 00 00 00 00  88 77 66 55 44 33 22 11  01 00 00 00  00 00 00 00"], // root
  [32, "02 01 00 00 00 00 00 00"], // sequence
  [40, "00 68 e5 cf 8b 01 00 00"], // time
  [48, "02 00"],
  [50, "7a 7a"], // "zz"
  [52, "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  00 00 00 00  00 00 00 00"],
  [76, "01 00 00 00 00 00 00 00"],
  [84, "02 00 00 00 00 00 00 00"],
  [92, "05 00"],
  [94, "c3 a4 6c 74 73"], // "älts", after "zz" because 0xc3 > 0x7a
]);
const directory = [
  {
    name: "zz",
    root: { slot: 4, digest: 0x1122334455667788n, height: 1 },
    sequence: 258,
    time: 1_700_000_000_000,
  },
  { name: "älts", root: EMPTY_ROOT, sequence: 1, time: 2 },
];

const process = {
  machine: "m1",
  boot: "b1",
  pidNamespace: "pid:[4026531836]",
  pid: 4711,
  startTime: null,
};
const processJson = `{"machine":"m1","boot":"b1","pidNamespace":"pid:[4026531836]","pid":4711,"startTime":null}`;

describe("format: golden bytes", () => {
  let xxh3: IHasher;

  before(async () => {
    xxh3 = await createXXHash3();
  });

  /** The digest field is right by an implementation of XXH3 that is not ours. */
  function checkDigest(bytes: Uint8Array): void {
    const zeroed = bytes.slice();
    zeroed.fill(0, 16, 24);
    const stored = digestHex(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(16, true));
    assert.equal(stored, xxh3.init().update(zeroed).digest());
  }

  function same(actual: Uint8Array, expected: Uint8Array): void {
    assert.equal(toHex(actual), toHex(expected));
  }

  it("superblock", () => {
    checkDigest(superblockBytes);
    same(encodeSuperblock(superblock, hasher), superblockBytes);
    assert.deepEqual(decodeSuperblock(superblockBytes, hasher), { ok: true, value: superblock });
  });

  it("forwarding slot", () => {
    checkDigest(forwardingBytes);
    same(encodeForwarding(forwarding, hasher), forwardingBytes);
    assert.deepEqual(decodeForwarding(forwardingBytes, hasher), { ok: true, value: forwarding });
  });

  it("header of a commit", () => {
    checkDigest(commitBytes);
    const { bytes, view } = newHeader(72);
    setEntry(view, 0, 2 ** 32, 6);
    view.setBigUint64(entryDigestOffset(0), 0x08090a0b0c0d0e0fn, true);
    setEntry(view, 1, 2 ** 32 + 1, 7);
    view.setBigUint64(entryDigestOffset(1), 0x18191a1b1c1d1e1fn, true);
    setEntry(view, 2, 2, 0);
    const digest = sealHeader(bytes, view, commitFields, hasher);
    same(bytes, commitBytes);
    assert.equal(verifyHeader(commitBytes, hasher), true);
    assert.deepEqual(decodeHeader(commitBytes, uuid), { ok: true, value: { ...commitFields, digest } });
    assert.deepEqual(decodeEntries(headerBody(commitBytes, 72)), {
      ok: true,
      value: [
        { block: 2 ** 32, slot: 6, digest: 0x08090a0b0c0d0e0fn },
        { block: 2 ** 32 + 1, slot: 7, digest: 0x18191a1b1c1d1e1fn },
        { block: 2, slot: 0, digest: 0n },
      ],
    });
  });

  it("header of a record", () => {
    checkDigest(restoreBytes);
    const body = encodeRecordBody(Operation.Restore, restore);
    const { bytes, view } = newHeader(body.length);
    bytes.set(body, 128);
    const fields = {
      ...commitFields,
      sequence: 260,
      previous: 0x08090a0b0c0d0e0fn,
      lastFlushed: 259,
      time: 0,
      next: 9,
      operation: Operation.Restore,
      bodyBytes: 61,
    };
    const digest = sealHeader(bytes, view, fields, hasher);
    same(bytes, restoreBytes);
    assert.deepEqual(decodeHeader(restoreBytes, uuid), { ok: true, value: { ...fields, digest } });
    const record = decodeRecordBody(Operation.Restore, headerBody(restoreBytes, 61));
    assert.deepEqual(record, { ok: true, value: restore });
  });

  it("node", () => {
    const digests = new DataView(
      handWritten(24, [[8, "08 07 06 05 04 03 02 01 18 17 16 15 14 13 12 11"]]).buffer,
    );
    const bytes = new Uint8Array(4096);
    const view = new DataView(bytes.buffer);
    setNodeEntry(view, 0, 3, digests, 8);
    setNodeEntry(view, 17, 4, digests, 8);
    setNodeEntry(view, 255, 2 ** 48 - 1, digests, 16);
    clearNodeEntry(view, 17);
    same(bytes, nodeBytes);
    assert.deepEqual([nodeSlot(view, 0), nodeSlot(view, 17), nodeSlot(view, 255)], [3, 0, 2 ** 48 - 1]);
    assert.equal(validateNode(nodeBytes), null);
  });

  it("directory", () => {
    const leaves = encodeDirectory([...directory].reverse());
    assert.equal(leaves.length, 1);
    same(leaves[0], directoryBytes);
    assert.deepEqual(decodeDirectory(directoryBytes), { ok: true, value: directory });
  });

  it("lock", () => {
    const text = `{"writer":12,"nonce":"00ff","process":${processJson}}\n`;
    const lock = { writer: 12, nonce: "00ff", process };
    assert.equal(new TextDecoder().decode(encodeLock(lock)), text);
    assert.deepEqual(decodeLock(new TextEncoder().encode(text)), lock);
  });

  it("pin", () => {
    const text = `{"commit":258,"snapshot":"früh","process":${processJson}}\n`;
    const pin = { superblock: superblockBytes, commit: 258, snapshot: "früh", process };
    const bytes = encodePin(pin);
    same(bytes.subarray(0, 4096), superblockBytes);
    assert.equal(new TextDecoder().decode(bytes.subarray(4096)), text);
    assert.deepEqual(decodePin(bytes), pin);
  });
});
