/*
 * Making a ternary memory: its record, those of its regions, and what they consist of.
 *
 * The host puts the regions into the exchange area, in ascending order, each in one zone and none over another:
 *
 *   exchange + 16 i   first frame u64, frames u32, zone u32
 */

import { INVALID_ARGUMENT, isCode, OK, OUT_OF_MEMORY } from "../base/codes";
import { CLUSTER_BYTES, EXCHANGE, EXCHANGE_BYTES } from "../base/memory-map";
import { put, read, write } from "../block/access";
import { createRegion } from "../frame/frames";
import { EXTENT_LENGTH, firstClusterOf, giveExtent, takeExtent } from "../heap/extents";
import { alloc, release } from "../heap/heap";
import { GROUP_SHIFT } from "../frame/bounds";
import { Region } from "../frame/region";
import { MemoryRecord, MemoryRecordWriter, RECORD_BYTES } from "./memory-record";
import {
  CLUSTER_FRAMES,
  CLUSTER_WORDS,
  FRAME_BYTES,
  HIGH,
  placeOf,
  writePlace,
} from "./region-record";

const REQUEST_BYTES: u32 = 16;
/** The most regions that a request has room for. */
export const REGIONS_MAX: u32 = <u32>EXCHANGE_BYTES / REQUEST_BYTES;

/** The record of a new ternary memory with so many regions; INVALID_ARGUMENT, OUT_OF_MEMORY. */
export function createMemory(regionCount: u32): usize {
  if (regionCount - 1 >= REGIONS_MAX) return INVALID_ARGUMENT;
  const memory = alloc(RECORD_BYTES, RECORD_BYTES, true);
  if (isCode(memory)) return memory;
  const records = alloc(RECORD_BYTES * regionCount, RECORD_BYTES, true);
  if (isCode(records)) {
    free(memory);
    return records;
  }
  const writer = write<MemoryRecordWriter>(memory);
  writer.regions = records;
  writer.regionCount = regionCount;
  for (let i: u32 = 0; i < regionCount; i++) {
    const request = EXCHANGE + REQUEST_BYTES * i;
    const first = load<u64>(request);
    const frames = load<u32>(request, 8);
    if (createRecord(records + RECORD_BYTES * i, first, frames, load<u32>(request, 12))) continue;
    destroyMemory(memory);
    return OUT_OF_MEMORY;
  }
  return memory;
}

/** Gives back a memory in which nothing was mapped, made whole or in part. */
export function destroyMemory(memory: usize): u32 {
  const reader = read<MemoryRecord>(memory);
  for (let i: u32 = 0; i < reader.regionCount; i++) destroyRecord(reader.regions + RECORD_BYTES * i);
  free(reader.regions);
  free(memory);
  return OK;
}

/** False when there is no memory for it; what was made is in the record then. */
function createRecord(record: usize, first: u64, frames: u32, zone: u32): bool {
  const writer = writePlace(record);
  writer.first = first;
  writer.zone = zone;
  const bitmap = alloc(16 * ((frames - 1) / 128 + 1), 16, true);
  if (isCode(bitmap)) return false;
  const bounds = alloc(16 * ((frames - 1) / (8 << GROUP_SHIFT) + 1), 16, true);
  if (isCode(bounds)) {
    free(bitmap);
    return false;
  }
  createRegion(record, frames, 0, bitmap, bounds);
  return zone == HIGH ? createHigh(record, first, frames) : createLow(record, frames);
}

function createLow(record: usize, frames: u32): bool {
  const owners = alloc(4 * frames, 16, true);
  if (isCode(owners)) return false;
  const writer = writePlace(record);
  writer.owners = owners;
  const address = alloc(FRAME_BYTES * frames, 16, true);
  if (isCode(address)) return false;
  writer.address = address;
  return true;
}

function createHigh(record: usize, first: u64, frames: u32): bool {
  const frameClusters = (first + frames - 1) / CLUSTER_FRAMES - first / CLUSTER_FRAMES + 1;
  const clusters = frameClusters + (frames - 1) / CLUSTER_WORDS + 1;
  const extent = takeExtent(clusters);
  if (isCode(extent)) return false;
  put<u64>(extent + EXTENT_LENGTH, clusters * CLUSTER_BYTES);
  const writer = writePlace(record);
  writer.extent = extent;
  writer.cluster = firstClusterOf(extent);
  writer.ownerCluster = writer.cluster + frameClusters;
  return true;
}

function destroyRecord(record: usize): void {
  const place = placeOf(record);
  const region = read<Region>(record);
  if (place.extent != 0) {
    const code = giveExtent(place.extent);
    assert(code == OK);
  }
  free(place.address);
  free(place.owners);
  free(region.bounds);
  free(region.bitmap);
}

function free(object: usize): void {
  if (object == 0) return;
  const code = release(object);
  assert(code == OK);
}
