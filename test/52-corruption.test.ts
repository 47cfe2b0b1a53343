// Damage of every kind to files with a history: what opens shows exactly a commit that it may show, the rest is refused with
// CORRUPT or VERSION, and a file that was refused is untouched. The deep campaign does the same with every bit and every pair.

import assert from "node:assert/strict";
import {
  type Damage,
  flipBit,
  putSlot,
  Sweep,
  slotAt,
  slotsOf,
  swapSlots,
} from "./support/hostile-damage.js";
import { readerOutcome, writerOutcome } from "./support/hostile-outcome.js";
import { allSamples, type Moment, type Sample, SLOT } from "./support/hostile-samples.js";
import { withSeed } from "./support/random.js";

const samples: Sample[] = allSamples();

/** Damages every sample in the ways that `damages` gives. */
function sweep(damages: (sample: Sample) => Iterable<Damage>): Record<string, number> {
  const found = new Sweep();
  for (const sample of samples) for (const damage of damages(sample)) found.damage(sample, damage);
  return found.counts;
}

const zeros = new Uint8Array(SLOT);

/** The last moment of which everything lies in the first `slots` slots; never one before the newest superblock. */
function whole({ moments, chainEnds }: Sample, slots: number): Moment {
  const cut = chainEnds.findIndex((end) => end > slots);
  return moments[cut < 0 ? 0 : chainEnds.length - cut];
}

function* some<T>(random: { below(n: number): number }, count: number, make: (n: number) => T): Iterable<T> {
  for (let i = 0; i < count; i++) yield make(random.below(2 ** 31));
}

describe("corruption", () => {
  it("the samples have something of everything, and are right as they are", () => {
    const counts = sweep(function* () {
      yield { what: "nothing", slots: [], apply: () => undefined };
    });
    assert.deepEqual(counts, { "whole/whole": samples.length });
    const chain = samples.find(({ title }) => title === "chain")!;
    assert.ok(chain.before.size > 60, "slots are reused");
    assert.ok(chain.moments[0].snapshots.size === 2);
  });

  it("a flipped bit in every slot that is needed, and in some that are not", () =>
    withSeed("corruption: bits", (random) => {
      const counts = sweep(function* (sample) {
        for (const slot of sample.live)
          yield flipBit((slot * SLOT + random.below(SLOT)) * 8 + random.below(8));
        yield* some(random, 10, (n) => flipBit(n % (sample.bytes.length * 8)));
      });
      assert.ok(counts["damaged/damaged"] > 100 && counts["refused/refused"] > 1, JSON.stringify(counts));
    }));

  it("flipped bits all over the superblocks: the other one leads to the same commit", () =>
    withSeed("corruption: superblocks", (random) => {
      const counts: Record<string, number> = {};
      for (const sample of samples) {
        for (let byte = random.below(7); byte < 2 * SLOT; byte += byte % SLOT < 230 ? 7 : 199) {
          const bytes = sample.bytes.slice();
          bytes[byte] ^= 1 << random.below(8);
          const outcome = readerOutcome(bytes, [sample.moments[0]]);
          counts[outcome] = (counts[outcome] ?? 0) + 1;
          if (random.oneIn(4)) assert.equal(writerOutcome(bytes, [sample.moments[0]]), outcome);
        }
      }
      assert.deepEqual(Object.keys(counts), ["whole"]);
    }));

  it("flipped bits in the forwarding slot: the state is copied to a file that has none", () =>
    withSeed("corruption: forwarding", (random) => {
      const counts = sweep(() => some(random, 12, (n) => flipBit(2 * SLOT * 8 + (n % (SLOT * 8)))));
      assert.deepEqual(counts, { "whole/whole": 12 * samples.length });
    }));

  it("slots that are zero, that are random, and that hold the content of another", () =>
    withSeed("corruption: slots", (random) => {
      const counts = sweep(function* (sample) {
        for (const slot of sample.live)
          if (slot !== 2 && random.oneIn(2)) yield putSlot(slot, zeros, "zeros");
        yield* some(random, 10, (n) => putSlot(n % slotsOf(sample), random.bytes(SLOT), "random bytes"));
        yield* some(random, 30, () => swapSlots(random.pick(sample.live), random.pick(sample.live)));
        yield* some(random, 10, (n) =>
          putSlot(n % slotsOf(sample), slotAt(sample, random.pick(sample.live)), "a copy"),
        );
      });
      assert.ok(counts["damaged/damaged"] > 50 && counts["refused/refused"] > 0, JSON.stringify(counts));
    }));

  it("both superblocks at once", () => {
    const counts = sweep(function* (sample) {
      const [even, odd] = [slotAt(sample, 0).slice(), slotAt(sample, 1).slice()];
      const both = (what: string, first: Uint8Array, second: Uint8Array): Damage => ({
        what: `superblocks ${what}`,
        slots: [0, 1],
        apply: (bytes) => {
          bytes.set(first, 0);
          bytes.set(second, SLOT);
          return undefined;
        },
      });
      yield both("zero", zeros, zeros);
      yield both("swapped", odd, even);
      yield both("twice the first", even, even);
      yield both("twice the second", odd, odd);
    });
    assert.deepEqual(counts, { "refused/refused": 2 * samples.length, "whole/whole": 2 * samples.length });
  });

  it("slots that hold what they held before, as if a write had been lost", () => {
    const counts = sweep(function* (sample) {
      for (const [slot, contents] of sample.before) {
        for (const content of new Set([contents.at(-1), contents[0]]))
          if (content) yield putSlot(slot, content, "stale");
      }
    });
    assert.ok(counts["whole/whole"] > 100 && counts["damaged/damaged"] > 50, JSON.stringify(counts));
  });

  it("every length: what lies whole before the cut, or CORRUPT", () =>
    withSeed("corruption: truncation", (random) => {
      const found = new Sweep();
      for (const sample of samples) {
        for (let slots = 0; slots < slotsOf(sample); slots++) {
          const length = slots * SLOT + (random.oneIn(3) ? 1 + random.below(SLOT - 1) : 0);
          found.count(`${sample.title}, ${length} bytes`, sample.bytes.slice(0, length), [
            whole(sample, slots),
          ]);
        }
      }
      assert.ok(found.counts["refused/refused"] > 300, JSON.stringify(found.counts));
    }));

  it("garbage behind the end changes nothing", () =>
    withSeed("corruption: extension", (random) => {
      const counts = sweep(() =>
        some(random, 8, (n) => ({
          what: "longer",
          slots: [],
          apply: (bytes: Uint8Array) => {
            const longer = new Uint8Array(bytes.length + 1 + (n % (20 * SLOT)));
            longer.set(bytes);
            longer.set(random.bytes(longer.length - bytes.length), bytes.length);
            return longer;
          },
        })),
      );
      assert.deepEqual(counts, { "whole/whole": 8 * samples.length });
    }));
});
