/*
 * Physical memory as the host calls it: numbers of frames cross the border as f64, −1 for none.
 */

import { INVALID_ADDRESS } from "../base/codes";
import { addressOf, holdFrame, letGoFrame, NO_FRAME_NUMBER, takeContiguous } from "./physical";
import { ownerWordIn, recordOf } from "./region-record";
import { get } from "../block/access";

/** Takes and holds `count` contiguous frames; the first of them, or −1. */
export function allocateFrames(memory: usize, count: u32, align: u32, zone: u32): f64 {
  const first = takeContiguous(memory, count, align, zone);
  if (first == NO_FRAME_NUMBER) return -1;
  for (let frame = first; frame < first + count; frame++) holdFrame(memory, frame);
  return <f64>first;
}

/** Lets go of one. */
export function deallocateFrame(memory: usize, frame: f64): u32 {
  return isNumber(frame) ? letGoFrame(memory, <u64>frame) : INVALID_ADDRESS;
}

/** Where it lies or is seen now, or INVALID_ADDRESS. */
export function frameAddress(memory: usize, frame: f64): usize {
  return isNumber(frame) ? addressOf(memory, <u64>frame) : INVALID_ADDRESS;
}

/** Its owner word; 0 also for what is no frame. */
export function frameOwners(memory: usize, frame: f64): u32 {
  const record = isNumber(frame) ? recordOf(memory, <u64>frame) : 0;
  return record == 0 ? 0 : get<u32>(ownerWordIn(record, <u64>frame));
}

function isNumber(frame: f64): bool {
  return frame >= 0 && frame < 9007199254740992 && floor(frame) == frame;
}
