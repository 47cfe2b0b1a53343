import assert from "node:assert/strict";
import { Random, withSeed } from "./support/random.js";
import {
  interestingCall,
  playKilledTaker,
  playRivals,
  playZombie,
  rehearse,
  SCENES,
  VICTIM,
  type ZombieCounts,
} from "./support/zombie-rounds.js";
import { Actor, dismissAll } from "./support/zombie-stage.js";

const posix = process.platform === "win32" ? describe.skip : describe;

posix("zombies", function () {
  this.timeout(60_000);

  afterEach(dismissAll);

  it("stopped at some call of everything, overtaken, woken up", () =>
    withSeed("zombies", async (random) => {
      const counts: ZombieCounts = {};
      const scenes = Object.keys(SCENES);
      const lane = async (lane: Random) => {
        const [actor, holder] = [new Actor(), new Actor()];
        for (let scene = scenes.shift(); scene !== undefined; scene = scenes.shift()) {
          const score = await rehearse(scene, actor, holder);
          for (let i = 0; i < 2; i++)
            await playZombie(scene, interestingCall(lane, score), score, actor, holder, counts);
        }
      };
      await Promise.all([lane(new Random(random.next())), lane(new Random(random.next()))]);
      assert.ok(counts.FENCED > 0 && counts.LOCKED > 0);
    }));

  it("a taker that is killed on the way", () =>
    withSeed("killed takers", async (random) => {
      const counts: ZombieCounts = {};
      let victim = new Actor();
      const score = await rehearse("takeover", new Actor(), victim);
      const stops = (await rehearse(VICTIM, victim, victim)).calls.length;
      for (let i = 0; i < 6; i++) {
        const victimDies = i % 3 === 0;
        const killAt = interestingCall(random, score);
        await playKilledTaker(killAt, 1 + random.below(stops), victim, victimDies, new Actor(), counts);
        if (victimDies) victim = new Actor();
      }
    }));

  it("three takers at once", () =>
    withSeed("rivals", async () => {
      const counts: ZombieCounts = {};
      const [victim, ...takers] = [new Actor(), new Actor(), new Actor(), new Actor()];
      for (let i = 0; i < 4; i++) await playRivals(victim, takers, counts);
    }));
});
