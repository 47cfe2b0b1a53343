/**
 * One large block, divided by pointer arithmetic: the history of eight sensors, 4096 samples each, side by side in one allocation that never
 * moves. What belongs together lies together, and there is nothing to fragment.
 *
 *     node build/examples/pointer-arithmetic.js      measures 1000 times, and again in every run
 *
 * The history lives in pointer-arithmetic.state, in the current directory:
 *
 *     history
 *     ├── section 0 ── count (u32) · padding · 4096 samples (f32) ──┤
 *     ├── section 1 ── count (u32) · padding · 4096 samples (f32) ──┤
 *     …
 */
import { openSync, type Ptr } from "perdure";

const SENSORS = 8;
const SAMPLES = 4096;
const SAMPLE_BYTES = 4;
/** Before the samples of a section: their count, and room for what may come to be known of a sensor. */
const HEADER_BYTES = 16;
const SECTION_BYTES = HEADER_BYTES + SAMPLES * SAMPLE_BYTES;

const memory = openSync("pointer-arithmetic.state");
const history = memory.root("history", () => memory.alloc(SENSORS * SECTION_BYTES));

/** Where a sensor's part of the block begins. */
const section = (sensor: number): Ptr => history.add(sensor * SECTION_BYTES);

/** Where its n-th sample lies; after the last one the first is overwritten. */
const sample = (sensor: number, n: number): Ptr =>
  section(sensor).add(HEADER_BYTES + (n % SAMPLES) * SAMPLE_BYTES);

memory.transaction(() => {
  for (let sensor = 0; sensor < SENSORS; sensor++) {
    for (let i = 0; i < 1000; i++) measure(sensor);
  }
});

console.log(`One block of ${memory.sizeOf(history)} bytes at ${history}:`);
for (let sensor = 0; sensor < SENSORS; sensor++) {
  const count = section(sensor).u32;
  const newest = sample(sensor, count - 1);
  console.log(
    `  sensor ${sensor}: ${count} samples, mean ${mean(sensor).toFixed(2)};` +
      ` the newest, ${newest.f32.toFixed(2)}, lies ${newest.distance(history)} bytes into the block`,
  );
}

/** A sensor that swings around 20 + its number. */
function measure(sensor: number): void {
  const start = section(sensor);
  const n = start.u32;
  sample(sensor, n).f32 = 20 + sensor + Math.sin(n / 10 + sensor);
  start.u32 = n + 1;
}

/** Of what is still there of a sensor. A view makes a section a Float32Array, without a copy. */
function mean(sensor: number): number {
  const kept = Math.min(section(sensor).u32, SAMPLES);
  using samples = memory.view(section(sensor).add(HEADER_BYTES), Float32Array, kept, { writable: false });
  return samples.array.reduce((sum, value) => sum + value, 0) / kept;
}
