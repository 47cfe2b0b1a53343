/*
 * The walker: from a page to its table of level 1, and nothing else knows the way.
 *
 * A tree of tables begins with its holder, the address of a u32 that has the root: that of a space, or the global one of a ternary
 * memory. A root has one owner, its holder. Whoever changes an entry got its table from `walkToChange` or `walkToMake`, which let
 * nobody else see the change: they replace every shared table on the way by a copy.
 */

import { isCode } from "../base/codes";
import { get, put } from "../block/access";
import { TABLE_ENTRIES } from "../trit/constants";
import { tableEntry, tableOf } from "./entry";
import { copyTable, entryAt, giveTable, leaveTable, makeTable, nextUsed, ownersOf, setEntry, usedOf } from "./table";
import { index1, index2, index3, upperOf } from "./virtual";

const LOOK: u32 = 0;
const CHANGE: u32 = 1;
const MAKE: u32 = 2;

/** The table of level 1 that has the entry of a page; 0 when there is none. */
export function walk(holder: usize, page: u64): usize {
  return descend(0, holder, page, LOOK);
}

/** The same, to change an entry: OUT_OF_MEMORY when a shared table cannot be copied. */
export function walkToChange(memory: usize, holder: usize, page: u64): usize {
  return descend(memory, holder, page, CHANGE);
}

/** The same, making what is missing: OUT_OF_MEMORY, and `prune` takes back what was made in vain. */
export function walkToMake(memory: usize, holder: usize, page: u64): usize {
  return descend(memory, holder, page, MAKE);
}

// @ts-ignore: decorator
@inline
function descend(memory: usize, holder: usize, page: u64, how: u32): usize {
  const upper = upperOf(page);
  let table = get<usize>(holder);
  if (table == 0) {
    if (how != MAKE) return 0;
    table = makeTable(3);
    if (isCode(table)) return table;
    put<usize>(holder, table);
  }
  table = below(memory, table, index3(upper), 2, how);
  return isCode(table) ? table : below(memory, table, index2(upper), 1, how);
}

/** One step down, to a table of this level. */
// @ts-ignore: decorator
@inline
function below(memory: usize, table: usize, index: u32, level: u32, how: u32): usize {
  const found = tableOf(entryAt(table, index));
  if (how == LOOK) return found;
  if (found == 0 ? how == CHANGE : ownersOf(found) == 1) return found;
  const made = found == 0 ? makeTable(level) : copyTable(memory, found);
  if (isCode(made)) return made;
  setEntry(table, index, tableEntry(made));
  if (found != 0) leaveTable(found);
  return made;
}

/** Whether a fork shares the table of level 1 that has the entry of a page, or the one above it. */
export function isShared(holder: usize, page: u64): bool {
  const upper = upperOf(page);
  const middle = tableOf(entryAt(get<usize>(holder), index3(upper)));
  return ownersOf(middle) > 1 || ownersOf(tableOf(entryAt(middle, index2(upper)))) > 1;
}

/** Gives back the tables on the way to a page that have no entry any more. */
export function prune(holder: usize, page: u64): void {
  const upper = upperOf(page);
  const root = get<usize>(holder);
  if (root == 0) return;
  const middle = tableOf(entryAt(root, index3(upper)));
  if (middle != 0) {
    const last = tableOf(entryAt(middle, index2(upper)));
    if (last != 0 && usedOf(last) == 0) {
      setEntry(middle, index2(upper), 0);
      giveTable(last);
    }
    if (usedOf(middle) == 0) {
      setEntry(root, index3(upper), 0);
      giveTable(middle);
    }
  }
  if (usedOf(root) != 0) return;
  put<usize>(holder, 0);
  giveTable(root);
}

/** The first page in [page, end) that is mapped; `end` when none is. */
export function nextMapped(holder: usize, page: u64, end: u64): u64 {
  const root = get<usize>(holder);
  if (root == 0) return end;
  while (page < end) {
    const upper = upperOf(page);
    const third = nextUsed(root, index3(upper));
    if (third == TABLE_ENTRIES) return end;
    if (third != index3(upper)) {
      page = pageAt(third, 0, 0);
      continue;
    }
    const middle = tableOf(entryAt(root, third));
    const second = nextUsed(middle, index2(upper));
    if (second != index2(upper)) {
      page = second == TABLE_ENTRIES ? pageAt(third + 1, 0, 0) : pageAt(third, second, 0);
      continue;
    }
    const first = nextUsed(tableOf(entryAt(middle, second)), index1(page));
    page = first == TABLE_ENTRIES ? pageAt(third, second + 1, 0) : pageAt(third, second, first);
    if (first != TABLE_ENTRIES) break;
  }
  return min(page, end);
}

function pageAt(third: u32, second: u32, first: u32): u64 {
  return (<u64>third * TABLE_ENTRIES + second) * TABLE_ENTRIES + first;
}
