// Kills a child that carries out steps (child-steps.ts) again and again, and looks each time whether the file holds exactly the state
// after the last step that was acknowledged or, at most, after the one that was under way.

import assert from "node:assert/strict";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import { Reader } from "../../bindings/pager/reader.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import {
  applyStep,
  copyOf,
  newState,
  PROGRAM_BLOCKS,
  stateDifference,
  stepOf,
  viewOf,
} from "./child-model.js";
import { Child } from "./child-run.js";
import type { Random } from "./random.js";
import { temporaryDirectory } from "./temporary-directory.js";

/** Far above what a child needs, far below what it would take if anything grew with the number of steps. */
const MEMORY_LIMIT = 400 * 2 ** 20;
const hasher = WasmHasher.create();

export interface KillCounts {
  kills: number;
  /** Kills before the child had opened the file. */
  whileOpening: number;
  /** Steps acknowledged, and kills after which a step that was not acknowledged had been done all the same. */
  steps: number;
  unacknowledged: number;
  residentBytes: number;
}

export const newCounts = (): KillCounts => ({
  kills: 0,
  whileOpening: 0,
  steps: 0,
  unacknowledged: 0,
  residentBytes: 0,
});

/** A child that kills itself at a call dies where no timer would hit: while it opens the file, or much later. */
export function callToDieAt(random: Random): number {
  return 1 + random.below(random.oneIn(3) ? 80 : 5000);
}

type Look = "reader" | "writer" | "next child";

/** One file and the children that write it, one after the other. */
export class KillCampaign {
  private readonly directory = temporaryDirectory();
  private readonly place = new NodePlace(this.directory.path);
  private readonly processes = new NodeProcesses(this.directory.path);
  private readonly seed: number;
  private readonly limits: { chainSlots: number; chainCommits: number };
  /** The model after the last acknowledged step. */
  private state = newState();
  private acknowledged = 0;
  private attempted = 0;
  private sequence = 0;

  constructor(
    private readonly random: Random,
    private readonly counts: KillCounts,
  ) {
    this.seed = random.bits(32);
    this.limits = { chainSlots: 16 << random.below(9), chainCommits: 4 << random.below(7) };
  }

  async run(kills: number): Promise<void> {
    for (let i = 0; i < kills; i++) await this.round();
    this.look("writer");
    this.directory.remove();
  }

  private async round(): Promise<void> {
    const { random, counts } = this;
    const killAt = random.oneIn(2) ? callToDieAt(random) : 0;
    const { chainSlots, chainCommits } = this.limits;
    const args = [this.seed, this.acknowledged, this.attempted, chainSlots, chainCommits, killAt];
    const child = new Child("steps", [this.directory.path, ...args]);
    const sampler = setInterval(() => {
      counts.residentBytes = Math.max(counts.residentBytes, child.residentBytes());
    }, 5);
    const opening = killAt === 0 && random.oneIn(4);
    if (killAt === 0) {
      const first = opening ? null : await child.line();
      if (first !== null) this.hear(first);
      setTimeout(() => child.kill("SIGKILL"), random.below(opening ? 120 : 80));
    }
    const { code, signal } = await child.ended;
    clearInterval(sampler);
    assert.equal(signal, "SIGKILL", `the child ended by itself with ${code}`);
    assert.ok(counts.residentBytes < MEMORY_LIMIT, `a child took ${counts.residentBytes} bytes`);
    const opened = this.attempted;
    for (const line of child.takeLines()) this.hear(line);
    counts.kills++;
    if (opening && opened === this.attempted) counts.whileOpening++;
    this.look(random.pick<Look>(["reader", "writer", "next child"]));
  }

  private hear(line: string): void {
    const [word, step, sequence] = line.split(" ");
    const k = Number(step);
    if (word === "a") {
      assert.equal(k, this.acknowledged + 1);
      this.attempted = k;
    } else if (word === "o") {
      // What a child found when it opened the file; it has compared everything itself.
      assert.ok(k >= this.acknowledged && k <= this.attempted, line);
      this.settle(k);
    } else {
      assert.equal(k, this.attempted, line);
      assert.ok(Number(sequence) >= this.sequence, line);
      this.sequence = Number(sequence);
      this.counts.steps++;
      this.settle(k);
    }
  }

  private settle(k: number): void {
    while (this.acknowledged < k) {
      this.acknowledged++;
      applyStep(this.state, stepOf(this.seed, this.acknowledged, this.state), this.acknowledged);
    }
    this.attempted = k;
  }

  /** Compares what is in the file with the model; "next child" leaves that to the child that opens it next. */
  private look(how: Look): void {
    const { place, processes, limits } = this;
    if (how === "next child" || !place.exists("state")) return;
    if (how === "reader") {
      const reader = new Reader(place, "state", hasher, processes);
      this.compare(reader);
      reader.close();
      return;
    }
    const pager = openPager(place, "state", hasher, processes, { limits });
    this.compare(pager);
    assert.deepEqual(pager.check(true).problems, []);
    if (this.random.oneIn(2)) pager.close();
    else pager.abandon();
  }

  private compare(handle: Parameters<typeof viewOf>[0]): void {
    assert.ok(handle.sequence >= this.sequence, `commit ${handle.sequence} after ${this.sequence}`);
    const view = viewOf(handle);
    let difference = stateDifference(view, this.state, PROGRAM_BLOCKS);
    if (difference !== null && this.attempted > this.acknowledged) {
      const before = copyOf(this.state);
      const { acknowledged } = this;
      this.settle(this.attempted);
      const after = stateDifference(view, this.state, PROGRAM_BLOCKS);
      if (after === null) this.counts.unacknowledged++;
      else difference = `${difference}; and with the step under way ${after}`;
      if (after !== null) Object.assign(this, { state: before, acknowledged });
      else difference = null;
    }
    this.attempted = this.acknowledged;
    const step = `step ${this.acknowledged} of program ${this.seed} in ${this.directory.path}`;
    assert.equal(difference, null, step);
  }
}
