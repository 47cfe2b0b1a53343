// Pages of ternary memory, in the module, against plain maps: tables, walker, TLB, mapper, areas, forks and modes, with commits, rollbacks, remounts and
// failing hosts between.

import assert from "node:assert/strict";
import { HostFailure } from "./support/engine-harness.js";
import { PagesDriver, usualPages } from "./support/pages-driver.js";
import { addressOf, flagsOf, mapping, pageTrytes } from "./support/pages-model.js";
import { type Random, withSeed } from "./support/random.js";

interface Shape {
  forks?: boolean;
  failures?: boolean;
  steps?: number;
}

class Run {
  readonly driver = PagesDriver.format();
  readonly pages: number[];
  /** How often each kind of step came to what. */
  readonly outcomes = new Map<string, number>();
  private names = 0;

  constructor(
    private readonly random: Random,
    private readonly shape: Shape,
  ) {
    this.pages = usualPages(random);
    this.driver.harness.view.setUint32(0x3000c, 8, true);
    for (let i = 0; i < 3; i++) this.create();
    this.driver.commit();
  }

  go(steps: number): void {
    const { random, driver } = this;
    for (let i = 0; i < steps; i++) {
      if (this.shape.failures && random.oneIn(4)) driver.harness.failIn = 1 + random.below(8);
      try {
        this.note(this.step());
      } catch (error) {
        if (!(error instanceof HostFailure)) throw error;
        driver.harness.failIn = 0;
        driver.rollback();
        this.note("failed");
      }
      driver.harness.failIn = 0;
      if (!random.oneIn(100)) continue;
      const choice = random.below(5);
      if (choice < 2) driver.commit();
      else if (choice === 2) driver.rollback();
      else if (choice === 3) driver.remount();
      driver.harness.view.setUint32(0x3000c, 8, true);
      driver.checkAll(this.pages);
    }
    driver.checkAll(this.pages);
  }

  private note(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  private create(): void {
    this.driver.create(`s${this.names++}`);
  }

  /** Does something, and says what it came to. */
  private step(): string {
    const { random, driver } = this;
    const { model } = driver;
    const names = [...model.spaces.keys()];
    if (names.length === 0) this.create();
    const name = random.pick([...model.spaces.keys()]);
    const mode = random.oneIn(3) ? random.below(4) : 1;
    const page = random.oneIn(3) ? random.pick(this.pages) : this.known(name);
    const v = random.oneIn(40) ? random.pick([0.5, Number.NaN, 2 ** 53, -(2 ** 60), page + 0.25]) : page;
    const choice = random.below(100);
    if (choice < 22) return `load ${driver.load(name, mode, v + random.below(pageTrytes))}`;
    if (choice < 48)
      return `store ${driver.store(name, mode, v + random.below(pageTrytes), random.below(729) - 364)}`;
    if (choice < 54)
      return `translate ${driver.translate(name, mode, v, random.pick(["read", "write", "execute"]))}`;
    if (choice < 64) return this.map(name, mode, v);
    if (choice < 70) return `unmap ${this.kind(driver.unmap(name, mode, v + random.below(3)))}`;
    const trytes = random.oneIn(20)
      ? random.pick([0, -1, 0.5, 2 ** 60, 3 ** 33, Number.NaN])
      : 1 + random.below(random.pick([1, 5, 12]) * pageTrytes);
    const start = random.oneIn(20) ? v + 1 : v;
    const flags = random.oneIn(15) ? random.below(20) : random.pick([1, 3, 3, 5, 11]);
    if (choice < 77) return `mapRegion ${driver.mapRegion(name, mode, start, trytes, flags)}`;
    if (choice < 81) return `unmapRegion ${driver.unmapRegion(name, mode, start, trytes)}`;
    if (choice < 87) return `protect ${driver.protect(name, mode, start, trytes, flags & ~mapping.STACK)}`;
    if (choice < 90 && names.length < 6) {
      if (this.shape.forks && !random.oneIn(4)) driver.fork(name, `s${this.names++}`);
      else this.create();
      return "create OK";
    }
    if (choice === 90 && random.oneIn(2)) {
      driver.drop(name);
      return "drop OK";
    }
    const frames = [...model.frames]
      .filter(([, { held }]) => held || random.oneIn(9))
      .map(([frame]) => frame);
    if (choice < 94 || frames.length === 0)
      return `allocate ${driver.allocate(1) < 0 ? "OUT_OF_MEMORY" : "OK"}`;
    driver.deallocate(random.pick(frames));
    return "deallocate";
  }

  private map(name: string, mode: number, v: number): string {
    const { random, driver } = this;
    let flags = random.pick([0, flagsOf.USER, flagsOf.SUPERVISOR, flagsOf.KERNEL_ONLY, flagsOf.USER]);
    flags |= random.pick([0, flagsOf.WRITABLE, flagsOf.WRITABLE, flagsOf.EXECUTE, flagsOf.PRESENT]);
    if (random.oneIn(6)) flags |= flagsOf.GLOBAL;
    if (random.oneIn(12)) flags = random.below(300);
    let frame = random.pick([...driver.model.frames.keys(), 0, 7, 0.5, -1]);
    if (random.oneIn(4)) {
      flags |= flagsOf.LARGE;
      const free = driver.allocate(3, 3);
      if (free >= 0) frame = free;
    }
    // A frame that is mapped in two places by hand does not stay so in a fork; see below.
    const count = (flags & flagsOf.LARGE) !== 0 ? 3 : 1;
    for (let i = 0; i < count; i++)
      if (this.shape.forks && driver.model.mappingsOf(frame + i) > 0) return "map twice";
    const code = driver.map(name, mode, v, frame, flags);
    if (code === "OK" && random.oneIn(2)) for (let i = 0; i < count; i++) driver.deallocate(frame + i);
    return `map ${code}`;
  }

  /** The address of a page that is mapped or promised, or near one. */
  private known(name: string): number {
    const { random, driver } = this;
    const { pages, areas } = driver.model.space(name);
    const known = [...pages.keys(), ...driver.model.globals.keys()];
    for (const { first, end } of areas) known.push(first, first + random.below(end - first), end);
    if (known.length === 0) return random.pick(this.pages);
    return addressOf(random.pick(known) + (random.oneIn(6) ? random.pick([-1, 1]) : 0));
  }

  private kind(answer: string | number): string {
    return typeof answer === "number" ? "OK" : answer;
  }
}

describe("ternary: pages", () => {
  for (const [name, shape] of Object.entries({
    "with forks": { forks: true },
    "with frames in several places": { forks: false },
    "with forks and a host that throws": { forks: true, failures: true },
  } as Record<string, Shape>)) {
    it(`follow the model, ${name}`, () =>
      withSeed(`ternary pages ${name}`, (random) => {
        const run = new Run(random, shape);
        run.go(6000);
        if (process.env.PERDURE_VERBOSE) console.log([...run.outcomes].sort());
        for (const outcome of [
          "load OK",
          "store OK",
          "map OK",
          "unmap OK",
          "protect OK",
          "store OUT_OF_MEMORY",
        ])
          assert.ok((run.outcomes.get(outcome) ?? 0) > 0, `no ${outcome}`);
      }));
  }
});
