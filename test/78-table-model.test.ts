// Tables do what plain maps do: random operations on both, through commits, rollbacks, transactions, snapshots, readers, copies and openings, with rows, indexes
// and every page accounted for. What crashes leave of tables is in 74-memory-crashes.

import assert from "node:assert/strict";
import { MemoryCampaign } from "./support/memory-campaign.js";
import { withSeed } from "./support/random.js";

const DEEP = process.env.PERDURE_DEEP === "1";
const BATCHES = DEEP ? 4000 : 45;

describe("tables and their model", function () {
  this.timeout(DEEP ? 3_600_000 : 60_000);

  const runs = {
    "in many windows": {},
    "in few windows, which spill all the time": { fewWindows: true },
    "with no memory in reserve": { tight: true },
    "in a memory that commits by itself": { autoCommit: true, fewWindows: true },
  };
  for (const [name, shape] of Object.entries(runs)) {
    it(name, () =>
      withSeed(`table model ${name}`, async (random) => {
        const campaign = new MemoryCampaign(random, { ...shape, tables: true });
        const complete = () => campaign.commits > 0 && campaign.rollbacks > 0 && campaign.openings > 0;
        await campaign.run(BATCHES);
        for (let more = 0; more < 20 && !complete(); more++) await campaign.run(BATCHES);
        assert.ok(complete());
        campaign.close();
      }),
    );
  }
});
