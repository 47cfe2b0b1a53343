/** What the parts of a ternary memory need to know of it. */
import type { Session } from "../session.js";
import type { Mode } from "./enums.js";
import type { VirtualAddress } from "./virtual-address.js";

export interface ActiveSpace {
  readonly name: string;
  loadTryte(v: VirtualAddress): number;
  storeTryte(v: VirtualAddress, value: number): void;
}

export interface Machine {
  readonly memory: Session;
  readonly name: string;
  readonly mode: Mode;
  /** Where its record lies. NOT_FOUND when a rollback, a restore or a refresh took it away; CLOSED. */
  readonly record: number;
  /** The space that the memory's own loads and stores go to. */
  readonly active: ActiveSpace | null;
  activate(space: ActiveSpace | null): void;
  /** PERMISSION_DENIED when the mode may do less than this one. */
  require(mode: Mode, what: string): void;
}
