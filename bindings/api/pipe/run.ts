/**
 * One run of a pipe, from its cursor on.
 *
 * Invariants. Every commit has the cursor that belongs to what the stages did to the memory: it is written before each, whoever makes it; none is
 * admitted while a record is on its way; and where records wait in a batch a commit waits too. So whichever commit a crash leaves, going on from
 * its cursor skips nothing and repeats nothing.
 */
import { PerdureError } from "../../base/errors.js";
import { nextTurn } from "../../base/turn.js";
import type { Session } from "../session.js";
import { type Allocator, type PipeRecord, PipeRecords, PipeState, type Progress } from "./record.js";
import type { Reader, Source, Start } from "./source.js";
import { connect, type RunContext, type Sink, type Stage, type Target } from "./stages.js";

export interface Definition {
  readonly name: string;
  readonly source: Source;
  readonly stages: readonly Stage[];
  readonly checkpoint: number;
  /** Where records go that cannot be read; null to stop at the first. */
  readonly deadLetters: Target | null;
}

export interface RunOptions {
  /** Ends the run at a checkpoint of its own; `finished` is then false. */
  signal?: AbortSignal;
  /** The most records to read in this run. */
  limit?: number;
  /** At the end of a table, a file or a stream of records: wait for more instead of ending. */
  follow?: boolean;
  /** After each checkpoint, and about ten times a second. */
  onProgress?(progress: PipeProgress): void;
  /** The stages differ from those of the run before, and that is meant: go on with them from the cursor. */
  redefine?: boolean;
}

export interface PipeProgress {
  /** Read so far, in all runs. */
  readonly records: number;
  /** Still to come, when the source can tell; an estimate for files. */
  readonly remaining: number | undefined;
  /** In this run. */
  readonly recordsPerSecond: number;
  readonly remainingMs: number | undefined;
}

export interface PipeResult {
  readonly name: string;
  /** Read in this run. */
  readonly records: number;
  /** That left the last stage, in this run. */
  readonly emitted: number;
  /** That the source could not read, in this run. */
  readonly rejected: number;
  /** Whether the source came to its end. */
  readonly finished: boolean;
  /** What `reduce` has made. */
  readonly value: unknown;
}

/** Milliseconds after which a run lets others run. */
const SLICE_MS = 12;
const PROGRESS_MS = 100;
/** Records between two looks at the clock. */
const SLICE_RECORDS = 1024;

/** Names of the pipes of a memory that are running in this process. */
const running = new WeakMap<Session, Set<string>>();

export function isRunning(memory: Session, name: string): boolean {
  return running.get(memory)?.has(name) === true;
}

export class PipeRun {
  private readonly context: RunContext;
  private record!: PipeRecord;
  private reader!: Reader<unknown>;
  private sink!: Sink;
  private isAsync = false;
  private rejected = 0;
  /** Records at the last checkpoint. */
  private settled = 0;
  private begun = 0;
  private beganAt = 0;
  private toldAt = 0;
  private options: RunOptions = {};
  private state: number = PipeState.Running;
  private hold: Disposable | null = null;

  constructor(
    private readonly memory: Session & Allocator,
    private readonly definition: Definition,
    private readonly signature: bigint,
  ) {
    this.context = {
      pipe: definition.name,
      records: 0,
      emitted: 0,
      sequence: 0,
      accumulator: undefined,
      pending: 0,
      flushes: [],
      failed: (stage, error) => this.failure(stage, error),
    };
  }

  async run(options: RunOptions): Promise<PipeResult> {
    const { memory, definition } = this;
    const { name } = definition;
    memory.refuseInside(`run() of pipe ${JSON.stringify(name)}`);
    memory.engine.ensureWritable();
    verifyLimit(options.limit);
    const names = running.get(memory) ?? new Set();
    running.set(memory, names);
    if (names.has(name)) throw new PerdureError("BUSY", `pipe ${JSON.stringify(name)} is running already`);
    names.add(name);
    this.hold = memory.auto.hold();
    const complete = () => this.save(this.state);
    try {
      if (memory.engine.dirty) memory.commitNow(false);
      return await this.runHeld(options, complete);
    } catch (error) {
      this.undo();
      throw error;
    } finally {
      memory.beforeCommit.delete(complete);
      names.delete(name);
      this.hold?.[Symbol.dispose]();
    }
  }

  /** What was not committed goes; a memory that was closed has committed what its cursor says. */
  private undo(): void {
    if (!this.memory.isOpen) return;
    try {
      this.memory.engine.rollback();
    } catch {
      // It is suspended then, and says so at the next write; the error that led here tells more.
    }
  }

  private async runHeld(options: RunOptions, complete: () => void): Promise<PipeResult> {
    const { memory, definition, context } = this;
    this.options = options;
    const before = this.begin();
    const { reverts } = memory.engine;
    this.reader = await definition.source.open(this.start(before));
    try {
      this.ensureNotReverted(reverts);
      this.sink = connect(definition.stages, context);
      this.isAsync = definition.stages.some((stage) => stage.isAsync);
      this.beganAt = performance.now();
      memory.beforeCommit.add(complete);
      const finished = await this.readAll();
      await this.flush();
      this.state = finished ? PipeState.Finished : PipeState.Stopped;
      this.checkpoint();
      this.tell(true);
      return {
        name: definition.name,
        records: context.records - this.begun,
        emitted: context.emitted - before.emitted,
        rejected: this.rejected - before.rejected,
        finished,
        value: context.accumulator,
      };
    } finally {
      this.reader.close();
    }
  }

  /** Finds or makes the cursor. */
  private begin(): Progress {
    const { memory, definition, context, signature } = this;
    const { name, source } = definition;
    const records = new PipeRecords(memory);
    const found = records.find(name);
    if (found !== null && found.signature !== signature) {
      if (this.options.redefine !== true)
        throw new PerdureError(
          "LAYOUT",
          `pipe ${JSON.stringify(name)}: its source or stages differ from those that its cursor belongs to; reset() it, or run({ redefine: true })`,
        );
      records.redefine(name, signature);
    }
    if (found === null) {
      this.record = records.create(name, signature, source);
    } else this.record = found.record;
    const before = this.record.progress;
    context.records = before.records;
    context.emitted = before.emitted;
    context.sequence = before.sequence;
    const text = this.record.accumulator;
    if (text !== null) context.accumulator = JSON.parse(text);
    this.rejected = before.rejected;
    this.begun = before.records;
    this.settled = before.records;
    this.record.progress = { ...before, state: PipeState.Running };
    memory.commitNow(false);
    return before;
  }

  private start(before: Progress): Start {
    const { memory, definition } = this;
    return {
      memory,
      pipe: definition.name,
      offset: before.offset,
      slot: before.slot,
      records: before.records,
      fingerprint: before.fingerprint,
      follow: this.options.follow === true,
      reject: (error, bytes) => this.reject(error, bytes),
    };
  }

  /** True at the end of the source. */
  private async readAll(): Promise<boolean> {
    const { options, definition, context } = this;
    const signal = options.signal ?? new AbortController().signal;
    const last = this.begun + (options.limit ?? Number.POSITIVE_INFINITY);
    let pausedAt = performance.now();
    while (!signal.aborted && context.records < last) {
      const due = Math.max(1, this.settled + definition.checkpoint - context.records);
      const taken = await this.take(Math.min(due, last - context.records, SLICE_RECORDS));
      if (taken === 0) {
        if (!(await this.more(signal))) return true;
        pausedAt = performance.now();
        continue;
      }
      if (context.records - this.settled >= definition.checkpoint && context.pending === 0) this.checkpoint();
      if (performance.now() - pausedAt > SLICE_MS) {
        this.tell(false);
        await this.paused(nextTurn());
        pausedAt = performance.now();
      }
    }
    return false;
  }

  /** Waits for the source. If it takes longer than others take to have a turn, nothing is left undone meanwhile. */
  private async more(signal: AbortSignal): Promise<boolean> {
    const more = this.reader.more(signal);
    if (typeof more === "boolean") return more;
    const soon = await this.paused(Promise.race([more, nextTurn()]));
    if (soon !== undefined) return soon;
    await this.flush();
    if (this.context.records > this.settled) this.checkpoint();
    // While this run waits, what others do is committed as ever.
    this.hold?.[Symbol.dispose]();
    try {
      return await this.paused(more);
    } finally {
      this.hold = this.memory.auto.hold();
    }
  }

  /** Sends records through the stages; no commit comes in between. */
  private take(most: number): number | Promise<number> {
    const { memory, context, sink } = this;
    if (this.isAsync) return this.takeOne();
    memory.depth++;
    try {
      return this.reader.take((record) => {
        sink(record);
        context.records++;
      }, most);
    } finally {
      memory.depth--;
    }
  }

  private async takeOne(): Promise<number> {
    const { memory, context, sink } = this;
    memory.depth++;
    try {
      const waiting: (void | Promise<void>)[] = [];
      const taken = this.reader.take((record) => waiting.push(sink(record)), 1);
      await waiting[0];
      context.records += taken;
      return taken;
    } finally {
      memory.depth--;
    }
  }

  /** Passes on what waits in stages: a batch is cut short where there is nothing more at hand. */
  private async flush(): Promise<void> {
    const { memory, context } = this;
    memory.depth++;
    try {
      for (const flush of context.flushes) await flush();
    } finally {
      memory.depth--;
    }
  }

  /** Lets others run. What they do to the memory stays, except that nobody may take back what this run has done. */
  private async paused<T>(promise: Promise<T>): Promise<T> {
    const { memory, context } = this;
    const { reverts } = memory.engine;
    // The cursor stands before the first record of a batch, the memory after the last.
    const isWhole = context.pending === 0;
    if (!isWhole) memory.depth++;
    try {
      return await promise;
    } finally {
      if (!isWhole) memory.depth--;
      memory.ensureOpen();
      this.ensureNotReverted(reverts);
    }
  }

  private ensureNotReverted(reverts: number): void {
    if (this.memory.engine.reverts === reverts) return;
    const name = JSON.stringify(this.definition.name);
    throw new PerdureError("STALE", `pipe ${name}: the memory was rolled back or restored while it ran`);
  }

  private checkpoint(): void {
    const { memory } = this;
    memory.commitNow(memory.settings.durability === "flush");
    this.settled = this.context.records;
    this.tell(false);
  }

  private save(state: number): void {
    const { context, reader } = this;
    this.record.progress = {
      offset: reader.offset,
      slot: reader.slot,
      records: context.records,
      emitted: context.emitted,
      sequence: context.sequence,
      rejected: this.rejected,
      fingerprint: reader.fingerprint(),
      remaining: reader.remaining(context.records - this.begun),
      state,
    };
    if (context.accumulator !== undefined) this.record.accumulator = JSON.stringify(context.accumulator);
  }

  private tell(always: boolean): void {
    const { onProgress } = this.options;
    const now = performance.now();
    if (onProgress === undefined || (!always && now - this.toldAt < PROGRESS_MS)) return;
    this.toldAt = now;
    const { context, reader, begun, beganAt } = this;
    const done = context.records - begun;
    const recordsPerSecond = done / Math.max(1e-3, (now - beganAt) / 1000);
    const remaining = reader.remaining(done);
    const remainingMs =
      remaining === undefined || done === 0 ? undefined : (1000 * remaining) / recordsPerSecond;
    onProgress({ records: context.records, remaining, recordsPerSecond, remainingMs });
  }

  private reject(error: Error, bytes: Uint8Array): void {
    const { deadLetters, name } = this.definition;
    if (deadLetters === null) throw error;
    deadLetters.insert({ pipe: name, reason: error.message, data: bytes } as never);
    this.rejected++;
  }

  private failure(stage: Stage, cause: unknown): PerdureError {
    const { name } = this.definition;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const where = `stage ${stage.place} (${stage.kind}) at record ${this.context.records + 1}`;
    return new PerdureError("STAGE", `pipe ${JSON.stringify(name)}, ${where}: ${reason}`, { cause });
  }
}

function verifyLimit(limit: number | undefined): void {
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    throw new PerdureError(
      "INVALID_ARGUMENT",
      `the limit of a run is a number of records, not ${String(limit)}`,
    );
}
