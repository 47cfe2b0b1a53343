/**
 * Accounting: every slot is reachable or free, never both, and the free map says which. Reads only. Used by `check()`, by fsck, and after every
 * test that writes.
 */
import { PerdureError } from "../base/errors.js";
import { FIRST_SLOT, SLOT_BYTES } from "../format/constants.js";
import type { SnapshotEntry } from "../format/directory.js";
import { nodeDigestOffset } from "../format/node.js";
import type { Run } from "../format/superblock.js";
import { BlockMap } from "./block-map.js";
import { SlotSet } from "./slot-set.js";
import type { StateFile } from "./state-file.js";

export interface CheckReport {
  ok: boolean;
  problems: string[];
  /** Slots that the image and snapshots reach, nodes included; of the free map and directory; in log runs; in the file. */
  slots: { image: number; held: number; meta: number; runs: number; file: number };
  blocks: number;
  /** Blocks whose digest was verified; 0 unless asked for. */
  verified: number;
}

export interface CheckInput {
  file: StateFile;
  map: BlockMap;
  snapshots: readonly SnapshotEntry[];
  forks: ReadonlyMap<string, BlockMap>;
  /** What the free map (with the changes since) says; null when it is not known for this commit. */
  planes: { image: SlotSet; held: SlotSet } | null;
  meta: SlotSet;
  /** Log runs in force, and where the chain goes on in them. */
  runs: readonly Run[];
  next: number;
}

/** More problems than this are not told one by one. */
const MAX_PROBLEMS = 100;

export function checkAccounting(input: CheckInput, all: boolean): CheckReport {
  const problems: string[] = [];
  const say = (problem: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };
  const blocks = { seen: 0, verified: 0 };
  const image = reachOf(input.file, input.map, "the image", say, blocks, all);
  const held = new SlotSet();
  for (const { name, root } of input.snapshots) {
    const what = `snapshot "${name}"`;
    const tree = attempt(say, what, () => input.forks.get(name) ?? new BlockMap(input.file, root));
    if (tree) held.addAll(reachOf(input.file, tree, what, say, blocks, all));
  }
  if (input.planes) {
    compare(image, input.planes.image, "image", say);
    compare(held, input.planes.held, "held", say);
  }
  const used = image.clone();
  used.addAll(held);
  for (const slot of input.meta.slots()) {
    if (used.has(slot))
      say(`slot ${slot} belongs to the free map or the directory, and to the image or a snapshot too`);
  }
  used.addAll(input.meta);
  for (let slot = 0; slot < FIRST_SLOT; slot++)
    if (used.has(slot)) say(`slot ${slot} is reserved, but a tree reaches it`);
  for (let slot = input.next; slot < input.next + 2; slot++) {
    if (used.has(slot)) say(`the next header goes to slot ${slot}, which is in use`);
  }
  const fileSlots = input.file.slots();
  if (used.end() > fileSlots)
    say(`slot ${used.end() - 1} is in use, but the file has only ${fileSlots} slots`);
  return {
    ok: problems.length === 0,
    problems,
    slots: {
      image: image.count(),
      held: held.count(),
      meta: input.meta.count(),
      runs: input.runs.reduce((sum, run) => sum + run.slots, 0),
      file: fileSlots,
    },
    blocks: blocks.seen,
    verified: blocks.verified,
  };
}

function reachOf(
  file: StateFile,
  map: BlockMap,
  what: string,
  say: (problem: string) => void,
  blocks: { seen: number; verified: number },
  all: boolean,
): SlotSet {
  const found = new SlotSet();
  const bytes = new Uint8Array(SLOT_BYTES);
  const add = (slot: number): boolean => {
    if (found.has(slot)) {
      say(`${what} reaches slot ${slot} twice`);
      return false;
    }
    found.add(slot);
    return true;
  };
  attempt(say, what, () =>
    map.visit({
      node: add,
      leaf: (block, slot, node, entry) => {
        if (!add(slot)) return;
        blocks.seen++;
        if (!all) return;
        blocks.verified++;
        attempt(say, what, () =>
          file.readVerified(slot, bytes, node.view, nodeDigestOffset(entry), `block ${block}`),
        );
      },
    }),
  );
  return found;
}

function compare(reached: SlotSet, said: SlotSet, plane: string, say: (problem: string) => void): void {
  for (const slot of reached.slots())
    if (!said.has(slot)) say(`slot ${slot} is reached, but the free map's ${plane} plane has it free`);
  for (const slot of said.slots())
    if (!reached.has(slot))
      say(`slot ${slot} is lost: the free map's ${plane} plane has it, but nothing reaches it`);
}

function attempt<T>(say: (problem: string) => void, what: string, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    say(`${what}: ${error.message}`);
    return null;
  }
}
