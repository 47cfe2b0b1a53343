/** `npm start`: the demonstration. `npm start -- --help` says more. */
import { parseArgs } from "node:util";
import { errorTable, PerdureError } from "../bindings/base/errors.js";
import { demo, KILLS_DEFAULT, KILLS_MAX } from "../bindings/cli/demo/demo.js";
import { Screen } from "../bindings/cli/demo/screen.js";

const HELP = `npm start -- [file] [--state <file>] [--kills <number>] [--json]

Adds the records of a file (CSV, TSV, JSON Lines, a JSON array; without one, the cities of the world) to persistent
memory, in a process that is killed again and again, and proves that every record is there exactly once.

  --state <file>    keep the state there, or go on with it (otherwise it is temporary)
  --kills <number>  how often to kill the process, 0 to ${KILLS_MAX} (${KILLS_DEFAULT})
  --json            print one JSON object instead of text`;

class UsageError extends Error {}

function argumentsOf(words: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        state: { type: "string" },
        kills: { type: "string", default: String(KILLS_DEFAULT) },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (positionals.length > 1) throw new Error(`more than one file: ${positionals.join(" ")}`);
    const kills = Number(values.kills);
    if (!/^\d+$/.test(values.kills) || kills > KILLS_MAX) throw new Error(`--kills is 0 to ${KILLS_MAX}`);
    return { ...values, kills, path: positionals[0] };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const interruption = new AbortController();
// Once: a second Ctrl-C ends the program at once.
process.once("SIGINT", () => interruption.abort());
try {
  const { help, json, path, state, kills } = argumentsOf(process.argv.slice(2));
  if (help) {
    console.log(HELP);
  } else {
    const screen = new Screen(process.stderr, !json);
    const { signal } = interruption;
    const report = await demo({ path, state, kills, command: "npm start --", screen, signal });
    console.log(json ? JSON.stringify(report.json, null, 2) : report.text.join("\n"));
    if (report.problem) process.exitCode = 1;
  }
} catch (error) {
  if (interruption.signal.aborted) {
    console.error("perdure: interrupted; what was committed is kept where --state was given");
    process.exitCode = 130;
  } else if (error instanceof UsageError) {
    console.error(`perdure: ${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  } else if (error instanceof PerdureError) {
    console.error(`perdure: ${error.code}: ${error.message}\n  ${errorTable[error.code].remedy}`);
    process.exitCode = 1;
  } else {
    throw error;
  }
}
