/** From the words typed to a verb, and from its report or its error to lines, JSON and an exit code. */
import { existsSync, readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { EXIT, errorLines, tell } from "./errors.js";
import { confirm, watch } from "./terminal.js";
import { type Arguments, type Options, type Report, type Task, UsageError, type Verb } from "./verb.js";
import { groups, verbs } from "./verbs.js";

const DESCRIPTION = `Looks into perdure state files, checks and repairs them, keeps copies of them, and moves records into and out of their tables.
A state file is given by its path. What only reads works while a program writes the file; what writes needs
the writer's place, and says LOCKED and by whom when somebody has it.`;

const EXIT_CODES = `
Exit codes:
  0    done, and nothing is wrong
  1    a problem was found, or the verb could not be carried out
  2    the command was typed wrong
  130  interrupted (Ctrl-C); nothing is left half done

With --json a verb prints one JSON object, and errors as {"error": {"code", "message", "remedy"}}.
Codes and shapes are described in docs/CLI.md.`;

/** Where text goes. */
export interface Output {
  out(text: string): void;
  errors(text: string): void;
  /** As `out`; resolves when it is on its way, to false when nobody reads any more. */
  write?(text: string): Promise<boolean>;
}

const standardOutput: Output = {
  out: (text) => void process.stdout.write(text),
  errors: (text) => void process.stderr.write(text),
  write: (text) => new Promise((resolve) => process.stdout.write(text, (error) => resolve(!error))),
};

/** Runs the command line; returns the exit code. */
export async function main(words: readonly string[], output = standardOutput): Promise<number> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  // Once: a second Ctrl-C ends the program at once, as it would any other.
  process.once("SIGINT", interrupt);
  try {
    return await run(words, output, interruption.signal);
  } finally {
    process.off("SIGINT", interrupt);
  }
}

async function run(words: readonly string[], output: Output, signal: AbortSignal): Promise<number> {
  const end = words.indexOf("--");
  const json = (end < 0 ? words : words.slice(0, end)).includes("--json");
  const task: Task = {
    signal,
    watch: (label, work) => watch(label, work, { signal, visible: !json && process.stderr.isTTY === true }),
    write: async (text) => {
      if (output.write !== undefined) return output.write(text);
      output.out(text);
      return true;
    },
    confirm: (question) => confirm(question, signal, json),
  };
  let report: Report | null = null;
  const complaints: string[] = [];
  const voice: Voice = { out: output.out, complain: (text) => complaints.push(text) };
  try {
    await program(async (verb, args, options) => {
      report = await verb.run(task, args, options);
    }, voice).parseAsync(words, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    if (error instanceof CommanderError && error.code === "commander.help" && !json) {
      output.errors(complaints.join(""));
      return EXIT.usage;
    }
    const { told, exitCode } = tell(usage(error), signal);
    if (json) output.out(joined([JSON.stringify({ error: told }, null, 2)]));
    else output.errors(joined(errorLines(told)));
    return exitCode;
  }
  if (report === null) return EXIT.ok;
  const { json: object, text, problem } = report as Report;
  output.out(joined(json ? [JSON.stringify(object, null, 2)] : text));
  return problem === true ? EXIT.problem : EXIT.ok;
}

const joined = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

/** How commander speaks. */
interface Voice {
  out(text: string): void;
  complain(text: string): void;
}

type Runner = (verb: Verb, args: Arguments, options: Options) => Promise<void>;

function program(run: Runner, voice: Voice): Command {
  const root = configured(new Command("perdure"), voice)
    .description(reflowed(DESCRIPTION))
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this")
    .helpCommand("help [verb]", "print the help of a verb")
    .addHelpText("after", EXIT_CODES);
  const parents = new Map<string, Command>();
  for (const verb of verbs) {
    const [group, word] = verb.name.includes(" ") ? verb.name.split(" ") : ["", verb.name];
    let parent = root;
    if (group !== "") {
      parent = parents.get(group) ?? configured(root.command(group), voice).description(groups[group]);
      parents.set(group, parent);
    }
    addVerb(parent, word, verb, run, voice);
  }
  return root;
}

function addVerb(parent: Command, word: string, verb: Verb, run: Runner, voice: Voice): void {
  const command = configured(parent.command(word), voice)
    .summary(verb.summary)
    .description(reflowed(verb.description));
  for (const [name, meaning] of verb.arguments) command.argument(name, meaning);
  for (const [flags, meaning] of verb.options ?? []) command.option(flags, meaning);
  command.option("--json", "print one JSON object instead of text");
  const width = Math.max(...verb.examples.map(([line]) => line.length));
  const examples = verb.examples.map(([line, meaning]) => `  ${line.padEnd(width)}   ${meaning}`);
  const [ok, problem] = verb.exits;
  command.addHelpText(
    "after",
    `\nExamples:\n${examples.join("\n")}\n\nExit codes:\n  0  ${ok}\n  1  ${problem}\n  2  the command was typed wrong`,
  );
  command.action(async (...given: unknown[]) => {
    const args = given.slice(0, verb.arguments.length) as Arguments;
    await run(verb, args, command.opts());
  });
}

/** Lines of a paragraph joined, so that the help breaks them where it is wide; indented lines stay. */
const reflowed = (text: string): string => text.replace(/(?<=[^\n])\n(?=[^\n ])/g, " ");

function configured(command: Command, voice: Voice): Command {
  return command
    .exitOverride()
    .helpOption("-h, --help", "print this")
    .configureHelp({ sortSubcommands: false })
    .configureOutput({
      writeOut: voice.out,
      writeErr: voice.complain,
      getErrHelpWidth: () => 100,
      getOutHelpWidth: () => 100,
    });
}

function usage(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.code === "commander.help") return new UsageError("a verb is missing");
  return new UsageError(error.message.replace(/^error: /, ""));
}

/** From the package that this file belongs to, compiled or bundled. */
function version(): string {
  for (const up of ["../", "../../", "../../../"]) {
    const path = new URL(`${up}package.json`, import.meta.url);
    if (!existsSync(path)) continue;
    const { name, version } = JSON.parse(readFileSync(path, "utf8"));
    if (name === "perdure") return version;
  }
  return "unknown";
}
