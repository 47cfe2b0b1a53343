// An actor does as its parent tells it, one round a line (a `Round` as JSON): it opens the file, commits a little, and then carries out an
// act (child-acts.ts), in which it stops or kills itself before the call with the given number. Then it tries everything else.
//
// It says "ready" before the act, "stop <call>" before it stops, "outcome <Outcome>" after the act, and "tries <Tries>" at the end.

import { PerdureError } from "../../bindings/base/errors.js";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import { ACT_BLOCKS, ACT_LIMITS, ACTS, blocksOf, NAME, TRIES, write } from "./child-acts.js";
import { changesOf, copyOf, type State, stateDifference, viewOf } from "./child-model.js";
import { WatchedPlace } from "./child-place.js";
import { hear, say } from "./child-talk.js";

export interface Round {
  directory: string;
  /**
   * A name of `ACTS`, or "open" or "takeover"; "hold" only opens, and tries when it hears a line; "rival" takes over and goes on writing `block`
   * for a while, if it can.
   */
  act: string;
  tag: number;
  /** The number of the call, from 1; 0 for none. */
  stopAt: number;
  signal: "SIGSTOP" | "SIGKILL";
  /** Commits before the act, with the tags before that of the act, and whether each is durable. */
  commits: boolean[];
  /** What is in the file, as lists of pairs; the snapshots by name. */
  image: [number, number][];
  snapshots: [string, [number, number][]][];
  block?: number;
}

/** What has become of a rival: the tags of its block that it knows of. */
export interface Rival {
  block: number;
  acknowledged: number;
  attempted: number;
  /** "ok" or the code of what stopped it. */
  code: string;
}

export interface Outcome {
  /** "ok" or the code of the error. */
  code: string;
  message: string;
  /** All calls of the act. */
  calls: string[];
}

export interface Tries {
  /** By name: "ok" or the code. */
  codes: Record<string, string>;
  messages: string;
  /** What its handle shows that is neither the state before the act (with what succeeded since) nor the one after; null when it is right. */
  difference: string | null;
}

const RIVAL_COMMITS = 12;
const hasher = WasmHasher.create();

for (;;) await play(JSON.parse(hear()));

async function play(round: Round): Promise<void> {
  const { directory, act, tag, stopAt, signal } = round;
  const calls: string[] = [];
  let armed = false;
  const place = new WatchedPlace(new NodePlace(directory), (call) => {
    if (!armed) return;
    calls.push(call);
    if (calls.length !== stopAt) return;
    say(`stop ${call}`);
    process.kill(process.pid, signal);
  });
  const processes = new NodeProcesses(directory);
  let pager: Pager | null = null;
  const open = (takeover: boolean) => {
    pager = openPager(place, NAME, hasher, processes, { limits: ACT_LIMITS, takeover });
    return pager;
  };
  if (act === "rival") {
    say("ready");
    say(`rival ${JSON.stringify(await beRival(() => open(true), round.block!))}`);
    return;
  }
  const before = stateOf(round);
  const run =
    act === "open" || act === "takeover"
      ? () => open(act === "takeover")
      : prepare(open(false), round, before);
  say("ready");
  const outcome: Outcome = { code: "ok", message: "", calls };
  if (act === "hold") hear();
  else {
    armed = true;
    Object.assign(outcome, await attempt(run));
    armed = false;
    say(`outcome ${JSON.stringify(outcome)}`);
  }
  say(`tries ${JSON.stringify(await tryAll(pager, before, outcome.code, act, tag, () => open(false)))}`);
}

async function beRival(open: () => Pager, block: number): Promise<Rival> {
  const rival: Rival = { block, acknowledged: 0, attempted: 0, code: "ok" };
  let pager: Pager | null = null;
  const { code } = await attempt(() => {
    pager = open();
    for (let tag = 1; tag <= RIVAL_COMMITS; tag++) {
      rival.attempted = tag;
      pager.commit(changesOf([block], tag), tag % 4 === 0);
      rival.acknowledged = tag;
    }
  });
  rival.code = code;
  const closed = await attempt(() => pager?.close());
  if (code === "ok" && closed.code !== "ok") rival.code = `${closed.code} at close`;
  return rival;
}

function prepare(pager: Pager, { act, tag, commits }: Round, state: State): () => unknown {
  commits.forEach((durable, i) => {
    const earlier = tag - commits.length + i;
    pager.commit(changesOf(blocksOf(earlier), earlier), durable);
    write(state.image, blocksOf(earlier), earlier);
  });
  return () => ACTS[act]?.run(pager, tag);
}

async function tryAll(
  pager: Pager | null,
  before: State,
  code: string,
  act: string,
  tag: number,
  open: () => Pager,
): Promise<Tries> {
  const tries: Tries = { codes: {}, messages: "", difference: null };
  const note = async (name: string, run: () => unknown) => {
    const { code, message } = await attempt(run);
    tries.codes[name] = code;
    tries.messages += `${name}: ${message}\n`;
    return code === "ok";
  };
  if (pager === null || act === "close") {
    await note("open", () => open().close());
    return tries;
  }
  // What a failed act has spilled is still there.
  pager.rollback();
  const after = copyOf(before);
  ACTS[act]?.apply(after, tag);
  const states = code === "ok" ? [after] : [before, after];
  for (const [i, name] of TRIES.entries()) {
    if (!(await note(name, () => ACTS[name].run(pager, tag + 1 + i)))) continue;
    for (const state of states) ACTS[name].apply(state, tag + 1 + i);
  }
  const differences = states.map((state) => stateDifference(viewOf(pager), state, ACT_BLOCKS));
  if (!differences.includes(null)) tries.difference = differences.join("; ");
  await note("close", () => pager.close());
  return tries;
}

async function attempt(run: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await run();
    return { code: "ok", message: "" };
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    return { code: error.code, message: error.message };
  }
}

function stateOf({ image, snapshots }: Round): State {
  return {
    image: new Map(image),
    snapshots: new Map(snapshots.map(([name, pairs]) => [name, new Map(pairs)])),
  };
}
