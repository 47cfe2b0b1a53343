// All sequences of one and two operations, crashed at every boundary of the last. Those of three are in 50-exhaustive.deep.ts.

import assert from "node:assert/strict";
import { exploreSequence, operationNames, sequences } from "./support/crash-exhaustive.js";
import { CrashCounts } from "./support/crash-explorer.js";
import { withSeed } from "./support/random.js";

describe("all short sequences of operations", () => {
  it("one operation", () =>
    withSeed("sequences of one", async (random) => {
      const counts = new CrashCounts();
      const explore = { samples: 6, exhaustiveLimit: 8, recoveryEvery: 300, fallbackEvery: 8 };
      for (const names of sequences(1)) {
        const { instants } = counts;
        await exploreSequence(names, random.next(), explore, counts);
        // The end, and at least one on the way there.
        assert.ok(counts.instants > instants + 1, `no crash inside "${names[0]}"`);
      }
      console.log(`      ${counts.line()}`);
      assert.equal(counts.traces, operationNames.length);
      assert.ok(counts.recoveryStates > 0, "inside recovery");
      assert.ok(counts.fallbackStates > 0, "without the newest superblock");
      assert.ok(counts.exhaustive > 0, "instants of which every state was opened");
    })).timeout(300_000);

  it("two operations", () =>
    withSeed("sequences of two", async (random) => {
      const counts = new CrashCounts();
      const explore = {
        samples: 3,
        exhaustiveLimit: 2,
        instantEvery: 4,
        recoveryEvery: 3072,
        fallbackEvery: 32,
      };
      let inPieces = 0;
      for (const names of sequences(2)) {
        const pieces = await exploreSequence(names, random.next(), explore, counts);
        if (names[1] === "commit of several runs" && pieces > 1) inPieces++;
      }
      assert.ok(inPieces > 3, `${inPieces} commits in several pieces`);
      console.log(`      ${counts.line()}`);
      assert.equal(counts.traces, operationNames.length ** 2);
      assert.ok(counts.powerStates > counts.instants, "power cuts");
      assert.ok(counts.outcomes > counts.traces, "outcomes");
    })).timeout(300_000);
});
