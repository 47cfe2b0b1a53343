/** What a commit has to write: what is listed as dirty, and what changed unseen. */
import type { Core } from "../core.js";
import type { Change, Pager } from "../pager/pager.js";
import { blocksOf, type Watch } from "./watch.js";

/** Dirty and discarded blocks, neighbours as one change; their bytes are where they lie in memory. */
export function dirtyChanges(core: Core): Change[] {
  const { constants, states } = core;
  const { DISCARDED } = constants;
  const count = core.data.getUint32(constants.DIRTY_COUNT, true);
  const list = new Uint32Array(core.bytes.buffer, constants.DIRTY_LIST, count);
  const sorted = count > 1 ? list.slice().sort() : list;
  const changes: Change[] = [];
  for (let i = 0; i < count; ) {
    const first = sorted[i];
    const isDiscarded = states[first] === DISCARDED;
    const continues = (block: number, n: number) =>
      block === first + n && (states[block] === DISCARDED) === isDiscarded;
    let n = 1;
    while (i + n < count && continues(sorted[i + n], n)) n++;
    changes.push({ block: first, count: n, bytes: isDiscarded ? null : core.blocks(first, n) });
    i += n;
  }
  core.eachDirtyInWindows((block, image) =>
    changes.push({ block: image, count: 1, bytes: core.blocks(block, 1) }),
  );
  return changes;
}

/** Adds the blocks under writable views whose digests are not those of the last commit, neighbours as one change. */
export function addUnseenChanges(
  core: Core,
  pager: Pager,
  watches: Iterable<Watch>,
  changes: Change[],
): void {
  const { WATCHED } = core.constants;
  const seen = new Set<number>();
  for (const watch of watches) {
    if (!watch.writable) continue;
    const [first, last] = blocksOf(watch);
    for (let block = first; block <= last; block++) {
      if (core.states[block] !== WATCHED) continue;
      let end = block + 1;
      while (end <= last && core.states[end] === WATCHED) end++;
      const differing = pager.differing(block, end - block, core.blocks(block, end - block));
      // Several views may show the same block.
      const unseen = differing.filter((changed) => !seen.has(changed));
      for (const changed of unseen) seen.add(changed);
      for (const [start, count] of runsOf(unseen))
        changes.push({ block: start, count, bytes: core.blocks(start, count) });
      block = end - 1;
    }
  }
}

/** Ascending numbers as runs of consecutive ones. */
function* runsOf(numbers: readonly number[]): Generator<[first: number, count: number]> {
  for (let i = 0; i < numbers.length; ) {
    let n = 1;
    while (i + n < numbers.length && numbers[i + n] === numbers[i] + n) n++;
    yield [numbers[i], n];
    i += n;
  }
}
