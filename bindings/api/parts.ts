/**
 * Parts of the library that are not loaded unless their entry is imported: each entry puts in here what makes its part, and `Memory` has a method
 * that asks for it.
 */
import type { Session } from "./session.js";
import type { TernaryOptions } from "./ternary/regions.js";
import type { TernaryMemory } from "./ternary/ternary-memory.js";

export const parts: {
  ternary?: (memory: Session, name: string, options: TernaryOptions) => TernaryMemory;
} = {};
