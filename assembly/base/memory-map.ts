/*
 * The memory map: every fixed address of the engine's linear memory, and nothing else.
 *
 * Each area is named by its first byte and its size, areas are listed in ascending order, and the checks at the end
 * keep them apart. Addresses from LOW_IMAGE on are part of the format and never change; those below lie in the
 * volatile zone, which no file contains. The host reads the addresses it needs from the module's exported
 * constants and never repeats them. docs/ENGINE.md draws the whole map.
 */

export const BLOCK_BYTES: u32 = 4096;
export const BLOCK_SHIFT: u32 = 12;
/** Blocks in 4 GiB of linear memory; the high image begins with this block. */
export const LINEAR_BLOCKS: u32 = 1 << 20;
/** Blocks of a cluster of the high image, and of a window that shows one. */
export const CLUSTER_BLOCKS: u32 = 10;
export const CLUSTER_BYTES: u32 = CLUSTER_BLOCKS * BLOCK_BYTES;
/** Clusters to the end of the image, at block 2⁴⁰. */
export const CLUSTERS: u64 = ((1 << 40) - LINEAR_BLOCKS) / CLUSTER_BLOCKS;

/** No result of a function and no address of anything lies below, so that 0 means "none" and small numbers are codes. */
export const ADDRESS_MIN: usize = 0x10000;

// Hashing: the only areas that a memory needs which belongs to a hasher alone.

/** Eight 64-bit accumulators, then the count of bytes absorbed as u64. Aligned to 16. */
export const HASH_STATE: usize = 0x10000;
export const HASH_STATE_BYTES: usize = 72;

/** Room for 512 digests of 8 bytes. */
export const HASH_DIGESTS: usize = 0x11000;
export const HASH_DIGESTS_BYTES: usize = 0x1000;

/** Where the host copies bytes that are not in this memory yet. */
export const HASH_STAGING: usize = 0x20000;
export const HASH_STAGING_BYTES: usize = 0x10000;

/** First byte after what hashing needs. */
export const MAP_END: usize = 0x30000;

// The rest of the volatile zone.

/** u32: blocks in the dirty list. */
export const DIRTY_COUNT: usize = 0x30000;
/** u32, set by the host: memory must not grow while it is not 0. */
export const GROWTH_LOCK: usize = 0x30004;
/** u32, set by the host: the most blocks that the heap may have, 0 for no limit. */
export const HEAP_LIMIT: usize = 0x30008;
/** u32, set by the host: the most windows, 0 for the usual number. */
export const WINDOW_LIMIT: usize = 0x3000c;
/** u32: increases when a window stops showing its cluster. */
export const WINDOW_EPOCH: usize = 0x30010;
/** u32: descriptor of the first window with dirty blocks, 0 for none. */
export const DIRTY_WINDOWS: usize = 0x30014;

/** u32: commits since the memory was opened. */
export const COMMIT_COUNT: usize = 0x30018;
/** u32, set by the host: the first commit, as COMMIT_COUNT counts, that is not known to be durable; 0 when all are. */
export const UNFLUSHED: usize = 0x3001c;
/** u32: increases with that of the windows, after a commit and after a rollback: what was concluded from addresses and block states is void. */
export const STATE_EPOCH: usize = 0x30020;
/** u32: increases when the image becomes another one as a whole, by a rollback or because the file shows another. */
export const IMAGE_EPOCH: usize = 0x30024;

/** Arguments and results that do not fit into parameters. */
export const EXCHANGE: usize = 0x31000;
export const EXCHANGE_BYTES: usize = 0x1000;

/** A block whose content is being moved together. */
export const PAGE_SCRATCH: usize = 0x32000;
export const PAGE_SCRATCH_BYTES: usize = 0x1000;

/** Where the host puts the record of a row together. */
export const RECORD: usize = 0x33000;
export const RECORD_BYTES: usize = 0x1000;

/** One byte for each linear block; the states are in block/states.ts. */
export const STATES: usize = 0x100000;
export const STATES_BYTES: usize = LINEAR_BLOCKS;

/** Linear block numbers, u32, in the order of their first touch. No block is in it twice, so it has room for all. */
export const DIRTY_LIST: usize = 0x200000;
export const DIRTY_LIST_BYTES: usize = 4 * LINEAR_BLOCKS;

/** Of ternary memory: see page/tlb.ts. */
export const TLB: usize = 0x600000;
/** Of ternary memory: see page/marks.ts. */
export const MARKS: usize = 0x700000;
export const MARKS_END: usize = 0x1000000;

/** What is known of the windows: see block/window-table.ts. */
export const WINDOW_TABLE: usize = 0x1000000;
export const WINDOW_DESCRIPTORS: usize = 0x1001000;
export const WINDOW_LOOKUP: usize = 0x1040000;
export const WINDOW_TABLE_END: usize = 0x1060000;

/** Of the kernels in trit/: a vector that rows are multiplied by, or rows on their way in or out. Room for 2²¹ f32 and what a last group is spread to. */
export const KERNEL_VECTOR: usize = 0x1100000;
export const KERNEL_VECTOR_BYTES: usize = 0x810000;
/** What they answer with. */
export const KERNEL_RESULTS: usize = 0x1910000;
export const KERNEL_RESULTS_BYTES: usize = 0x6f0000;

export const SCRATCH_STACK: usize = 0x2000000;

/** Windows onto the high image. */
export const WINDOWS: usize = 0x4000000;
export const WINDOWS_BYTES: usize = 0xc000000;

// The image.

export const LOW_IMAGE: usize = 0x10000000;
export const LOW_IMAGE_BLOCK: u32 = <u32>(LOW_IMAGE >> BLOCK_SHIFT);

/** One block; its fields are in block/header.ts. */
export const HEADER: usize = 0x10000000;

/** u16 for each group of 512 heap blocks. */
export const HEAP_BOUNDS: usize = 0x10001000;
export const HEAP_BOUNDS_BYTES: usize = 0x1000;

/** A bit for each heap block. */
export const HEAP_BITMAP: usize = 0x10002000;
export const HEAP_BITMAP_BYTES: usize = 0x1d800;

/** u32 for each heap block. */
export const PAGE_MAP: usize = 0x10100000;
export const PAGE_MAP_BYTES: usize = 0x3b0000;

/** 64 bytes for each span; there cannot be more spans than heap blocks. */
export const SPANS: usize = 0x10500000;
export const SPANS_BYTES: usize = 0x3b00000;

/** The heap reaches from here to the end of linear memory. */
export const HEAP: usize = 0x14000000;
export const HEAP_BLOCK: u32 = <u32>(HEAP >> BLOCK_SHIFT);
export const HEAP_BLOCKS: u32 = LINEAR_BLOCKS - HEAP_BLOCK;

if (
  HASH_STATE % 16 != 0 ||
  HASH_STATE < ADDRESS_MIN ||
  HASH_STATE + HASH_STATE_BYTES > HASH_DIGESTS ||
  HASH_DIGESTS + HASH_DIGESTS_BYTES > HASH_STAGING ||
  HASH_STAGING + HASH_STAGING_BYTES > MAP_END ||
  DIRTY_COUNT < MAP_END ||
  IMAGE_EPOCH + 4 > EXCHANGE ||
  EXCHANGE + EXCHANGE_BYTES > PAGE_SCRATCH ||
  PAGE_SCRATCH + PAGE_SCRATCH_BYTES > RECORD ||
  RECORD + RECORD_BYTES > STATES ||
  STATES + STATES_BYTES > DIRTY_LIST ||
  DIRTY_LIST + DIRTY_LIST_BYTES > TLB ||
  TLB > MARKS ||
  MARKS > MARKS_END ||
  MARKS_END > WINDOW_TABLE ||
  WINDOW_TABLE_END > KERNEL_VECTOR ||
  KERNEL_VECTOR + KERNEL_VECTOR_BYTES > KERNEL_RESULTS ||
  KERNEL_RESULTS + KERNEL_RESULTS_BYTES > SCRATCH_STACK ||
  SCRATCH_STACK > WINDOWS ||
  WINDOWS + WINDOWS_BYTES > LOW_IMAGE
)
  ERROR("volatile zone: areas overlap or are misaligned");

if (
  HEADER != LOW_IMAGE ||
  HEADER + BLOCK_BYTES > HEAP_BOUNDS ||
  HEAP_BOUNDS + HEAP_BOUNDS_BYTES > HEAP_BITMAP ||
  HEAP_BITMAP + HEAP_BITMAP_BYTES > PAGE_MAP ||
  PAGE_MAP + PAGE_MAP_BYTES > SPANS ||
  SPANS + SPANS_BYTES > HEAP ||
  HEAP_BLOCKS % 512 != 0 ||
  HEAP_BOUNDS_BYTES < HEAP_BLOCKS / 256 ||
  HEAP_BITMAP_BYTES != HEAP_BLOCKS / 8 ||
  PAGE_MAP_BYTES != HEAP_BLOCKS * 4 ||
  SPANS_BYTES != HEAP_BLOCKS * 64
)
  ERROR("image: areas overlap or have the wrong size");
