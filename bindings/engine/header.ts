/** What the header of an image says before there is memory to show it in. docs/ENGINE.md §5. */
import { viewOf } from "../base/bytes.js";
import { BLOCK_BYTES } from "../core.js";

/** The block of the image that has it. */
export const HEADER_BLOCK = 0x1_0000;

/** `PERDIMG\0` as a little-endian number. */
const MAGIC = 0x00_474d_4944_5245_50n;
/** Of the frame region of the heap: how many frames were ever handed out. */
const END = 132;

/** Bytes of the heap that this image needs to have room for; 0 for a header that is none, which `mount` will refuse. */
export function heapBytesOf(header: Uint8Array): number {
  const view = viewOf(header);
  return view.getBigUint64(0, true) === MAGIC ? view.getUint32(END, true) * BLOCK_BYTES : 0;
}
