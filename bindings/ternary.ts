// The entry `perdure/ternary`: importing it gives `Memory.ternary` its code.

import { parts } from "./api/parts.js";
import { openTernary } from "./api/ternary/handles.js";

export type { AddressSpace, SpaceRegion, Sweep } from "./api/ternary/address-space.js";
export { MappingFlags, Mode, PageFlags, Zone } from "./api/ternary/enums.js";
export type { Frame } from "./api/ternary/frame.js";
export type { FrameGuard } from "./api/ternary/frame-guard.js";
export type { FrameAllocator, FrameOwners, FrameStatistics, ZoneStatistics } from "./api/ternary/frames.js";
export { TernaryMatrix } from "./api/ternary/matrix.js";
export type { Access, PageTable, PageTableEntry, SpaceStatistics } from "./api/ternary/page-table.js";
export type { MemoryRegion, TernaryOptions } from "./api/ternary/regions.js";
export { type Gate, TernaryMemory } from "./api/ternary/ternary-memory.js";
export type { VirtualAddress } from "./api/ternary/virtual-address.js";
export {
  LARGE_PAGE_TRYTES,
  PAGE_TRYTES,
  TABLE_ENTRIES,
  TernaryAddress,
} from "./trit/address.js";
export type { Rounding } from "./trit/balanced.js";
export { pack, packedLength, unpack } from "./trit/pack.js";
export {
  type QuantizedBytes,
  type QuantizedTrits,
  quantizeBytes,
  quantizeTrits,
} from "./trit/quantize.js";
export { type Trit, trit } from "./trit/trit.js";
export { Tryte } from "./trit/tryte.js";
export { trytes } from "./trit/vectors.js";
export { Word } from "./trit/word.js";

parts.ternary = openTernary;
