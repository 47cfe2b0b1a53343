// A failing device at every call of several workloads, in every way, once and from there on.

import assert from "node:assert/strict";
import { FaultCounts } from "./support/crash-faults.js";
import { callsFor, faultKinds, faultScript, runFault } from "./support/fault-campaign.js";
import { withSeed } from "./support/random.js";

const SCRIPTS = 4;

describe("faults of the device, at every call", () => {
  for (let i = 0; i < SCRIPTS; i++) {
    it(`workload ${i + 1}`, () =>
      withSeed(`faults at every call, ${i}`, async (random) => {
        const counts = new FaultCounts();
        const script = await faultScript(random.next(), i % 2 === 0 ? 0 : 16, 8, counts);
        for (const kind of faultKinds) {
          for (const sticky of [false, true]) {
            for (const index of callsFor(script, kind)) await runFault(script, index, kind, sticky, counts);
          }
        }
        console.log(`      ${script.operations.length} calls: ${counts.line()}`);
        assert.ok(counts.survived > 0, "errors that the handle survived");
        assert.ok(counts.poisoned > 0, "errors that ended the handle");
        assert.ok(counts.failedOpenings > 0, "failed openings");
      }));
  }
});
