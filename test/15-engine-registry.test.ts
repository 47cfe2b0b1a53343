// The registry against a Map: names of every length, in order of insertion, through commits, rollbacks, remounts, failing
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
const encoder = new TextEncoder();

/** The registry of an engine as the host would use it. */
class Registry {
  constructor(public harness: EngineHarness) {}

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
    return this.harness.functions.registrySet(this.#request(name, value));
  }

  delete(name: string): number {
    return this.harness.functions.registryDelete(this.#request(name));
  }

  get(name: string): Value | undefined {
    const entry = this.harness.functions.registryFind(this.#request(name)) >>> 0;
    return entry === 0 ? undefined : this.#value(entry);
  }

  get count(): number {
    return this.harness.functions.registryCount();
  }

  *entries(): Generator<[string, Value]> {
    const next = this.harness.functions.registryNext;
    for (let entry = next(0) >>> 0; entry !== 0; entry = next(entry) >>> 0) {
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

/** The same to a registry and to a Map, beside a heap in use. */
function run(random: Random, steps: number, variety: number, failures: boolean): void {
  const driver = new HeapDriver(EngineHarness.format(), random);
  driver.isAlone = false;
  const registry = new Registry(driver.harness);
  let model = new Map<string, Value>();
  let committed = new Map<string, Value>();
  driver.commit();

  const compare = () => {
    assert.equal(registry.count, model.size);
    assert.deepEqual([...registry.entries()], [...model]);
    const names = driver.account().names;
    assert.deepEqual([...names.keys()], [...model.keys()]);
  };
  const back = () => {
    model = new Map(committed);
    registry.harness = driver.harness;
  };
  const step = () => {
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
      committed = new Map(model);
    } else {
      if (random.oneIn(2)) driver.rollback();
      else driver.remount();
      back();
    }
    compare();
  }
  compare();
  for (const name of [...model.keys()]) {
    assert.equal(registry.delete(name), codes.OK);
    model.delete(name);
  }
  compare();
}

describe("engine: registry", () => {
  it("follows the model", () => withSeed("engine registry", (random) => run(random, 2000, 60, false)));

  it("follows the model with many names", () => {
    withSeed("engine registry, many", (random) => run(random, 3000, 1000, false));
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

  it("keeps an entry where it is", () => {
    const { functions } = EngineHarness.format();
    assert.equal(functions.registryNext(0), 0);
    assert.equal(functions.registryCount(), 0);
  });
});
