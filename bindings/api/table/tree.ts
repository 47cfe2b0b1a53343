/**
 * The B+trees of the engine: keys in byte order, each with a whole number below 2⁵³. A key is put into the exchange area by a `KeyEncoder`, or by
 * `putKey`, immediately before the call that names its bytes: any other call may overwrite it.
 *
 * A tree is known by the address of its record, which the owner keeps. It knows neither whether the memory is open nor what its values mean.
 */
import { PerdureError } from "../../base/errors.js";
import { explain } from "../../engine/problems.js";
import type { Engine } from "../../engine.js";
import { KEY_BYTES_MAX } from "./keys.js";
import { TreeCursor } from "./tree-cursor.js";

/** Of a record: docs/ENGINE.md §18. */
const RECORD = { height: 4, entries: 8, leaves: 24, innerNodes: 28, leafBytes: 32, bytes: 64 } as const;
const NODE_ROOM = 4064;
/** Where the exchange area has the value of a key that is there already. */
const EXISTING = 1024;
const TWO_32 = 2 ** 32;

export interface TreeStatistics {
  entries: number;
  /** Levels of nodes. */
  height: number;
  leaves: number;
  innerNodes: number;
  /** Bytes of the heap: nodes and record. */
  bytes: number;
  /** Which part of the leaves' room is in use, 0 … 1; 1 when there are none. */
  fill: number;
}

export class Tree {
  /** The tree whose record is at `address`. `name` is for messages. */
  constructor(
    private readonly engine: Engine,
    readonly address: number,
    readonly name: string,
  ) {}

  /** A new one, without entries. OUT_OF_MEMORY. */
  static create(engine: Engine, name: string): Tree {
    const address = engine.mutate(() => engine.core.functions.treeCreate());
    if (engine.core.codeOf(address) !== null) throw noMemory(name);
    return new Tree(engine, address, name);
  }

  /** Puts a key into the exchange area and returns its bytes. LIMIT. */
  putKey(key: Uint8Array): number {
    if (key.length > KEY_BYTES_MAX)
      throw new PerdureError(
        "LIMIT",
        `a key of index ${JSON.stringify(this.name)} has more than ${KEY_BYTES_MAX} bytes`,
      );
    const { bytes, constants } = this.engine.core;
    bytes.set(key, constants.EXCHANGE);
    return key.length;
  }

  /** The value of the key in the exchange area; −1 when it is not there. */
  find(keyBytes: number): number {
    try {
      return this.engine.core.functions.treeFind(this.address, keyBytes);
    } catch (cause) {
      throw explain(cause);
    }
  }

  /** The value of the first entry whose key begins with that in the exchange area; −1 when there is none. */
  findFirst(keyBytes: number): number {
    try {
      return this.engine.core.functions.treeFindFirst(this.address, keyBytes);
    } catch (cause) {
      throw explain(cause);
    }
  }

  /** Adds an entry. DUPLICATE when the key is there, OUT_OF_MEMORY; nothing has changed then. */
  insert(keyBytes: number, value: number): void {
    const { engine, address } = this;
    const { core } = engine;
    const result = engine.mutate(() => core.functions.treeInsert(address, keyBytes, value));
    if (result === 0) return;
    const code = core.codeOf(result);
    if (code === "OUT_OF_MEMORY") throw noMemory(this.name);
    if (code !== "DUPLICATE") throw this.refused(value);
    const existing = core.data.getFloat64(core.constants.EXCHANGE + EXISTING, true);
    throw new PerdureError(
      "DUPLICATE",
      `index ${JSON.stringify(this.name)} has this key already, for row ${existing}`,
    );
  }

  /** Gives the key another value; false when it is not there. */
  replace(keyBytes: number, value: number): boolean {
    const { engine, address } = this;
    const { core } = engine;
    const code = core.codeOf(engine.mutate(() => core.functions.treeReplace(address, keyBytes, value)));
    if (code !== null && code !== "NOT_FOUND") throw this.refused(value);
    return code === null;
  }

  /** Takes an entry out; the value it had, or −1 when the key is not there. */
  delete(keyBytes: number): number {
    const { engine, address } = this;
    let value = -1;
    engine.mutate(() => {
      value = engine.core.functions.treeDelete(address, keyBytes);
      return 0;
    });
    return value;
  }

  /**
   * A cursor over the keys from `from` on (null: from the first one) and before `to` (null: to the end), as `KeyEncoder.bound` gives them; with `reverse`
   * from the last of these to the first. Entries may come and go while it is under way: those that are there all the time are met once, in order.
   */
  cursor(from: Uint8Array | null, to: Uint8Array | null, reverse = false): TreeCursor {
    return new TreeCursor(this.engine, this.address, from, to, reverse);
  }

  get count(): number {
    this.engine.ensure(this.address, RECORD.bytes, false);
    const { data } = this.engine.core;
    const at = this.address + RECORD.entries;
    return data.getUint32(at, true) + TWO_32 * data.getUint32(at + 4, true);
  }

  statistics(): TreeStatistics {
    const entries = this.count;
    const { data } = this.engine.core;
    const u32 = (offset: number) => data.getUint32(this.address + offset, true);
    const [leaves, innerNodes] = [u32(RECORD.leaves), u32(RECORD.innerNodes)];
    const leafBytes = u32(RECORD.leafBytes) + TWO_32 * u32(RECORD.leafBytes + 4);
    return {
      entries,
      height: u32(RECORD.height),
      leaves,
      innerNodes,
      bytes: 4096 * (leaves + innerNodes) + RECORD.bytes,
      fill: leaves === 0 ? 1 : leafBytes / (NODE_ROOM * leaves),
    };
  }

  /** Gives everything back, the record as well. */
  destroy(): void {
    const { engine, address } = this;
    engine.mutate(() => engine.core.functions.treeDestroy(address));
  }

  private refused(value: number): PerdureError {
    return new PerdureError(
      "INVALID_ARGUMENT",
      `index ${JSON.stringify(this.name)}: ${value} is not a whole number below 2^53`,
    );
  }
}

function noMemory(name: string): PerdureError {
  return new PerdureError(
    "OUT_OF_MEMORY",
    `there is no memory for another entry of index ${JSON.stringify(name)}`,
  );
}
