/** Reads the directory of snapshots. FORMAT.md §6. */
import { SLOT_BYTES } from "../format/constants.js";
import { decodeDirectory, directoryLeafCount, type SnapshotEntry } from "../format/directory.js";
import { nodeDigestOffset } from "../format/node.js";
import type { Root } from "../format/superblock.js";
import { BlockMap } from "./block-map.js";
import type { StateFile } from "./state-file.js";

/** The snapshots that a directory lists. */
export function readDirectory(file: StateFile, root: Root): SnapshotEntry[] {
  const leaves: Uint8Array[] = [];
  const slots = file.slots();
  let leafCount = 1;
  new BlockMap(file, root).visit({
    leaf: (leaf, slot, node, entry) => {
      if (leaf !== leaves.length) throw file.corrupt("the snapshot directory has a hole");
      if (leaf >= leafCount) throw file.corrupt("the snapshot directory has more leaves than it says");
      const bytes = new Uint8Array(SLOT_BYTES);
      file.readVerified(slot, bytes, node.view, nodeDigestOffset(entry), "a page of the snapshot directory");
      if (leaf === 0) leafCount = Math.min(directoryLeafCount(bytes), slots);
      leaves.push(bytes);
    },
  });
  if (leaves.length === 0) return [];
  const bytes = new Uint8Array(leaves.length * SLOT_BYTES);
  leaves.forEach((leaf, i) => bytes.set(leaf, i * SLOT_BYTES));
  const decoded = decodeDirectory(bytes, slots);
  if (!decoded.ok) throw file.corrupt(`the snapshot directory: ${decoded.message}`);
  return decoded.value;
}
