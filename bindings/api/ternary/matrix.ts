/**
 * Matrices of trits in persistent memory: five trits a byte, 1/20 of floats, and multiplied where they lie. docs/ENGINE.md §19 draws them.
 *
 * A matrix is one object of the heap, so what names it is a pointer: keep that under a root, and `TernaryMatrix.at` is all there is to opening it. The blocks of
 * rows are brought in before a kernel runs, which therefore meets no block that is not there. Vectors and results are copied to and from an area of the volatile zone.
 */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import type { Memory } from "../memory.js";
import type { Ptr } from "../ptr.js";
import { type TernaryFunctions, ternaryFunctions } from "./functions.js";

const HEADER = { version: 4, rows: 8, columns: 12, rowBytes: 16, bytes: 64 } as const;
/** "TRIT". */
const MAGIC = 0x54495254;
const VERSION = 1;
/** Kernels read up to 15 bytes past the last row. */
const SLACK_BYTES = 16;
const COLUMNS_MAX = 2 ** 21;
const ROWS_MAX = 2 ** 32 - 1;

export class TernaryMatrix {
  private readonly engine: Engine;
  private readonly functions: TernaryFunctions;
  private readonly vector: number;
  private readonly results: number;
  private generation = -1;
  private isReleased = false;
  private shape = { rows: 0, columns: 0, rowBytes: 0 };

  private constructor(
    private readonly memory: Memory,
    /** What to keep under a root. */
    readonly ptr: Ptr,
  ) {
    this.engine = memory.engine;
    this.functions = ternaryFunctions(this.engine);
    this.vector = this.functions.KERNEL_VECTOR.value >>> 0;
    this.results = this.functions.KERNEL_RESULTS.value >>> 0;
    this.ensureCurrent();
  }

  /** A matrix of zeros, whose rows cost nothing until they are set. INVALID_ARGUMENT; LIMIT for more than 2²¹ columns; OUT_OF_MEMORY. */
  static create(memory: Memory, rows: number, columns: number): TernaryMatrix {
    verifyShape(rows, columns);
    const rowBytes = Math.ceil(columns / 5);
    const ptr = memory.alloc(HEADER.bytes + rows * rowBytes + SLACK_BYTES, { align: 64 });
    memory.setU32(ptr.address, MAGIC);
    memory.setU32(ptr.address + HEADER.version, VERSION);
    memory.setU32(ptr.address + HEADER.rows, rows);
    memory.setU32(ptr.address + HEADER.columns, columns);
    memory.setU32(ptr.address + HEADER.rowBytes, rowBytes);
    return new TernaryMatrix(memory, ptr);
  }

  /** A matrix of these trits, row by row. INVALID_ARGUMENT also when there are not rows × columns, or one is not −1, 0 or 1. */
  static from(memory: Memory, rows: number, columns: number, trits: Int8Array): TernaryMatrix {
    verifyShape(rows, columns);
    if (!(trits instanceof Int8Array) || trits.length !== rows * columns)
      throw new PerdureError("INVALID_ARGUMENT", `${rows} × ${columns} trits are an Int8Array of as many`);
    const matrix = TernaryMatrix.create(memory, rows, columns);
    try {
      matrix.setRows(0, rows, trits);
    } catch (error) {
      if (matrix.engine.halt === null) matrix.release();
      throw error;
    }
    return matrix;
  }

  /** The matrix that is there. INVALID_ADDRESS when nothing is; INVALID_ARGUMENT when it is no matrix; VERSION for a later kind of one. */
  static at(memory: Memory, ptr: Ptr): TernaryMatrix {
    return new TernaryMatrix(memory, ptr);
  }

  get rows(): number {
    this.ensureCurrent();
    return this.shape.rows;
  }

  get columns(): number {
    this.ensureCurrent();
    return this.shape.columns;
  }

  /** Of all rows. */
  get packedBytes(): number {
    this.ensureCurrent();
    return this.shape.rows * this.shape.rowBytes;
  }

  /** The trits of a row, written to `into` when it is given. */
  row(index: number, into?: Int8Array): Int8Array {
    const { columns, rowBytes } = this.look(index);
    const trits = into ?? new Int8Array(columns);
    if (!(trits instanceof Int8Array) || trits.length !== columns)
      throw new PerdureError("INVALID_ARGUMENT", `\`into\` is an Int8Array of ${columns} elements`);
    const address = this.addressOf(index);
    this.engine.ensure(address, rowBytes, false);
    this.functions.unpackRow(address, columns, this.vector);
    trits.set(new Int8Array(this.engine.core.bytes.buffer, this.vector, columns));
    return trits;
  }

  setRow(index: number, trits: Int8Array): void {
    const { columns } = this.look(index);
    if (!(trits instanceof Int8Array) || trits.length !== columns)
      throw new PerdureError("INVALID_ARGUMENT", `a row is an Int8Array of ${columns} trits`);
    this.setRows(index, 1, trits);
  }

  /**
   * The product of all rows with a vector of as many elements as there are columns. Of an Int8Array, exact sums as Int32Array; of a Float32Array, sums of 32-bit floats in
   * sixteen parts as Float32Array. `out` has an element for each row.
   */
  matvec(x: Int8Array, out?: Int32Array): Int32Array;
  matvec(x: Float32Array, out?: Float32Array): Float32Array;
  matvec(x: Int8Array | Float32Array, out?: Int32Array | Float32Array): Int32Array | Float32Array {
    this.ensureCurrent();
    const { rows, rowBytes } = this.shape;
    this.bringVector(x);
    const type = x instanceof Int8Array ? Int32Array : Float32Array;
    const products = out ?? new type(rows);
    if (!(products instanceof type) || products.length !== rows)
      throw new PerdureError("INVALID_ARGUMENT", `\`out\` is an ${type.name} of ${rows} elements`);
    const most = (this.functions.KERNEL_RESULTS_BYTES.value >>> 0) / type.BYTES_PER_ELEMENT;
    for (let first = 0; first < rows; first += most) {
      const count = Math.min(most, rows - first);
      this.engine.ensure(this.addressOf(first), count * rowBytes, false);
      this.multiply(x, first, count);
      products.set(new type(this.engine.core.bytes.buffer, this.results, count), first);
    }
    return products;
  }

  /** The product of one row with a vector, as `matvec` has it. */
  dot(index: number, x: Int8Array | Float32Array): number {
    const { rowBytes } = this.look(index);
    this.bringVector(x);
    this.engine.ensure(this.addressOf(index), rowBytes, false);
    this.multiply(x, index, 1);
    const { data } = this.engine.core;
    return x instanceof Int8Array ? data.getInt32(this.results, true) : data.getFloat32(this.results, true);
  }

  /** Gives its memory back: the pointer is then dead. BUSY while a view of it is open. */
  release(): void {
    this.ensureCurrent();
    this.memory.release(this.ptr);
    this.isReleased = true;
    // Other handles of it look again.
    this.engine.generation++;
  }

  private setRows(first: number, count: number, trits: Int8Array): void {
    const { engine, functions } = this;
    const { columns, rowBytes } = this.shape;
    engine.ensureWritable();
    const most = Math.min(
      Math.floor((functions.KERNEL_VECTOR_BYTES.value >>> 0) / columns),
      Math.floor((functions.KERNEL_RESULTS_BYTES.value >>> 0) / rowBytes),
    );
    for (let done = 0; done < count; done += most) {
      const rows = Math.min(most, count - done);
      const some = trits.subarray(done * columns, (done + rows) * columns);
      new Int8Array(engine.core.bytes.buffer, this.vector, some.length).set(some);
      const wrong = functions.packRows(this.vector, columns, rows, this.results);
      if (wrong >= 0) {
        const message = `a trit is −1, 0 or 1; element ${done * columns + wrong} is ${some[wrong]}`;
        throw new PerdureError("INVALID_ARGUMENT", message);
      }
      const address = this.addressOf(first + done);
      engine.ensure(address, rows * rowBytes, true, true);
      engine.core.bytes.copyWithin(address, this.results, this.results + rows * rowBytes);
    }
  }

  /** Puts a vector where the kernels expect it. */
  private bringVector(x: Int8Array | Float32Array): void {
    const { columns } = this.shape;
    const isBytes = x instanceof Int8Array;
    if ((!isBytes && !(x instanceof Float32Array)) || x.length !== columns) {
      const message = `the vector is an Int8Array or a Float32Array of ${columns} elements`;
      throw new PerdureError("INVALID_ARGUMENT", message);
    }
    const { buffer } = this.engine.core.bytes;
    new (isBytes ? Int8Array : Float32Array)(buffer, this.vector, columns).set(x);
    this.functions.spreadTail(this.vector, columns, isBytes ? 0 : 2);
  }

  private multiply(x: Int8Array | Float32Array, first: number, count: number): void {
    const { functions, vector, results } = this;
    const { columns } = this.shape;
    const address = this.addressOf(first);
    if (x instanceof Int8Array) functions.multiplyBytes(address, count, columns, vector, results);
    else functions.multiplyFloats(address, count, columns, vector, results);
  }

  private addressOf(row: number): number {
    return this.ptr.address + HEADER.bytes + row * this.shape.rowBytes;
  }

  private look(index: number): { columns: number; rowBytes: number } {
    this.ensureCurrent();
    const { rows } = this.shape;
    if (!Number.isInteger(index) || index < 0 || index >= rows)
      throw new PerdureError("INVALID_ARGUMENT", `there is no row ${String(index)} among ${rows}`);
    return this.shape;
  }

  /** After a rollback, a restore, a refresh or a release there may be another one here, or none. */
  private ensureCurrent(): void {
    const { memory, engine } = this;
    memory.ensureOpen();
    if (this.isReleased) throw new PerdureError("CLOSED", `the matrix at ${this.ptr} was released`);
    if (this.generation === engine.generation) return;
    const { address } = this.ptr;
    const room = memory.sizeOf(this.ptr);
    if (room < HEADER.bytes || memory.getU32(address) !== MAGIC)
      throw new PerdureError("INVALID_ARGUMENT", `what is at ${this.ptr} is no ternary matrix`);
    if (memory.getU32(address + HEADER.version) > VERSION)
      throw new PerdureError("VERSION", `the matrix at ${this.ptr} is of a later version of the library`);
    const shape = {
      rows: memory.getU32(address + HEADER.rows),
      columns: memory.getU32(address + HEADER.columns),
      rowBytes: memory.getU32(address + HEADER.rowBytes),
    };
    const fits = HEADER.bytes + shape.rows * shape.rowBytes + SLACK_BYTES <= room;
    if (
      !fits ||
      shape.columns < 1 ||
      shape.columns > COLUMNS_MAX ||
      shape.rowBytes !== Math.ceil(shape.columns / 5)
    )
      throw new PerdureError("CORRUPT", `the matrix at ${this.ptr} is larger than its block, or of no shape`);
    this.shape = shape;
    this.generation = engine.generation;
  }
}

function verifyShape(rows: number, columns: number): void {
  if (!Number.isInteger(rows) || rows < 0 || rows > ROWS_MAX || !Number.isInteger(columns) || columns < 1) {
    const message = `a matrix has whole numbers of rows and columns, not ${String(rows)} and ${String(columns)}`;
    throw new PerdureError("INVALID_ARGUMENT", message);
  }
  if (columns > COLUMNS_MAX)
    throw new PerdureError("LIMIT", `a ternary matrix has up to ${COLUMNS_MAX} columns, not ${columns}`);
}
