// The entry `perdure/ternary`: importing it gives `Memory.ternary` its code.

import { parts } from "./api/parts.js";
import { TernaryMemory } from "./api/ternary/ternary-memory.js";

export { type MemoryRegion, TernaryMemory, type TernaryOptions } from "./api/ternary/ternary-memory.js";

parts.ternary = (memory, name, options) => new TernaryMemory(memory, name, options);
