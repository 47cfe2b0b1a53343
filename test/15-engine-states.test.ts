// Block states against a model: what each call makes of each state, what the file has afterwards, and that a host that
// throws changes nothing.

import assert from "node:assert/strict";
import { addresses, blockBytes, EngineHarness, HostFailure, states } from "./support/engine-harness.js";
import { type Random, withSeed } from "./support/random.js";

const { ABSENT, EMPTY, DISCARDED, CLEAN, DIRTY, WATCHED, WATCHED_DIRTY } = states;
const first = addresses.heap / blockBytes;

/** A mounted engine with some heap blocks that the file has, and some that it does not. */
function mounted(blocks: number): EngineHarness {
  const harness = EngineHarness.format();
  harness.functions.alloc(blocks * blockBytes, 1, 0);
  harness.commit();
  for (let block = first; block < first + blocks; block += 2) {
    harness.file.set(block, new Uint8Array(blockBytes).fill(block));
  }
  return harness.remount();
}

const isWatched = ({ state }: { state: number }) => state === WATCHED || state === WATCHED_DIRTY;

describe("engine: block states", () => {
  it("are ordered as loads and stores ask", () => {
    for (const state of [ABSENT, EMPTY, DISCARDED]) assert.ok(state < CLEAN);
    for (const state of [DIRTY, WATCHED_DIRTY]) assert.ok(state >= DIRTY);
    assert.ok(WATCHED >= CLEAN && WATCHED < DIRTY);
    assert.ok(CLEAN < DIRTY);
  });

  it("a new block asks the host for nothing", () => {
    const harness = EngineHarness.format();
    const p = harness.functions.alloc(64 * blockBytes, 1, 1) >>> 0;
    const calls = harness.hostCalls;
    assert.equal(harness.stateOf(p / blockBytes), EMPTY);
    assert.deepEqual(harness.read(p, 3 * blockBytes), new Uint8Array(3 * blockBytes));
    harness.write(p + 5 * blockBytes, new Uint8Array([1]));
    assert.equal(harness.hostCalls, calls);
    harness.commit();
    assert.ok(harness.file.has(p / blockBytes + 5));
    assert.ok(!harness.file.has(p / blockBytes));
  });

  it("discarding reads and writes nothing, and the file loses the block at the commit", () => {
    const harness = mounted(8);
    const calls = harness.hostCalls;
    harness.functions.discard(first, 4);
    assert.equal(harness.hostCalls, calls + 1); // firstTouch
    for (let block = first; block < first + 4; block++) assert.equal(harness.stateOf(block), DISCARDED);
    harness.commit();
    for (let block = first; block < first + 4; block++) {
      assert.equal(harness.stateOf(block), EMPTY);
      assert.ok(!harness.file.has(block));
    }
    assert.deepEqual(harness.read(first * blockBytes, blockBytes), new Uint8Array(blockBytes));
  });

  it("watched blocks stay in memory through commit and rollback", () => {
    const harness = mounted(4);
    const { watch, unwatch, touch } = harness.functions;
    touch(first);
    watch(first, 4);
    const expected = [WATCHED_DIRTY, WATCHED, WATCHED, WATCHED];
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => harness.stateOf(first + i)),
      expected,
    );
    harness.bytes[(first + 1) * blockBytes] = 77;
    harness.commit();
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => harness.stateOf(first + i)),
      [WATCHED, WATCHED, WATCHED, WATCHED],
    );
    assert.equal(harness.file.get(first + 1)?.[0], 77);
    harness.bytes[(first + 1) * blockBytes] = 78;
    harness.rollback();
    assert.equal(harness.bytes[(first + 1) * blockBytes], 77);
    harness.bytes[(first + 1) * blockBytes] = 79;
    unwatch(first, 0);
    unwatch(first + 1, 1);
    unwatch(first + 2, 0);
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => harness.stateOf(first + i)),
      [CLEAN, DIRTY, CLEAN, WATCHED],
    );
    harness.checkBarrier();
    harness.commit();
    assert.equal(harness.file.get(first + 1)?.[0], 79);
  });

  it("follow the model", () => withSeed("engine states", followModel));
});

/** What a block should be: its state, and what it reads as, by one number that fills it. */
interface ModelBlock {
  state: number;
  fill: number;
  fileFill: number;
}

function followModel(random: Random): void {
  const count = 24;
  const harness = mounted(count);
  const { fetch, touch, discard, watch, unwatch, forget } = harness.functions;
  const model: ModelBlock[] = Array.from({ length: count }, (_, i) => {
    const fill = i % 2 === 0 ? (first + i) & 255 : 0;
    return { state: ABSENT, fill, fileFill: fill };
  });
  const at = (i: number) => model[i] as ModelBlock;

  const steps: Record<string, (i: number) => void> = {
    fetch(i) {
      fetch(first + i);
      const block = at(i);
      if (block.state < CLEAN) block.state = block.state === DISCARDED ? DIRTY : CLEAN;
    },
    store(i) {
      const fill = random.below(256);
      touch(first + i);
      const block = at(i);
      if (block.state < DIRTY) block.state = block.state === WATCHED ? WATCHED_DIRTY : DIRTY;
      harness.bytes.fill(fill, (first + i) * blockBytes, (first + i + 1) * blockBytes);
      block.fill = fill;
    },
    discard(i) {
      const length = Math.min(1 + random.below(4), count - i);
      const blocks = model.slice(i, i + length);
      if (blocks.some(isWatched)) return;
      discard(first + i, length);
      for (const block of blocks) {
        if (block.state !== EMPTY) block.state = DISCARDED;
        block.fill = 0;
      }
    },
    watch(i) {
      watch(first + i, 1);
      const block = at(i);
      if (!isWatched(block)) {
        block.state = block.state === DIRTY || block.state === DISCARDED ? WATCHED_DIRTY : WATCHED;
      }
    },
    unseen(i) {
      const block = at(i);
      if (!isWatched(block)) return;
      block.fill = random.below(256);
      harness.bytes.fill(block.fill, (first + i) * blockBytes, (first + i + 1) * blockBytes);
    },
    unwatch(i) {
      const block = at(i);
      const changed = block.fill !== block.fileFill;
      unwatch(first + i, changed ? 1 : 0);
      if (block.state === WATCHED_DIRTY) block.state = DIRTY;
      else if (block.state === WATCHED) block.state = changed ? DIRTY : CLEAN;
    },
    commit() {
      harness.commit();
      for (const block of model) {
        block.fileFill = block.fill;
        if (block.state === DIRTY) block.state = CLEAN;
        else if (block.state === DISCARDED) block.state = EMPTY;
        else if (block.state === WATCHED_DIRTY) block.state = WATCHED;
      }
    },
    rollback() {
      harness.rollback();
      for (const block of model) {
        block.fill = block.fileFill;
        if (block.state === DIRTY || block.state === DISCARDED) block.state = ABSENT;
        else if (block.state === WATCHED_DIRTY) block.state = WATCHED;
      }
    },
    forget() {
      if (!random.oneIn(5)) return;
      forget();
      for (const block of model) Object.assign(block, { state: ABSENT, fill: block.fileFill });
      fetch(addresses.header / blockBytes);
    },
  };

  const names = Object.keys(steps);
  for (let round = 0; round < 4000; round++) {
    const name = random.pick(["fetch", "store", "store", "discard", ...names]);
    const i = random.below(count);
    const before = model.map((block) => ({ ...block }));
    const fails = random.oneIn(4) && name !== "commit" && name !== "rollback" && name !== "forget";
    if (fails) harness.failIn = 1;
    try {
      steps[name]?.(i);
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      if (name === "discard")
        steps.rollback?.(i); // a call that may be left half done
      else model.splice(0, count, ...before);
    }
    harness.failIn = 0;
    harness.checkBarrier();
    for (const [j, block] of model.entries()) {
      const where = `round ${round}, ${name} ${i}: block ${j}`;
      assert.equal(harness.stateOf(first + j), block.state, `${where}: state`);
      const now = harness.blockNow(first + j) ?? new Uint8Array(blockBytes);
      assert.ok(
        now[0] === block.fill && now[blockBytes - 1] === block.fill,
        `${where}: ${now[0]}, not ${block.fill}`,
      );
    }
  }
}
