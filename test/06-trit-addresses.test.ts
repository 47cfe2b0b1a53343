// Ternary addresses against BigInt: pages, offsets, indices and alignment, at random and at the edges.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  LARGE_PAGE_TRYTES,
  PAGE_TRYTES,
  TABLE_ENTRIES,
  TernaryAddress,
  type Trit,
} from "../bindings/ternary.js";
import {
  FRAME_MAX,
  isPhysical,
  isVirtual,
  PAGE_MAX,
  PHYSICAL_MAX,
  tableIndices,
  VIRTUAL_MAX,
  VIRTUAL_MIN,
} from "../bindings/trit/address.js";
import { expectCode } from "./support/expect-code.js";
import { seedFromEnv } from "./support/random.js";

const PAGES = (3n ** 27n - 1n) / 2n;
const LOWEST = -729n * PAGES;
const HIGHEST = 729n * PAGES + 728n;
const around = (n: bigint): bigint[] => [n - 1n, n, n + 1n].filter((v) => v >= LOWEST && v <= HIGHEST);
const edges = [LOWEST, -(3n ** 24n), -729n, 0n, 729n, 729n * 9841n, 729n * 9842n, 3n ** 32n, HIGHEST].flatMap(
  around,
);
const anyAddress = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: LOWEST, max: HIGHEST }) },
  { weight: 1, arbitrary: fc.bigInt({ min: -5000n, max: 5000n }) },
  { weight: 1, arbitrary: fc.constantFrom(...edges) },
);
const settings = { seed: seedFromEnv() | 0, numRuns: 3000 };

const address = (n: bigint): TernaryAddress => TernaryAddress.fromInteger(Number(n));
const floor = (a: bigint, b: bigint): bigint => (a - (((a % b) + b) % b)) / b;

describe("ternary addresses", () => {
  it("have a page, an offset and an index for each level", () => {
    fc.assert(
      fc.property(anyAddress, (v) => {
        const it = address(v);
        const page = floor(v, 729n);
        assert.equal(BigInt(it.toInteger()), v);
        assert.equal(BigInt(it.page), page);
        assert.equal(BigInt(it.offset), v - 729n * page);
        assert.equal(it.isKernel, v < 0n);
        // Three balanced groups of nine trits, each plus 9841.
        let rest = page;
        const groups: number[] = [];
        for (let i = 0; i < 3; i++) {
          const group = ((((rest + 9841n) % 19683n) + 19683n) % 19683n) - 9841n;
          groups.unshift(Number(group) + 9841);
          rest = (rest - group) / 19683n;
        }
        assert.equal(rest, 0n);
        assert.deepEqual(it.indices(), [...groups, Number(v - 729n * page)]);
      }),
      settings,
    );
  });

  it("move and align by modulo", () => {
    const divisors = fc.oneof(
      fc.constantFrom(1, 2, 3, 9, 729, 2187, 3 ** 20, 1000),
      fc.integer({ min: 1, max: 1e6 }),
    );
    fc.assert(
      fc.property(anyAddress, divisors, (v, n) => {
        const down = floor(v, BigInt(n)) * BigInt(n);
        const up = down === v ? v : down + BigInt(n);
        for (const [exact, body] of [
          [down, () => address(v).alignDown(n)],
          [up, () => address(v).alignUp(n)],
          [v + BigInt(n), () => address(v).addOffset(n)],
          [v - BigInt(n), () => address(v).addOffset(-n)],
        ] as const) {
          if (exact >= LOWEST && exact <= HIGHEST) assert.equal(BigInt(body().toInteger()), exact);
          else expectCode("INVALID_ADDRESS", body);
        }
        assert.equal(address(v).isAligned(n), down === v);
        assert.equal(
          address(v).compare(address(down >= LOWEST ? down : v)),
          down === v || down < LOWEST ? 0 : 1,
        );
      }),
      settings,
    );
    for (const n of [0, -1, 0.5, Number.NaN]) {
      expectCode("INVALID_ALIGNMENT", () => TernaryAddress.fromInteger(5).alignDown(n));
      expectCode("INVALID_ALIGNMENT", () => TernaryAddress.fromInteger(5).alignUp(n));
    }
  });

  it("come from trits and trytes, the least significant first", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom<Trit>(-1, 0, 1), { maxLength: 32 }), (trits) => {
        const value = trits.reduceRight((sum, digit) => 3n * sum + BigInt(digit), 0n);
        assert.equal(BigInt(TernaryAddress.fromTrits(trits).toInteger()), value);
      }),
      settings,
    );
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -364, max: 364 }), { maxLength: 4 }),
        fc.integer({ min: -13, max: 13 }),
        (low, high) => {
          const value = low.reduceRight((sum, tryte) => 729 * sum + tryte, 0);
          assert.equal(TernaryAddress.fromTrytes(low).toInteger(), value);
          const four = [...low, 0, 0, 0, 0].slice(0, 4);
          assert.equal(TernaryAddress.fromTrytes([...four, high]).toInteger(), value + 729 ** 4 * high);
        },
      ),
      settings,
    );
    for (const trytes of [
      [365],
      [0, 0, 0, 0, 14],
      [0, 0, 0, 0, -14],
      [0, 0, 0, 0, 0, 0],
      [0.5],
      [Number.NaN],
    ])
      expectCode("INVALID_ARGUMENT", () => TernaryAddress.fromTrytes(trytes));
    expectCode("INVALID_ADDRESS", () => TernaryAddress.fromTrits(new Array(33).fill(-1)));
    expectCode("INVALID_ARGUMENT", () => TernaryAddress.fromTrits(new Array(34).fill(0)));
  });

  it("read and print as numbers and in balanced notation", () => {
    assert.equal(`${TernaryAddress.fromInteger(8)}`, `0t${"0".repeat(30)}+0-`);
    assert.equal(`${TernaryAddress.fromInteger(VIRTUAL_MAX)}`.length, 36);
    assert.equal(JSON.stringify([TernaryAddress.fromInteger(-729)]), "[-729]");
    assert.equal(+TernaryAddress.fromInteger(-729), -729);
    assert.ok(TernaryAddress.fromInteger(7).equals(TernaryAddress.fromInteger(7)));
    assert.ok(Object.is(TernaryAddress.fromInteger(-0).toInteger(), 0));
  });

  it("end where pages do", () => {
    assert.deepEqual([BigInt(VIRTUAL_MIN), BigInt(VIRTUAL_MAX)], [LOWEST, HIGHEST]);
    assert.equal(BigInt(PAGE_MAX), PAGES);
    assert.equal(BigInt(FRAME_MAX), (3n ** 21n - 1n) / 2n);
    assert.deepEqual([PAGE_TRYTES, LARGE_PAGE_TRYTES, TABLE_ENTRIES], [3 ** 6, 3 ** 7, 3 ** 9]);
    assert.deepEqual(TernaryAddress.fromInteger(VIRTUAL_MIN).indices(), [0, 0, 0, 0]);
    assert.deepEqual(TernaryAddress.fromInteger(VIRTUAL_MAX).indices(), [19682, 19682, 19682, 728]);
    assert.deepEqual(tableIndices(0), [9841, 9841, 9841]);
    assert.deepEqual(TernaryAddress.fromInteger(-1).indices(), [9841, 9841, 9840, 728]);
    for (const value of [VIRTUAL_MIN - 1, VIRTUAL_MAX + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1"]) {
      assert.equal(isVirtual(value as number), false);
      expectCode("INVALID_ADDRESS", () => TernaryAddress.fromInteger(value as number));
    }
    assert.ok(isPhysical(0) && isPhysical(PHYSICAL_MAX));
    assert.ok(!isPhysical(-1) && !isPhysical(PHYSICAL_MAX + 1) && !isPhysical(0.5));
  });
});
