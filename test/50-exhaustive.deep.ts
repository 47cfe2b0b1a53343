// All sequences of up to three operations, crashed at every boundary of the last; every subset of what one slot leaves unflushed.

import assert from "node:assert/strict";
import { exploreSequence, operationNames, sequences } from "./support/crash-exhaustive.js";
import { CrashCounts } from "./support/crash-explorer.js";
import { withSeed } from "./support/random.js";

describe("all sequences of up to three operations", () => {
  for (const length of [1, 2, 3]) {
    it(`${length}`, () =>
      withSeed(`sequences of ${length}, in depth`, async (random) => {
        const counts = new CrashCounts();
        const explore =
          length < 3
            ? { samples: 8, exhaustiveLimit: 8, recoveryEvery: 256, fallbackEvery: 16 }
            : { samples: 4, exhaustiveLimit: 4, instantEvery: 3, recoveryEvery: 2048, fallbackEvery: 64 };
        for (const names of sequences(length)) await exploreSequence(names, random.next(), explore, counts);
        console.log(`      ${counts.line()}`);
        assert.equal(counts.traces, operationNames.length ** length);
        assert.ok(counts.recoveryStates > 0, "inside recovery");
        assert.ok(counts.fallbackStates > 0, "without the newest superblock");
        assert.ok(counts.exhaustive > 0, "instants of which every state was opened");
      }));
  }
});
