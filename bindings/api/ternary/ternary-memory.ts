/** A ternary machine's memory: frames, page tables and address spaces, all of it in the image. */
import type { Session } from "../session.js";

/** A range of physical memory in bytes, end exclusive; rounded inward to whole frames. */
export interface MemoryRegion {
  readonly start: number;
  readonly end: number;
}

export interface TernaryOptions {
  /** What physical memory there is; instead of `lowBytes` and `highBytes`. */
  regions?: readonly MemoryRegion[];
  lowBytes?: number;
  highBytes?: number;
  windowBytes?: number;
}

export class TernaryMemory {
  /** Made by `Memory.ternary`. @internal */
  constructor(
    readonly memory: Session,
    readonly name: string,
    _options: TernaryOptions,
  ) {}
}
