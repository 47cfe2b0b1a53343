// Explores what crashes leave. At each instant of a trace it lets the power fail and the process be killed, opens what is left, and asks
// the history whether that may be so; then it tries what else must hold of such a state.

import assert from "node:assert/strict";
import { PerdureError } from "../../bindings/base/errors.js";
import { selectSuperblock } from "../../bindings/format/select.js";
import { decodeSuperblock } from "../../bindings/format/superblock.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager, openPagerOn } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { findCommit, readSuperblocks } from "../../bindings/pager/recover.js";
import { StateFile } from "../../bindings/pager/state-file.js";
import type { Limits } from "../../bindings/pager/writer-state.js";
import { Expectation, type History, type Point, versionBytes } from "./crash-oracle.js";
import { CrashProcess } from "./crash-processes.js";
import { type Instant, Recorder } from "./crash-recorder.js";
import type { Random } from "./random.js";
import { nothingPersists, type SimulatedDisk } from "./simulated-disk.js";

export const hasher = WasmHasher.create();
export const stateName = "state";

/** Small enough that checkpoints, reuse and fragmentation come within dozens of commits. */
export const smallLimits: Partial<Limits> = { chainSlots: 64, chainCommits: 6, mapNodes: 8 };

export interface ExploreOptions {
  random: Random;
  limits?: Partial<Limits>;
  /** States drawn at an instant with many pending sectors. */
  samples?: number;
  /** Up to so many pending sectors every subset is a state. */
  exhaustiveLimit?: number;
  /** One instant in so many is explored. */
  instantEvery?: number;
  /** After one state in so many a further commit is made and the file opened again. */
  continueEvery?: number;
  /** One state in so many has its recovery crashed at every instant too; never by default. */
  recoveryEvery?: number;
  /** One state in so many is opened by its fallback too; never by default. */
  fallbackEvery?: number;
  /** In one state in so many a slot rots; never by default. */
  rotEvery?: number;
}

/** What a campaign has done; adds up over explorers. */
export class CrashCounts {
  traces = 0;
  instants = 0;
  /** Instants with unflushed sectors of which every state was opened that a power cut can leave. */
  exhaustive = 0;
  /** States left by a power cut, by a kill, by either of them inside an opening, and those opened without their newest superblock. */
  powerStates = 0;
  killStates = 0;
  recoveryStates = 0;
  fallbackStates = 0;
  /** States in which one slot rots; they do not count as crash states. */
  rottenStates = 0;
  /** Of these, those that a coded error or a check reported. */
  reported = 0;
  /** Points that were found, summed over the traces. */
  outcomes = 0;

  get states(): number {
    return this.powerStates + this.killStates + this.recoveryStates + this.fallbackStates;
  }

  add(other: CrashCounts): void {
    for (const key of countKeys) this[key] += other[key];
  }

  line(): string {
    const { powerStates, killStates, recoveryStates, fallbackStates, instants, exhaustive, traces } = this;
    return (
      `${this.states} crash states (${powerStates} power cuts, ${killStates} kills, ${recoveryStates} inside recovery, ` +
      `${fallbackStates} without the newest superblock) at ${instants} instants, ${exhaustive} of them in full, of ` +
      `${traces} traces, ${this.outcomes} distinct outcomes`
    );
  }
}

const countKeys = [
  "traces",
  "instants",
  "exhaustive",
  "powerStates",
  "killStates",
  "recoveryStates",
  "fallbackStates",
  "rottenStates",
  "reported",
  "outcomes",
] as const;

/** What has happened to the processes: after a kill the cache is still there. */
type Crash = "power" | "kill";

export class Explorer {
  private readonly options: Required<ExploreOptions>;
  private readonly recorder: Recorder;
  private readonly found = new Set<number>();

  constructor(
    disk: SimulatedDisk,
    history: History,
    options: ExploreOptions,
    readonly counts = new CrashCounts(),
  ) {
    this.options = {
      limits: smallLimits,
      samples: 4,
      exhaustiveLimit: 8,
      instantEvery: 1,
      continueEvery: 16,
      recoveryEvery: 0,
      fallbackEvery: 0,
      rotEvery: 0,
      ...options,
    };
    this.counts.traces++;
    this.recorder = new Recorder(
      disk,
      () => history.expectation(),
      options.random,
      this.options.instantEvery,
    );
  }

  /** Notes every instant from here on. */
  watch(): void {
    this.recorder.watch();
  }

  /** Explores what was noted, and the present instant. */
  explore(): void {
    const { instants, cutWrites } = this.recorder.take();
    for (const { disk, expectation, where } of cutWrites) {
      this.counts.killStates++;
      this.examine(disk, expectation, "kill", `a kill before ${where}`);
    }
    for (const { disk, expectation, where } of instants) {
      this.counts.instants++;
      const pending = disk.pendingSectorCount();
      if (pending > 0 && pending <= this.options.exhaustiveLimit) this.counts.exhaustive++;
      for (const state of disk.crashStates(this.options)) {
        this.counts.powerStates++;
        this.examine(state, expectation, "power", `a power cut before ${where}`);
      }
      this.counts.killStates++;
      this.examine(disk, expectation, "kill", `a kill before ${where}`);
    }
  }

  /** Opens what a crash has left, and tries what else must hold of it. */
  private examine(state: SimulatedDisk, expectation: Expectation, crash: Crash, what: string): void {
    const { random, recoveryEvery, fallbackEvery, rotEvery, continueEvery } = this.options;
    const copy = (every: number) => (every > 0 && random.oneIn(every) ? state.kill() : null);
    const recover = copy(recoveryEvery);
    const fallback = copy(fallbackEvery);
    const rot = copy(rotEvery);
    try {
      if (!expectation.created && !state.exists(stateName)) return;
      // Most power cuts are opened without looking for a lock.
      const pager = crash === "kill" || random.oneIn(4) ? this.open(state) : this.openBare(state);
      const from = crash === "power" ? expectation.durable : expectation.acknowledged;
      const point = expectation.find(pager, from);
      if (!this.found.has(point)) this.counts.outcomes++;
      this.found.add(point);
      if (fallback !== null) {
        this.verifyFallback(fallback, expectation, point);
        this.verifyFallback(state.kill(), expectation, point);
      }
      if (rot !== null) {
        this.verifyRot(rot, expectation, point);
        this.verifyRot(state.kill(), expectation, point);
      }
      if (recover !== null) this.exploreRecovery(recover, expectation, point, crash);
      if (random.oneIn(crash === "kill" ? 2 : continueEvery)) this.verifyDurable(state, expectation, point);
      if (random.oneIn(continueEvery)) this.goOn(state, pager, expectation.point(point));
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

  private openBare(state: SimulatedDisk): Pager {
    return openPagerOn(state.open(stateName, "write"), hasher, {
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

  /**
   * Without its newest superblock the file holds the same, as long as there is a fallback; and also when the power fails while that is
   * being opened.
   */
  private verifyFallback(state: SimulatedDisk, expectation: Expectation, point: number): void {
    const newest = newestWithFallback(state);
    if (newest < 0) return;
    const { random } = this.options;
    state.flipBit(stateName, newest * 4096 + random.below(4096), random.below(8));
    this.counts.fallbackStates++;
    const crashed = random.oneIn(8) ? state.kill() : null;
    try {
      const pager = this.open(state);
      assert.equal(
        expectation.find(pager, expectation.durable),
        point,
        "the fallback leads to another commit",
      );
      if (crashed !== null) this.exploreRecovery(crashed, expectation, point, "kill");
    } catch (error) {
      explain(error, `rot of superblock ${newest}`);
    }
  }

  /** Any one slot rots: the file says so, or gives what is right. Only commits that no `last flushed` in it covers may be missing. */
  private verifyRot(state: SimulatedDisk, expectation: Expectation, point: number): void {
    const { random } = this.options;
    const from = expectation.pointOf(lastFlushedIn(state), point);
    const what = rotOneSlot(state, random);
    if (what === "") return;
    this.counts.rottenStates++;
    const before = state.contents(stateName);
    try {
      const pager = this.open(state);
      expectation.findDamaged(pager, from);
      if (!pager.check(true).ok) this.counts.reported++;
    } catch (error) {
      if (!(error instanceof PerdureError && error.code === "CORRUPT")) explain(error, what);
      this.counts.reported++;
      const same = Buffer.from(before.buffer).equals(state.contents(stateName));
      if (!same) explain(error, `${what}: CORRUPT, and yet the file was changed`);
    }
  }

  /** Crashes the opening of a state at every instant, and opens again. */
  private exploreRecovery(state: SimulatedDisk, expectation: Expectation, point: number, crash: Crash): void {
    const { random, exhaustiveLimit } = this.options;
    const recorder = new Recorder(state, () => expectation, random);
    recorder.watch();
    this.open(state);
    recorder.stop();
    const { instants, cutWrites } = recorder.take();
    const again = (instant: Instant, left: SimulatedDisk, second: Crash) => {
      this.counts.recoveryStates++;
      const created = expectation.created || instant === instants.at(-1);
      if (!created && !left.exists(stateName)) return;
      try {
        const pager = second === "kill" || random.oneIn(4) ? this.open(left) : this.openBare(left);
        // What is on the medium or in the cache decides, and opening does not change what it says.
        const open = second === "power" && crash === "kill" && instant !== instants.at(-1);
        const found = expectation.find(pager, open ? expectation.durable : point);
        if (!open) assert.equal(found, point, "a crash while opening has changed the outcome");
      } catch (error) {
        explain(error, `a ${second} in the opening before ${instant.where}`);
      }
    };
    for (const instant of cutWrites) again(instant, instant.disk, "kill");
    for (const instant of instants) {
      const options = { random, samples: 2, exhaustiveLimit: Math.min(exhaustiveLimit, 8) };
      for (const left of instant.disk.crashStates(options)) again(instant, left, "power");
      again(instant, instant.disk, "kill");
    }
  }
}

/** Damages a slot in one way or another and says how; the empty string when it cannot. */
function rotOneSlot(state: SimulatedDisk, random: Random): string {
  const slots = state.contents(stateName).length / 4096;
  const slot = random.oneIn(3) ? random.below(3) : random.below(Math.floor(slots));
  switch (random.below(4)) {
    case 0:
      state.zeroSlot(stateName, slot);
      return `zeros in slot ${slot}`;
    case 1: {
      const age = 1 + random.below(2);
      return state.staleSlot(stateName, slot, age) ? `what was ${age} before in slot ${slot}` : "";
    }
    default: {
      const [byte, bit] = [random.below(4096), random.below(8)];
      state.flipBit(stateName, slot * 4096 + byte, bit);
      return `a flipped bit ${bit} of byte ${byte} in slot ${slot}`;
    }
  }
}

/** The last sequence of which the file itself says that it was flushed. */
function lastFlushedIn(state: SimulatedDisk): number {
  const storage = state.open(stateName, "read");
  const file = new StateFile(storage, hasher, stateName);
  const walk = findCommit(file, readSuperblocks(file).newest);
  storage.close();
  return walk.lastFlushed;
}

/** The slot of the newest superblock, or −1 when there is no other to fall back to. */
function newestWithFallback(state: SimulatedDisk): number {
  const file = state.open(stateName, "read");
  const slots = [0, 1].map((slot) => {
    const bytes = new Uint8Array(4096);
    file.read(slot * 4096, bytes);
    return decodeSuperblock(bytes, hasher);
  });
  file.close();
  const { newest, fallback } = selectSuperblock(slots[0]!, slots[1]!);
  return fallback === null ? -1 : newest.generation % 2;
}

/** Of the commit after a crash. */
const furtherVersion = 0x7fff0000;

/**
 * The error of a state, with what led to it. A failed check stays one, and an error of the pager becomes one: whatever is explained here had
 * to succeed.
 */
export function explain(error: unknown, what: string): never {
  const message = `${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}\n  after ${what}`;
  const failed = error instanceof assert.AssertionError || error instanceof PerdureError;
  throw Object.assign(failed ? new assert.AssertionError({ message }) : new Error(message), { cause: error });
}
