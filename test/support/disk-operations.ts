// What happens on a simulated disk, one operation at a time, and how to stop a process at one of them.

export type OperationKind =
  | "open"
  | "create"
  | "link"
  | "rename"
  | "remove"
  | "list"
  | "readFile"
  | "exists"
  | "flushDirectory"
  | "size"
  | "read"
  | "write"
  | "truncate"
  | "flush"
  | "flushAsync";

export interface Operation {
  /** Counts all operations of the disk, of all processes, from 0. Set by the disk. */
  index: number;
  readonly kind: OperationKind;
  /** Label of the process. */
  readonly process: string;
  /** The name concerned: of an open file, the one it was opened by. Empty for the directory as a whole. */
  readonly name: string;
  /** The second name of `link` and `rename`. */
  readonly target: string;
  /** Identity of the open file, kept across renames, crashes and kills; −1 when only names are concerned. */
  readonly file: number;
  /** Of `read` and `write`. */
  readonly offset: number;
  /** Bytes to read or write; of `truncate` the new size. */
  readonly length: number;
}

/** An operation that has changed something or made it durable. */
export interface LogEntry extends Operation {
  /** What was written, as far as it was; null for other operations. */
  readonly bytes: Uint8Array | null;
}

export function changesSomething(kind: OperationKind): boolean {
  return !["open", "list", "readFile", "exists", "size", "read"].includes(kind);
}

export function describeOperation(operation: Operation): string {
  const { index, process, kind, name, target, offset, length } = operation;
  const range = kind === "read" || kind === "write" ? ` ${offset}+${length}` : "";
  const size = kind === "truncate" ? ` to ${length}` : "";
  const to = target === "" ? "" : ` to ${target}`;
  return `#${index} ${process}: ${kind}${name === "" ? "" : ` ${name}`}${to}${range}${size}`;
}

/**
 * Thrown by a hook to stop the process that is about to do an operation, and by every later operation of it.
 * Not a PerdureError, so that no error handling takes it for one.
 */
export class SimulatedCrash extends Error {
  /** Set by the disk: who was stopped. */
  process: string | undefined;

  /**
   * `applied` says what becomes of the operation: 0, it does not happen; more, it happens and the process never
   * learns of it. Of a write that many bytes are applied, as when a process is killed inside it.
   */
  constructor(readonly applied = 0) {
    super("the simulated process was stopped");
    this.name = "SimulatedCrash";
  }
}

/** A hook that stops whoever does the operation of that index. */
export function stopAt(index: number, applied = 0): (operation: Operation) => void {
  return (operation) => {
    if (operation.index === index) throw new SimulatedCrash(applied);
  };
}
