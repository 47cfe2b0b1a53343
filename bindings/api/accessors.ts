/**
 * Typed access to linear memory, as fast as a DataView. Remembered are the blocks of the last accesses that lay next to each other: an access among them
 * costs two comparisons and nothing else. Any other goes to `admit`, which looks at the state of its block, brings it in or makes it part of the
 * next commit, or throws; and remembers it.
 *
 * Invariants: every block in [readFrom, readTo + 8) is present and every block in [writeFrom, writeTo + 8) is part of the next commit. Whatever can end that
 * calls `forgetReady`. Nothing is remembered while every access has to be looked at (`checks`, suspended, closed).
 */

/** More than the end of what is remembered, and a small integer: as one that is none, infinity, it would make comparing slower. */
const NOWHERE = 0x7fff_ffff;
const NO_DATA = new DataView(new ArrayBuffer(0));

/**
 * Addresses are byte positions in the heap, integers below 2³²; values are little-endian at any alignment. Anything else is INVALID_ADDRESS, except that a fraction is
 * not always noticed: it then counts as its whole part.
 */
export abstract class Accessors extends EventTarget {
  /** @internal */
  protected data: DataView = NO_DATA;
  /** @internal */
  protected readFrom = NOWHERE;
  /** @internal */
  protected readTo = 0;
  /** @internal */
  protected writeFrom = NOWHERE;
  /** @internal */
  protected writeTo = 0;

  /** Makes `bytes` at `address` ready to be read or written, or throws. @internal */
  protected abstract admit(address: number, bytes: number, write: boolean): void;

  /** @internal */
  protected forgetReady(): void {
    this.readFrom = NOWHERE;
    this.writeFrom = NOWHERE;
    this.readTo = 0;
    this.writeTo = 0;
  }

  /**
   * Remembers a block that is ready, beside what it lies next to or in place of it. Integers only: as soon as one of the bounds was anything
   * else, comparing would be slower for good.
   * @internal
   */
  protected remember(block: number, write: boolean): void {
    const from = (block << 12) >>> 0;
    const to = from + 4088;
    if (write) {
      if (from >= this.writeFrom && to <= this.writeTo) return;
      const above = from === this.writeTo + 8;
      const below = to + 8 === this.writeFrom;
      if (!above) this.writeFrom = from;
      if (!below) this.writeTo = to;
    } else {
      if (from >= this.readFrom && to <= this.readTo) return;
      const above = from === this.readTo + 8;
      const below = to + 8 === this.readFrom;
      if (!above) this.readFrom = from;
      if (!below) this.readTo = to;
    }
  }

  getU8(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 1, false);
    return this.data.getUint8(address);
  }
  setU8(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 1, true);
    this.data.setUint8(address, value);
  }

  getI8(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 1, false);
    return this.data.getInt8(address);
  }
  setI8(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 1, true);
    this.data.setInt8(address, value);
  }

  getU16(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 2, false);
    return this.data.getUint16(address, true);
  }
  setU16(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 2, true);
    this.data.setUint16(address, value, true);
  }

  getI16(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 2, false);
    return this.data.getInt16(address, true);
  }
  setI16(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 2, true);
    this.data.setInt16(address, value, true);
  }

  getU32(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 4, false);
    return this.data.getUint32(address, true);
  }
  setU32(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 4, true);
    this.data.setUint32(address, value, true);
  }

  getI32(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 4, false);
    return this.data.getInt32(address, true);
  }
  setI32(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 4, true);
    this.data.setInt32(address, value, true);
  }

  getU64(address: number): bigint {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 8, false);
    return this.data.getBigUint64(address, true);
  }
  setU64(address: number, value: bigint): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 8, true);
    this.data.setBigUint64(address, value, true);
  }

  getI64(address: number): bigint {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 8, false);
    return this.data.getBigInt64(address, true);
  }
  setI64(address: number, value: bigint): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 8, true);
    this.data.setBigInt64(address, value, true);
  }

  getF32(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 4, false);
    return this.data.getFloat32(address, true);
  }
  setF32(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 4, true);
    this.data.setFloat32(address, value, true);
  }

  getF64(address: number): number {
    if (!(address >= this.readFrom && address <= this.readTo)) this.admit(address, 8, false);
    return this.data.getFloat64(address, true);
  }
  setF64(address: number, value: number): void {
    if (!(address >= this.writeFrom && address <= this.writeTo)) this.admit(address, 8, true);
    this.data.setFloat64(address, value, true);
  }
}
