/*
 * Windows: the way into the high image. A window of ten linear blocks shows one cluster, and its blocks fault in and
 * become dirty by the same checks as those of the low image.
 *
 * The four windows last handed out, all different, are never evicted: so a caller may hold as many addresses at once.
 * An address is good for longer only as long as the epoch (WINDOW_EPOCH) is the same. A window with dirty blocks is evicted
 * when the host has taken every one of them; if it throws, nothing is lost.
 */

import { INVALID_ARGUMENT, OK } from "../base/codes";
import { BLOCK_SHIFT, CLUSTER_BLOCKS, CLUSTERS } from "../base/memory-map";
import { markAbsent, markSpilled } from "./states";
import {
  blockOfEntry,
  clearDirty,
  clusterOf,
  descriptorAt,
  descriptorOf,
  dirtyBlocksOf,
  endStateEpoch,
  findEntry,
  homeEntry,
  isEntryOf,
  isFull,
  markAhead,
  noteHandedOut,
  secondChance,
  show,
  shows,
  unshow,
  windowBlockOf,
  windowsMade,
} from "./window-table";

/** The host writes a dirty block to the file before its commit. It may throw, and it must not call the engine. */
// @ts-ignore: decorator
@external("env", "spill")
declare function spill(block: u32): void;

/** Where a cluster, below CLUSTERS, can be seen. */
// @ts-ignore: decorator
@inline
export function windowOf(cluster: u64): usize {
  const entry = homeEntry(cluster);
  const block = isEntryOf(entry, cluster) ? blockOfEntry(entry) : blockElsewhere(cluster);
  noteHandedOut(block);
  return <usize>block << BLOCK_SHIFT;
}

/** The same for the host. */
export function windowOfNumber(cluster: f64): usize {
  return isClusterNumber(cluster) ? windowOf(<u64>cluster) : INVALID_ARGUMENT;
}

/** Clusters [first, first + count) have been given up: their windows become free, and what was dirty in them is gone. */
export function dropClusters(first: u64, count: u64): void {
  markAhead();
  if (count <= windowsMade()) {
    for (let cluster = first; cluster < first + count; cluster++) {
      const entry = findEntry(cluster);
      if (entry != 0) free(descriptorAt(blockOfEntry(entry)));
    }
    return;
  }
  for (let i: u32 = 0; i < windowsMade(); i++) {
    const window = descriptorOf(i);
    if (shows(window) && clusterOf(window) - first < count) free(window);
  }
}

/** The same for the host. */
export function dropClusterNumbers(first: f64, count: f64): u32 {
  if (count == 0 && isClusterNumber(first)) return OK;
  if (!isClusterNumber(first) || !isClusterNumber(first + count - 1) || count < 1) return INVALID_ARGUMENT;
  dropClusters(<u64>first, <u64>count);
  return OK;
}

/** Blocks of the high image, counted from its beginning, have been given up: what is dirty of them is gone. */
export function dropBlocks(first: u64, count: u64): void {
  const end = first + count;
  const firstWhole = (first + CLUSTER_BLOCKS - 1) / CLUSTER_BLOCKS;
  const endWhole = end / CLUSTER_BLOCKS;
  if (firstWhole >= endWhole) {
    for (; first < end; first++) dropBlock(first);
    return;
  }
  for (; first < firstWhole * CLUSTER_BLOCKS; first++) dropBlock(first);
  dropClusters(firstWhole, endWhole - firstWhole);
  for (let block = endWhole * CLUSTER_BLOCKS; block < end; block++) dropBlock(block);
}

/** The same for the host. */
export function dropBlockNumbers(first: f64, count: f64): u32 {
  const isRange = count >= 1 && floor(first) == first && floor(count) == count;
  if (!isRange || first < 0 || first + count > <f64>CLUSTERS * CLUSTER_BLOCKS) return INVALID_ARGUMENT;
  dropBlocks(<u64>first, <u64>count);
  return OK;
}

function dropBlock(number: u64): void {
  const entry = findEntry(number / CLUSTER_BLOCKS);
  markAhead();
  if (entry == 0) return;
  const index = <u32>(number % CLUSTER_BLOCKS);
  const window = descriptorAt(blockOfEntry(entry));
  if (((dirtyBlocksOf(window) >> index) & 1) != 0) clearDirty(window, index);
  markAbsent(windowBlockOf(window) + index, 1);
  endStateEpoch();
}

function isClusterNumber(value: f64): bool {
  return value >= 0 && value < <f64>CLUSTERS && floor(value) == value;
}

/** The first block of the window of a cluster that is not where it would be found at once; shows it if no window does. */
function blockElsewhere(cluster: u64): u32 {
  const entry = findEntry(cluster);
  if (entry != 0) return blockOfEntry(entry);
  while (isFull()) evict(secondChance());
  return windowBlockOf(show(cluster));
}

function evict(window: usize): void {
  const first = windowBlockOf(window);
  for (let left = dirtyBlocksOf(window); left != 0; left &= left - 1) {
    const index = ctz(left);
    spill(first + index);
    markSpilled(first + index);
    clearDirty(window, index);
    markAhead();
  }
  free(window);
}

function free(window: usize): void {
  markAbsent(windowBlockOf(window), CLUSTER_BLOCKS);
  unshow(window);
}
