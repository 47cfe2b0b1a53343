// The states that a power cut may leave of one file, by brute force: plain arrays, every combination, no sharing and
// no order of enumeration. The simulated disk is compared with it on short traces.

import { Random } from "./random.js";
import { type Chooser, nothingPersists, SimulatedDisk } from "./simulated-disk.js";

type Step =
  | { kind: "write"; offset: number; length: number; value: number }
  | { kind: "truncate"; size: number }
  | { kind: "flush" }
  /** A flush that fails; the sectors it has written before are drawn from `seed`, null for none. */
  | { kind: "failed flush"; seed: number | null };

export type Trace = Step[];

const limit = 6 * 4096;

/** At most 9 sectors are written, so that all of their subsets can be listed. */
export function randomTrace(random: Random): Trace {
  const trace: Trace = [];
  let sectorsLeft = 9;
  while (sectorsLeft > 0 && trace.length < 8) {
    const choice = random.below(12);
    if (choice < 7) {
      const offset = random.pick([0, 100, 512, 1000, 4096 - 512, 4096, 8000, random.below(12_000)]);
      const length = random.pick([1, 512, 513, 1024, 1 + random.below(1500)]);
      const count = Math.ceil((offset + length) / 512) - Math.floor(offset / 512);
      if (count > sectorsLeft) break;
      sectorsLeft -= count;
      trace.push({ kind: "write", offset, length, value: trace.length + 1 });
    } else if (choice < 9) {
      trace.push({ kind: "truncate", size: random.pick([0, 100, 512, 4096, random.below(9000)]) });
    } else if (choice < 11) {
      trace.push({ kind: "flush" });
    } else {
      trace.push({ kind: "failed flush", seed: random.oneIn(2) ? null : random.next() });
    }
  }
  return trace;
}

/** What a failed flush has written: one bit a sector, in the order of the writes. */
function partialFlush(seed: number | null): Chooser {
  if (seed === null) return nothingPersists;
  const random = new Random(seed);
  return {
    below: () => 0,
    bits: (n) =>
      Array.from({ length: n }, (_, i) => random.bits(1) * 2 ** i).reduce((sum, bit) => sum + bit, 0),
  };
}

export function runTrace(trace: Trace): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.install("file", new Uint8Array(0));
  const file = disk.open("file", "write");
  for (const step of trace) {
    if (step.kind === "write") file.write(step.offset, new Uint8Array(step.length).fill(step.value));
    else if (step.kind === "truncate") file.truncate(step.size);
    else if (step.kind === "flush") flushTold(() => file.flush());
    else {
      disk.failAt(disk.operationCount, "FLUSH", { persisted: partialFlush(step.seed) });
      flushTold(() => file.flush());
    }
  }
  return disk;
}

function flushTold(flush: () => void): void {
  try {
    flush();
  } catch {}
}

/** One sector's part of a write, or one step of the size. */
type Piece =
  | { kind: "sector"; offset: number; length: number; value: number; fate: "open" | "written" }
  | { kind: "size"; from: number; to: number };

/** A content as its runs of equal bytes, `value×length`. */
export function runsOf(bytes: Uint8Array): string {
  const runs: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    const value = bytes[start];
    let end = start + 1;
    while (end < bytes.length && bytes[end] === value) end++;
    runs.push(`${value}×${end - start}`);
    start = end;
  }
  return runs.join(" ");
}

/** All contents that a power cut at the end of the trace may leave, as `runsOf` writes them. */
export function modelStates(trace: Trace): Set<string> {
  const durable = { bytes: new Uint8Array(limit), size: 0 };
  let pieces: Piece[] = [];
  let size = 0;
  for (const step of trace) {
    switch (step.kind) {
      case "write": {
        const end = step.offset + step.length;
        if (end > size) {
          const steps: number[] = [];
          for (let page = 4096; page < end; page += 4096)
            if (page > size && page > step.offset) steps.push(page);
          for (const to of [...steps, end]) {
            pieces.push({ kind: "size", from: size, to });
            size = to;
          }
        }
        for (let at = step.offset; at < end; ) {
          const next = Math.min(end, (Math.floor(at / 512) + 1) * 512);
          pieces.push({ kind: "sector", offset: at, length: next - at, value: step.value, fate: "open" });
          at = next;
        }
        break;
      }
      case "truncate":
        if (step.size !== size) pieces.push({ kind: "size", from: size, to: step.size });
        size = step.size;
        break;
      case "flush": {
        const all = pieces.filter((piece) => piece.kind === "size").length;
        const whole = compose(durable, pieces, all, () => true);
        durable.bytes.fill(0);
        durable.bytes.set(whole);
        durable.size = size;
        pieces = [];
        break;
      }
      case "failed flush": {
        const random = step.seed === null ? null : new Random(step.seed);
        pieces = pieces.filter((piece) => {
          if (piece.kind === "size" || piece.fate === "written") return true;
          piece.fate = "written";
          return random !== null && random.bits(1) === 1;
        });
      }
    }
  }
  const open = pieces.filter((piece) => piece.kind === "sector" && piece.fate === "open");
  const sizeSteps = pieces.filter((piece) => piece.kind === "size").length;
  const states = new Set<string>();
  for (let steps = 0; steps <= sizeSteps; steps++) {
    for (let subset = 0; subset < 2 ** open.length; subset++) {
      const bytes = compose(durable, pieces, steps, (piece) => ((subset >> open.indexOf(piece)) & 1) === 1);
      states.add(runsOf(bytes));
    }
  }
  return states;
}

function compose(
  durable: { bytes: Uint8Array; size: number },
  pieces: Piece[],
  steps: number,
  persists: (piece: Piece) => boolean,
): Uint8Array {
  const bytes = durable.bytes.slice();
  let size = durable.size;
  let stepsLeft = steps;
  for (const piece of pieces) {
    if (piece.kind === "sector") {
      if (piece.fate === "written" || persists(piece)) {
        bytes.fill(piece.value, piece.offset, piece.offset + piece.length);
      }
    } else if (stepsLeft > 0) {
      stepsLeft--;
      size = piece.to;
      if (piece.to < piece.from) bytes.fill(0, piece.to);
    }
  }
  return bytes.slice(0, size);
}
