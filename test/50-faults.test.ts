// A failing device at seeded calls of workloads: whatever fails says so, and nothing that was promised is lost. Every call is tried in
// 50-faults.deep.ts.

import assert from "node:assert/strict";
import { openPagerOn } from "../bindings/pager/open.js";
import { hasher, stateName } from "./support/crash-explorer.js";
import { FaultCounts } from "./support/crash-faults.js";
import { versionBytes } from "./support/crash-oracle.js";
import { expectCode } from "./support/expect-code.js";
import { callsFor, faultKinds, faultScript, runFault } from "./support/fault-campaign.js";
import { withSeed } from "./support/random.js";
import { SimulatedDisk } from "./support/simulated-disk.js";

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

  it("a commit that came whole and yet failed does not come back, when the zeros over it fail as well", () =>
    withSeed("fault taken back", (random) => {
      for (const appliedBytes of [512, 4096, 2 ** 20]) {
        const disk = new SimulatedDisk();
        const pager = openPagerOn(disk.createExclusive(stateName)!, hasher);
        const commit = (version: number) =>
          pager.commit([{ block: 0, count: 1, bytes: versionBytes(version) }], true);
        commit(1);
        disk.flush();
        disk.failAt(({ kind }) => kind === "write", "SHORT", { sticky: true, appliedBytes });
        expectCode("IO", () => commit(2));
        disk.clearFaults();
        // Where the header has come whole, and what was to take it back failed, the handle is at its end.
        if (appliedBytes >= 4096) expectCode("IO", () => commit(3));
        const from = appliedBytes >= 4096 ? [1, 2] : [1];
        for (const state of disk.crashStates({ random, samples: 100 })) {
          const found = openPagerOn(state.open(stateName, "write"), hasher);
          const bytes = new Uint8Array(4096);
          found.read(0, 1, bytes);
          assert.ok(from.some((version) => Buffer.from(bytes).equals(versionBytes(version))));
        }
      }
    }));
});
