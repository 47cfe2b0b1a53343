// The entry `perdure/ternary`: importing it gives `Memory.ternary` its code.

import { parts } from "./api/parts.js";
import { openTernary } from "./api/ternary/handles.js";

export { MappingFlags, Mode, PageFlags, Zone } from "./api/ternary/enums.js";
export type { Frame } from "./api/ternary/frame.js";
export type { FrameGuard } from "./api/ternary/frame-guard.js";
export type { FrameAllocator, FrameOwners, FrameStatistics, ZoneStatistics } from "./api/ternary/frames.js";
export { type MemoryRegion, PAGE_TRYTES, type TernaryOptions } from "./api/ternary/regions.js";
export { type Gate, TernaryMemory } from "./api/ternary/ternary-memory.js";

parts.ternary = openTernary;
