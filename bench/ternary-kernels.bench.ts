// Arithmetic on trits. Products of packed rows with vectors, against floats in JavaScript and bytes by SIMD; packing, and rows of trytes, against plain loops; single
// trytes against the package of npm that has balanced ternary, which is about its notation.

import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "assemblyscript/asc";
import type { Memory } from "../bindings/index.js";
import { pack, TernaryMatrix, Tryte, trytes, unpack } from "../bindings/ternary.js";
import { Random } from "../test/support/random.js";
import { letGo, openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";
import { peer } from "./peers.js";

const built = fileURLToPath(new URL(".", import.meta.url));
const root = resolve(built, "../..");
const random = new Random(1);
const fourTimes: Bar[] = [{ of: "Float32Array", speedAtLeast: 4 }];

// Products

interface Int8Functions {
  multiplyInt8(row: number, rows: number, columns: number, vector: number, out: number): void;
}

interface Ground {
  memory: Memory;
  matrix: TernaryMatrix;
  rows: number;
  columns: number;
  floats: Float32Array;
  bytes: Int8Array;
  vector: Float32Array;
  byteVector: Int8Array;
  floatResult: Float32Array;
  intResult: Int32Array;
  int8: Int8Functions;
  /** Of the bytes in the memory of `int8`; behind them the vector and the results. */
  int8At: { matrix: number; vector: number; out: number };
}

/** Nothing here depends on what the numbers are, so one matrix of trits serves all. */
async function prepare(rows: number, columns: number): Promise<Ground> {
  const count = rows * columns;
  const trits = Int8Array.from({ length: count }, () => random.below(3) - 1);
  const vector = Float32Array.from({ length: columns }, () => random.below(255) - 127);
  const memory = openVolatile();
  const at = { matrix: 65536, vector: 65536 + count, out: 65536 + count + columns };
  const wasm = new WebAssembly.Memory({ initial: Math.ceil((at.out + 4 * rows) / 65536) });
  const instance = new WebAssembly.Instance(await compileInt8(), { env: { memory: wasm } });
  new Int8Array(wasm.buffer, at.matrix, count).set(trits);
  new Int8Array(wasm.buffer, at.vector, columns).set(vector);
  return {
    memory,
    matrix: TernaryMatrix.from(memory, rows, columns, trits),
    rows,
    columns,
    floats: Float32Array.from(trits),
    bytes: trits,
    vector,
    byteVector: Int8Array.from(vector),
    floatResult: new Float32Array(rows),
    intResult: new Int32Array(rows),
    int8: instance.exports as unknown as Int8Functions,
    int8At: at,
  };
}

/** With the options that the engine itself is built with. */
async function compileInt8(): Promise<WebAssembly.Module> {
  const output = join(relative(root, built), "int8-dot");
  const options = ["--baseDir", root, "--config", "asconfig.json", "--target", "release"];
  const files = ["--outFile", `${output}.wasm`, "--textFile", `${output}.wat`];
  const streams = { stdout: process.stdout, stderr: process.stderr };
  const { error } = await main(["bench/assembly/int8-dot.ts", ...options, ...files], streams);
  if (error !== null) throw error;
  return new WebAssembly.Module(readFileSync(join(root, `${output}.wasm`)));
}

type Product = (ground: Ground) => unknown;

const products: readonly { name: string; bars?: Bar[]; run: Product }[] = [
  {
    name: "Float32Array",
    run({ rows, columns, floats, vector, floatResult }) {
      for (let row = 0, at = 0; row < rows; row++) {
        let sum = 0;
        for (let i = 0; i < columns; i++) sum += floats[at++] * vector[i];
        floatResult[row] = sum;
      }
    },
  },
  {
    name: "Float32Array, four sums",
    run({ rows, columns, floats, vector, floatResult }) {
      for (let row = 0, at = 0; row < rows; row++) {
        let [a, b, c, d] = [0, 0, 0, 0];
        for (let i = 0; i < columns; i += 4, at += 4) {
          a += floats[at] * vector[i];
          b += floats[at + 1] * vector[i + 1];
          c += floats[at + 2] * vector[i + 2];
          d += floats[at + 3] * vector[i + 3];
        }
        floatResult[row] = a + b + c + d;
      }
    },
  },
  {
    name: "Int8Array",
    run({ rows, columns, bytes, byteVector, intResult }) {
      for (let row = 0, at = 0; row < rows; row++) {
        let sum = 0;
        for (let i = 0; i < columns; i++) sum += bytes[at++] * byteVector[i];
        intResult[row] = sum;
      }
    },
  },
  {
    name: "i8 by SIMD",
    run: ({ int8, int8At, rows, columns }) =>
      int8.multiplyInt8(int8At.matrix, rows, columns, int8At.vector, int8At.out),
  },
  {
    name: "packed trits × bytes",
    bars: fourTimes,
    run: ({ matrix, byteVector, intResult }) => matrix.matvec(byteVector, intResult),
  },
  {
    name: "packed trits × floats",
    bars: fourTimes,
    run: ({ matrix, vector, floatResult }) => matrix.matvec(vector, floatResult),
  },
];

function productWorkload(name: string, rows: number, columns: number): Workload {
  let ground: Ground | null = null;
  let users = 0;
  const build = ({ name, bars, run }: (typeof products)[number]): Case => ({
    name,
    bars: bars ?? [],
    async setup() {
      users++;
      ground ??= await prepare(rows, columns);
    },
    run(iterations) {
      for (let left = iterations; left > 0; left--) run(ground!);
    },
    teardown() {
      if (--users > 0) return;
      letGo(ground!.memory);
      ground = null;
    },
  });
  return { name, unit: "ns/op", cases: products.map(build) };
}

const [sizeRows, sizeColumns] = [100, 5120];
const size: Workload = {
  name: `size of ${sizeRows} rows of ${sizeColumns}`,
  unit: "KiB",
  iterations: 1,
  rounds: 1,
  cases: [
    { name: "Float32Array", run: () => new Float32Array(sizeRows * sizeColumns).byteLength },
    {
      name: "packed trits",
      bars: [{ of: "Float32Array", sizeAtMost: 1 / 20 }],
      run() {
        const memory = openVolatile();
        const { packedBytes } = TernaryMatrix.create(memory, sizeRows, sizeColumns);
        letGo(memory);
        return packedBytes;
      },
    },
  ],
};

// Packing

const trits = Int8Array.from({ length: 100_000 }, () => random.below(3) - 1);
const packed = pack(trits);
const unpacked = new Int8Array(trits.length);

const repeated = (name: string, body: () => unknown, bars: Bar[] = []): Case => ({
  name,
  bars,
  run(iterations) {
    for (let left = iterations; left > 0; left--) body();
  },
});

const packing: Workload = {
  name: `packing of ${trits.length} trits`,
  unit: "ns/op",
  cases: [
    repeated("a loop", () => {
      let wrong = 0;
      for (let i = 0, at = 0; i < packed.length; i++, at += 5) {
        const [a, b, c, d, e] = [trits[at], trits[at + 1], trits[at + 2], trits[at + 3], trits[at + 4]];
        packed[i] = a + 3 * b + 9 * c + 27 * d + 81 * e + 121;
        wrong |= (a + 1) | (b + 1) | (c + 1) | (d + 1) | (e + 1);
      }
      return wrong;
    }),
    repeated("pack", () => pack(trits, packed)),
  ],
};

const table = Int8Array.from(
  { length: 243 * 5 },
  (_, i) => (Math.floor(Math.floor(i / 5) / 3 ** (i % 5)) % 3) - 1,
);
const unpacking: Workload = {
  name: `unpacking of ${trits.length} trits`,
  unit: "ns/op",
  cases: [
    repeated("a loop with a table", () => {
      for (let i = 0, at = 0; i < packed.length; i++, at += 5) {
        const from = 5 * packed[i];
        for (let k = 0; k < 5; k++) unpacked[at + k] = table[from + k];
      }
    }),
    repeated("unpack", () => unpack(packed, trits.length, unpacked)),
  ],
};

// Trytes

const rowLength = 10_000;
const a = Int16Array.from({ length: rowLength }, () => random.below(365) - 182);
const b = Int16Array.from({ length: rowLength }, () => random.below(365) - 182);
const sums = new Int16Array(rowLength);

const rows: Workload = {
  name: `sums of ${rowLength} trytes`,
  unit: "ns/op",
  cases: [
    repeated("a loop", () => {
      for (let i = 0; i < rowLength; i++) {
        const sum = a[i] + b[i];
        if (sum > 364 || sum < -364) throw new RangeError("overflow");
        sums[i] = sum;
      }
    }),
    repeated("trytes.add", () => trytes.add(a, b, sums)),
  ],
};

interface BalancedTernary {
  n2bts(value: number): string;
  bts2n(text: string): number;
}

let balancedTernary: BalancedTernary;
const texts = Array.from(a, (value) => Tryte.from(value).toString().slice(2));
const values = Array.from(a, Tryte.from);

const single: Workload = {
  name: "sum of two trytes",
  unit: "ns/op",
  cases: [
    {
      name: "balanced-ternary, text to text",
      setup() {
        balancedTernary = peer<BalancedTernary>("balanced-ternary");
      },
      run(iterations) {
        const { n2bts, bts2n } = balancedTernary;
        let length = 0;
        for (let i = 0; i < iterations; i++)
          length += n2bts(bts2n(texts[i % rowLength]) + bts2n(texts[(i + 1) % rowLength])).length;
        return length;
      },
    },
    {
      name: "Tryte, text to text",
      run(iterations) {
        let length = 0;
        for (let i = 0; i < iterations; i++) {
          const sum = Tryte.parse(texts[i % rowLength]).add(Tryte.parse(texts[(i + 1) % rowLength]));
          length += sum.toString().length;
        }
        return length;
      },
    },
    {
      name: "Tryte",
      run(iterations) {
        let total = 0;
        for (let i = 0; i < iterations; i++)
          total += values[i % rowLength].add(values[(i + 1) % rowLength]).valueOf();
        return total;
      },
    },
    {
      name: "integers",
      run(iterations) {
        let total = 0;
        for (let i = 0; i < iterations; i++) total += a[i % rowLength] + a[(i + 1) % rowLength];
        return total;
      },
    },
  ],
};

export default [
  productWorkload("dot product of 5,120 elements", 1, 5120),
  productWorkload("matrix of 1,000 rows of 256 × vector", 1000, 256),
  productWorkload("matrix of 1,024 rows of 5,120 × vector", 1024, 5120),
  size,
  packing,
  unpacking,
  rows,
  single,
];
