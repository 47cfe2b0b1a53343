/**
 * Accounting: every slot is reachable or free, never both, and the free map says which. Reads only. Used by `check()`, by fsck, and after every
 * test that writes.
 */
import { PerdureError } from "../base/errors.js";
import { FIRST_SLOT, MAX_HEIGHT, SLOT_BYTES } from "../format/constants.js";
import type { SnapshotEntry } from "../format/directory.js";
import { quote } from "../format/names.js";
import { nodeDigestOffset } from "../format/node.js";
import type { Run } from "../format/superblock.js";
import { BlockMap, type MapNode } from "./block-map.js";
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
  /** What could not be read even to get here. */
  problems: readonly string[];
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

type Say = (problem: string) => void;

/** More problems than this are not told one by one. */
const MAX_PROBLEMS = 100;

export function checkAccounting(input: CheckInput, all: boolean): CheckReport {
  const problems = input.problems.slice(0, MAX_PROBLEMS);
  const say: Say = (problem) => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };
  const { file, meta } = input;
  const tally = new Tally(file, say, all);
  const image = new SlotSet();
  tally.enter(input.map, "the image", image);
  const held = new SlotSet();
  for (const { name, root } of input.snapshots) {
    const what = `snapshot ${quote(name)}`;
    const tree = attempt(say, what, () => input.forks.get(name) ?? new BlockMap(file, root));
    if (tree) tally.enter(tree, what, held);
  }
  if (input.planes) {
    compare(image, input.planes.image, "image", say);
    compare(held, input.planes.held, "held", say);
  }
  const fileSlots = file.slots();
  const used = image.clone();
  used.addAll(held);
  for (const slot of meta.slots()) {
    if (used.has(slot))
      say(`slot ${slot} belongs to the free map or the directory, and to the image or a snapshot too`);
  }
  used.addAll(meta);
  for (let slot = 0; slot < FIRST_SLOT; slot++)
    if (used.has(slot)) say(`slot ${slot} is reserved, but a tree reaches it`);
  compareRuns(input, fileSlots, { used, held }, say);
  if (used.end() > fileSlots)
    say(`slot ${used.end() - 1} is in use, but the file has only ${fileSlots} slots`);
  return {
    ok: problems.length === 0,
    problems,
    slots: {
      image: image.count(),
      held: held.count(),
      meta: meta.count(),
      runs: input.runs.reduce((sum, run) => sum + run.slots, 0),
      file: fileSlots,
    },
    blocks: tally.blocks,
    verified: tally.verified,
  };
}

/** Goes through the trees. A node that several snapshots share is looked at once, so the cost does not grow with their number. */
class Tally {
  blocks = 0;
  verified = 0;
  /** Slots by what they were found to be: blocks, nodes of height 1, of height 2 … */
  private readonly levels = Array.from({ length: MAX_HEIGHT + 1 }, () => new SlotSet());
  private readonly bytes = new Uint8Array(SLOT_BYTES);

  constructor(
    private readonly file: StateFile,
    private readonly say: Say,
    private readonly all: boolean,
  ) {}

  /** Adds what the tree reaches to `plane`, in which the trees before it are. */
  enter(map: BlockMap, what: string, plane: SlotSet): void {
    const own = new SlotSet();
    attempt(this.say, what, () =>
      map.visit({
        node: (slot, height) => {
          const known = plane.has(slot) && this.levels[height].has(slot);
          return this.add(slot, height, what, own, plane) && !known;
        },
        leaf: (block, slot, node, entry) => {
          if (!this.add(slot, 0, what, own, plane)) return;
          this.blocks++;
          if (this.all) this.verify(block, slot, node, entry, what);
        },
      }),
    );
  }

  private add(slot: number, level: number, what: string, own: SlotSet, plane: SlotSet): boolean {
    if (own.has(slot)) {
      this.say(`${what} reaches slot ${slot} twice`);
      return false;
    }
    if (this.levels.some((slots, other) => other !== level && slots.has(slot)))
      this.say(`${what} reaches slot ${slot} at a height of ${level}, where it does not belong`);
    own.add(slot);
    plane.add(slot);
    this.levels[level].add(slot);
    return true;
  }

  private verify(block: number, slot: number, node: MapNode, entry: number, what: string): void {
    this.verified++;
    attempt(this.say, what, () =>
      this.file.readVerified(slot, this.bytes, node.view, nodeDigestOffset(entry), `block ${block}`),
    );
  }
}

/** Nothing in use lies where commits will be written, and of what lies in the runs only the image can be of this chain. */
function compareRuns(
  { runs, next, meta }: CheckInput,
  fileSlots: number,
  { used, held }: { used: SlotSet; held: SlotSet },
  say: Say,
): void {
  let ahead = false;
  for (const { slot, slots } of runs) {
    const end = Math.min(slot + slots, fileSlots);
    const isCurrent = next >= slot && next < slot + slots;
    for (let at = slot; at < end; at++) {
      const free = ahead || (isCurrent && at >= next);
      if (free ? used.has(at) : held.has(at) || meta.has(at))
        say(`slot ${at} is in use, but a log run has it`);
    }
    ahead ||= isCurrent;
  }
}

function compare(reached: SlotSet, said: SlotSet, plane: string, say: Say): void {
  for (const slot of reached.slots())
    if (!said.has(slot)) say(`slot ${slot} is reached, but the free map's ${plane} plane has it free`);
  for (const slot of said.slots())
    if (!reached.has(slot))
      say(`slot ${slot} is lost: the free map's ${plane} plane has it, but nothing reaches it`);
}

/** What `read` gives; null when it fails, which is said. */
export function attempt<T>(say: Say, what: string, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    say(`${what}: ${error.message}`);
    return null;
  }
}
