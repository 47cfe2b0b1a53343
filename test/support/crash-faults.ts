// Runs a workload with one fault in it, and holds the pager to what it promises: whatever fails says so with a coded error, after which
// either the handle goes on at the last acknowledged commit or it writes nothing any more; and nothing that was promised is lost.

import assert from "node:assert/strict";
import { type ErrorCode, PerdureError } from "../../bindings/base/errors.js";
import { openPager } from "../../bindings/pager/open.js";
import { explain, hasher, smallLimits, stateName } from "./crash-explorer.js";
import { Expectation, type History, versionBytes } from "./crash-oracle.js";
import { CrashProcess } from "./crash-processes.js";
import { Workload, type WorkloadOptions } from "./crash-workloads.js";
import { Random } from "./random.js";
import {
  type Chooser,
  type Fault,
  type FaultKind,
  nothingPersists,
  type OperationKind,
  SeededChooser,
  type SimulatedDisk,
} from "./simulated-disk.js";

export interface FaultPlan {
  /** Of the disk's operations from the beginning of the run; −1 for none. */
  index: number;
  kind: FaultKind;
  sticky: boolean;
  /** Of a failed flush: what it wrote all the same. */
  persisted?: Chooser;
  /** Of a short write. */
  appliedBytes?: number;
}

/** What a run begins with. It is copied, never changed. */
export interface FaultBase {
  disk: SimulatedDisk;
  history: History;
}

/** Codes with which a failing device may be reported. */
const expectedCodes: readonly ErrorCode[] = ["IO", "NO_SPACE", "FENCED"];

export class FaultCounts {
  runs = 0;
  fired = 0;
  /** Operations that reported an error, after which the handle went on, and after which it did not. */
  survived = 0;
  poisoned = 0;
  failedOpenings = 0;
  openings = 0;

  line(): string {
    const { runs, fired, survived, poisoned, failedOpenings, openings } = this;
    return (
      `${runs} runs with ${fired} faults: ${survived} errors that the handle survived, ${poisoned} that ended it, ` +
      `${failedOpenings} failed openings, ${openings} openings afterwards`
    );
  }
}

export class FaultRun {
  private readonly disk: SimulatedDisk;
  private readonly history: History;
  private readonly workload: Workload;
  private readonly random: Random;
  private fault: Fault | null = null;
  private readonly done: string[] = [];
  /** Where the disk's operations begin to count. */
  private readonly begin: number;

  constructor(
    base: FaultBase,
    private readonly plan: FaultPlan,
    private readonly seed: number,
    private readonly counts: FaultCounts,
    options: WorkloadOptions = {},
  ) {
    this.disk = base.disk.kill();
    this.history = base.history.fork();
    this.random = new Random(seed);
    this.workload = new Workload(this.disk, this.history, this.random, options);
    this.begin = this.disk.operationCount;
  }

  /** Runs some operations and then looks at what is there; returns the operations of the disk. */
  async run(steps: number): Promise<OperationKind[]> {
    const { plan, disk } = this;
    const operations: OperationKind[] = [];
    disk.onOperation = ({ kind }) => void operations.push(kind);
    this.counts.runs++;
    if (plan.index >= 0) {
      const { kind, sticky, persisted, appliedBytes } = plan;
      this.fault = disk.failAt(this.begin + plan.index, kind, {
        sticky,
        ...(persisted && { persisted }),
        ...(appliedBytes !== undefined && { appliedBytes }),
      });
    }
    try {
      for (let i = 0; i < steps; i++) await this.step();
      if (this.fault !== null && this.fault.fired > 0) this.counts.fired++;
      disk.onOperation = null;
      disk.clearFaults();
      this.verifyCrashes();
      await this.verifyHandle();
      return operations;
    } catch (error) {
      const { index, kind, sticky } = plan;
      const what = `${kind} at ${index}${sticky ? " and later" : ""}, seed ${this.seed}: ${this.done.join(", ")}`;
      explain(error, what);
    }
  }

  private async step(): Promise<void> {
    if (this.workload.handle === null) {
      this.reopen();
      return;
    }
    try {
      await this.workload.step((name) => this.done.push(name));
    } catch (error) {
      this.done.push(`${checkExpected(error)}!`);
      this.recover();
    }
  }

  /** After an error: the handle goes on at the last commit, or never writes again. */
  private recover(): void {
    const { workload, history } = this;
    workload.dropReaders();
    if (workload.handle === null) {
      this.counts.poisoned++;
      return;
    }
    workload.rollback();
    if (canWrite(workload)) {
      history.withdraw();
      this.counts.survived++;
      return;
    }
    this.counts.poisoned++;
    try {
      workload.pager.close();
    } catch (error) {
      checkExpected(error);
    }
    workload.drop();
  }

  /** Opens the file again in a new process, which must find what was promised to those before. */
  private reopen(): void {
    const { workload, history } = this;
    this.done.push("open");
    try {
      const expectation = history.expectation();
      workload.open();
      const point = expectation.find(workload.pager, expectation.acknowledged);
      history.settle(point);
      this.counts.openings++;
    } catch (error) {
      this.done.push(`${checkExpected(error)}!`);
      this.counts.failedOpenings++;
      workload.drop();
    }
  }

  /** The process is killed, the system forgets what it could not write, the power fails. */
  private verifyCrashes(): void {
    const { disk, history, seed } = this;
    const expectation = history.expectation();
    const killed = disk.kill();
    const forgotten = disk.kill();
    if (forgotten.exists(stateName)) forgotten.evict(stateName);
    const chooser = new SeededChooser(new Random(seed));
    this.verifyOpening(killed, expectation, expectation.acknowledged, "a kill");
    this.verifyOpening(forgotten, expectation, expectation.durable, "a kill, with clean pages dropped");
    for (const one of [nothingPersists, chooser, chooser]) {
      this.verifyOpening(disk.crash(one), expectation, expectation.durable, "a power cut");
    }
  }

  private verifyOpening(state: SimulatedDisk, expectation: Expectation, from: number, what: string): void {
    if (!expectation.created && !state.exists(stateName)) return;
    this.counts.openings++;
    try {
      const open = () =>
        openPager(state, stateName, hasher, new CrashProcess(), { create: false, limits: smallLimits });
      const pager = open();
      const point = expectation.find(pager, from);
      const { image, snapshots } = expectation.point(point);
      const version = 0x7fff0000;
      pager.commit([{ block: 1, count: 1, bytes: versionBytes(version) }], true);
      const further = Expectation.only({ image: new Map(image).set(1, version), snapshots });
      further.find(pager, 0);
      pager.close();
      further.find(open(), 0);
    } catch (error) {
      explain(error, what);
    }
  }

  /** A handle that is still there commits again as soon as the fault is over. */
  private async verifyHandle(): Promise<void> {
    const { workload, history } = this;
    if (workload.handle === null) {
      this.reopen();
      assert.ok(workload.handle, "the file cannot be opened although nothing fails any more");
    }
    const pager = workload.pager;
    workload.rollback();
    try {
      workload.commit(1, true);
    } catch (error) {
      // A fence set by a compaction that failed half way is found only now.
      assert.equal(checkExpected(error), "FENCED");
      workload.drop();
      return this.verifyHandle();
    }
    const expectation = history.expectation();
    assert.equal(expectation.find(pager, expectation.acknowledged), expectation.acknowledged);
    workload.close();
    const again = workload.open();
    assert.equal(expectation.find(again, expectation.acknowledged), expectation.acknowledged);
  }
}

/** An error that a failing device explains; returns its code. Anything else is a bug, and thrown. */
function checkExpected(error: unknown): ErrorCode {
  if (!(error instanceof PerdureError)) throw error;
  if (!expectedCodes.includes(error.code)) throw error;
  return error.code;
}

/** Whether the handle still writes. Asks without doing anything: there is nothing to commit. */
function canWrite(workload: Workload): boolean {
  try {
    workload.pager.commit([], false);
    return true;
  } catch (error) {
    checkExpected(error);
    return false;
  }
}
