// A B+tree as a plain Map, and a driver that does the same to it and to an engine: random insertions, deletions and questions, with commits, rollbacks and
// remounts between them. `account` holds the nodes against the model and the heap.
//
// Keys are strings of code units below 256, one for each byte: JavaScript compares them as the tree does.

import assert from "node:assert/strict";
import { checkImage } from "../../bindings/api/check-image.js";
import { ImageReader } from "../../bindings/api/image-reader.js";
import { checkTree, type TreeReport } from "../../bindings/api/table/check-tree.js";
import { addresses, blockBytes, codes, type EngineHarness, HostFailure, states } from "./engine-harness.js";
import { nameHash } from "./engine-heap-model.js";
import type { Random } from "./random.js";

export type Key = string;
/** Draws a key. */
export type Keys = (random: Random) => Key;

export const seekModes = { atLeast: 0, above: 1, atMost: 2, below: 3, last: 4 } as const;
const answerOffset = 1024;

export function bytesOf(key: Key): Uint8Array {
  return Buffer.from(key, "latin1");
}

export function keyOf(bytes: Uint8Array): Key {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Eight bytes, the most significant first. */
export function numberKey(value: number): Key {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value));
  return keyOf(new Uint8Array(view.buffer));
}

/** One tree of an engine, as the host would use it. */
export class EngineTree {
  constructor(
    public harness: EngineHarness,
    readonly address: number,
  ) {}

  static create(harness: EngineHarness): EngineTree {
    return new EngineTree(harness, harness.functions.treeCreate() >>> 0);
  }

  put(key: Key): number {
    this.harness.bytes.set(bytesOf(key), addresses.exchange);
    return key.length;
  }

  find(key: Key): number {
    return this.harness.functions.treeFind(this.address, this.put(key));
  }

  findFirst(key: Key): number {
    return this.harness.functions.treeFindFirst(this.address, this.put(key));
  }

  insert(key: Key, value: number): number {
    return this.harness.functions.treeInsert(this.address, this.put(key), value);
  }

  replace(key: Key, value: number): number {
    return this.harness.functions.treeReplace(this.address, this.put(key), value);
  }

  delete(key: Key): number {
    return this.harness.functions.treeDelete(this.address, this.put(key));
  }

  destroy(): number {
    return this.harness.functions.treeDestroy(this.address);
  }

  /** The value of the entry that a seek finds, −1 for none. */
  seek(key: Key, mode: number): number {
    const { harness } = this;
    const leaf = harness.functions.treeSeek(this.address, this.put(key), mode) >>> 0;
    if (leaf === 0) return -1;
    const slot = harness.exchangeU32(answerOffset);
    assert.ok(harness.stateOf(leaf / blockBytes) >= states.CLEAN, "the leaf that is answered is not present");
    const view = new DataView(harness.read(leaf, blockBytes).buffer);
    assert.ok(slot < view.getUint16(2, true), `slot ${slot} of leaf ${leaf}`);
    const word = view.getBigUint64(32 + 16 * slot + 8, true);
    if ((word & 0x7ffn) <= 8n) return Number(word >> 11n);
    return Number(view.getBigUint64(Number(word >> 11n), true));
  }

  /** The nodes held against each other and the heap; the entries. Nothing lives in the heap but this tree and `others`. */
  check(others = 0): TreeReport & { content: Map<Key, number> } {
    const image = checkImage(new ImageReader(this.harness.blockNow), nameHash);
    assert.deepEqual(image.problems, []);
    const content = new Map<Key, number>();
    const report = checkTree(this.harness.blockNow, this.address, image.objects, (key, value) => {
      content.set(keyOf(key), value);
    });
    assert.deepEqual(report.problems, []);
    assert.equal(image.objects.size, report.nodes.size + 1 + others, "live objects");
    return { ...report, content };
  }
}

/** What a step may do, by weight. */
export interface Weights {
  insert: number;
  delete: number;
}

export class TreeDriver {
  tree: EngineTree;
  model = new Map<Key, number>();
  #committed = new Map<Key, number>();
  #sorted: Key[] | null = null;

  constructor(
    harness: EngineHarness,
    private readonly random: Random,
    private readonly keys: Keys,
  ) {
    this.tree = EngineTree.create(harness);
    this.commit();
  }

  get harness(): EngineHarness {
    return this.tree.harness;
  }

  sorted(): Key[] {
    this.#sorted ??= [...this.model.keys()].sort();
    return this.#sorted;
  }

  insert(key: Key, value: number): number {
    const code = this.tree.insert(key, value);
    if (code === codes.OUT_OF_MEMORY) return code;
    const known = this.model.get(key);
    assert.equal(code, known === undefined ? codes.OK : codes.DUPLICATE, `insert of ${JSON.stringify(key)}`);
    if (known !== undefined) assert.equal(this.harness.exchangeF64(answerOffset), known);
    else this.set(key, value);
    return code;
  }

  delete(key: Key): void {
    assert.equal(this.tree.delete(key), this.model.get(key) ?? -1, `delete of ${JSON.stringify(key)}`);
    if (this.model.delete(key)) this.#sorted = null;
  }

  commit(): void {
    this.harness.commit();
    this.#committed = new Map(this.model);
  }

  rollback(): void {
    this.harness.rollback();
    this.#restore();
  }

  remount(): void {
    this.tree = new EngineTree(this.harness.remount(), this.tree.address);
    this.#restore();
  }

  /** Asks for keys that there are, and others. */
  askForSome(count: number): void {
    for (let i = 0; i < count; i++) this.ask(this.#someKey(2));
  }

  /** One random operation; a host that throws in it is answered with a rollback. */
  step(weights: Weights): void {
    const { random } = this;
    const choice = random.below(100);
    try {
      if (choice < weights.insert) this.insert(this.keys(random), this.#value());
      else if (choice < weights.insert + weights.delete) this.delete(this.#someKey(3));
      else this.askForSome(1);
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      this.harness.failIn = 0;
      this.rollback();
    }
  }

  /** Questions about a key, and a new value for it. */
  ask(key: Key): void {
    const { tree, model, random } = this;
    const known = model.get(key);
    assert.equal(tree.find(key), known ?? -1, `find ${JSON.stringify(key)}`);
    const value = this.#value();
    assert.equal(tree.replace(key, value), known === undefined ? codes.NOT_FOUND : codes.OK);
    if (known !== undefined) model.set(key, value);
    if (!random.oneIn(4)) return;
    const sorted = this.sorted();
    const at = lowerBound(sorted, key);
    const isThere = sorted[at] === key;
    const valueAt = (index: number) => model.get(sorted[index] ?? "none of them") ?? -1;
    const expected = [at, at + Number(isThere), at - Number(!isThere), at - 1, sorted.length - 1].map(
      valueAt,
    );
    for (const [mode, value] of expected.entries())
      assert.equal(tree.seek(key, mode), value, `seek ${JSON.stringify(key)}, mode ${mode}`);
    const beginning = key.slice(0, random.below(key.length + 1));
    const first = sorted[lowerBound(sorted, beginning)];
    const begins = first?.startsWith(beginning) === true;
    assert.equal(tree.findFirst(beginning), begins ? model.get(first) : -1);
  }

  /** Exactly the entries of the model, in order; and every block accounted for. */
  account(): TreeReport {
    const report = this.tree.check();
    assert.deepEqual([...report.content.keys()], this.sorted());
    for (const [key, value] of report.content) assert.equal(this.model.get(key), value);
    return report;
  }

  set(key: Key, value: number): void {
    this.model.set(key, value);
    this.#sorted = null;
  }

  /** Mostly one that is there. */
  #someKey(often: number): Key {
    const { random } = this;
    if (this.model.size === 0 || random.oneIn(often)) return this.keys(random);
    const sorted = this.#sorted ?? [...this.model.keys()];
    return random.pick(sorted);
  }

  #value(): number {
    const { random } = this;
    return random.oneIn(8) ? random.below(3) : random.next() * 2 ** random.below(22);
  }

  #restore(): void {
    this.model = new Map(this.#committed);
    this.#sorted = null;
  }
}

function lowerBound(sorted: readonly Key[], key: Key): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as Key) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
