// What the rest of the host knows about hashing. Every byte that leaves for a file or comes back from one is
// covered by an XXH3-64 digest (seed 0), so this interface stands below the format. It guards against accident,
// not against an adversary: XXH3 is not a cryptographic hash.

/** Bytes of one digest. */
export const digestBytes = 8;

/** Bytes of one block, the unit of `digestBlocks`. */
export const hashBlockBytes = 4096;

/** XXH3-64 of byte ranges. Digests are 8 bytes, little-endian, as stored in the file. */
export interface Hasher {
  /** Writes the digest of `bytes`, of any length, into `out` at `at`. */
  digest(bytes: Uint8Array, out: DataView, at: number): void;

  /**
   * Digests of consecutive 4096-byte blocks, 8 bytes each, from `at` on with `stride` bytes between their starts.
   * Throws RangeError when `bytes` is not a whole number of blocks.
   */
  digestBlocks(bytes: Uint8Array, out: DataView, at: number, stride: number): void;

  /** True when the digest of `bytes` equals the 8 bytes at `at`. */
  matches(bytes: Uint8Array, expected: DataView, at: number): boolean;
}
