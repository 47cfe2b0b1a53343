/*
 * The record of a ternary memory, to which its name leads: 256 bytes of the heap, aligned to 256. docs/ENGINE.md §12.
 *
 *   0   address of the region records u32, regions u32
 *   8   root of the global page table u32, record of the heap u32
 *   16  first address space u32, address spaces u32
 */

import { Writable } from "../block/access";

export const RECORD_BYTES: u32 = 256;
const GLOBAL_TABLE: usize = 8;

@unmanaged
export class MemoryRecord {
  readonly regions: usize;
  readonly regionCount: u32;
  readonly globalTable: usize;
  readonly heap: usize;
  readonly firstSpace: usize;
  readonly spaces: u32;
}

@unmanaged
export class MemoryRecordWriter extends Writable {
  regions: usize;
  regionCount: u32;
  globalTable: usize;
  heap: usize;
  firstSpace: usize;
  spaces: u32;
}

/** The holder of the page tables that all spaces of a memory share. */
// @ts-ignore: decorator
@inline
export function globalTablesOf(memory: usize): usize {
  return memory + GLOBAL_TABLE;
}

if (
  offsetof<MemoryRecord>("globalTable") != GLOBAL_TABLE ||
  offsetof<MemoryRecord>("firstSpace") != 16 ||
  offsetof<MemoryRecordWriter>("firstSpace") != 16 ||
  offsetof<MemoryRecord>() != 24 ||
  offsetof<MemoryRecordWriter>() != 24
)
  ERROR("the record of a ternary memory is not as drawn");
