/**
 * Typed access to linear memory, in a loop about half as slow again as a DataView. An access to blocks that are known to be ready costs two comparisons.
 * Any other looks at the state of its block, and goes to `admit` unless that is right: it brings the block in, makes it part of the next commit, or throws.
 *
 * Invariants: what is in `reading` and `writing` is so (ready-blocks.ts): whoever may end that calls `trust` or `lookAtAll` before a program can store or load
 * again. Nothing is in them while accesses have to be looked at one by one (`checks`, suspended, closed).
 *
 * Measured in V8 11.3: a short loop is bound by its branches, two to a cycle, and a DataView has six of them. Hence the two comparisons, before the look at
 * the state (four more), hence an `else` that does its own access, instead of one access after both, which would look again at the kind of `this`.
 */
import { ReadyBlocks } from "./ready-blocks.js";

// What is exported is looked up at each use, what is not is a constant: these are repeated here, from session.ts and assembly/block/states.ts.

/** No object lies below. */
const HEAP = 0x1400_0000;
/** The states from which on a block may be read and written. */
const CLEAN = 3;
const DIRTY = 5;

const NO_DATA = new DataView(new ArrayBuffer(0));
const NO_STATES = new Uint8Array(0);

/** Makes bytes ready for an access that is not among `ready`, and answers where they are. */
type Find = (memory: Accessors, address: number, bytes: number, ready: ReadyBlocks) => DataView;

/**
 * Addresses are byte positions in the heap, integers below 2³²; values are little-endian at any alignment. INVALID_ADDRESS for anything else.
 */
export abstract class Accessors extends EventTarget {
  /** @internal */
  protected data: DataView = NO_DATA;
  /** A byte for each block. */
  private states: Uint8Array = NO_STATES;
  private reading = new ReadyBlocks(CLEAN);
  private writing = new ReadyBlocks(DIRTY);
  private find: Find = Accessors.lookAt;

  /** Makes `bytes` at `address` ready to be read or written, or throws. @internal */
  protected abstract admit(address: number, bytes: number, write: boolean): void;

  /** Every access is looked at from now on. @internal */
  protected lookAtAll(): void {
    this.forgetReady();
    this.find = Accessors.lookAt;
  }

  /** Accesses to blocks whose states say that they are ready pass from now on. What was known of them is forgotten. @internal */
  protected trust(states: Uint8Array): void {
    this.forgetReady();
    this.states = states;
    this.find = Accessors.lookAtState;
  }

  private forgetReady(): void {
    this.reading = new ReadyBlocks(CLEAN);
    this.writing = new ReadyBlocks(DIRTY);
  }

  private static lookAt(memory: Accessors, address: number, bytes: number, ready: ReadyBlocks): DataView {
    memory.admit(address, bytes, ready.least === DIRTY);
    return memory.data;
  }

  private static lookAtState(
    memory: Accessors,
    address: number,
    bytes: number,
    ready: ReadyBlocks,
  ): DataView {
    const block = address >>> 12;
    const isReady =
      isOfHeap(address) && memory.states[block] >= ready.least && (address & 4095) <= 4096 - bytes;
    if (!isReady) memory.admit(address, bytes, ready.least === DIRTY);
    ready.note(memory.states, block);
    return memory.data;
  }

  private other(address: number, bytes: number, ready: ReadyBlocks): DataView {
    return this.find(this, address, bytes, ready);
  }

  // V8 inlines what a call has always led to: all of the above would become part of the loops of programs, and take from them what makes them fast. So
  // this one has led to two things before.
  static {
    const rehearsed: readonly Find[] = [() => NO_DATA, () => NO_DATA];
    const nothing = new ReadyBlocks(CLEAN);
    for (let i = 0; i < 200; i++)
      Accessors.prototype.other.call({ find: rehearsed[i % 2] } as unknown as Accessors, 0, 0, nothing);
  }

  getU8(address: number): number {
    return this.reading.has(address)
      ? this.data.getUint8(address)
      : this.other(address, 1, this.reading).getUint8(address);
  }
  setU8(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setUint8(address, value);
    else this.other(address, 1, this.writing).setUint8(address, value);
  }

  getI8(address: number): number {
    return this.reading.has(address)
      ? this.data.getInt8(address)
      : this.other(address, 1, this.reading).getInt8(address);
  }
  setI8(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setInt8(address, value);
    else this.other(address, 1, this.writing).setInt8(address, value);
  }

  getU16(address: number): number {
    return this.reading.has(address)
      ? this.data.getUint16(address, true)
      : this.other(address, 2, this.reading).getUint16(address, true);
  }
  setU16(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setUint16(address, value, true);
    else this.other(address, 2, this.writing).setUint16(address, value, true);
  }

  getI16(address: number): number {
    return this.reading.has(address)
      ? this.data.getInt16(address, true)
      : this.other(address, 2, this.reading).getInt16(address, true);
  }
  setI16(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setInt16(address, value, true);
    else this.other(address, 2, this.writing).setInt16(address, value, true);
  }

  getU32(address: number): number {
    return this.reading.has(address)
      ? this.data.getUint32(address, true)
      : this.other(address, 4, this.reading).getUint32(address, true);
  }
  setU32(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setUint32(address, value, true);
    else this.other(address, 4, this.writing).setUint32(address, value, true);
  }

  getI32(address: number): number {
    return this.reading.has(address)
      ? this.data.getInt32(address, true)
      : this.other(address, 4, this.reading).getInt32(address, true);
  }
  setI32(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setInt32(address, value, true);
    else this.other(address, 4, this.writing).setInt32(address, value, true);
  }

  getU64(address: number): bigint {
    return this.reading.has(address)
      ? this.data.getBigUint64(address, true)
      : this.other(address, 8, this.reading).getBigUint64(address, true);
  }
  setU64(address: number, value: bigint): void {
    if (this.writing.has(address)) this.data.setBigUint64(address, value, true);
    else this.other(address, 8, this.writing).setBigUint64(address, value, true);
  }

  getI64(address: number): bigint {
    return this.reading.has(address)
      ? this.data.getBigInt64(address, true)
      : this.other(address, 8, this.reading).getBigInt64(address, true);
  }
  setI64(address: number, value: bigint): void {
    if (this.writing.has(address)) this.data.setBigInt64(address, value, true);
    else this.other(address, 8, this.writing).setBigInt64(address, value, true);
  }

  getF32(address: number): number {
    return this.reading.has(address)
      ? this.data.getFloat32(address, true)
      : this.other(address, 4, this.reading).getFloat32(address, true);
  }
  setF32(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setFloat32(address, value, true);
    else this.other(address, 4, this.writing).setFloat32(address, value, true);
  }

  getF64(address: number): number {
    return this.reading.has(address)
      ? this.data.getFloat64(address, true)
      : this.other(address, 8, this.reading).getFloat64(address, true);
  }
  setF64(address: number, value: number): void {
    if (this.writing.has(address)) this.data.setFloat64(address, value, true);
    else this.other(address, 8, this.writing).setFloat64(address, value, true);
  }
}

/** Whole, and neither below nor beyond. */
function isOfHeap(address: number): boolean {
  return address >>> 0 === address && address >= HEAP;
}
