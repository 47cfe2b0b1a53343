/*
 * The 192-byte default secret of XXH3, as code.
 *
 * The module has no data segments, so the secret exists only as immediate operands: every offset passed
 * here must be a compile-time constant, and then each call folds to a single constant. The words are the
 * `defaultSecret` of the xxHash specification by Yann Collet (doc/xxhash_spec.md in Cyan4973/xxHash), read
 * little-endian. Used by xxh3.ts only.
 */

// @ts-expect-error: decorator
@inline
function word(index: i32): u64 {
  if (index == 0) return 0xbe4ba423396cfeb8;
  if (index == 1) return 0x1cad21f72c81017c;
  if (index == 2) return 0xdb979083e96dd4de;
  if (index == 3) return 0x1f67b3b7a4a44072;
  if (index == 4) return 0x78e5c0cc4ee679cb;
  if (index == 5) return 0x2172ffcc7dd05a82;
  if (index == 6) return 0x8e2443f7744608b8;
  if (index == 7) return 0x4c263a81e69035e0;
  if (index == 8) return 0xcb00c391bb52283c;
  if (index == 9) return 0xa32e531b8b65d088;
  if (index == 10) return 0x4ef90da297486471;
  if (index == 11) return 0xd8acdea946ef1938;
  if (index == 12) return 0x3f349ce33f76faa8;
  if (index == 13) return 0x1d4f0bc7c7bbdcf9;
  if (index == 14) return 0x3159b4cd4be0518a;
  if (index == 15) return 0x647378d9c97e9fc8;
  if (index == 16) return 0xc3ebd33483acc5ea;
  if (index == 17) return 0xeb6313faffa081c5;
  if (index == 18) return 0x49daf0b751dd0d17;
  if (index == 19) return 0x9e68d429265516d3;
  if (index == 20) return 0xfca1477d58be162b;
  if (index == 21) return 0xce31d07ad1b8f88f;
  if (index == 22) return 0x280416958f3acb45;
  return 0x7e404bbbcafbd7af;
}

/** The eight bytes at a constant byte offset, 0 to 184. */
// @ts-expect-error: decorator
@inline
export function secret(offset: i32): u64 {
  if ((offset & 7) == 0) return word(offset >> 3);
  return (word(offset >> 3) >> ((offset & 7) << 3)) | (word((offset >> 3) + 1) << (64 - ((offset & 7) << 3)));
}

/** The sixteen bytes at a constant byte offset, 0 to 176. */
// @ts-expect-error: decorator
@inline
export function secretPair(offset: i32): v128 {
  return i64x2(secret(offset), secret(offset + 8));
}
