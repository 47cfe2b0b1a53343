// The logic of single trits against its truth tables, all of them, and the laws that tie the functions to each other.

import assert from "node:assert/strict";
import { type Trit, trit } from "../bindings/ternary.js";
import { isTrit, tritOf } from "../bindings/trit/trit.js";
import { expectCode } from "./support/expect-code.js";

const all: readonly Trit[] = [-1, 0, 1];

/** For − 0 +. */
const monadic: Readonly<Record<string, string>> = {
  neg: "+0-",
  not: "+0-",
  increment: "0+-",
  decrement: "+-0",
  abs: "+0+",
  isTrue: "--+",
  isUnknown: "-+-",
  isFalse: "+--",
  isPossible: "-++",
  clampDown: "-00",
  clampUp: "00+",
};

/** A row for each a, in it b: − 0 +. */
const dyadic: Readonly<Record<string, string>> = {
  min: "--- -00 -0+",
  max: "-0+ 00+ +++",
  and: "--- -00 -0+",
  or: "-0+ 00+ +++",
  nand: "+++ +00 +0-",
  nor: "+0- 00- ---",
  consensus: "-00 000 00+",
  any: "--0 -0+ 0++",
  product: "+0- 000 -0+",
  xor: "-0+ 000 +0-",
  sum: "+-0 -0+ 0+-",
  carry: "-00 000 00+",
  equals: "+-- -+- --+",
  compare: "0-- +0- ++0",
  implies: "+++ 00+ -0+",
  impliesLukasiewicz: "+++ 0++ -0+",
  impliesHeyting: "+++ -++ -0+",
};

const digit = (value: number): string => {
  assert.ok(Object.is(value, -1) || Object.is(value, 0) || Object.is(value, 1), `${value} is no trit`);
  return "-0+"[value + 1];
};

describe("logic of trits", () => {
  const functions = trit as unknown as Record<string, (...operands: Trit[]) => Trit>;

  for (const [name, table] of Object.entries(monadic)) {
    it(`${name}: ${table}`, () => assert.equal(all.map((a) => digit(functions[name](a))).join(""), table));
  }

  for (const [name, table] of Object.entries(dyadic)) {
    it(`${name}: ${table}`, () => {
      const rows = all.map((a) => all.map((b) => digit(functions[name](a, b))).join(""));
      assert.equal(rows.join(" "), table);
    });
  }

  it("has a table for each function", () => {
    const tables = [...Object.keys(monadic), ...Object.keys(dyadic)];
    assert.deepEqual(Object.keys(trit).sort(), tables.sort());
  });

  it("sum and carry are addition", () => {
    for (const a of all) for (const b of all) assert.equal(trit.sum(a, b) + 3 * trit.carry(a, b), a + b);
  });

  it("a trit is one of three numbers", () => {
    for (const value of [2, -2, 0.5, Number.NaN, "1", null]) {
      assert.equal(isTrit(value), false);
      expectCode("INVALID_ARGUMENT", () => tritOf(value as number));
    }
    assert.ok(Object.is(tritOf(-0), 0));
  });
});
