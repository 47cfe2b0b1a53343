// One file of a simulated disk: what running processes see of it (the cache), what is on the medium for certain, and
// the changes in between.
//
// What the medium promises, and no more: a sector of 512 bytes is written whole or not at all; unflushed sectors of
// one write, and of different writes, persist or not independently of each other; the size of the file moves through
// its history in order, a write of several pages may have moved it by some of them only, and it moves independently
// of the data, so a sector beyond it is lost and a part below it that was never written reads as zeros.
//
// A failed flush does as Linux does: the pages count as clean from then on, although the medium never got them. They
// stay visible in the cache and are lost by a power cut, unless they are written again. Every description that was
// open at that moment is told once, by its own next flush.

import { type Chooser, everythingPersists } from "./crash-chooser.js";
import { PagedBytes, pageBytes } from "./paged-bytes.js";

export const sectorBytes = 512;

interface PendingWrite {
  readonly kind: "write";
  readonly order: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** On the medium already; kept here only until the size covers it. */
  readonly certain: boolean;
}

interface PendingSize {
  readonly kind: "size";
  readonly order: number;
  readonly from: number;
  readonly to: number;
  /** How many steps lead from one to the other, page by page; a power cut may leave the file at the end of each. */
  readonly steps: number;
  /** The page that the first of several steps completes. */
  readonly firstPage: number;
}

type PendingChange = PendingWrite | PendingSize;

export class SimulatedFile {
  /** The same object as `durable` until the first change; so the two differ whenever something is pending. */
  cache: PagedBytes;
  /** Failed write-backs so far; a description compares it with the count it was told of last. */
  writebackErrors = 0;
  private pending: PendingChange[] = [];

  constructor(
    readonly id: number,
    private durable = new PagedBytes(),
  ) {
    this.cache = durable;
  }

  /** `order` grows with every change of the disk. The file keeps `bytes`. */
  write(order: number, offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    const from = this.cache.size;
    if (end > from) {
      const firstPage = Math.floor(Math.max(from, offset) / pageBytes);
      const steps = Math.ceil(end / pageBytes) - firstPage;
      this.pending.push({ kind: "size", order, from, to: end, firstPage, steps });
    }
    this.pending.push({ kind: "write", order, offset, bytes, certain: false });
    this.ownCache().write(offset, bytes);
  }

  truncate(order: number, size: number): void {
    if (size === this.cache.size) return;
    this.pending.push({ kind: "size", order, from: this.cache.size, to: size, firstPage: 0, steps: 1 });
    this.ownCache().resize(size);
  }

  /** Makes durable what was changed up to `order`. */
  persist(order: number): void {
    const done = this.pending.filter((change) => change.order <= order);
    if (done.length === 0) return;
    this.pending = this.pending.filter((change) => change.order > order);
    applyChanges(this.durable, done, everythingPersists);
  }

  /**
   * A failed write-back of what was written up to `order`: sectors that the chooser keeps did reach the medium, the
   * others never will. Sizes stay pending, as they are a matter of the journal.
   */
  failWriteback(order: number, chooser: Chooser): void {
    this.writebackErrors++;
    chooser.begin?.(this.pendingSectorCount());
    this.pending = this.pending.flatMap((change): PendingChange[] => {
      if (change.kind === "size" || change.order > order || change.certain) return [change];
      const kept: PendingWrite[] = [];
      choosePieces(change, chooser, (offset, bytes) =>
        kept.push({ kind: "write", order: change.order, offset, bytes, certain: true }),
      );
      return kept;
    });
  }

  /** Drops clean pages from memory: what a failed flush has lost is no longer visible either. */
  evict(): void {
    const cache = this.durable.clone();
    applyChanges(cache, this.pending, everythingPersists);
    this.cache = cache;
  }

  /** Changes the bytes in the cache and on the medium alike, and neither's size. */
  rot(offset: number, bytes: Uint8Array): void {
    for (const content of new Set([this.cache, this.durable])) {
      content.write(offset, bytes.subarray(0, Math.max(0, content.size - offset)));
    }
  }

  /** Cuts the file, in the cache and on the medium alike. */
  cut(size: number): void {
    this.pending = [];
    this.durable = this.cache.clone();
    this.durable.resize(size);
    this.cache = this.durable;
  }

  /** What a power cut leaves. */
  afterCrash(chooser: Chooser): SimulatedFile {
    const image = this.durable.clone();
    applyChanges(image, this.pending, chooser);
    return new SimulatedFile(this.id, image);
  }

  /** The same file, with what is pending still pending. */
  copy(): SimulatedFile {
    const copy = new SimulatedFile(this.id, this.durable.clone());
    if (this.cache !== this.durable) copy.cache = this.cache.clone();
    copy.pending = this.pending.slice();
    copy.writebackErrors = this.writebackErrors;
    return copy;
  }

  /** Sectors about which a crash would ask. */
  pendingSectorCount(): number {
    let count = 0;
    for (const change of this.pending) {
      if (change.kind === "write" && !change.certain) count += sectorEnd(change) - sectorStart(change);
    }
    return count;
  }

  /** The sectors in which crash states can differ, each once. */
  pendingSectors(): number[] {
    const sectors = new Set<number>();
    for (const change of this.pending) {
      const isWrite = change.kind === "write";
      const first = isWrite ? sectorStart(change) : Math.floor(change.to / sectorBytes);
      const end = isWrite ? sectorEnd(change) : Math.ceil(change.from / sectorBytes);
      for (let sector = first; sector < end; sector++) sectors.add(sector);
    }
    return [...sectors];
  }

  hasPending(): boolean {
    return this.pending.length > 0;
  }

  private ownCache(): PagedBytes {
    if (this.cache === this.durable) this.cache = this.durable.clone();
    return this.cache;
  }
}

function sectorStart(change: PendingWrite): number {
  return Math.floor(change.offset / sectorBytes);
}

function sectorEnd(change: PendingWrite): number {
  return Math.ceil((change.offset + change.bytes.length) / sectorBytes);
}

/** Brings a content from its state before the changes to one after them, as the chooser decides. */
function applyChanges(content: PagedBytes, changes: readonly PendingChange[], chooser: Chooser): void {
  let steps = 0;
  for (const change of changes) if (change.kind === "size") steps += change.steps;
  let stepsLeft = steps === 0 ? 0 : chooser.below(steps + 1);
  let size = content.size;
  for (const change of changes) {
    if (change.kind === "write") {
      if (change.certain) content.write(change.offset, change.bytes);
      else choosePieces(change, chooser, (offset, bytes) => content.write(offset, bytes));
    } else if (stepsLeft >= change.steps) {
      stepsLeft -= change.steps;
      size = change.to;
      if (size < change.from && size < content.size) content.resize(size);
    } else if (stepsLeft > 0) {
      size = (change.firstPage + stepsLeft) * pageBytes;
      stepsLeft = 0;
    }
  }
  content.resize(size);
}

/** Calls `persist` for the parts of a write that the chooser keeps, neighbouring sectors together. */
function choosePieces(
  change: PendingWrite,
  chooser: Chooser,
  persist: (offset: number, bytes: Uint8Array) => void,
): void {
  const { offset, bytes } = change;
  const last = sectorEnd(change);
  for (let first = sectorStart(change); first < last; first += 32) {
    const count = Math.min(32, last - first);
    const kept = chooser.bits(count);
    for (let start = 0; start < count; ) {
      if (!isSet(kept, start)) {
        start++;
        continue;
      }
      let end = start + 1;
      while (end < count && isSet(kept, end)) end++;
      const from = Math.max(0, (first + start) * sectorBytes - offset);
      const to = Math.min(bytes.length, (first + end) * sectorBytes - offset);
      persist(offset + from, bytes.subarray(from, to));
      start = end;
    }
  }
}

function isSet(bits: number, index: number): boolean {
  return ((bits >>> index) & 1) === 1;
}
