// The heap as a plain Map, and a driver that does the same to it and to an engine: random allocations, releases and
// reallocations with commits, rollbacks and remounts between them, and calls that must be refused. Objects carry content
// that is checked whenever they are looked at; `account` compares everything.

import assert from "node:assert/strict";
import { checkImage, type ImageReport } from "../../bindings/api/check-image.js";
import { ImageReader } from "../../bindings/api/image-reader.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { addresses, blockBytes, codes, type EngineHarness, HostFailure } from "./engine-harness.js";
import type { Random } from "./random.js";

interface ModelObject {
  readonly room: number;
  /** Decides the content of the stamped bytes. */
  readonly seed: number;
  /** How many bytes at the start carry content; the last 16 do too. Between them the object reads as zeros. */
  readonly stamped: number;
}

type Objects = Map<number, ModelObject>;

export const classBytesMax = 16384;

/** Usable bytes for a request, by the table of docs/ENGINE.md §7. */
export function roomFor(size: number, align = 1): number {
  if (size > classBytesMax) return Math.ceil(size / blockBytes) * blockBytes;
  const sizes = classSizes.filter((room) => room >= size && (align <= 16 || room % align === 0));
  return sizes[0] as number;
}

export const classSizes: readonly number[] = (() => {
  const sizes = [16, 32, 48, 64, 80, 96, 112, 128];
  for (let k = 16; k <= 1024; k *= 2) for (let halves = 9; halves <= 16; halves++) sizes.push(halves * k);
  return sizes;
})();

const hasher = WasmHasher.create();
const digest = new DataView(new ArrayBuffer(8));

/** The hash of a name, as the registry has it. */
export function nameHash(name: Uint8Array): number {
  hasher.digest(name, digest, 0);
  return digest.getUint32(0, true);
}

/** Draws the size of a request. */
export type Sizes = (random: Random) => number;

/** Mostly small, some of every class, few runs. */
export const usualSizes: Sizes = (random) => {
  if (random.oneIn(40)) return random.below(40 * blockBytes);
  return random.below(2 ** (3 + random.below(12)));
};

export class HeapDriver {
  objects: Objects = new Map();
  #committed: Objects = new Map();
  #addresses: number[] = [];
  #released: number[] = [];
  /** False when others allocate from the same heap, so that what was released may be live again. */
  isAlone = true;
  /** What the last call refused with, if it did. */
  lastCode: number = codes.OK;

  constructor(
    public harness: EngineHarness,
    private readonly random: Random,
    private readonly sizes: Sizes = usualSizes,
  ) {}

  get count(): number {
    return this.objects.size;
  }

  alloc(size: number, align = 1, zero = true): number {
    const p = this.harness.functions.alloc(size, align, zero ? 1 : 0) >>> 0;
    this.lastCode = p < 65536 ? p : codes.OK;
    if (p < 65536) return 0;
    const room = roomFor(size, align);
    assert.equal(p % Math.max(align, 16), 0, `${size} bytes aligned to ${align} at ${p}`);
    assert.ok(!this.objects.has(p), `${p} is live already`);
    assert.equal(this.harness.functions.sizeOf(p) >>> 0, room, `room for ${size} aligned to ${align}`);
    if (zero) this.#expectZeros(p, 0, room);
    this.#adopt(p, room, zero);
    return p;
  }

  release(p: number): void {
    this.check(p);
    assert.equal(this.harness.functions.release(p), codes.OK);
    this.objects.delete(p);
    this.#released.push(p);
  }

  realloc(p: number, size: number): number {
    const before = this.#object(p);
    const q = this.harness.functions.realloc(p, size) >>> 0;
    this.lastCode = q < 65536 ? q : codes.OK;
    if (q < 65536) return 0;
    const room = this.harness.functions.sizeOf(q) >>> 0;
    assert.ok(room >= size, `${room} bytes for ${size}`);
    const kept = Math.min(before.room, room);
    if (room === before.room) {
      assert.equal(q, p, "moved although the room is the same");
    } else {
      this.#checkStamp(q, Math.min(kept, before.stamped), before.seed, 0);
      if (room > before.room) this.#expectZeros(q, before.room, room);
    }
    this.objects.delete(p);
    if (q !== p) this.#released.push(p);
    assert.ok(!this.objects.has(q), `${q} is live already`);
    this.#adopt(q, room, false);
    return q;
  }

  /** Content, and that lookups from inside lead to the start. */
  check(p: number): void {
    const { room, seed, stamped } = this.#object(p);
    const { sizeOf, blockOf } = this.harness.functions;
    assert.equal(sizeOf(p) >>> 0, room);
    this.#checkStamp(p, stamped, seed, 0);
    this.#checkStamp(p, 16, seed, room - 16);
    for (const offset of [0, 1, room >> 1, room - 1]) {
      assert.equal(blockOf(p + offset) >>> 0, p, `the object with byte ${p + offset}`);
    }
    assert.equal(sizeOf(p + 1), 0);
    assert.equal(sizeOf(p + 16) >>> 0, this.objects.get(p + 16)?.room ?? 0);
  }

  checkAll(): void {
    for (const p of this.objects.keys()) this.check(p);
  }

  /** Releases and reallocations that must be refused, with nothing changed. */
  refuse(): void {
    const { functions } = this.harness;
    const refused = (p: number, expected: readonly number[]) => {
      const dirty = this.harness.dirtyCount;
      const code = functions.release(p);
      assert.ok(expected.includes(code), `release of ${p.toString(16)} gave ${code}`);
      assert.equal(functions.realloc(p, 100), code);
      assert.equal(functions.sizeOf(p), 0);
      assert.equal(this.harness.dirtyCount, dirty, "a refused call has changed something");
    };
    for (const p of this.isAlone ? this.#released.slice(-3) : []) {
      if (this.#holder(p) === undefined) refused(p, [codes.DOUBLE_FREE, codes.INVALID_ADDRESS]);
      else if (!this.objects.has(p)) refused(p, [codes.INVALID_ADDRESS, codes.DOUBLE_FREE]);
    }
    const p = this.pick();
    if (p !== undefined) {
      const { room } = this.#object(p);
      refused(p + 1 + this.random.below(15), [codes.INVALID_ADDRESS]);
      if (room > 16) refused(p + 16 * (1 + this.random.below(room / 16 - 1)), [codes.INVALID_ADDRESS]);
    }
    const wild = [0, 1, 16, addresses.exchange, addresses.image, addresses.heap - 16, 0xfffffff0, 0xffffffff];
    for (const address of wild) refused(address, [codes.INVALID_ADDRESS]);
  }

  commit(): void {
    this.harness.commit();
    this.#committed = new Map(this.objects);
  }

  rollback(): void {
    this.harness.rollback();
    this.#restore();
  }

  remount(): void {
    this.harness = this.harness.remount();
    this.#restore();
  }

  /** One random operation; a host that throws in it is answered with a rollback. Returns its name. */
  step(): string {
    const { random } = this;
    const choice = random.below(100);
    const p = this.pick();
    try {
      if (choice < 48 || p === undefined) {
        const align = random.oneIn(4) ? 2 ** random.below(13) : 1;
        this.alloc(this.sizes(random), align, !random.oneIn(3));
        return "alloc";
      }
      if (choice < 84) {
        this.release(p);
        return "release";
      }
      if (choice < 95) {
        const size = random.oneIn(3) ? this.#object(p).room * 2 : this.sizes(random);
        this.realloc(p, size);
        return "realloc";
      }
      if (choice < 97) {
        this.harness.functions.trim();
        return "trim";
      }
      this.refuse();
      return "refuse";
    } catch (error) {
      if (!(error instanceof HostFailure)) throw error;
      this.harness.failIn = 0;
      this.rollback();
      return "host failure";
    }
  }

  /** A random live object. */
  pick(): number | undefined {
    while (this.#addresses.length > 0) {
      const i = this.random.below(this.#addresses.length);
      const p = this.#addresses[i] as number;
      if (this.objects.has(p)) return p;
      const last = this.#addresses.pop() as number;
      if (i < this.#addresses.length) this.#addresses[i] = last;
    }
    return undefined;
  }

  /** The accounting check, on memory or on the file: exactly the objects of the model, and no two overlap. */
  account(of: "now" | "committed" = "now"): ImageReport {
    const { harness } = this;
    const image = new ImageReader(of === "now" ? harness.blockNow : harness.blockCommitted);
    const report = checkImage(image, nameHash);
    assert.deepEqual(report.problems, []);
    const expected = of === "now" ? this.objects : this.#committed;
    for (const names of report.names) for (const { entry } of names.values()) report.objects.delete(entry);
    for (const table of report.tables) report.objects.delete(table);
    for (const { address } of report.extents) report.objects.delete(address);
    assert.equal(report.objects.size, expected.size, "live objects");
    for (const [p, { room }] of expected) assert.equal(report.objects.get(p), room, `room at ${p}`);
    const sorted = [...report.objects].sort(([a], [b]) => a - b);
    for (let i = 1; i < sorted.length; i++) {
      const [before, room] = sorted[i - 1] as [number, number];
      assert.ok(before + room <= (sorted[i] as [number, number])[0], `${before} overlaps the next object`);
    }
    return report;
  }

  #restore(): void {
    this.objects = new Map(this.#committed);
    this.#addresses = [...this.objects.keys()];
    this.#released = [];
  }

  #object(p: number): ModelObject {
    const object = this.objects.get(p);
    assert.ok(object !== undefined, `${p} is not live`);
    return object;
  }

  #holder(address: number): number | undefined {
    for (const [p, { room }] of this.objects) if (address >= p && address < p + room) return p;
    return undefined;
  }

  /** Gives an object content of its own. */
  #adopt(p: number, room: number, isZero: boolean): void {
    const seed = this.random.next();
    const most = Math.min(room, isZero && this.random.oneIn(2) ? 64 : 4 * blockBytes);
    const stamped = 16 + this.random.below(most - 15);
    this.harness.write(p, stamp(seed, 0, stamped));
    this.harness.write(p + room - 16, stamp(seed, room - 16, 16));
    this.objects.set(p, { room, seed, stamped });
    this.#addresses.push(p);
  }

  #checkStamp(p: number, length: number, seed: number, offset: number): void {
    const expected = stamp(seed, offset, length);
    if (Buffer.compare(this.harness.read(p + offset, length), expected) === 0) return;
    assert.deepEqual(this.harness.read(p + offset, length), expected, `content of ${p} from ${offset}`);
  }

  #expectZeros(p: number, from: number, to: number): void {
    const pieces =
      to - from > 4 * blockBytes ? [from, Math.floor((from + to) / 2), to - blockBytes] : undefined;
    for (const start of pieces ?? [from]) {
      const bytes = this.harness.read(p + start, pieces === undefined ? to - from : blockBytes);
      const at = bytes.findIndex((byte) => byte !== 0);
      assert.equal(at, -1, `byte ${start + at} of ${p} is not zero`);
    }
  }
}

/** Bytes that depend on their place, none of them zero. */
function stamp(seed: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(offset + i + 1, 0x9e3779b1) ^ seed) >>> 24 || 1;
  return bytes;
}
