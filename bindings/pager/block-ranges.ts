/**
 * A set of blocks as sorted, disjoint ranges that do not adjoin: a range costs the same however long it is.
 */
export interface BlockRange {
  block: number;
  count: number;
}

export class BlockRanges {
  private ranges: BlockRange[] = [];

  get isEmpty(): boolean {
    return this.ranges.length === 0;
  }

  clear(): void {
    this.ranges = [];
  }

  [Symbol.iterator](): IterableIterator<Readonly<BlockRange>> {
    return this.ranges[Symbol.iterator]();
  }

  add(block: number, count: number): void {
    if (count === 0) return;
    // Those that overlap or adjoin become one with it.
    const from = this.firstReaching(block);
    let to = from;
    let first = block;
    let end = block + count;
    for (; to < this.ranges.length && this.ranges[to].block <= end; to++) {
      first = Math.min(first, this.ranges[to].block);
      end = Math.max(end, endOf(this.ranges[to]));
    }
    this.ranges.splice(from, to - from, { block: first, count: end - first });
  }

  /** The parts of [block, block + count) that are not in the set, in order. */
  gaps(block: number, count: number): BlockRange[] {
    const found: BlockRange[] = [];
    const end = block + count;
    let at = block;
    for (let i = this.firstReaching(block); i < this.ranges.length && at < end; i++) {
      const range = this.ranges[i];
      if (range.block >= end) break;
      if (range.block > at) found.push({ block: at, count: range.block - at });
      at = Math.max(at, endOf(range));
    }
    if (at < end) found.push({ block: at, count: end - at });
    return found;
  }

  /** Index of the first range that ends at `block` or later. */
  private firstReaching(block: number): number {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(this.ranges[middle]) < block) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const endOf = ({ block, count }: BlockRange): number => block + count;
