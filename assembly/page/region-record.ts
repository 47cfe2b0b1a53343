/*
 * The record of a region of physical memory: 256 bytes, aligned to 256, those of a memory one behind the other in ascending order of frames.
 *
 *   0    frame region (frame/region.ts), of frame numbers less `first`
 *   128  first frame u64, zone u32
 *   140  DMA, Normal: linear address of the first frame u32
 *   144  High: cluster of the first frame u64, extent u32
 *   156  DMA, Normal: linear address of the owner words u32
 *   160  High: cluster with which the owner words begin u64
 *
 * Frames of the low zones lie one behind the other in the heap, and so do their owner words. Frames of the High zone lie 27 to a cluster, frame f at
 * byte 1458 (f mod 27), and behind all of them in the same extent their owner words, 10,240 to a cluster: so high memory takes nothing of the heap but
 * its bitmap.
 */

import { CLUSTER_BYTES } from "../base/memory-map";
import { read, Writable, write } from "../block/access";
import { windowOf } from "../block/windows";
import { Region, REGION_BYTES } from "../frame/region";
import { PAGE_TRYTES } from "../trit/constants";
import { MemoryRecord, RECORD_BYTES } from "./memory-record";

export const DMA: u32 = 0;
export const NORMAL: u32 = 1;
export const HIGH: u32 = 2;

export const FRAME_BYTES: u32 = PAGE_TRYTES * 2;
/** Frames of a cluster: 3⁹ trytes. */
export const CLUSTER_FRAMES: u64 = 27;
/** Owner words of a cluster. */
export const CLUSTER_WORDS: u32 = CLUSTER_BYTES / 4;

/** The second half of a record: where the region lies. */
@unmanaged
export class Place {
  readonly first: u64;
  readonly zone: u32;
  readonly address: usize;
  readonly cluster: u64;
  readonly extent: usize;
  readonly owners: usize;
  readonly ownerCluster: u64;
}

@unmanaged
export class PlaceWriter extends Writable {
  first: u64;
  zone: u32;
  address: usize;
  cluster: u64;
  extent: usize;
  owners: usize;
  ownerCluster: u64;
}

const PLACE: usize = REGION_BYTES;

if (
  PLACE != 128 ||
  offsetof<Place>("cluster") != 16 ||
  offsetof<PlaceWriter>("cluster") != 16 ||
  offsetof<Place>() != 40 ||
  offsetof<PlaceWriter>() != 40 ||
  PLACE + REGION_BYTES != <usize>RECORD_BYTES ||
  CLUSTER_FRAMES * FRAME_BYTES > CLUSTER_BYTES
)
  ERROR("the record of a region is not as drawn");

// @ts-ignore: decorator
@inline
export function placeOf(record: usize): Place {
  return read<Place>(record + PLACE);
}

// @ts-ignore: decorator
@inline
export function writePlace(record: usize): PlaceWriter {
  return write<PlaceWriter>(record + PLACE);
}

// @ts-ignore: decorator
@inline
export function capacityOf(record: usize): u32 {
  return read<Region>(record).capacity;
}

/** The record of the region that has this frame; 0 when none has. */
export function recordOf(memory: usize, frame: u64): usize {
  const reader = read<MemoryRecord>(memory);
  let low: u32 = 0;
  let high = reader.regionCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    const record = reader.regions + RECORD_BYTES * middle;
    const first = placeOf(record).first;
    if (frame < first) high = middle;
    else if (frame - first < capacityOf(record)) return record;
    else low = middle + 1;
  }
  return 0;
}

/** The linear address of a frame's first tryte; of a high one, for as long as its window shows its cluster. */
// @ts-ignore: decorator
@inline
export function addressIn(record: usize, frame: u64): usize {
  const place = placeOf(record);
  if (place.zone != HIGH) return place.address + <usize>(frame - place.first) * FRAME_BYTES;
  const cluster = frame / CLUSTER_FRAMES;
  const offset = <usize>(frame - cluster * CLUSTER_FRAMES) * FRAME_BYTES;
  return windowOf(place.cluster + cluster - place.first / CLUSTER_FRAMES) + offset;
}

/** The linear address of a frame's owner word; of a high one, in a window. */
// @ts-ignore: decorator
@inline
export function ownerWordIn(record: usize, frame: u64): usize {
  const place = placeOf(record);
  const index = <u32>(frame - place.first);
  if (place.zone != HIGH) return place.owners + (<usize>index << 2);
  const cluster = index / CLUSTER_WORDS;
  return windowOf(place.ownerCluster + cluster) + ((index - cluster * CLUSTER_WORDS) << 2);
}
