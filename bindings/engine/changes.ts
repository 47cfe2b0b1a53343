/** What a commit has to write: what is listed as dirty, and what changed unseen. */
import type { Core } from "../core.js";
import { BlockRanges } from "../pager/block-ranges.js";
import type { Change, Pager } from "../pager/pager.js";
import { blocksOf, type Watch } from "./watch.js";

/** Dirty and discarded blocks, neighbours as one change; their bytes are where they lie in memory. */
export function dirtyChanges(core: Core): Change[] {
  const { constants, states } = core;
  const { DISCARDED } = constants;
  const count = core.data.getUint32(constants.DIRTY_COUNT, true);
  const sorted = dirtyList(core, count);
  const changes: Change[] = [];
  for (let i = 0; i < count; ) {
    const first = sorted[i];
    const isDiscarded = states[first] === DISCARDED;
    let n = 1;
    while (i + n < count && sorted[i + n] === first + n && (states[first + n] === DISCARDED) === isDiscarded)
      n++;
    changes.push({ block: first, count: n, bytes: isDiscarded ? null : core.blocks(first, n) });
    i += n;
  }
  core.eachDirtyInWindows((block, image) =>
    changes.push({ block: image, count: 1, bytes: core.blocks(block, 1) }),
  );
  return changes;
}

/** The listed blocks in ascending order. */
function dirtyList({ bytes, data, constants }: Core, count: number): ArrayLike<number> {
  // The most frequent commit is that of one block, and a typed array takes as long to make as the rest of this.
  if (count === 1) return [data.getUint32(constants.DIRTY_LIST, true)];
  return new Uint32Array(bytes.buffer, constants.DIRTY_LIST, count).slice().sort();
}

/** Adds what is under writable views and is not what the last commit has. */
export function addUnseenChanges(
  core: Core,
  pager: Pager,
  watches: Iterable<Watch>,
  changes: Change[],
): void {
  const { WATCHED } = core.constants;
  const { states } = core;
  // Several views may show the same blocks.
  const watched = new BlockRanges();
  for (const watch of watches) {
    const [first, last] = blocksOf(watch);
    if (watch.writable) watched.add(first, last - first + 1);
  }
  for (const { block, count } of watched) {
    const end = block + count;
    for (let first = block; first < end; ) {
      let next = first;
      while (next < end && states[next] === WATCHED) next++;
      const length = next - first;
      if (length > 0)
        for (const change of pager.differing(first, length, core.blocks(first, length))) changes.push(change);
      // What is dirty besides is listed as that.
      while (next < end && states[next] !== WATCHED) next++;
      first = next;
    }
  }
}
