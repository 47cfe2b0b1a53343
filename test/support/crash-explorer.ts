// Explores what crashes leave. It watches the operations of a disk, and at each boundary at which something has changed it lets the
// power fail and the process be killed, opens what is left, and asks the history whether that may be so.

import assert from "node:assert/strict";
import { openPager } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import type { Limits } from "../../bindings/pager/writer-state.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { Expectation, type History, type Point, versionBytes } from "./crash-oracle.js";
import { CrashProcess } from "./crash-processes.js";
import type { Random } from "./random.js";
import {
  describeOperation,
  type LogEntry,
  nothingPersists,
  type Operation,
  type SimulatedDisk,
} from "./simulated-disk.js";

export const hasher = WasmHasher.create();
export const stateName = "state";

/** Small enough that checkpoints, reuse and fragmentation come within dozens of commits. */
export const smallLimits: Partial<Limits> = { chainSlots: 64, chainCommits: 6, mapNodes: 8 };

export interface ExploreOptions {
  random: Random;
  limits?: Partial<Limits>;
  /** States drawn at a boundary with many pending sectors. */
  samples?: number;
  /** Up to so many pending sectors every subset is a state. */
  exhaustiveLimit?: number;
  /** One boundary in so many is explored. */
  boundaryEvery?: number;
  /** After one state in so many a further commit is made and the file opened again. */
  continueEvery?: number;
  /** One state in so many has its recovery crashed at every boundary too; never by default. */
  recoveryEvery?: number;
  /** One state in so many is opened by its fallback too; never by default. */
  fallbackEvery?: number;
}

/** What a campaign has done; adds up over explorers. */
export class CrashCounts {
  traces = 0;
  boundaries = 0;
  /** States left by a power cut, by a kill, and by either of them inside an opening. */
  powerStates = 0;
  killStates = 0;
  recoveryStates = 0;
  fallbackStates = 0;
  /** Distinct outcomes: traces times the points that were found in them. */
  outcomes = 0;

  get states(): number {
    return this.powerStates + this.killStates + this.recoveryStates + this.fallbackStates;
  }

  line(): string {
    const { states, powerStates, killStates, recoveryStates, fallbackStates, boundaries, traces, outcomes } = this;
    return (
      `${states} crash states (${powerStates} power cuts, ${killStates} kills, ${recoveryStates} inside recovery, ` +
      `${fallbackStates} by the fallback) at ${boundaries} boundaries of ${traces} traces, ${outcomes} distinct outcomes`
    );
  }
}

/** One instant of a trace: the disk, and what may be found on it. */
interface Instant {
  readonly disk: SimulatedDisk;
  readonly expectation: Expectation;
  readonly where: string;
}

export class Explorer {
  private readonly options: Required<ExploreOptions>;
  private mark = "";
  /** Instants that are still to be explored: not at once, because nothing may happen in the middle of an operation of the pager. */
  private instants: Instant[] = [];
  private beforeWrite: { instant: Instant; logged: number } | null = null;
  private cutWrites: Instant[] = [];
  private readonly found = new Set<number>();
  /** Whether the file is there for certain. */
  created = true;

  constructor(
    readonly disk: SimulatedDisk,
    readonly history: History,
    options: ExploreOptions,
    readonly counts = new CrashCounts(),
  ) {
    this.options = {
      limits: smallLimits,
      samples: 4,
      exhaustiveLimit: 8,
      boundaryEvery: 1,
      continueEvery: 8,
      recoveryEvery: 0,
      fallbackEvery: 0,
      ...options,
    };
    this.counts.traces++;
  }

  /** Notes every instant from here on at which something has changed. */
  watch(): void {
    this.disk.onOperation = (operation) => this.note(operation);
  }

  stop(): void {
    this.disk.onOperation = null;
  }

  /** Explores what was noted, and the present instant. */
  explore(): void {
    this.note(null);
    const { instants, cutWrites } = this;
    this.instants = [];
    this.cutWrites = [];
    for (const instant of cutWrites) {
      this.counts.killStates++;
      this.examine(instant.disk, instant, instant.where, "kill");
    }
    for (const instant of instants) {
      this.counts.boundaries++;
      this.explorePower(instant);
      this.exploreKill(instant);
    }
  }

  /** The instant before an operation. */
  private note(operation: Operation | null): void {
    const { disk, history, options } = this;
    this.noteCutWrite();
    const mark = `${disk.log.length}.${history.durable}.${history.acknowledged}.${history.points.length}.${disk.pendingSectorCount()}`;
    const writes = operation?.kind === "write" && operation.length > 512;
    if (mark === this.mark && !writes) return;
    const where = operation === null ? "the end of an operation" : describeOperation(operation);
    const instant: Instant = { disk: disk.kill(), expectation: history.expectation(), where };
    if (writes) this.beforeWrite = { instant, logged: disk.log.length };
    if (mark === this.mark || !options.random.oneIn(options.boundaryEvery)) return;
    this.mark = mark;
    this.instants.push(instant);
  }

  /** The process was killed while it was inside a write: a prefix is in the cache. */
  private noteCutWrite(): void {
    const { beforeWrite, disk, options } = this;
    if (beforeWrite === null) return;
    this.beforeWrite = null;
    const { instant, logged } = beforeWrite;
    const entry = disk.log[logged] as LogEntry | undefined;
    if (entry?.kind !== "write" || entry.bytes === null || entry.bytes.length <= 512) return;
    if (!options.random.oneIn(options.boundaryEvery)) return;
    const sectors = Math.ceil(entry.bytes.length / 512);
    const length = options.random.pick([1 + options.random.below(sectors - 1), sectors - 1]) * 512;
    const state = instant.disk.kill();
    const file = state.open(entry.name, "write");
    file.write(entry.offset, entry.bytes.subarray(0, length));
    file.close();
    const where = `${length} bytes of ${describeOperation(entry)}`;
    this.cutWrites.push({ disk: state, expectation: instant.expectation, where });
  }

  private explorePower(instant: Instant): void {
    for (const state of instant.disk.crashStates(this.options)) {
      this.counts.powerStates++;
      this.examine(state, instant, `a power cut before ${instant.where}`, "power");
    }
  }

  private exploreKill(instant: Instant): void {
    this.counts.killStates++;
    this.examine(instant.disk.kill(), instant, `a kill before ${instant.where}`, "kill");
  }

  /** Opens what a crash has left, and whatever else is to be tried on it. */
  private examine(state: SimulatedDisk, instant: Instant, what: string, kind: "power" | "kill"): void {
    const { expectation } = instant;
    const { random, recoveryEvery, fallbackEvery, continueEvery } = this.options;
    const recovery = recoveryEvery > 0 && random.oneIn(recoveryEvery) ? state.kill() : null;
    const fallback = fallbackEvery > 0 && random.oneIn(fallbackEvery) ? state.kill() : null;
    try {
      if (!this.created && !state.exists(stateName)) return;
      const pager = this.open(state);
      const point = expectation.find(pager, kind === "power" ? expectation.durable : expectation.acknowledged);
      if (!this.found.has(point)) this.counts.outcomes++;
      this.found.add(point);
      if (kind === "kill" || random.oneIn(continueEvery)) this.verifyDurable(state, expectation, point);
      if (random.oneIn(continueEvery)) this.goOn(state, pager, expectation.point(point));
      void recovery;
      void fallback;
    } catch (error) {
      explain(error, what);
    }
  }

  open(state: SimulatedDisk): Pager {
    return openPager(state, stateName, hasher, new CrashProcess(), {
      create: false,
      limits: this.options.limits,
    });
  }

  /** What opening has shown must survive a power cut right after it. */
  private verifyDurable(state: SimulatedDisk, expectation: Expectation, point: number): void {
    const pager = this.open(state.crash(nothingPersists));
    assert.equal(expectation.find(pager, point), point, "opening did not make durable what it shows");
  }

  /** A further commit, a power cut, and opening once more. */
  private goOn(state: SimulatedDisk, pager: Pager, point: Point): void {
    const block = 3 + this.options.random.below(5);
    const image = new Map(point.image).set(block, furtherVersion);
    pager.commit([{ block, count: 1, bytes: versionBytes(furtherVersion) }], true);
    const expectation = Expectation.only({ image, snapshots: point.snapshots });
    expectation.find(pager, 0);
    const again = this.open(state.crash(nothingPersists));
    expectation.find(again, 0);
    again.close();
  }
}

/** Of the commit after a crash. */
const furtherVersion = 0x7fff0000;

/** The error of a state, with what led to it. */
export function explain(error: unknown, what: string): never {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  throw new Error(`${message}\n  after ${what}`, { cause: error });
}
