/**
 * What of some blocks in memory is not what the last commit has, told by their digests: so it costs a look at the memory and at map nodes, and
 * nothing is read of what the blocks had. The digests go along, so that the commit need not compute them again; a block that the map has nothing
 * for is no change when it is zeros, and needs no digest to tell.
 */
import { isZero } from "../base/bytes.js";
import { NODE_ENTRIES, SLOT_BYTES } from "../format/constants.js";
import { nodeDigestOffset, nodeSlot } from "../format/node.js";
import { digestBytes } from "../hash/hasher.js";
import type { BlockMap, MapNode } from "./block-map.js";
import { verifyBlocks } from "./image.js";
import type { Change } from "./segment-writer.js";
import type { StateFile } from "./state-file.js";

/** Those of `count` blocks from `block` on whose content in `bytes` is not what the map says, in order, neighbours as one change. */
export function differingBlocks(
  file: StateFile,
  map: BlockMap,
  block: number,
  count: number,
  bytes: Uint8Array,
): Change[] {
  verifyBlocks(block, count);
  const changes = new Changes(block, count, bytes);
  for (let at = 0; at < count; ) {
    const node = map.nodeAbove(block + at);
    const entry = (block + at) % NODE_ENTRIES;
    const end = at + Math.min(count - at, NODE_ENTRIES - entry);
    while (at < end) {
      const isThere = hasEntry(node, (block + at) % NODE_ENTRIES);
      let next = at + 1;
      while (next < end && hasEntry(node, (block + next) % NODE_ENTRIES) === isThere) next++;
      if (isThere) changes.addUnlike(at, next, node as MapNode, file);
      else changes.addNonZero(at, next);
      at = next;
    }
  }
  return changes.end();
}

const hasEntry = (node: MapNode | null, entry: number): boolean =>
  node !== null && nodeSlot(node.view, entry) !== 0;

/** Collects changes; positions count from the first block. */
class Changes {
  private readonly found: Change[] = [];
  /** Of all blocks, filled in where they are computed. */
  private digests: DataView | null = null;
  /** The change under way. */
  private from = 0;
  private to = 0;
  private isHashed = false;

  constructor(
    private readonly block: number,
    private readonly count: number,
    private readonly bytes: Uint8Array,
  ) {}

  addNonZero(from: number, to: number): void {
    for (let at = from; at < to; at++) if (!isZero(this.part(at, at + 1))) this.add(at, false);
  }

  addUnlike(from: number, to: number, node: MapNode, { hasher }: StateFile): void {
    this.digests ??= new DataView(new ArrayBuffer(this.count * digestBytes));
    hasher.digestBlocks(this.part(from, to), this.digests, from * digestBytes, digestBytes);
    for (let at = from; at < to; at++) {
      const expected = nodeDigestOffset((this.block + at) % NODE_ENTRIES);
      const same =
        this.digests.getUint32(at * digestBytes, true) === node.view.getUint32(expected, true) &&
        this.digests.getUint32(at * digestBytes + 4, true) === node.view.getUint32(expected + 4, true);
      if (!same) this.add(at, true);
    }
  }

  end(): Change[] {
    this.finish();
    return this.found;
  }

  private add(at: number, isHashed: boolean): void {
    if (at !== this.to || isHashed !== this.isHashed) {
      this.finish();
      this.from = at;
      this.isHashed = isHashed;
    }
    this.to = at + 1;
  }

  private finish(): void {
    const { block, from, to, digests } = this;
    const count = to - from;
    if (count === 0) return;
    const change: Change = { block: block + from, count, bytes: this.part(from, to) };
    if (this.isHashed)
      change.digests = new DataView(digests!.buffer, from * digestBytes, count * digestBytes);
    this.found.push(change);
    this.from = to;
  }

  private part(from: number, to: number): Uint8Array {
    return this.bytes.subarray(from * SLOT_BYTES, to * SLOT_BYTES);
  }
}
