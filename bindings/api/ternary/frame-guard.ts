/** A frame for as long as a scope lasts. */
import type { Frame } from "./frame.js";

/** Whoever gives guards out. */
export interface GuardOwner {
  readonly guards: Set<FrameGuard>;
  /** False after the memory was closed: then what is allocated in the file stays so. */
  readonly isOpen: boolean;
  deallocate(frame: Frame): void;
}

/**
 * Deallocates its frame when it is disposed of: `using guard = memory.frames.guard()`. When a rollback took the frame away before, there is nothing
 * left to do.
 */
export class FrameGuard implements Disposable {
  /** Made by `FrameAllocator.guard`. @internal */
  constructor(
    private readonly owner: GuardOwner,
    readonly frame: Frame,
  ) {
    owner.guards.add(this);
  }

  /** Keeps the frame: from now on it is the caller's to deallocate. */
  release(): Frame {
    this.owner.guards.delete(this);
    return this.frame;
  }

  [Symbol.dispose](): void {
    if (this.owner.guards.delete(this) && this.owner.isOpen) this.owner.deallocate(this.frame);
  }
}
