/** What an image is said to have when the engine cannot go on with it. */
import { type ErrorCode, PerdureError } from "../base/errors.js";

export const MOUNT_PROBLEMS: { readonly [code in ErrorCode]?: string } = {
  CORRUPT: "this file holds no image that the engine has written; look at it with `perdure inspect`",
  VERSION: "the image was written by a newer version of the engine; upgrade the library",
  OUT_OF_MEMORY: "the runtime has no room for the whole heap of this file",
};

/** A trap is damage in the image; any other error is that of the host. */
export function explain(cause: unknown): unknown {
  if (!(cause instanceof WebAssembly.RuntimeError)) return cause;
  return new PerdureError("CORRUPT", `the image contradicts itself (${cause.message})`, { cause });
}
