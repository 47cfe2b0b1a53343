// Power cuts and kills of a memory on a simulated disk, at random instants of long runs and at every instant of short ones.

import assert from "node:assert/strict";
import { type CrashShape, Looker, MemoryCrashes } from "./support/memory-crashes.js";
import { type Random, withSeed } from "./support/random.js";

const DEEP = process.env.PERDURE_DEEP === "1";

/** Runs until so many states were opened; prints what it came to. */
async function explore(random: Random, shape: CrashShape, states: number): Promise<void> {
  const looker = new Looker();
  const sum = { runs: 0, powerCuts: 0, kills: 0, insideRecovery: 0, commits: 0 };
  while (sum.powerCuts + sum.kills + sum.insideRecovery < states) {
    const run = new MemoryCrashes(random, shape, looker);
    await run.run();
    sum.runs++;
    sum.powerCuts += run.powerCuts;
    sum.kills += run.kills;
    sum.insideRecovery += run.insideRecovery;
    sum.commits += run.found.size;
  }
  assert.ok(sum.powerCuts > 0 && sum.kills > 0 && sum.insideRecovery > 0 && sum.commits > 0);
  if (DEEP) console.log(`      ${JSON.stringify(sum)}`);
}

describe("crashes of a memory", function () {
  this.timeout(DEEP ? 3_600_000 : 60_000);

  it("at every instant of a short run leave exactly one commit", () =>
    withSeed("memory crashes, short", (random) =>
      explore(
        random,
        { rounds: 4, steps: 6, every: 1, samples: 3, exhaustive: 3, recoveryEvery: 30 },
        DEEP ? 10_000 : 250,
      ),
    ));

  it("at random instants of a long run leave exactly one commit", () =>
    withSeed("memory crashes, long", (random) =>
      explore(
        random,
        { rounds: 20, steps: 30, every: 30, samples: 3, exhaustive: 2, recoveryEvery: 15 },
        DEEP ? 5_000 : 120,
      ),
    ));
});
