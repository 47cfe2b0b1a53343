// The registries against Maps: names of every length, in order of insertion, through commits, rollbacks, remounts, failing
// hosts and refused memory.

import assert from "node:assert/strict";
import { addresses, codes, EngineHarness, engineConstants, HostFailure } from "./support/engine-harness.js";
import { HeapDriver } from "./support/engine-heap-model.js";
import { type Random, withSeed } from "./support/random.js";

interface Value {
  address: bigint;
  layout: bigint;
}

const entryName = engineConstants.ENTRY_NAME as number;
const registryKinds = engineConstants.REGISTRY_KINDS as number;
const encoder = new TextEncoder();

/** The registry of an engine as the host would use it. */
class Registry {
  constructor(
    public harness: EngineHarness,
    readonly kind = 0,
  ) {}

  /** Puts a name, and perhaps a value, into the exchange area; returns the length of the name. */
  #request(name: string, value?: Value): number {
    const bytes = encoder.encode(name);
    this.harness.bytes.set(bytes, addresses.exchange + entryName);
    if (value !== undefined) {
      this.harness.view.setBigUint64(addresses.exchange, value.address, true);
      this.harness.view.setBigUint64(addresses.exchange + 8, value.layout, true);
    }
    return bytes.length;
  }

  set(name: string, value: Value): number {
    return this.harness.functions.registrySet(this.kind, this.#request(name, value));
  }

  delete(name: string): number {
    return this.harness.functions.registryDelete(this.kind, this.#request(name));
  }

  get(name: string): Value | undefined {
    const entry = this.harness.functions.registryFind(this.kind, this.#request(name)) >>> 0;
    return entry === 0 ? undefined : this.#value(entry);
  }

  get count(): number {
    return this.harness.functions.registryCount(this.kind);
  }

  *entries(): Generator<[string, Value]> {
    const next = this.harness.functions.registryNext;
    for (let entry = next(this.kind, 0) >>> 0; entry !== 0; entry = next(this.kind, entry) >>> 0) {
      const length = new DataView(this.harness.read(entry + 28, 2).buffer).getUint16(0, true);
      yield [new TextDecoder().decode(this.harness.read(entry + entryName, length)), this.#value(entry)];
    }
  }

  #value(entry: number): Value {
    const view = new DataView(this.harness.read(entry, 16).buffer);
    return { address: view.getBigUint64(0, true), layout: view.getBigUint64(8, true) };
  }
}

function randomValue(random: Random): Value {
  const u64 = () => (BigInt(random.next()) << 32n) | BigInt(random.next());
  return { address: u64(), layout: u64() };
}

function randomName(random: Random, variety: number): string {
  const i = random.below(variety);
  if (i % 50 === 7) return `${i}`.padEnd(1024, "long ");
  return i % 3 === 0 ? `名前-${i}` : `n${i}`.padEnd(i % 90, ".");
}

/** The same to some registries and to Maps, beside a heap in use. */
function run(random: Random, steps: number, variety: number, failures: boolean, kinds = 1): void {
  const driver = new HeapDriver(EngineHarness.format(), random);
  driver.isAlone = false;
  const registries = Array.from({ length: kinds }, (_, kind) => new Registry(driver.harness, kind));
  let models = registries.map(() => new Map<string, Value>());
  let committed = registries.map(() => new Map<string, Value>());
  const modelOf = ({ kind }: Registry) => models[kind] as Map<string, Value>;
  driver.commit();

  const compare = () => {
    const { names } = driver.account();
    for (const registry of registries) {
      const model = modelOf(registry);
      assert.equal(registry.count, model.size);
      assert.deepEqual([...registry.entries()], [...model]);
      assert.deepEqual([...(names[registry.kind]?.keys() ?? [])], [...model.keys()]);
    }
    for (const unused of names.slice(kinds)) assert.equal(unused.size, 0);
  };
  const back = () => {
    models = committed.map((model) => new Map(model));
    for (const registry of registries) registry.harness = driver.harness;
  };
  const step = () => {
    const registry = random.pick(registries);
    const model = modelOf(registry);
    const name = randomName(random, variety);
    const growing = random.below(3 * variety) > model.size;
    if (random.oneIn(6)) assert.deepEqual(registry.get(name), model.get(name));
    else if (random.oneIn(8)) {
      if (driver.step() === "host failure") back();
    } else if (growing || random.oneIn(5)) {
      const value = randomValue(random);
      assert.equal(registry.set(name, value), codes.OK);
      model.set(name, value);
    } else {
      assert.equal(registry.delete(name), model.has(name) ? codes.OK : codes.NOT_FOUND);
      model.delete(name);
    }
  };

  for (let i = 0; i < steps; i++) {
    if (failures && random.oneIn(4)) driver.harness.failIn = 1 + random.below(4);
    try {
      step();
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      driver.harness.failIn = 0;
      driver.rollback();
      back();
    }
    driver.harness.failIn = 0;
    driver.harness.checkBarrier();
    if (!random.oneIn(steps / 25)) continue;
    if (random.oneIn(2)) {
      driver.commit();
      committed = models.map((model) => new Map(model));
    } else {
      if (random.oneIn(2)) driver.rollback();
      else driver.remount();
      back();
    }
    compare();
  }
  compare();
  for (const registry of registries) {
    for (const name of [...modelOf(registry).keys()]) {
      assert.equal(registry.delete(name), codes.OK);
      modelOf(registry).delete(name);
    }
    compare();
  }
}

describe("engine: registry", () => {
  it("follows the model", () => withSeed("engine registry", (random) => run(random, 2000, 60, false)));

  it("follows the model with many names", () => {
    withSeed("engine registry, many", (random) => run(random, 3000, 1000, false));
  });

  it("of every kind follows its model, and none is in the way of another", () => {
    withSeed("engine registries", (random) => run(random, 3000, 30, true, registryKinds));
  });

  it("follows the model when the host throws", () => {
    withSeed("engine registry, failing host", (random) => run(random, 2000, 60, true));
  });

  it("takes names of 1 to 1024 bytes", () => {
    const harness = EngineHarness.format();
    const registry = new Registry(harness);
    const value = { address: 1n, layout: 2n };
    for (let length = 1; length <= 1024; length++)
      assert.equal(registry.set("x".repeat(length), value), codes.OK);
    assert.equal(registry.count, 1024);
    for (let length = 1; length <= 1024; length++) assert.deepEqual(registry.get("x".repeat(length)), value);
    assert.equal(registry.set("", value), codes.INVALID_ARGUMENT);
    assert.equal(registry.set("x".repeat(1025), value), codes.INVALID_ARGUMENT);
    assert.equal(registry.delete(""), codes.NOT_FOUND);
    assert.equal(registry.get("x".repeat(1025)), undefined);
    assert.equal(registry.count, 1024);
  });

  it("keeps every name when there is no memory for another", () => {
    const harness = EngineHarness.format({ maximumBytes: addresses.heap + 16 * 65536 });
    const registry = new Registry(harness);
    let count = 0;
    const value = (i: number) => ({ address: BigInt(i), layout: 0n });
    while (registry.set(`name ${count}`, value(count)) === codes.OK) count++;
    assert.ok(count > 100);
    assert.equal(registry.set("another", value(0)), codes.OUT_OF_MEMORY);
    assert.equal(registry.count, count);
    for (let i = 0; i < count; i++) assert.deepEqual(registry.get(`name ${i}`), value(i));
    assert.equal(registry.set("name 0", value(7)), codes.OK);
    for (let i = 1; i < count; i++) assert.equal(registry.delete(`name ${i}`), codes.OK);
    assert.deepEqual(registry.get("name 0"), value(7));
    new HeapDriver(harness, undefined as never).account();
  });

  it("begins empty, and has eight kinds", () => {
    const harness = EngineHarness.format();
    const value = { address: 1n, layout: 2n };
    assert.equal(registryKinds, 8);
    for (let kind = 0; kind < 8; kind++) {
      const registry = new Registry(harness, kind);
      assert.deepEqual([...registry.entries()], []);
      assert.equal(registry.count, 0);
      assert.equal(registry.get("a"), undefined);
      assert.equal(registry.delete("a"), codes.NOT_FOUND);
    }
    const { dirtyCount } = harness;
    for (const kind of [8, 100, 2 ** 31, 2 ** 32 - 1]) {
      const registry = new Registry(harness, kind);
      assert.deepEqual([...registry.entries()], []);
      assert.equal(registry.count, 0);
      assert.equal(registry.set("a", value), codes.INVALID_ARGUMENT);
      assert.equal(registry.get("a"), undefined);
      assert.equal(registry.delete("a"), codes.NOT_FOUND);
    }
    assert.equal(harness.dirtyCount, dirtyCount);
  });
});
