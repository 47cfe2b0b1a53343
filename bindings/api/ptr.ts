/**
 * A pointer: an address in a memory. It is a value: arithmetic gives a new one. A pointer that is kept after its block was released points at
 * nothing, and says so when the block has gone back; `checks` finds the others.
 */
import { PerdureError } from "../base/errors.js";
import { HEAP, type Session } from "./session.js";

/** Bytes of the length before a string's UTF-8. */
const STRING_LENGTH_BYTES = 4;

const encoder = new TextEncoder();
/** A byte order mark at the front is part of the text. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Ptr {
  /** Made by `alloc`, `ptr` and the like. @internal */
  constructor(
    readonly memory: Session,
    /** Byte position in linear memory; the same for ever. */
    readonly address: number,
  ) {}

  /** `bytes` further on, or back when negative. INVALID_ADDRESS when that is outside of memory. */
  add(bytes: number): Ptr {
    return ptrAt(this.memory, this.address + bytes);
  }

  sub(bytes: number): Ptr {
    return ptrAt(this.memory, this.address - bytes);
  }

  /** Bytes from `other` to here. */
  distance(other: Ptr): number {
    return this.address - other.address;
  }

  equals(other: Ptr | null): boolean {
    return other !== null && other.address === this.address && other.memory === this.memory;
  }

  get u8(): number {
    return this.memory.getU8(this.address);
  }
  set u8(value: number) {
    this.memory.setU8(this.address, value);
  }
  get i8(): number {
    return this.memory.getI8(this.address);
  }
  set i8(value: number) {
    this.memory.setI8(this.address, value);
  }
  get u16(): number {
    return this.memory.getU16(this.address);
  }
  set u16(value: number) {
    this.memory.setU16(this.address, value);
  }
  get i16(): number {
    return this.memory.getI16(this.address);
  }
  set i16(value: number) {
    this.memory.setI16(this.address, value);
  }
  get u32(): number {
    return this.memory.getU32(this.address);
  }
  set u32(value: number) {
    this.memory.setU32(this.address, value);
  }
  get i32(): number {
    return this.memory.getI32(this.address);
  }
  set i32(value: number) {
    this.memory.setI32(this.address, value);
  }
  get u64(): bigint {
    return this.memory.getU64(this.address);
  }
  set u64(value: bigint) {
    this.memory.setU64(this.address, value);
  }
  get i64(): bigint {
    return this.memory.getI64(this.address);
  }
  set i64(value: bigint) {
    this.memory.setI64(this.address, value);
  }
  get f32(): number {
    return this.memory.getF32(this.address);
  }
  set f32(value: number) {
    this.memory.setF32(this.address, value);
  }
  get f64(): number {
    return this.memory.getF64(this.address);
  }
  set f64(value: number) {
    this.memory.setF64(this.address, value);
  }

  /** The pointer that is stored here: 8 bytes, nil is 0. */
  get ref(): Ptr | null {
    return readRef(this.memory, this.address);
  }
  set ref(target: Ptr | null) {
    writeRef(this.memory, this.address, target);
  }

  /** A copy of `length` bytes from here on. */
  read(length: number): Uint8Array {
    return this.memory.read(this.address, length);
  }

  write(bytes: Uint8Array): void {
    this.memory.write(this.address, bytes);
  }

  /** The string that `writeString` has put here; INVALID_ARGUMENT when it is not UTF-8. */
  readString(): string {
    const bytes = this.memory.read(this.address + STRING_LENGTH_BYTES, this.u32);
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new PerdureError("INVALID_ARGUMENT", `there is no string at ${this.address}: not UTF-8`, {
        cause,
      });
    }
  }

  /** Writes a u32 of the length in bytes, then the text as UTF-8. LIMIT when the block that this points into has no room for it. */
  writeString(text: string): void {
    const { memory, address } = this;
    const bytes = encoder.encode(text);
    const room = memory.roomAt(address);
    if (STRING_LENGTH_BYTES + bytes.length > room) {
      const message = `a string of ${bytes.length} bytes needs ${STRING_LENGTH_BYTES + bytes.length}, here are ${room}`;
      throw new PerdureError("LIMIT", message);
    }
    memory.setU32(address, bytes.length);
    memory.write(address + STRING_LENGTH_BYTES, bytes);
  }

  /** The address. */
  toJSON(): number {
    return this.address;
  }

  toString(): string {
    return `Ptr(0x${this.address.toString(16)})`;
  }
}

/** A pointer to an address, which need not be that of a live block. INVALID_ADDRESS outside of the heap. */
export function ptrAt(memory: Session, address: number): Ptr {
  if (!Number.isSafeInteger(address) || address < HEAP || address > 2 ** 32)
    throw new PerdureError("INVALID_ADDRESS", `${address} is not an address of this memory`);
  return new Ptr(memory, address);
}

/** The pointer stored at `address`, or null for nil. INVALID_ADDRESS when what is there is none. */
export function readRef(memory: Session, address: number): Ptr | null {
  const low = memory.getU32(address);
  const high = memory.getU32(address + 4);
  return low === 0 && high === 0 ? null : ptrAt(memory, high * 2 ** 32 + low);
}

export function writeRef(memory: Session, address: number, target: Ptr | null): void {
  if (target !== null && (!(target instanceof Ptr) || target.memory !== memory))
    throw new PerdureError("INVALID_ARGUMENT", "a pointer into this memory, or null, can be stored");
  memory.setU32(address + 4, 0);
  memory.setU32(address, target === null ? 0 : target.address);
}
