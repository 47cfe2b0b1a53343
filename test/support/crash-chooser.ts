// Who decides what a power cut leaves. A simulated disk asks a Chooser about everything that was not flushed.

import type { Random } from "./random.js";

export interface Chooser {
  /** Called before a state is composed, with the number of sectors that are pending in it. */
  begin?(sectorCount: number): void;

  /** Of metadata, sizes and names, with n possible outcomes in order of time: 0 is the oldest, n − 1 the newest. */
  below(n: number): number;

  /** Of n ≤ 32 sectors of one write, in order: bit i is set when the i-th of them persists. */
  bits(n: number): number;
}

export const crashModes = [
  "nothing",
  "everything",
  "half",
  "all-but-one",
  "only-one",
  "whole-writes",
  "in-order",
  "in-reverse",
] as const;

/**
 * - `nothing`, `everything`: no sector persists, or every one
 * - `half`: each sector by the toss of a coin
 * - `all-but-one`, `only-one`: one sector is lost, or one persists
 * - `whole-writes`: each write as a whole by the toss of a coin
 * - `in-order`, `in-reverse`: those before some point of time persist, or those after it
 */
export type CrashMode = (typeof crashModes)[number];

function ones(n: number): number {
  return n === 32 ? 0xffffffff : 2 ** n - 1;
}

/**
 * Draws states at random: the mode of the sectors anew for each state unless it is given, and apart from it whether
 * metadata persists in full (half of the states), not at all (a quarter) or at random (a quarter).
 * With a mode of `nothing` or `everything` given, metadata follows it.
 */
export class SeededChooser implements Chooser {
  private current: CrashMode;
  private metadata: "all" | "none" | "random" = "random";
  private position = 0;
  private target = 0;

  constructor(
    private readonly random: Random,
    private readonly mode?: CrashMode,
  ) {
    this.current = mode ?? "half";
  }

  begin(sectorCount: number): void {
    this.current = this.mode ?? this.random.pick(crashModes);
    this.metadata = this.random.pick(["all", "all", "none", "random"] as const);
    if (this.mode === "everything") this.metadata = "all";
    if (this.mode === "nothing") this.metadata = "none";
    this.position = 0;
    this.target = this.random.below(Math.max(1, sectorCount));
  }

  below(n: number): number {
    if (this.metadata === "random") return this.random.below(n);
    return this.metadata === "all" ? n - 1 : 0;
  }

  bits(n: number): number {
    const target = this.target - this.position;
    this.position += n;
    const one = target >= 0 && target < n ? 2 ** target : 0;
    const before = ones(Math.max(0, Math.min(n, target)));
    switch (this.current) {
      case "nothing":
        return 0;
      case "everything":
        return ones(n);
      case "half":
        return this.random.bits(n);
      case "all-but-one":
        return (ones(n) ^ one) >>> 0;
      case "only-one":
        return one;
      case "whole-writes":
        return this.random.oneIn(2) ? ones(n) : 0;
      case "in-order":
        return before;
      case "in-reverse":
        return (ones(n) ^ before) >>> 0;
    }
  }
}

/** Nothing that is pending persists. */
export const nothingPersists: Chooser = { below: () => 0, bits: () => 0 };

/** Everything that is pending persists. */
export const everythingPersists: Chooser = { below: (n) => n - 1, bits: ones };

/** Keeps the answers of another chooser: equal answers, equal states. */
export class RecordingChooser implements Chooser {
  readonly answers: number[] = [];

  constructor(private readonly chooser: Chooser) {}

  begin(sectorCount: number): void {
    this.chooser.begin?.(sectorCount);
  }

  below(n: number): number {
    return this.keep(this.chooser.below(n));
  }

  bits(n: number): number {
    return this.keep(this.chooser.bits(n));
  }

  private keep(answer: number): number {
    this.answers.push(answer);
    return answer;
  }
}

/**
 * Walks through all answers there are, the way one counts: each run of whoever asks repeats the answers of the run
 * before up to the last one that can still be raised. The questions may depend on the answers.
 */
export class ExhaustiveChooser implements Chooser {
  private readonly answers: { value: number; outcomes: number }[] = [];
  private position = 0;

  below(n: number): number {
    let answer = this.answers[this.position];
    if (answer === undefined) {
      answer = { value: 0, outcomes: n };
      this.answers.push(answer);
    }
    this.position++;
    return answer.value;
  }

  bits(n: number): number {
    return this.below(2 ** n);
  }

  /** Prepares the next run; false when all have been made. */
  advance(): boolean {
    this.position = 0;
    for (let last = this.answers.at(-1); last !== undefined; last = this.answers.at(-1)) {
      if (++last.value < last.outcomes) return true;
      this.answers.pop();
    }
    return false;
  }
}
