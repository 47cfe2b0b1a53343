// Salvage from files that are damaged in every way: what it writes is a sound state file, every block in it is one that was once written
// there, and what is missing is said to be lost.

import assert from "node:assert/strict";
import { PerdureError } from "../bindings/base/errors.js";
import { recognise } from "../bindings/format/dump.js";
import type { Root } from "../bindings/format/superblock.js";
import { salvageTo } from "../bindings/inspect/salvage.js";
import { BlockMap } from "../bindings/pager/block-map.js";
import { readDirectory } from "../bindings/pager/directory.js";
import { openFile } from "../bindings/pager/files.js";
import { Reader } from "../bindings/pager/reader.js";
import { readSuperblocks } from "../bindings/pager/recover.js";
import { expectCodeAsync } from "./support/expect-code.js";
import {
  allowedMoments,
  type Damage,
  flipBit,
  putSlot,
  slotAt,
  slotsOf,
  swapSlots,
} from "./support/hostile-damage.js";
import { lyingDirectories, lyingFreeMaps, lyingTrees } from "./support/hostile-files.js";
import { hasher } from "./support/hostile-hasher.js";
import { lyingChains, lyingSuperblocks } from "./support/hostile-logs.js";
import {
  allSamples,
  alone,
  chainSample,
  type Moment,
  NAME,
  placeWith,
  type Sample,
  SLOT,
} from "./support/hostile-samples.js";
import { withSeed } from "./support/random.js";
import {
  freshness,
  missing,
  missingOf,
  type Saved,
  salvage,
  shows,
  valuesOf,
} from "./support/salvage-outcome.js";

const samples = allSamples();
const deep = process.env.PERDURE_DEEP === "1";

function damaged({ bytes }: Sample, ...damages: Damage[]): Uint8Array {
  let copy: Uint8Array = bytes.slice();
  for (const damage of damages) copy = damage.apply(copy) ?? copy;
  return copy;
}

const zeros = (slot: number): Damage => putSlot(slot, new Uint8Array(SLOT), "zeros");

/** The commits that were flushed and are missing leave a gap, so the image is of no single moment. */
const hasGap = ({ salvage }: Saved): boolean => salvage.notes.some((note) => note.includes("before the gap"));

/** Holds what was salvaged against what the file may show; returns the number of missing blocks. */
function judge(saved: Saved, sample: Sample, moments: readonly Moment[], what: string): number {
  if (hasGap(saved)) {
    const kept = saved.snapshots.find((name) => name.startsWith("salvage: "))!;
    assert.ok(sample.moments.some((moment) => shows(saved, kept, moment)));
    return freshness(saved, sample).gone;
  }
  let failure: unknown;
  for (const moment of moments) {
    try {
      return missingOf(saved, moment, sample);
    } catch (error) {
      failure ??= error;
    }
  }
  const { notes, commit } = saved.salvage;
  if (failure instanceof Error) failure.message = `${what}: ${failure.message} (commit ${commit}, ${notes})`;
  throw failure;
}

describe("salvage", () => {
  for (const sample of samples) {
    it(`${sample.title}: a file that is in order is copied as it is`, async () => {
      const saved = await salvage(sample.bytes);
      assert.deepEqual(saved.salvage.lost, []);
      assert.equal(missingOf(saved, sample.moments[0], sample), 0);
      assert.equal(saved.salvage.from, "superblock");
      assert.equal(saved.salvage.blocks, sample.moments[0].image.size);
    });

    it(`${sample.title}: a flipped bit in a slot that is needed costs little and is told`, () =>
      withSeed("salvage: bits", async (random) => {
        let missing = 0;
        let sum = 0;
        const first = deep ? 0 : random.below(16);
        for (let i = first; i < sample.live.length; i += deep ? 1 : 16) {
          const slot = sample.live[i];
          const damage = flipBit((slot * SLOT + random.below(SLOT)) * 8 + random.below(8));
          const saved = await salvage(damaged(sample, damage));
          const lost = judge(saved, sample, allowedMoments(sample, damage.slots), damage.what);
          // At most a block, in the image and in the snapshots that share it; or those below a node that the fallback has not got either.
          assert.ok(lost <= 64, `${damage.what}: ${lost} blocks are missing`);
          missing += lost;
          sum++;
        }
        assert.ok(missing < 32 * sum && (missing > 0 || !deep), `${missing} of ${sum}`);
      }));
  }

  it("many slots at once", () =>
    withSeed("salvage: many", async (random) => {
      for (const sample of samples) {
        // Without the header that records a commit as flushed its damage looks like a torn tail.
        const chain = sample.moments.slice(0, sample.chainEnds.length + 1);
        for (let round = 0; round < (deep ? 200 : 5); round++) {
          const damages = Array.from({ length: 1 + random.below(12) }, () => {
            const slot = 2 + random.below(slotsOf(sample) - 2);
            if (random.oneIn(3)) return swapSlots(slot, 2 + random.below(slotsOf(sample) - 2));
            return random.oneIn(2)
              ? zeros(slot)
              : putSlot(slot, slotAt(sample, 2 + random.below(40)), "another");
          });
          const what = damages.map((damage) => damage.what).join("; ");
          judge(await salvage(damaged(sample, ...damages)), sample, chain, `${sample.title}, ${what}`);
        }
      }
    }));
});

describe("salvage: what leads to the rest is lost", () => {
  const last = ({ moments }: Sample) => moments[0];
  let nodesFilled = 0;

  after(() => assert.ok(nodesFilled > 2, `${nodesFilled} nodes`));

  for (const sample of samples) {
    it(`${sample.title}: one superblock costs nothing`, async () => {
      for (const slot of [0, 1]) {
        const saved = await salvage(damaged(sample, zeros(slot)));
        assert.equal(missingOf(saved, last(sample), sample), 0);
        assert.deepEqual(saved.salvage.lost, []);
        assert.equal(saved.salvage.from, "superblock");
      }
    });

    it(`${sample.title}: map nodes of the newest superblock alone: the fallback has the same blocks`, async () => {
      const file = openFile(placeWith(sample.bytes), NAME, "read", hasher);
      const { newest, fallback } = readSuperblocks(file);
      const nodesOf = (root: Root): number[] => {
        const nodes: number[] = [];
        new BlockMap(file, root).visit({ node: (slot) => nodes.push(slot) > 0 });
        return nodes;
      };
      // What was restored is a snapshot's own tree, for both.
      const held = readDirectory(file, newest.directory).flatMap(({ root }) => nodesOf(root));
      const shared = new Set([...nodesOf((fallback ?? newest).image), ...held]);
      const own = nodesOf(newest.image).filter((slot) => !shared.has(slot));
      for (const slot of own) {
        const saved = await salvage(damaged(sample, zeros(slot)));
        assert.deepEqual(saved.salvage.lost, []);
        assert.equal(missingOf(saved, last(sample), sample), 0);
      }
      nodesFilled += own.length;
    });

    it(`${sample.title}: both superblocks: everything is found by a scan`, async () => {
      const saved = await salvage(damaged(sample, zeros(0), zeros(1)));
      assert.equal(saved.salvage.from, "scan");
      assert.deepEqual(freshness(saved, sample), { newest: valuesOf(sample).size, older: 0, gone: 0 });
      for (const name of last(sample).snapshots.keys()) assert.ok(saved.snapshots.includes(name));
      const notes = saved.salvage.notes.join("\n");
      assert.match(notes, /neither superblock can be used/);
      assert.match(notes, /may be older than the last commit/);
    });
  }

  it("both superblocks and much else: no block that was never written, and no endless work", () =>
    withSeed("salvage: scan", async (random) => {
      for (const sample of samples) {
        for (let round = 0; round < (deep ? 100 : 2); round++) {
          const damages = Array.from({ length: 30 }, () => zeros(3 + random.below(slotsOf(sample) - 3)));
          const saved = await salvage(damaged(sample, zeros(0), zeros(1), ...damages));
          const { newest } = freshness(saved, sample);
          assert.ok(newest > 0);
        }
      }
    }));

  it("the block map as well: what the headers of commits lead to", async () => {
    const [sample] = samples;
    const slots = slotsOf(sample);
    const nodes = Array.from({ length: slots }, (_, slot) => slot).filter(
      (slot) => recognise(slotAt(sample, slot)) === "node",
    );
    assert.ok(nodes.length > 5);
    const saved = await salvage(damaged(sample, zeros(0), zeros(1), ...nodes.map(zeros)));
    assert.match(saved.salvage.notes.join("\n"), /all older blocks are missing/);
    const counts = freshness(saved, sample);
    assert.ok(counts.newest > 5 && counts.gone > 0, JSON.stringify(counts));
  });

  it("the header of a flushed commit: later ones are kept, and the state before the gap as a snapshot", async () => {
    const sample = chainSample();
    const reader = new Reader(placeWith(sample.bytes), NAME, hasher, alone);
    const { segments } = reader.view().walk;
    reader.close();
    const { slot, header } = segments[1];
    const saved = await salvage(damaged(sample, zeros(slot)));
    const name = `salvage: whole up to commit ${header.sequence - 1}`;
    assert.ok(saved.snapshots.includes(name));
    assert.ok(shows(saved, name, sample.moments[segments.length - 1]));
    assert.ok(saved.salvage.notes.some((note) => note.startsWith(`commit ${header.sequence} is lost`)));
    assert.equal(saved.salvage.commit, segments.at(-1)!.header.sequence);
    // What the last commit wrote.
    assert.deepEqual(missing(saved, null, sample.moments[0].image, [0, 7, 8, 2 ** 30 + 5]), []);
  });

  it("a file that was cut short", async () => {
    const [sample] = samples;
    const saved = await salvage(sample.bytes.slice(0, (slotsOf(sample) - 40) * SLOT));
    const counts = freshness(saved, sample);
    assert.ok(counts.newest > 0);
    if (counts.gone > 0) assert.ok(saved.salvage.lost.length > 0);
  });
});

describe("salvage: what it refuses", () => {
  const source = (bytes: Uint8Array) => ({ place: placeWith(bytes), name: NAME, hasher, processes: alone });

  it("a file in which there is nothing", async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(10 * SLOT), new Uint8Array(5000).fill(7)]) {
      const from = source(bytes);
      await expectCodeAsync("CORRUPT", salvageTo(from, from.place, "saved"));
      assert.deepEqual(from.place.list(""), [NAME]);
    }
  });

  it("to overwrite a file", async () => {
    const from = source(samples[0].bytes);
    await expectCodeAsync("INVALID_ARGUMENT", salvageTo(from, from.place, NAME));
    assert.ok(Buffer.compare(from.place.readFile(NAME)!, samples[0].bytes) === 0);
  });

  it("to go on when it is interrupted: nothing is left behind", async () => {
    const from = source(samples[0].bytes);
    const interruption = new AbortController();
    const onProgress = () => interruption.abort(new Error("enough"));
    const { signal } = interruption;
    await assert.rejects(salvageTo(from, from.place, "saved", { signal, onProgress }), /enough/);
    assert.deepEqual(from.place.list(""), [NAME]);
  });

  it("to believe files that lie: what it writes is sound, or it gives up with a code", async () => {
    const lies = [
      lyingTrees(),
      lyingFreeMaps(),
      lyingDirectories(),
      lyingSuperblocks(),
      lyingChains(),
    ].flat();
    const codes: Record<string, number> = {};
    for (const { what, file } of lies) {
      for (const without of deep ? [[], [0, 1]] : [[]]) {
        const bytes = file.finish().slice();
        if (!deep && bytes.length > 2 ** 20) continue;
        for (const slot of without) bytes.fill(0, slot * SLOT, (slot + 1) * SLOT);
        let code = "ok";
        try {
          await salvage(bytes, file.hasher);
        } catch (error) {
          if (!(error instanceof PerdureError)) throw new Error(what, { cause: error });
          code = error.code;
        }
        codes[code] = (codes[code] ?? 0) + 1;
      }
    }
    const { ok, CORRUPT: corrupt = 0, VERSION: version = 0, ...others } = codes;
    assert.deepEqual(others, {});
    assert.ok(ok > 4 * (corrupt + version), JSON.stringify(codes));
  });
});
