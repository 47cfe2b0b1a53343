// Checks that the nodes of a B+tree agree with each other, as docs/ENGINE.md §18 draws them, and visits its entries. Written from that page; it shares
// nothing with the engine. It reads blocks, so it works as well on a running engine as on a file.
import type { BlockSource } from "../image-reader.js";

export interface TreeReport {
  problems: string[];
  entries: number;
  /** Addresses of the nodes. Each is a live object, as is the record. */
  nodes: Set<number>;
  height: number;
}

const blockBytes = 4096;
const recordBytes = 64;
const header = 32;
const room = blockBytes - header;
const levelsMax = 32;

/** `objects` are the live objects of the heap: address → bytes. `visit` is given the entries in order. */
export function checkTree(
  source: BlockSource,
  tree: number,
  objects: ReadonlyMap<number, number>,
  visit: (key: Uint8Array, value: number) => void = () => {},
): TreeReport {
  return new Checker(source, tree, objects, visit).report();
}

interface Slot {
  key: Uint8Array;
  /** Of a leaf. */
  value: bigint;
  /** Of an inner node. */
  child: number;
}

class Checker {
  readonly #problems: string[] = [];
  readonly #nodes = new Set<number>();
  #entries = 0;
  #leaves = 0;
  #leafBytes = 0;
  /** The leaf before the one that is looked at. */
  #before = 0;

  constructor(
    private readonly source: BlockSource,
    private readonly tree: number,
    private readonly objects: ReadonlyMap<number, number>,
    private readonly visit: (key: Uint8Array, value: number) => void,
  ) {}

  report(): TreeReport {
    const record = this.#view(this.tree);
    const at = this.tree % blockBytes;
    this.#expect(this.objects.get(this.tree) === recordBytes, "its record is no live object");
    const u32 = (offset: number) => record.getUint32(at + offset, true);
    const u64 = (offset: number) => Number(record.getBigUint64(at + offset, true));
    const [root, height] = [u32(0), u32(4)];
    this.#expect((root === 0) === (height === 0) && height <= levelsMax, `height ${height}, root ${root}`);
    this.#expect(u64(48) === 0 && u64(56) === 0, "reserved");
    const firstLeaf = u32(40);
    if (root !== 0 && height <= levelsMax) this.#node(root, height - 1, null, null);
    else this.#expect(firstLeaf === 0, "a first leaf without a root");
    this.#expect(this.#firstLeaf === firstLeaf, `first leaf ${firstLeaf}, not ${this.#firstLeaf}`);
    this.#expect(this.#before === u32(44), `last leaf ${u32(44)}, not ${this.#before}`);
    if (this.#before !== 0)
      this.#expect(this.#view(this.#before).getUint32(16, true) === 0, "the last leaf has a next one");
    this.#expect(u64(8) === this.#entries, `${u64(8)} entries, counted ${this.#entries}`);
    this.#expect(u32(24) === this.#leaves, `${u32(24)} leaves, counted ${this.#leaves}`);
    const inner = this.#nodes.size - this.#leaves;
    this.#expect(u32(28) === inner, `${u32(28)} inner nodes, counted ${inner}`);
    this.#expect(u64(32) === this.#leafBytes, `${u64(32)} bytes in leaves, counted ${this.#leafBytes}`);
    return { problems: this.#problems, entries: this.#entries, nodes: this.#nodes, height };
  }

  #firstLeaf = 0;

  #expect(condition: boolean, problem: string): void {
    if (!condition && this.#problems.length < 20) this.#problems.push(`tree ${this.tree}: ${problem}`);
  }

  #view(address: number): DataView {
    const bytes = this.source(Math.floor(address / blockBytes)) ?? new Uint8Array(blockBytes);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A node whose keys are from `low` on and before `high`; null where there is no limit. */
  #node(node: number, level: number, low: Uint8Array | null, high: Uint8Array | null): void {
    const isNode = this.objects.get(node) === blockBytes && !this.#nodes.has(node);
    this.#expect(isNode, `node ${node} is no live object, or reached twice`);
    if (!isNode) return;
    this.#nodes.add(node);
    const view = this.#view(node);
    const what = `node ${node}`;
    this.#expect(
      view.getUint16(0, true) === level,
      `${what}: level ${view.getUint16(0, true)}, not ${level}`,
    );
    this.#expect(view.getUint32(24, true) === this.tree, `${what}: belongs to another tree`);
    this.#expect(view.getUint16(10, true) === 0 && view.getUint32(28, true) === 0, `${what}: reserved`);
    const slots = this.#slots(view, level, what);
    const isRoot = this.#nodes.size === 1;
    this.#expect(slots.length > 0 || (level > 0 && !isRoot), `${what}: no slots`);
    this.#expectOrder(slots, low, high, what);
    if (level === 0) this.#leaf(node, view, slots);
    else this.#inner(view, level, slots, low, high);
  }

  #slots(view: DataView, level: number, what: string): Slot[] {
    const count = Math.min(view.getUint16(2, true), room / 16);
    this.#expect(count === view.getUint16(2, true), `${what}: too many slots`);
    const records: [from: number, to: number][] = [];
    const slots = Array.from({ length: count }, (_, i): Slot => {
      const at = header + 16 * i;
      const word = view.getBigUint64(at + 8, true);
      const length = Number(word & 0x7ffn);
      this.#expect(length <= 1024, `${what}: key of ${length} bytes in slot ${i}`);
      const key = new Uint8Array(Math.min(length, 1024));
      for (let byte = 0; byte < 8; byte++) {
        const value = view.getUint8(at + 7 - byte);
        if (byte < length) key[byte] = value;
        else this.#expect(value === 0, `${what}: prefix in slot ${i} goes on behind its key`);
      }
      const where = Number((word >> 11n) & 0x1fffn);
      const child = level > 0 ? Number(word >> 32n) : 0;
      if (length <= 8) {
        this.#expect(level === 0 || where === 0, `${what}: record in slot ${i} for a short key`);
        return { key, value: word >> 11n, child };
      }
      this.#expect(level > 0 || word >> 24n === 0n, `${what}: word of slot ${i}`);
      const begin = where + (level === 0 ? 8 : 0);
      const end = begin + key.length - 8;
      records.push([where, end]);
      if (end > blockBytes) {
        this.#expect(false, `${what}: record of slot ${i} at ${where}`);
        return { key, value: 0n, child };
      }
      for (let byte = 8; byte < key.length; byte++) key[byte] = view.getUint8(begin + byte - 8);
      return { key, value: level === 0 ? view.getBigUint64(where, true) : 0n, child };
    });
    this.#expectRoom(view, count, records, level, what);
    return slots;
  }

  /** Records lie behind the slots and do not overlap, and what is in use is counted. */
  #expectRoom(view: DataView, count: number, records: [number, number][], level: number, what: string): void {
    records.sort(([a], [b]) => a - b);
    const start = view.getUint16(6, true);
    this.#expect(start >= header + 16 * count && start <= blockBytes, `${what}: start ${start}`);
    let end = start;
    let used = 16 * count;
    for (const [from, to] of records) {
      this.#expect(from >= end && to <= blockBytes, `${what}: record ${from} … ${to} overlaps`);
      used += to - from;
      end = to;
    }
    this.#expect(
      records.length > 0 || start === blockBytes,
      `${what}: start ${start}, but there is no record`,
    );
    this.#expect(
      view.getUint16(4, true) === used,
      `${what}: ${view.getUint16(4, true)} bytes in use, not ${used}`,
    );
    if (level === 0) this.#leafBytes += used;
  }

  #expectOrder(slots: Slot[], low: Uint8Array | null, high: Uint8Array | null, what: string): void {
    let before = low;
    for (const [i, { key }] of slots.entries()) {
      // The first key of a leaf may be the separator before it.
      const order = before === null ? 1 : compareBytes(key, before);
      this.#expect(order > 0 || (order === 0 && i === 0), `${what}: slot ${i} is not in order`);
      before = key;
    }
    const last = slots.at(-1);
    if (last !== undefined && high !== null)
      this.#expect(compareBytes(last.key, high) < 0, `${what}: its last key is not below the next separator`);
  }

  #leaf(node: number, view: DataView, slots: Slot[]): void {
    this.#leaves++;
    if (this.#firstLeaf === 0) this.#firstLeaf = node;
    this.#expect(view.getUint32(20, true) === this.#before, `node ${node}: previous leaf`);
    if (this.#before !== 0)
      this.#expect(
        this.#view(this.#before).getUint32(16, true) === node,
        `node ${this.#before}: next leaf is not ${node}`,
      );
    this.#before = node;
    this.#entries += slots.length;
    for (const { key, value } of slots) {
      this.#expect(value < 2n ** 53n, `node ${node}: value ${value}`);
      this.visit(key, Number(value));
    }
  }

  #inner(
    view: DataView,
    level: number,
    slots: Slot[],
    low: Uint8Array | null,
    high: Uint8Array | null,
  ): void {
    this.#node(view.getUint32(12, true), level - 1, low, slots[0]?.key ?? high);
    for (const [i, { key, child }] of slots.entries())
      this.#node(child, level - 1, key, slots[i + 1]?.key ?? high);
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
