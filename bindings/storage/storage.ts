// What the pager needs from the world below: files of bytes, and a place that holds them. Everything is
// synchronous, because a commit is one step of the program; only a flush may run beside it. Every backend passes
// one conformance suite (test/support/storage-conformance.ts), which states the rules below as tests.
//
// Offsets and sizes are whole numbers of bytes up to 2⁵³ − 1. Errors are PerdureErrors. Backends trust their
// caller, the pager, except for what a system call would silently misread: a wrong offset or a name with a slash.

import { PerdureError } from "../base/errors.js";

export type Access = "read" | "write";

/** One open file of bytes. Every method but `close` throws CLOSED after `close`. */
export interface Storage {
  size(): number;

  /** Fills `into` from `offset` on. Returns the bytes read: fewer than asked only at the end of the file. */
  read(offset: number, into: Uint8Array): number;

  /**
   * Writes all of `from` or throws IO, NO_SPACE or READ_ONLY; after a throw any part of it may have been written.
   * Past the end of the file the gap reads as zeros. Writing no bytes changes nothing, not even the size.
   */
  write(offset: number, from: Uint8Array): void;

  /** The same for several parts, as if they were joined; one system call where there is one. */
  writeParts?(offset: number, parts: readonly Uint8Array[]): void;

  /** Everything written so far, the size too, is durable when it returns. Throws IO or NO_SPACE. */
  flush(): void;

  /**
   * The same for what was written before the call, off the thread. It goes through a file description of its own,
   * opened with the storage, so that each of the two flushes is told of every write error itself.
   */
  flushAsync?(): Promise<void>;

  /** Cuts the file, or grows it by zeros. */
  truncate(size: number): void;

  /** Idempotent. A flush that is under way off the thread still ends as it would have. */
  close(): void;
}

/** A directory that holds a state file and its side files. Names are plain file names within it. */
export interface Place {
  /** For messages: the path of the directory. */
  readonly label: string;

  /** Never creates. Throws NOT_FOUND; INVALID_ARGUMENT when the name belongs to something other than a file. */
  open(name: string, access: Access): Storage;

  /** Creates an empty file and opens it for writing; null when the name exists. Of several callers one wins. */
  createExclusive(name: string): Storage | null;

  /** Gives a file a second name; false when `to` exists. Throws NOT_FOUND when `from` is gone. */
  link(from: string, to: string): boolean;

  /**
   * Replaces `to`; who has the old file open keeps it. Throws NOT_FOUND when `from` is gone. Where both names belong
   * to the same file nothing happens and both remain, as POSIX says.
   */
  rename(from: string, to: string): void;

  /** Takes the name away; who has the file open keeps it. False when it is not there. */
  remove(name: string): boolean;

  /** The names that begin with `prefix`, sorted by UTF-16 code units. */
  list(prefix: string): string[];

  /** A whole small file, as a copy; null when it is not there. */
  readFile(name: string): Uint8Array | null;

  exists(name: string): boolean;

  /** The names created, linked, renamed and removed so far are durable when it returns. */
  flush(): void;
}

/** Throws INVALID_ARGUMENT unless `length` bytes from `offset` on lie within what a number holds exactly. */
export function checkRange(offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + length)) {
    throw new PerdureError("INVALID_ARGUMENT", `offset ${offset} is not a position in a file`);
  }
}

/** Throws INVALID_ARGUMENT unless `name` is a plain file name: it cannot lead out of its place. */
export function checkName(name: string): void {
  if (name === "" || name === "." || name === ".." || /[/\\\0]/.test(name)) {
    throw new PerdureError("INVALID_ARGUMENT", `${JSON.stringify(name)} is not a plain file name`);
  }
}

export function closedError(path: string): PerdureError {
  return new PerdureError("CLOSED", `${path} is closed`);
}

export function readOnlyError(path: string): PerdureError {
  return new PerdureError("READ_ONLY", `${path} was opened for reading only`);
}

export function notFoundError(path: string): PerdureError {
  return new PerdureError("NOT_FOUND", `there is no file ${path}`);
}
