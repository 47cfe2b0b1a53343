// Matrices of trits in persistent memory: against plain loops, and still there after a commit, a rollback and in a reader.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Memory, MemoryStorage, openSync } from "../bindings/index.js";
import { TernaryMatrix } from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { type Random, withSeed } from "./support/random.js";
import { temporaryDirectory } from "./support/temporary-directory.js";

const randomTrits = (random: Random, count: number): Int8Array => {
  const trits = new Int8Array(count);
  for (let i = 0; i < count; i++) trits[i] = random.below(3) - 1;
  return trits;
};
const randomBytes = (random: Random, count: number): Int8Array =>
  Int8Array.from({ length: count }, () => random.below(256) - 128);

function volatile(): Memory {
  return openSync("matrix", { autoCommit: false, storage: new MemoryStorage() });
}

function productOf(trits: Int8Array, columns: number, row: number, x: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < columns; i++) sum += trits[row * columns + i] * x[i];
  return sum;
}

function check(matrix: TernaryMatrix, trits: Int8Array, random: Random): void {
  const { rows, columns } = matrix;
  assert.equal(trits.length, rows * columns);
  const x = randomBytes(random, columns);
  const expected = Int32Array.from({ length: rows }, (_, row) => productOf(trits, columns, row, x));
  assert.deepEqual(matrix.matvec(x), expected);
  const floats = Float32Array.from(x);
  assert.deepEqual(matrix.matvec(floats), Float32Array.from(expected));
  // Only now, because it brings the rows in.
  for (let row = 0; row < rows; row++)
    assert.deepEqual(matrix.row(row), trits.slice(row * columns, (row + 1) * columns));
  if (rows === 0) return;
  const some = random.below(rows);
  assert.equal(matrix.dot(some, x), expected[some]);
  assert.equal(matrix.dot(some, floats), expected[some]);
}

describe("ternary matrices", () => {
  it("hold what they were made of, in every shape", () =>
    withSeed("matrix shapes", (random) => {
      using memory = volatile();
      for (const [rows, columns] of [
        [0, 5],
        [1, 1],
        [3, 4],
        [7, 5],
        [5, 80],
        [100, 81],
        [33, 256],
        [2, 5000],
        [3000, 3],
      ]) {
        const trits = randomTrits(random, rows * columns);
        const matrix = TernaryMatrix.from(memory, rows, columns, trits);
        assert.deepEqual([matrix.rows, matrix.columns], [rows, columns]);
        assert.equal(matrix.packedBytes, rows * Math.ceil(columns / 5));
        check(matrix, trits, random);
        check(TernaryMatrix.at(memory, matrix.ptr), trits, random);
        matrix.release();
      }
      assert.equal(memory.stats().heap.liveBlocks, 0);
    }));

  it("are built row by row, and are zeros until then", () =>
    withSeed("matrix rows", (random) => {
      using memory = volatile();
      const [rows, columns] = [40, 333];
      const matrix = TernaryMatrix.create(memory, rows, columns);
      const model = new Int8Array(rows * columns);
      check(matrix, model, random);
      for (let round = 0; round < 100; round++) {
        const [row, trits] = [random.below(rows), randomTrits(random, columns)];
        matrix.setRow(row, trits);
        model.set(trits, row * columns);
      }
      check(matrix, model, random);
      const into = new Int8Array(columns);
      assert.equal(matrix.row(3, into), into);
      const out = new Int32Array(rows);
      assert.equal(matrix.matvec(randomBytes(random, columns), out), out);
    }));

  it("are there again after opening, in a reader, in a snapshot, and as they were after a rollback", () =>
    withSeed("matrix persists", (random) => {
      const directory = temporaryDirectory();
      try {
        const path = join(directory.path, "matrix.state");
        const [rows, columns] = [500, 300];
        const trits = randomTrits(random, rows * columns);
        {
          using memory = openSync(path);
          memory.roots.set("weights", TernaryMatrix.from(memory, rows, columns, trits).ptr);
        }
        using memory = openSync(path, { autoCommit: false });
        const ptr = memory.roots.get("weights")!;
        const matrix = TernaryMatrix.at(memory, ptr);
        // Nothing but the rows that are asked for is read.
        assert.equal(
          matrix.dot(499, new Int8Array(columns).fill(1)),
          productOf(trits, columns, 499, new Int8Array(columns).fill(1)),
        );
        check(matrix, trits, random);
        memory.snapshots.create("before");

        const later = trits.slice();
        const row = randomTrits(random, columns);
        later.set(row, 7 * columns);
        matrix.setRow(7, row);
        check(matrix, later, random);
        memory.rollback();
        check(matrix, trits, random);
        matrix.setRow(7, row);
        memory.commit();
        check(matrix, later, random);

        using reader = openSync(path, { readOnly: true });
        const read = TernaryMatrix.at(reader, reader.roots.get("weights")!);
        check(read, later, random);
        expectCode("READ_ONLY", () => read.setRow(0, row));
        expectCode("READ_ONLY", () => TernaryMatrix.create(reader, 1, 1));
        using before = memory.snapshots.open("before");
        check(TernaryMatrix.at(before, before.roots.get("weights")!), trits, random);

        matrix.setRow(8, row);
        memory.commit();
        reader.refresh();
        later.set(row, 8 * columns);
        check(read, later, random);
        assert.deepEqual(memory.check().problems, []);
      } finally {
        directory.remove();
      }
    }));

  it("know when they are gone", () => {
    using memory = volatile();
    const matrix = TernaryMatrix.create(memory, 3, 3);
    const other = TernaryMatrix.at(memory, matrix.ptr);
    matrix.release();
    expectCode("CLOSED", () => matrix.row(0));
    expectCode("CLOSED", () => matrix.release());
    expectCode("INVALID_ADDRESS", () => other.row(0));
    expectCode("INVALID_ADDRESS", () => TernaryMatrix.at(memory, matrix.ptr));
    memory.commit();
    const lost = TernaryMatrix.create(memory, 3, 3);
    memory.rollback();
    expectCode("INVALID_ADDRESS", () => lost.matvec(new Int8Array(3)));
    const last = TernaryMatrix.create(memory, 3, 3);
    memory.close();
    expectCode("CLOSED", () => last.row(0));
    expectCode("CLOSED", () => last.matvec(new Int8Array(3)));
  });

  it("refuse what does not fit", () => {
    using memory = volatile();
    for (const [rows, columns] of [
      [-1, 5],
      [1.5, 5],
      [2 ** 32, 5],
      [5, 0],
      [5, 1.5],
      [5, Number.NaN],
    ])
      expectCode("INVALID_ARGUMENT", () => TernaryMatrix.create(memory, rows, columns));
    expectCode("LIMIT", () => TernaryMatrix.create(memory, 1, 2 ** 21 + 1));
    expectCode("OUT_OF_MEMORY", () => TernaryMatrix.create(memory, 2 ** 32 - 1, 2 ** 21));
    expectCode("INVALID_ARGUMENT", () => TernaryMatrix.from(memory, 2, 3, new Int8Array(5)));
    expectCode("INVALID_ARGUMENT", () => TernaryMatrix.from(memory, 2, 3, [0] as unknown as Int8Array));
    const wrong = new Int8Array(6 * 100);
    wrong[577] = 2;
    assert.match(
      expectCode("INVALID_ARGUMENT", () => TernaryMatrix.from(memory, 6, 100, wrong)).message,
      /element 577 is 2/,
    );
    assert.equal(memory.stats().heap.liveBlocks, 0, "what was refused has no block");

    const matrix = TernaryMatrix.create(memory, 2, 3);
    for (const index of [-1, 2, 0.5, Number.NaN]) {
      expectCode("INVALID_ARGUMENT", () => matrix.row(index));
      expectCode("INVALID_ARGUMENT", () => matrix.dot(index, new Int8Array(3)));
      expectCode("INVALID_ARGUMENT", () => matrix.setRow(index, new Int8Array(3)));
    }
    expectCode("INVALID_ARGUMENT", () => matrix.setRow(0, new Int8Array(4)));
    expectCode("INVALID_ARGUMENT", () => matrix.setRow(0, Int8Array.of(0, -2, 0)));
    expectCode("INVALID_ARGUMENT", () => matrix.row(0, new Int8Array(2)));
    expectCode("INVALID_ARGUMENT", () => matrix.matvec(new Int8Array(2)));
    expectCode("INVALID_ARGUMENT", () => matrix.matvec(new Float64Array(3) as unknown as Float32Array));
    expectCode("INVALID_ARGUMENT", () => matrix.matvec(new Int8Array(3), new Int32Array(3)));
    expectCode("INVALID_ARGUMENT", () =>
      matrix.matvec(new Int8Array(3), new Float32Array(2) as unknown as Int32Array),
    );
    assert.deepEqual(matrix.row(0), new Int8Array(3));

    expectCode("INVALID_ARGUMENT", () => TernaryMatrix.at(memory, memory.alloc(100)));
    expectCode("INVALID_ARGUMENT", () => TernaryMatrix.at(memory, memory.alloc(8)));
    memory.setU32(matrix.ptr.address + 4, 2);
    expectCode("VERSION", () => TernaryMatrix.at(memory, matrix.ptr));
    memory.setU32(matrix.ptr.address + 4, 1);
    for (const [offset, value] of [
      [8, 1e9],
      [12, 0],
      [12, 2 ** 22],
      [16, 2],
    ]) {
      const before = memory.getU32(matrix.ptr.address + offset);
      memory.setU32(matrix.ptr.address + offset, value);
      expectCode("CORRUPT", () => TernaryMatrix.at(memory, matrix.ptr));
      memory.setU32(matrix.ptr.address + offset, before);
    }
  });

  it("have as many columns as the limit says, and more rows than go through at once", () =>
    withSeed("matrix wide", (random) => {
      using memory = volatile();
      const [rows, columns] = [5, 2 ** 21];
      const trits = randomTrits(random, rows * columns);
      const wide = TernaryMatrix.from(memory, rows, columns, trits);
      const x = randomBytes(random, columns);
      const expected = [0, 1, 2, 3, 4].map((row) => productOf(trits, columns, row, x));
      assert.deepEqual([...wide.matvec(x)], expected);
      const whole = Float32Array.from(x, (value) => value % 4);
      assert.equal(wide.dot(4, whole), productOf(trits, columns, 4, whole));
      assert.deepEqual(wide.row(4), trits.slice(4 * columns));

      const column = trits.subarray(0, 2_000_003);
      const tall = TernaryMatrix.from(memory, column.length, 1, column);
      const products = tall.matvec(Int8Array.of(-3));
      assert.ok(products.every((product, row) => product === -3 * column[row]));
    }));

  it("of more than a hundred million trits take twenty megabytes, and open without being read", function () {
    this.timeout(60_000);
    withSeed("matrix large", (random) => {
      const directory = temporaryDirectory();
      try {
        const path = join(directory.path, "matrix.state");
        const [rows, columns] = [100_001, 1024];
        const pattern = randomTrits(random, 64 * columns);
        const rowOf = (row: number) => ((row * 37) % 64) * columns;
        {
          using memory = openSync(path, { autoCommit: false });
          const matrix = TernaryMatrix.create(memory, rows, columns);
          for (let row = 0; row < rows; row++)
            matrix.setRow(row, pattern.subarray(rowOf(row), rowOf(row) + columns));
          assert.ok(rows * columns > 1e8 && matrix.packedBytes < 21e6);
          memory.roots.set("weights", matrix.ptr);
          memory.commit();
        }
        using memory = openSync(path);
        const matrix = TernaryMatrix.at(memory, memory.roots.get("weights")!);
        const x = randomBytes(random, columns);
        const products = matrix.matvec(x);
        for (let row = 0; row < rows; row += 997)
          assert.equal(products[row], productOf(pattern, columns, rowOf(row) / columns, x));
        const last = productOf(pattern, columns, rowOf(rows - 1) / columns, x);
        assert.equal(products[rows - 1], last);
      } finally {
        directory.remove();
      }
    });
  });
});
