// The hash: exact against the published results and against hash-wasm, which shares no code with it, wherever the
// bytes lie and however they arrive.

import assert from "node:assert/strict";
import { createXXHash3, type IHasher } from "hash-wasm";
import { engineWasm } from "../bindings/generated/engine-wasm.js";
import { digestBytes, hashBlockBytes } from "../bindings/hash/hasher.js";
import { type HashExports, WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { Random, seedFromEnv } from "./support/random.js";

/** Results for seed 0 from cli/xsum_sanity_check.c of Cyan4973/xxHash, on the first bytes of `sanityBytes`. */
const published: readonly [length: number, digest: bigint][] = [
  [0, 0x2d06800538d394c2n],
  [1, 0xc44bdff4074eecdbn],
  [6, 0x27b56a84cd2d7325n],
  [12, 0xa713daf0dfbb77e7n],
  [24, 0xa3fe70bf9d3510ebn],
  [48, 0x397da259ecba1f11n],
  [80, 0xbcdefbbb2c47c90an],
  [195, 0xcd94217ee362ec3an],
  [403, 0xcdeb804d65c6dea4n],
  [512, 0x617e49599013cb6bn],
  [2048, 0xdd59e2c3a5f038e0n],
  [2099, 0xc6b9d9b3fc9ac765n],
  [2240, 0x6e73a90539cf2948n],
  [2367, 0xcb37aeb9e5d361edn],
];

/** The buffer those results are about: the top byte of a 64-bit product, multiplied on for every byte. */
function sanityBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let generator = 2654435761n;
  for (let i = 0; i < length; i++) {
    bytes[i] = Number(generator >> 56n);
    generator = BigInt.asUintN(64, generator * 11400714785074694797n);
  }
  return bytes;
}

/** The same bytes for the same start. */
const randomBytes = (length: number, start: number): Uint8Array => new Random(start).bytes(length);

/** A hasher on an instance and memory that the test holds too, as the engine will. */
function shareInstance(pages: number): {
  hasher: WasmHasher;
  exports: HashExports;
  memory: WebAssembly.Memory;
} {
  const memory = new WebAssembly.Memory({ initial: pages });
  const module = new WebAssembly.Module(Buffer.from(engineWasm, "hex"));
  const host = {
    fault: () => assert.fail("hashing faults"),
    firstTouch: () => assert.fail("hashing writes"),
    spill: () => assert.fail("hashing writes"),
  };
  const instance = new WebAssembly.Instance(module, { env: { memory, ...host } });
  const exports = instance.exports as unknown as HashExports;
  return { hasher: new WasmHasher({ instance, memory }), exports, memory };
}

const digestView = new DataView(new ArrayBuffer(digestBytes));

function digestOf(hasher: WasmHasher, bytes: Uint8Array): bigint {
  hasher.digest(bytes, digestView, 0);
  return digestView.getBigUint64(0, true);
}

describe("hash", () => {
  /** Bytes at and after `free` belong to nobody: tests put inputs there. */
  const { hasher, exports, memory } = shareInstance(64);
  const own = new Uint8Array(memory.buffer);
  const free: number = exports.MAP_END.value;
  let oracle: IHasher;

  before(async () => {
    oracle = await createXXHash3();
  });

  const expected = (bytes: Uint8Array): bigint => BigInt(`0x${oracle.init().update(bytes).digest("hex")}`);

  /** Puts the bytes into the hasher's memory. */
  function place(bytes: Uint8Array, address: number): Uint8Array {
    own.set(bytes, address);
    return own.subarray(address, address + bytes.length);
  }

  it("gives the published results", () => {
    const bytes = sanityBytes(2367);
    const standalone = WasmHasher.create();
    for (const [length, digest] of published) {
      const input = bytes.subarray(0, length);
      assert.equal(digestOf(standalone, input), digest, `length ${length}, own instance`);
      assert.equal(digestOf(hasher, input), digest, `length ${length}, copied`);
      assert.equal(digestOf(hasher, place(input, free)), digest, `length ${length}, in place`);
      assert.equal(BigInt.asUintN(64, exports.hash(free, length)), digest, `length ${length}, by address`);
      assert.equal(expected(input), digest, `length ${length}, the oracle`);
    }
  });

  it("agrees with hash-wasm on every length to 4200, copied and in place", () => {
    const bytes = randomBytes(4200, 1);
    place(bytes, free);
    for (let length = 0; length <= bytes.length; length++) {
      const input = bytes.subarray(0, length);
      const digest = expected(input);
      assert.equal(digestOf(hasher, input), digest, `length ${length}, copied`);
      assert.equal(digestOf(hasher, own.subarray(free, free + length)), digest, `length ${length}, in place`);
    }
  });

  it(`agrees with hash-wasm on random ranges to 1 MiB (PERDURE_SEED=${seedFromEnv()})`, () => {
    const random = new Random(seedFromEnv());
    const bytes = random.bytes(2 ** 21);
    place(bytes, free);
    for (let round = 0; round < 150; round++) {
      const length = random.below(2 ** (1 + random.below(20)) + 1);
      const start = random.below(bytes.length - length + 1);
      const input = bytes.subarray(start, start + length);
      const digest = expected(input);
      assert.equal(digestOf(hasher, input), digest, `${length} bytes from ${start}, copied`);
      const inPlace = own.subarray(free + start, free + start + length);
      assert.equal(digestOf(hasher, inPlace), digest, `${length} bytes from ${start}, in place`);
    }
  });

  it("hashes copied bytes in chunks without a seam", () => {
    const half = exports.HASH_STAGING_BYTES.value / 2;
    const bytes = randomBytes(6 * half + 100, 2);
    for (let chunks = 1; chunks <= 6; chunks++) {
      for (const extra of [-1024, -65, -64, -63, -1, 0, 1, 63, 64, 65]) {
        const input = bytes.subarray(3, 3 + chunks * half + extra);
        assert.equal(digestOf(hasher, input), expected(input), `${input.length} bytes`);
      }
    }
  });

  it("does not depend on alignment or on surrounding bytes", () => {
    for (const length of [1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 1025, 4096]) {
      const input = randomBytes(length, length);
      const digest = expected(input);
      for (let shift = 0; shift < 64; shift++) {
        own.fill(shift, free, free + 2 * hashBlockBytes);
        assert.equal(digestOf(hasher, place(input, free + shift)), digest, `${length} bytes, shift ${shift}`);
      }
    }
  });

  it("reads nothing outside its input", () => {
    // Were it to read on, or before address 0, Wasm would trap.
    for (let length = 0; length <= 1100; length++) {
      exports.hash(own.length - length, length);
      exports.hash(0, length);
    }
  });

  it("writes nothing but digests, staging and its state", () => {
    const digests: number = exports.HASH_DIGESTS.value;
    const digestsEnd = digests + exports.HASH_DIGESTS_BYTES.value;
    const bytes = randomBytes(50 * hashBlockBytes, 3);
    const input = free + 1000;
    const others = [
      [0, digests - 4096], // the state lies in the 4 KiB before the digests
      [digestsEnd, exports.HASH_STAGING.value],
      [free, input],
      [input + bytes.length, own.length],
    ] as const;
    for (const [start, end] of others) own.fill(0xa5, start, end);
    const inPlace = place(bytes, input);
    for (const source of [bytes, inPlace]) {
      hasher.digest(source, digestView, 0);
      hasher.digestBlocks(source, new DataView(new ArrayBuffer(400)), 0, 8);
    }
    for (const [start, end] of others) {
      const changed = own.subarray(start, end).findIndex((byte) => byte !== 0xa5);
      assert.equal(changed, -1, `changed in the area from ${start}`);
    }
    assert.deepEqual(inPlace, bytes);
  });

  it("hashes blocks as it hashes each, with any stride", () => {
    for (const count of [0, 1, 2, 16, 17, 40, 512, 513]) {
      const bytes = randomBytes(count * hashBlockBytes, count + 1);
      for (const [shift, stride] of [
        [undefined, 8],
        [undefined, 24],
        [5, 8],
        [0, 11],
      ] as const) {
        const blocks = shift === undefined ? bytes : place(bytes, free + shift);
        const at = 3;
        const out = new DataView(new ArrayBuffer(at + count * stride + 8));
        hasher.digestBlocks(blocks, out, at, stride);
        const single = new DataView(new ArrayBuffer(out.byteLength));
        for (let i = 0; i < count; i++) {
          hasher.digest(
            bytes.subarray(i * hashBlockBytes, (i + 1) * hashBlockBytes),
            single,
            at + i * stride,
          );
        }
        assert.deepEqual(out, single, `${count} blocks, stride ${stride}`);
      }
    }
  });

  it("refuses part of a block", () => {
    assert.throws(() => hasher.digestBlocks(new Uint8Array(4097), digestView, 0, 8), RangeError);
  });

  it("changes with every bit", () => {
    for (const length of [1, 3, 8, 16, 128, 240, 1024, hashBlockBytes]) {
      const bytes = place(randomBytes(length, length), free);
      const digest = digestOf(hasher, bytes);
      for (let bit = 0; bit < 8 * length; bit++) {
        own[free + (bit >> 3)]! ^= 1 << (bit & 7);
        assert.notEqual(digestOf(hasher, bytes), digest, `bit ${bit} of ${length} bytes`);
        own[free + (bit >> 3)]! ^= 1 << (bit & 7);
      }
      assert.equal(digestOf(hasher, bytes), digest);
    }
  });

  it("matches its own digest and no other", () => {
    const bytes = randomBytes(hashBlockBytes, 4);
    const stored = new DataView(new ArrayBuffer(16));
    hasher.digest(bytes, stored, 5);
    assert.ok(hasher.matches(bytes, stored, 5));
    assert.ok(hasher.matches(place(bytes, free), stored, 5));
    for (let i = 0; i < digestBytes; i++) {
      stored.setUint8(5 + i, stored.getUint8(5 + i) ^ 0x80);
      assert.equal(hasher.matches(bytes, stored, 5), false, `byte ${i}`);
      stored.setUint8(5 + i, stored.getUint8(5 + i) ^ 0x80);
    }
  });

  it("keeps working when its memory grows", () => {
    const shared = shareInstance(1);
    const bytes = randomBytes(hashBlockBytes, 5);
    const digest = expected(bytes);
    assert.equal(digestOf(shared.hasher, bytes), digest);
    for (const inPlaceFirst of [true, false]) {
      const address = shared.memory.buffer.byteLength;
      shared.memory.grow(1);
      const grown = new Uint8Array(shared.memory.buffer, address, hashBlockBytes);
      grown.set(bytes);
      const inputs = inPlaceFirst ? [grown, bytes] : [bytes, grown];
      for (const input of inputs) assert.equal(digestOf(shared.hasher, input), digest);
    }
  });

  it("hashes in place above 2 GiB", function () {
    let large: ReturnType<typeof shareInstance>;
    try {
      large = shareInstance(2 ** 15 + 1);
    } catch {
      this.skip(); // no address space for it here
    }
    const bytes = randomBytes(1500, 6);
    const high = new Uint8Array(large.memory.buffer, 2 ** 31 + 7, bytes.length);
    high.set(bytes);
    assert.equal(digestOf(large.hasher, high), expected(bytes));
  });
});
