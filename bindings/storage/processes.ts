/**
 * What a place knows of the processes that may have its files open. Locks and pins name their owner; only an owner that is *proven*
 * dead may be passed over. A backend without other processes has no need of this.
 */
import type { ProcessIdentity } from "../format/side-files.js";

export interface Processes {
  readonly self: ProcessIdentity;
  /** True only when this process cannot exist any more. */
  isDead(other: ProcessIdentity): boolean;
  /** Lets others run for about so many milliseconds. */
  wait(milliseconds: number): void;
}
