import { join } from "node:path";
import { NodePlace } from "../../storage/node.js";
import { locate, reading } from "../target.js";
import { count, plural, size } from "../text.js";
import type { Verb } from "../verb.js";

export const backup: Verb = {
  name: "backup",
  summary: "write a consistent copy to a new file, while a program goes on writing",
  description: `Writes the last commit and all snapshots to a new state file, dense and verified block by block. Works while a
program writes: the copy is of one commit. The new file gets its name when it is complete and durable, and never
overwrites one that is there.`,
  arguments: [
    ["<file>", "the state file"],
    ["<new-file>", "the copy; must not exist"],
  ],
  examples: [
    [
      "perdure backup app.state /backups/app-2026-01-31.state",
      "a copy that can be opened like the file itself",
    ],
  ],
  exits: ["written, durably", "the copy exists, there is no room, or the file is damaged"],
  run(task, [path, newPath]) {
    const target = locate(path);
    const copy = NodePlace.locate(newPath as string);
    return reading(target, async (reader) => {
      await task.watch("backup", (options) => reader.backup(copy.place, copy.name, options));
      const { sequence, snapshots } = reader;
      const written = join(copy.place.label, copy.name);
      const file = copy.place.open(copy.name, "read");
      const bytes = file.size();
      file.close();
      return {
        json: { file: target.path, backup: written, commit: sequence, snapshots: snapshots.length, bytes },
        text: [
          `${written}: commit ${count(sequence)} with ${plural(snapshots.length, "snapshot")}, ${size(bytes)}`,
        ],
      };
    });
  },
};
