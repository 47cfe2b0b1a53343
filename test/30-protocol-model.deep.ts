// The protocol model for long: schedules of all themes for PERDURE_MODEL_SECONDS (default 180), and for every rule that is switched off a new
// search for a schedule that misses it. Not finding one in time says nothing; the seeds of the everyday test are the proof.

import assert from "node:assert/strict";
import { exhaust, scripts } from "./model/exhaustive.js";
import { type Counts, explore, report, shrink } from "./model/explore.js";
import { protocol, type RuleName, without } from "./model/rules.js";
import { missed, redundant } from "./model/seeds.js";
import { seedFromEnv, withSeed } from "./support/random.js";

const text = process.env.PERDURE_MODEL_SECONDS ?? "180";
if (!/^\d+$/.test(text)) throw new Error(`PERDURE_MODEL_SECONDS is not a whole number: ${text}`);
const seconds = Number(text);

const line = ({ schedules, steps }: Counts): string =>
  `${schedules.toLocaleString("en")} schedules, ${steps.toLocaleString("en")} steps`;

describe("protocol model, for long", () => {
  it(`all themes, for ${seconds} s`, () =>
    withSeed("protocol model, for long", (random) => {
      const counts: Counts = { schedules: 0, steps: 0 };
      const end = performance.now() + 1000 * seconds;
      for (let told = performance.now(); performance.now() < end; ) {
        const deadline = Math.min(end, told + 30_000);
        const finding = explore(protocol, { seed: random.next(), deadline, counts });
        if (finding !== null) assert.fail(report(shrink(finding, protocol, true), protocol, true));
        told = performance.now();
        console.log(`      ${line(counts)}`);
      }
      console.log(`      seed ${seedFromEnv()}`);
    }));

  it("small cases with two power cuts, exhaustively as far as a limit", () => {
    const counts: Counts = { schedules: 0, steps: 0 };
    for (const script of scripts(["commit", "commit and flush", "checkpoint", "create snapshot"], 2)) {
      const message = exhaust({ script, powerCuts: 2, rot: true }, protocol, true, counts, 20_000);
      if (message !== null) assert.fail(message);
    }
    console.log(`      ${line(counts)}`);
  });

  describe("a new search for schedules that miss", () => {
    const each = Math.max(1, seconds / 36);
    for (const rule of Object.keys(protocol) as RuleName[]) {
      if (redundant.includes(rule)) continue;
      it(rule, () =>
        withSeed(`without ${rule}`, (random) => {
          const counts: Counts = { schedules: 0, steps: 0 };
          // In the theme that is known to need the rule.
          const known = missed[rule];
          const options = {
            seed: random.next(),
            deadline: performance.now() + 1000 * each,
            accounting: known?.[2] === "accounting",
            counts,
            ...(known && { themes: [known[0]] }),
          };
          const finding = explore(without(rule), options);
          const found = finding
            ? `${finding.theme}, ${finding.seed}: ${finding.message.split("\n")[0]}`
            : "not found";
          console.log(`      ${found} (${line(counts)})`);
        }),
      );
    }
  });
});
