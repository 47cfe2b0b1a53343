/**
 * A matrix of embeddings that is simply there: 10,000 phrases as vectors of 128 floats, 5 MB. The first run computes them; every other finds
 * them in memory at once, with nothing to parse, and searches them in place.
 *
 *     node build/examples/embeddings.js                      computes the matrix, and searches it
 *     node build/examples/embeddings.js "a silent rivers"    opens it, and searches it for this
 *
 * The matrix lives in embeddings.state, in the current directory. The embedding is a toy (counts of groups of three letters, hashed); one that
 * a model has computed would be stored and searched the same way.
 */
import { openSync } from "perdure";

const DIMENSIONS = 128;
const words = [
  "quiet silent loud bright dark golden silver frozen burning hidden ancient young wild gentle broken endless hollow distant early late",
  "river mountain forest ocean desert garden island valley meadow harbour window engine mirror ladder lantern",
  "sings sleeps rises falls burns waits dreams turns breaks shines moves grows fades calls answers returns remembers forgets opens closes",
].map((list) => list.split(" "));
/** Every adjective with every noun and every verb: 20 × 15 × 20, and each in another order too. */
const phrases = words[0]
  .flatMap((a) => words[1].flatMap((n) => words[2].flatMap((v) => [`${a} ${n} ${v}`, `${n} ${v} ${a}`])))
  .slice(0, 10_000);

const begun = performance.now();
const memory = openSync("embeddings.state");
let block = memory.roots.get("embeddings");
const isNew = block === undefined;
block ??= memory.alloc(phrases.length * DIMENSIONS * Float32Array.BYTES_PER_ELEMENT);
using matrix = memory.view(block, Float32Array, phrases.length * DIMENSIONS, { writable: isNew });
if (isNew) {
  // The view is an ordinary Float32Array: whatever computes vectors can write into it. The root is set last, so that it only
  // ever names a matrix that is complete.
  const all = matrix.array;
  phrases.forEach((phrase, row) => all.set(embed(phrase), row * DIMENSIONS));
  memory.roots.set("embeddings", block);
  memory.commit();
}
const milliseconds = (performance.now() - begun).toFixed(0);
console.log(
  `${isNew ? "Computed and committed" : "Opened"} ${phrases.length} embeddings in ${milliseconds} ms.`,
);

const query = process.argv[2] ?? "a golden lantern shone";
console.log(`Nearest to "${query}":`);
for (const { row, similarity } of nearest(embed(query), 3)) {
  console.log(`  ${similarity.toFixed(3)}  ${phrases[row]}`);
}

/** A vector of length 1: one count for each group of three letters, at a dimension that its hash chooses. */
function embed(text: string): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  const padded = ` ${text.toLowerCase()} `;
  for (let i = 0; i + 3 <= padded.length; i++) {
    let hash = 0;
    for (let k = i; k < i + 3; k++) hash = (Math.imul(hash, 0x01000193) ^ padded.charCodeAt(k)) >>> 0;
    vector[(hash ^ (hash >>> 15)) % DIMENSIONS] += 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** The rows most similar to a vector, by the cosine of the angle between them; most similar first. */
function nearest(vector: Float32Array, count: number): { row: number; similarity: number }[] {
  const all = matrix.array;
  return phrases
    .map((_, row) => {
      let similarity = 0;
      for (let d = 0; d < DIMENSIONS; d++) similarity += vector[d] * all[row * DIMENSIONS + d];
      return { row, similarity };
    })
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, count);
}
