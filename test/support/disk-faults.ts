// Errors for a simulated disk to report, each at a chosen operation.

import { PerdureError } from "../../bindings/base/errors.js";
import type { Chooser } from "./crash-chooser.js";
import { describeOperation, type Operation, type OperationKind } from "./disk-operations.js";

/**
 * - `EIO`: the operation fails and does nothing; a flush fails as with `FLUSH`
 * - `ENOSPC`: the same for what can need space, with NO_SPACE
 * - `SHORT`: a part of a write is applied, then it fails
 * - `ZERO`: the system accepts none of the bytes of a write
 * - `FLUSH`: a flush fails, and what it should have written counts as clean from then on
 */
export type FaultKind = "EIO" | "ENOSPC" | "SHORT" | "ZERO" | "FLUSH";

export interface FaultOptions {
  /** Fails at every later operation too: from the index on, or whenever the predicate holds. Default: once. */
  sticky?: boolean;
  /** Of `SHORT`: how many bytes are applied; default half of them. */
  appliedBytes?: number;
  /** The error reported; default NO_SPACE for `ENOSPC` and IO for the others. */
  code?: "IO" | "NO_SPACE";
  /** Which sectors a failed flush did write; default none. */
  persisted?: Chooser;
}

const flushes: readonly OperationKind[] = ["flush", "flushAsync", "flushDirectory"];
const spending: readonly OperationKind[] = ["write", "truncate", "create", "link", "rename", ...flushes];

export class Fault {
  /** How often it has struck. */
  fired = 0;

  constructor(
    private readonly where: number | ((operation: Operation) => boolean),
    readonly kind: FaultKind,
    readonly options: FaultOptions,
  ) {}

  /** Whether the fault strikes at this operation; if so it counts. */
  strikes(operation: Operation): boolean {
    const { where, options } = this;
    if (this.fired > 0 && options.sticky !== true) return false;
    if (!canFail(operation.kind, this.kind)) return false;
    const here =
      typeof where === "function"
        ? where(operation)
        : operation.index === where || (options.sticky === true && operation.index > where);
    if (here) this.fired++;
    return here;
  }

  appliedBytes(length: number): number {
    return this.kind === "SHORT" ? Math.min(this.options.appliedBytes ?? length >> 1, length) : 0;
  }

  error(operation: Operation): PerdureError {
    const code = this.options.code ?? (this.kind === "ENOSPC" ? "NO_SPACE" : "IO");
    return new PerdureError(code, `injected ${this.kind} at ${describeOperation(operation)}`);
  }
}

/** Whether a fault of that kind can strike at an operation of this one. */
export function canFail(operation: OperationKind, fault: FaultKind): boolean {
  switch (fault) {
    case "EIO":
      return true;
    case "ENOSPC":
      return spending.includes(operation);
    case "SHORT":
    case "ZERO":
      return operation === "write";
    case "FLUSH":
      return flushes.includes(operation);
  }
}
