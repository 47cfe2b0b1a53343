// From what the system calls an error to what this library calls it.

import { type ErrorCode, PerdureError } from "../base/errors.js";
import type { Access } from "./storage.js";

interface Translation {
  code: ErrorCode;
  /** Said instead of the system's own words, where those do not help. */
  words?: string;
}

const translations: Readonly<Record<string, Translation>> = {
  ENOSPC: { code: "NO_SPACE" },
  EDQUOT: { code: "NO_SPACE", words: "the disk quota is used up" },
  EFBIG: { code: "NO_SPACE", words: "the file would be larger than the file system allows" },
  ENOENT: { code: "NOT_FOUND", words: "there is no such file or directory" },
  ENOTDIR: { code: "INVALID_ARGUMENT", words: "a part of the path before the name is not a directory" },
  EISDIR: { code: "INVALID_ARGUMENT", words: "it is a directory, not a file" },
  ENXIO: { code: "INVALID_ARGUMENT", words: "it is a pipe, a socket or a device, not a file" },
  ENAMETOOLONG: { code: "INVALID_ARGUMENT", words: "the name is longer than the file system allows" },
};

const refusals: Readonly<Record<string, Translation>> = {
  EROFS: { code: "READ_ONLY", words: "the file system is mounted for reading only" },
  EACCES: { code: "READ_ONLY", words: "there is no permission to write" },
  EPERM: { code: "READ_ONLY", words: "the system does not permit it" },
};

/** `ENOENT` and the like; undefined when the error does not come from a system call. */
export function systemCode(error: unknown): string | undefined {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (error instanceof PerdureError) return cause === undefined ? undefined : systemCode(cause);
  return typeof code === "string" ? code : undefined;
}

/** The call has done nothing and may be made again. */
export function isInterrupted(error: unknown): boolean {
  if (error instanceof PerdureError) return false;
  const code = systemCode(error);
  return code === "EINTR" || code === "EAGAIN";
}

/** The PerdureError for a failed system call, with the call's own error as its cause. */
export function fileError(error: unknown, doing: string, path: string, access: Access): PerdureError {
  if (error instanceof PerdureError) return error;
  const code = systemCode(error) ?? "";
  const translation = (access === "write" ? refusals[code] : undefined) ?? translations[code];
  const systemWords = error instanceof Error ? error.message : String(error);
  const words = translation?.words === undefined ? systemWords : `${translation.words} (${code})`;
  return new PerdureError(translation?.code ?? "IO", `cannot ${doing} ${path}: ${words}`, { cause: error });
}
