/**
 * The records in persistent memory: a table that a pipe fills from the file.
 *
 *     number   of the record in the file, from 1; a unique index leads to its row
 *     run      the process that committed it, from 1
 *     record   as JSON
 *
 * Invariant of every commit: the table has the records of the file before the pipe's cursor, each once, in order. That is the pipe's doing: rows and cursor are
 * committed together. Were it not so, a record that came again would be refused by the index.
 */
import { PerdureError } from "../../base/errors.js";
import type { Memory, Pipe, Ptr, Source } from "../../index.js";

/** The name of the table, and of the pipe. */
export const RECORDS = "records";
const SCHEMA = { number: "u32", run: "u32", record: "json" } as const;
const INDEXES = { number: { on: "number", unique: true } };

export class Store {
  readonly table;
  private readonly runCount: Ptr;

  private constructor(readonly memory: Memory) {
    this.table = memory.table(RECORDS, SCHEMA, { indexes: INDEXES });
    this.runCount = memory.root("runs", () => memory.alloc(4));
  }

  /** Creates or resumes. INVALID_ARGUMENT when the memory has something else. */
  static open(memory: Memory): Store {
    if (memory.sequence > 0 && !memory.tables.has(RECORDS))
      throw new PerdureError("INVALID_ARGUMENT", `${memory.path} is the state of another program`);
    return new Store(memory);
  }

  /** Processes that have begun to add records. */
  get runs(): number {
    return this.runCount.u32;
  }

  /** A process begins to add records. */
  beginRun(): void {
    this.memory.transaction(() => {
      this.runCount.u32++;
    });
  }

  /** From a source into the table, or to something that takes its place. */
  pipe(source: Source, insert: (record: unknown) => unknown = this.inserter()): Pipe<unknown> {
    return this.memory.pipe(RECORDS, source).into({ name: RECORDS, insert });
  }

  private inserter(): (record: unknown) => unknown {
    const { table, runs: run } = this;
    let number = table.count;
    return (record) => table.insert({ number: ++number, run, record });
  }
}
