import { locate, writing } from "../target.js";
import { count, name } from "../text.js";
import type { Verb } from "../verb.js";

export const restore: Verb = {
  name: "restore",
  summary: "make a snapshot the present state again",
  description: `Makes the state that of a snapshot again, as a new commit. The snapshot stays. What was there before is gone
unless a snapshot holds it: --keep makes one first. Needs the writer's place: LOCKED while a program writes the file.
(A backup is a state file of its own: to go back to one, put it in the place of the file while nobody has it open.)`,
  arguments: [
    ["<file>", "the state file"],
    ["<snapshot>", "the name of the snapshot"],
  ],
  options: [["--keep <name>", "first keep the present state as a snapshot of this name"]],
  examples: [
    ["perdure restore app.state before-upgrade", "go back"],
    [
      "perdure restore app.state before-upgrade --keep failed-upgrade",
      "go back, and be able to look at it later",
    ],
  ],
  exits: ["restored, durably", "LOCKED, NOT_FOUND, or the file is damaged"],
  run(_task, [path, snapshot], { keep }) {
    const target = locate(path);
    return writing(target, (pager) => {
      const given = snapshot as string;
      const kept = typeof keep === "string" ? keep : null;
      // Nothing is kept for a restore that cannot be.
      if (kept !== null && pager.snapshots.some((each) => each.name === given)) pager.createSnapshot(kept);
      const commit = pager.restoreSnapshot(given);
      const { sequence } = pager.snapshots.find((each) => each.name === given)!;
      return {
        json: { file: target.path, snapshot: given, sequence, commit, kept },
        text: [
          ...(kept === null ? [] : [`the state as it was is kept as snapshot ${name(kept)}`]),
          `snapshot ${name(given)} of commit ${count(sequence)} restored, as commit ${count(commit)}`,
        ],
      };
    });
  },
};
