/** Reads blocks of an image through its block map; every byte is verified. */
import { PerdureError } from "../base/errors.js";
import { MAX_BLOCK, NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { nodeDigestOffset, nodeSlot } from "../format/node.js";
import type { BlockMap } from "./block-map.js";
import { BlockRanges } from "./block-ranges.js";
import type { StateFile } from "./state-file.js";

/** Reads one block into `into` (4096 bytes); false when it was never written: then `into` is zeros. */
export function readBlock(file: StateFile, map: BlockMap, block: number, into: Uint8Array): boolean {
  const node = map.locate(block);
  if (node === null) {
    into.fill(0);
    return false;
  }
  const entry = block % NODE_ENTRIES;
  file.readVerified(nodeSlot(node.view, entry), into, node.view, nodeDigestOffset(entry), `block ${block}`);
  return true;
}

/** Those of some blocks that were ever written. */
export function writtenBlocks(map: BlockMap, block: number, count: number): BlockRanges {
  verifyBlocks(block, count);
  const found = new BlockRanges();
  map.visitRange(block, block + count, (each) => found.add(each, 1));
  return found;
}

/** INVALID_ARGUMENT unless these are blocks of an image. */
export function verifyBlocks(block: number, count: number): void {
  const whole = Number.isSafeInteger(block) && Number.isSafeInteger(count);
  if (whole && block >= 0 && count >= 0 && block < MAX_BLOCK && block + count <= MAX_BLOCK) return;
  throw new PerdureError("INVALID_ARGUMENT", `${count} blocks from ${block} on are not blocks of an image`);
}

/** INVALID_ARGUMENT unless these are blocks of an image and `into` has room for them. */
export function verifyRead(block: number, count: number, into: Uint8Array): void {
  verifyBlocks(block, count);
  if (into.length < count * SLOT_BYTES) {
    throw new PerdureError("INVALID_ARGUMENT", `${count} blocks do not fit in ${into.length} bytes`);
  }
}

/** Reads `count` blocks from `block` on; neighbours in the file with one call. */
export function readBlocks(
  file: StateFile,
  map: BlockMap,
  block: number,
  count: number,
  into: Uint8Array,
): void {
  verifyRead(block, count, into);
  for (let done = 0; done < count; ) {
    const node = map.locate(block + done);
    const part = into.subarray(done * SLOT_BYTES);
    if (node === null) {
      part.fill(0, 0, SLOT_BYTES);
      done++;
      continue;
    }
    const entry = (block + done) % NODE_ENTRIES;
    const slot = nodeSlot(node.view, entry);
    const most = Math.min(count - done, NODE_ENTRIES - entry);
    let run = 1;
    while (run < most && nodeSlot(node.view, entry + run) === slot + run) run++;
    file.readInto(slot, part.subarray(0, run * SLOT_BYTES));
    for (let i = 0; i < run; i++) {
      const bytes = part.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES);
      if (file.hasher.matches(bytes, node.view, nodeDigestOffset(entry + i))) continue;
      throw file.corrupt(
        `block ${block + done + i} in slot ${slot + i} does not have the digest that it was written with`,
      );
    }
    done += run;
  }
}
