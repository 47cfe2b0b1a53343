/** Accounting of a memory: every slot of the file and every block of the heap is in use or free, never both. */
import { PerdureError } from "../base/errors.js";
import { BLOCK_BYTES, LINEAR_BLOCKS } from "../core.js";
import { checkImage } from "./check-image.js";
import { checkPages } from "./check-pages.js";
import { checkTernary } from "./check-ternary.js";
import { type BlockSource, ImageReader } from "./image-reader.js";
import { Kind } from "./roots.js";
import type { Session } from "./session.js";
import { checkTables } from "./table/check-tables.js";

export interface CheckReport {
  ok: boolean;
  /** One line each; empty when all is well. */
  problems: string[];
  /** Live blocks of memory, and named roots. */
  liveBlocks: number;
  roots: number;
  /** Tables, and live blocks that belong to them: their records, definitions and indexes. */
  tables: number;
  tableBlocks: number;
  /** Slots of the file by what needs them; null in readers and snapshots. */
  slots: { image: number; held: number; meta: number; runs: number; file: number } | null;
  /** Blocks of the file whose digest was verified; 0 unless `all` was asked for. */
  verified: number;
}

/** Looks at the memory as it is now, uncommitted changes included, and at the file as it was last committed. Changes nothing. */
export function checkMemory(memory: Session, all: boolean): CheckReport {
  const { engine, origin } = memory;
  const file = origin.pager?.check(all) ?? null;
  const problems = [...(file?.problems ?? [])];
  let liveBlocks = 0;
  let roots = 0;
  let tables = 0;
  let tableBlocks = 0;
  try {
    if (engine.isFormatted()) {
      const source = imageNow(memory);
      const image = new ImageReader(source);
      const report = checkImage(image, (name) => hashOf(memory, name));
      const { objects, names, extents } = report;
      const written = (first: number, count: number) => writtenNow(memory, first, count);
      const ofTables = checkTables(source, { objects, extents, tables: names[Kind.Table], written });
      const pages = checkPages(image, report);
      const ofFrames = checkTernary(image, report, pages.mappings);
      problems.push(...report.problems, ...pages.problems, ...ofFrames, ...ofTables.problems);
      tables = ofTables.tables.size;
      tableBlocks = ofTables.objects.size;
      liveBlocks = report.objects.size;
      roots = engine.ask(() => engine.core.functions.registryCount(0));
    }
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    problems.push(error.message);
  }
  return {
    ok: problems.length === 0,
    problems,
    liveBlocks,
    roots,
    tables,
    tableBlocks,
    slots: file?.slots ?? null,
    verified: file?.verified ?? 0,
  };
}

/** What the blocks of the image have now, those of the high image as well. Brings nothing in. */
function imageNow({ engine, origin }: Session): BlockSource {
  const { core } = engine;
  const dirty = new Map<number, number>();
  core.eachDirtyInWindows((block, image) => dirty.set(image, block));
  return (block) => {
    if (block < LINEAR_BLOCKS) return engine.blockNow(block);
    const shown = dirty.get(block);
    if (shown !== undefined) return core.blocks(shown, 1);
    const bytes = new Uint8Array(BLOCK_BYTES);
    origin.source.read(block, 1, bytes);
    return bytes;
  };
}

/** Which of so many blocks may be something else than zeros, in ascending order: no more than the file and memory have. */
function writtenNow({ engine, origin }: Session, first: number, count: number): number[] {
  const found = new Set<number>();
  for (const range of origin.source.written(first, count))
    for (let block = range.block; block < range.block + range.count; block++) found.add(block);
  engine.core.eachDirtyInWindows((_, block) => {
    if (block >= first && block < first + count) found.add(block);
  });
  return [...found].sort((a, b) => a - b);
}

const digest = new DataView(new ArrayBuffer(8));

/** The low half of the digest, as the registry keeps it. */
function hashOf(memory: Session, name: Uint8Array): number {
  memory.engine.core.hasher.digest(name, digest, 0);
  return digest.getUint32(0, true);
}
