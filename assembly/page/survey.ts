/*
 * What a space consists of, counted for the host, and the sweep. O(tables), whatever they have.
 */

import { answer, get, read } from "../block/access";
import { endStateEpoch } from "../block/window-table";
import { TABLE_ENTRIES } from "../trit/constants";
import { tableOf } from "./entry";
import { countAccessed, sweepMarks } from "./marks";
import { Space, tablesOf } from "./space";
import { entryAt, nextUsed, usedOf } from "./table";

/**
 * Ends a period of accesses, having counted.
 *
 *   exchange  0   pages that were accessed in it f64
 *             8   pages that were not, but in the one before f64
 *             16  all other mapped pages f64
 */
export function sweep(space: usize): void {
  count(space, true);
  endStateEpoch();
}

/**
 *   exchange  0   mapped pages f64
 *             8   tables, those that a fork shares included u32
 *             12  areas u32
 */
export function spaceStatistics(space: usize): void {
  count(space, false);
}

function count(space: usize, sweeping: bool): void {
  const root = get<usize>(tablesOf(space));
  let mapped: u64 = 0;
  let accessed: u64 = 0;
  let before: u64 = 0;
  let tables: u32 = root == 0 ? 0 : 1;
  for (let third = firstUsed(root); third < TABLE_ENTRIES; third = nextUsed(root, third + 1)) {
    const middle = tableOf(entryAt(root, third));
    tables++;
    for (let second = nextUsed(middle, 0); second < TABLE_ENTRIES; second = nextUsed(middle, second + 1)) {
      const table = tableOf(entryAt(middle, second));
      tables++;
      mapped += usedOf(table);
      if (!sweeping) continue;
      accessed += countAccessed(table, false);
      before += countAccessed(table, true);
      sweepMarks(table);
    }
  }
  if (sweeping) {
    answer<f64>(0, <f64>accessed);
    answer<f64>(8, <f64>before);
    answer<f64>(16, <f64>(mapped - accessed - before));
    return;
  }
  answer<f64>(0, <f64>mapped);
  answer<u32>(8, tables);
  answer<u32>(12, read<Space>(space).areaCount);
}

function firstUsed(root: usize): u32 {
  return root == 0 ? TABLE_ENTRIES : nextUsed(root, 0);
}
