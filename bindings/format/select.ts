/**
 * Which of the two superblocks a file is read from. Pure: it sees what decoding the slots gave and nothing else.
 *
 * A slot counts only when its generation belongs there. When both count, their uuids have to agree, and the older one
 * is a fallback only when it is the generation just before: of an older one the reach may have been reused.
 * A slot that a newer format wrote decides against opening even beside a readable one, which it may have superseded.
 */

import { equalBytes } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import { type Decoded, damaged } from "./decoded.js";
import type { Superblock } from "./superblock.js";

/**
 * Throws VERSION when a slot was written by a newer format; CORRUPT when neither slot holds a superblock, or both do but of
 * different files.
 */
export function selectSuperblock(
  slot0: Decoded<Superblock>,
  slot1: Decoded<Superblock>,
): { newest: Superblock; fallback: Superblock | null } {
  const even = inItsSlot(slot0, 0);
  const odd = inItsSlot(slot1, 1);
  for (const slot of [even, odd]) {
    if (!slot.ok && slot.reason === "version") throw new PerdureError("VERSION", slot.message);
  }
  if (even.ok && odd.ok) return order(even.value, odd.value);
  if (even.ok) return { newest: even.value, fallback: null };
  if (odd.ok) return { newest: odd.value, fallback: null };
  if (even.reason === "foreign" && odd.reason === "foreign") {
    throw new PerdureError(
      "CORRUPT",
      "not a perdure state file; nothing was changed: choose another path, or restore a backup",
    );
  }
  const why = `slot 0: ${even.message}; slot 1: ${odd.message}`;
  throw new PerdureError("CORRUPT", `both superblocks are damaged (${why})`);
}

function inItsSlot(found: Decoded<Superblock>, slot: 0 | 1): Decoded<Superblock> {
  if (!found.ok || found.value.generation % 2 === slot) return found;
  return damaged(`the superblock of generation ${found.value.generation} does not belong here`);
}

function order(even: Superblock, odd: Superblock): { newest: Superblock; fallback: Superblock | null } {
  if (!equalBytes(even.uuid, odd.uuid)) {
    throw new PerdureError("CORRUPT", "the two superblocks are of different files");
  }
  const [newest, older] = even.generation > odd.generation ? [even, odd] : [odd, even];
  return { newest, fallback: older.generation === newest.generation - 1 ? older : null };
}
