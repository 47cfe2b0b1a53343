import assert from "node:assert/strict";
import { Random, withSeed } from "./support/random.js";

describe("seeded randomness", () => {
  it("repeats, and spreads", () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 1000 }, () => random.below(10));
    };
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
    for (let digit = 0; digit < 10; digit++) {
      const count = draw(3).filter((one) => one === digit).length;
      assert.ok(count > 60 && count < 140, `${digit} was drawn ${count} times of 1000`);
    }
    const random = new Random(4);
    assert.equal(random.bits(0), 0);
    for (let i = 0; i < 100; i++) assert.ok(random.bits(3) < 8);
    assert.deepEqual(random.shuffle([1, 2, 3, 4]).sort(), [1, 2, 3, 4]);
  });

  it("prints the seed of a test that fails, at once or later", async () => {
    const lines: string[] = [];
    const print = console.error;
    console.error = (line: string) => lines.push(line);
    try {
      assert.throws(() => withSeed("sudden", () => assert.fail("now")), /now/);
      await assert.rejects(
        withSeed("late", async () => assert.fail("later")),
        /later/,
      );
    } finally {
      console.error = print;
    }
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? "", /"sudden" failed; repeat it with PERDURE_SEED=\d+$/);
    assert.match(lines[1] ?? "", /"late" failed/);
  });
});
