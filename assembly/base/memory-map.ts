/*
 * The memory map: every fixed address of the engine's linear memory, and nothing else.
 *
 * Addresses are part of the format once a state file depends on them; those below lie in the volatile
 * zone, which no file ever contains. Each area is named by its first byte and its size, areas are listed
 * in ascending order, and the checks at the end keep them apart. The host reads the addresses it
 * needs from the module's exported constants and never repeats them.
 *
 *   0x00000  never used, so that address 0 can mean "none"
 *   0x10000  hash state       72 bytes   accumulators of the hash in progress, bytes absorbed
 *   0x11000  hash digests     4 KiB      digests on their way to the host
 *   0x20000  hash staging     64 KiB     copies of bytes that lie outside this memory
 *   0x30000  end of the map
 */

/** Eight 64-bit accumulators, then the count of bytes absorbed as u64. Aligned to 16. */
export const HASH_STATE: usize = 0x10000;
export const HASH_STATE_BYTES: usize = 72;

/** Room for 512 digests of 8 bytes. */
export const HASH_DIGESTS: usize = 0x11000;
export const HASH_DIGESTS_BYTES: usize = 0x1000;

/** Where the host copies bytes that are not in this memory yet. */
export const HASH_STAGING: usize = 0x20000;
export const HASH_STAGING_BYTES: usize = 0x10000;

/** First byte after everything above. */
export const MAP_END: usize = 0x30000;

if (
  HASH_STATE % 16 != 0 ||
  HASH_STATE + HASH_STATE_BYTES > HASH_DIGESTS ||
  HASH_DIGESTS + HASH_DIGESTS_BYTES > HASH_STAGING ||
  HASH_STAGING + HASH_STAGING_BYTES > MAP_END
)
  ERROR("memory map: areas overlap or are misaligned");
