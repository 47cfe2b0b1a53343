// Memories on places of a test's own: in main memory, or on a simulated disk.

import { openAt } from "../../bindings/api/open.js";
import { type OpenOptions, settingsOf } from "../../bindings/api/options.js";
import type { Memory } from "../../bindings/index.js";
import type { Limits } from "../../bindings/pager/writer-state.js";
import type { Processes } from "../../bindings/storage/processes.js";
import type { Place } from "../../bindings/storage/storage.js";

/** Small enough that checkpoints, reuse and fragmentation come within dozens of commits. */
export const smallLimits: Partial<Limits> = { chainSlots: 200, chainCommits: 8, mapNodes: 16 };

/** Eight windows: the least that there are. */
export const fewWindows = 8 * 40_960;

/** Opens the state `name` of a place; its copies go to the same place. */
export function openIn(
  place: Place,
  name: string,
  processes: Processes,
  options: OpenOptions & { limits?: Partial<Limits> } = {},
): Memory {
  const { limits = {}, ...rest } = options;
  const site = { path: name, place, name, processes, locate: (other: string) => ({ place, name: other }) };
  const settings = { autoCommit: false, reserve: 0, ...rest };
  return openAt(site, { ...settingsOf(settings), limits } as ReturnType<typeof settingsOf>);
}
