import { join } from "node:path";
import { PerdureError } from "../../base/errors.js";
import { openSync } from "../../index.js";
import { salvageLines, salvageTo } from "../../inspect/salvage.js";
import { ensureStateFile } from "../../inspect/survey.js";
import { type Findings, verify, verifyDamaged } from "../../inspect/verify.js";
import type { Reader } from "../../pager/reader.js";
import { readSuperblocks } from "../../pager/recover.js";
import type { StateFile } from "../../pager/state-file.js";
import { runSteps } from "../../pager/steps.js";
import { NodePlace } from "../../storage/node.js";
import { locate, looking } from "../target.js";
import { count, plural, slotsSize, table } from "../text.js";
import type { Task, Verb } from "../verb.js";

export const fsck: Verb = {
  name: "fsck",
  summary: "check a state file, and salvage what is whole in a damaged one",
  description: `Checks that the file can be opened, that the chain of commits is whole, that every slot is either reachable or free
and never both, that every map node has its digest, and that the structures in the image agree with each other. With
--all every block is read and compared with its digest, too (a scrub). Never writes to the file, and works while a program writes it.

With --salvage everything that still verifies is written into a new state file, the old one stays as it is, and
what was lost is listed. Lost blocks read as zeros there. Without a usable superblock the state is rebuilt from
what a scan of the whole file finds.`,
  arguments: [["<file>", "the state file"]],
  options: [
    ["--all", "read and verify every block"],
    ["--salvage <new-file>", "write what verifies into this file, which must not exist"],
  ],
  examples: [
    ["perdure fsck app.state", "is it in order?"],
    ["perdure fsck app.state --all", "is every byte as it was written?"],
    ["perdure fsck app.state --salvage saved.state", "rescue what can be rescued"],
  ],
  exits: [
    "the file is in order",
    "problems were found (also when everything could be salvaged), or it is no state file",
  ],
  async run(task, [path], { all, salvage }) {
    const target = locate(path);
    const copy = typeof salvage === "string" ? NodePlace.locate(salvage) : null;
    const findings = await looking(target, (file, seen) =>
      examine(task, file, seen, all === true, copy !== null),
    );
    if (findings.problems.length === 0) checkImage(target.path, findings);
    const saved =
      copy && (await task.watch("salvage", (options) => salvageTo(target, copy.place, copy.name, options)));
    const ok = findings.problems.length === 0;
    const { place, name } = copy ?? {};
    return {
      json: {
        file: target.path,
        ok,
        ...findings,
        salvage: saved && { file: join(place!.label, name!), ...saved },
      },
      text: [
        ...lines(target.path, findings, all === true),
        ...(saved ? [`salvaged into ${join(place!.label, name!)}`, ...salvageLines(saved)] : []),
        ...(ok || saved ? [] : ["  perdure fsck --salvage <new-file> writes what verifies into a new file"]),
      ],
      problem: !ok,
    };
  },
};

async function examine(
  task: Task,
  file: StateFile,
  seen: Reader | PerdureError,
  all: boolean,
  salvaging: boolean,
): Promise<Findings> {
  if (seen instanceof PerdureError) {
    if (!salvaging) ensureStateFile(file);
    return verifyDamaged(file, seen);
  }
  const findings = await task.watch("fsck", (options) =>
    runSteps(verify(file, seen.view(), all), file.slots(), options),
  );
  const moved = () => readSuperblocks(file).newest.generation !== findings.generation;
  if (findings.problems.length > 0 && !seen.pinned && moved()) {
    throw new PerdureError(
      "STALE",
      `${file.label}: the file was overwritten while it was read, because no pin can be written beside it; try again`,
    );
  }
  return findings;
}

/** What the image has, accounted for: heap, names, tables and all. Another program than this engine may have written the file. */
function checkImage(path: string, findings: Findings): void {
  try {
    using memory = openSync(path, { readOnly: true, reserve: 0 });
    findings.problems.push(...memory.check().problems);
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    findings.notes.push(`what the image has was not accounted for: ${error.message}`);
  }
}

function lines(path: string, findings: Findings, all: boolean): string[] {
  const { problems, notes, slots, blocks, verified, snapshots, commit, generation } = findings;
  const rows: string[][] = [];
  if (commit !== null)
    rows.push(["commit", `${count(commit)}, superblock of generation ${count(generation!)}`]);
  if (slots) {
    rows.push(["image", slotsSize(slots.image)]);
    rows.push(["snapshots", `${count(snapshots)}; ${slotsSize(slots.held)}`]);
    rows.push(["free map and directory", slotsSize(slots.meta)]);
    rows.push(["file", slotsSize(slots.file)]);
  }
  rows.push(["blocks", `${count(blocks)}${all ? `, ${count(verified)} digests compared` : ""}`]);
  for (const note of notes) rows.push(["note", note]);
  for (const problem of problems) rows.push(["PROBLEM", problem]);
  const verdict = problems.length === 0 ? "in order" : plural(problems.length, "problem");
  return [`${path}: ${verdict}`, ...table(rows)];
}
