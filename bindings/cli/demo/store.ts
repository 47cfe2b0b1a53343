/**
 * The records in persistent memory.
 *
 *     root "demo" ─▶ Header      where reading has got to, and the list of chunks
 *                     ├ first ─▶ Chunk ─▶ Chunk ─▶ … ─▶ last       large blocks, each an array of Rows
 *                     └ last             └ Row ─▶ text             one block for the JSON of each record
 *
 * Invariant of every commit: rows 0 … records − 1 are the records of the source before byte `offset`. They come with one transaction for each
 * batch, which moves the cursor too: so a batch is in memory and behind the cursor, or neither.
 */
import { PerdureError } from "../../base/errors.js";
import { type Memory, type Ptr, struct } from "../../index.js";
import type { Cursor, Source, SourceRecord } from "./source.js";

export const Header = struct({
  /** Of the file that the records come from: its length, and its format. */
  sourceBytes: "f64",
  format: "char[16]",
  /** The cursor. */
  offset: "f64",
  records: "f64",
  isDone: "bool",
  /** Processes that have begun to add records. */
  runs: "u32",
  /** Blocks of memory that were live before there was any record. */
  ownBlocks: "f64",
  chunks: "f64",
  first: "ptr",
  last: "ptr",
});
export const Chunk = struct({ next: "ptr", rows: "u32" });
export const Row = struct({ text: "ptr", bytes: "u32", run: "u32" });

/** So that a chunk has 64 KiB. */
const ROWS_PER_CHUNK = (65536 - Chunk.size) / Row.size;
export const ROOT = "demo";

export interface StoredRecord {
  /** UTF-8. */
  readonly text: Uint8Array;
  /** The process that committed it, counted from 1. */
  readonly run: number;
}

export class Store {
  private constructor(
    private readonly memory: Memory,
    private readonly header: ReturnType<typeof Header.at>,
  ) {}

  /** Creates or resumes. INVALID_ARGUMENT when the memory was filled from something else. */
  static open(memory: Memory, source: Source): Store {
    if (memory.roots.size > 0 && !memory.roots.has(ROOT))
      throw new PerdureError("INVALID_ARGUMENT", `${memory.path} is the state of another program`);
    const header = Header.root(memory, ROOT, (fresh) => {
      fresh.sourceBytes = source.bytes;
      fresh.format = source.format;
    });
    if (header.ownBlocks === 0) header.ownBlocks = memory.stats().heap.liveBlocks;
    if (header.sourceBytes !== source.bytes || header.format !== source.format) {
      const what = `${header.format} of ${header.sourceBytes.toLocaleString("en-US")} bytes`;
      throw new PerdureError("INVALID_ARGUMENT", `${memory.path} holds records of another file (${what})`);
    }
    return new Store(memory, header);
  }

  get cursor(): Cursor {
    return { records: this.header.records, offset: this.header.offset };
  }

  get isDone(): boolean {
    return this.header.isDone;
  }

  get runs(): number {
    return this.header.runs;
  }

  /** Live blocks that there must be: one more, and one was stored twice or never released. */
  get expectedBlocks(): number {
    return this.header.ownBlocks + this.header.chunks + this.header.records;
  }

  /** A process begins to add records. */
  beginRun(): void {
    this.memory.transaction(() => {
      this.header.runs++;
    });
  }

  /** Durable when it returns. */
  append(batch: readonly SourceRecord[]): void {
    const { memory, header } = this;
    memory.transaction(() => {
      for (const { text } of batch) this.addRow(Buffer.from(text));
      header.records += batch.length;
      header.offset = batch[batch.length - 1].end;
    });
  }

  finish(): void {
    this.memory.transaction(() => {
      this.header.isDone = true;
    });
  }

  /** In the order of the source. */
  *rows(): Generator<StoredRecord, void, undefined> {
    const { memory } = this;
    for (let place = this.header.first; place !== null; ) {
      const { next, rows } = Chunk.at(memory, place);
      for (let i = 0; i < rows; i++) {
        const { text, bytes, run } = Row.at(memory, rowOf(place, i));
        if (text === null) throw new PerdureError("CORRUPT", `row ${i} of the chunk at ${place} has no text`);
        yield { text: text.read(bytes), run };
      }
      place = next;
    }
  }

  private addRow(bytes: Uint8Array): void {
    const { memory, header } = this;
    let place = header.last;
    if (place === null || Chunk.at(memory, place).rows === ROWS_PER_CHUNK) place = this.addChunk(place);
    const chunk = Chunk.at(memory, place);
    const text = memory.alloc(bytes.length, { zero: false });
    text.write(bytes);
    Object.assign(Row.at(memory, rowOf(place, chunk.rows)), { text, bytes: bytes.length, run: header.runs });
    chunk.rows++;
  }

  private addChunk(last: Ptr | null): Ptr {
    const { memory, header } = this;
    const made = memory.alloc(Chunk.size + ROWS_PER_CHUNK * Row.size, { align: Row.align });
    if (last === null) header.first = made;
    else Chunk.at(memory, last).next = made;
    header.last = made;
    header.chunks++;
    return made;
  }
}

const rowOf = (chunk: Ptr, i: number): Ptr => chunk.add(Chunk.size + i * Row.size);
