/** Extents of the high image, as their owners use them: regions and tables. What leaves an extent leaves the file with the next commit. */
import { PerdureError } from "../base/errors.js";
import { BLOCK_BYTES, LINEAR_BLOCKS } from "../core.js";
import type { Engine } from "../engine.js";

/** Of an extent's descriptor: docs/ENGINE.md §10. */
export const EXTENT = { first: 0, clusters: 8, length: 16, bytes: 64 } as const;

/** A new extent, by the address of its descriptor. OUT_OF_MEMORY says there is no room for `what`. */
export function takeClusters(engine: Engine, clusters: number, what: string): number {
  const { core } = engine;
  const extent = engine.mutate(() => core.functions.takeExtent(clusters));
  if (core.codeOf(extent) !== null)
    throw new PerdureError("OUT_OF_MEMORY", `there is no room in high memory for ${what}`);
  return extent;
}

export function firstClusterOf(engine: Engine, extent: number): number {
  engine.ensure(extent, EXTENT.bytes, false);
  return Number(engine.core.data.getBigUint64(extent + EXTENT.first, true));
}

export function clustersOf(engine: Engine, extent: number): number {
  engine.ensure(extent, EXTENT.bytes, false);
  return Number(engine.core.data.getBigUint64(extent + EXTENT.clusters, true));
}

/** Refused (LIMIT, BUSY) it has changed nothing. */
export function discardClusters(engine: Engine, first: number, count: number): void {
  const { CLUSTER_BLOCKS } = engine.core.constants;
  discardBlocks(engine, first * CLUSTER_BLOCKS, count * CLUSTER_BLOCKS);
}

/** The same for blocks, counted from the beginning of the high image. */
export function discardBlocks(engine: Engine, first: number, count: number): void {
  engine.pager.discard(LINEAR_BLOCKS + first, count);
  // A window that went later would be spilled, and count.
  engine.mutate(() => engine.core.functions.dropBlocks(first, count));
}

/** Visits a range of bytes of an extent, window by window, ready to be read or written. */
export function eachPart(
  engine: Engine,
  firstCluster: number,
  offset: number,
  length: number,
  write: boolean,
  visit: (part: Uint8Array, done: number) => void,
): void {
  const { core } = engine;
  const { CLUSTER_BYTES } = core.constants;
  for (let done = 0; done < length; ) {
    const cluster = Math.floor((offset + done) / CLUSTER_BYTES);
    const within = offset + done - cluster * CLUSTER_BYTES;
    const count = Math.min(CLUSTER_BYTES - within, length - done);
    const address = engine.windowOf(firstCluster + cluster) + within;
    engine.ensure(address, count, write);
    visit(core.bytes.subarray(address, address + count), done);
    done += count;
  }
}

/** Copies what was ever written in some clusters to others, which read as zeros. */
export function copyWritten(engine: Engine, from: number, to: number, clusters: number): void {
  const { core } = engine;
  const { CLUSTER_BLOCKS } = core.constants;
  const start = LINEAR_BLOCKS + from * CLUSTER_BLOCKS;
  const end = start + clusters * CLUSTER_BLOCKS;
  const written = engine.pager.written(start, end - start);
  core.eachDirtyInWindows((_, block) => {
    if (block >= start && block < end) written.add(block, 1);
  });
  for (const { block, count } of written) {
    for (let each = block; each < block + count; each++) {
      const index = each - start;
      const within = (index % CLUSTER_BLOCKS) * BLOCK_BYTES;
      const cluster = Math.floor(index / CLUSTER_BLOCKS);
      const source = engine.windowOf(from + cluster) + within;
      engine.ensure(source, BLOCK_BYTES, false);
      const target = engine.windowOf(to + cluster) + within;
      engine.ensure(target, BLOCK_BYTES, true);
      core.bytes.copyWithin(target, source, source + BLOCK_BYTES);
    }
  }
}
