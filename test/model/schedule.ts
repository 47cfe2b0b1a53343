// One run: who moves next, and what goes wrong. A run is determined by its plan, the rules, and the decisions; it ends with
// everybody gone and a last opener, alone on a healthy machine, who must find the right state.

import type { Chooser } from "./choice.js";
import type { Inode } from "./disk.js";
import { Violation } from "./oracle.js";
import { openForWriting, type ReaderPlan, reader, type WriterPlan, writer } from "./programs.js";
import { openReader, readEverything } from "./reader.js";
import type { Rules } from "./rules.js";
import { junk } from "./values.js";
import { failureOf, flushCall, Process, type Run, type Shape, World, writeCall } from "./world.js";

/** What can happen at any time, in the order of the weights that a plan gives. */
export const events = [
  "go on",
  "switch",
  "writer",
  "taker",
  "reader",
  "stop",
  "resume",
  "kill",
  "power cut",
  "rot",
  "write-back fails",
  "memory pressure",
] as const;

const [
  goOn,
  switchTask,
  newWriter,
  newTaker,
  newReader,
  stop,
  resume,
  kill,
  powerCut,
  rot,
  writeBackFails,
  pressure,
] = events.map((_, index) => index) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

export interface Plan {
  readonly shape: Shape;
  /** Steps before the run is wound up. */
  readonly steps: number;
  /** Steps at the beginning in which nothing goes wrong. */
  readonly quietSteps: number;
  readonly weights: readonly number[];
  /** How often each event may happen; absent means any number of times. */
  readonly limits: Readonly<Partial<Record<(typeof events)[number], number>>>;
  /** Only the first so many slots rot. */
  readonly rotSlots?: number;
  /** Nothing rots while a process is alive. */
  readonly rotAtRest?: boolean;
  /** Of 1000 writes and flushes so many fail. */
  readonly failuresPerMille: number;
  readonly writer: WriterPlan;
  readonly taker: WriterPlan;
  readonly reader: ReaderPlan;
  readonly unpinnedReader: ReaderPlan;
  /** How many processes may be alive at once. */
  readonly crowd: number;
}

interface Task {
  readonly process: Process;
  readonly run: Run<void>;
  /** The process ends with it. */
  readonly isMain: boolean;
  /** The call that it is about to make. */
  next: number;
}

export class Schedule {
  readonly world: World;
  private readonly tasks: Task[] = [];
  private current: Task | null = null;
  private processCount = 0;
  private readonly counts = events.map(() => 0);
  private readonly weights: number[];
  private failing = true;
  stepCount = 0;

  constructor(
    private readonly plan: Plan,
    rules: Rules,
    private readonly choose: Chooser,
    readonly trace: ((text: string) => void) | null,
    accounting: boolean,
  ) {
    this.world = new World(
      rules,
      plan.shape,
      choose,
      trace && ((text) => trace(`${this.stepCount}  ${text}`)),
    );
    this.world.oracle.accounting = accounting;
    this.weights = [...plan.weights];
  }

  /** Throws a Violation when a promise is broken. */
  run(): void {
    this.spawn("writer", (process) => writer(this.world, process, this.plan.writer));
    while (this.current !== null && this.stepCount < this.plan.quietSteps) this.step(this.current);
    while (this.stepCount < this.plan.steps) {
      const weights = this.possible();
      if (weights.every((weight) => weight === 0)) break;
      this.happen(this.choose.weighted(weights));
    }
    this.windUp();
  }

  private possible(): number[] {
    const { plan, weights, tasks } = this;
    const runnable = tasks.filter(({ process }) => !process.stopped);
    const alive = this.world.processes.length;
    const limited = (event: number): number => {
      const limit = plan.limits[events[event] as (typeof events)[number]];
      return limit !== undefined && (this.counts[event] as number) >= limit
        ? 0
        : (plan.weights[event] as number);
    };
    weights[goOn] =
      this.current !== null && !this.current.process.stopped ? (plan.weights[goOn] as number) : 0;
    weights[switchTask] =
      runnable.length > (weights[goOn] > 0 ? 1 : 0) ? (plan.weights[switchTask] as number) : 0;
    if (weights[goOn] === 0 && runnable.length > 0) weights[switchTask] = (plan.weights[goOn] as number) + 1;
    for (const event of [newWriter, newTaker, newReader])
      weights[event] = alive < plan.crowd ? limited(event) : 0;
    weights[stop] = runnable.length > 0 ? limited(stop) : 0;
    weights[resume] = runnable.length < tasks.length ? limited(resume) : 0;
    weights[kill] = alive > 0 ? limited(kill) : 0;
    // Most can be torn just before a flush.
    weights[powerCut] = alive > 0 ? limited(powerCut) * (this.current?.next === flushCall ? 8 : 1) : 0;
    const inode = this.stateInode();
    weights[rot] = inode !== null && (alive === 0 || !plan.rotAtRest) ? limited(rot) : 0;
    const { inodes } = this.world;
    weights[writeBackFails] = limited(writeBackFails);
    if (weights[writeBackFails] > 0 && !inodes.some(({ isDirty }) => isDirty)) weights[writeBackFails] = 0;
    weights[pressure] = limited(pressure);
    if (weights[pressure] > 0 && !inodes.some(({ hasLostPages }) => hasLostPages)) weights[pressure] = 0;
    if (runnable.length === 0) {
      if (tasks.length > 0) weights[resume] = 1;
      else weights[newWriter] = limited(newWriter);
    }
    return weights;
  }

  private happen(event: number): void {
    const { world, choose, plan } = this;
    this.counts[event] = (this.counts[event] as number) + 1;
    switch (event) {
      case goOn:
        this.step(this.current as Task);
        break;
      case switchTask: {
        const others = this.tasks.filter((task) => task !== this.current && !task.process.stopped);
        this.current = others[choose.pick(others.length)] as Task;
        this.step(this.current);
        break;
      }
      case newWriter:
        this.spawn("writer", (process) => writer(world, process, plan.writer));
        break;
      case newTaker:
        this.spawn("taker", (process) => writer(world, process, plan.taker));
        break;
      case newReader: {
        const readerPlan = choose.pick(3) === 2 ? plan.unpinnedReader : plan.reader;
        this.spawn("reader", (process) => reader(world, process, readerPlan));
        break;
      }
      case stop: {
        const running = world.processes.filter(({ stopped }) => !stopped);
        const process = running[choose.pick(running.length)] as Process;
        process.stopped = true;
        world.trace?.(`${process.label}: is stopped`);
        break;
      }
      case resume: {
        const asleep = world.processes.filter(({ stopped }) => stopped);
        const process = asleep[choose.pick(asleep.length)] as Process;
        process.stopped = false;
        world.trace?.(`${process.label}: goes on`);
        break;
      }
      case kill: {
        const process = world.processes[choose.pick(world.processes.length)] as Process;
        world.trace?.(`${process.label}: is killed`);
        this.end(process);
        break;
      }
      case powerCut:
        this.cutPower();
        break;
      case rot: {
        const inode = this.stateInode() as Inode;
        const slot = choose.fate(plan.rotSlots ?? (choose.pick(3) === 2 ? 3 : inode.size));
        if (inode.read(slot) === junk) break; // just being written, or torn: as good as rotten
        world.trace?.(`file ${inode.id}: slot ${slot} rots`);
        world.oracle.rots(inode, slot);
        inode.rot(slot);
        break;
      }
      case writeBackFails: {
        const dirty = world.inodes.filter(({ isDirty }) => isDirty);
        const inode = dirty[choose.pick(dirty.length)] as Inode;
        world.trace?.(`file ${inode.id}: a write-back fails`);
        inode.fail(choose);
        world.oracle.writeBackFailed(inode);
        break;
      }
      case pressure: {
        const damaged = world.inodes.filter(({ hasLostPages }) => hasLostPages);
        const inode = damaged[choose.pick(damaged.length)] as Inode;
        world.trace?.(`file ${inode.id}: clean pages are dropped`);
        inode.evict(choose);
        break;
      }
      default:
    }
  }

  private stateInode(): Inode | null {
    const entry = this.world.directory.get("state");
    return entry?.kind === "file" ? entry.inode : null;
  }

  private spawn(role: string, program: (process: Process) => Run<void>): Process {
    const process = new Process(++this.processCount, role);
    this.world.processes.push(process);
    this.world.trace?.(`${process.label}: starts`);
    process.tasks.push(program(process));
    this.adopt(process);
    return process;
  }

  /** Takes up the tasks that a process has started, and runs them to their first call. */
  private adopt(process: Process): void {
    for (;;) {
      const run = process.tasks.shift();
      if (run === undefined || !process.alive) break;
      const task: Task = {
        process,
        run,
        isMain: this.tasks.every((other) => other.process !== process),
        next: 0,
      };
      this.tasks.push(task);
      this.world.crowded = this.tasks.length > 1;
      this.current ??= task;
      this.advance(task, false);
    }
  }

  private step(task: Task): void {
    this.stepCount++;
    const { next } = task;
    let fails = false;
    if (this.failing && (next === writeCall || next === flushCall) && this.plan.failuresPerMille > 0) {
      fails = this.choose.weighted([1000 - this.plan.failuresPerMille, this.plan.failuresPerMille]) === 1;
    }
    this.advance(task, fails);
    this.adopt(task.process);
  }

  private advance(task: Task, fails: boolean): void {
    const { done, value } = task.run.next(fails);
    if (!done) {
      task.next = value;
      return;
    }
    this.tasks.splice(this.tasks.indexOf(task), 1);
    if (this.current === task) this.current = null;
    this.world.crowded = this.tasks.length > 1;
    if (task.isMain) this.end(task.process);
  }

  private end(process: Process): void {
    process.alive = false;
    const { processes } = this.world;
    const index = processes.indexOf(process);
    if (index >= 0) processes.splice(index, 1);
    for (let task = this.tasks.length - 1; task >= 0; task--) {
      if (this.tasks[task]?.process === process) this.tasks.splice(task, 1);
    }
    if (this.current?.process === process) this.current = null;
    this.world.crowded = this.tasks.length > 1;
  }

  private cutPower(): void {
    const { world, choose } = this;
    world.trace?.("the power is cut");
    for (const process of [...world.processes]) this.end(process);
    const inodes = new Set<Inode>();
    for (const entry of world.directory.values()) if (entry.kind === "file") inodes.add(entry.inode);
    world.directory.cutPower(choose);
    for (const entry of world.directory.values()) if (entry.kind === "file") inodes.add(entry.inode);
    for (const inode of inodes) inode.cutPower(choose);
    world.oracle.powerWasCut();
  }

  private windUp(): void {
    const { world, choose } = this;
    this.failing = false;
    const ending = choose.pick(3);
    if (ending === 0) {
      for (const process of world.processes) process.stopped = false;
      this.runAll();
    }
    if (ending === 1) for (const process of [...world.processes]) this.end(process);
    if (ending === 2) this.cutPower();

    world.trace?.("the last opener");
    this.spawn("last opener", (process) => this.lastOpener(process));
    this.runAll();
  }

  private runAll(): void {
    for (let left = 5000; this.tasks.length > 0; left--) {
      if (left === 0) throw new Violation("the processes do not come to an end");
      this.step(this.tasks[left % this.tasks.length] as Task);
    }
  }

  private *lastOpener(process: Process): Run<void> {
    const { world } = this;
    try {
      yield* openForWriting(world, process, false);
      const last = yield* openReader(world, process, { pinned: false, snapshot: null });
      world.oracle.hasRead(yield* readEverything(last, null), last.state.image, last.state.label);
    } catch (caught) {
      const { code, reason } = failureOf(caught);
      if (code !== "CORRUPT") throw new Violation(`the last opener fails: ${code}, ${reason}`);
      world.oracle.reportedCorrupt(process.label, reason);
    }
  }
}
