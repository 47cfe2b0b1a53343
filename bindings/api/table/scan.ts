/**
 * Going through a table: every row that has its home in [from, to), in the order of their ids. Rows that come to lie behind are not met, those deleted ahead
 * are not, and a row that is updated is met once, as it is then.
 *
 * Page by page: the directory of a page is read where it lies, for as long as the epoch of the block states says that it is there.
 */
import type { TableHandle } from "./handle.js";
import type { RowView } from "./row.js";

const SLOTS = 512;
/** Of a page: docs/TABLES.md §2. */
const SLOT_COUNT = 2;
const DIRECTORY = 32;
const KIND_MASK = 3;
const ROW = 1;
const FORWARD = 2;

export class Scanner {
  /** Of the row that `next` has found. */
  id = 0;
  address = 0;
  private page: number;
  private slot: number;
  private pageAddress = 0;
  private epoch = -1;

  constructor(
    private readonly handle: TableHandle,
    from: number,
    /** No row from here on. */
    public to: number,
  ) {
    this.page = Math.floor(from / SLOTS);
    this.slot = from % SLOTS;
  }

  /** The id from which on it has not looked yet. */
  get position(): number {
    return this.page * SLOTS + this.slot;
  }

  /** Whether there is another row; then `id` and `address` are its. */
  next(): boolean {
    const { handle, to } = this;
    const { core, epochAt } = handle;
    for (;;) {
      if (this.page * SLOTS + this.slot >= to) return false;
      if (this.epoch !== core.data.getUint32(epochAt, true) && !this.show()) return false;
      const { data } = core;
      const slots = data.getUint16(this.pageAddress + SLOT_COUNT, true);
      const firstId = this.page * SLOTS;
      const last = Math.min(slots, to - firstId);
      while (this.slot < last) {
        const slot = this.slot++;
        const entry = data.getUint16(this.pageAddress + DIRECTORY + 2 * slot, true);
        const kind = entry & KIND_MASK;
        if (kind === ROW) {
          this.id = firstId + slot;
          this.address = this.pageAddress + entry - ROW;
          return true;
        }
        if (kind === FORWARD) {
          this.id = firstId + slot;
          this.address = handle.storage.find(this.id);
          return true;
        }
      }
      // What is beyond the directory now may have rows later, if this is the last page.
      if (firstId + SLOTS >= to) {
        this.slot = Math.max(this.slot, to - firstId);
        return false;
      }
      this.page++;
      this.slot = 0;
      this.epoch = -1;
    }
  }

  /** Finds the page, or the next one that has rows. */
  private show(): boolean {
    const { handle } = this;
    handle.ensureCurrent();
    const { storage } = handle;
    this.pageAddress = storage.pageFrom(this.page);
    // A page beyond the end may be another one when the end moves.
    if (this.pageAddress === 0 || storage.page * SLOTS >= this.to) return false;
    if (storage.page !== this.page) {
      this.page = storage.page;
      this.slot = 0;
    }
    this.epoch = handle.core.data.getUint32(handle.epochAt, true);
    return true;
  }
}

/** The rows that a scanner meets, as an iterator. */
export class RowIterator<R> implements IterableIterator<R> {
  constructor(
    private readonly handle: TableHandle,
    private readonly scanner: Scanner,
  ) {}

  next(): IteratorResult<R> {
    const { handle, scanner } = this;
    if (!scanner.next()) return { done: true, value: undefined };
    const row: RowView = handle.rowAt(scanner.id, scanner.address);
    return { done: false, value: row as R };
  }

  return(): IteratorResult<R> {
    this.scanner.to = 0;
    return { done: true, value: undefined };
  }

  [Symbol.iterator](): this {
    return this;
  }
}
