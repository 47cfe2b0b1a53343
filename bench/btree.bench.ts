// A B+tree of the engine with a million entries, as an index uses it, next to what a program in memory would take: a Map, which has no order, and a
// sorted array, which takes no further entry. Keys are numbers below 2⁵³; encoding them is part of what is timed.

import { KeyEncoder } from "../bindings/api/table/keys.js";
import { Tree } from "../bindings/api/table/tree.js";
import type { Memory } from "../bindings/index.js";
import { Random } from "../test/support/random.js";
import { letGo, openVolatile } from "./engines.js";
import type { Bar, Case, Workload } from "./harness.js";

const entries = 1e6;
const rangeEntries = 100;
const mask = 2 ** 20 - 1;
const map = "Map";
const tree = "B+tree";

/** Keys in random order, and a row of them to ask for. */
interface Ground {
  keys: Float64Array;
  questions: Float64Array;
  sorted: Float64Array;
  map: Map<number, number>;
  memory: Memory;
  tree: Tree;
  encoder: KeyEncoder;
  /** What the last run has filled is left to the next one to take away, untimed. */
  filledMap: Map<number, number>;
  filledTree: Tree;
}

type Loop = (ground: Ground, iterations: number) => unknown;

let ground: Ground | null = null;
let users = 0;

function prepare(): Ground {
  const random = new Random(1);
  const keys = Float64Array.from({ length: entries }, () => random.next() * 2 ** 21 + random.bits(21));
  const questions = Float64Array.from({ length: mask + 1 }, () => keys[random.below(entries)]);
  const memory = openVolatile();
  const encoder = new KeyEncoder(memory.engine.core, "index", [{ name: "key", type: "u64" }]);
  const made = Tree.create(memory.engine, "index");
  const known = new Map<number, number>();
  for (let i = 0; i < entries; i++) {
    made.insert(encoder.encodeOne(keys[i]), i);
    known.set(keys[i], i);
  }
  return {
    keys,
    questions,
    sorted: keys.slice().sort(),
    map: known,
    memory,
    tree: made,
    encoder,
    filledMap: new Map(),
    filledTree: Tree.create(memory.engine, "index"),
  };
}

function workload(
  name: string,
  cases: readonly { name: string; loop: Loop; prepare?: (ground: Ground) => void; bars?: Bar[] }[],
  fixed: Partial<Workload> = {},
): Workload {
  const build = ({ name, loop, bars, prepare: before }: (typeof cases)[number]): Case => ({
    name,
    bars: bars ?? [],
    setup() {
      users++;
      ground ??= prepare();
    },
    prepare: () => before?.(ground!),
    run: (iterations) => loop(ground!, iterations),
    teardown() {
      if (--users > 0) return;
      letGo(ground!.memory);
      ground = null;
    },
  });
  return { name, unit: "ns/op", reference: cases[0].name, cases: cases.map(build), ...fixed };
}

function lowerBound(sorted: Float64Array, key: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

const finding = workload("finding one of a million numbers", [
  {
    name: map,
    loop({ map, questions }, iterations) {
      let sum = 0;
      for (let i = 0; i < iterations; i++) sum += map.get(questions[i & mask])!;
      return sum;
    },
  },
  {
    name: "sorted array",
    loop({ sorted, questions }, iterations) {
      let sum = 0;
      for (let i = 0; i < iterations; i++) sum += lowerBound(sorted, questions[i & mask]);
      return sum;
    },
  },
  {
    name: tree,
    bars: [{ of: map, timeAtMost: 1.7 }, { nanosecondsAtMost: 250 }],
    loop({ tree, encoder, questions }, iterations) {
      let sum = 0;
      for (let i = 0; i < iterations; i++) sum += tree.find(encoder.encodeOne(questions[i & mask]));
      return sum;
    },
  },
]);

const ranges = workload(`${rangeEntries} entries of a million in order, from a random one on`, [
  {
    name: "sorted array",
    loop({ sorted, questions }, iterations) {
      let sum = 0;
      for (let i = 0; i < iterations; i++) {
        const from = lowerBound(sorted, questions[i & mask]);
        for (let at = from; at < from + rangeEntries && at < sorted.length; at++) sum += sorted[at];
      }
      return sum;
    },
  },
  {
    name: tree,
    loop({ tree, encoder, questions }, iterations) {
      let sum = 0;
      for (let i = 0; i < iterations; i++) {
        const cursor = tree.cursor(encoder.bound([questions[i & mask]], false), null);
        for (let left = rangeEntries; left > 0; left--) sum += cursor.next();
      }
      return sum;
    },
  },
]);

function renew(ground: Ground): void {
  ground.filledTree.destroy();
  ground.filledTree = Tree.create(ground.memory.engine, "index");
  ground.filledMap = new Map();
}

function filling(name: string, keyOf: (keys: Float64Array, i: number) => number, bars: Bar[]): Workload {
  const cases = [
    {
      name: map,
      prepare: renew,
      loop({ keys, filledMap }: Ground, iterations: number) {
        for (let i = 0; i < iterations; i++) filledMap.set(keyOf(keys, i), i);
      },
    },
    {
      name: tree,
      prepare: renew,
      bars,
      loop({ keys, encoder, filledTree }: Ground, iterations: number) {
        for (let i = 0; i < iterations; i++) filledTree.insert(encoder.encodeOne(keyOf(keys, i)), i);
      },
    },
    {
      name: "array, sorted at the end",
      loop({ keys }: Ground, iterations: number) {
        const all = new Float64Array(iterations);
        for (let i = 0; i < iterations; i++) all[i] = keyOf(keys, i);
        return all.sort();
      },
    },
  ];
  return workload(name, cases, { iterations: entries, rounds: 5 });
}

const random = filling("a million numbers inserted in random order", (keys, i) => keys[i], [
  { nanosecondsAtMost: 500 },
]);
const ordered = filling("a million numbers inserted in order", (_, i) => i, []);

export default [finding, ranges, random, ordered] satisfies Workload[];
