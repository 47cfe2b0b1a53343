// Windows as docs/ENGINE.md §9 describes them, in plain objects, and a driver that does the same to them and to an engine.
//
// The model counts the calls of the host as the engine should make them, and throws at the same one. Content is a fill
// for each block of the image, so a window that shows the wrong cluster, and a block that was lost or came back, are found
// whenever they are read; `compare` looks at everything else.

import assert from "node:assert/strict";
import {
  addresses,
  blockBytes,
  clusterBlocks,
  clusterBytes,
  clusterCount,
  codes,
  EngineHarness,
  HostFailure,
  highBlock,
  states,
  windowsMax,
} from "./engine-harness.js";
import type { Random } from "./random.js";

const { ABSENT, CLEAN, DIRTY } = states;

interface ModelWindow {
  cluster: number;
  shows: boolean;
  referenced: boolean;
  states: number[];
}

class WindowModel {
  windows: ModelWindow[] = [];
  free: number[] = [];
  /** Numbers of windows, the latest first. */
  recent: number[] = [];
  dirty: number[] = [];
  hand = 0;
  epoch = 0;
  evictions = 0;
  isAhead = false;
  low: number[];
  /** Fills by image block. */
  image = new Map<number, number>();
  committed = new Map<number, number>();
  failIn = 0;
  calls = { fault: 0, firstTouch: 0, spill: 0 };

  constructor(
    public limit: number,
    lowBlocks: number,
  ) {
    this.low = new Array<number>(lowBlocks).fill(CLEAN);
  }

  call(what: keyof WindowModel["calls"]): void {
    if (this.failIn > 0 && --this.failIn === 0) throw new HostFailure("in the model");
    this.calls[what]++;
  }

  at(window: number): ModelWindow {
    return this.windows[window] as ModelWindow;
  }

  find(cluster: number): number {
    return this.windows.findIndex((window) => window.shows && window.cluster === cluster);
  }

  get shown(): number {
    return this.windows.length - this.free.length;
  }

  windowOf(cluster: number): number {
    let window = this.find(cluster);
    const isNew = window < 0;
    if (isNew) {
      while (this.shown >= this.limit) this.evict(this.secondChance());
      window = this.free.pop() ?? this.windows.length;
      const fresh = {
        cluster,
        shows: true,
        referenced: false,
        states: new Array(clusterBlocks).fill(ABSENT),
      };
      this.windows[window] = fresh;
    }
    const place = this.recent.indexOf(window);
    if (place === 0) return window;
    if (!isNew && (place < 0 || place === 3)) this.at(window).referenced = true;
    this.recent = [window, ...this.recent.filter((other) => other !== window)].slice(0, 4);
    return window;
  }

  secondChance(): number {
    for (;;) {
      if (this.hand >= this.windows.length) this.hand = 0;
      const window = this.hand++;
      const { shows, referenced } = this.at(window);
      if (!shows || this.recent.includes(window)) continue;
      if (!referenced) return window;
      this.at(window).referenced = false;
    }
  }

  evict(window: number): void {
    const { states: blocks } = this.at(window);
    for (let i = 0; i < clusterBlocks; i++) {
      if (blocks[i] !== DIRTY) continue;
      this.call("spill");
      blocks[i] = CLEAN;
      this.isAhead = true;
      if (!blocks.includes(DIRTY)) this.dirty = this.dirty.filter((other) => other !== window);
    }
    this.evictions++;
    this.unshow(window);
  }

  unshow(window: number): void {
    Object.assign(this.at(window), { shows: false, referenced: false });
    this.at(window).states.fill(ABSENT);
    this.dirty = this.dirty.filter((other) => other !== window);
    this.free.push(window);
    this.epoch++;
  }

  drop(first: number, count: number): void {
    const order = [...this.windows.keys()];
    this.isAhead = true;
    const inRange = ({ cluster }: ModelWindow) => cluster >= first && cluster < first + count;
    // A short range is gone through by cluster, a long one by window: that decides the order of the free ones.
    if (count <= this.windows.length) order.sort((a, b) => this.at(a).cluster - this.at(b).cluster);
    for (const window of order) {
      if (this.at(window).shows && inRange(this.at(window))) this.unshow(window);
    }
    for (const block of this.image.keys()) {
      const cluster = Math.floor((block - highBlock) / clusterBlocks);
      if (block >= highBlock && cluster >= first && cluster < first + count) this.image.delete(block);
    }
  }

  fetch(window: number, i: number): void {
    const { states: blocks } = this.at(window);
    if (blocks[i] !== ABSENT) return;
    this.call("fault");
    blocks[i] = CLEAN;
  }

  touch(window: number, i: number): void {
    const { states: blocks } = this.at(window);
    if (blocks[i] === DIRTY) return;
    if (blocks[i] === ABSENT) this.call("fault");
    this.beginList();
    if (!blocks.includes(DIRTY)) this.dirty.unshift(window);
    blocks[i] = DIRTY;
  }

  touchLow(i: number): void {
    if (this.low[i] === DIRTY) return;
    if (this.low[i] === ABSENT) this.call("fault");
    this.beginList();
    this.low[i] = DIRTY;
  }

  beginList(): void {
    if (this.dirty.length === 0 && !this.low.includes(DIRTY)) this.call("firstTouch");
  }

  settle(): void {
    this.#endDirty(CLEAN);
    this.isAhead = false;
    this.committed = new Map(this.image);
  }

  revert(): void {
    this.#endDirty(ABSENT);
    if (this.isAhead) this.forgetWindows();
    this.image = new Map(this.committed);
  }

  forget(): void {
    this.low.fill(ABSENT);
    this.forgetWindows();
    this.image = new Map(this.committed);
  }

  forgetWindows(): void {
    Object.assign(this, { windows: [], free: [], recent: [], dirty: [], hand: 0, isAhead: false });
    this.epoch++;
  }

  #endDirty(state: number): void {
    for (const { states: blocks } of this.windows) {
      for (let i = 0; i < clusterBlocks; i++) if (blocks[i] === DIRTY) blocks[i] = state;
    }
    for (let i = 0; i < this.low.length; i++) if (this.low[i] === DIRTY) this.low[i] = state;
    this.dirty = [];
  }
}

/** Blocks of the low image that are written too. */
const lowBlocks = 6;

export class WindowDriver {
  harness: EngineHarness;
  readonly model: WindowModel;
  readonly #lowAddress: number;
  /** What the last four different clusters came with: all of these addresses are good. */
  #held: { cluster: number; address: number }[] = [];

  constructor(
    private readonly random: Random,
    limit: number,
    /** Those that are used. */
    private readonly clusters: readonly number[],
  ) {
    this.harness = EngineHarness.format();
    this.#lowAddress = this.harness.functions.alloc(lowBlocks * blockBytes, 1, 1) >>> 0;
    this.harness.write(this.#lowAddress, new Uint8Array(lowBlocks * blockBytes));
    this.harness.commit();
    this.model = new WindowModel(Math.max(8, Math.min(limit || 819, windowsMax)), lowBlocks);
    this.setLimit(limit);
    this.#resetCalls();
  }

  setLimit(limit: number): void {
    this.harness.view.setUint32(addresses.windowLimit, limit, true);
    this.model.limit = Math.max(8, Math.min(limit || 819, windowsMax));
  }

  /** The address, after the model has said which. */
  windowOf(cluster: number): number {
    const window = this.#both(
      () => this.model.windowOf(cluster),
      () => this.harness.functions.windowOf(cluster) >>> 0,
    );
    this.#held = this.#held.filter((held) => held.cluster !== cluster);
    this.#held.unshift({ cluster, address: window.engine });
    this.#held.splice(4);
    assert.equal(window.engine, addresses.windows + clusterBytes * window.model, `the window of ${cluster}`);
    for (const held of this.#held) this.#expectShown(held.cluster, held.address);
    return window.engine;
  }

  /** Looks at a block of a window that is held. */
  read(cluster: number, i: number): void {
    const address = this.#addressOf(cluster, i);
    const { model } = this.#both(
      () => this.model.fetch(this.model.find(cluster), i),
      () => this.harness.read(address, 1),
    );
    assert.equal(model, undefined);
    this.#expectFill(
      address,
      this.model.image.get(imageBlock(cluster, i)) ?? 0,
      `cluster ${cluster}, block ${i}`,
    );
  }

  write(cluster: number, i: number): void {
    const address = this.#addressOf(cluster, i);
    const fill = this.random.below(256);
    this.#both(
      () => this.model.touch(this.model.find(cluster), i),
      () => this.harness.write(address, new Uint8Array(blockBytes).fill(fill)),
    );
    this.model.image.set(imageBlock(cluster, i), fill);
  }

  writeLow(i: number): void {
    const address = this.#lowAddress + i * blockBytes;
    const fill = this.random.below(256);
    this.#both(
      () => this.model.touchLow(i),
      () => this.harness.write(address, new Uint8Array(blockBytes).fill(fill)),
    );
    this.model.image.set(address / blockBytes, fill);
  }

  drop(first: number, most: number): void {
    const count = Math.min(most, clusterCount - first);
    this.model.drop(first, count);
    assert.equal(this.harness.dropClusters(first, count), codes.OK);
    this.#held = this.#held.filter(({ cluster }) => cluster < first || cluster >= first + count);
  }

  commit(): void {
    this.model.settle();
    this.harness.commit();
  }

  rollback(): void {
    const { epoch } = this.model;
    this.model.revert();
    this.harness.rollback();
    if (this.model.epoch !== epoch) this.#held = [];
  }

  /** What the commit has is read anew. */
  forget(): void {
    this.model.forget();
    this.harness.spilled.clear();
    this.harness.functions.forget();
    this.#held = [];
  }

  remount(): void {
    this.model.forget();
    this.model.epoch = 0;
    this.harness = this.harness.remount();
    this.setLimit(this.model.limit);
    this.#resetCalls();
    this.#held = [];
  }

  /** One random operation; returns its name. */
  step(): string {
    const { random } = this;
    // Most of the time there is more to do than room for it.
    const choice = random.below(random.oneIn(this.model.limit / 8) ? 1000 : 900);
    const cluster = random.oneIn(2) ? this.#nearby() : random.pick(this.clusters);
    if (choice < 400) this.windowOf(cluster);
    else if (choice < 800) {
      const held = random.oneIn(3)
        ? random.pick(this.#held.concat({ cluster, address: 0 })).cluster
        : cluster;
      if (!this.#held.some((each) => each.cluster === held)) this.windowOf(held);
      const i = random.below(clusterBlocks);
      if (random.oneIn(2)) this.read(held, i);
      else this.write(held, i);
    } else if (choice < 900) this.writeLow(random.below(lowBlocks));
    else if (choice < 940) this.drop(cluster, random.oneIn(3) ? 1 + random.below(100) : 1);
    else if (choice < 965) this.commit();
    else if (choice < 990) this.rollback();
    else if (choice < 994) this.forget();
    else if (choice < 997) this.remount();
    else this.drop(random.pick(this.clusters.slice(0, 20)), 2 ** 20);
    return `choice ${choice}, cluster ${cluster}`;
  }

  /** The same to both; they throw together or not at all. */
  #both<M, E>(model: () => M, engine: () => E): { model: M; engine: E } {
    this.model.failIn = this.harness.failIn;
    let failure: unknown;
    let result: M | undefined;
    try {
      result = model();
    } catch (error) {
      failure = error;
    }
    if (failure === undefined) return { model: result as M, engine: engine() };
    assert.throws(engine, HostFailure, "the host throws in the model, but not in the engine");
    throw failure;
  }

  /** Windows, blocks and lists of the engine are those of the model. */
  compare(where: string): void {
    const { harness, model } = this;
    const windows = harness.windows();
    assert.equal(windows.length, model.windows.length, `${where}: windows made`);
    for (const [number, { cluster, block, dirty, referenced, shows }] of windows.entries()) {
      const expected = model.at(number);
      const mask = expected.states.reduce((sum, state, i) => (state === DIRTY ? sum | (1 << i) : sum), 0);
      assert.deepEqual(
        { cluster, dirty, referenced, shows },
        { cluster: expected.cluster, dirty: mask, referenced: expected.referenced, shows: expected.shows },
        `${where}: window ${number}`,
      );
      for (let i = 0; i < clusterBlocks; i++) {
        const what = `${where}: window ${number}, block ${i}`;
        assert.equal(harness.stateOf(block + i), expected.states[i], what);
        if (expected.states[i] === ABSENT) continue;
        const fill = model.image.get(imageBlock(cluster, i)) ?? 0;
        this.#expectFill((block + i) * blockBytes, fill, what);
      }
    }
    const dirty = harness
      .dirtyWindowBlocks()
      .map((block) => Math.floor((block - windows[0]!.block) / clusterBlocks));
    assert.deepEqual([...new Set(dirty)], model.dirty, `${where}: dirty windows`);
    assert.equal(harness.epoch, model.epoch, `${where}: epoch`);
    assert.equal(harness.firstTouches, model.calls.firstTouch, `${where}: firstTouch`);
    assert.equal(harness.spills, model.calls.spill, `${where}: spills`);
    for (const [i, state] of model.low.entries()) {
      assert.equal(harness.stateOf(this.#lowAddress / blockBytes + i), state, `${where}: low block ${i}`);
    }
  }

  /** Everything that was ever written, through the windows. */
  readAll(): void {
    const clusters = new Set<number>();
    for (const block of [...this.model.image.keys(), ...this.model.committed.keys()]) {
      if (block >= highBlock) clusters.add(Math.floor((block - highBlock) / clusterBlocks));
    }
    for (const cluster of clusters) {
      this.windowOf(cluster);
      for (let i = 0; i < clusterBlocks; i++) this.read(cluster, i);
    }
  }

  /** A cluster like those of late, so that there are hits. */
  #nearby(): number {
    const { windows } = this.model;
    if (windows.length === 0) return this.random.pick(this.clusters);
    return this.random.pick(windows).cluster;
  }

  #addressOf(cluster: number, i: number): number {
    const held = this.#held.find((each) => each.cluster === cluster);
    assert.ok(held !== undefined, `cluster ${cluster} is not held`);
    return held.address + i * blockBytes;
  }

  #expectShown(cluster: number, address: number): void {
    const window = this.harness.windowAt(
      addresses.windowDescriptors + (32 * (address - addresses.windows)) / clusterBytes,
    );
    assert.ok(window.shows && window.cluster === cluster, `cluster ${cluster} is no longer at ${address}`);
  }

  #expectFill(address: number, fill: number, where: string): void {
    const bytes = this.harness.bytes;
    const [first, middle, last] = [bytes[address], bytes[address + 2000], bytes[address + blockBytes - 1]];
    assert.ok(
      first === fill && middle === fill && last === fill,
      `${where}: ${first} … ${last}, not ${fill}`,
    );
  }

  #resetCalls(): void {
    this.model.calls = { fault: 0, firstTouch: 0, spill: 0 };
    this.harness.firstTouches = 0;
    this.harness.spills = 0;
    this.model.epoch = this.harness.epoch;
  }
}

function imageBlock(cluster: number, i: number): number {
  return highBlock + clusterBlocks * cluster + i;
}
