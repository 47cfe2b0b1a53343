/*
 * Physical memory: frames of 729 trytes, handed out from the regions of a ternary memory and given back when nobody needs them any more.
 *
 * `memory` is the record of a ternary memory. A frame is in the bitmap of its region exactly if its owner word is not 0; only between `takeFrame`
 * and what its caller does next is it not so. A frame that is handed out reads as zeros: those that were never in use (at or past the end of their region) do
 * so by themselves, others are cleared. Functions on high frames use up one of the four windows that stay where they are.
 */

import { DOUBLE_FREE, INVALID_ADDRESS, OK } from "../base/codes";
import { copyToZeros, fill, get, junk, read } from "../block/access";
import { alignFrame, findAligned } from "../frame/aligned";
import { giveFrames, isFrameUsed, NO_FRAME, raiseEnd, tailOf, takeFrames, takeFramesAt } from "../frame/frames";
import {
  addHolder,
  addMappingTo,
  isHeldWord,
  mappingsIn,
  removeHolder,
  removeMapping,
} from "../frame/owners";
import { Region } from "../frame/region";
import { MemoryRecord, RECORD_BYTES } from "./memory-record";
import {
  addressIn,
  DMA,
  FRAME_BYTES,
  HIGH,
  NORMAL,
  ownerWordIn,
  placeOf,
  recordOf,
} from "./region-record";

/** Not a frame. */
export const NO_FRAME_NUMBER: u64 = -1;
/** Instead of a zone: Normal; when that is full, High, and DMA last. */
export const ANY_ZONE: u32 = 3;

/** A frame of zeros that nobody owns: the caller holds or maps it at once. NO_FRAME_NUMBER when there is none. */
export function takeFrame(memory: usize, zone: u32): u64 {
  return takeContiguous(memory, 1, 1, zone);
}

/** The first of `count` such frames, one behind the other in one region, its number divisible by `align`. */
export function takeContiguous(memory: usize, count: u32, align: u32, zone: u32): u64 {
  if (zone != ANY_ZONE) return takeFromZone(memory, count, align, zone);
  let first = takeFromZone(memory, count, align, NORMAL);
  if (first == NO_FRAME_NUMBER) first = takeFromZone(memory, count, align, HIGH);
  if (first == NO_FRAME_NUMBER) first = takeFromZone(memory, count, align, DMA);
  return first;
}

/** The program holds a frame that is in use or was just taken. */
export function holdFrame(memory: usize, frame: u64): u32 {
  const record = recordOf(memory, frame);
  if (!isTaken(record, frame)) return INVALID_ADDRESS;
  addHolder(ownerWordIn(record, frame));
  return OK;
}

/** The program lets go of it. DOUBLE_FREE when it does not hold it, INVALID_ADDRESS when it never was handed out. */
export function letGoFrame(memory: usize, frame: u64): u32 {
  const record = recordOf(memory, frame);
  if (record == 0 || indexIn(record, frame) >= read<Region>(record).end) return INVALID_ADDRESS;
  const word = ownerWordIn(record, frame);
  if (!isHeldWord(word)) return DOUBLE_FREE;
  if (removeHolder(word)) giveBack(record, frame);
  return OK;
}

/** One more entry maps it. INVALID_ADDRESS when it is free or does not exist, LIMIT when the word can count no more. */
export function addMapping(memory: usize, frame: u64): u32 {
  const record = recordOf(memory, frame);
  return isTaken(record, frame) ? addMappingTo(ownerWordIn(record, frame)) : INVALID_ADDRESS;
}

/** One entry less maps it, of those there are. */
export function dropMapping(memory: usize, frame: u64): void {
  const record = recordOf(memory, frame);
  if (removeMapping(ownerWordIn(record, frame))) giveBack(record, frame);
}

/** The same, but when it was the last owner the program holds the frame from now on. */
export function passToHolder(memory: usize, frame: u64): void {
  const word = ownerWordIn(recordOf(memory, frame), frame);
  if (removeMapping(word)) addHolder(word);
}

/** How many entries map it; 0 also for what is no frame. */
export function mappingsOf(memory: usize, frame: u64): u32 {
  const record = recordOf(memory, frame);
  return record == 0 ? 0 : mappingsIn(ownerWordIn(record, frame));
}

/** Whether anybody owns it. */
export function isAlive(memory: usize, frame: u64): bool {
  const record = recordOf(memory, frame);
  return record != 0 && get<u32>(ownerWordIn(record, frame)) != 0;
}

/** Whether the program holds it. */
export function isHeld(memory: usize, frame: u64): bool {
  const record = recordOf(memory, frame);
  return record != 0 && isHeldWord(ownerWordIn(record, frame));
}

/**
 * The linear address of its first tryte, or INVALID_ADDRESS. That of a low frame is permanent; that of a high one is good until four other clusters
 * have been seen, or the epoch of the windows changes.
 */
export function addressOf(memory: usize, frame: u64): usize {
  const record = recordOf(memory, frame);
  if (record == 0) return INVALID_ADDRESS;
  return addressIn(record, frame);
}

/** Copies a frame into one that reads as zeros, as it does when it has just been taken. */
export function copyFrame(memory: usize, from: u64, to: u64): void {
  const source = addressOf(memory, from);
  copyToZeros(source, addressOf(memory, to), FRAME_BYTES);
}

function takeFromZone(memory: usize, count: u32, align: u32, zone: u32): u64 {
  const reader = read<MemoryRecord>(memory);
  const end = reader.regions + RECORD_BYTES * reader.regionCount;
  for (let record = reader.regions; record < end; record += RECORD_BYTES) {
    const place = placeOf(record);
    if (place.zone != zone) continue;
    const shift = align == 1 ? 0 : <u32>(place.first % align);
    const index = takeFromRegion(record, count, align, shift);
    if (index != NO_FRAME) return place.first + index;
  }
  return NO_FRAME_NUMBER;
}

/** Takes frames below the end of the region if there are any, otherwise moves the end up; clears what was in use before. */
function takeFromRegion(record: usize, count: u32, align: u32, shift: u32): u32 {
  const end = read<Region>(record).end;
  let first: u32;
  if (align == 1) {
    first = takeFrames(record, count);
  } else {
    first = findAligned(record, count, align, shift);
    if (first != NO_FRAME) takeFramesAt(record, first, count);
  }
  if (first == NO_FRAME) {
    first = alignFrame(tailOf(record), align, shift);
    const capacity = read<Region>(record).capacity;
    if (first > capacity || count > capacity - first) return NO_FRAME;
    raiseEnd(record, first + count);
    takeFramesAt(record, first, count);
  }
  const number = placeOf(record).first;
  for (let index = first; index < min(end, first + count); index++)
    fill(addressIn(record, number + index), FRAME_BYTES, 0);
  return first;
}

function giveBack(record: usize, frame: u64): void {
  junk(addressIn(record, frame), FRAME_BYTES);
  const code = giveFrames(record, indexIn(record, frame), 1);
  assert(code == OK);
}

// @ts-ignore: decorator
@inline
function isTaken(record: usize, frame: u64): bool {
  return record != 0 && isFrameUsed(record, indexIn(record, frame));
}

// @ts-ignore: decorator
@inline
function indexIn(record: usize, frame: u64): u32 {
  return <u32>(frame - placeOf(record).first);
}
