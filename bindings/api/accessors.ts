/**
 * Typed access to linear memory, nearly as fast as a DataView. Whether a block may be read or written is one byte: its state. An access that finds it
 * right, and lies within the block, costs a few comparisons and nothing else. Any other goes to `admit`, which brings the block in or makes it part of
 * the next commit, or throws.
 *
 * Invariant: while accesses have to be looked at one by one (`checks`, suspended, closed), `states` says that nothing is ready.
 */

// What is exported is looked up at each use, what is not is a constant: these are repeated here, from session.ts and assembly/block/states.ts.

/** No object lies below. */
const HEAP = 0x1400_0000;
/** The states from which on a block may be read and written. */
const CLEAN = 3;
const DIRTY = 5;

const NO_DATA = new DataView(new ArrayBuffer(0));
/** As long as the states of all blocks, so that looking at one is never out of bounds. */
const NOTHING_READY = new Uint8Array(2 ** 20);

/**
 * Addresses are byte positions in the heap, integers below 2³²; values are little-endian at any alignment. Anything else is INVALID_ADDRESS, except that a fraction is
 * not always noticed: it then counts as its whole part.
 */
export abstract class Accessors extends EventTarget {
  /** @internal */
  protected data: DataView = NO_DATA;
  /** A byte for each block. @internal */
  protected states: Uint8Array = NOTHING_READY;

  /** Makes `bytes` at `address` ready to be read or written, or throws. @internal */
  protected abstract admit(address: number, bytes: number, write: boolean): void;

  /** Every access is looked at from now on. @internal */
  protected lookAtAll(): void {
    this.states = NOTHING_READY;
  }

  getU8(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN)) this.admit(address, 1, false);
    return this.data.getUint8(address);
  }
  setU8(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY)) this.admit(address, 1, true);
    this.data.setUint8(address, value);
  }

  getI8(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN)) this.admit(address, 1, false);
    return this.data.getInt8(address);
  }
  setI8(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY)) this.admit(address, 1, true);
    this.data.setInt8(address, value);
  }

  getU16(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4094))
      this.admit(address, 2, false);
    return this.data.getUint16(address, true);
  }
  setU16(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4094))
      this.admit(address, 2, true);
    this.data.setUint16(address, value, true);
  }

  getI16(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4094))
      this.admit(address, 2, false);
    return this.data.getInt16(address, true);
  }
  setI16(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4094))
      this.admit(address, 2, true);
    this.data.setInt16(address, value, true);
  }

  getU32(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4092))
      this.admit(address, 4, false);
    return this.data.getUint32(address, true);
  }
  setU32(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4092))
      this.admit(address, 4, true);
    this.data.setUint32(address, value, true);
  }

  getI32(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4092))
      this.admit(address, 4, false);
    return this.data.getInt32(address, true);
  }
  setI32(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4092))
      this.admit(address, 4, true);
    this.data.setInt32(address, value, true);
  }

  getU64(address: number): bigint {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4088))
      this.admit(address, 8, false);
    return this.data.getBigUint64(address, true);
  }
  setU64(address: number, value: bigint): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4088))
      this.admit(address, 8, true);
    this.data.setBigUint64(address, value, true);
  }

  getI64(address: number): bigint {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4088))
      this.admit(address, 8, false);
    return this.data.getBigInt64(address, true);
  }
  setI64(address: number, value: bigint): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4088))
      this.admit(address, 8, true);
    this.data.setBigInt64(address, value, true);
  }

  getF32(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4092))
      this.admit(address, 4, false);
    return this.data.getFloat32(address, true);
  }
  setF32(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4092))
      this.admit(address, 4, true);
    this.data.setFloat32(address, value, true);
  }

  getF64(address: number): number {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= CLEAN && (address & 4095) <= 4088))
      this.admit(address, 8, false);
    return this.data.getFloat64(address, true);
  }
  setF64(address: number, value: number): void {
    if (!(isOfHeap(address) && this.states[address >>> 12] >= DIRTY && (address & 4095) <= 4088))
      this.admit(address, 8, true);
    this.data.setFloat64(address, value, true);
  }
}

/** Whole, and neither below nor beyond. */
function isOfHeap(address: number): boolean {
  return address >>> 0 === address && address >= HEAP;
}
