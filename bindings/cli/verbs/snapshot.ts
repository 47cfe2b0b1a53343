import { locate, reading, writing } from "../target.js";
import { count, name, table, time } from "../text.js";
import type { Verb } from "../verb.js";

const file = ["<file>", "the state file"] as const;
const named = ["<name>", "of the snapshot, 1 to 1024 bytes"] as const;

export const listSnapshots: Verb = {
  name: "snapshot list",
  summary: "list the snapshots",
  description:
    "Lists the snapshots with the commit that each one shows. Reads only, and works while a program writes.",
  arguments: [file],
  examples: [["perdure snapshot list app.state", "their names, commits and times"]],
  exits: ["listed", "the file is damaged, missing, or no state file"],
  run(_task, [path]) {
    const target = locate(path);
    return reading(target, ({ snapshots }) => ({
      json: {
        file: target.path,
        snapshots: snapshots.map(({ name, sequence, time: at }) => ({ name, sequence, time: time(at) })),
      },
      text:
        snapshots.length === 0
          ? ["no snapshots"]
          : table(
              snapshots.map((each) => [name(each.name), `commit ${count(each.sequence)}`, time(each.time)]),
              "",
            ),
    }));
  },
};

export const createSnapshot: Verb = {
  name: "snapshot create",
  summary: "keep the last commit under a name",
  description: `Keeps the last commit under a name. It costs a few slots at first, and later what changes after it.
Needs the writer's place: LOCKED while a program writes the file.`,
  arguments: [file, named],
  examples: [["perdure snapshot create app.state before-upgrade", "can be restored by this name"]],
  exits: ["created, durably", "LOCKED, the name is in use, or the file is damaged"],
  run(_task, [path, given]) {
    const target = locate(path);
    return writing(target, (pager) => {
      const snapshot = given as string;
      const record = pager.createSnapshot(snapshot);
      const { sequence } = pager.snapshots.find((each) => each.name === snapshot)!;
      return {
        json: { file: target.path, snapshot, sequence, record },
        text: [`snapshot ${name(snapshot)} created, of commit ${count(sequence)}`],
      };
    });
  },
};

export const deleteSnapshot: Verb = {
  name: "snapshot delete",
  summary: "delete a snapshot",
  description: `Deletes a snapshot and frees what only it holds; the file does not become shorter by it (see compact).
Needs the writer's place, and is refused (LOCKED) while somebody reads the snapshot.`,
  arguments: [file, named],
  examples: [["perdure snapshot delete app.state before-upgrade", "it cannot be restored any more"]],
  exits: ["deleted, durably", "LOCKED, NOT_FOUND, or the file is damaged"],
  run(_task, [path, given]) {
    const target = locate(path);
    return writing(target, (pager) => {
      const snapshot = given as string;
      const record = pager.deleteSnapshot(snapshot);
      return {
        json: { file: target.path, snapshot, record },
        text: [`snapshot ${name(snapshot)} deleted`],
      };
    });
  },
};
