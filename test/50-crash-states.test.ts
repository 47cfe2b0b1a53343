// Crashes at every boundary of seeded workloads: what is left opens as exactly one commit. The campaign is in 50-crash-states.deep.ts.

import assert from "node:assert/strict";
import { exploreTrace, type ThemeName } from "./support/crash-campaign.js";
import { CrashCounts } from "./support/crash-explorer.js";
import { withSeed } from "./support/random.js";

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
    explore("wide", 2, (counts) => {
      assert.ok(counts.recoveryStates > 0, "inside recovery");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
      assert.ok(counts.outcomes > counts.traces, "outcomes");
    })).timeout(60_000);

  it("every subset of the unflushed sectors", () =>
    explore("subsets", 2, (counts) => {
      assert.ok(counts.exhaustive > 0, "instants of which every state was opened");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
    })).timeout(60_000);

  it("inside recovery", () =>
    explore("recovery", 1, (counts) => {
      assert.ok(counts.recoveryStates > 0, "inside recovery");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
    })).timeout(60_000);

  it("of deep trees and short chains", () =>
    explore("deep", 1, (counts) => {
      assert.ok(counts.outcomes > counts.traces, "outcomes");
    })).timeout(60_000);
});
