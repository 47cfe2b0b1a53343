// Pins as the writer sees them: it lists them before it chooses slots, and keeps what each reaches until the pin has gone.
// docs/FORMAT.md §9, "Readers".

import type { Handle } from "./handle.js";
import { knownOf } from "./walk.js";
import { nameCall, type Run } from "./world.js";

export function* refreshPins(handle: Handle): Run<void> {
  const { world, file, pinned, newest, fallback } = handle;
  yield nameCall;
  for (const name of pinned.keys()) if (world.directory.get(name) === undefined) pinned.delete(name);
  for (const [name, entry] of world.directory.all()) {
    if (entry.kind !== "pin" || entry.superblock.uuid !== newest.superblock.uuid) continue;
    if (!entry.process.alive) {
      pinned.delete(name);
      continue;
    }
    if (pinned.has(name)) continue;
    const known = [newest, fallback].find((each) => each?.superblock === entry.superblock);
    // A copy: what is named later is not needed for what the reader sees now.
    const reach = known
      ? { superblock: known.superblock, chain: [...known.chain] }
      : yield* knownOf(file, entry.superblock, entry.sequence);
    if (reach !== null) pinned.set(name, reach);
  }
}
