// The hasher in use: XXH3-64 by the engine's SIMD code (assembly/block).
//
// It works on an instance of the engine and on the memory of that instance, its own or one it shares. Bytes that
// already lie in that memory are hashed in place; others are copied to the staging area, long ones in chunks.
// Invariants: a call leaves nothing behind in memory that a later call reads, memory is written only in the
// areas of the memory map that belong to hashing, and memory never grows during a call. Not reentrant,
// which a synchronous interface cannot notice.
//
// Digests come back through memory as two 32-bit numbers, because `hash` returns a BigInt and its allocation costs
// more than the detour: 19 against 10 ns a call on 16 bytes (Node 20). Asking a typed array where it lies
// costs another 25 ns; a caller that knows addresses and hashes many single blocks does better with the
// `hashBlocks` of the module itself.

import { type EngineInstance, newSmallInstance, smallInstance } from "./engine-module.js";
import { digestBytes, type Hasher, hashBlockBytes } from "./hasher.js";

/** The part of the engine's exports that hashes. Addresses and counts are unsigned 32-bit numbers. */
export interface HashExports {
  /** Where up to HASH_DIGESTS_BYTES of digests can be received. */
  readonly HASH_DIGESTS: WebAssembly.Global;
  readonly HASH_DIGESTS_BYTES: WebAssembly.Global;
  /** Where up to HASH_STAGING_BYTES of input can be put. */
  readonly HASH_STAGING: WebAssembly.Global;
  readonly HASH_STAGING_BYTES: WebAssembly.Global;
  /** The memory must reach to here. */
  readonly MAP_END: WebAssembly.Global;
  hash(address: number, length: number): bigint;
  hashTo(address: number, length: number, out: number): void;
  hashBlocks(address: number, count: number, out: number): void;
  hashBegin(): void;
  hashAbsorb(address: number, count: number): void;
  hashFinish(address: number, length: number, out: number): void;
}

/** `hashAbsorb` takes the input in units of this many bytes … */
const absorbUnitBytes = 1024;
/** … and `hashFinish` wants this many bytes before the end of the input in one piece. */
const lastStripeBytes = 64;
const wasmPageBytes = 65536;

export class WasmHasher implements Hasher {
  #exports!: HashExports;
  #memory!: WebAssembly.Memory;
  readonly #digests: number;
  readonly #digestCapacity: number;
  readonly #staging: number;
  readonly #stagingBytes: number;
  /** Views of the memory; detached by growth, and then renewed by `#addressOf`. */
  #buffer!: ArrayBufferLike;
  #bytes!: Uint8Array;
  #view!: DataView;

  /** Shares an instance of the engine, and the memory that was imported into it: if not given, those that are common to all until `moveTo`. */
  constructor({ instance, memory }: EngineInstance = smallInstance()) {
    const exports = instance.exports as unknown as HashExports;
    this.#digests = exports.HASH_DIGESTS.value >>> 0;
    this.#digestCapacity = (exports.HASH_DIGESTS_BYTES.value >>> 0) / digestBytes;
    this.#staging = exports.HASH_STAGING.value >>> 0;
    this.#stagingBytes = exports.HASH_STAGING_BYTES.value >>> 0;
    this.moveTo({ instance, memory });
  }

  /** A hasher with an instance and a small memory of its own. */
  static create(): WasmHasher {
    return new WasmHasher(newSmallInstance());
  }

  /** From now on it works here, in an instance of the same module. */
  moveTo({ instance, memory }: EngineInstance): void {
    this.#exports = instance.exports as unknown as HashExports;
    this.#memory = memory;
    const missingBytes = (this.#exports.MAP_END.value >>> 0) - memory.buffer.byteLength;
    if (missingBytes > 0) memory.grow(Math.ceil(missingBytes / wasmPageBytes));
    this.#renewViews();
  }

  /** The memory within which bytes are hashed in place. */
  get memory(): WebAssembly.Memory {
    return this.#memory;
  }

  digest(bytes: Uint8Array, out: DataView, at: number): void {
    this.#hash(bytes);
    this.#copyDigests(1, out, at, digestBytes);
  }

  digestBlocks(bytes: Uint8Array, out: DataView, at: number, stride: number): void {
    const length = bytes.length;
    if (length % hashBlockBytes !== 0) {
      throw new RangeError(`${length} bytes are not a whole number of ${hashBlockBytes}-byte blocks`);
    }
    const address = this.#addressOf(bytes);
    const batchBytes = hashBlockBytes * this.#digestCapacity;
    const chunkBytes = address < 0 ? Math.min(this.#stagingBytes, batchBytes) : batchBytes;
    for (let offset = 0; offset < length; offset += chunkBytes) {
      const end = Math.min(offset + chunkBytes, length);
      const start = address < 0 ? this.#stage(bytes, offset, end) : address + offset;
      const count = (end - offset) / hashBlockBytes;
      this.#exports.hashBlocks(start, count, this.#digests);
      this.#copyDigests(count, out, at, stride);
      at += count * stride;
    }
  }

  matches(bytes: Uint8Array, expected: DataView, at: number): boolean {
    this.#hash(bytes);
    const view = this.#view;
    const digest = this.#digests;
    return (
      view.getUint32(digest, true) === expected.getUint32(at, true) &&
      view.getUint32(digest + 4, true) === expected.getUint32(at + 4, true)
    );
  }

  /** Leaves the digest of `bytes` at HASH_DIGESTS. */
  #hash(bytes: Uint8Array): void {
    const length = bytes.length;
    const address = this.#addressOf(bytes);
    if (address >= 0) this.#exports.hashTo(address, length, this.#digests);
    else if (length > this.#stagingBytes) this.#hashInChunks(bytes);
    else this.#exports.hashTo(this.#stage(bytes, 0, length), length, this.#digests);
  }

  #hashInChunks(bytes: Uint8Array): void {
    const { hashBegin, hashAbsorb, hashFinish } = this.#exports;
    const length = bytes.length;
    const chunkBytes = this.#stagingBytes / 2; // so that the last one fits together with what precedes it
    let offset = 0;
    hashBegin();
    for (; length - offset > chunkBytes; offset += chunkBytes) {
      hashAbsorb(this.#stage(bytes, offset, offset + chunkBytes), chunkBytes / absorbUnitBytes);
    }
    const start = this.#stage(bytes, offset - lastStripeBytes, length) + lastStripeBytes;
    hashFinish(start, length - offset, this.#digests);
  }

  /** Copies bytes [start, end) to the staging area and returns its address. */
  #stage(bytes: Uint8Array, start: number, end: number): number {
    const whole = end - start === bytes.length;
    this.#bytes.set(whole ? bytes : bytes.subarray(start, end), this.#staging);
    return this.#staging;
  }

  #copyDigests(count: number, out: DataView, at: number, stride: number): void {
    const view = this.#view;
    let digest = this.#digests;
    for (; count > 0; count--) {
      out.setUint32(at, view.getUint32(digest, true), true);
      out.setUint32(at + 4, view.getUint32(digest + 4, true), true);
      digest += digestBytes;
      at += stride;
    }
  }

  /** Where `bytes` lie in the memory, or -1. The views are valid afterwards. */
  #addressOf(bytes: Uint8Array): number {
    if (this.#bytes.length === 0) this.#renewViews();
    return bytes.buffer === this.#buffer ? bytes.byteOffset : -1;
  }

  #renewViews(): void {
    this.#buffer = this.#memory.buffer;
    this.#bytes = new Uint8Array(this.#buffer);
    this.#view = new DataView(this.#buffer);
  }
}
