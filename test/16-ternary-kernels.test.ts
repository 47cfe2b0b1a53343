// The kernels on packed rows, straight from the module: what a byte means, for all there are, as docs/ENGINE.md §19 has it; every length and alignment; and
// nothing written but what they say.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { TernaryFunctions } from "../bindings/api/ternary/functions.js";
import { type Random, withSeed } from "./support/random.js";

const module = new WebAssembly.Module(readFileSync(new URL("../ternary.wasm", import.meta.url)));
const memory = new WebAssembly.Memory({ initial: 64 });
const unused = () => assert.fail("kernels ask nothing of their host");
const kernels = new WebAssembly.Instance(module, {
  env: { memory, fault: unused, firstTouch: unused, spill: unused },
}).exports as unknown as TernaryFunctions;
const bytes = new Uint8Array(memory.buffer);
const signed = new Int8Array(memory.buffer);
const view = new DataView(memory.buffer);

const [IN, ROWS, VECTOR, OUT] = [0x10000, 0x100000, 0x200000, 0x300000];
const rowBytesOf = (columns: number): number => Math.ceil(columns / 5);
const randomTrits = (random: Random, count: number): Int8Array =>
  Int8Array.from({ length: count }, () => random.below(3) - 1);

/** Where trit i of a row is, as the page has it. */
function placeOf(i: number, columns: number): { byte: number; trit: number } {
  const group = Math.floor(i / 80);
  const width = Math.min(16, Math.ceil((columns - 80 * group) / 5));
  return { byte: 16 * group + ((i % 80) % width), trit: Math.floor((i % 80) / width) };
}

/** A row packed as the page has it, trit by trit. */
function packPlainly(trits: Int8Array): Int8Array {
  const values = new Array(rowBytesOf(trits.length)).fill(0);
  trits.forEach((value, i) => {
    const { byte, trit } = placeOf(i, trits.length);
    values[byte] += value * 3 ** (4 - trit);
  });
  return Int8Array.from(values, (v) => Math.round((v * 256) / 243));
}

const lengths = [
  ...Array.from({ length: 165 }, (_, i) => i + 1),
  239,
  240,
  241,
  1999,
  2000,
  2001,
  2079,
  2080,
  4321,
];

describe("ternary kernels", () => {
  it("have their areas where the page says", () => {
    const page = readFileSync(new URL("../../docs/ENGINE.md", import.meta.url), "utf8");
    assert.equal(kernels.KERNEL_VECTOR.value, 0x0110_0000);
    assert.equal(
      kernels.KERNEL_RESULTS.value + kernels.KERNEL_RESULTS_BYTES.value,
      0x0110_0000 + 15 * 2 ** 20,
    );
    assert.ok(page.includes("| `0x0110_0000` | 15 MiB |"));
  });

  it("pack all 243 combinations of five, as fractions", () => {
    for (let code = 0; code < 243; code++) {
      const five = [0, 1, 2, 3, 4].map((i) => (Math.floor(code / 3 ** i) % 3) - 1);
      const trits = new Int8Array(80 + 5);
      // In every lane of a group by SIMD, and in a tail of one byte.
      for (let i = 0; i < 80; i++) trits[i] = five[Math.floor(i / 16)];
      trits.set(five, 80);
      signed.set(trits, IN);
      assert.equal(kernels.packRows(IN, 85, 1, ROWS), -1);
      const v = five.reduce((sum, trit) => 3 * sum + trit, 0);
      const expected = Math.round((v * 256) / 243);
      for (let i = 0; i < 17; i++) assert.equal(signed[ROWS + i], expected, `${five} in byte ${i}`);
      kernels.unpackRow(ROWS, 85, OUT);
      assert.deepEqual(signed.slice(OUT, OUT + 85), trits);
    }
  });

  it("pack and unpack rows of every length, wherever they lie, and write nothing else", () =>
    withSeed("kernels pack", (random) => {
      for (const columns of lengths) {
        const rows = 1 + random.below(3);
        const rowBytes = rowBytesOf(columns);
        const [from, to] = [IN + random.below(16), ROWS + random.below(16)];
        const trits = randomTrits(random, rows * columns);
        signed.set(trits, from);
        bytes.fill(0x5a, to - 16, to + rows * rowBytes + 16);
        assert.equal(kernels.packRows(from, columns, rows, to), -1);
        for (let row = 0; row < rows; row++) {
          const some = trits.subarray(row * columns, (row + 1) * columns);
          const at = to + row * rowBytes;
          assert.deepEqual(signed.slice(at, at + rowBytes), packPlainly(some), `${columns} columns`);
          bytes.fill(0x5a, OUT, OUT + columns + 32);
          kernels.unpackRow(at, columns, OUT + 16);
          assert.deepEqual(signed.slice(OUT + 16, OUT + 16 + columns), some);
          assert.ok(bytes.subarray(OUT, OUT + 16).every((byte) => byte === 0x5a));
          assert.ok(bytes.subarray(OUT + 16 + columns, OUT + 32 + columns).every((byte) => byte === 0x5a));
        }
        assert.ok(bytes.subarray(to - 16, to).every((byte) => byte === 0x5a));
        assert.ok(
          bytes.subarray(to + rows * rowBytes, to + rows * rowBytes + 16).every((byte) => byte === 0x5a),
        );
      }
    }));

  it("name the first element that is no trit", () =>
    withSeed("kernels refuse", (random) => {
      for (const columns of lengths) {
        const trits = randomTrits(random, 3 * columns);
        const at = random.below(trits.length);
        trits[at] = random.pick([2, -2, 127, -128, 3, 85]);
        if (at + 1 < trits.length) trits[at + 1 + random.below(trits.length - at - 1)] = 5;
        signed.set(trits, IN);
        assert.equal(kernels.packRows(IN, columns, 3, ROWS), at, `${columns} columns`);
      }
    }));

  it("multiply rows by bytes exactly, whatever lies behind them", () =>
    withSeed("kernels multiply bytes", (random) => {
      for (const columns of lengths) {
        const rows = 3;
        const trits = randomTrits(random, rows * columns);
        const vector = Int8Array.from({ length: columns }, () => random.below(256) - 128);
        signed.set(trits, IN);
        const to = ROWS + random.below(16);
        bytes.set(random.bytes(rows * rowBytesOf(columns) + 64), to);
        kernels.packRows(IN, columns, rows, to);
        // What follows a vector is not zero by itself.
        bytes.fill(0x77, VECTOR, VECTOR + columns + 96);
        signed.set(vector, VECTOR);
        kernels.spreadTail(VECTOR, columns, 0);
        kernels.multiplyBytes(to, rows, columns, VECTOR, OUT);
        for (let row = 0; row < rows; row++) {
          let expected = 0;
          for (let i = 0; i < columns; i++) expected += trits[row * columns + i] * vector[i];
          assert.equal(view.getInt32(OUT + 4 * row, true), expected, `${columns} columns`);
        }
      }
    }));

  it("lose nothing when every sum is as large as can be", () => {
    for (const columns of [80, 2000, 2080, 100_000]) {
      for (const [trit, element] of [
        [-1, -128],
        [1, -128],
        [1, 127],
        [-1, 127],
      ]) {
        signed.fill(trit, IN, IN + columns);
        kernels.packRows(IN, columns, 1, ROWS);
        signed.fill(element, VECTOR, VECTOR + columns);
        kernels.spreadTail(VECTOR, columns, 0);
        kernels.multiplyBytes(ROWS, 1, columns, VECTOR, OUT);
        assert.equal(view.getInt32(OUT, true), columns * trit * element);
      }
    }
  });

  it("multiply rows by floats: exactly where floats are exact, else in sixteen sums", () =>
    withSeed("kernels multiply floats", (random) => {
      const floats = new Float32Array(memory.buffer);
      for (const columns of lengths) {
        const trits = randomTrits(random, columns);
        signed.set(trits, IN);
        bytes.set(random.bytes(rowBytesOf(columns) + 64), ROWS);
        kernels.packRows(IN, columns, 1, ROWS);
        for (const isWhole of [true, false]) {
          const vector = Float32Array.from({ length: columns }, () =>
            isWhole ? random.below(2001) - 1000 : (random.below(2 ** 24) - 2 ** 23) / 1e6,
          );
          floats.fill(Number.MAX_VALUE, VECTOR / 4, VECTOR / 4 + columns + 96);
          floats.set(vector, VECTOR / 4);
          kernels.spreadTail(VECTOR, columns, 2);
          kernels.multiplyFloats(ROWS, 1, columns, VECTOR, OUT);
          const result = view.getFloat32(OUT, true);
          if (isWhole) {
            assert.equal(
              result,
              trits.reduce((sum, trit, i) => sum + trit * vector[i], 0),
            );
          } else {
            assert.equal(result, inSixteenSums(trits, vector), `${columns} columns`);
          }
        }
      }
    }));
});

/** The order of additions that the kernel has. */
function inSixteenSums(trits: Int8Array, vector: Float32Array): number {
  const { length } = trits;
  const sums = new Float32Array(16);
  for (let group = 0; group < length; group += 80) {
    const width = Math.min(16, Math.ceil((length - group) / 5));
    for (let plane = 0; plane < 5; plane++) {
      for (let j = 0; j < width; j++) {
        const i = group + plane * width + j;
        if (i < length && plane * width + j < 80) sums[j] = Math.fround(sums[j] + trits[i] * vector[i]);
      }
    }
  }
  const add = (a: number, b: number): number => Math.fround(a + b);
  const lanes = [0, 1, 2, 3].map((i) => add(add(sums[i], sums[4 + i]), add(sums[8 + i], sums[12 + i])));
  return add(add(lanes[0], lanes[2]), add(lanes[1], lanes[3]));
}
