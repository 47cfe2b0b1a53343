// The machine around a simulated disk: the processes, the hook that sees each operation before it happens, the
// faults, the log, and the flushes that run off the thread.

import type { PerdureError } from "../../bindings/base/errors.js";
import { type Chooser, nothingPersists } from "./crash-chooser.js";
import { Fault, type FaultKind, type FaultOptions } from "./disk-faults.js";
import { changesSomething, type LogEntry, type Operation, SimulatedCrash } from "./disk-operations.js";
import type { SimulatedFile } from "./simulated-file.js";

/**
 * Carries an operation out. `mostBytes` of a write are to be applied; a flush that is to fail is given the fault.
 * Returns false or null when nothing was changed after all.
 */
export type Effect<T> = (mostBytes: number, fault: Fault | null) => T;

/** A flush that was called and has not ended. */
export interface FlushUnderWay {
  readonly operation: Operation;
  readonly file: SimulatedFile;
  /** It covers the changes up to this one. */
  readonly order: number;
  readonly fault: Fault | null;
  /** The write-back error that this description has not been told of yet. */
  tell(): PerdureError | null;
  settle(error: Error | null): void;
}

export class DiskMachine {
  /**
   * Called before every operation, reads included. It may throw a SimulatedCrash to stop the process, and it may do
   * anything else on this disk, as another process would in between; then it is called for those operations too.
   */
  onOperation: ((operation: Operation) => void) | null = null;

  /** All operations that changed something or made it durable, in order. Its bytes must not be changed. */
  readonly log: LogEntry[] = [];

  /** Whether a flush off the thread ends in the next microtask; if not, `completeFlush` ends it. */
  automaticFlush = true;

  readonly flushesUnderWay: FlushUnderWay[] = [];

  /** The number of the latest change; changes that a kill leaves pending keep theirs. */
  lastOrder = 0;

  private count = 0;
  private faults: Fault[] = [];
  private readonly stopped = new Map<string, SimulatedCrash>();

  /** Operations so far; the index of the next one. */
  get operationCount(): number {
    return this.count;
  }

  /** A number for a change, larger than that of every change before. */
  nextOrder(): number {
    return ++this.lastOrder;
  }

  /** Plans an error at the operation of that index, or at the first for which the predicate holds. */
  failAt(
    where: number | ((operation: Operation) => boolean),
    kind: FaultKind,
    options: FaultOptions = {},
  ): Fault {
    const fault = new Fault(where, kind, options);
    this.faults.push(fault);
    return fault;
  }

  clearFaults(): void {
    this.faults = [];
  }

  /** Stops a process for ever: it does no operation any more. Its flushes under way may have ended or not. */
  stop(process: string, crash = new SimulatedCrash()): void {
    if (this.stopped.has(process)) return;
    crash.process = process;
    this.stopped.set(process, crash);
    for (const flush of this.flushesUnderWay.slice()) {
      if (flush.operation.process !== process) continue;
      this.flushesUnderWay.splice(this.flushesUnderWay.indexOf(flush), 1);
      flush.settle(crash);
    }
  }

  checkRunning(process: string): void {
    const crash = this.stopped.get(process);
    if (crash !== undefined) throw crash;
  }

  /** Hook, crash, fault, effect, log: the life of every operation. Gives it its index. `bytes` are those of a write. */
  perform<T>(operation: Operation, effect: Effect<T>, bytes: Uint8Array | null = null): T {
    this.checkRunning(operation.process);
    operation.index = this.count++;
    const crash = this.onOperation === null ? null : this.callHook(operation);
    const fault =
      this.faults.length === 0 ? null : (this.faults.find((one) => one.strikes(operation)) ?? null);
    let mostBytes = crash?.applied ?? operation.length;
    if (fault !== null && operation.kind !== "flush" && operation.kind !== "flushAsync") {
      mostBytes = Math.min(mostBytes, fault.appliedBytes(operation.length));
      if (mostBytes === 0) throw crash ?? fault.error(operation);
    }
    const result = effect(mostBytes, fault);
    if (changesSomething(operation.kind) && result !== null && result !== false) {
      this.log.push({ ...operation, bytes: bytes?.subarray(0, mostBytes) ?? null });
    }
    if (crash !== null) throw crash;
    if (fault !== null && operation.kind !== "flushAsync") throw fault.error(operation);
    return result;
  }

  /** Starts a flush off the thread. */
  beginFlush(
    operation: Operation,
    file: SimulatedFile,
    fault: Fault | null,
    tell: () => PerdureError | null,
  ): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      const flush: FlushUnderWay = {
        operation,
        file,
        order: this.lastOrder,
        fault,
        tell,
        settle: (error) => (error === null ? resolve() : reject(error)),
      };
      this.flushesUnderWay.push(flush);
      if (this.automaticFlush) queueMicrotask(() => this.endFlush(flush));
    });
    promise.catch(() => {}); // Whoever was stopped will not look at it.
    return promise;
  }

  /** Ends the i-th of the flushes under way. It fails if that was planned or `persisted` says what it wrote till then. */
  completeFlush(index = 0, persisted?: Chooser): void {
    const flush = this.flushesUnderWay[index];
    if (flush === undefined) throw new RangeError(`no flush ${index} is under way`);
    this.endFlush(flush, persisted);
  }

  private endFlush(flush: FlushUnderWay, persisted?: Chooser): void {
    const index = this.flushesUnderWay.indexOf(flush);
    if (index < 0) return;
    this.flushesUnderWay.splice(index, 1);
    const { file, fault, order } = flush;
    if (fault !== null || persisted !== undefined) {
      file.failWriteback(order, persisted ?? fault?.options.persisted ?? nothingPersists);
      const told = flush.tell();
      flush.settle(fault?.error(flush.operation) ?? told);
    } else {
      file.persist(order);
      flush.settle(flush.tell());
    }
  }

  /** Returns the crash of a process that is stopped once the operation has had its effect. */
  private callHook(operation: Operation): SimulatedCrash | null {
    let crash: SimulatedCrash | null = null;
    try {
      this.onOperation?.(operation);
    } catch (error) {
      if (!(error instanceof SimulatedCrash) || error.process !== undefined) throw error;
      this.stop(operation.process, error);
      if (error.applied === 0) throw error;
      crash = error;
    }
    if (crash === null) this.checkRunning(operation.process);
    return crash;
  }
}
