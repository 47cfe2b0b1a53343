// What actors (child-actor.ts) do to a file, and what that makes of the model. An act has a tag of its own, and writes it into a few blocks that
// follow from the tag.

import type { Pager } from "../../bindings/pager/pager.js";
import { changesOf, type Image, type State } from "./child-model.js";
import { Random } from "./random.js";

export const NAME = "state";
export const ACT_LIMITS = { chainSlots: 600, chainCommits: 6, mapNodes: 8 };

/** Blocks that are looked at: all that acts write, but only some of a large commit. */
export const ACT_BLOCKS: readonly number[] = [
  ...Array.from({ length: 24 }, (_, i) => i),
  ...Array.from({ length: 10 }, (_, i) => 1000 + 30 * i),
  2 ** 30,
];

export interface Act {
  run(pager: Pager, tag: number): unknown;
  /** What it makes of the model when it succeeds. */
  apply(state: State, tag: number): void;
}

export function blocksOf(tag: number): number[] {
  const random = new Random(tag);
  return [0, ...Array.from({ length: 4 }, () => 1 + random.below(23)), 2 ** 30];
}

const LARGE = [0, ...Array.from({ length: 271 }, (_, i) => 1000 + i)];

export function write(image: Image, blocks: readonly number[], tag: number): void {
  for (const block of blocks) image.set(block, tag);
}

const writes = (state: State, tag: number) => write(state.image, blocksOf(tag), tag);
const nothing = () => {};

/** Every way in which a writer changes the file, or makes it durable. */
export const ACTS: Readonly<Record<string, Act>> = {
  commit: { run: (pager, tag) => pager.commit(changesOf(blocksOf(tag), tag), false), apply: writes },
  durable: { run: (pager, tag) => pager.commit(changesOf(blocksOf(tag), tag), true), apply: writes },
  large: {
    run: (pager, tag) => pager.commit(changesOf(LARGE, tag), true),
    apply: (state, tag) => write(state.image, LARGE, tag),
  },
  spilled: {
    run(pager, tag) {
      const changes = [...new Set(blocksOf(tag))].flatMap((block) => changesOf([block], tag));
      for (const { block, bytes } of changes.splice(0, 2)) pager.spill(block, bytes!);
      pager.commit(changes, true);
    },
    apply: writes,
  },
  flush: { run: (pager) => pager.flush(), apply: nothing },
  flushed: { run: (pager) => pager.flushed(), apply: nothing },
  checkpoint: { run: (pager) => pager.checkpoint(), apply: nothing },
  create: {
    run: (pager, tag) => pager.createSnapshot(`s${tag}`),
    apply: (state, tag) => state.snapshots.set(`s${tag}`, new Map(state.image)),
  },
  delete: {
    run: (pager) => pager.deleteSnapshot("base"),
    apply: (state) => state.snapshots.delete("base"),
  },
  restore: {
    run: (pager) => pager.restoreSnapshot("first"),
    apply(state) {
      state.image = new Map(state.snapshots.get("first"));
    },
  },
  compact: { run: (pager) => pager.compact(), apply: nothing },
  close: { run: (pager) => pager.close(), apply: nothing },
};

/** What an actor tries after its act, in this order. */
export const TRIES = ["commit", "durable", "checkpoint", "create", "flush", "flushed", "compact"] as const;
