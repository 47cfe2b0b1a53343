/*
 * Spans: runs of blocks cut into slots of one size, described by 64 bytes outside of them.
 *
 *   0   address u32, next u32, previous u32
 *   12  size class u16, slots u16, free u16, fresh u16
 *   20  slot bytes u32, reciprocal u32, blocks u32
 *   32  live 4 × u64, bit i for slot i
 *
 * Invariants: free is the number of zero bits among the slots; slots from fresh on are free and read as zeros; the list of
 * a size class has exactly its spans with a free slot; a descriptor is in use or in the list of free ones, and its
 * address is 0 then. Which sizes there are, and what an address is, is the geometry's business.
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

/** An unused descriptor. */
export function takeDescriptor(): usize {
  const recycled = read<Header>(HEADER).freeSpan;
  if (recycled != 0) {
    write<HeaderWriter>(HEADER).freeSpan = read<Span>(recycled).next;
    return recycled;
  }
  const made = read<Header>(HEADER).spansMade;
  write<HeaderWriter>(HEADER).spansMade = made + 1;
  return SPANS + SPAN_BYTES * made;
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
  while (live == -1) {
    offset += 8;
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
