/**
 * What the slots of a file are for, as its newest superblock and the chain after it have it. For dumps: a page of the free map or a block
 * cannot be told from its bytes. What is damaged on the way is passed over.
 */
import { PerdureError } from "../base/errors.js";
import { FORWARDING_SLOT } from "../format/constants.js";
import type { DumpKind } from "../format/dump.js";
import { quote } from "../format/names.js";
import { entryBlock, entrySlot } from "../format/segment.js";
import type { Root } from "../format/superblock.js";
import { BlockMap } from "../pager/block-map.js";
import { readDirectory } from "../pager/directory.js";
import type { StateFile } from "../pager/state-file.js";
import { walkHeaders } from "../pager/walk.js";
import { surveySuperblocks } from "./survey.js";

export interface Role {
  /** For people. */
  what: string;
  kind: DumpKind | null;
  /** Of a header: all its slots. */
  bytes?: Uint8Array;
}

const UNKNOWN: Role = { what: "not in use, or of an older state", kind: null };

/** The roles of these slots. */
export function rolesOf(file: StateFile, wanted: ReadonlySet<number>): Map<number, Role> {
  const roles = new Map<number, Role>();
  const set = (slot: number, what: string, kind: DumpKind | null, bytes?: Uint8Array): void => {
    if (!wanted.has(slot)) return;
    const before = roles.get(slot);
    if (before?.what === what) return;
    roles.set(
      slot,
      before
        ? { ...before, what: `${before.what}; ${what}` }
        : bytes
          ? { what, kind, bytes }
          : { what, kind },
    );
  };
  for (const { slot, state } of surveySuperblocks(file)) set(slot, `superblock, ${state}`, "superblock");
  set(FORWARDING_SLOT, "forwarding slot", null);
  const superblock = surveySuperblocks(file).find(({ state }) => state === "newest")?.superblock;
  if (superblock) {
    tolerate(() => {
      for (const { slot, header, bytes, entries, view } of walkHeaders(file, superblock).segments) {
        set(slot, `header of commit ${header.sequence}`, "header", bytes);
        for (let i = 0; i < header.furtherSlots; i++)
          set(header.furtherSlot + i, `the header of commit ${header.sequence} goes on`, "data");
        for (let i = 0; i < entries; i++) {
          const slot = entrySlot(view, i);
          if (slot !== 0)
            set(slot, `block ${entryBlock(view, i)}, written by commit ${header.sequence}`, "data");
        }
      }
    });
    const enter = (root: Root, what: string, leaf: string, kind: DumpKind) =>
      tolerate(() =>
        new BlockMap(file, root).visit({
          node: (slot, height) => {
            set(slot, `node of ${what}, height ${height}`, "node");
            return true;
          },
          leaf: (index, slot) => set(slot, `${leaf} ${index} of ${what}`, kind),
        }),
      );
    enter(superblock.image, "the image", "block", "data");
    enter(superblock.freeMap, "the free map", "page", "free page");
    enter(superblock.directory, "the directory of snapshots", "page", "directory");
    tolerate(() => {
      for (const { name, root } of readDirectory(file, superblock.directory))
        enter(root, `snapshot ${quote(name)}`, "block", "data");
    });
  }
  for (const slot of wanted) if (!roles.has(slot)) roles.set(slot, UNKNOWN);
  return roles;
}

function tolerate(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof PerdureError && error.code === "CORRUPT")) throw error;
  }
}
