// What the golden files hold: three commits, the first of them kept as a snapshot. Numbers follow formulas, so that a reader needs nothing but this.

import assert from "node:assert/strict";
import { type Memory, struct } from "../../bindings/index.js";

const Settings = struct({ id: "u32", rank: "f64", name: "char[24]", flags: "u8[4]", next: "ptr" });
const SAMPLES = 5000;
const REGION_BYTES = 2 ** 40;
const FAR = 2 ** 39 + 12_345;

const sample = (i: number): number => Math.fround(Math.sqrt(i) * 1.5);

/** Two small objects, a struct, a large array, text, a sparse region. */
export function fillFirst(memory: Memory): void {
  memory.root("counter", () => memory.alloc(8)).u64 = 1n;
  Settings.root(memory, "settings", (fields) => {
    fields.id = 77;
    fields.rank = -2.5;
    fields.name = "Grüße ✓";
    fields.flags.set(3, 200);
    fields.next = memory.roots.get("counter") ?? null;
  });
  const samples = memory.root("samples", () => memory.alloc(4 * SAMPLES));
  for (let i = 0; i < SAMPLES; i++) memory.setF32(samples.address + 4 * i, sample(i));
  memory.root("text", () => memory.alloc(100)).writeString("first");
  memory.region("sparse", REGION_BYTES).setF64(FAR, Math.PI);
}

/** Changes most of it, releases and reuses memory. */
export function fillSecond(memory: Memory): void {
  const counter = memory.roots.get("counter");
  assert.ok(counter);
  counter.u64 = 2n;
  memory.roots.get("text")?.writeString("second");
  const gone = memory.alloc(40_000);
  memory.release(gone);
  for (let i = 0; i < 100; i++) memory.roots.set(`item ${i}`, memory.alloc(16 + i));
  for (let i = 0; i < 100; i += 2) {
    const p = memory.roots.get(`item ${i}`);
    assert.ok(p);
    memory.roots.delete(`item ${i}`);
    memory.release(p);
  }
}

export function fillThird(memory: Memory): void {
  const counter = memory.roots.get("counter");
  assert.ok(counter);
  counter.u64 = 3n;
}

/** Compares a memory with what the first … third commit has. */
export function checkContent(memory: Memory, commit: 1 | 2 | 3): void {
  const { roots } = memory;
  assert.equal(roots.get("counter")?.u64, BigInt(commit));
  assert.equal(roots.get("text")?.readString(), commit === 1 ? "first" : "second");
  const p = roots.get("settings");
  assert.ok(p);
  const fields = Settings.at(memory, p);
  assert.deepEqual(
    [fields.id, fields.rank, fields.name, [...fields.flags]],
    [77, -2.5, "Grüße ✓", [0, 0, 0, 200]],
  );
  assert.equal(fields.next?.address, roots.get("counter")?.address);
  const samples = roots.get("samples");
  assert.ok(samples);
  for (let i = 0; i < SAMPLES; i++) assert.equal(memory.getF32(samples.address + 4 * i), sample(i));
  const region = memory.region("sparse");
  assert.equal(region.length, REGION_BYTES);
  assert.equal(region.getF64(FAR), Math.PI);
  assert.equal(region.getF64(FAR - 2 ** 30), 0);
  const items = [...roots.keys()].filter((name) => name.startsWith("item "));
  assert.deepEqual(items, commit === 1 ? [] : Array.from({ length: 50 }, (_, i) => `item ${2 * i + 1}`));
  assert.deepEqual(memory.check().problems, []);
}
