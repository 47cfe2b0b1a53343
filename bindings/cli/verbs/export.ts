import { nextTurn } from "../../base/turn.js";
import { type AnyRow, openSync, type Table } from "../../index.js";
import { csvRecord } from "../csv-text.js";
import { NewFile } from "../new-file.js";
import { locate } from "../target.js";
import { count, name, plural, size } from "../text.js";
import { UsageError, type Verb } from "../verb.js";

/** Characters that are written at once. */
const PART = 2 ** 16;

export const exportTable: Verb = {
  name: "export",
  summary: "write the rows of a table as JSON Lines or CSV",
  description: `Writes every row of a table, as of the last commit, in the order in which they were inserted, to standard output
or to a new file, which gets its name when it is complete and durable. Works while a program writes.

Integers of 64 bits are decimal text in JSON, bytes are base64; in CSV json is JSON text, and null an empty field.
"perdure ingest" reads both back.`,
  arguments: [["<state>", "the state file"]],
  options: [
    ["-t, --table <name>", "the table (required)"],
    [
      "-f, --format <format>",
      "jsonl or csv; otherwise jsonl, or csv where the name of the new file ends with .csv",
    ],
    ["-o, --output <new-file>", "instead of standard output; must not exist"],
  ],
  examples: [
    ["perdure export app.state --table users | jq .email", "one JSON object a line"],
    ["perdure export app.state -t users -o users.csv", "for a spreadsheet"],
  ],
  exits: [
    "written, durably if to a file",
    "NOT_FOUND, the file exists, there is no room, or the state is damaged",
  ],
  async run(task, [state], { table, output, format, json }) {
    if (typeof table !== "string") throw new UsageError("--table is missing");
    const isCsv = (format ?? (/\.csv$/i.test(String(output)) ? "csv" : "jsonl")) === "csv";
    if (format !== undefined && format !== "csv" && format !== "jsonl")
      throw new UsageError("--format is jsonl or csv");
    if (json === true && output === undefined)
      throw new UsageError("--json needs --output: standard output can have one of them");
    const target = locate(state);
    using memory = openSync(target.path, { readOnly: true });
    const rows = memory.tables.open(table);
    const schema = memory.tables.list().find((each) => each.name === table)?.schema ?? {};
    const file = output === undefined ? null : new NewFile(output as string);
    try {
      const written = await task.watch("export", async ({ signal, onProgress }) => {
        let done = 0;
        for (const { text, count } of parts(rows, isCsv ? Object.keys(schema) : null)) {
          if (file !== null) file.write(text);
          else if (!(await task.write(text))) break;
          done += count;
          onProgress?.(done, rows.count);
          // Others have a turn: a Ctrl-C, a pin that is to be renewed.
          await nextTurn();
          signal?.throwIfAborted();
        }
        return done;
      });
      if (file === null) return { json: {}, text: [] };
      const bytes = file.complete();
      return {
        json: {
          file: target.path,
          table,
          format: isCsv ? "csv" : "jsonl",
          output: file.path,
          rows: written,
          bytes,
          commit: memory.sequence,
        },
        text: [
          `${file.path}: ${plural(written, "row")} of table ${name(table)}, ${size(bytes)}, as of commit ${count(memory.sequence)}`,
        ],
      };
    } catch (error) {
      file?.discard();
      throw error;
    }
  },
};

/** The rows as text, some at a time. `fields` for CSV. */
function* parts(table: Table<AnyRow>, fields: readonly string[] | null) {
  let text = fields === null ? "" : csvRecord(fields);
  let count = 0;
  for (const row of table) {
    text += fields === null ? `${JSON.stringify(row)}\n` : csvRecord(valuesOf(row, fields));
    count++;
    if (text.length < PART) continue;
    yield { text, count };
    text = "";
    count = 0;
  }
  if (text !== "") yield { text, count };
}

const valuesOf = (row: AnyRow, fields: readonly string[]): unknown[] =>
  fields.map((field) => {
    const value = row[field];
    return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  });
