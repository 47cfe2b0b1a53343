// Sets of slots against a plain Set, and the choice of a free extent against one that looks at every slot.

import assert from "node:assert/strict";
import { SlotSet } from "../bindings/pager/slot-set.js";
import { takeExtent, takeExtents } from "../bindings/pager/space.js";
import { type Random, withSeed } from "./support/random.js";

/** Slots around the edges of words, of pages of the free map, and beyond what 32 bits can say in bytes. */
const edges = [0, 1, 31, 32, 33, 63, 64, 65, 2047, 2048, 2049, 16383, 16384, 16385, 70000];

function someSlot(random: Random): number {
  if (random.oneIn(3)) return random.pick(edges);
  return random.below(random.pick([70, 600, 20000]));
}

function assertSame(set: SlotSet, model: ReadonlySet<number>): void {
  const sorted = [...model].sort((a, b) => a - b);
  assert.deepEqual([...set.slots()], sorted);
  assert.equal(set.count(), model.size);
  assert.equal(set.end(), (sorted.at(-1) ?? -1) + 1);
}

/** Maximal extents of slots that are not in the set. */
function gapsOf(model: ReadonlySet<number>, from: number, limit: number): [number, number][] {
  const gaps: [number, number][] = [];
  for (let slot = from; slot < limit; slot++) {
    if (model.has(slot)) continue;
    const last = gaps.at(-1);
    if (last && last[0] + last[1] === slot) last[1]++;
    else gaps.push([slot, 1]);
  }
  return gaps;
}

const slotsIn = (runs: readonly { slots: number }[]) => runs.reduce((sum, { slots }) => sum + slots, 0);

function assertGaps(set: SlotSet, model: ReadonlySet<number>, from: number, limit: number): void {
  const expected = gapsOf(model, from, limit);
  for (const least of [1, 3, 4, 5, 33]) {
    const found: [number, number][] = [];
    set.gaps(from, limit, (slot, count) => found.push([slot, count]), least);
    const long = expected.filter(([, slots]) => slots >= least);
    assert.deepEqual(found, long, `gaps(${from}, ${limit}, ${least})`);
    const sorted = long.map(([slot, slots]) => ({ slot, slots })).sort((a, b) => b.slots - a.slots);
    for (const [slots, most] of [
      [1e9, 1e9],
      [1e9, 3],
      [50, 1e9],
    ]) {
      const wanted = sorted.filter((_, i) => i < most && slotsIn(sorted.slice(0, i)) < slots);
      assert.deepEqual(set.longestGaps(from, limit, least, slots, most), wanted);
    }
  }
}

/** A set and its model, with single slots and long ranges. */
function randomSet(random: Random, changes = random.below(40)): { set: SlotSet; model: Set<number> } {
  const set = new SlotSet();
  const model = new Set<number>();
  for (let i = 0; i < changes; i++) {
    const slot = someSlot(random);
    if (random.oneIn(2)) {
      const count = random.below(random.pick([2, 40, 300]));
      set.addRange(slot, count);
      for (let j = 0; j < count; j++) model.add(slot + j);
    } else if (random.oneIn(3)) {
      set.delete(slot);
      model.delete(slot);
    } else {
      set.add(slot);
      model.add(slot);
    }
  }
  return { set, model };
}

describe("a set of slots", () => {
  it("is empty at first", () => {
    const set = new SlotSet();
    assertSame(set, new Set());
    assert.equal(set.has(0), false);
    assert.equal(set.has(1e9), false);
    set.delete(1e9);
    assertGaps(set, new Set(), 3, 100);
  });

  it("adds and deletes as a Set does", () =>
    withSeed("adds and deletes", (random) => {
      for (let round = 0; round < 60; round++) {
        const { set, model } = randomSet(random);
        assertSame(set, model);
        for (let i = 0; i < 50; i++) {
          const slot = someSlot(random);
          assert.equal(set.has(slot), model.has(slot), `has(${slot})`);
        }
      }
    }));

  it("adds every range that begins and ends near the edge of a word", () => {
    for (let from = 0; from <= 66; from++) {
      for (let count = 0; count <= 67; count++) {
        const set = new SlotSet(new Uint32Array(1));
        set.addRange(from, count);
        assert.equal(set.count(), count);
        assert.equal(set.end(), count === 0 ? 0 : from + count);
        assert.deepEqual(
          [...set.slots()],
          Array.from({ length: count }, (_, i) => from + i),
        );
      }
    }
  });

  it("unites and copies", () =>
    withSeed("unites and copies", (random) => {
      for (let round = 0; round < 40; round++) {
        const a = randomSet(random);
        const b = randomSet(random);
        const copy = a.set.clone();
        copy.addAll(b.set);
        assertSame(copy, new Set([...a.model, ...b.model]));
        copy.add(5);
        copy.delete(6);
        assertSame(a.set, a.model);
        assertSame(b.set, b.model);
      }
    }));

  it("finds the gaps between any two slots", () =>
    withSeed("gaps", (random) => {
      for (let round = 0; round < 80; round++) {
        const { set, model } = randomSet(random);
        const from = random.below(100);
        assertGaps(set, model, from, from + random.below(random.pick([3, 70, 700])));
        assertGaps(set, model, 3, set.end());
        const beyond = set.end() + random.below(5000);
        assertGaps(set, model, beyond, beyond + random.below(200));
      }
    }));

  it("gives and takes its bits as the pages of a free map have them", () =>
    withSeed("bits", (random) => {
      for (let round = 0; round < 40; round++) {
        const { set, model } = randomSet(random);
        const slot = 8 * random.below(2100);
        const bits = new Uint8Array(random.pick([1, 4, 7, 2048])).fill(0xff);
        set.copyBits(slot, bits);
        bits.forEach((byte, i) => {
          for (let bit = 0; bit < 8; bit++) {
            const at = slot + 8 * i + bit;
            assert.equal((byte & (1 << bit)) !== 0, model.has(at), `slot ${at}`);
          }
        });
        const other = randomSet(random);
        other.set.setBits(slot, bits);
        for (let i = 0; i < bits.length * 8; i++) {
          if (model.has(slot + i)) other.model.add(slot + i);
          else other.model.delete(slot + i);
        }
        assertSame(other.set, other.model);
      }
    }));

  it("takes the smallest free extent that is large enough, or the end", () =>
    withSeed("extents", (random) => {
      for (let round = 0; round < 150; round++) {
        const { set, model } = randomSet(random, 1 + random.below(60));
        set.addRange(0, 3);
        for (let slot = 0; slot < 3; slot++) model.add(slot);
        const end = set.end();
        const count = 1 + random.below(random.pick([3, 40, 300]));
        const fitting = gapsOf(model, 3, end).filter(([, slots]) => slots >= count);
        const least = Math.min(...fitting.map(([, slots]) => slots));
        const slot = takeExtent(set, count);
        if (fitting.length === 0) assert.equal(slot, end);
        else assert.ok(fitting.some(([at, slots]) => at === slot && slots === least));
        for (let i = 0; i < count; i++) model.add(slot + i);
        assertSame(set, model);
      }
      const set = new SlotSet();
      assert.equal(takeExtent(set, 0), 0);
      assertSame(set, new Set());
    }));

  it("takes several extents, the longest, rather than go to the end", () =>
    withSeed("several extents", (random) => {
      for (let round = 0; round < 150; round++) {
        const { set, model } = randomSet(random, 1 + random.below(60));
        set.addRange(0, 3);
        for (let slot = 0; slot < 3; slot++) model.add(slot);
        const end = set.end();
        const count = random.below(random.pick([3, 40, 300]));
        const gaps = gapsOf(model, 3, end).map(([, slots]) => slots);
        const extents = takeExtents(set, count);
        assert.equal(slotsIn(extents), count);
        for (const { slot, slots } of extents) {
          for (let i = 0; i < slots; i++) assert.ok(!model.has(slot + i));
          for (let i = 0; i < slots; i++) model.add(slot + i);
        }
        assertSame(set, model);
        const fits = gaps.some((slots) => slots >= count);
        const atEnd = slotsIn(extents.filter(({ slot }) => slot >= end));
        const room = gaps.reduce((sum, slots) => sum + (slots >= 8 ? slots : 0), 0);
        if (fits) assert.ok(extents.length === 1 && atEnd === 0);
        else assert.equal(atEnd, count < 8 ? count : Math.max(0, count - room));
      }
    }));
});
