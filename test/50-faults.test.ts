// A failing device at seeded calls of workloads: whatever fails says so, and nothing that was promised is lost. Every call is tried in
// 50-faults.deep.ts.

import assert from "node:assert/strict";
import { FaultCounts } from "./support/crash-faults.js";
import { callsFor, faultKinds, faultScript, runFault } from "./support/fault-campaign.js";
import { withSeed } from "./support/random.js";

const RUNS = 10;

describe("faults of the device", () => {
  for (const kind of faultKinds) {
    for (const sticky of [false, true]) {
      const name = `${kind} ${sticky ? "from a call on" : "once"}`;
      it(name, () =>
        withSeed(`fault ${name}`, async (random) => {
          const counts = new FaultCounts();
          const scripts = [
            await faultScript(random.next(), 0, 8, counts),
            await faultScript(random.next(), 12, 8, counts),
          ];
          for (let i = 0; i < RUNS; i++) {
            const script = random.pick(scripts);
            await runFault(script, random.pick(callsFor(script, kind)), kind, sticky, counts);
          }
          console.log(`      ${counts.line()}`);
          assert.equal(counts.fired, RUNS, "faults");
          assert.ok(counts.survived + counts.poisoned + counts.failedOpenings > 0, "errors");
        }),
      ).timeout(300_000);
    }
  }
});
