/**
 * Memory that is still there: a number that counts the runs of this program.
 *
 *     node build/examples/counter.js      again and again: it counts on
 *
 * The number lives in counter.state, in the current directory. Nothing here saves or loads it.
 */
import { openSync } from "perdure";

const memory = openSync("counter.state");

// Eight bytes, found by the name "runs": allocated by the first run, found again by every other. New memory is zero.
const runs = memory.root("runs", () => memory.alloc(8));

runs.f64 += 1;

console.log(`This program has run ${runs.f64} time${runs.f64 === 1 ? "" : "s"}.`);
