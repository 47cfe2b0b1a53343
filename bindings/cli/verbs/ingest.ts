import { realpathSync } from "node:fs";
import { openSync } from "../../index.js";
import { GrowingTable } from "../ingest/growing-table.js";
import { FORMATS, type Format, inputFile, sourceOf } from "../ingest/input.js";
import { locate } from "../target.js";
import { count, plural, name as quoted } from "../text.js";
import { type Options, UsageError, type Verb } from "../verb.js";

const USUAL_CHECKPOINT = 10_000;

export const ingest: Verb = {
  name: "ingest",
  summary: "put the records of a file into a table; goes on where it was stopped",
  description: `Reads CSV or TSV with the names of the columns in the first line, JSON Lines, a JSON array of objects, or lines
of text, and inserts each record into a table. How far it has got is committed together with the records, so it may be
stopped in any way: the same command goes on there, and each record is in the table once. A file that has grown since
then is read on.

The state and the table are made when they are missing. A new table has the fields of the first record, and a field that
comes later is added to it. In CSV each is text; in JSON numbers are f64, true and false bool, text string, all else json;
all of them optional. A table that is there keeps its types, and text is converted to them. A record that cannot be a row is
put into the table "<table>.rejected", with the reason.`,
  arguments: [
    ["<state>", "the state file; made when there is none"],
    ["<file>", "the records"],
  ],
  options: [
    ["-t, --table <name>", "the table (required)"],
    [
      "-f, --format <format>",
      `${Object.keys(FORMATS).join(", ")}; otherwise by the name of the file, or by how it begins`,
    ],
    ["-c, --checkpoint <records>", `commit after so many records; otherwise ${count(USUAL_CHECKPOINT)}`],
    [
      "-u, --unique <field>",
      "no two rows may have the same value in this field: those that come later are rejected",
    ],
    ["--again", "forget how far the file was read, and begin at its beginning"],
  ],
  examples: [
    [
      "perdure ingest app.state sales.csv --table sales",
      "every record of the file; the same again after a crash",
    ],
    ["perdure ingest app.state users.jsonl -t users -u email", "each address once"],
  ],
  exits: [
    "every record is in the table",
    "some were rejected, the file is malformed, LOCKED, or there is no room",
  ],
  async run(task, [state, path], options) {
    const { table, format, checkpoint, unique, again } = settingsOf(options);
    const input = inputFile(path as string, format);
    const file = locate(state).path;
    const source = realpathSync(input.path);
    const name = `${table} < ${source}`;
    using memory = openSync(file, { autoCommit: false });
    const target = new GrowingTable(memory, table, input.format, name, unique);
    const pipe = memory
      .pipe(name, sourceOf({ ...input, path: source }))
      .into(target)
      .deadLetters(target.deadLetters)
      .checkpointAt(checkpoint);
    if (again) pipe.reset();
    const before = pipe.cursor.records;
    const result = await task.watch("ingest", ({ onProgress }) =>
      pipe.run({
        signal: task.signal,
        onProgress: ({ records, remaining = 0 }) => onProgress?.(records, records + remaining),
      }),
    );
    task.signal.throwIfAborted();
    const { records } = result;
    const rejected = result.rejected + target.rejected;
    const notes: string[] = [];
    if (rejected > 0)
      notes.push(
        `${plural(rejected, "record")} rejected; table ${quoted(target.rejectsName)} has them, with the reasons`,
      );
    if (unique !== null && !target.hasField(unique))
      notes.push(`no record has a field ${quoted(unique)}, so there is no index`);
    const figures = { before, records, rejected, rows: target.rows, commit: memory.sequence };
    const wentOn = before === 0 ? "" : `, after the ${count(before)} before`;
    return {
      json: { file, source, format: input.format, table, pipe: name, ...figures, notes },
      text: [
        `${source}: ${plural(records, "record")} read${wentOn}`,
        `${file}: table ${quoted(table)} has ${plural(target.rows, "row")}`,
        ...notes,
      ],
      problem: notes.length > 0,
    };
  },
};

function settingsOf({ table, format, checkpoint = String(USUAL_CHECKPOINT), unique, again }: Options) {
  if (typeof table !== "string") throw new UsageError("--table is missing");
  if (format !== undefined && !Object.hasOwn(FORMATS, String(format)))
    throw new UsageError(`--format is one of ${Object.keys(FORMATS).join(", ")}`);
  if (!/^[1-9]\d{0,8}$/.test(String(checkpoint))) throw new UsageError("--checkpoint is a number of records");
  return {
    table,
    format: format as Format | undefined,
    checkpoint: Number(checkpoint),
    unique: typeof unique === "string" ? unique : null,
    again: again === true,
  };
}
