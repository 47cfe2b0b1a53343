/*
 * Extents: who has which clusters of the high image.
 *
 * Descriptors are objects of the heap in a list in ascending order of clusters; what is in no extent is free. Address space
 * costs nothing and moving costs a copy, so a new extent is placed where it and the one before it can grow.
 * docs/ENGINE.md §10 has the rule.
 *
 *   0   first cluster u64, clusters u64
 *   16  length in bytes u64
 *   24  next u32, previous u32
 *   32  reserved u64
 *   40  24 bytes of the owner
 */

import { INVALID_ADDRESS, INVALID_ARGUMENT, isCode, MUST_MOVE, OK, OUT_OF_MEMORY } from "../base/codes";
import { CLUSTER_BYTES, CLUSTERS, HEADER } from "../base/memory-map";
import { read, Writable, write } from "../block/access";
import { Header, HeaderWriter } from "../block/header";
import { dropClusters } from "../block/windows";
import { alloc, release, sizeOf } from "./heap";

export const EXTENT_CLUSTERS: u32 = 8;
export const EXTENT_LENGTH: u32 = 16;
export const EXTENT_OWNER: u32 = 40;
export const EXTENT_OWNER_BYTES: u32 = 24;

const EXTENT_BYTES: u32 = 64;
/** Room to grow for every extent, however small: 40 GiB. */
const HEADROOM: u64 = 1 << 20;
/** When there is no such gap, the headroom shrinks by so many bits, a few times, and then to nothing. */
const HEADROOM_STEP: u64 = 5;
const HEADROOM_NONE: u64 = 15;

@unmanaged
class Extent {
  readonly first: u64;
  readonly clusters: u64;
  readonly length: u64;
  readonly next: usize;
  readonly previous: usize;
  readonly reserved: u64;
}

@unmanaged
class ExtentWriter extends Writable {
  first: u64;
  clusters: u64;
  length: u64;
  next: usize;
  previous: usize;
  reserved: u64;
}

if (
  offsetof<Extent>("clusters") != EXTENT_CLUSTERS ||
  offsetof<Extent>("length") != EXTENT_LENGTH ||
  offsetof<Extent>() != EXTENT_OWNER ||
  offsetof<ExtentWriter>() != EXTENT_OWNER ||
  EXTENT_OWNER + EXTENT_OWNER_BYTES != EXTENT_BYTES
)
  ERROR("an extent is not as drawn");

/** The descriptor of a new extent of so many clusters, with length 0. */
export function takeExtent(clusters: u64): usize {
  if (clusters == 0 || clusters > CLUSTERS) return INVALID_ARGUMENT;
  for (let shift: u64 = 0; shift <= HEADROOM_NONE; shift += HEADROOM_STEP) {
    let previous: usize = 0;
    let next = read<Header>(HEADER).firstExtent;
    while (true) {
      const from = previous == 0 ? 0 : endOf(previous) + headroom(clustersOf(previous), shift);
      const end = next == 0 ? CLUSTERS : read<Extent>(next).first;
      // None of these is more than 2³⁸, so the sum cannot overflow.
      if (from + clusters + headroom(clusters, shift) <= end) return make(from, clusters, previous, next);
      if (next == 0) break;
      previous = next;
      next = read<Extent>(next).next;
    }
  }
  return OUT_OF_MEMORY;
}

/** Makes an extent longer or shorter where it is. */
export function resizeExtent(extent: usize, clusters: u64): u32 {
  if (!isExtent(extent)) return INVALID_ADDRESS;
  if (clusters == 0 || clusters > CLUSTERS) return INVALID_ARGUMENT;
  const reader = read<Extent>(extent);
  const end = reader.next == 0 ? CLUSTERS : read<Extent>(reader.next).first;
  if (clusters > end - reader.first) return MUST_MOVE;
  const before = reader.clusters;
  const writer = write<ExtentWriter>(extent);
  writer.clusters = clusters;
  writer.length = min(writer.length, clusters * CLUSTER_BYTES);
  if (clusters < before) dropClusters(reader.first + clusters, before - clusters);
  return OK;
}

export function giveExtent(extent: usize): u32 {
  if (!isExtent(extent)) return INVALID_ADDRESS;
  const header = write<HeaderWriter>(HEADER);
  const reader = read<Extent>(extent);
  if (reader.next != 0) write<ExtentWriter>(reader.next).previous = reader.previous;
  if (reader.previous != 0) write<ExtentWriter>(reader.previous).next = reader.next;
  else header.firstExtent = reader.next;
  header.extents -= 1;
  dropClusters(reader.first, reader.clusters);
  return release(extent);
}

/** The extent after this one, the first one for 0; 0 at the end. */
export function nextExtent(extent: usize): usize {
  return extent == 0 ? read<Header>(HEADER).firstExtent : read<Extent>(extent).next;
}

/** Clusters of an extent. */
export function clustersOf(extent: usize): u64 {
  return read<Extent>(extent).clusters;
}

/** The first of them. */
export function firstClusterOf(extent: usize): u64 {
  return read<Extent>(extent).first;
}

export function extentCount(): u32 {
  return read<Header>(HEADER).extents;
}

/** For the host. */
export function takeExtentOfNumber(clusters: f64): usize {
  return isCount(clusters) ? takeExtent(<u64>clusters) : INVALID_ARGUMENT;
}

/** For the host. */
export function resizeExtentToNumber(extent: usize, clusters: f64): u32 {
  return isCount(clusters) ? resizeExtent(extent, <u64>clusters) : INVALID_ARGUMENT;
}

function isCount(value: f64): bool {
  return value >= 1 && value <= <f64>CLUSTERS && floor(value) == value;
}

function isExtent(extent: usize): bool {
  return sizeOf(extent) == EXTENT_BYTES;
}

function endOf(extent: usize): u64 {
  const reader = read<Extent>(extent);
  return reader.first + reader.clusters;
}

// @ts-ignore: decorator
@inline
function headroom(clusters: u64, shift: u64): u64 {
  return shift == HEADROOM_NONE ? 0 : max(HEADROOM, clusters) >> shift;
}

function make(first: u64, clusters: u64, previous: usize, next: usize): usize {
  const extent = alloc(EXTENT_BYTES, EXTENT_BYTES, true);
  if (isCode(extent)) return extent;
  const writer = write<ExtentWriter>(extent);
  writer.first = first;
  writer.clusters = clusters;
  writer.next = next;
  writer.previous = previous;
  if (next != 0) write<ExtentWriter>(next).previous = extent;
  const header = write<HeaderWriter>(HEADER);
  if (previous != 0) write<ExtentWriter>(previous).next = extent;
  else header.firstExtent = extent;
  header.extents += 1;
  return extent;
}
