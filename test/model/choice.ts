// Where every decision of a run comes from. A run is a function of its configuration and a list of small integers;
// whoever supplies the list decides what happens: at random, from a recorded list (replay, shrinking), or
// systematically one list after the other (exhaustive). Decision 0 is always the dullest possible one.

/** A small fast generator (mulberry32, public domain, Tommy Ettinger); good enough to pick events. */
export class Random {
  constructor(private state: number) {}

  /** A whole number in [0, 2³²). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000;
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}

export interface Chooser {
  /** Whether all outcomes will be tried, so that there is no need for shortcuts to the probable ones. */
  readonly exhaustive: boolean;
  /** One of 0 … count − 1, for what programs do. */
  pick(count: number): number;
  /** One of 0 … count − 1, for what the medium does. */
  fate(count: number): number;
  /** An index of `weights`, in proportion; a weight of 0 is never chosen. */
  weighted(weights: readonly number[]): number;
}

/** Decides at random and remembers, so that the run can be replayed. */
export class RandomChooser implements Chooser {
  readonly exhaustive = false;
  readonly taken: number[] = [];

  constructor(private readonly random: Random) {}

  pick(count: number): number {
    const choice = count > 1 ? this.random.below(count) : 0;
    this.taken.push(choice);
    return choice;
  }

  fate(count: number): number {
    return this.pick(count);
  }

  weighted(weights: readonly number[]): number {
    let total = 0;
    for (const weight of weights) total += weight;
    let left = (this.random.next() / 0x1_0000_0000) * total;
    let choice = 0;
    for (let index = 0; index < weights.length; index++) {
      const weight = weights[index] as number;
      if (weight === 0) continue;
      choice = index;
      if (left < weight) break;
      left -= weight;
    }
    this.taken.push(choice);
    return choice;
  }
}

/** Takes its decisions from a list; decisions that do not fit are made to fit, and after the end all are 0. */
export class ReplayChooser implements Chooser {
  readonly exhaustive = false;
  readonly taken: number[] = [];

  constructor(private readonly list: readonly number[]) {}

  pick(count: number): number {
    const choice = (this.list[this.taken.length] ?? 0) % Math.max(count, 1);
    this.taken.push(choice);
    return choice;
  }

  fate(count: number): number {
    return this.pick(count);
  }

  weighted(weights: readonly number[]): number {
    const wanted = (this.list[this.taken.length] ?? 0) % weights.length;
    const choice = (weights[wanted] as number) > 0 ? wanted : weights.findIndex((weight) => weight > 0);
    this.taken.push(choice);
    return choice;
  }
}

/**
 * Depth-first enumeration of events and of what the medium does, while programs do the dullest thing (their script says
 * what). After each run `advance` moves to the next list of decisions, until there is none.
 */
export class ExhaustiveChooser implements Chooser {
  readonly exhaustive = true;
  private readonly path: { index: number; readonly options: readonly number[] }[] = [];
  private depth = 0;

  /** Starts with given decisions, to replay them. */
  constructor(decisions: readonly number[] = []) {
    for (const decision of decisions) this.path.push({ index: 0, options: [decision] });
  }

  /** The decisions of the run so far. */
  get taken(): number[] {
    return this.path.slice(0, this.depth).map(({ index, options }) => options[index] as number);
  }

  pick(): number {
    return 0;
  }

  fate(count: number): number {
    return this.choose(count, (index) => index);
  }

  weighted(weights: readonly number[]): number {
    const possible: number[] = [];
    for (let index = 0; index < weights.length; index++)
      if ((weights[index] as number) > 0) possible.push(index);
    return this.choose(possible.length, (index) => possible[index] as number);
  }

  advance(): boolean {
    this.path.length = this.depth;
    this.depth = 0;
    for (let last = this.path.at(-1); last !== undefined; last = this.path.at(-1)) {
      if (++last.index < last.options.length) return true;
      this.path.pop();
    }
    return false;
  }

  private choose(count: number, option: (index: number) => number): number {
    if (count <= 1) return option(0);
    if (this.depth === this.path.length) {
      this.path.push({ index: 0, options: Array.from({ length: count }, (_, index) => option(index)) });
    }
    const { index, options } = this.path[this.depth++] as { index: number; options: readonly number[] };
    return options[index] as number;
  }
}
