// Trytes: all 729, and all pairs of them, against plain integers and against the logic of their single trits.

import assert from "node:assert/strict";
import { type Trit, Tryte, trit } from "../bindings/ternary.js";
import { expectCode } from "./support/expect-code.js";

const values = Array.from({ length: 729 }, (_, i) => i - 364);

/** By repeated division, which shares nothing with the tables. */
function tritsBy(value: number): Trit[] {
  const trits: Trit[] = [];
  for (let i = 0; i < 6; i++) {
    const low = (((((value + 1) % 3) + 3) % 3) - 1) as Trit;
    trits.push(low);
    value = (value - low) / 3;
  }
  return trits;
}

const allTrits = values.map(tritsBy);

function eachPair(visit: (a: Tryte, b: Tryte, x: number, y: number) => void): void {
  const trytes = values.map(Tryte.from);
  for (const a of trytes) for (const b of trytes) visit(a, b, a.valueOf(), b.valueOf());
}

/** The number, or null where there must be an overflow. */
function resultOf(body: () => Tryte): number | null {
  try {
    return body().valueOf();
  } catch (error) {
    assert.equal((error as { code?: string }).code, "LIMIT");
    return null;
  }
}

describe("trytes", () => {
  it("are numbers, trits and text, there and back", () => {
    const seen = new Set<string>();
    values.forEach((value, i) => {
      const tryte = Tryte.from(value);
      assert.deepEqual(tryte.trits(), allTrits[i]);
      assert.equal(Tryte.fromTrits(allTrits[i]), tryte);
      const text = tryte.toString();
      assert.equal(
        text,
        `0t${[...allTrits[i]]
          .reverse()
          .map((digit) => "-0+"[digit + 1])
          .join("")}`,
      );
      assert.equal(Tryte.parse(text), tryte);
      assert.equal(Tryte.parse(text.slice(2).replace(/^0+(?=.)/, "")), tryte);
      assert.equal(`${tryte.toJSON()}`, JSON.stringify(tryte));
      assert.equal(+tryte, value);
      seen.add(text);
    });
    assert.equal(seen.size, 729);
    assert.equal(Tryte.from(8).toString(), "0t000+0-");
    assert.equal(Tryte.from(-0), Tryte.from(0));
  });

  it("are one object each", () => assert.equal(Tryte.from(5).add(7), Tryte.from(12)));

  it("add, subtract, multiply and compare as integers do, and say when the result has no place", function () {
    this.timeout(60_000);
    const inRange = (value: number) => (Math.abs(value) <= 364 ? value + 0 : null);
    let overflows = 0;
    // An error for each overflow costs more than all else: of those far out a few are enough.
    const far = (value: number, x: number, y: number) => Math.abs(value) > 400 && (31 * x + y) % 17 !== 0;
    eachPair((a, b, x, y) => {
      for (const [value, body] of [
        [x + y, () => a.add(b)],
        [x - y, () => a.sub(b)],
        [x * y, () => a.mul(b)],
      ] as const) {
        if (far(value, x, y)) continue;
        const result = resultOf(body);
        if (result !== inRange(value)) assert.fail(`${x} and ${y}: ${result}, not ${value}`);
        if (result === null) overflows++;
      }
      if (a.compare(b) !== Math.sign(x - y) || a.equals(b) !== (x === y)) assert.fail(`${x} and ${y}`);
    });
    assert.ok(overflows > 1000);
  });

  it("carry on what has no place", () => {
    eachPair((a, b, x, y) => {
      for (const carry of [-1, 0, 1] as const) {
        const [sum, more] = a.addWithCarry(b, carry);
        if (sum.valueOf() + 729 * more !== x + y + carry) assert.fail(`${x} + ${y} + ${carry}`);
        if (more !== -1 && more !== 0 && more !== 1) assert.fail(`carry ${more}`);
      }
      const [low, high] = a.multiplyWide(b);
      if (low.valueOf() + 729 * high.valueOf() !== x * y) assert.fail(`${x} × ${y}`);
    });
  });

  it("divide: quotient × divisor + remainder, rounded as asked", () => {
    eachPair((a, b, x, y) => {
      if (y === 0) return;
      const pairs = (["nearest", "truncate", "floor"] as const).map((rounding) =>
        a.divmod(b, rounding).map(Number),
      );
      for (const [q, r] of pairs) {
        if (q * y + r !== x || Object.is(q, -0) || Object.is(r, -0)) assert.fail(`${x} / ${y}: ${q}, ${r}`);
      }
      const [[near, rest], [towardsZero], [down]] = pairs;
      if (towardsZero !== Math.trunc(x / y) + 0) assert.fail(`${x} / ${y}: ${towardsZero} is not truncated`);
      if (down !== Math.floor(x / y) + 0) assert.fail(`${x} / ${y}: ${down} is not the floor`);
      if (2 * Math.abs(rest) > Math.abs(y)) assert.fail(`${x} / ${y}: ${near} is not the nearest`);
      if (2 * Math.abs(rest) === Math.abs(y) && Math.abs(near) > Math.abs(x / y))
        assert.fail(`${x} / ${y}: tie`);
    });
    assert.deepEqual(Tryte.from(7).divmod(-2).map(Number), [-3, 1]);
    expectCode("INVALID_ARGUMENT", () => Tryte.from(1).divmod(0));
  });

  it("shift: multiply by powers of three, or drop trits", () => {
    for (const value of values) {
      const tryte = Tryte.from(value);
      const trits = allTrits[value + 364];
      for (let n = 0; n <= 8; n++) {
        const dropped = trits.slice(n).reduce((sum: number, digit, i) => sum + digit * 3 ** i, 0);
        assert.equal(tryte.shift(-n).valueOf(), dropped);
        const left = resultOf(() => tryte.shift(n));
        assert.equal(left, Math.abs(value * 3 ** n) <= 364 ? value * 3 ** n : null);
      }
    }
    assert.equal(Tryte.from(0).shift(1e9), Tryte.from(0));
    assert.equal(Tryte.from(364).shift(-1e9), Tryte.from(0));
    expectCode("LIMIT", () => Tryte.from(1).shift(1e9));
    expectCode("INVALID_ARGUMENT", () => Tryte.from(1).shift(0.5));
  });

  it("combine trit by trit as single trits do", () => {
    const names = ["min", "max", "consensus", "any", "product", "xor", "sum", "implies"] as const;
    eachPair((a, b, x, y) => {
      for (const name of names) {
        let expected = 0;
        for (let i = 5; i >= 0; i--)
          expected = 3 * expected + trit[name](allTrits[x + 364][i], allTrits[y + 364][i]);
        if (a[name](b).valueOf() !== expected) assert.fail(`${name} of ${x} and ${y}`);
      }
    });
  });

  it("have signs", () => {
    for (const value of values) {
      assert.ok(Object.is(Tryte.from(value).neg().valueOf(), 0 - value));
      assert.ok(Object.is(Tryte.from(value).abs().valueOf(), Math.abs(value)));
      assert.equal(Tryte.from(value).sign(), Math.sign(value));
    }
  });

  it("refuse what is none", () => {
    for (const value of [365, -365, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null, undefined]) {
      expectCode("INVALID_ARGUMENT", () => Tryte.from(value as number));
      expectCode("INVALID_ARGUMENT", () => Tryte.from(1).add(value as number));
    }
    for (const text of ["", "0t", "+++++++", "0t+2", "12", " +", "0t+-+-+-+"])
      expectCode("INVALID_ARGUMENT", () => Tryte.parse(text));
    expectCode("INVALID_ARGUMENT", () => Tryte.fromTrits([0, 0, 0, 0, 0, 0, 0]));
    expectCode("INVALID_ARGUMENT", () => Tryte.fromTrits([2 as Trit]));
  });
});
