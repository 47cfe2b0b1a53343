// A stage for zombies: files that actors (child-actor.ts) are stopped or killed at, and the parent that takes over from them. Each round has
// a directory of its own, with a copy of the same small file.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import type { Pager } from "../../bindings/pager/pager.js";
import { MemoryPlace } from "../../bindings/storage/memory.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import type { Outcome, Rival, Round, Tries } from "./child-actor.js";
import { ACT_BLOCKS, ACT_LIMITS, ACTS, blocksOf, NAME, write } from "./child-acts.js";
import {
  BLOCK_BYTES,
  blockBytes,
  changesOf,
  copyOf,
  newState,
  type State,
  stateDifference,
  tagOf,
  viewOf,
} from "./child-model.js";
import { Child } from "./child-run.js";
import { expectCode } from "./expect-code.js";
import { type TemporaryDirectory, temporaryDirectory } from "./temporary-directory.js";

const hasher = WasmHasher.create();
/** The tags of the file's own commits end below this one. */
const FIRST_TAG = 100;
const SLOT_2 = "read state at 8192";

interface Sample {
  bytes: Uint8Array;
  state: State;
}

/** A small file with two snapshots, as it is after a close, or left as after a crash with commits that are in the chain only. */
function sample(clean: boolean): Sample {
  const place = new MemoryPlace();
  const processes = { self: identity, isDead: () => true, wait: () => {} };
  const pager = openPager(place, NAME, hasher, processes, { limits: ACT_LIMITS });
  const state = newState();
  for (let tag = 1; tag < 30; tag++) {
    pager.commit(changesOf(blocksOf(tag), tag), tag % 3 === 0);
    write(state.image, blocksOf(tag), tag);
    const name = { 10: "first", 20: "base" }[tag];
    if (name === undefined) continue;
    pager.createSnapshot(name);
    state.snapshots.set(name, new Map(state.image));
  }
  if (clean) pager.close();
  else pager.abandon();
  return { bytes: place.readFile(NAME)!, state };
}

const identity = { machine: null, boot: null, pidNamespace: null, pid: 0, startTime: null };
let cleanSample: Sample | undefined;
let crashedSample: Sample | undefined;

/** One directory with a file, and the handle by which the parent writes it. */
export class Stage {
  readonly directory: TemporaryDirectory = temporaryDirectory();
  readonly place = new NodePlace(this.directory.path);
  readonly state: State;
  tag = FIRST_TAG;
  private readonly processes = new NodeProcesses(this.directory.path);
  private pager: Pager | null = null;

  /** `content` is what the file is at first. */
  constructor(content: "closed" | "crashed" | "missing") {
    cleanSample ??= sample(true);
    crashedSample ??= sample(false);
    const { bytes, state } = content === "closed" ? cleanSample : crashedSample;
    this.state = content === "missing" ? newState() : copyOf(state);
    if (content !== "missing") writeFileSync(join(this.directory.path, NAME), bytes);
  }

  /** What an actor hears for its round; the commits before the act enter the model. */
  round(act: string, stopAt: number, options: Partial<Round> = {}): Round {
    const commits = options.commits ?? [];
    const round: Round = {
      directory: this.directory.path,
      act,
      tag: this.tag + commits.length,
      stopAt,
      signal: "SIGSTOP",
      image: [...this.state.image],
      snapshots: [...this.state.snapshots].map(([name, image]) => [name, [...image]]),
      commits,
      ...options,
    };
    for (let i = 0; i < commits.length; i++) write(this.state.image, blocksOf(this.tag + i), this.tag + i);
    this.tag += 100;
    return round;
  }

  /** Opens the file; it must be as the model says, or as the model is after `act`. True when the act is in it. */
  open(takeover: boolean, act = "", actTag = 0): boolean {
    this.pager = openPager(this.place, NAME, hasher, this.processes, { limits: ACT_LIMITS, takeover });
    const view = viewOf(this.pager);
    const without = stateDifference(view, this.state, ACT_BLOCKS);
    if (without === null) return ACTS[act] === undefined || act in UNSEEN;
    const after = copyOf(this.state);
    ACTS[act]?.apply(after, actTag);
    const difference = stateDifference(view, after, ACT_BLOCKS);
    assert.equal(difference, null, `${this.directory.path}: ${without}`);
    Object.assign(this.state, after);
    return true;
  }

  /** Enters what an actor was told that it has succeeded with. */
  applyTries({ codes }: Tries, actTag: number): void {
    Object.keys(codes).forEach((name, i) => {
      if (codes[name] === "ok") ACTS[name]?.apply(this.state, actTag + 1 + i);
    });
  }

  /** The parent's own commits, of several kinds; each is acknowledged when this returns. */
  write(): void {
    const pager = this.pager!;
    for (const act of ["commit", "durable", "create", "commit", "checkpoint", "durable"]) {
      this.tag++;
      ACTS[act].run(pager, this.tag);
      ACTS[act].apply(this.state, this.tag);
    }
  }

  /** The parent's handle is the zombie now. */
  checkOvertaken(): void {
    const pager = this.pager!;
    expectCode("FENCED", () => ACTS.commit.run(pager, this.tag + 1));
    expectCode("FENCED", () => ACTS.durable.run(pager, this.tag + 2));
    assert.equal(stateDifference(viewOf(pager), this.state, ACT_BLOCKS), null);
    this.close();
  }

  /** The parent's handle still shows its state, and the lock is its own. */
  verify(): void {
    const pager = this.pager!;
    assert.equal(stateDifference(viewOf(pager), this.state, ACT_BLOCKS), null, this.directory.path);
    assert.deepEqual(pager.check(true).problems, []);
    const locks = this.place.list(`${NAME}.lock-`);
    assert.equal(locks.length, 1, `${locks}`);
    const { process: owner } = JSON.parse(new TextDecoder().decode(this.place.readFile(locks[0])!));
    assert.equal(owner.pid, process.pid);
  }

  /** Opens the file after several have taken it from each other: the last tag that each of them was told is there, or a later one. */
  openRivals(rivals: readonly Rival[]): void {
    this.pager = openPager(this.place, NAME, hasher, this.processes, { limits: ACT_LIMITS });
    const bytes = new Uint8Array(BLOCK_BYTES);
    for (const { block, acknowledged, attempted } of rivals) {
      this.pager.read(block, 1, bytes);
      const tag = tagOf(bytes);
      const told = `block ${block} has ${tag}, told were ${acknowledged} of ${attempted}, in ${this.directory.path}`;
      assert.ok(tag >= acknowledged && tag <= attempted, told);
      if (tag > 0) assert.deepEqual(bytes, blockBytes(block, tag));
    }
    assert.deepEqual(this.pager.check(true).problems, []);
  }

  close(): void {
    this.pager!.close();
    this.pager = null;
  }

  /** Opens and closes once more, as if nothing had ever happened, and removes everything. */
  end(): void {
    this.open(false);
    this.verify();
    this.close();
    assert.deepEqual(this.place.list(""), [NAME]);
    this.directory.remove();
  }
}

/** Acts that leave the content as it is, so that one cannot tell from it whether they were done. */
const UNSEEN: Readonly<Record<string, true>> = {
  flush: true,
  flushed: true,
  checkpoint: true,
  compact: true,
  close: true,
};

const actors = new Set<Actor>();

/** Kills all actors. */
export async function dismissAll(): Promise<void> {
  await Promise.all([...actors].map((actor) => actor.child.killed()));
  actors.clear();
}

/** A child that plays one round after the other. */
export class Actor {
  readonly child = new Child("actor");

  constructor() {
    actors.add(this);
  }

  begin(round: Round): void {
    this.child.send(JSON.stringify(round));
  }

  /** Waits until it is about to act. */
  async ready(): Promise<void> {
    await this.child.expect("ready");
  }

  /** Waits until it has stopped before its call, which is returned; null when the act ended earlier. */
  async stopped(): Promise<string | null> {
    const call = await this.reached();
    if (call !== null) await this.child.stopped();
    return call;
  }

  /** The same for one that kills itself. */
  async died(): Promise<string | null> {
    const call = await this.reached();
    if (call !== null) await this.child.ended;
    return call;
  }

  private async reached(): Promise<string | null> {
    await this.ready();
    const line = await this.child.line();
    if (line?.startsWith("stop ")) return line.slice(5);
    this.early = line;
    return null;
  }

  goOn(): void {
    this.child.kill("SIGCONT");
  }

  async outcome(): Promise<Outcome> {
    const { early } = this;
    this.early = null;
    if (early === null) return JSON.parse(await this.child.expect("outcome"));
    assert.ok(early.startsWith("outcome "), early);
    return JSON.parse(early.slice(8));
  }

  async tries(): Promise<Tries> {
    return JSON.parse(await this.child.expect("tries"));
  }

  async rival(): Promise<Rival> {
    await this.ready();
    return JSON.parse(await this.child.expect("rival"));
  }

  private early: string | null = null;
}

/** The calls of an act that nobody disturbs, and the number of its last look at the forwarding slot. */
export interface Score {
  calls: string[];
  lastLook: number;
}

export function scoreOf({ calls }: Outcome): Score {
  return { calls, lastLook: calls.lastIndexOf(SLOT_2) + 1 };
}
