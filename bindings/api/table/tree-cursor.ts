/**
 * A walk over a tree that goes on whatever happens to the tree meanwhile. It remembers leaf and slot of the entry that it met last, and that entry's key. As
 * long as the tree has the version it had, and the image has not been replaced, the next entry is in the next slot; otherwise the key is looked up.
 *
 * It reads leaves itself, as docs/ENGINE.md §18 draws them: a step costs some loads and no call.
 */
import { viewOf } from "../../base/bytes.js";
import { PerdureError } from "../../base/errors.js";
import { BLOCK_BYTES } from "../../core.js";
import type { Engine } from "../../engine.js";

/** What `treeSeek` looks for. */
const Seek = { AtLeast: 0, Above: 1, AtMost: 2, Below: 3, Last: 4 } as const;

/** Of a tree's record and of its nodes. */
const VERSION = 16;
const RECORD_BYTES = 64;
const COUNT = 2;
const NEXT = 16;
const PREVIOUS = 20;
const SLOTS = 32;
const SLOT_BYTES = 16;
const PREFIX_BYTES = 8;
const VALUE_BYTES = 8;
const LENGTH_BITS = 11;
/** Where the exchange area has the slot that a seek found. */
const FOUND_SLOT = 1024;

const TWO_32 = 2 ** 32;
/** What a unit of a slot's high word is worth in its value. */
const HIGH_UNIT = TWO_32 / 2 ** LENGTH_BITS;

export class TreeCursor {
  /** Of the last entry; its length is −1 before there is one. */
  private readonly last: Key = { high: 0, low: 0, length: -1, rest: new Uint8Array(24) };
  private leaf = 0;
  private slot = 0;
  private generation = -1;
  private versionLow = 0;
  private versionHigh = 0;
  private readonly first: Uint8Array | null;
  private readonly limit: Key | null;
  private ended = false;

  /** Made by `Tree.cursor`. @internal */
  constructor(
    private readonly engine: Engine,
    private readonly address: number,
    from: Uint8Array | null,
    to: Uint8Array | null,
    private readonly reverse: boolean,
  ) {
    this.first = reverse ? to : from;
    const limit = reverse ? from : to;
    this.limit = limit === null ? null : keyOf(limit);
  }

  /** The value of the next entry; −1 at the end, and from then on. */
  next(): number {
    if (this.ended) return -1;
    const found = this.isCurrent() ? this.step() : this.seek();
    const value = found ? this.load() : -1;
    this.ended = value < 0 || this.isBeyond();
    return this.ended ? -1 : value;
  }

  /** A copy of the key of the entry whose value `next` has answered. */
  get key(): Uint8Array {
    const { high, low, length, rest } = this.last;
    const key = new Uint8Array(Math.max(length, PREFIX_BYTES));
    viewOf(key).setUint32(0, high);
    viewOf(key).setUint32(4, low);
    if (length > PREFIX_BYTES) key.set(rest.subarray(0, length - PREFIX_BYTES), PREFIX_BYTES);
    return key.subarray(0, Math.max(length, 0));
  }

  private isCurrent(): boolean {
    const { engine, address } = this;
    const { data } = engine.core;
    return (
      this.generation === engine.generation &&
      this.versionLow === data.getUint32(address + VERSION, true) &&
      this.versionHigh === data.getUint32(address + VERSION + 4, true)
    );
  }

  /** Looks up where the next entry is; false when there is none. */
  private seek(): boolean {
    const { engine, address } = this;
    const { core } = engine;
    engine.ensure(address, RECORD_BYTES, false);
    this.generation = engine.generation;
    this.versionLow = core.data.getUint32(address + VERSION, true);
    this.versionHigh = core.data.getUint32(address + VERSION + 4, true);
    const [bytes, mode] = this.last.length < 0 ? this.begin() : this.resume();
    this.leaf = engine.ask(() => core.functions.treeSeek(address, bytes, mode));
    if (this.leaf === 0) return false;
    this.slot = core.data.getUint32(core.constants.EXCHANGE + FOUND_SLOT, true);
    return true;
  }

  private begin(): [bytes: number, mode: number] {
    const { bytes, constants } = this.engine.core;
    const { first, reverse } = this;
    if (first === null) return [0, reverse ? Seek.Last : Seek.AtLeast];
    bytes.set(first, constants.EXCHANGE);
    return [first.length, reverse ? Seek.Below : Seek.AtLeast];
  }

  /** From the last entry's key, whether it is still there or not. */
  private resume(): [bytes: number, mode: number] {
    const { bytes, data, constants } = this.engine.core;
    const { high, low, length, rest } = this.last;
    const at = constants.EXCHANGE;
    data.setUint32(at, high, false);
    data.setUint32(at + 4, low, false);
    if (length > PREFIX_BYTES) bytes.set(rest.subarray(0, length - PREFIX_BYTES), at + PREFIX_BYTES);
    return [length, this.reverse ? Seek.Below : Seek.Above];
  }

  /** To the neighbour; false at the end of the tree. */
  private step(): boolean {
    const { data } = this.engine.core;
    const { leaf, reverse } = this;
    if (reverse ? this.slot > 0 : this.slot + 1 < data.getUint16(leaf + COUNT, true)) {
      this.slot += reverse ? -1 : 1;
      return true;
    }
    this.leaf = data.getUint32(leaf + (reverse ? PREVIOUS : NEXT), true);
    if (this.leaf === 0) return false;
    this.engine.ensure(this.leaf, BLOCK_BYTES, false);
    const count = this.engine.core.data.getUint16(this.leaf + COUNT, true);
    this.slot = reverse ? count - 1 : 0;
    this.expectOrder(count);
    return true;
  }

  /** A chain of leaves that is damaged may lead back; keys that do not go on tell. */
  private expectOrder(count: number): void {
    const before = { ...this.last, rest: this.last.rest.slice() };
    if (count > 0) this.load();
    const order = compare(this.last, before);
    if (count === 0 || (this.reverse ? order >= 0 : order <= 0))
      throw new PerdureError("CORRUPT", `the leaves of the tree at ${this.address} are not in order`);
  }

  /** Takes over the key of the entry that the cursor is at, and answers with its value. */
  private load(): number {
    const { data, bytes } = this.engine.core;
    const { leaf, last } = this;
    const at = leaf + SLOTS + SLOT_BYTES * this.slot;
    last.low = data.getUint32(at, true);
    last.high = data.getUint32(at + 4, true);
    const word = data.getUint32(at + 8, true);
    last.length = word & (2 ** LENGTH_BITS - 1);
    const payload = data.getUint32(at + 12, true) * HIGH_UNIT + (word >>> LENGTH_BITS);
    const count = last.length - PREFIX_BYTES;
    if (count <= 0) return payload;
    const record = leaf + (payload & (BLOCK_BYTES - 1));
    const from = record + VALUE_BYTES;
    if (last.rest.length < count) last.rest = new Uint8Array(2 * count);
    // A view of a few bytes costs more than they do.
    if (count > 64) last.rest.set(bytes.subarray(from, from + count));
    else for (let i = 0; i < count; i++) last.rest[i] = bytes[from + i];
    return data.getUint32(record, true) + TWO_32 * data.getUint32(record + 4, true);
  }

  private isBeyond(): boolean {
    const { limit, last, reverse } = this;
    if (limit === null) return false;
    const order = compare(last, limit);
    return reverse ? order < 0 : order >= 0;
  }
}

/** The first eight bytes as two numbers, zeros in place of those that there are not, and the bytes behind. */
interface Key {
  high: number;
  low: number;
  length: number;
  rest: Uint8Array;
}

function keyOf(key: Uint8Array): Key {
  const prefix = new Uint8Array(PREFIX_BYTES);
  prefix.set(key.subarray(0, PREFIX_BYTES));
  const view = viewOf(prefix);
  return {
    high: view.getUint32(0),
    low: view.getUint32(4),
    length: key.length,
    rest: key.slice(PREFIX_BYTES),
  };
}

/** Less than, equal to or greater than 0, as `a` is than `b`. */
function compare(a: Key, b: Key): number {
  if (a.high !== b.high) return a.high - b.high;
  if (a.low !== b.low) return a.low - b.low;
  const common = Math.min(a.length, b.length) - PREFIX_BYTES;
  for (let i = 0; i < common; i++) if (a.rest[i] !== b.rest[i]) return a.rest[i] - b.rest[i];
  return a.length - b.length;
}
