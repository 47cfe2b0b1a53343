// Files that lie: every digest verifies, but what they say is not true. Nothing they say makes the pager read, allocate or write
// without bounds, throw an error of its own, or give data that was never written; and check() finds the lies.

import assert from "node:assert/strict";
import { credulous } from "./support/hostile-builder.js";
import {
  bitingTails,
  type Lie,
  lyingChains,
  lyingDirectories,
  lyingFreeMaps,
  lyingSuperblocks,
  lyingTrees,
  randomLie,
} from "./support/hostile-files.js";
import { placeWith } from "./support/hostile-samples.js";
import { survey } from "./support/hostile-survey.js";
import { withSeed } from "./support/random.js";

async function findOut({
  what,
  file,
  reader = "ok",
  writer = reader,
  problem,
  readBytes,
}: Lie): Promise<void> {
  const trusted = file.hasher !== credulous;
  const bounds = readBytes === undefined ? {} : { readBytes };
  try {
    const found = await survey(placeWith(file.finish()), { hasher: file.hasher, trusted, bounds });
    if (!trusted) return;
    assert.deepEqual([found.reader, found.writer], [reader, writer]);
    if (writer !== "ok") return;
    if (problem === null) assert.deepEqual(found.problems, []);
    else
      assert.ok(
        found.problems.some((each) => problem?.test(each)),
        found.problems.slice(0, 3).join("; "),
      );
  } catch (error) {
    if (error instanceof Error) error.message = `${what}: ${error.message}`;
    throw error;
  }
}

describe("hostile files", () => {
  const kinds = {
    trees: lyingTrees,
    "free maps": lyingFreeMaps,
    directories: lyingDirectories,
    superblocks: lyingSuperblocks,
    chains: lyingChains,
    "trees and chains that bite their own tail": bitingTails,
  };
  for (const [title, lies] of Object.entries(kinds)) {
    it(title, async () => {
      for (const each of lies()) await findOut(each);
    });
  }

  it("lies at random", () =>
    withSeed("hostile: random", async (random) => {
      let refused = 0;
      for (let i = 0; i < 60; i++) {
        const file = randomLie(random);
        const trusted = file.hasher !== credulous;
        const { writer } = await survey(placeWith(file.finish()), { hasher: file.hasher, trusted });
        if (writer !== "ok") refused++;
      }
      assert.ok(refused < 50, `${refused} refused: too few got far`);
    }));
});
