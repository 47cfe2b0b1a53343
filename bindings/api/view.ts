/** Typed arrays that are the memory itself. */
import { PerdureError } from "../base/errors.js";
import type { Engine, Watch } from "../engine.js";
import type { Ptr } from "./ptr.js";

export type TypedArray =
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

export interface TypedArrayConstructor<T extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
}

/**
 * A window onto one live block. What is stored through a writable view is found by comparing when the memory is committed, so take `array` anew
 * where you use it: that is what tells the automatic commit that something may have changed, and what shows where memory is after it has grown.
 */
export class View<T extends TypedArray> implements Watch {
  readonly address: number;
  readonly bytes: number;
  private current: T | null = null;
  private state: "open" | "closed" | "lost" = "open";

  /** Made by `Memory.view`. @internal */
  constructor(
    private readonly engine: Engine,
    /** Where the view begins. */
    readonly ptr: Ptr,
    private readonly type: TypedArrayConstructor<T>,
    private readonly length: number,
    readonly writable: boolean,
    private readonly used: () => void,
  ) {
    this.address = ptr.address;
    this.bytes = length * type.BYTES_PER_ELEMENT;
    engine.watch(this);
  }

  /** The elements. CLOSED after `close`, or when a rollback took the block away. */
  get array(): T {
    if (this.state !== "open") throw this.gone();
    const { buffer } = this.engine.core.bytes;
    if (this.current?.buffer !== buffer) this.current = new this.type(buffer, this.address, this.length);
    if (this.writable) {
      this.engine.ensureWritable();
      this.used();
    }
    return this.current as T;
  }

  /** Ends the view. What was stored through it stays part of the next commit. */
  close(): void {
    if (this.state !== "open") return;
    this.state = "closed";
    this.current = null;
    this.used();
    this.engine.unwatch(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  lost(): void {
    this.state = "lost";
    this.current = null;
  }

  private gone(): PerdureError {
    const why = this.state === "lost" ? "the block it showed is not in this commit" : "it was closed";
    return new PerdureError("CLOSED", `the view at ${this.ptr} is closed: ${why}`);
  }
}
