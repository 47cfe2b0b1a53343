// The formats as functions: what is encoded decodes to the same, whatever it is, and the helpers that work in place.

import assert from "node:assert/strict";
import fc from "fast-check";
import { compareBytes, fromHex, isZero, readU64, toHex, viewOf, writeU64 } from "../bindings/base/bytes.js";
import { FREE_PAGE_SLOTS, SLOT_BYTES } from "../bindings/format/constants.js";
import { decodeDirectory, encodeDirectory } from "../bindings/format/directory.js";
import { decodeForwarding, encodeForwarding, isForwarded } from "../bindings/format/forwarding.js";
import { freePageCount, freePageOf, Plane, planeHas, planeOf } from "../bindings/format/free-map.js";
import { snapshotNameBytes } from "../bindings/format/names.js";
import { clearNodeEntry, nodeDigestOffset, nodeSlot, setNodeEntry } from "../bindings/format/node.js";
import {
  decodeEntries,
  decodeHeader,
  decodeRecordBody,
  encodeRecordBody,
  entryBlock,
  entryDigestOffset,
  entrySlot,
  headerBody,
  headerSlots,
  newHeader,
  Operation,
  sealHeader,
  setEntry,
  verifyHeader,
} from "../bindings/format/segment.js";
import {
  decodeLock,
  decodePin,
  encodeLock,
  encodePin,
  lockName,
  MAX_RECORD_BYTES,
  newName,
  parseLockName,
  parseNewName,
  parsePinName,
  parseTemporaryName,
  pinName,
  temporaryName,
} from "../bindings/format/side-files.js";
import { decodeSuperblock, EMPTY_ROOT, encodeSuperblock } from "../bindings/format/superblock.js";
import {
  hasher,
  headerFields,
  logRuns,
  names,
  plainRecord,
  roots,
  sampleCommit,
  sampleSuperblock,
  snapshots,
  superblocks,
  uuid,
} from "./support/format-samples.js";
import { seedFromEnv } from "./support/random.js";

const check = <T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void, numRuns = 200): void =>
  fc.assert(fc.property(arbitrary, predicate), { seed: seedFromEnv(), numRuns });

describe("format: bytes", () => {
  it("reads what it writes below 2^53, and NaN above", () => {
    const view = new DataView(new ArrayBuffer(11));
    const edges = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, Number.MAX_SAFE_INTEGER];
    check(fc.oneof(fc.constantFrom(...edges), fc.maxSafeNat()), (value) => {
      writeU64(view, 3, value);
      assert.equal(view.getBigUint64(3, true), BigInt(value));
      assert.equal(readU64(view, 3), value);
    });
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      view.setBigUint64(3, value, true);
      assert.equal(readU64(view, 3), Number.NaN);
    }
  });

  it("refuses to write what is not a u64 below 2^53", () => {
    const view = new DataView(new ArrayBuffer(8));
    for (const value of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => writeU64(view, 0, value), RangeError);
    }
    assert.equal(view.getBigUint64(0, true), 0n);
  });

  it("hex", () => {
    check(fc.uint8Array(), (bytes) => assert.deepEqual(fromHex(toHex(bytes)), bytes));
    for (const text of ["0", "0g", "0x", " 00"]) assert.equal(fromHex(text), null);
  });

  it("orders byte strings as dictionaries do", () => {
    const ordered = ["", "a", "ab", "b", "ba", "ä"].map((text) => new TextEncoder().encode(text));
    ordered.forEach((a, i) => {
      ordered.forEach((b, j) => {
        assert.equal(Math.sign(compareBytes(a, b)), Math.sign(i - j));
      });
    });
  });

  it("finds a single bit wherever the bytes begin and end", () => {
    const buffer = new Uint8Array(64);
    for (let start = 0; start < 9; start++) {
      for (let end = start; end < 64; end += 5) {
        const bytes = buffer.subarray(start, end);
        assert.equal(isZero(bytes), true);
        for (let at = 0; at < 64; at++) {
          buffer[at] = 0x80;
          assert.equal(isZero(bytes), at < start || at >= end);
          buffer[at] = 0;
        }
      }
    }
  });
});

describe("format: round trips", () => {
  it("superblock", () => {
    check(superblocks, (superblock) => {
      const bytes = encodeSuperblock(superblock, hasher);
      assert.equal(bytes.length, SLOT_BYTES);
      assert.deepEqual(decodeSuperblock(bytes, hasher), { ok: true, value: superblock });
    });
  });

  it("superblock with as many runs as fit", () => {
    const runs = Array.from({ length: 256 }, (_, i) => ({ slot: 1000 - 3 * i, slots: 2 }));
    const superblock = sampleSuperblock({ runs, chainNext: 1000 });
    assert.deepEqual(decodeSuperblock(encodeSuperblock(superblock, hasher), hasher), {
      ok: true,
      value: superblock,
    });
    const tooMany = { ...superblock, runs: [...runs, { slot: 2000, slots: 2 }] };
    assert.throws(() => encodeSuperblock(tooMany, hasher), RangeError);
  });

  it("superblock at the edges of its ranges", () => {
    const end = 2 ** 48;
    const superblock = sampleSuperblock({
      generation: 1,
      sequence: 0,
      image: { slot: end - 1, digest: 0n, height: 5 },
      freeMap: { slot: 3, digest: 2n ** 64n - 1n, height: 1 },
      fileSlots: end,
      chainNext: 3,
      runs: [
        { slot: end - 9, slots: 9 },
        { slot: 3, slots: 2 },
        { slot: 5, slots: 1 },
      ],
    });
    const bytes = encodeSuperblock(superblock, hasher);
    assert.deepEqual(decodeSuperblock(bytes, hasher), { ok: true, value: superblock });
    const beyond = { ...superblock, runs: [...superblock.runs, { slot: end - 10, slots: 11 }] };
    assert.equal(decodeSuperblock(encodeSuperblock(beyond, hasher), hasher).ok, false);
    const over = { ...superblock, runs: [{ slot: end - 9, slots: 10 }, ...superblock.runs.slice(1)] };
    assert.equal(decodeSuperblock(encodeSuperblock(over, hasher), hasher).ok, false);
    const fresh = sampleSuperblock({ fileSlots: 3, image: EMPTY_ROOT, freeMap: EMPTY_ROOT });
    assert.equal(decodeSuperblock(encodeSuperblock(fresh, hasher), hasher).ok, true);
  });

  it("superblock of a later minor version, its reserved bytes ignored", () => {
    const superblock = sampleSuperblock();
    const bytes = encodeSuperblock(superblock, hasher);
    const view = viewOf(bytes);
    view.setUint16(10, 9, true);
    bytes.fill(0xee, 172, 192);
    bytes.fill(0xee, 192 + 24);
    view.setUint32(92, 0xeeeeeeee, true);
    view.setBigUint64(16, 0n, true);
    hasher.digest(bytes, view, 16);
    assert.deepEqual(decodeSuperblock(bytes, hasher), { ok: true, value: superblock });
  });

  it("forwarding slot", () => {
    const id = fc.uint8Array({ minLength: 16, maxLength: 16 });
    check(
      plainRecord({ uuid: id, nonce: id, writer: fc.maxSafeNat(), time: fc.maxSafeNat() }),
      (forwarding) => {
        const bytes = encodeForwarding(forwarding, hasher);
        assert.equal(isForwarded(bytes), true);
        assert.deepEqual(decodeForwarding(bytes, hasher), { ok: true, value: forwarding });
      },
    );
  });

  it("any byte that is not zero forwards", () => {
    const slot = new Uint8Array(SLOT_BYTES);
    const unaligned = new Uint8Array(SLOT_BYTES + 3).subarray(3);
    assert.equal(isForwarded(slot), false);
    assert.equal(isForwarded(unaligned), false);
    for (const bytes of [slot, unaligned]) {
      for (let at = 0; at < SLOT_BYTES; at++) {
        bytes[at] = at % 2 === 0 ? 1 : 0x80;
        assert.equal(isForwarded(bytes), true, `byte ${at}`);
        bytes[at] = 0;
      }
    }
  });

  it("commits of any number of blocks", () => {
    const count = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.constantFrom(0, 165, 166, 336, 337));
    check(fc.tuple(count, fc.integer({ min: 3, max: 2 ** 47 })), ([blocks, slot]) => {
      const entries = Array.from({ length: blocks }, (_, i) => ({
        block: (i * 7919) % 2 ** 20,
        slot: i % 5 === 4 ? 0 : slot + blocks - i,
      }));
      const bytes = sampleCommit(entries);
      assert.equal(bytes.length, headerSlots(blocks * 24) * SLOT_BYTES);
      assert.equal(verifyHeader(bytes, hasher), true);
      const header = decodeHeader(bytes.subarray(0, SLOT_BYTES), uuid);
      assert.ok(header.ok);
      assert.deepEqual({ ...header.value, digest: 0n }, { ...headerFields(blocks * 24, 0), digest: 0n });
      const decoded = decodeEntries(headerBody(bytes, blocks * 24));
      assert.ok(decoded.ok);
      assert.deepEqual(
        decoded.value.map(({ block, slot }) => ({ block, slot })),
        entries,
      );
      const view = viewOf(bytes);
      for (let i = 0; i < blocks; i++) {
        const digest = view.getBigUint64(entryDigestOffset(i), true);
        assert.deepEqual({ block: entryBlock(view, i), slot: entrySlot(view, i), digest }, decoded.value[i]);
      }
    });
  });

  it("a header takes further slots from the 166th block on", () => {
    assert.deepEqual([0, 1, 3968, 3969, 3968 + 4096, 3968 + 4097].map(headerSlots), [1, 1, 1, 2, 2, 3]);
    assert.equal(headerSlots(165 * 24), 1);
    assert.equal(headerSlots(166 * 24), 2);
  });

  it("headers at the edges of their ranges", () => {
    const entries = Array.from({ length: 200 }, (_, i) => ({
      block: 2 ** 40 - 1 - i,
      slot: 2 ** 48 - 1 - i,
    }));
    const edges = { sequence: 1, lastFlushed: 0, next: 2 ** 48 - 2, furtherSlot: 2 ** 48 - 1 };
    for (const changes of [edges, { ...edges, next: 3, furtherSlot: 3 }]) {
      const bytes = sampleCommit(entries, changes);
      assert.equal(decodeHeader(bytes, uuid).ok, true);
      assert.equal(decodeEntries(headerBody(bytes, 4800)).ok, true);
    }
    assert.equal(decodeHeader(sampleCommit(entries, { furtherSlot: 2 ** 48 }), uuid).ok, false);
  });

  it("sealing leaves nothing of an earlier header in the same bytes", () => {
    const fresh = newHeader(24);
    const used = newHeader(24);
    used.bytes.fill(0xff);
    for (const { bytes, view } of [fresh, used]) {
      setEntry(view, 0, 5, 6);
      view.setBigUint64(entryDigestOffset(0), 9n, true);
      sealHeader(bytes, view, headerFields(24, Operation.Commit), hasher);
    }
    assert.deepEqual(used.bytes, fresh.bytes);
    assert.throws(
      () => sealHeader(used.bytes, used.view, headerFields(4000, Operation.Commit), hasher),
      RangeError,
    );
  });

  it("verifying a header or a superblock leaves its bytes alone, also when the hasher throws", () => {
    const fail = (): never => assert.fail();
    const failing = { digest: fail, digestBlocks: fail, matches: fail };
    const header = sampleCommit([{ block: 1, slot: 9 }]);
    const superblock = encodeSuperblock(sampleSuperblock(), hasher);
    const newer = superblock.slice();
    newer[8] = 2;
    const before = [header.slice(), superblock.slice(), newer.slice()];
    const unchanged = (): void => assert.deepEqual([header, superblock, newer], before);
    verifyHeader(header, hasher);
    assert.throws(() => verifyHeader(header, failing));
    unchanged();
    for (const bytes of [superblock, newer]) {
      decodeSuperblock(bytes, hasher);
      unchanged();
      assert.throws(() => decodeSuperblock(bytes, failing));
      unchanged();
    }
  });

  it("records", () => {
    const operations = fc.constantFrom(
      Operation.Checkpoint,
      Operation.CreateSnapshot,
      Operation.DeleteSnapshot,
      Operation.Restore,
    );
    check(fc.tuple(operations, logRuns, names, roots(2 ** 48)), ([operation, runs, name, root]) => {
      const record = {
        runs,
        name: operation === Operation.Checkpoint ? "" : name,
        image: operation === Operation.Restore ? root : null,
      };
      const body = encodeRecordBody(operation, record);
      assert.deepEqual(decodeRecordBody(operation, body), { ok: true, value: record });
    });
  });

  it("the largest record takes two slots", () => {
    const runs = Array.from({ length: 256 }, (_, i) => ({ slot: 10 * i + 3, slots: 2 }));
    const body = encodeRecordBody(Operation.Restore, { runs, name: "n".repeat(1024), image: EMPTY_ROOT });
    assert.equal(headerSlots(body.length), 2);
    assert.equal(decodeRecordBody(Operation.Restore, body).ok, true);
  });

  it("directories, in any order and over several leaves", () => {
    check(snapshots, (entries) => {
      const leaves = encodeDirectory(entries);
      for (const leaf of leaves) assert.equal(leaf.length, SLOT_BYTES);
      const bytes = new Uint8Array(leaves.length * SLOT_BYTES);
      leaves.forEach((leaf, i) => {
        bytes.set(leaf, i * SLOT_BYTES);
      });
      const decoded = decodeDirectory(bytes);
      assert.ok(decoded.ok);
      const byName = (a: { name: string }, b: { name: string }) =>
        Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
      assert.deepEqual(decoded.value, [...entries].sort(byName));
    });
    assert.deepEqual(encodeDirectory([]), []);
  });

  it("a directory whose stream ends with its leaf", () => {
    const entry = { root: EMPTY_ROOT, sequence: 1, time: 1 };
    const first = [1, 2, 3].map((i) => ({ ...entry, name: `${i}`.repeat(1000) }));
    const rest = 4096 - 8 - 3 * 1042 - 42;
    const fitting = encodeDirectory([...first, { ...entry, name: "x".repeat(rest) }]);
    assert.equal(fitting.length, 1);
    assert.equal(decodeDirectory(fitting[0]).ok, true);
    assert.equal(encodeDirectory([...first, { ...entry, name: "x".repeat(rest + 1) }]).length, 2);
  });

  it("names have 1 to 1024 bytes of UTF-8", () => {
    assert.equal(snapshotNameBytes("a".repeat(1024))?.length, 1024);
    assert.equal(snapshotNameBytes("ä".repeat(512))?.length, 1024);
    assert.deepEqual(snapshotNameBytes("\ufeffa"), new Uint8Array([0xef, 0xbb, 0xbf, 0x61]));
    const marked = [{ name: "\ufeffa", root: EMPTY_ROOT, sequence: 1, time: 1 }];
    assert.deepEqual(decodeDirectory(encodeDirectory(marked)[0]), { ok: true, value: marked });
    for (const name of ["", "a".repeat(1025), "ä".repeat(513), "\ud800", "a\udc00b"]) {
      assert.equal(snapshotNameBytes(name), null);
      const entry = { name, root: EMPTY_ROOT, sequence: 1, time: 1 };
      assert.throws(() => encodeDirectory([entry]), RangeError);
    }
    const twice = ["a", "b", "a"].map((name) => ({ name, root: EMPTY_ROOT, sequence: 1, time: 1 }));
    assert.throws(() => encodeDirectory(twice), RangeError);
  });

  it("node entries and planes of the free map are where the document says", () => {
    const digests = new DataView(new ArrayBuffer(8));
    digests.setBigUint64(0, 0x0123456789abcdefn, true);
    const node = new DataView(new ArrayBuffer(SLOT_BYTES));
    setNodeEntry(node, 7, 99, digests, 0);
    assert.equal(node.getBigUint64(112, true), 99n);
    assert.equal(node.getBigUint64(nodeDigestOffset(7), true), 0x0123456789abcdefn);
    clearNodeEntry(node, 6);
    clearNodeEntry(node, 8);
    assert.deepEqual([nodeSlot(node, 7), node.getBigUint64(120, true)], [99, 0x0123456789abcdefn]);
    setNodeEntry(node, 8, 1, digests, 0);
    clearNodeEntry(node, 7);
    assert.deepEqual([nodeSlot(node, 6), nodeSlot(node, 7), nodeSlot(node, 8)], [0, 0, 1]);
    assert.equal(node.getBigUint64(120, true), 0n);
    const page = new Uint8Array(SLOT_BYTES);
    page[1] = 0x04;
    page[2048] = 0x80;
    assert.equal(planeHas(planeOf(page, Plane.Image), 5 * FREE_PAGE_SLOTS + 10), true);
    assert.equal(planeHas(planeOf(page, Plane.Held), 7), true);
    assert.equal(planeHas(planeOf(page, Plane.Image), 7), false);
    assert.deepEqual([0, 16383, 16384, 2 ** 40].map(freePageOf), [0, 0, 1, 2 ** 26]);
    assert.deepEqual([0, 1, 16384, 16385].map(freePageCount), [0, 1, 1, 2]);
  });
});

describe("format: side files", () => {
  const text = fc.option(fc.string({ unit: "binary" }).filter((value) => !/\p{Surrogate}/u.test(value)));
  const process = plainRecord({
    machine: text,
    boot: text,
    pidNamespace: text,
    pid: fc.maxSafeNat(),
    startTime: text,
  });

  it("locks and pins decode to what was encoded", () => {
    check(plainRecord({ writer: fc.maxSafeNat(), nonce: fc.string(), process }), (lock) => {
      assert.deepEqual(decodeLock(encodeLock(lock)), lock);
    });
    const superblock = fc.uint8Array({ minLength: SLOT_BYTES, maxLength: SLOT_BYTES });
    check(plainRecord({ superblock, commit: fc.maxSafeNat(), snapshot: text, process }), (pin) => {
      assert.deepEqual(decodePin(encodePin(pin)), pin);
    });
  });

  it("local is told only where it is true", () => {
    const identity = { machine: null, boot: "b", pidNamespace: null, pid: 1, startTime: null };
    const lock = (local: unknown) =>
      decodeLock(encodeLock({ writer: 1, nonce: "n", process: { ...identity, local: local as boolean } }));
    assert.deepEqual(lock(true)?.process, { ...identity, local: true });
    for (const value of [false, undefined, 1, "true"]) assert.deepEqual(lock(value)?.process, identity);
  });

  it("what is not a record is null", () => {
    const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const identity = { machine: "m", boot: "b", pidNamespace: "n", pid: 1, startTime: "s" };
    const lock = { writer: 1, nonce: "n", process: identity, later: "ignored" };
    assert.notEqual(decodeLock(bytes(lock)), null);
    const broken: unknown[] = [null, [], 1, "x", {}, { ...lock, writer: -1 }, { ...lock, writer: 1e300 }];
    broken.push({ ...lock, nonce: 5 }, { ...lock, process: null }, { ...lock, process: [] });
    for (const key of Object.keys(identity)) {
      broken.push({ ...lock, process: { ...identity, [key]: {} } });
      broken.push({ ...lock, process: { ...identity, [key]: undefined } });
    }
    for (const value of broken) assert.equal(decodeLock(bytes(value)), null, JSON.stringify(value));
    const pin = (value: unknown) => {
      const json = bytes(value);
      const whole = new Uint8Array(SLOT_BYTES + json.length);
      whole.set(json, SLOT_BYTES);
      return decodePin(whole);
    };
    const record = { commit: 1, snapshot: null, process: identity };
    assert.deepEqual(pin(record), { superblock: new Uint8Array(SLOT_BYTES), ...record });
    for (const changes of [
      { commit: -1 },
      { commit: "1" },
      { snapshot: 5 },
      { process: 5 },
      { process: undefined },
    ]) {
      assert.equal(pin({ ...record, ...changes }), null, JSON.stringify(changes));
    }
    const notText = bytes({ ...lock, nonce: "?" });
    notText[notText.indexOf("?".charCodeAt(0))] = 0xff;
    assert.equal(decodeLock(notText), null);
    const padded = new Uint8Array(MAX_RECORD_BYTES + 1).fill(32);
    padded.set(bytes(lock));
    assert.equal(decodeLock(padded), null);
    assert.notEqual(decodeLock(padded.subarray(0, MAX_RECORD_BYTES)), null);
    check(fc.uint8Array({ maxLength: 300 }), (random) => {
      assert.equal(decodeLock(random), null);
      assert.equal(decodePin(random), null);
    });
  });

  it("nested arrays as deep as a record can be long are null", () => {
    assert.equal(decodeLock(new TextEncoder().encode("[".repeat(MAX_RECORD_BYTES))), null);
    const closed = "[".repeat(MAX_RECORD_BYTES / 2) + "]".repeat(MAX_RECORD_BYTES / 2);
    assert.equal(decodeLock(new TextEncoder().encode(closed)), null);
  });

  it("names are found again and no others", () => {
    check(
      fc.tuple(fc.string({ minLength: 1 }), fc.maxSafeNat(), fc.uint8Array({ minLength: 16, maxLength: 16 })),
      ([name, n, raw]) => {
        const nonce = toHex(raw);
        assert.equal(parseLockName(name, lockName(name, n)), n);
        assert.equal(parsePinName(name, pinName(name, nonce)), nonce);
        assert.equal(parseNewName(name, newName(name, nonce)), nonce);
        assert.equal(parseTemporaryName(name, temporaryName(name, nonce)), nonce);
        assert.equal(parseLockName(name, pinName(name, nonce)), null);
        assert.equal(parsePinName(`${name}x`, pinName(name, nonce)), null);
      },
    );
    assert.equal(lockName("app.state", 12), "app.state.lock-12");
    for (const n of ["", "01", "-1", "1.5", "1e3", "9007199254740992", "1 ", "0x1", "99999999999999999999"]) {
      assert.equal(parseLockName("s", `s.lock-${n}`), null, n);
    }
    // What a user may call a file of their own is not taken for one of ours.
    for (const nonce of ["", "2024", "a/b", "a-b", "A".repeat(32), "0".repeat(31), "0".repeat(33)]) {
      assert.equal(parsePinName("s", `s.pin-${nonce}`), null);
    }
  });
});
