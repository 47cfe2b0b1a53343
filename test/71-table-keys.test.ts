// Keys of indexes: the order of the encodings is the order of the values, for every type, alone and one behind the other.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  KEY_BYTES_MAX,
  KeyEncoder,
  type KeyField,
  type KeyType,
  successor,
} from "../bindings/api/table/keys.js";
import { Core } from "../bindings/core.js";
import { expectCode } from "./support/expect-code.js";
import { seedFromEnv } from "./support/random.js";

const unused = () => assert.fail("nothing was asked for");
const core = new Core(
  { fault: unused, firstTouch: unused, spill: unused },
  { reserveBytes: 0, maxBytes: 0, windowBytes: 0 },
);

const text = fc.string({
  unit: fc.constantFrom("\0", "a", "b", "\x7f", "é", "\uffff", "😀", "\u{10ffff}"),
  maxLength: 6,
});
const limits = (bits: number, signed: boolean): [number, number] =>
  signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
const whole = (bits: number, signed: boolean) => {
  const [min, max] = limits(bits, signed);
  return fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max, 0, 1));
};
const double = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(0, -0, 1, -1, 5e-324, -5e-324));

const values: { readonly [type in KeyType]: fc.Arbitrary<unknown> } = {
  bool: fc.boolean(),
  u8: whole(8, false),
  u16: whole(16, false),
  u32: whole(32, false),
  u64: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.maxSafeNat()),
  i8: whole(8, true),
  i16: whole(16, true),
  i32: whole(32, true),
  i64: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger()),
  f32: fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0)),
  f64: double,
  id: fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, 2 ** 32 - 1, 2 ** 53 - 1)),
  string: text,
  bytes: fc
    .uint8Array({ maxLength: 5 })
    .map((bytes) => bytes.map((byte) => [0, 0, 1, 0xfe, 0xff, byte][byte % 6] as number)),
};
const types = Object.keys(values) as KeyType[];

function compareLists(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++)
    if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
}

/** As the values are ordered, whatever they look like encoded. */
function compareValues(a: unknown, b: unknown): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null);
  if (typeof a === "string") return compareLists(codePoints(a), codePoints(b as string));
  if (a instanceof Uint8Array) return compareLists([...a], [...(b as Uint8Array)]);
  // Numbers and bigints compare with each other as they are.
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

const codePoints = (value: string) => Array.from(value, (character) => character.codePointAt(0) as number);

function compareRows(a: readonly unknown[], b: readonly unknown[]): number {
  for (let i = 0; i < a.length; i++) {
    const order = compareValues(a[i], b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function encode(encoder: KeyEncoder, row: readonly unknown[]): Uint8Array {
  const length = encoder.encode(row);
  return core.bytes.slice(core.constants.EXCHANGE, core.constants.EXCHANGE + length);
}

const nullable = (type: KeyType) => fc.option(values[type], { freq: 4 });
const field = (type: KeyType, optional: boolean): KeyField => ({ name: type, type, optional });

/** Some fields, and two rows of them that often agree in the first fields. */
const twoRows = fc
  .array(fc.record({ type: fc.constantFrom(...types), optional: fc.boolean() }), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((shape) => {
    const row = fc.tuple(...shape.map(({ type, optional }) => (optional ? nullable(type) : values[type])));
    const fields = shape.map(({ type, optional }) => field(type, optional));
    return fc.tuple(fc.constant(fields), row, row, fc.nat({ max: shape.length })).map(([all, a, b, same]) => {
      return { fields: all, a, b: b.map((value, i) => (i < same ? a[i] : value)) };
    });
  });

function check<T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => void, numRuns = 2000): void {
  const details = fc.check(fc.property(arbitrary, predicate), { seed: seedFromEnv(), numRuns });
  assert.ok(!details.failed, fc.defaultReportMessage(details));
}

describe("tables: keys", () => {
  for (const type of types) {
    it(`are in the order of values of type ${type}`, () => {
      const encoder = new KeyEncoder(core, "index", [field(type, true)]);
      check(fc.tuple(nullable(type), nullable(type)), ([a, b]) => {
        const order = Buffer.compare(encode(encoder, [a]), encode(encoder, [b]));
        assert.equal(Math.sign(order), Math.sign(compareValues(a, b)), `${a} and ${b}`);
        assert.equal(encoder.encodeOne(a), encode(encoder, [a]).length);
      });
    });
  }

  it("of several fields are in the order of the first field that differs", () => {
    check(twoRows, ({ fields, a, b }) => {
      const encoder = new KeyEncoder(core, "index", fields);
      const order = Buffer.compare(encode(encoder, a), encode(encoder, b));
      assert.equal(Math.sign(order), Math.sign(compareRows(a, b)));
    });
  });

  it("that agree in their first fields are those between two bounds", () => {
    check(
      twoRows.chain((rows) => fc.tuple(fc.constant(rows), fc.nat({ max: rows.fields.length }))),
      ([rows, count]) => {
        const { fields, a, b } = rows;
        const encoder = new KeyEncoder(core, "index", fields);
        const [first, key] = [a.slice(0, count), encode(encoder, b)];
        const from = encoder.bound(first, false) as Uint8Array;
        const to = encoder.bound(first, true);
        const order = compareRows(first, b);
        assert.equal(Buffer.compare(key, from) >= 0, order <= 0);
        assert.equal(to === null || Buffer.compare(key, to) < 0, order >= 0);
      },
    );
  });

  it("have a successor unless there is nothing but the greatest byte", () => {
    assert.equal(successor(new Uint8Array(0)), null);
    assert.equal(successor(Uint8Array.of(255, 255)), null);
    assert.deepEqual(successor(Uint8Array.of(1, 254, 255, 255)), Uint8Array.of(1, 255));
  });

  it("are refused for values of another type, and those that have no place in the order", () => {
    const wrong: [KeyType, unknown[]][] = [
      ["bool", [0, null, undefined]],
      ["u8", [-1, 256, 0.5, "1", Number.NaN, 1n, null]],
      ["i16", [-32769, 32768, 0.1]],
      ["u32", [2 ** 32, -1, Number.POSITIVE_INFINITY]],
      ["i32", [2 ** 31, -(2 ** 31) - 1]],
      ["u64", [-1n, 2n ** 64n, -1, 2 ** 53, 0.5]],
      ["i64", [2n ** 63n, -(2n ** 63n) - 1n, 2 ** 53, 0.5]],
      ["f32", [Number.NaN, 1n, "1"]],
      ["f64", [Number.NaN, null]],
      ["id", [-1, 2 ** 53, 1n]],
      ["string", [1, "\ud800", "é\udc00", new Uint8Array(1)]],
      ["bytes", ["text", [1], new Uint16Array(1)]],
    ];
    for (const [type, all] of wrong) {
      for (const value of all) {
        const encoder = new KeyEncoder(core, "by value", [field(type, false)]);
        const { message } = expectCode("INVALID_ARGUMENT", () => encoder.encodeOne(value));
        assert.match(message, new RegExp(`"${type}" of index "by value"`));
      }
    }
    const encoder = new KeyEncoder(core, "by value", [field("u8", false)]);
    expectCode("INVALID_ARGUMENT", () => encoder.encode([1, 2]));
  });

  it("have at most 1024 bytes", () => {
    const encoder = new KeyEncoder(core, "by name", [field("string", false), field("bytes", true)]);
    assert.equal(encoder.encode(["a".repeat(KEY_BYTES_MAX - 2)]), KEY_BYTES_MAX);
    assert.equal(encoder.encode(["é".repeat(KEY_BYTES_MAX / 2 - 1)]), KEY_BYTES_MAX);
    assert.equal(encoder.encode(["a", new Uint8Array(509)]), 3 + 1 + 2 * 509 + 2);
    for (const row of [
      ["a".repeat(KEY_BYTES_MAX - 1)],
      ["é".repeat(KEY_BYTES_MAX / 2)],
      ["\0".repeat(KEY_BYTES_MAX)],
      ["a".repeat(1e6)],
      ["a", new Uint8Array(510)],
      ["a", new Uint8Array(1e6)],
      ["a".repeat(KEY_BYTES_MAX - 2), null],
    ]) {
      const { message } = expectCode("LIMIT", () => encoder.encode(row));
      assert.match(message, /"by name"/);
    }
  });
});
