// Words against BigInt, at random and at the edges of their range.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Trit, trit, Word } from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";
import { seedFromEnv } from "./support/random.js";

const MAX = (3n ** 27n - 1n) / 2n;
const MODULUS = 3n ** 27n;
const edges = [0n, 1n, 2n, 364n, 365n, 728n, 729n, 3n ** 13n, 3n ** 26n, MAX - 1n, MAX].flatMap((n) => [
  n,
  -n,
]);

const anyWord = fc.oneof(
  { weight: 2, arbitrary: fc.bigInt({ min: -MAX, max: MAX }) },
  { weight: 1, arbitrary: fc.bigInt({ min: -2_000_000n, max: 2_000_000n }) },
  { weight: 1, arbitrary: fc.constantFrom(...edges) },
);

function check(...[name, body]: [string, (a: bigint, b: bigint) => void]): void {
  it(name, () => fc.assert(fc.property(anyWord, anyWord, body), { seed: seedFromEnv() | 0, numRuns: 2000 }));
}

const word = (n: bigint): Word => Word.from(Number(n));
const big = (w: Word): bigint => BigInt(w.valueOf());
const size = (n: bigint): bigint => (n < 0n ? -n : n);

/** The result that has a place, or LIMIT. */
function checkFit(body: () => Word, exact: bigint): void {
  if (size(exact) <= MAX) assert.equal(big(body()), exact);
  else expectCode("LIMIT", body);
}

function tritsBy(n: bigint, count: number): Trit[] {
  const trits: Trit[] = [];
  for (let i = 0; i < count; i++) {
    const digit = (n + MODULUS * MODULUS) % 3n;
    const low = digit === 2n ? -1n : digit;
    trits.push(Number(low) as Trit);
    n = (n - low) / 3n;
  }
  return trits;
}

describe("words", () => {
  check("are numbers, trits and text, there and back", (a) => {
    const trits = tritsBy(a, 27);
    assert.deepEqual(word(a).trits(), trits);
    assert.equal(big(Word.fromTrits(trits)), a);
    const text = `0t${[...trits]
      .reverse()
      .map((digit) => "-0+"[digit + 1])
      .join("")}`;
    assert.equal(word(a).toString(), text);
    assert.equal(big(Word.parse(text)), a);
  });

  check("add, subtract and multiply exactly, and say when the result has no place", (a, b) => {
    checkFit(() => word(a).add(word(b)), a + b);
    checkFit(() => word(a).sub(word(b)), a - b);
    checkFit(() => word(a).mul(word(b)), a * b);
    const c = b % 2_000n;
    checkFit(() => word(a).mul(Number(c)), a * c);
  });

  check("carry on what has no place", (a, b) => {
    for (const carry of [-1, 0, 1] as const) {
      const [sum, more] = word(a).addWithCarry(word(b), carry);
      assert.equal(big(sum) + MODULUS * BigInt(more), a + b + BigInt(carry));
    }
    const [low, high] = word(a).multiplyWide(word(b));
    assert.equal(big(low) + MODULUS * big(high), a * b);
  });

  check("divide", (a, b) => {
    for (const divisor of [b, b % 1000n]) {
      if (divisor === 0n) continue;
      const [truncated, remainder] = word(a).divmod(word(divisor), "truncate");
      assert.equal(big(truncated), a / divisor);
      assert.equal(big(remainder), a % divisor);
      const [nearest, rest] = word(a).divmod(word(divisor));
      assert.equal(big(nearest) * divisor + big(rest), a);
      assert.ok(2n * size(big(rest)) <= size(divisor));
      if (2n * size(big(rest)) === size(divisor))
        assert.equal(big(nearest), a / divisor, "of two the one nearer to 0");
      const [down, above] = word(a).divmod(word(divisor), "floor");
      assert.equal(big(down) * divisor + big(above), a);
      assert.ok(above.valueOf() === 0 || Math.sign(above.valueOf()) === Math.sign(Number(divisor)));
      assert.ok(size(big(above)) < size(divisor));
    }
  });

  check("shift", (a, b) => {
    const n = Number(size(b) % 30n);
    checkFit(() => word(a).shift(n), a * 3n ** BigInt(n));
    const kept = tritsBy(a, 27).slice(n);
    assert.equal(
      big(word(a).shift(-n)),
      kept.reduceRight((sum, digit) => 3n * sum + BigInt(digit), 0n),
    );
  });

  check("combine trit by trit as single trits do", (a, b) => {
    const [x, y] = [tritsBy(a, 27), tritsBy(b, 27)];
    for (const name of ["min", "max", "consensus", "any", "product", "xor", "sum", "implies"] as const) {
      const expected = x.map((digit, i) => trit[name](digit, y[i]));
      assert.deepEqual(word(a)[name](word(b)).trits(), expected, name);
    }
  });

  check("compare, and have signs", (a, b) => {
    assert.equal(word(a).compare(word(b)), a < b ? -1 : a > b ? 1 : 0);
    assert.equal(word(a).equals(word(b)), a === b);
    assert.equal(big(word(a).neg()), -a);
    assert.equal(big(word(a).abs()), size(a));
    assert.equal(word(a).sign(), a < 0n ? -1 : a > 0n ? 1 : 0);
  });

  it("reach as far as 27 trits do", () => {
    assert.equal(BigInt(Word.MAX_VALUE), MAX);
    assert.equal(Word.parse("+".repeat(27)).valueOf(), Word.MAX_VALUE);
    const wide = Word.from(Word.MAX_VALUE).multiplyWide(Word.MAX_VALUE);
    const exact = MAX * MAX;
    const high = (exact + MAX) / MODULUS;
    assert.deepEqual(wide.map(Number), [Number(exact - MODULUS * high), Number(high)]);
    for (const value of [Word.MAX_VALUE + 1, Word.MIN_VALUE - 1, 0.5, Number.NaN, 1n, "1"]) {
      expectCode("INVALID_ARGUMENT", () => Word.from(value as number));
      expectCode("INVALID_ARGUMENT", () => Word.from(0).sub(value as number));
    }
    expectCode("INVALID_ARGUMENT", () => Word.parse("+".repeat(28)));
    expectCode("INVALID_ARGUMENT", () => Word.fromTrits(new Array(28).fill(0)));
    expectCode("INVALID_ARGUMENT", () => Word.from(1).divmod(0));
    assert.ok(Object.is(Word.from(-0).valueOf(), 0));
    assert.ok(Object.is(Word.from(0).mul(-5).valueOf(), 0));
  });
});
