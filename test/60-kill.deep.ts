import assert from "node:assert/strict";
import { killBank } from "./support/kill-bank.js";
import { KillCampaign, newCounts } from "./support/kill-campaign.js";
import { Random, withSeed } from "./support/random.js";

const CAMPAIGNS = 24;
const KILLS = 40;

describe("kill −9, for long", () => {
  it("steps", () =>
    withSeed("kill steps for long", async (random) => {
      const counts = newCounts();
      for (let i = 0; i < CAMPAIGNS; i += 2) {
        const campaign = () => new KillCampaign(new Random(random.next()), counts).run(KILLS);
        await Promise.all([campaign(), campaign()]);
      }
      assert.equal(counts.kills, CAMPAIGNS * KILLS);
      console.log(`      ${JSON.stringify(counts)}`);
    }));

  it("a bank", () =>
    withSeed("kill bank for long", async (random) => {
      const counts = newCounts();
      for (let i = 0; i < 8; i += 2) {
        const bank = () => killBank(new Random(random.next()), counts, KILLS);
        await Promise.all([bank(), bank()]);
      }
      console.log(`      ${JSON.stringify(counts)}`);
    }));
});
