/** Views of physical memory. */
import { PerdureError } from "../../base/errors.js";
import { Ptr } from "../ptr.js";
import type { Session } from "../session.js";
import { View } from "../view.js";
import { Zone } from "./enums.js";
import type { Frame } from "./frame.js";
import { PAGE_TRYTES } from "./regions.js";

export class FrameView extends View<Int16Array> {
  /** @internal */
  constructor(
    memory: Session,
    private readonly open: Set<FrameView>,
    /** Of its frames, the first. @internal */
    readonly first: number,
    /** @internal */
    readonly count: number,
    address: number,
    writable: boolean,
  ) {
    super(memory.engine, new Ptr(memory, address), Int16Array, count * PAGE_TRYTES, writable, () =>
      memory.auto.schedule(),
    );
    open.add(this);
  }

  override close(): void {
    this.open.delete(this);
    super.close();
  }

  /** @internal */
  override lost(): void {
    this.open.delete(this);
    super.lost();
  }
}

/** The first of frames of the low zones that follow on each other. INVALID_ARGUMENT when they are none. */
export function runOf(frames: readonly Frame[]): number {
  const first = Array.isArray(frames) ? frames[0]?.number : undefined;
  if (
    first === undefined ||
    frames.some((frame, i) => frame?.number !== first + i || frame.zone === Zone.High)
  )
    throw new PerdureError(
      "INVALID_ARGUMENT",
      "a view is of frames one behind the other, in the zones DMA and Normal; those of High have no address of their own",
    );
  return first;
}
