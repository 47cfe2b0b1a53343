// Notes the instants of a trace at which something has changed. They are explored later: in the middle of an operation of the pager no
// other pager may run, since they share what a single thread may share.

import type { Expectation } from "./crash-oracle.js";
import type { Random } from "./random.js";
import { describeOperation, type Operation, type SimulatedDisk } from "./simulated-disk.js";

/** What is known of a history: numbers of its points, and whether the file is there for certain. */
export interface Promised {
  readonly durable: number;
  readonly acknowledged: number;
  readonly last: number;
  readonly created: boolean;
}

/** The disk before an operation, and what may be found on it. */
export interface Instant<E extends Promised = Expectation> {
  readonly disk: SimulatedDisk;
  readonly expectation: E;
  readonly where: string;
}

export class Recorder<E extends Promised = Expectation> {
  private mark = "";
  private instants: Instant<E>[] = [];
  private cutWrites: Instant<E>[] = [];
  private before: { instant: Instant<E>; logged: number } | null = null;

  constructor(
    private readonly disk: SimulatedDisk,
    private readonly expect: () => E,
    private readonly random: Random,
    /** One instant in so many is kept. */
    private readonly every = 1,
  ) {}

  watch(): void {
    this.disk.onOperation = (operation) => this.note(operation);
  }

  stop(): void {
    this.disk.onOperation = null;
  }

  /** What was noted since it was last taken, and the present instant. */
  take(): { instants: Instant<E>[]; cutWrites: Instant<E>[] } {
    this.note(null);
    const { instants, cutWrites } = this;
    this.instants = [];
    this.cutWrites = [];
    return { instants, cutWrites };
  }

  private note(operation: Operation | null): void {
    const { disk, random } = this;
    this.noteCutWrite();
    const expectation = this.expect();
    const { durable, acknowledged, last, created } = expectation;
    const mark = [disk.log.length, disk.pendingSectorCount(), durable, acknowledged, last, created].join();
    const changed = mark !== this.mark && random.oneIn(this.every);
    const writes = operation?.kind === "write" && operation.length > 512 && random.oneIn(this.every);
    if (mark !== this.mark) this.mark = mark;
    if (!changed && !writes) return;
    const where = operation === null ? "the end" : describeOperation(operation);
    const instant: Instant<E> = { disk: disk.kill(), expectation, where };
    if (changed) this.instants.push(instant);
    if (writes) this.before = { instant, logged: disk.log.length };
  }

  /** The process was killed while it was inside a write: a prefix is in the cache. */
  private noteCutWrite(): void {
    const { before, disk, random } = this;
    if (before === null) return;
    this.before = null;
    const { instant, logged } = before;
    const entry = disk.log[logged];
    if (entry?.kind !== "write" || entry.bytes === null || entry.bytes.length <= 512) return;
    const sectors = Math.ceil(entry.bytes.length / 512);
    const length = random.pick([1 + random.below(sectors - 1), sectors - 1]) * 512;
    const state = instant.disk.kill();
    if (!state.exists(entry.name)) return;
    const file = state.open(entry.name, "write");
    // The name may lead to another file by now.
    let opened = entry.file;
    state.onOperation = (operation) => {
      opened = operation.file;
    };
    file.size();
    state.onOperation = null;
    if (opened !== entry.file) return;
    file.write(entry.offset, entry.bytes.subarray(0, length));
    file.close();
    const where = `the end of the first ${length} bytes of ${describeOperation(entry)}`;
    this.cutWrites.push({ disk: state, expectation: instant.expectation, where });
  }
}
