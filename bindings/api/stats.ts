/** Figures of a memory, for people and dashboards. */
import { BLOCK_BYTES } from "../core.js";
import type { Session } from "./session.js";

export interface MemoryStats {
  /** Of the commit that is shown. */
  sequence: number;
  heap: {
    /** Bytes of live blocks of memory, as `sizeOf` counts them. */
    liveBytes: number;
    liveBlocks: number;
    /** Bytes of 4096-byte blocks that are in use, with the room between and after what is live. */
    usedBytes: number;
    /** From the beginning of the heap to the highest address that was ever in use. */
    extentBytes: number;
    /** What part of the bytes in use is not live, in percent. */
    fragmentationPercent: number;
  };
  memory: {
    /** Linear memory of the engine, most of it never touched. */
    reservedBytes: number;
    /** What the next commit will write, without what changed under views. */
    dirtyBytes: number;
    openViews: number;
  };
  /** Null in readers and snapshots. */
  file: {
    bytes: number;
    /** What the image and all snapshots need of it. */
    liveBytes: number;
    /** Commits since the last checkpoint, and the bytes they take. */
    chainCommits: number;
    chainBytes: number;
    /** Of the superblock. */
    generation: number;
    /** The last sequence that is known to be on the device. */
    lastFlushed: number;
  } | null;
  /** Since this memory was opened; null in readers and snapshots. */
  work: { commits: number; checkpoints: number; flushes: number; bytesWritten: number } | null;
}

export function statsOf(memory: Session): MemoryStats {
  const { engine } = memory;
  const { core } = engine;
  engine.ask(() => {
    core.functions.heapStatistics();
    return 0;
  });
  const at = core.constants.EXCHANGE;
  const word = (offset: number) => core.data.getUint32(at + offset, true);
  const runBytes = word(20) * BLOCK_BYTES;
  const liveBytes = core.data.getFloat64(at + 32, true) + runBytes;
  const usedBytes = core.data.getFloat64(at + 40, true) + runBytes;
  const pager = memory.origin.pager?.stats() ?? null;
  return {
    sequence: memory.sequence,
    heap: {
      liveBytes,
      liveBlocks: word(16) + word(24),
      usedBytes,
      extentBytes: word(0) * BLOCK_BYTES,
      fragmentationPercent: usedBytes === 0 ? 0 : (100 * (usedBytes - liveBytes)) / usedBytes,
    },
    memory: {
      reservedBytes: core.memory.buffer.byteLength,
      dirtyBytes: engine.dirtyBlocks * BLOCK_BYTES,
      openViews: engine.watches.size,
    },
    file:
      pager === null
        ? null
        : {
            bytes: pager.fileBytes,
            liveBytes: pager.liveSlots * BLOCK_BYTES,
            chainCommits: pager.chain.commits,
            chainBytes: pager.chain.slots * BLOCK_BYTES,
            generation: pager.generation,
            lastFlushed: pager.lastFlushed,
          },
    work:
      pager === null
        ? null
        : {
            commits: pager.commits,
            checkpoints: pager.checkpoints,
            flushes: pager.flushes,
            bytesWritten: pager.bytesWritten,
          },
  };
}
