/** Frames as values. */
import { PerdureError } from "../../base/errors.js";
import type { Zone } from "./enums.js";
import { PAGE_TRYTES, zoneOf } from "./regions.js";

/** 729 trytes of physical memory. The number says it all, and stays the same for ever. */
export interface Frame {
  readonly number: number;
  /** Physical address of its first tryte: 729 × number. */
  readonly startAddress: number;
  readonly zone: Zone;
}

export function frameOf(number: number): Frame {
  return { number, startAddress: number * PAGE_TRYTES, zone: zoneOf(number) };
}

/** INVALID_ARGUMENT for what is no frame. */
export function numberOf(frame: Frame): number {
  if (typeof frame?.number !== "number") throw new PerdureError("INVALID_ARGUMENT", "that is no frame");
  return frame.number;
}
