// A memory does what plain maps and arrays do: random operations on both, through commits, rollbacks, transactions, snapshots, readers, copies
// and openings, with everything compared and every block accounted for.

import assert from "node:assert/strict";
import { MemoryCampaign } from "./support/memory-campaign.js";
import { withSeed } from "./support/random.js";

const DEEP = process.env.PERDURE_DEEP === "1";
const BATCHES = DEEP ? 1500 : 45;

describe("a memory and its model", function () {
  this.timeout(DEEP ? 3_600_000 : 60_000);

  const runs = {
    "with room for everything": {},
    "with few windows, so that they spill all the time": { fewWindows: true },
    "with no memory in reserve, so that it grows": { tight: true },
    "that commits by itself": { autoCommit: true, fewWindows: true },
    "with every access checked": { checks: true },
  };
  for (const [name, shape] of Object.entries(runs)) {
    it(name, () =>
      withSeed(`memory model ${name}`, async (random) => {
        const campaign = new MemoryCampaign(random, shape);
        const complete = () => campaign.commits > 0 && campaign.rollbacks > 0 && campaign.openings > 0;
        await campaign.run(BATCHES);
        for (let more = 0; more < 20 && !complete(); more++) await campaign.run(BATCHES);
        assert.ok(complete());
        campaign.close();
      }),
    );
  }
});
