// The campaign: crash states by the million, of traces of all themes, opened and verified by two threads.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type ThemeName, themes } from "./support/crash-campaign.js";
import { CrashCounts } from "./support/crash-explorer.js";
import type { TraceAnswer, TraceOrder } from "./support/crash-worker.js";
import { seedFromEnv, withSeed } from "./support/random.js";

const text = process.env.PERDURE_CRASH_STATES ?? "1000000";
if (!/^\d+$/.test(text)) throw new Error(`PERDURE_CRASH_STATES is not a whole number: ${text}`);
const wanted = Number(text);

const THREADS = 2;
/** Traces between two lines that tell how far it is. */
const TOLD_EVERY = 100;

describe("crash states of the pager, for long", () => {
  it(`${wanted.toLocaleString("en")} crash states`, () =>
    withSeed("crash states, for long", async (random) => {
      const names = Object.keys(themes) as ThemeName[];
      const counts = new CrashCounts();
      const begin = performance.now();
      const tell = () => {
        const rate = Math.round((1000 * counts.states) / (performance.now() - begin));
        console.log(`      ${counts.line()}, ${rate} states per second`);
      };
      let ordered = 0;
      const lane = async () => {
        const worker = new Worker(new URL("./support/crash-worker.js", import.meta.url));
        try {
          while (counts.states < wanted) {
            // The orders follow from the seed alone, whichever thread takes them.
            const order: TraceOrder = { theme: names[ordered++ % names.length]!, seed: random.next() };
            worker.postMessage(order);
            const [answer] = (await once(worker, "message")) as [TraceAnswer];
            if (answer.error !== null) assert.fail(answer.error);
            counts.add(answer.counts);
            if (counts.traces % TOLD_EVERY === 0) tell();
          }
        } finally {
          await worker.terminate();
        }
      };
      await Promise.all(Array.from({ length: THREADS }, lane));
      tell();
      console.log(`      seed ${seedFromEnv()}`);
      assert.ok(counts.states >= wanted, "crash states");
      assert.ok(counts.powerStates > 0, "power cuts");
      assert.ok(counts.killStates > 0, "kills");
      assert.ok(counts.recoveryStates > 0, "inside recovery");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
      assert.ok(counts.exhaustive > 0, "instants of which every state was opened");
      assert.ok(counts.outcomes > counts.traces, "outcomes");
    }));
});
