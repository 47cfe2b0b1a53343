// Opening for writing in place, when every earlier owner is proven dead: docs/FORMAT.md §9, "Opening for writing".
// The state at the end is exactly one commit, and it is on the platter before anything is acknowledged.

import { checkpoint } from "./checkpoint.js";
import { checkForwarding, Handle } from "./handle.js";
import { Superblock, zero } from "./values.js";
import { followChain, readContent, readSuperblocks, walk } from "./walk.js";
import { Failure, type File, nameCall, type Process, type Run } from "./world.js";

export function* openInPlace(process: Process, file: File, number: number): Run<Handle> {
  const { world } = file;
  const { rules } = world;

  // 3: walk, scan, read the trees; nothing is written when that fails
  const { newest, fallback } = yield* readSuperblocks(file);
  if (newest === null) throw new Failure("CORRUPT", "no valid superblock");
  const found = yield* walk(file, newest);
  if (found.lost) throw new Failure("CORRUPT", "flushed commits are missing");
  const content = yield* readContent(file, found);
  world.oracle.walked(file.inode, content.state, world.oracle.proof(file.inode));
  const before = fallback === null ? [] : yield* followChain(file, fallback);

  // 4: what the walk saw may not be on the platter, and no flush would put it there; and what it did not see may be
  if (rules.rewriteSuperblock) yield* file.write(newest.generation % 2, newest);
  if (fallback === null && rules.clearTornSuperblock) yield* file.write((newest.generation + 1) % 2, zero);
  if (rules.rewriteAboveLastFlushed) {
    for (const { slot, header } of found.segments) {
      if (header.sequence <= found.lastFlushed) continue;
      yield* file.write(slot, header);
      for (const { place } of header.changes) if (place !== null) yield* file.write(place.slot, place.digest);
    }
  }
  if (rules.clearNextHeader) yield* file.write(found.next, zero);
  if (rules.flushAfterRewrite) yield* file.flush();
  yield nameCall;
  if (rules.flushDirectoryWhenOpening) world.directory.flush();

  const handle = new Handle(world, process, number, file, newest, content);
  handle.newest.chain.push(...found.segments.map(({ header }) => header));
  if (fallback !== null)
    handle.fallback = { superblock: fallback, chain: before.map(({ header }) => header) };
  handle.sequence = found.sequence;
  handle.head = found.head ?? newest.chain;
  handle.lastFlushed =
    rules.rewriteAboveLastFlushed && rules.flushAfterRewrite ? found.sequence : found.lastFlushed;
  handle.log = [found.next];

  // 5 or 6
  if (
    (found.segments.length > 0 && rules.checkpointAfterReplay) ||
    (found.tail && rules.checkpointAboveTail)
  ) {
    yield* checkpoint(handle, "checkpoint", "");
  } else {
    handle.log = remaining(newest, found.next, handle);
    if (rules.raiseWriterNumber) {
      const same = newest;
      const raised = new Superblock(
        same.uuid,
        same.generation + 1,
        same.sequence,
        number,
        same.image,
        same.directory,
        same.freeMap,
        same.chain,
        same.next,
        same.runs,
        same.state,
        same.whole,
      );
      yield* file.write(raised.generation % 2, raised);
      handle.fallback = handle.newest;
      handle.newest = { superblock: raised, chain: [...handle.newest.chain] };
    }
    yield* file.flush();
  }
  if (rules.forwardingAfterOpening) yield* checkForwarding(handle);
  world.oracle.opened(handle, content);
  return handle;
}

/** The log goes on at `next`; only a mutant that does not checkpoint after a replay has used a part of it. */
function remaining({ runs }: Superblock, next: number, { newest }: Handle): number[] {
  const last = newest.chain.findLast((header) => header.runs.length > 0);
  const log = last?.runs ?? runs;
  return log.slice(log.indexOf(next));
}
