/*
 * Address spaces as a whole: they are made, forked and dropped here, and known to their ternary memory in a list.
 */

import { isCode, OK } from "../base/codes";
import { get, put, read, write } from "../block/access";
import { endStateEpoch } from "../block/window-table";
import { alloc, release } from "../heap/heap";
import { copyAreas, releaseAreas } from "./area";
import { MemoryRecord, MemoryRecordWriter } from "./memory-record";
import { Space, SPACE_BYTES, SpaceWriter, tablesOf } from "./space";
import { copyTable, dropTable } from "./table";

/** The record of a new space, or of a page table by itself; OUT_OF_MEMORY. */
export function createSpace(memory: usize, isTable: bool): usize {
  const space = alloc(SPACE_BYTES, SPACE_BYTES, true);
  if (isCode(space)) return space;
  const next = read<MemoryRecord>(memory).firstSpace;
  const writer = write<SpaceWriter>(space);
  writer.memory = memory;
  writer.isTable = u32(isTable);
  writer.next = next;
  if (next != 0) write<SpaceWriter>(next).previous = space;
  const record = write<MemoryRecordWriter>(memory);
  record.firstSpace = space;
  record.spaces += 1;
  return space;
}

/** Another space with the same areas and pages, shared until one of both writes to them; OUT_OF_MEMORY. */
export function forkSpace(space: usize): usize {
  const reader = read<Space>(space);
  const child = createSpace(reader.memory, reader.isTable != 0);
  if (isCode(child)) return child;
  let code = copyAreas(space, child);
  const root = get<usize>(tablesOf(space));
  if (code == OK && root != 0) {
    const copy = copyTable(reader.memory, root);
    if (isCode(copy)) code = <u32>copy;
    else put<usize>(tablesOf(child), copy);
  }
  if (code != OK) {
    dropSpace(child);
    return code;
  }
  endStateEpoch();
  return child;
}

/** Frames that nobody owns any more become free. */
export function dropSpace(space: usize): void {
  const reader = read<Space>(space);
  const memory = reader.memory;
  if (reader.root != 0) dropTable(memory, reader.root);
  releaseAreas(reader.areas);
  const record = write<MemoryRecordWriter>(memory);
  if (reader.previous != 0) write<SpaceWriter>(reader.previous).next = reader.next;
  else record.firstSpace = reader.next;
  if (reader.next != 0) write<SpaceWriter>(reader.next).previous = reader.previous;
  record.spaces -= 1;
  const code = release(space);
  assert(code == OK);
  endStateEpoch();
}
