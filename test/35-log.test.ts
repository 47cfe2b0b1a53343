// Where the chain goes: how segments are laid out in log runs, against a layout that goes slot by slot; and the choice of
// runs, whose every result must be fit for a superblock.

import assert from "node:assert/strict";
import { runsProblem } from "../bindings/format/runs.js";
import type { Run } from "../bindings/format/superblock.js";
import { Log, type Placement, RECORD_SLOTS } from "../bindings/pager/log.js";
import { chooseRuns, type RunWish } from "../bindings/pager/runs.js";
import { SlotSet } from "../bindings/pager/slot-set.js";
import { type Random, withSeed } from "./support/random.js";

/** Disjoint runs, in any order, with a gap of at least one slot between them. */
function randomRuns(random: Random): Run[] {
  const runs: Run[] = [];
  let slot = 3;
  for (let count = 1 + random.below(12); count > 0; count--) {
    slot += 1 + random.below(20);
    const slots = random.oneIn(4) ? 1 + random.below(4) : 2 + random.below(60);
    runs.push({ slot, slots });
    slot += slots;
  }
  random.shuffle(runs);
  const first = runs.findIndex((run) => run.slots >= RECORD_SLOTS);
  if (first < 0) return [{ slot: 3, slots: 2 }];
  return [runs[first], ...runs.filter((_, i) => i !== first)];
}

/** The same rules as `Log`, one slot after the other, and a memory of every slot given out. */
class SlotBySlot {
  private readonly slots: number[];
  private readonly runOf = new Map<number, Run>();
  /** Index in `slots` of the next header. */
  private at = 0;
  /** Index behind the last spill, or −1. */
  private spillAt = -1;

  constructor(runs: readonly Run[]) {
    this.slots = runs.flatMap((run) => Array.from({ length: run.slots }, (_, i) => run.slot + i));
    for (const run of runs) for (let i = 0; i < run.slots; i++) this.runOf.set(run.slot + i, run);
  }

  /** The slots of a header and `slots` more, and where the next header goes; null when they do not fit. */
  place(slots: number, further: number): { taken: number[]; next: number } | null {
    let at = this.spillAt < 0 ? this.at + 1 : this.spillAt;
    while (at < this.slots.length && !this.hasInOneRun(at, further)) at++;
    const taken = [this.slots[this.at], ...this.slots.slice(at, at + slots)];
    if (taken.length < slots + 1) return null;
    at += slots;
    while (at < this.slots.length && !this.hasInOneRun(at, 2)) at++;
    return at < this.slots.length ? { taken, next: this.slots[at] } : null;
  }

  advance(next: number): void {
    this.at = this.slots.indexOf(next);
    this.spillAt = -1;
  }

  spill(): number {
    const at = this.spillAt < 0 ? this.at + 2 : this.spillAt;
    if (at >= this.slots.length) return 0;
    this.spillAt = at + 1;
    return this.slots[at];
  }

  drop(): void {
    this.spillAt = -1;
  }

  /** Whether the `count` slots from this index on lie in one run. */
  private hasInOneRun(at: number, count: number): boolean {
    const slot = this.slots[at];
    return count === 0 || this.runOf.get(slot) === this.runOf.get(slot + count - 1);
  }
}

const slotsOf = (placement: Placement): number[] =>
  placement.pieces.flatMap(({ slot, slots }) => Array.from({ length: slots }, (_, i) => slot + i));

/** How many writes the slots take. */
function extentsOf(slots: readonly number[], runs: readonly Run[]): number {
  const runOf = (slot: number) => runs.findIndex((run) => slot >= run.slot && slot < run.slot + run.slots);
  return slots.filter(
    (slot, i) => i === 0 || slot !== slots[i - 1] + 1 || runOf(slot) !== runOf(slots[i - 1]),
  ).length;
}

/** Four, and one more for each 16 slots. */
const mostPieces = (slots: number): number => 4 + Math.floor(slots / 16);

describe("the layout of the chain", () => {
  it("is that of a log that goes slot by slot", () =>
    withSeed("slot by slot", (random) => {
      for (let round = 0; round < 400; round++) {
        const runs = randomRuns(random);
        const log = new Log(runs, runs[0].slot);
        const expected = new SlotBySlot(runs);
        let spent = 0;
        let largest = 0;
        let spills = 0;
        for (let segments = 0; ; ) {
          if (random.oneIn(4)) {
            for (let count = random.below(12); count > 0; count--) {
              const slot = log.takeForSpill();
              assert.equal(slot, expected.spill());
              if (slot !== 0) spills++;
            }
          }
          if (random.oneIn(8)) {
            log.dropSpills();
            expected.drop();
            spills = 0;
          }
          const slots = random.below(random.pick([1, 4, 60]));
          const further = random.oneIn(3) ? random.below(slots + 1) : 0;
          const placement = log.place(slots, further);
          const wanted = expected.place(slots, further);
          if (wanted === null) {
            assert.equal(placement, null);
            break;
          }
          const extents = extentsOf(wanted.taken, runs);
          if (placement === null) {
            assert.ok(
              extents > mostPieces(slots),
              `${slots} slots would fit in ${extents} pieces of ${JSON.stringify(runs)}`,
            );
            break;
          }
          assert.deepEqual(slotsOf(placement), wanted.taken);
          assert.equal(placement.next, wanted.next);
          assert.ok(placement.pieces.length <= mostPieces(slots));
          if (random.oneIn(5)) continue;
          log.advance(placement);
          expected.advance(wanted.next);
          segments++;
          spent += slots + 1 + spills;
          largest = Math.max(largest, slots + 1 + spills);
          spills = 0;
          assert.equal(log.next, wanted.next);
          assert.deepEqual([log.segments, log.spentSlots, log.largestSegment], [segments, spent, largest]);
        }
      }
    }));

  it("knows which slots are in its runs", () => {
    const log = new Log(
      [
        { slot: 10, slots: 5 },
        { slot: 4, slots: 2 },
      ],
      12,
    );
    const inside = Array.from({ length: 20 }, (_, slot) => slot).filter((slot) => log.contains(slot));
    assert.deepEqual(inside, [4, 5, 10, 11, 12, 13, 14]);
    assert.throws(() => new Log([{ slot: 4, slots: 2 }], 6), RangeError);
  });
});

function randomBusy(random: Random): SlotSet {
  const busy = new SlotSet();
  busy.addRange(0, 3);
  const size = random.pick([5, 100, 2000, 20000]);
  for (let count = random.below(random.pick([4, 100, 1500])); count > 0; count--) {
    busy.addRange(3 + random.below(size), 1 + random.below(random.pick([2, 8, 200])));
  }
  return busy;
}

function randomWish(random: Random, busy: SlotSet): RunWish {
  const budget = random.oneIn(4) ? 1 + random.below(20) : 1 + random.below(random.pick([256, 1024, 16384]));
  const needed = random.oneIn(2) ? 0 : 1 + random.below(random.pick([3, 300, 3 * budget]));
  return {
    budget,
    needed,
    further: random.below(Math.max(1, needed)),
    typical: random.below(random.pick([4, 60, 2 * budget])),
    live: random.below(busy.count()),
    chainSlots: budget + random.below(random.pick([1, 4096])),
  };
}

describe("the choice of log runs", () => {
  /** Extents inside the file that are worth a run. */
  const usable = (busy: SlotSet, least: number): number => {
    let slots = 0;
    busy.gaps(3, busy.end(), (_, count) => {
      if (count >= least) slots += count;
    });
    return slots;
  };

  it("never overlaps what is busy, fits a superblock, holds what waits, and keeps to the budget", () =>
    withSeed("choice of runs", (random) => {
      for (let round = 0; round < 2500; round++) {
        const busy = randomBusy(random);
        const wish = randomWish(random, busy);
        const runs = chooseRuns(busy, wish);
        const what = `${JSON.stringify(wish)}: ${JSON.stringify(runs.slice(0, 4))} …`;
        // At least one and at most 256 disjoint runs, the first with room for a header and its record.
        assert.ok(runs.length >= 1 && runs.length <= 256, what);
        assert.equal(runsProblem(runs, runs[0].slot), null, what);
        for (const { slot, slots } of runs) {
          busy.gaps(slot, slot + slots, (_, free) => assert.equal(free, slots, what));
          assert.ok(!busy.has(slot), what);
        }
        const total = runs.reduce((sum, run) => sum + run.slots, 0);
        const budget = Math.max(wish.budget, wish.needed + 4, 4);
        assert.ok(total >= RECORD_SLOTS && total <= 2 * budget + 3, what);
        if (wish.needed > 0) {
          assert.ok(new Log(runs, runs[0].slot).place(wish.needed - 1, wish.further) !== null, what);
        } else assert.ok(total <= budget + 3, what);
      }
    }));

  it("grows the file only while it is small, or when too little is free inside", () =>
    withSeed("growth", (random) => {
      for (let round = 0; round < 1000; round++) {
        const busy = randomBusy(random);
        const wish = { ...randomWish(random, busy), needed: 0 };
        const end = busy.end();
        const grown = chooseRuns(busy, wish).filter(({ slot }) => slot >= end);
        assert.ok(grown.length <= 1);
        const budget = Math.max(wish.budget, 4);
        const segment = Math.min(wish.typical, Math.ceil(budget / 4));
        const enough = Math.min(budget, Math.max(64, 4 * segment));
        const found = Math.min(budget, usable(busy, Math.max(4, Math.min(segment, 16) + RECORD_SLOTS)));
        const most = Math.min(3 * (wish.live + budget), 1.75 * (wish.live + wish.chainSlots));
        const growth = grown.reduce((sum, { slots }) => sum + slots, 0);
        if (found >= Math.max(enough, 0.75 * budget)) assert.equal(growth, 0, JSON.stringify(wish));
        else if (end + growth > most) assert.ok(growth <= Math.max(4, enough - found), JSON.stringify(wish));
      }
    }));

  it("takes the largest extents and orders them by place, behind the largest", () => {
    const busy = new SlotSet();
    busy.addRange(0, 1000);
    for (const [slot, slots] of [
      [10, 12],
      [50, 40],
      [200, 9],
      [400, 100],
      [700, 7],
    ])
      for (let i = 0; i < slots; i++) busy.delete(slot + i);
    const wish = { budget: 150, needed: 0, further: 0, typical: 1, live: 100, chainSlots: 150 };
    assert.deepEqual(chooseRuns(busy, wish), [
      { slot: 400, slots: 100 },
      { slot: 10, slots: 10 },
      { slot: 50, slots: 40 },
    ]);
    // A segment that waits may lie in several extents, but where its header goes on does not.
    assert.deepEqual(chooseRuns(busy, { ...wish, needed: 97 }), [
      { slot: 400, slots: 100 },
      { slot: 50, slots: 40 },
      { slot: 1000, slots: 10 },
    ]);
    assert.deepEqual(chooseRuns(busy, { ...wish, needed: 120, further: 110 })[0], { slot: 1000, slots: 124 });
  });
});
