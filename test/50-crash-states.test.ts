// Crashes at every boundary of seeded workloads: what is left opens as exactly one commit. The campaign is in 50-crash-states.deep.ts.

import assert from "node:assert/strict";
import { openPager } from "../bindings/pager/open.js";
import { exploreTrace, type ThemeName } from "./support/crash-campaign.js";
import { CrashCounts, hasher, smallLimits, stateName } from "./support/crash-explorer.js";
import { History } from "./support/crash-oracle.js";
import { CrashProcess } from "./support/crash-processes.js";
import { Workload } from "./support/crash-workloads.js";
import { expectCode } from "./support/expect-code.js";
import { Random, withSeed } from "./support/random.js";
import { everythingPersists, SimulatedCrash, SimulatedDisk } from "./support/simulated-disk.js";

describe("crash states of the pager", () => {
  const explore = (theme: ThemeName, traces: number, verify: (counts: CrashCounts) => void) =>
    withSeed(`crash states, ${theme}`, async (random) => {
      const counts = new CrashCounts();
      for (let i = 0; i < traces; i++) await exploreTrace(theme, random.next(), counts);
      console.log(`      ${counts.line()}`);
      assert.ok(counts.powerStates > 0, "power cuts");
      assert.ok(counts.killStates > 0, "kills");
      verify(counts);
    });

  it("at every boundary", () =>
    explore("wide", 1, (counts) => {
      assert.ok(counts.recoveryStates > 0, "inside recovery");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
      assert.ok(counts.outcomes > counts.traces, "outcomes");
    })).timeout(300_000);

  it("every subset of the unflushed sectors", () =>
    explore("subsets", 2, (counts) => {
      assert.ok(counts.exhaustive > 0, "instants of which every state was opened");
    })).timeout(300_000);

  it("inside recovery", () =>
    explore("recovery", 1, (counts) => {
      assert.ok(counts.recoveryStates > 0, "inside recovery");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
    })).timeout(300_000);

  it("a restore that the superblock after its snapshot is lost with", async () => {
    const disk = new SimulatedDisk();
    const history = new History();
    const workload = new Workload(disk, history, new Random(1));
    workload.open();
    workload.commit(3, true);
    workload.createSnapshot();
    workload.commit(3, true);
    disk.onOperation = ({ kind, offset }) => {
      if (kind === "write" && offset < 8192) throw new SimulatedCrash();
    };
    expectCode("IO", () => workload.restoreSnapshot());
    const left = disk.crash(everythingPersists);
    // The snapshot's tree, which the image has become, is in no free map of the fallback.
    left.flipBit(stateName, 4096, 0);
    const options = { create: false, limits: smallLimits };
    const pager = openPager(left, stateName, hasher, new CrashProcess(), options);
    const expectation = history.expectation();
    assert.equal(expectation.find(pager, expectation.last), expectation.last);
    pager.checkpoint();
    assert.equal(expectation.find(pager, expectation.last), expectation.last);
  });

  it("of deep trees and short chains", () =>
    explore("deep", 1, (counts) => {
      assert.ok(counts.outcomes > counts.traces, "outcomes");
    })).timeout(300_000);
});
