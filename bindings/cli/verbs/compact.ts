import { locate, writing } from "../target.js";
import { size } from "../text.js";
import type { Verb } from "../verb.js";

export const compact: Verb = {
  name: "compact",
  summary: "make a state file as small as what it holds",
  description: `Replaces the file by a dense copy of itself, with all snapshots. Needs room for both until it is done, and the
writer's place: LOCKED while a program writes the file. Interrupted, it leaves the file as it was.`,
  arguments: [["<file>", "the state file"]],
  examples: [["perdure compact app.state", "the size before and after"]],
  exits: ["compacted", "LOCKED, there is no room, or the file is damaged"],
  async run(task, [path]) {
    const target = locate(path);
    const [before, after] = await writing(target, async (pager) => {
      const { fileBytes } = pager.stats();
      await task.watch("compact", (options) => pager.compact(options));
      return [fileBytes, pager.stats().fileBytes];
    });
    return {
      json: { file: target.path, bytesBefore: before, bytesAfter: after },
      text: [`${target.path}: ${size(before)} before, ${size(after)} now`],
    };
  },
};
