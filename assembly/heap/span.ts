/*
 * Spans: runs of blocks cut into slots of one size, described by 64 bytes outside of them.
 *
 *   0   address u32, next u32, previous u32
 *   12  size class u16, slots u16, free u16, fresh u16
 *   20  slot bytes u32, reciprocal u32, blocks u32
 *   32  live 4 × u64, bit i for slot i
 *
 * Invariants: free is the number of zero bits among the slots; slots from fresh on are free and read as zeros; the list of
 * a size class has no full span and each of `wakingCount` free slots or more: one that leaves it, being full, sleeps until it
 * has so many. A descriptor is in use or in the list of free ones, and its address is 0 then. Which sizes there are, and
 * what an address is, is the geometry's business.
 */

import { HEADER, SPANS } from "../base/memory-map";
import { fieldOf, get, put, read, setField, Writable, write } from "../block/access";
import { Header, HeaderWriter } from "../block/header";

export const SPAN_BYTES: usize = 64;
export const LIVE_OFFSET: usize = 32;

@unmanaged
export class Span {
  readonly address: usize;
  readonly next: usize;
  readonly previous: usize;
  readonly sizeClass: u16;
  readonly slots: u16;
  readonly free: u16;
  readonly fresh: u16;
  readonly slotBytes: u32;
  readonly reciprocal: u32;
  readonly blocks: u32;
}

@unmanaged
export class SpanWriter extends Writable {
  address: usize;
  next: usize;
  previous: usize;
  sizeClass: u16;
  slots: u16;
  free: u16;
  fresh: u16;
  slotBytes: u32;
  reciprocal: u32;
  blocks: u32;
}

if (
  offsetof<Span>() != LIVE_OFFSET ||
  offsetof<SpanWriter>() != LIVE_OFFSET ||
  offsetof<Span>("slotBytes") != 20 ||
  offsetof<SpanWriter>("slotBytes") != 20 ||
  LIVE_OFFSET + 4 * 8 != SPAN_BYTES
)
  ERROR("a span is not as drawn");

/** With how many free slots a span is listed again: with each one, lists would change at nearly every call. */
// @ts-ignore: decorator
@inline
export function wakingCount(slots: u32): u32 {
  return max<u32>(slots >> 6, 1);
}

/** Where the descriptors end that were ever made. */
export function descriptorsEnd(): usize {
  return SPANS + SPAN_BYTES * read<Header>(HEADER).spansMade;
}

/** An unused descriptor. */
export function takeDescriptor(): usize {
  const recycled = read<Header>(HEADER).freeSpan;
  if (recycled != 0) {
    write<HeaderWriter>(HEADER).freeSpan = read<Span>(recycled).next;
    return recycled;
  }
  const made = descriptorsEnd();
  write<HeaderWriter>(HEADER).spansMade += 1;
  return made;
}

export function giveDescriptor(span: usize): void {
  const writer = write<SpanWriter>(span);
  writer.address = 0;
  writer.next = read<Header>(HEADER).freeSpan;
  write<HeaderWriter>(HEADER).freeSpan = span;
}

/** The lowest free slot, which there is, becomes live. */
// @ts-ignore: decorator
@inline
export function takeSlot(writer: SpanWriter): u32 {
  let offset = LIVE_OFFSET;
  let live = fieldOf<SpanWriter, u64>(writer, offset);
  if (live == -1) {
    const second = fieldOf<SpanWriter, u64>(writer, LIVE_OFFSET + 8);
    const third = fieldOf<SpanWriter, u64>(writer, LIVE_OFFSET + 16);
    // Which of the others has it is not predictable, so there is no branch.
    offset += 8 + (usize(second == -1) << 3) + (usize((second & third) == -1) << 3);
    live = fieldOf<SpanWriter, u64>(writer, offset);
  }
  setField<u64>(writer, offset, live | (live + 1));
  writer.free -= 1;
  return (<u32>(offset - LIVE_OFFSET) << 3) + <u32>ctz(~live);
}

/** A live slot becomes free. */
// @ts-ignore: decorator
@inline
export function giveSlot(writer: SpanWriter, slot: u32): void {
  const offset = liveOffset(slot);
  setField<u64>(writer, offset, fieldOf<SpanWriter, u64>(writer, offset) ^ (<u64>1 << slot));
  writer.free += 1;
}

// @ts-ignore: decorator
@inline
export function isLive(span: Span, slot: u32): bool {
  return ((fieldOf<Span, u64>(span, liveOffset(slot)) >> slot) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function liveOffset(slot: u32): usize {
  return LIVE_OFFSET + ((slot >> 6) << 3);
}

/** Puts a span at the front of a list whose first span is at `list`. */
export function linkSpan(list: usize, span: usize): void {
  const first = get<usize>(list);
  const writer = write<SpanWriter>(span);
  writer.next = first;
  writer.previous = 0;
  if (first != 0) write<SpanWriter>(first).previous = span;
  put<usize>(list, span);
}

export function unlinkSpan(list: usize, span: usize): void {
  const reader = read<Span>(span);
  if (reader.next != 0) write<SpanWriter>(reader.next).previous = reader.previous;
  if (reader.previous != 0) write<SpanWriter>(reader.previous).next = reader.next;
  else put<usize>(list, reader.next);
}

/**
 * Whether a span is in the list. One that is not may still have neighbours in its fields, but they do not have it: when
 * it left they got each other, and what becomes somebody's neighbour later is listed, or no span in use.
 */
export function isListed(list: usize, span: usize): bool {
  const previous = read<Span>(span).previous;
  return previous == 0 ? get<usize>(list) == span : read<Span>(previous).next == span;
}
