import assert from "node:assert/strict";
import { killBank } from "./support/kill-bank.js";
import { KillCampaign, newCounts } from "./support/kill-campaign.js";
import { Random, withSeed } from "./support/random.js";

describe("kill −9", function () {
  this.timeout(60_000);

  it("leaves the last acknowledged step, or the one under way", () =>
    withSeed("kill steps", async (random) => {
      const counts = newCounts();
      const campaign = () => new KillCampaign(new Random(random.next()), counts).run(8);
      await Promise.all([campaign(), campaign()]);
      assert.equal(counts.kills, 16);
      assert.ok(counts.steps > 0);
    }));

  it("never takes money from a bank", () =>
    withSeed("kill bank", async (random) => {
      const counts = newCounts();
      await killBank(random, counts, 6);
      assert.ok(counts.steps > 0);
    }));
});
