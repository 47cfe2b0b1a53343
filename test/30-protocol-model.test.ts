// The protocol of the state file as a model (test/model/): random schedules in which no promise may be broken, small cases
// exhaustively, and every rule of the protocol in turn switched off, which some schedule must notice.

import assert from "node:assert/strict";
import { type Case, exhaust, scripts } from "./model/exhaustive.js";
import { type Counts, explore, type Finding, replay, report, runSeed, shrink } from "./model/explore.js";
import { themes } from "./model/plans.js";
import { protocol, type RuleName, type Rules, without } from "./model/rules.js";
import { missed, redundant } from "./model/seeds.js";
import { seedFromEnv, withSeed } from "./support/random.js";

const countsOf = (): Counts => ({ schedules: 0, steps: 0 });
const line = ({ schedules, steps }: Counts, begin: number): string =>
  `${schedules.toLocaleString("en")} schedules, ${steps.toLocaleString("en")} steps, ${Math.round(performance.now() - begin)} ms`;

/** Prints the shrunk schedule of a finding, and fails. */
function failWith(finding: Finding | null): void {
  if (finding !== null) assert.fail(report(shrink(finding, protocol, true), protocol, true));
}

describe("protocol model", () => {
  describe("random schedules", () => {
    const total = countsOf();
    let begin = 0;

    for (const theme of themes) {
      it(theme, () =>
        withSeed(`protocol model, ${theme}`, (random) => {
          failWith(
            explore(protocol, { seed: random.next(), themes: [theme], schedules: 400, counts: total }),
          );
        }),
      ).timeout(60_000);
    }

    before(() => {
      begin = performance.now();
    });
    after(() => console.log(`      seed ${seedFromEnv()}: ${line(total, begin)}`));
  });

  it("small cases, exhaustively", () => {
    const counts = countsOf();
    const begin = performance.now();
    const of = ["commit and flush", "checkpoint", "create snapshot"] as const;
    const cases: Case[] = [...scripts(of, 2)].map((script) => ({ script, powerCuts: 1 }));
    cases.push({ script: ["commit", "checkpoint"], powerCuts: 1, rot: true, quietSteps: 20 });
    for (const each of cases) {
      const message = exhaust(each, protocol, true, counts);
      if (message !== null) assert.fail(message);
    }
    console.log(`      ${line(counts, begin)}`);
  }).timeout(60_000);

  describe("a rule that is switched off is missed", () => {
    for (const rule of Object.keys(protocol) as RuleName[]) {
      if (redundant.includes(rule)) continue;
      it(rule, () => {
        const [theme, seed, how] = missed[rule] ?? assert.fail(`no schedule is known for ${rule}`);
        const run = (rules: Rules, accounting: boolean): string | null =>
          typeof how === "object"
            ? replay({ theme, seed }, how, rules, accounting).message
            : (runSeed(theme, seed, rules, accounting)?.message ?? null);
        assert.equal(run(protocol, true), null, "the whole protocol breaks a promise here");
        assert.notEqual(run(without(rule), how === "accounting"), null, "nothing misses it here");
      });
    }
  });
});
