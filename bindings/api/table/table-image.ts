/** A table of an image, as the check reads it: block by block, with nothing of the engine. docs/TABLES.md §1. */
import { type BlockSource, ImageReader } from "../image-reader.js";

export const blockBytes = 4096;
export const clusterBlocks = 10;
const highBlock = 2 ** 20;

/** What the check of the image has found already. */
export interface ImageParts {
  /** Live objects of the heap: address → usable bytes. */
  readonly objects: ReadonlyMap<number, number>;
  /** The tables by name: address of the record. */
  readonly tables: ReadonlyMap<string, { address: bigint }>;
  readonly extents: readonly { address: number; first: bigint; clusters: bigint }[];
  /** Blocks of the image, among so many, that may be something else than zeros, in ascending order. */
  written(first: number, count: number): readonly number[];
}

export class TableImage {
  /** Objects of the heap that the table has. */
  readonly objects: number[] = [];

  /** Of the heap; pages are not kept. */
  private readonly heap: ImageReader;

  constructor(
    readonly source: BlockSource,
    readonly parts: ImageParts,
    /** Address of the table's record. */
    readonly record: number,
    /** Notes a problem. */
    readonly say: (problem: string) => void,
  ) {
    this.heap = new ImageReader(source);
    this.objects.push(record);
  }

  /** Undefined for one that reads as zeros. */
  page(page: number): Uint8Array | undefined {
    return this.source(highBlock + this.u64(0) * clusterBlocks + page);
  }

  /** The pages below `end` that may be something else than zeros, in ascending order. What the record says is never counted up to. */
  writtenPages(end: number): number[] {
    const first = highBlock + this.u64(0) * clusterBlocks;
    return this.parts.written(first, end).map((block) => block - first);
  }

  /** Some bytes of the heap. */
  bytes(address: number, length: number): Uint8Array {
    return this.heap.bytes(address, length);
  }

  /** Of the record. */
  u32(offset: number): number {
    return this.heap.u32(this.record + offset);
  }

  /** Of the record. */
  u64(offset: number): number {
    return Number(this.heap.u64(this.record + offset));
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
