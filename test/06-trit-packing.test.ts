// Packing five trits a byte, arithmetic on rows of trytes, and quantization: against loops over single elements.

import assert from "node:assert/strict";
import { pack, packedLength, quantizeBytes, quantizeTrits, trytes, unpack } from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { type Random, withSeed } from "./support/random.js";

const randomTrits = (random: Random, count: number): Int8Array =>
  Int8Array.from({ length: count }, () => random.below(3) - 1);
const randomTrytes = (random: Random, count: number, most = 182): Int16Array =>
  Int16Array.from({ length: count }, () => random.below(2 * most + 1) - most);

/** Around the sizes of pieces, and others. */
const lengths = [0, 1, 4, 5, 6, 7, 8, 9, 4095, 4096, 4097, 8189, 8190, 8191, 8192, 20_001, 100_003];

describe("packed trits", () => {
  it("a byte is Σ (t + 1) × 3ⁱ, for all that there are", () => {
    for (let byte = 0; byte < 243; byte++) {
      const trits = [0, 1, 2, 3, 4].map((i) => (Math.floor(byte / 3 ** i) % 3) - 1);
      assert.deepEqual([...unpack(Uint8Array.of(byte), 5)], trits);
      assert.deepEqual([...pack(Int8Array.from(trits))], [byte]);
    }
    assert.deepEqual([...pack(Int8Array.of(1, -1))], [2 + 9 + 27 + 81], "what is missing is 0");
  });

  it("of any length, there and back", () =>
    withSeed("pack and unpack", (random) => {
      for (const count of [...lengths, random.below(50_000)]) {
        const trits = randomTrits(random, count);
        const bytes = pack(trits);
        assert.equal(bytes.length, packedLength(count));
        for (let i = 0; i < bytes.length; i++) {
          let byte = 0;
          for (let k = 4; k >= 0; k--) byte = 3 * byte + (trits[5 * i + k] ?? 0) + 1;
          if (bytes[i] !== byte) assert.fail(`byte ${i} of ${count} trits`);
        }
        assert.deepEqual(unpack(bytes, count), trits);
      }
    }));

  it("into arrays that are given, wherever these lie", () =>
    withSeed("pack into", (random) => {
      for (const count of lengths) {
        const trits = randomTrits(random, count + 3).subarray(3);
        const bytes = new Uint8Array(packedLength(count) + 7).fill(0xaa).subarray(5);
        assert.equal(pack(trits, bytes), bytes);
        assert.deepEqual([...bytes.subarray(-2)], [0xaa, 0xaa]);
        const back = new Int8Array(count + 9).fill(77).subarray(1);
        assert.equal(unpack(bytes, count, back), back);
        assert.deepEqual(back.subarray(0, count), trits);
        assert.ok(back.subarray(count).every((value) => value === 77));
      }
    }));

  it("refuse what is no trit and what packs none, wherever it is", () =>
    withSeed("pack refuses", (random) => {
      for (let value = -128; value < 128; value++) {
        if (Math.abs(value) <= 1) continue;
        const at = random.below(30_000);
        const trits = randomTrits(random, 30_000);
        trits[at] = value;
        const error = expectCode("INVALID_ARGUMENT", () => pack(trits));
        assert.match(error.message, new RegExp(`element ${at} is ${value}`));
        const five = Int8Array.of(1, 1, 1, 1, 1);
        five[at % 5] = value;
        expectCode("INVALID_ARGUMENT", () => pack(five));
      }
      for (let byte = 243; byte < 256; byte++) {
        const at = random.below(9000);
        const bytes = pack(randomTrits(random, 45_000));
        bytes[at] = byte;
        const error = expectCode("INVALID_ARGUMENT", () => unpack(bytes, 45_000));
        assert.match(error.message, new RegExp(`byte ${at} is ${byte}`));
        unpack(bytes, 5 * at);
      }
      expectCode("INVALID_ARGUMENT", () => unpack(new Uint8Array(2), 11));
      expectCode("INVALID_ARGUMENT", () => unpack(new Uint8Array(2), -1));
      expectCode("INVALID_ARGUMENT", () => unpack(new Uint8Array(2), 0.5));
      expectCode("INVALID_ARGUMENT", () => unpack(new Uint8Array(2), 6, new Int8Array(5)));
      expectCode("INVALID_ARGUMENT", () => pack(new Int8Array(6), new Uint8Array(1)));
      expectCode("INVALID_ARGUMENT", () => pack([1, 0] as unknown as Int8Array));
    }));
});

describe("rows of trytes", () => {
  const binary = {
    add: (x: number, y: number) => x + y,
    sub: (x: number, y: number) => x - y,
    lesser: Math.min,
    greater: Math.max,
  };

  for (const [name, plain] of Object.entries(binary) as [keyof typeof binary, typeof Math.min][]) {
    it(`${name}: element by element, into a row or in place`, () =>
      withSeed(`trytes ${name}`, (random) => {
        for (const count of [...lengths, random.below(20_000)]) {
          const [a, b] = [randomTrytes(random, count), randomTrytes(random, count)];
          const expected = a.map((x, i) => plain(x, b[i]));
          assert.deepEqual(trytes[name](a, b), expected);
          const copy = a.slice();
          assert.equal(trytes[name](copy, b, copy), copy);
          assert.deepEqual(copy, expected);
        }
        const a = randomTrytes(random, 100, 182);
        assert.deepEqual(
          trytes[name](a, a),
          a.map((x) => plain(x, x)),
        );
      }));

    it(`${name}: says which element has no result`, () =>
      withSeed(`trytes ${name} overflow`, (random) => {
        for (let round = 0; round < 300; round++) {
          const count = 1 + random.below(9000);
          const [a, b] = [randomTrytes(random, count), randomTrytes(random, count)];
          const at = random.below(count);
          const [x, y] = [randomTrytes(random, 1, 400)[0], randomTrytes(random, 1, 400)[0]];
          a[at] = x;
          b[at] = y;
          const wrong = Math.abs(x) > 364 ? x : Math.abs(y) > 364 ? y : null;
          if (wrong !== null) {
            const error = expectCode("INVALID_ARGUMENT", () => trytes[name](a, b));
            assert.match(error.message, new RegExp(`element ${at} is ${wrong}`));
          } else if (Math.abs(plain(x, y)) > 364) {
            const error = expectCode("LIMIT", () => trytes[name](a, b));
            assert.match(error.message, new RegExp(`${x} and ${y}, element ${at},`));
          } else {
            assert.equal(trytes[name](a, b)[at], plain(x, y));
          }
        }
        for (const value of [365, -365, 32767, -32768]) {
          for (const other of [0, -365, 32767, -32768, 364]) {
            expectCode("INVALID_ARGUMENT", () =>
              trytes[name](Int16Array.of(0, value), Int16Array.of(0, other)),
            );
            expectCode("INVALID_ARGUMENT", () => trytes[name](Int16Array.of(other), Int16Array.of(value)));
          }
        }
      }));
  }

  it("neg: element by element", () =>
    withSeed("trytes neg", (random) => {
      for (const count of lengths) {
        const a = randomTrytes(random, count, 364);
        assert.deepEqual(
          trytes.neg(a),
          a.map((x) => -x),
        );
      }
      for (const value of [365, -365, -32768])
        expectCode("INVALID_ARGUMENT", () => trytes.neg(Int16Array.of(1, value)));
    }));

  it("of one length only", () => {
    expectCode("INVALID_ARGUMENT", () => trytes.add(new Int16Array(3), new Int16Array(4)));
    expectCode("INVALID_ARGUMENT", () => trytes.add(new Int16Array(3), new Int16Array(3), new Int16Array(2)));
    expectCode("INVALID_ARGUMENT", () => trytes.neg(new Int8Array(3) as unknown as Int16Array));
  });
});

describe("quantization", () => {
  it("to trits: what is large keeps its sign, and no other scale is nearer", () =>
    withSeed("quantize trits", (random) => {
      for (const threshold of [0.7, 0.5, 0]) {
        const vector = Float32Array.from({ length: 500 }, () => (random.below(2001) - 1000) / 100);
        vector[3] = 0;
        const { trits, scale } = quantizeTrits(vector, { threshold });
        const mean = vector.reduce((sum, value) => sum + Math.abs(value), 0) / vector.length;
        vector.forEach((value, i) => {
          const keeps = value !== 0 && Math.abs(value) >= threshold * mean;
          assert.equal(trits[i], keeps ? Math.sign(value) : 0);
        });
        const error = (factor: number) =>
          vector.reduce((sum, value, i) => sum + (value - factor * trits[i]) ** 2, 0);
        assert.ok(error(scale) <= error(scale * 1.01) && error(scale) <= error(scale * 0.99));
      }
    }));

  it("to bytes: the greatest becomes 127", () =>
    withSeed("quantize bytes", (random) => {
      const vector = Float32Array.from({ length: 500 }, () => (random.below(2001) - 1000) / 7);
      const { bytes, scale } = quantizeBytes(vector);
      assert.equal(Math.max(...bytes.map(Math.abs)), 127);
      vector.forEach((value, i) => {
        assert.ok(Math.abs(value - scale * bytes[i]) <= scale * 0.5001);
      });
    }));

  it("of nothing, of zeros, and of what is not finite", () => {
    assert.deepEqual(quantizeTrits(new Float32Array(0)).trits, new Int8Array(0));
    assert.deepEqual(quantizeTrits(new Float32Array(3)), { trits: new Int8Array(3), scale: 0 });
    assert.deepEqual(quantizeBytes(new Float32Array(3)), { bytes: new Int8Array(3), scale: 0 });
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expectCode("INVALID_ARGUMENT", () => quantizeTrits(Float32Array.of(1, value)));
      expectCode("INVALID_ARGUMENT", () => quantizeBytes(Float32Array.of(1, value)));
    }
    expectCode("INVALID_ARGUMENT", () => quantizeTrits(new Float32Array(3), { into: new Int8Array(2) }));
  });
});
