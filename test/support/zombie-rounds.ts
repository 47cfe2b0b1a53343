// The rounds that zombies, takers and their parent play on a stage (zombie-stage.ts).

import assert from "node:assert/strict";
import { ACTS, NAME } from "./child-acts.js";
import type { Random } from "./random.js";
import { type Actor, type Score, Stage, scoreOf } from "./zombie-stage.js";

/** How often each thing happened, for the end of a campaign. */
export type ZombieCounts = Record<string, number>;

export function count(counts: ZombieCounts, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

/** What an act finds when it begins. */
interface Scene {
  content: "closed" | "crashed" | "missing";
  /** Commits before the act, and whether each is durable. */
  commits: boolean[];
  /** Another process has the file open: the act is a takeover. */
  held?: boolean;
}

const PLAIN: Scene = { content: "closed", commits: [true, false, true] };
const UNFLUSHED: Scene = { content: "crashed", commits: [true, false, false] };

/** Every act of a zombie; the name of the act is what comes before the colon. */
export const SCENES: Readonly<Record<string, Scene>> = {
  commit: PLAIN,
  durable: UNFLUSHED,
  // The limit on commits of a chain makes this one checkpoint first.
  "durable: checkpoints first": { content: "closed", commits: [true, true, false, true, false, true] },
  large: UNFLUSHED,
  spilled: PLAIN,
  flush: UNFLUSHED,
  flushed: UNFLUSHED,
  checkpoint: UNFLUSHED,
  create: UNFLUSHED,
  delete: PLAIN,
  restore: PLAIN,
  compact: UNFLUSHED,
  close: UNFLUSHED,
  "close: nothing to do": { content: "closed", commits: [] },
  open: { content: "closed", commits: [] },
  "open: after a crash": { content: "crashed", commits: [] },
  "open: no file yet": { content: "missing", commits: [] },
  takeover: { content: "crashed", commits: [], held: true },
};

/** What the victim of a killed taker was doing. */
export const VICTIM = "durable";

const actOf = (scene: string): string => scene.split(":", 1)[0];

/** The number of a call, more often of one that changes something or looks at the forwarding slot, and of the one after it. */
export function interestingCall(random: Random, { calls }: Score): number {
  const any = random.below(calls.length);
  if (random.oneIn(4)) return 1 + any;
  for (let i = 0; i < calls.length; i++) {
    const at = (any + i) % calls.length;
    if (/^(?:write|flush|create|link|rename|remove|go on)|at 8192$/.test(calls[at]))
      return Math.min(calls.length, 1 + at + random.below(2));
  }
  return 1 + any;
}

/** Plays a scene without stopping it: how many calls its act makes. */
export async function rehearse(scene: string, actor: Actor, holder: Actor): Promise<Score> {
  const { content, commits, held } = SCENES[scene];
  const stage = new Stage(content);
  if (held) await hold(stage, holder);
  const round = stage.round(actOf(scene), 0, { commits });
  actor.begin(round);
  assert.equal(await actor.stopped(), null);
  const outcome = await actor.outcome();
  assert.equal(outcome.code, "ok", outcome.message);
  const tries = await actor.tries();
  assert.equal(tries.difference, null);
  ACTS[round.act]?.apply(stage.state, round.tag);
  stage.applyTries(tries, round.tag);
  if (held) await letGo(holder);
  for (const code of Object.values(tries.codes)) assert.equal(code, "ok", tries.messages);
  stage.end();
  return scoreOf(outcome);
}

async function hold(stage: Stage, holder: Actor): Promise<void> {
  holder.begin(stage.round("hold", 0));
  await holder.ready();
}

/** The holder has been overtaken: whatever it tries fails. */
async function letGo(holder: Actor): Promise<void> {
  holder.child.send("go on");
  checkFenced((await holder.tries()).codes);
}

function checkFenced(codes: Record<string, string>): void {
  for (const [name, code] of Object.entries(codes)) {
    // There may be nothing left for it to write.
    if (name === "close" && code === "ok") continue;
    if (name === "flush" || name === "flushed")
      assert.ok(code === "FENCED" || code === "ok", `${name}: ${code}`);
    else assert.equal(code, "FENCED", name);
  }
}

/**
 * Stops an actor before call `stopAt` of its act, takes the file over from it, writes, and lets the actor go on: it must not succeed with anything
 * that is not in what was taken over, and must not damage anything.
 */
export async function playZombie(
  scene: string,
  stopAt: number,
  score: Score,
  actor: Actor,
  holder: Actor,
  counts: ZombieCounts,
): Promise<void> {
  const { content, commits, held } = SCENES[scene];
  const stage = new Stage(content);
  if (held) await hold(stage, holder);
  const round = stage.round(actOf(scene), stopAt, { commits });
  actor.begin(round);
  const call = await actor.stopped();
  const where = `${scene}, stopped before call ${stopAt} of ${score.calls.length} (${call}), in ${stage.directory.path}`;
  assert.equal(plain(call ?? ""), plain(score.calls[stopAt - 1]), where);
  const included = stage.open(true, round.act, round.tag);
  stage.write();
  stage.verify();
  actor.goOn();
  const outcome = await actor.outcome();
  const tries = await actor.tries();
  count(counts, outcome.code);
  if (held && outcome.code === "ok" && stopAt <= score.lastLook) {
    // It has begun again and taken the file from us, as it was told to: what we had acknowledged is in what it went on with.
    stage.checkOvertaken();
    for (const code of Object.values(tries.codes)) assert.equal(code, "ok", where);
    stage.applyTries(tries, round.tag);
    await letGo(holder);
    stage.end();
    return;
  }
  if (outcome.code === "ok") {
    assert.ok(stopAt > score.lastLook && included, `${where}: acknowledged what was taken away`);
  } else {
    const codes = round.act in ACTS ? ["FENCED"] : ["LOCKED", "FENCED"];
    if (round.act === "compact") codes.push("LOCKED");
    assert.ok(codes.includes(outcome.code), `${where}: ${outcome.code} ${outcome.message}`);
  }
  assert.equal(tries.difference, null, where);
  if ("open" in tries.codes) {
    assert.equal(tries.codes.open, "LOCKED", where);
    assert.match(tries.messages, new RegExp(`by process ${process.pid}\\b`));
  } else checkFenced(tries.codes);
  stage.verify();
  stage.write();
  if (held) await letGo(holder);
  stage.verify();
  stage.close();
  stage.end();
}

/**
 * Kills a taker before call `killAt` of its takeover. Its victim was stopped before call `stopAt` of its act, and is killed too or goes on; then an
 * ordinary opening finishes what the taker has begun.
 */
export async function playKilledTaker(
  killAt: number,
  stopAt: number,
  victim: Actor,
  victimDies: boolean,
  taker: Actor,
  counts: ZombieCounts,
): Promise<void> {
  const stage = new Stage("crashed");
  const round = stage.round(VICTIM, stopAt, { commits: SCENES[VICTIM].commits });
  victim.begin(round);
  assert.notEqual(await victim.stopped(), null);
  taker.begin(stage.round("takeover", killAt, { signal: "SIGKILL" }));
  const said = await taker.died();
  const where = `taker killed before call ${killAt} (${said}), victim stopped before ${stopAt}, in ${stage.directory.path}`;
  assert.notEqual(said, null, where);
  if (victimDies) {
    await victim.child.killed();
    stage.open(false, round.act, round.tag);
    count(counts, "victim died");
  } else {
    victim.goOn();
    const outcome = await victim.outcome();
    const tries = await victim.tries();
    assert.equal(tries.difference, null, where);
    count(counts, `victim ${outcome.code}`);
    if (outcome.code === "ok") {
      ACTS[round.act].apply(stage.state, round.tag);
      for (const code of Object.values(tries.codes)) assert.equal(code, "ok", where);
      stage.applyTries(tries, round.tag);
      stage.open(false);
    } else {
      assert.equal(outcome.code, "FENCED", where);
      checkFenced(tries.codes);
      stage.open(false, round.act, round.tag);
    }
  }
  stage.verify();
  stage.write();
  stage.verify();
  stage.close();
  stage.end();
}

/** Several takers at once, while their victim stands still; what any of them has acknowledged is there in the end. */
export async function playRivals(
  victim: Actor,
  takers: readonly Actor[],
  counts: ZombieCounts,
): Promise<void> {
  const stage = new Stage("crashed");
  const round = stage.round("commit", 1, { commits: [true, false] });
  victim.begin(round);
  assert.notEqual(await victim.stopped(), null);
  takers.forEach((taker, i) => {
    taker.begin({ ...stage.round("rival", 0), block: 2000 + i });
  });
  const rivals = await Promise.all(takers.map((taker) => taker.rival()));
  victim.goOn();
  const outcome = await victim.outcome();
  checkFenced((await victim.tries()).codes);
  assert.equal(outcome.code, "FENCED");
  for (const { acknowledged, code } of rivals) count(counts, `rival ${code} after ${acknowledged}`);
  stage.openRivals(rivals);
  stage.close();
  assert.deepEqual(stage.place.list(""), [NAME]);
  stage.directory.remove();
}

/** Names with what was drawn at random taken out. */
function plain(call: string): string {
  return call.replace(/[0-9a-f]{32}/g, "*").replace(/lock-\d+/g, "lock");
}
