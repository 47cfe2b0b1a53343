import { openSync } from "../../index.js";
import { locate } from "../target.js";
import { count, name, plural, table, time } from "../text.js";
import type { Verb } from "../verb.js";

export const pipes: Verb = {
  name: "pipes",
  summary: "list the pipes and how far each has got",
  description: `Lists the pipes as of the last commit: source, state, cursor, records read and still to come. "running" is also said
of one whose process has ended before it was done: it goes on when it is run again. Reads only, and works while a program
writes.`,
  arguments: [["<state>", "the state file"]],
  examples: [["perdure pipes app.state", "how far each has got"]],
  exits: ["listed", "the file is damaged, missing, or no state file"],
  run(_task, [state]) {
    const target = locate(state);
    using memory = openSync(target.path, { readOnly: true });
    const list = memory.pipes.list();
    const rows = list.map(({ name: which, source, state: now, cursor, remaining, rejected, savedAt }) => [
      name(which),
      source.label === "" ? source.kind : `${source.kind} ${name(source.label)}`,
      now,
      source.kind === "table"
        ? `at page ${count(cursor.page)}, slot ${cursor.slot}`
        : `at ${count(cursor.page)}`,
      `${plural(cursor.records, "record")} read${rejected === 0 ? "" : `, ${count(rejected)} rejected`}`,
      `${remaining === undefined ? "?" : count(remaining)} to come`,
      time(savedAt.getTime()),
    ]);
    return {
      json: {
        file: target.path,
        commit: memory.sequence,
        pipes: list.map((each) => ({ ...each, remaining: each.remaining ?? null })),
      },
      text: list.length === 0 ? ["no pipes"] : table(rows, ""),
    };
  },
};
