// Seeded randomness for tests. One seed a run, from PERDURE_SEED or drawn; each test derives its own stream from the
// seed and its name, so a test repeats whether it runs alone or with the others.

/**
 * sfc32, the 32-bit "small fast counting" generator of Chris Doty-Humphrey's PractRand (public domain): 128 bits of
 * state, a period of at least 2³². Seeded through splitmix32, a 32-bit form of Sebastiano Vigna's splitmix64.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number) {
    let state = seed | 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.a = next();
    this.b = next();
    this.c = next();
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 0 … 2³² − 1. */
  next(): number {
    const result = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** 0 … n − 1, for n up to 2³²; the bias of at most n/2³² is of no matter here. */
  below(n: number): number {
    return Math.floor((this.next() / 2 ** 32) * n);
  }

  /** `count` ≤ 32 random bits, as an unsigned number. */
  bits(count: number): number {
    return count === 0 ? 0 : this.next() >>> (32 - count);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError("nothing to pick from");
    return choices[this.below(choices.length)] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.next() >>> 24;
    return bytes;
  }

  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }
}

let seedOfRun: number | undefined;

/** The seed of this run: PERDURE_SEED, a whole number, or else one drawn once. */
export function seedFromEnv(): number {
  if (seedOfRun === undefined) {
    const text = process.env.PERDURE_SEED ?? "";
    if (text !== "" && !/^\d+$/.test(text)) throw new Error(`PERDURE_SEED is not a whole number: ${text}`);
    seedOfRun = text === "" ? Math.floor(Math.random() * 2 ** 32) : Number(text) >>> 0;
  }
  return seedOfRun;
}

/** Runs a test with a stream of its own. When it fails, prints the seed that repeats it. */
export function withSeed<T>(name: string, body: (random: Random) => T): T {
  const seed = seedFromEnv();
  const report = (error: unknown): never => {
    console.error(`    "${name}" failed; repeat it with PERDURE_SEED=${seed}`);
    throw error;
  };
  let result: T;
  try {
    result = body(new Random(seed ^ hashName(name)));
  } catch (error) {
    return report(error);
  }
  return result instanceof Promise ? (result.catch(report) as T) : result;
}

/** FNV-1a over the UTF-16 code units. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}
