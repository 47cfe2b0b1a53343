import { PerdureError } from "../../base/errors.js";
import type { SnapshotEntry } from "../../format/directory.js";
import { findNeighbours, type Neighbours } from "../../inspect/neighbours.js";
import {
  type Chain,
  chainOf,
  ensureStateFile,
  formatOf,
  isForwarded,
  type LiveSlots,
  liveSlots,
  type SuperblockSurvey,
  slotBytes,
  surveySuperblocks,
  uuidText,
} from "../../inspect/survey.js";
import type { Reader } from "../../pager/reader.js";
import type { StateFile } from "../../pager/state-file.js";
import { locate, looking } from "../target.js";
import { count, name, owner, plural, size, slotsSize, table, time } from "../text.js";
import type { Report, Verb } from "../verb.js";

export const inspect: Verb = {
  name: "inspect",
  summary: "show what a state file holds and who has it open",
  description: `Shows the superblocks, the last commit, the chain of commits after the newest superblock, how much of the
file is in use, the snapshots, and who writes and reads it. Reads only, and works while a program writes.`,
  arguments: [["<file>", "the state file"]],
  examples: [
    ["perdure inspect app.state", "what is in it"],
    ["perdure inspect app.state --json | jq .commit", "the sequence of the last commit"],
  ],
  exits: ["the file can be opened", "it is damaged, missing, or no state file"],
  run(_task, [path]) {
    const target = locate(path);
    // Before the own pin is among them.
    const neighbours = findNeighbours(target.place, target.name, target.processes);
    return looking(target, (file, seen) => report(survey(target.path, file, seen, neighbours)));
  },
};

interface Inspection {
  file: string;
  fileBytes: number;
  fileSlots: number;
  format: string | null;
  uuid: string | null;
  /** The last commit, and up to which one it is known to be durable; null when it cannot be told. */
  commit: number | null;
  flushed: number | null;
  generation: number | null;
  superblocks: SuperblockSurvey[];
  chain: Chain | null;
  live: LiveSlots | null;
  snapshots: readonly SnapshotEntry[] | null;
  forwarded: boolean;
  neighbours: Neighbours;
  problems: string[];
}

function survey(
  path: string,
  file: StateFile,
  seen: Reader | PerdureError,
  neighbours: Neighbours,
): Inspection {
  ensureStateFile(file);
  const superblocks = surveySuperblocks(file);
  const newest = superblocks.find(({ state }) => state === "newest");
  const reader = seen instanceof PerdureError ? null : seen;
  const problems: string[] = seen instanceof PerdureError ? [seen.message] : [];
  const tried = <T>(read: (reader: Reader) => T): T | null => {
    try {
      return reader && read(reader);
    } catch (error) {
      if (!(error instanceof PerdureError && error.code === "CORRUPT")) throw error;
      problems.push(error.message);
      return null;
    }
  };
  for (const { slot, state, message } of superblocks)
    if (state === "damaged") problems.push(`superblock in slot ${slot}: ${message}`);
  return {
    file: path,
    fileBytes: file.storage.size(),
    fileSlots: file.slots(),
    format: newest ? formatOf(file, newest.slot) : null,
    uuid: newest?.superblock ? uuidText(newest.superblock.uuid) : null,
    commit: reader?.sequence ?? null,
    flushed: reader?.view().walk.lastFlushed ?? null,
    generation: newest?.superblock?.generation ?? null,
    superblocks,
    chain: reader && chainOf(reader.view().walk),
    live: tried((reader) => liveSlots(file, reader.view().walk)),
    snapshots: tried((reader) => reader.snapshots),
    forwarded: isForwarded(file),
    neighbours,
    problems,
  };
}

function report(found: Inspection): Report {
  const { superblocks, live, snapshots, neighbours, problems, ...plain } = found;
  const json = {
    ...plain,
    superblocks: superblocks.map(({ slot, state, message, superblock }) => ({
      slot,
      state,
      message,
      generation: superblock?.generation ?? null,
      sequence: superblock?.sequence ?? null,
      writer: superblock?.writer ?? null,
      time: superblock ? time(superblock.time) : null,
    })),
    live: live && { bytes: slotBytes(live.total), slots: live },
    snapshots: snapshots?.map(({ name, sequence, time: at }) => ({ name, sequence, time: time(at) })) ?? null,
    ...neighbours,
    problems,
  };
  return { json, text: lines(found), problem: problems.length > 0 };
}

function lines(found: Inspection): string[] {
  const { fileBytes, fileSlots, live, chain, snapshots, neighbours, problems } = found;
  const rows: string[][] = [];
  const add = (label: string, ...values: string[]) =>
    values.forEach((value, i) => rows.push([i === 0 ? label : "", value]));
  if (found.commit !== null) {
    const flushed = found.flushed ?? 0;
    const durable = flushed >= found.commit ? "" : `, recorded as durable up to ${count(flushed)}`;
    add("commit", `${count(found.commit)}${durable}`);
  }
  if (found.uuid !== null) add("uuid", `${found.uuid}, format ${found.format}`);
  add("file", `${size(fileBytes)} (${count(fileBytes)} bytes, ${plural(fileSlots, "slot")})`);
  if (live) {
    const share = fileSlots === 0 ? 0 : Math.round((100 * live.total) / fileSlots);
    add(
      "in use",
      `${slotsSize(live.total)}, ${share} % of the file`,
      `image ${count(live.image)}, snapshots ${count(live.held)}, free map and directory ${count(live.meta)} (shared ones in each)`,
    );
  }
  add("superblocks", ...found.superblocks.map(superblockLine));
  if (chain) {
    const runSlots = chain.runs.reduce((sum, { slots }) => sum + slots, 0);
    add(
      "chain",
      `${plural(chain.segments, "commit")} after the superblock, their headers in ${plural(chain.headerSlots, "slot")}`,
      `goes on in slot ${count(chain.next)}, in ${plural(chain.runs.length, "log run")} of ${plural(runSlots, "slot")}`,
    );
  }
  if (snapshots) {
    const each = snapshots.map(
      (entry) => `${name(entry.name)} of commit ${count(entry.sequence)}, ${time(entry.time)}`,
    );
    add("snapshots", ...(each.length > 0 ? each : ["none"]));
  }
  add(
    "writer",
    ...orNobody(neighbours.writers.map((writer) => `${owner(writer.owner)}, number ${writer.number}`)),
  );
  add(
    "readers",
    ...orNobody(
      neighbours.readers.map(({ owner: who, commit, snapshot }) => {
        const what = snapshot === null ? `commit ${commit ?? "?"}` : `snapshot ${name(snapshot)}`;
        return `${owner(who)}, at ${what}`;
      }),
    ),
  );
  if (neighbours.unfinished.length > 0) add("unfinished", ...neighbours.unfinished);
  if (found.forwarded) add("taken over", "the copy was not finished; the next writer finishes it");
  if (problems.length > 0) add("PROBLEMS", ...problems);
  return [found.file, ...table(rows)];
}

function superblockLine({ slot, state, message, superblock }: SuperblockSurvey): string {
  if (superblock === null) return `slot ${slot}: ${message === null ? state : `${state}: ${message}`}`;
  const { generation, sequence, writer, time: at } = superblock;
  return `slot ${slot}: generation ${count(generation)}, ${state}, commit ${count(sequence)}, writer ${count(writer)}, ${time(at)}`;
}

const orNobody = (lines: string[]): string[] => (lines.length > 0 ? lines : ["nobody"]);
