// An engine with a host whose file is a Map from block to 4096 bytes: all that tests of the engine need of one.
//
// The host keeps watch. After every operation `checkBarrier` proves that no byte of the image has changed in memory unless
// its block is DIRTY: CLEAN blocks are what the file has, and blocks whose memory means nothing are poisoned and stay
// so. The same for windows, whose table it reads as docs/ENGINE.md §9 draws it. It can throw at any call, and memory can be
// refused.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const blockBytes = 4096;
const poison = 0xa5;
const poisonBlock = new Uint8Array(blockBytes).fill(poison);
const zeroBlock = new Uint8Array(blockBytes);
/** The states of the volatile zone when no window shows anything. */
const noStates = new Uint8Array(2 ** 16);

type Count = (...parameters: number[]) => number;

/** The functions of the module, as raw as they are: addresses come back signed. */
export type EngineFunctions = Record<
  | "format"
  | "mount"
  | "fetch"
  | "touch"
  | "discard"
  | "watch"
  | "unwatch"
  | "settle"
  | "revert"
  | "forget"
  | "createRegion"
  | "takeFrames"
  | "takeFramesAt"
  | "giveFrames"
  | "raiseEnd"
  | "isFrameUsed"
  | "frameStatistics"
  | "alloc"
  | "realloc"
  | "release"
  | "sizeOf"
  | "blockOf"
  | "trim"
  | "heapStatistics"
  | "registryFind"
  | "registrySet"
  | "registryDelete"
  | "registryNext"
  | "registryCount"
  | "windowOf"
  | "dropClusters"
  | "dropBlocks"
  | "tableInsert"
  | "tableFind"
  | "tableUpdate"
  | "tableDelete"
  | "tablePage"
  | "tableDropPage"
  | "tableTakeRun"
  | "takeExtent"
  | "resizeExtent"
  | "giveExtent"
  | "nextExtent"
  | "extentCount"
  | "treeCreate"
  | "treeFind"
  | "treeFindFirst"
  | "treeInsert"
  | "treeReplace"
  | "treeDelete"
  | "treeSeek"
  | "treeDestroy",
  Count
>;

const module = new WebAssembly.Module(readFileSync(new URL("../../engine.wasm", import.meta.url)));

/** The exported constants, unsigned. They are the same in every instance. */
export const engineConstants: Readonly<Record<string, number>> = readConstants();

export const exportNames: readonly string[] = WebAssembly.Module.exports(module).map(({ name }) => name);

function constant(name: string): number {
  const value = engineConstants[name];
  assert.ok(value !== undefined, `the engine exports no ${name}`);
  return value;
}

export const codes = {
  OK: constant("OK"),
  OUT_OF_MEMORY: constant("OUT_OF_MEMORY"),
  INVALID_ALIGNMENT: constant("INVALID_ALIGNMENT"),
  INVALID_ADDRESS: constant("INVALID_ADDRESS"),
  INVALID_ARGUMENT: constant("INVALID_ARGUMENT"),
  DOUBLE_FREE: constant("DOUBLE_FREE"),
  NOT_FOUND: constant("NOT_FOUND"),
  CORRUPT: constant("CORRUPT"),
  VERSION: constant("VERSION"),
  BUSY: constant("BUSY"),
  LIMIT: constant("LIMIT"),
  MUST_MOVE: constant("MUST_MOVE"),
  DUPLICATE: constant("DUPLICATE"),
  ADDRESS_NOT_MAPPED: constant("ADDRESS_NOT_MAPPED"),
  ALREADY_MAPPED: constant("ALREADY_MAPPED"),
  PERMISSION_DENIED: constant("PERMISSION_DENIED"),
} as const;

export const states = {
  ABSENT: constant("ABSENT"),
  EMPTY: constant("EMPTY"),
  DISCARDED: constant("DISCARDED"),
  CLEAN: constant("CLEAN"),
  DIRTY: constant("DIRTY"),
  WATCHED: constant("WATCHED"),
  WATCHED_DIRTY: constant("WATCHED_DIRTY"),
} as const;

export const addresses = {
  exchange: constant("EXCHANGE"),
  states: constant("STATES"),
  dirtyList: constant("DIRTY_LIST"),
  dirtyCount: constant("DIRTY_COUNT"),
  growthLock: constant("GROWTH_LOCK"),
  heapLimit: constant("HEAP_LIMIT"),
  image: constant("LOW_IMAGE"),
  header: constant("HEADER"),
  heap: constant("HEAP"),
  windowLimit: constant("WINDOW_LIMIT"),
  windowEpoch: constant("WINDOW_EPOCH"),
  dirtyWindows: constant("DIRTY_WINDOWS"),
  windowDescriptors: constant("WINDOW_DESCRIPTORS"),
  windows: constant("WINDOWS"),
} as const;

const imageBlock = addresses.image / blockBytes;
const windowsBlock = addresses.windows / blockBytes;
export const clusterBlocks = 10;
export const clusterBytes = clusterBlocks * blockBytes;
/** First block of the high image. */
export const highBlock = 2 ** 20;
export const clusterCount = (2 ** 40 - highBlock) / clusterBlocks;
export const windowsMax = constant("WINDOWS_MAX");
const descriptorBytes = 32;
const windowTable = 0x0100_0000;
const windowTableEnd = 0x0106_0000;
const pageBytes = 65536;

/** What the host throws when it was told to. */
export class HostFailure extends Error {}

export type BlockFile = Map<number, Uint8Array>;

/** A window, as its descriptor has it. */
export interface WindowState {
  address: number;
  cluster: number;
  /** The linear block with which it begins. */
  block: number;
  /** Bit i: block i is dirty. */
  dirty: number;
  referenced: boolean;
  shows: boolean;
}

export interface HarnessOptions {
  /** Linear memory can reach this far and no further, in bytes. */
  maximumBytes?: number;
}

export class EngineHarness {
  readonly memory: WebAssembly.Memory;
  readonly functions: EngineFunctions;
  /** What a module imports that works on this memory. */
  readonly env: WebAssembly.ModuleImports;
  /** What the file has: blocks that are not there read as zeros. */
  readonly file: BlockFile;
  /** Counts down at each call of the host, which throws at zero. */
  failIn = 0;
  hostCalls = 0;
  firstTouches = 0;
  /** Blocks that are written or, as undefined, discarded before their commit. */
  readonly spilled = new Map<number, Uint8Array | undefined>();
  spills = 0;
  /** False where one call may take blocks, write to them and give them back: then what a discarded block holds proves nothing. */
  checksDiscarded = true;
  /** 1 for blocks whose memory has been poisoned: it must stay so until they are present. */
  readonly #shadow = new Uint8Array(2 ** 20);
  #buffer!: ArrayBuffer;
  #bytes!: Uint8Array;
  #view!: DataView;

  private constructor(file: BlockFile, memory: WebAssembly.Memory) {
    this.file = file;
    this.memory = memory;
    this.env = {
      memory,
      fault: (block: number) => this.#fault(block >>> 0),
      firstTouch: () => this.#firstTouch(),
      spill: (block: number) => this.#spill(block >>> 0),
    };
    const { exports } = new WebAssembly.Instance(module, { env: this.env });
    this.functions = exports as EngineFunctions;
  }

  /** An engine on a new image, not committed yet. */
  static format(options: HarnessOptions = {}): EngineHarness {
    const harness = new EngineHarness(new Map(), newMemory(options.maximumBytes));
    assert.equal(harness.functions.format(), codes.OK);
    harness.checkBarrier();
    return harness;
  }

  /** An engine on what a file has. `memory` may be one that another engine has left behind. */
  static mount(file: BlockFile, memory = newMemory()): EngineHarness {
    const harness = new EngineHarness(file, memory);
    assert.equal(harness.functions.mount(), codes.OK);
    harness.checkBarrier();
    return harness;
  }

  /** An engine that has neither formatted nor mounted. */
  static bare(file: BlockFile = new Map(), options: HarnessOptions = {}): EngineHarness {
    return new EngineHarness(file, newMemory(options.maximumBytes));
  }

  /** The process ends and another one begins: what was not committed is lost, and memory is full of rubbish. */
  remount(): EngineHarness {
    const bytes = this.bytes;
    for (const block of this.#knownBlocks()) this.#poison(block);
    for (const { block } of this.windows())
      bytes.fill(poison, block * blockBytes, block * blockBytes + clusterBytes);
    bytes.fill(0, 0, addresses.dirtyList);
    bytes.fill(0, windowTable, windowTableEnd);
    const harness = EngineHarness.mount(this.file, this.memory);
    harness.checksDiscarded = this.checksDiscarded;
    harness.spills = this.spills;
    return harness;
  }

  get bytes(): Uint8Array {
    this.#renew();
    return this.#bytes;
  }

  get view(): DataView {
    this.#renew();
    return this.#view;
  }

  stateOf(block: number): number {
    return this.bytes[addresses.states + block] as number;
  }

  get dirtyCount(): number {
    return this.view.getUint32(addresses.dirtyCount, true);
  }

  dirtyBlocks(): number[] {
    const view = this.view;
    return Array.from({ length: this.dirtyCount }, (_, i) =>
      view.getUint32(addresses.dirtyList + 4 * i, true),
    );
  }

  /** What the image has at a block now, whether in memory or not: 4096 bytes, or undefined for zeros. */
  blockNow = (block: number): Uint8Array | undefined => {
    if (block >= highBlock) return this.#highBlockNow(block);
    const state = this.stateOf(block);
    if (state === states.ABSENT) return this.file.get(block);
    if (state < states.CLEAN) return undefined;
    return this.bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
  };

  #highBlockNow(block: number): Uint8Array {
    const cluster = Math.floor((block - highBlock) / clusterBlocks);
    const window = this.windows().find((each) => each.shows && each.cluster === cluster);
    const linear = window === undefined ? 0 : window.block + ((block - highBlock) % clusterBlocks);
    if (window === undefined || this.stateOf(linear) !== states.DIRTY) return this.#inFile(block);
    return this.bytes.subarray(linear * blockBytes, (linear + 1) * blockBytes);
  }

  /** The windows that were ever made, in order. */
  windows(): WindowState[] {
    const made = this.view.getUint32(windowTable + 8, true);
    return Array.from({ length: made }, (_, i) =>
      this.windowAt(addresses.windowDescriptors + descriptorBytes * i),
    );
  }

  windowAt(address: number): WindowState {
    const { view } = this;
    const at = (offset: number) => view.getUint32(address + offset, true);
    return {
      address,
      cluster: at(4) * 2 ** 32 + at(0),
      block: at(16),
      dirty: view.getUint16(address + 20, true),
      referenced: view.getUint8(address + 22) === 1,
      shows: view.getUint8(address + 23) === 1,
    };
  }

  get epoch(): number {
    return this.view.getUint32(addresses.windowEpoch, true);
  }

  /** Linear blocks of windows that are dirty, by the list. */
  dirtyWindowBlocks(): number[] {
    const blocks: number[] = [];
    let window = this.view.getUint32(addresses.dirtyWindows, true);
    for (let previous = 0; window !== 0; window = this.view.getUint32(window + 8, true)) {
      assert.equal(this.view.getUint32(window + 12, true), previous, "previous dirty window");
      const { block, dirty, shows } = this.windowAt(window);
      assert.ok(shows && dirty !== 0, `window at block ${block} is listed, but clean`);
      for (let i = 0; i < clusterBlocks; i++) if (((dirty >>> i) & 1) === 1) blocks.push(block + i);
      previous = window;
    }
    return blocks;
  }

  /** The image block that a linear block shows. */
  imageBlockOf(block: number): number {
    if (block >= imageBlock) return block;
    const index = Math.floor((block - windowsBlock) / clusterBlocks);
    const window = this.windowAt(addresses.windowDescriptors + descriptorBytes * index);
    assert.ok(block >= windowsBlock && index < windowsMax && window.shows, `block ${block} shows nothing`);
    return highBlock + clusterBlocks * window.cluster + (block - window.block);
  }

  /** Gives clusters up: also in the file, at the next commit. */
  dropClusters(first: number, count: number): number {
    const code = this.functions.dropClusters(first, count);
    this.#discardHigh(first * clusterBlocks, count * clusterBlocks);
    return code;
  }

  /** The same for blocks, counted from the beginning of the high image. */
  dropBlocks(first: number, count: number): number {
    const code = this.functions.dropBlocks(first, count);
    this.#discardHigh(first, count);
    return code;
  }

  #discardHigh(first: number, count: number): void {
    for (const block of new Set([...this.file.keys(), ...this.spilled.keys()])) {
      if (block >= highBlock + first && block < highBlock + first + count) this.spilled.set(block, undefined);
    }
  }

  /** What the last commit has. */
  blockCommitted = (block: number): Uint8Array | undefined => this.file.get(block);

  /** Loads as the host does. */
  read(address: number, length: number): Uint8Array {
    this.#eachBlock(address, length, (block) => {
      if (this.stateOf(block) < states.CLEAN) this.functions.fetch(block);
    });
    return this.bytes.slice(address, address + length);
  }

  /** Stores as the host does. */
  write(address: number, bytes: Uint8Array): void {
    this.#eachBlock(address, bytes.length, (block) => {
      if (this.stateOf(block) < states.DIRTY) this.functions.touch(block);
    });
    this.bytes.set(bytes, address);
  }

  exchangeU32(offset: number): number {
    return this.view.getUint32(addresses.exchange + offset, true);
  }

  exchangeF64(offset: number): number {
    return this.view.getFloat64(addresses.exchange + offset, true);
  }

  /** Writes to the file what is dirty, and what is watched. */
  commit(): void {
    this.checkBarrier();
    const write = (block: number) => {
      this.file.set(block, this.bytes.slice(block * blockBytes, (block + 1) * blockBytes));
    };
    for (const block of this.dirtyBlocks()) {
      if (this.stateOf(block) === states.DISCARDED) this.file.delete(block);
      else write(block);
    }
    for (const block of this.#knownBlocks()) {
      if (this.stateOf(block) === states.WATCHED) write(block);
    }
    for (const [block, bytes] of this.spilled) {
      if (bytes === undefined) this.file.delete(block);
      else this.file.set(block, bytes);
    }
    this.spilled.clear();
    for (const block of this.dirtyWindowBlocks()) {
      this.file.set(this.imageBlockOf(block), this.bytes.slice(block * blockBytes, (block + 1) * blockBytes));
    }
    this.functions.settle();
    assert.equal(this.dirtyCount, 0);
    assert.deepEqual(this.dirtyWindowBlocks(), []);
    this.checkBarrier();
  }

  rollback(): void {
    this.checkBarrier();
    this.functions.revert();
    this.spilled.clear();
    assert.equal(this.dirtyCount, 0);
    assert.deepEqual(this.dirtyWindowBlocks(), []);
    for (const block of this.#knownBlocks()) {
      if (this.stateOf(block) === states.WATCHED) this.#load(block);
    }
    this.checkBarrier();
  }

  /**
   * Proves that memory and states agree with the file and with each other, and that nothing was stored but to touched
   * blocks. Afterwards the memory of all blocks that are not present is poisoned.
   */
  checkBarrier(): void {
    const listed = new Set(this.dirtyBlocks());
    assert.equal(listed.size, this.dirtyCount, "a block is in the dirty list twice");
    const bytes = this.bytes;
    for (const block of this.#knownBlocks()) {
      const state = bytes[addresses.states + block] as number;
      const content = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
      if (state === states.CLEAN) {
        if (!sameBytes(content, this.file.get(block) ?? zeroBlock)) this.#fail(block, "is CLEAN and differs");
      } else if (state < states.CLEAN) {
        if (state === states.EMPTY && this.file.has(block))
          this.#fail(block, "is EMPTY, but the file has it");
        const isProof = state !== states.DISCARDED || this.checksDiscarded;
        if (isProof && this.#shadow[block] === 1 && !sameBytes(content, poisonBlock)) {
          this.#fail(block, "was stored to untouched");
        }
      }
      const mustBeListed =
        state === states.DIRTY || state === states.DISCARDED || state === states.WATCHED_DIRTY;
      if (mustBeListed !== listed.has(block)) this.#fail(block, `is${mustBeListed ? " not" : ""} listed`);
      this.#shadow[block] = 0;
      if (state < states.CLEAN) this.#poison(block);
    }
    for (const block of listed)
      assert.ok(block >= imageBlock, `block ${block} is listed, but not of the image`);
    this.#checkWindows();
  }

  #checkWindows(): void {
    const windows = this.windows();
    if (windows.length === 0) return;
    const listed = new Set(this.dirtyWindowBlocks());
    const shown = windows.filter(({ shows }) => shows);
    assert.equal(new Set(shown.map(({ cluster }) => cluster)).size, shown.length, "a cluster is shown twice");
    assert.equal(this.view.getUint32(windowTable + 12, true), shown.length, "windows that show something");
    for (const [number, { block: first, shows, dirty }] of windows.entries()) {
      assert.equal(first, windowsBlock + clusterBlocks * number);
      assert.ok(shows || dirty === 0, `window ${number} is free, but dirty`);
      for (let block = first; block < first + clusterBlocks; block++) {
        const state = this.stateOf(block);
        const content = this.bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
        if (state === states.CLEAN) {
          if (!sameBytes(content, this.#inFile(this.imageBlockOf(block))))
            this.#fail(block, "is CLEAN and differs");
        } else if (state === states.ABSENT) {
          if (this.#shadow[block] === 1 && !sameBytes(content, poisonBlock)) {
            this.#fail(block, "was stored to untouched");
          }
        } else if (state !== states.DIRTY) this.#fail(block, "is of a window");
        if ((state === states.DIRTY) !== listed.has(block)) this.#fail(block, "is listed wrongly");
        if (!shows && state !== states.ABSENT) this.#fail(block, "is of a free window");
        if (state !== states.ABSENT) this.#shadow[block] = 0;
        else if (this.#shadow[block] === 0) this.#poison(block);
      }
    }
    const end = windowsBlock + clusterBlocks * windows.length;
    const rest = this.bytes.subarray(addresses.states + end, addresses.states + imageBlock);
    assert.ok(sameBytes(rest, noStates.subarray(end)), "a block of no window is present");
  }

  /** What a block of the image is, as the file has it and what was spilled. */
  #inFile(block: number): Uint8Array {
    return (this.spilled.has(block) ? this.spilled.get(block) : this.file.get(block)) ?? zeroBlock;
  }

  #fail(block: number, what: string): never {
    assert.fail(`block ${block} (state ${this.stateOf(block)}) ${what}`);
  }

  #poison(block: number): void {
    this.bytes.fill(poison, block * blockBytes, (block + 1) * blockBytes);
    this.#shadow[block] = 1;
  }

  /** The blocks of the image of which anything is known: present, or poisoned, or to be zeros. */
  #knownBlocks(): number[] {
    const end = this.memory.buffer.byteLength / blockBytes;
    const known: number[] = [];
    const fours = new Uint32Array(this.memory.buffer, addresses.states, end / 4);
    const shadows = new Uint32Array(this.#shadow.buffer);
    for (let four = imageBlock / 4; four < end / 4; four++) {
      if (((fours[four] as number) | (shadows[four] as number)) === 0) continue;
      for (let block = 4 * four; block < 4 * four + 4; block++) {
        if (this.#bytes[addresses.states + block] !== 0 || this.#shadow[block] !== 0) known.push(block);
      }
    }
    return known;
  }

  #eachBlock(address: number, length: number, visit: (block: number) => void): void {
    const last = Math.floor((address + length - 1) / blockBytes);
    for (let block = Math.floor(address / blockBytes); block <= last; block++) visit(block);
  }

  #fault(block: number): void {
    assert.equal(this.stateOf(block), states.ABSENT, "only ABSENT blocks fault");
    assert.ok(block < this.memory.buffer.byteLength / blockBytes, `fault of ${block}`);
    this.#maybeFail();
    this.#load(block);
    this.#shadow[block] = 0;
  }

  #load(block: number): void {
    this.bytes.set(this.#inFile(this.imageBlockOf(block)), block * blockBytes);
  }

  #spill(block: number): void {
    assert.equal(this.stateOf(block), states.DIRTY, "only DIRTY blocks are spilled");
    assert.ok(block < imageBlock, `spill of ${block}`);
    this.#maybeFail();
    this.spilled.set(
      this.imageBlockOf(block),
      this.bytes.slice(block * blockBytes, (block + 1) * blockBytes),
    );
    this.spills++;
  }

  #firstTouch(): void {
    assert.equal(this.dirtyCount, 0);
    assert.equal(this.view.getUint32(addresses.dirtyWindows, true), 0);
    this.#maybeFail();
    this.firstTouches++;
  }

  #maybeFail(): void {
    this.hostCalls++;
    if (this.failIn > 0 && --this.failIn === 0) throw new HostFailure("as told");
  }

  #renew(): void {
    if (this.#buffer === this.memory.buffer) return;
    this.#buffer = this.memory.buffer;
    this.#bytes = new Uint8Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }
}

function newMemory(maximumBytes?: number): WebAssembly.Memory {
  const maximum = maximumBytes === undefined ? 65536 : Math.floor(maximumBytes / pageBytes);
  return new WebAssembly.Memory({ initial: 1, maximum });
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function readConstants(): Record<string, number> {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const unused = () => assert.fail("nothing was asked for");
  const env = { memory, fault: unused, firstTouch: unused, spill: unused };
  const { exports } = new WebAssembly.Instance(module, { env });
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(exports)) {
    if (value instanceof WebAssembly.Global) found[name] = value.value >>> 0;
  }
  return found;
}
