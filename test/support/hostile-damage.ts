// Ways to damage a file, and what each may lead to.

import { outcomesOf } from "./hostile-outcome.js";
import { type Moment, type Sample, SLOT } from "./hostile-samples.js";

export interface Damage {
  /** For messages. */
  what: string;
  /** Slots that are not as they were written. */
  slots: readonly number[];
  /** Changes a copy of the file; a new one when it returns one. */
  apply(bytes: Uint8Array): Uint8Array | undefined;
}

export function flipBit(bit: number): Damage {
  const byte = Math.floor(bit / 8);
  return {
    what: `bit ${bit % 8} of byte ${byte % SLOT} of slot ${Math.floor(byte / SLOT)}`,
    slots: [Math.floor(byte / SLOT)],
    apply: (bytes) => {
      bytes[byte] ^= 1 << (bit % 8);
      return undefined;
    },
  };
}

export function putSlot(slot: number, content: Uint8Array, what: string): Damage {
  return {
    what: `slot ${slot}: ${what}`,
    slots: [slot],
    apply: (bytes) => {
      bytes.set(content, slot * SLOT);
      return undefined;
    },
  };
}

export function swapSlots(a: number, b: number): Damage {
  return {
    what: `slots ${a} and ${b} swapped`,
    slots: [a, b],
    apply: (bytes) => {
      const kept = bytes.slice(a * SLOT, (a + 1) * SLOT);
      bytes.copyWithin(a * SLOT, b * SLOT, (b + 1) * SLOT);
      bytes.set(kept, b * SLOT);
      return undefined;
    },
  };
}

export const slotsOf = (sample: Sample): number => sample.bytes.length / SLOT;

export const slotAt = (sample: Sample, slot: number): Uint8Array =>
  sample.bytes.subarray(slot * SLOT, (slot + 1) * SLOT);

/** Moments that the damaged file may show: an older one only when a commit was hit that no `last flushed` covers. */
export function allowedMoments({ moments, tail }: Sample, slots: readonly number[]): Moment[] {
  const cuts = slots.flatMap((slot) => tail.get(slot) ?? []);
  return [moments[0], ...cuts.map((moment) => moments[moment])];
}

/** Counts of outcomes; a failure names the damage. */
export class Sweep {
  readonly counts: Record<string, number> = {};

  damage(sample: Sample, damage: Damage): void {
    const copy = sample.bytes.slice();
    const bytes = damage.apply(copy) ?? copy;
    this.count(`${sample.title}, ${damage.what}`, bytes, allowedMoments(sample, damage.slots));
  }

  count(what: string, bytes: Uint8Array, allowed: readonly Moment[]): void {
    try {
      const { writer, reader } = outcomesOf(bytes, allowed);
      const key = `${writer}/${reader}`;
      this.counts[key] = (this.counts[key] ?? 0) + 1;
    } catch (error) {
      if (error instanceof Error) error.message = `${what}: ${error.message}`;
      throw error;
    }
  }
}
