import { openSync, type TableStatus } from "../../index.js";
import { locate } from "../target.js";
import { name, plural, size, table } from "../text.js";
import type { Verb } from "../verb.js";

export const tables: Verb = {
  name: "tables",
  summary: "list the tables with their rows, fields and indexes",
  description: `Lists the tables as of the last commit: rows, bytes in the file (pages and indexes), fields with their types, and
indexes. Reads only, and works while a program writes.`,
  arguments: [["<state>", "the state file"]],
  examples: [
    ["perdure tables app.state", "what is in it"],
    ["perdure tables app.state --json | jq '.tables[] | {name, rows}'", "for a script"],
  ],
  exits: ["listed", "the file is damaged, missing, or no state file"],
  run(_task, [state]) {
    const target = locate(state);
    using memory = openSync(target.path, { readOnly: true });
    const list = memory.tables.list().map((each) => ({
      ...each,
      // What is being migrated cannot be opened.
      bytes: each.migrating ? null : memory.tables.open(each.name).bytes,
    }));
    return {
      json: { file: target.path, commit: memory.sequence, tables: list },
      text: list.length === 0 ? ["no tables"] : table(list.flatMap(linesOf), ""),
    };
  },
};

function linesOf({
  name: which,
  rows,
  schema,
  indexes,
  migrating,
  bytes,
}: TableStatus & { bytes: number | null }) {
  const fields = Object.entries(schema).map(([field, type]) => `${field}: ${type}`);
  const lines = [[name(which), plural(rows, "row"), bytes === null ? "?" : size(bytes), fields.join(", ")]];
  for (const [index, { on, unique }] of Object.entries(indexes))
    lines.push(["", "", "", `${unique ? "unique index" : "index"} ${name(index)} on ${on.join(", ")}`]);
  if (migrating) lines.push(["", "", "", "a migration is unfinished"]);
  return lines;
}
