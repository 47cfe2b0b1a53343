/** What the parts of a ternary memory need to know of it. */
import type { Session } from "../session.js";
import type { Mode } from "./enums.js";

export interface Machine {
  readonly memory: Session;
  readonly name: string;
  readonly mode: Mode;
  /** Where its record lies. NOT_FOUND when a rollback, a restore or a refresh took it away; CLOSED. */
  readonly record: number;
  /** PERMISSION_DENIED when the mode may do less than this one. */
  require(mode: Mode, what: string): void;
}
