import { Random, withSeed } from "./support/random.js";
import {
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

posix("zombies, at every call", () => {
  afterEach(dismissAll);

  for (const scene of Object.keys(SCENES)) {
    it(scene, async () => {
      const counts: ZombieCounts = {};
      const score = await rehearse(scene, new Actor(), new Actor());
      let call = 0;
      const lane = async () => {
        const [actor, holder] = [new Actor(), new Actor()];
        while (++call <= score.calls.length) await playZombie(scene, call, score, actor, holder, counts);
      };
      await Promise.all([lane(), lane()]);
      console.log(`      ${score.calls.length} calls: ${JSON.stringify(counts)}`);
    });
  }

  it("a taker that is killed before every call", () =>
    withSeed("killed takers at every call", async (random) => {
      const counts: ZombieCounts = {};
      const score = await rehearse("takeover", new Actor(), new Actor());
      const stops = (await rehearse(VICTIM, new Actor(), new Actor())).calls.length;
      let call = 0;
      const lane = async (lane: Random) => {
        let victim = new Actor();
        while (++call <= 2 * score.calls.length) {
          const victimDies = call % 2 === 0;
          await playKilledTaker(
            Math.ceil(call / 2),
            1 + lane.below(stops),
            victim,
            victimDies,
            new Actor(),
            counts,
          );
          if (victimDies) victim = new Actor();
        }
      };
      await Promise.all([lane(new Random(random.next())), lane(new Random(random.next()))]);
      console.log(`      ${score.calls.length} calls, twice: ${JSON.stringify(counts)}`);
    }));

  it("takers at once", async () => {
    const counts: ZombieCounts = {};
    const victim = new Actor();
    for (let takers = 2; takers <= 4; takers++) {
      const rivals = Array.from({ length: takers }, () => new Actor());
      for (let i = 0; i < 100; i++) await playRivals(victim, rivals, counts);
    }
    console.log(`      ${JSON.stringify(counts)}`);
  });
});
