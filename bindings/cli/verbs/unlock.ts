import { findNeighbours, livingWriters } from "../../inspect/neighbours.js";
import { openFile } from "../../pager/files.js";
import { readSuperblocks } from "../../pager/recover.js";
import { locate, writing } from "../target.js";
import { count, owner } from "../text.js";
import type { Verb } from "../verb.js";

export const unlock: Verb = {
  name: "unlock",
  summary: "take the writer's place from an owner that cannot be reached",
  description: `Takes a file over from a writer that is not proven dead: one that hangs, or that ran in another container or on
another machine. Says who holds it and asks before it does anything. Safe even if the owner still lives: the file is
copied and replaced, and the owner can acknowledge nothing any more (its next commit fails with FENCED). What the
owner committed is kept. A writer that has ended needs none of this: the next one passes it over.`,
  arguments: [["<file>", "the state file"]],
  options: [["-y, --yes", "do not ask"]],
  examples: [
    ["perdure unlock app.state", "say who holds it, ask, take it over"],
    ["perdure unlock app.state --yes", "in a script that knows the owner to be gone"],
  ],
  exits: ["nobody holds the file now", "the answer was no, somebody else was faster, or the file is damaged"],
  async run(task, [path], { yes }) {
    const target = locate(path);
    const { place, name, hasher, processes } = target;
    const file = openFile(place, name, "read", hasher);
    const slots = file.slots();
    try {
      readSuperblocks(file);
    } finally {
      file.storage.close();
    }
    const holders = livingWriters(findNeighbours(place, name, processes));
    if (holders.length === 0) {
      return {
        json: { file: target.path, holders, unlocked: false, commit: null },
        text: [`${target.path} is not locked`],
      };
    }
    const who = holders.map(({ owner: each, number }) => `${owner(each)} (writer ${number})`).join(" and ");
    const question = `${target.path} is held by ${who}. Take it over?`;
    if (yes !== true && !(await task.confirm(question))) {
      return {
        json: { file: target.path, holders, unlocked: false, commit: null },
        text: [`${target.path} is still held by ${who}`],
        problem: true,
      };
    }
    const commit = await task.watch("copy", ({ onProgress }) =>
      writing(target, ({ sequence }) => sequence, {
        takeover: true,
        onCopied: (done) => onProgress?.(Math.min(done, slots), slots),
      }),
    );
    return {
      json: { file: target.path, holders, unlocked: true, commit },
      text: [`${target.path} taken over from ${who}, at commit ${count(commit)}`],
    };
  },
};
