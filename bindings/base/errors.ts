// The one error class of the library and the table of its codes. A caller decides by `code`; the message is for
// people and may change. Anything the library throws on purpose is a PerdureError, and an error of the system
// below (a failed system call, say) travels along as its `cause`.

export type ErrorCode =
  | "OUT_OF_MEMORY"
  | "INVALID_ALIGNMENT"
  | "INVALID_ADDRESS"
  | "INVALID_ARGUMENT"
  | "DOUBLE_FREE"
  | "ADDRESS_NOT_MAPPED"
  | "ALREADY_MAPPED"
  | "PERMISSION_DENIED"
  | "LOCKED"
  | "FENCED"
  | "STALE"
  | "SUSPENDED"
  | "CORRUPT"
  | "VERSION"
  | "NO_SPACE"
  | "IO"
  | "READ_ONLY"
  | "NOT_FOUND"
  | "LAYOUT"
  | "LIMIT"
  | "STAGE"
  | "DUPLICATE"
  | "BUSY"
  | "UNSUPPORTED"
  | "CLOSED";

export class PerdureError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "PerdureError";
    this.code = code;
  }
}

export interface ErrorDescription {
  /** What has happened, in one sentence. */
  readonly meaning: string;
  /** What to do about it, in one sentence. */
  readonly remedy: string;
}

/** Every code, documented once. The reference in docs/ and the command line print from here. */
export const errorTable: { readonly [code in ErrorCode]: ErrorDescription } = {
  OUT_OF_MEMORY: {
    meaning: "No memory of the wanted size is free, or an open writable view keeps memory from growing.",
    remedy: "Release what is not needed, or open with a larger `reserve` or `maxBytes`.",
  },
  INVALID_ALIGNMENT: {
    meaning:
      "The alignment is not a power of 2 (or, for ternary layouts, of 2 or 3), or an address lacks it.",
    remedy: "Ask for an alignment that the function documents.",
  },
  INVALID_ADDRESS: {
    meaning: "The address lies outside the memory, or not at or inside a live block where it has to.",
    remedy: "Look for a pointer that was kept after a release, or for arithmetic that runs past its block.",
  },
  INVALID_ARGUMENT: {
    meaning: "An argument has the wrong type, is out of its range, or names something of the wrong kind.",
    remedy: "Correct the call; the message names the argument and what it may be.",
  },
  DOUBLE_FREE: {
    meaning: "The block or frame was released before.",
    remedy: "Release each block once; the second release has changed nothing.",
  },
  ADDRESS_NOT_MAPPED: {
    meaning: "The ternary address has no mapping in its space.",
    remedy: "Map the page or the region before it is used.",
  },
  ALREADY_MAPPED: {
    meaning: "The ternary page has a mapping in its space already.",
    remedy: "Unmap it first, or choose another address.",
  },
  PERMISSION_DENIED: {
    meaning: "The mode or the flags of the ternary page forbid this access.",
    remedy: "Change the flags with `protect`, or raise the mode with the gate object.",
  },
  LOCKED: {
    meaning: "Another owner that is not proven dead holds the state, or an open snapshot is in the way.",
    remedy:
      "Close the other owner, which the message names; take over by force only when it cannot be reached.",
  },
  FENCED: {
    meaning: "Another process has taken this state over, and this handle may no longer write to it.",
    remedy: "Close the handle and open the state by its name again; what was not acknowledged is not in it.",
  },
  STALE: {
    meaning: "The state has moved on and no longer holds the commit that this reader was looking at.",
    remedy: "Call `refresh()` and read again.",
  },
  SUSPENDED: {
    meaning: "An earlier error stopped a change half way, so nothing is written or committed.",
    remedy: "Call `rollback()` to return to the last commit, or close and open again.",
  },
  CORRUPT: {
    meaning: "Bytes in the file are not what was written there.",
    remedy: "Run `perdure fsck`, restore a backup or a snapshot, or salvage what verifies into a new file.",
  },
  VERSION: {
    meaning: "The file was written in a newer format than this version of the library understands.",
    remedy: "Upgrade the library; the file has not been touched.",
  },
  NO_SPACE: {
    meaning: "The device, the quota or the largest possible file is full; the last commit is intact.",
    remedy: "Make room and commit again, or roll back.",
  },
  IO: {
    meaning: "The system reported an error while reading, writing or flushing; the last commit is intact.",
    remedy: "Check the device; after a failed flush the state has to be closed and opened again.",
  },
  READ_ONLY: {
    meaning: "Something was to be changed through a handle, a file or a file system that may only be read.",
    remedy: "Open for writing, or correct the permissions or the mount.",
  },
  NOT_FOUND: {
    meaning: "The named file, root, table, snapshot or other thing does not exist.",
    remedy: "Check the name, or allow it to be created.",
  },
  LAYOUT: {
    meaning: "The stored layout of a struct or table differs from the one the program declares.",
    remedy: "Declare the stored layout, or convert the data with `migrate`.",
  },
  LIMIT: {
    meaning: "A limit that the library documents was reached.",
    remedy: "Stay below the limit that the message names, or raise the option that sets it.",
  },
  STAGE: {
    meaning:
      "A function of a pipe's stage, or the table it inserts into, has thrown; what was not committed was rolled back.",
    remedy: "Look at the cause; the next run begins at the record after the last checkpoint.",
  },
  DUPLICATE: {
    meaning: "A unique index has the key of this row already, for another row.",
    remedy: "Look the row up by its key and update it, or give the new one another key.",
  },
  BUSY: {
    meaning: "The operation is not allowed while another one is under way, such as a transaction.",
    remedy: "Finish or cancel the other operation first.",
  },
  UNSUPPORTED: {
    meaning: "The runtime, the file system or the kind of storage cannot do this.",
    remedy: "Use another runtime or storage; the message says what is missing.",
  },
  CLOSED: {
    meaning: "The handle, view or storage was closed before.",
    remedy: "Open it again; a closed one never comes back to life.",
  },
};
