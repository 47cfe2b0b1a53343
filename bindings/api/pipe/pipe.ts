/** A pipe: a source, the stages that its records go through, and the name under which its cursor is found again. */
import { PerdureError } from "../../base/errors.js";
import { layoutHash } from "../roots.js";
import type { Session } from "../session.js";
import { type Allocator, type PipeCursor, PipeRecords, PipeState } from "./record.js";
import { type Definition, isRunning, type PipeResult, PipeRun, type RunOptions } from "./run.js";
import type { Source } from "./source.js";
import {
  batchStage,
  filterStage,
  flatMapStage,
  intoStage,
  mapStage,
  type RecordKey,
  reduceStage,
  type Stage,
  type Target,
  tapStage,
} from "./stages.js";

/** Records between two checkpoints, unless said otherwise. */
const USUAL_CHECKPOINT = 10_000;

/**
 * Every method that adds a stage returns another pipe of the same name. Functions of stages are called once for each record that a run commits;
 * what they did outside of the memory since the last checkpoint is done again after a crash.
 */
export class Pipe<T> {
  /** @internal */
  constructor(
    private readonly memory: Session & Allocator,
    private readonly definition: Definition,
  ) {}

  /** Made by `Memory.pipe`. @internal */
  static begin<T>(memory: Session & Allocator, name: string, source: Source<T>): Pipe<T> {
    return new Pipe<T>(memory, { name, source, stages: [], checkpoint: USUAL_CHECKPOINT, deadLetters: null });
  }

  get name(): string {
    return this.definition.name;
  }

  /** Only the records for which `f` answers something true go on. */
  filter(f: (record: T) => unknown): Pipe<T> {
    return this.with(filterStage(f));
  }

  /** What `f` answers goes on. A row of a table may be changed in place. */
  map<U>(f: (record: T) => U): Pipe<Awaited<U>> {
    return this.with(mapStage(f));
  }

  /** Each of what `f` answers goes on. */
  flatMap<U>(f: (record: T) => Iterable<U>): Pipe<U> {
    return this.with(flatMapStage(f));
  }

  /** Calls `f`, and passes the record on. The key is the same whenever the same record comes again, so that what is outside can tell. */
  tap(f: (record: T, key: RecordKey) => unknown): Pipe<T> {
    return this.with(tapStage(f));
  }

  /** Arrays of `size` records go on; the last of a run may have fewer. */
  batch(size: number): Pipe<T[]> {
    return this.with(batchStage(size));
  }

  /** Inserts each record into a table of the same memory, and passes it on. */
  into(table: Target): Pipe<T> {
    return this.with(intoStage(table));
  }

  /** Keeps what `f` makes of what there was and each record: a value that JSON can hold, `value` of the result. */
  reduce<A>(initial: A, f: (accumulator: A, record: T) => A): Pipe<T> {
    return this.with(reduceStage(initial, f));
  }

  /** Commits the cursor, and what the stages did to the memory, together every so many records; 10,000 if not said. */
  checkpointAt(records: number): this {
    if (!Number.isSafeInteger(records) || records < 1)
      throw new PerdureError("INVALID_ARGUMENT", `checkpointAt(${String(records)}): at least one record`);
    return new Pipe(this.memory, { ...this.definition, checkpoint: records }) as this;
  }

  /** Records that the source cannot read go into a table of `{ pipe: "string", reason: "string", data: "bytes" }` instead of ending the run. */
  deadLetters(table: Target): this {
    return new Pipe(this.memory, { ...this.definition, deadLetters: table }) as this;
  }

  /**
   * Goes on where the last checkpoint was, to the end of the source. BUSY while another run of this pipe is under way; LAYOUT when the stages differ from
   * those that the cursor belongs to; STALE when the source is not what was read before. A stage that throws: all since the last checkpoint is rolled
   * back, and the error, STAGE, names pipe, stage and record.
   */
  async run(options: RunOptions = {}): Promise<PipeResult> {
    this.memory.ensureOpen();
    const run = new PipeRun(this.memory, this.definition, this.signature);
    return run.run(options);
  }

  /** Of the last checkpoint. */
  get cursor(): PipeCursor {
    const found = this.records.find(this.name);
    if (found === null) return { page: 0, slot: 0, records: 0 };
    const { offset, slot, records } = found.record.progress;
    return { page: offset, slot, records };
  }

  /** What `reduce` has made so far; undefined before it has made anything. */
  get value(): unknown {
    const text = this.records.find(this.name)?.record.accumulator ?? null;
    return text === null ? undefined : JSON.parse(text);
  }

  /** Forgets the cursor: the next run begins at the beginning. What the pipe did stays. BUSY while it runs. */
  reset(): void {
    this.verifyIdle("reset()");
    this.records.delete(this.name);
  }

  private with<U>(make: (place: number) => Stage): Pipe<U> {
    const { stages } = this.definition;
    if (stages.at(-1)?.kind === "reduce")
      throw new PerdureError("INVALID_ARGUMENT", "reduce is the last stage of a pipe");
    return new Pipe<U>(this.memory, { ...this.definition, stages: [...stages, make(stages.length + 1)] });
  }

  private verifyIdle(what: string): void {
    this.memory.ensureOpen();
    if (isRunning(this.memory, this.name))
      throw new PerdureError(
        "BUSY",
        `pipe ${JSON.stringify(this.name)} is running; ${what} waits for its end`,
      );
  }

  private get records(): PipeRecords {
    return new PipeRecords(this.memory);
  }

  private get signature(): bigint {
    const { source, stages } = this.definition;
    // A file may be moved; what was read of it is compared. Rows of another table are others.
    const from = source.kind === "table" ? `table ${source.label}` : source.kind;
    const text = [from, ...stages.map((each) => each.signature)].join("\n|> ");
    return layoutHash(this.memory.engine, text);
  }
}

/** All pipes of a memory. */
export class Pipes {
  /** @internal */
  constructor(private readonly memory: Session & Allocator) {}

  /** Every pipe that has a cursor, in the order in which they first ran. */
  list() {
    this.memory.ensureOpen();
    return new PipeRecords(this.memory).list();
  }

  /**
   * Runs again what was running when the program ended: each pipe whose run has not come to its end and has a definition here. A pipe that fails ends with
   * its error, which is thrown when all have ended.
   */
  async resumeAll<M>(definitions: Record<string, (memory: M) => Pipe<unknown>>): Promise<PipeResult[]> {
    const names = this.list()
      .filter(({ state }) => state === "running")
      .map(({ name }) => name);
    const chosen = names.filter((name) => Object.hasOwn(definitions, name));
    const runs = chosen.map((name) => definitions[name](this.memory as unknown as M).run());
    const ended = await Promise.allSettled(runs);
    const failed = ended.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return ended.map((each) => (each as PromiseFulfilledResult<PipeResult>).value);
  }

  /** Lets go of a pipe and its cursor. False when there is none of that name. */
  delete(name: string): boolean {
    this.memory.ensureOpen();
    if (isRunning(this.memory, name))
      throw new PerdureError("BUSY", `pipe ${JSON.stringify(name)} is running`);
    return new PipeRecords(this.memory).delete(name);
  }
}

export { PipeState };
