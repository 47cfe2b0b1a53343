// Opening for writing in place, when every earlier owner is proven dead: docs/FORMAT.md §9, "Opening for writing".
// The state at the end is exactly one commit, and it is on the platter before anything is acknowledged.

import { checkpoint } from "./checkpoint.js";
import { checkForwarding, Handle } from "./handle.js";
import { removeNewFiles } from "./lock.js";
import { type Superblock, zero } from "./values.js";
import { findCommit, readContent, readSuperblocks, type Walk } from "./walk.js";
import { Failure, type File, nameCall, type Process, type Run } from "./world.js";

export function* openInPlace(process: Process, file: File, number: number): Run<Handle> {
  const { world } = file;
  const { rules } = world;

  // 3: the name is made durable; walk, scan, read the trees: nothing is written when that fails
  yield nameCall;
  if (rules.flushDirectoryWhenOpening) world.directory.flush();
  const { newest, fallback } = yield* readSuperblocks(file);
  if (newest === null) throw new Failure("CORRUPT", "no valid superblock");
  const found = yield* findCommit(file, newest);
  const content = yield* readContent(file, found);
  world.oracle.walked(file.inode, content.state, world.oracle.proof(file.inode));

  const handle = new Handle(world, process, number, file, newest, content);
  handle.newest.chain.push(...found.segments.map(({ header }) => header));
  handle.retained = fallback;
  handle.sequence = found.sequence;
  handle.head = found.head ?? newest.chain;
  if (found.segments.length > 0 && rules.checkpointAfterReplay) yield* handle.loadSpace();

  // 4
  yield* removeNewFiles(world, process);
  if (fallback === null && rules.clearTornSuperblock) yield* file.write((newest.generation + 1) % 2, zero);
  yield* writeAgain(file, found);
  if (rules.flushAfterRewrite) yield* file.flush();
  handle.lastFlushed =
    rules.rewriteAboveLastFlushed && rules.flushAfterRewrite ? found.sequence : found.lastFlushed;

  // 5
  if (found.segments.length > 0 && rules.checkpointAfterReplay) {
    handle.log = [found.next];
    yield* checkpoint(handle, "checkpoint", "");
  } else handle.log = remaining(newest, found.next, handle);

  // 6
  if (rules.forwardingAfterOpening) yield* checkForwarding(handle);
  world.oracle.opened(handle, content);
  return handle;
}

/** What the walk saw may not be on the platter, and no flush would put it there; and what it did not see may be. */
function* writeAgain(file: File, { superblock, segments, next, lastFlushed }: Walk): Run<void> {
  const { rules } = file.world;
  if (rules.rewriteSuperblock) yield* file.write(superblock.generation % 2, superblock);
  if (rules.clearNextHeader && next < file.inode.size) yield* file.write(next, zero);
  if (!rules.rewriteAboveLastFlushed) return;
  for (const { slot, header } of segments) {
    if (header.sequence <= lastFlushed) continue;
    yield* file.write(slot, header);
    for (const { place } of header.changes) {
      if (place === null) continue;
      if ((yield* file.read(place.slot)) !== place.digest)
        throw new Failure("IO", `block in slot ${place.slot} has changed since the walk`);
      yield* file.write(place.slot, place.digest);
    }
  }
}

/** The log goes on at `next`; only a mutant that does not checkpoint after a replay has used a part of it. */
function remaining({ runs }: Superblock, next: number, { newest }: Handle): number[] {
  const last = newest.chain.findLast((header) => header.runs.length > 0);
  const log = last?.runs ?? runs;
  return log.slice(log.indexOf(next));
}
