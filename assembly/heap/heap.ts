/*
 * The byte heap: `alloc` and its family, over spans for sizes with a class and runs of blocks for larger ones.
 *
 * Addresses are permanent. A new object reads as zeros unless the caller says it does not care. Nothing is kept next to
 * the objects: whether something lives at an address, and how large it is, is looked up in the page map and the
 * span. Calls answer a code (base/codes.ts) in place of the address or OK; a call that is refused has changed nothing.
 */

import {
  BUSY,
  DOUBLE_FREE,
  INVALID_ADDRESS,
  INVALID_ALIGNMENT,
  isCode,
  OK,
  OUT_OF_MEMORY,
} from "../base/codes";
import { BLOCK_BYTES, BLOCK_SHIFT, HEAP, HEAP_BLOCK, SPANS } from "../base/memory-map";
import { clear, copyToZeros, get, junk, put, read, write } from "../block/access";
import { SIZE_CLASS_COUNT, spanListOf } from "../block/header";
import { anyWatched } from "../block/states";
import { addressOfFrame, giveBlocks, heapEnd, NO_FRAME, takeBlocks, takeBlocksAt } from "./blocks";
import {
  KIND_MASK,
  OF_SPAN,
  pageEntry,
  RUN_REST,
  RUN_START,
  setPageEntries,
  setRunLength,
} from "./page-map";
import {
  alignedClassOf,
  CLASS_BYTES_MAX,
  classOf,
  slotBytesOf,
  slotCountOf,
  spanBlocksOf,
} from "./size-class";
import {
  descriptorsEnd,
  giveDescriptor,
  giveSlot,
  isListed,
  isLive,
  linkSpan,
  SPAN_BYTES,
  Span,
  SpanWriter,
  takeDescriptor,
  takeSlot,
  unlinkSpan,
  wakingCount,
} from "./span";

const SLOT_ALIGN: u32 = 16;

/** `size` bytes at a multiple of `align`; zeros, if `zero`. */
export function alloc(size: u32, align: u32, zero: bool): usize {
  if (align > BLOCK_BYTES || popcnt(align) != 1) return INVALID_ALIGNMENT;
  if (size > CLASS_BYTES_MAX) return allocRun(blocksFor(size));
  const sizeClass = align <= SLOT_ALIGN ? classOf(size) : alignedClassOf(size, align);
  let span = get<usize>(spanListOf(sizeClass));
  if (span == 0) {
    span = makeSpan(sizeClass);
    if (span == 0) span = wakeSpans(sizeClass);
    if (span == 0) return OUT_OF_MEMORY;
  }
  return allocSlot(span, zero);
}

/** Ends the life of the object that starts at `p`. */
export function release(p: usize): u32 {
  if (p < HEAP) return INVALID_ADDRESS;
  const frame = frameOf(p);
  const entry = pageEntry(frame);
  if ((entry & KIND_MASK) == OF_SPAN) return releaseSlot(entry & ~KIND_MASK, p);
  if ((entry & KIND_MASK) == RUN_START && isBlockStart(p)) return releaseRun(frame, entry >> 2);
  return absenceAt(p);
}

/** Bytes of the object that starts at `p`, or 0 when none does. */
export function sizeOf(p: usize): u32 {
  if (p < HEAP) return 0;
  const entry = pageEntry(frameOf(p));
  if ((entry & KIND_MASK) == RUN_START) return isBlockStart(p) ? (entry >> 2) << BLOCK_SHIFT : 0;
  return blockOf(p) == p ? read<Span>(entry & ~KIND_MASK).slotBytes : 0;
}

/** Where the live object starts that has this byte, or 0. */
export function blockOf(address: usize): usize {
  if (address < HEAP) return 0;
  const frame = frameOf(address);
  const entry = pageEntry(frame);
  const kind = entry & KIND_MASK;
  if (kind == RUN_START) return addressOfFrame(frame);
  if (kind == RUN_REST) return addressOfFrame(entry >> 2);
  if (kind != OF_SPAN) return 0;
  const reader = read<Span>(entry & ~KIND_MASK);
  const slot = slotOf(reader, address);
  return isLive(reader, slot) ? reader.address + slot * reader.slotBytes : 0;
}

/**
 * Gives the object at `p` room for `size` bytes, where it is if it can. What it had is kept, up to the new size; bytes past
 * the old room read as zeros. It shrinks only when less than half would remain in use.
 */
export function realloc(p: usize, size: u32): usize {
  const room = sizeOf(p);
  if (room == 0) return absenceAt(p);
  const isRun = room > CLASS_BYTES_MAX;
  if (isRun ? resizeRun(p, room >> BLOCK_SHIFT, size) : fitsSlot(room, size)) return p;
  if (isRun && anyWatched(blockOfAddress(p), room >> BLOCK_SHIFT)) return BUSY;
  const shrinks = size < room;
  const moved = alloc(size, 1, true);
  if (isCode(moved)) return shrinks ? p : moved;
  copyToZeros(p, moved, min(room, sizeOf(moved)));
  const code = release(p);
  assert(code == OK);
  return moved;
}

/** Gives back the spans without a live slot that were kept at hand. */
export function trim(): void {
  for (let sizeClass: u32 = 0; sizeClass < SIZE_CLASS_COUNT; sizeClass++) {
    let span = get<usize>(spanListOf(sizeClass));
    while (span != 0) {
      const reader = read<Span>(span);
      const next = reader.next;
      if (reader.free == reader.slots && !isSpanWatched(reader)) unmakeSpan(span);
      span = next;
    }
  }
}

// Slots

// @ts-ignore: decorator
@inline
function allocSlot(span: usize, zero: bool): usize {
  const writer = write<SpanWriter>(span);
  const slot = takeSlot(writer);
  const address = writer.address + slot * writer.slotBytes;
  if (writer.free == 0) unlinkSpan(spanListOf(writer.sizeClass), span);
  if (slot >= writer.fresh) writer.fresh = <u16>(slot + 1);
  else if (zero) clear(address, writer.slotBytes);
  return address;
}

// @ts-ignore: decorator
@inline
function releaseSlot(span: usize, p: usize): u32 {
  const reader = read<Span>(span);
  const slot = slotOf(reader, p);
  if (reader.address + slot * reader.slotBytes != p || !isLive(reader, slot)) return absenceAt(p);
  junk(p, reader.slotBytes);
  const writer = write<SpanWriter>(span);
  giveSlot(writer, slot);
  const free: u32 = writer.free;
  if (free == wakingCount(writer.slots)) wakeSpan(span);
  else if (free == writer.slots) releaseEmptySpan(span);
  return OK;
}

/** Which slot has this byte of the span. */
// @ts-ignore: decorator
@inline
function slotOf(reader: Span, address: usize): u32 {
  return <u32>((<u64>(address - reader.address) * <u64>reader.reciprocal) >> 32);
}

/** Whether an object may stay in its slot, and should. */
function fitsSlot(room: u32, size: u32): bool {
  return size <= room && (size > room / 2 || classOf(size) == classOf(room));
}

// Spans

/** A span of nothing but fresh slots, in the list of its class; 0 when there is no memory. */
function makeSpan(sizeClass: u32): usize {
  const blocks = spanBlocksOf(sizeClass);
  const frame = takeBlocks(blocks);
  if (frame == NO_FRAME) return 0;
  const slots = slotCountOf(sizeClass);
  const slotBytes = slotBytesOf(sizeClass);
  const span = takeDescriptor();
  const writer = write<SpanWriter>(span);
  writer.address = addressOfFrame(frame);
  writer.sizeClass = <u16>sizeClass;
  writer.slots = <u16>slots;
  writer.free = <u16>slots;
  writer.fresh = 0;
  writer.slotBytes = slotBytes;
  writer.reciprocal = 0xffffffff / slotBytes + 1;
  writer.blocks = blocks;
  setPageEntries(frame, blocks, <u32>span | OF_SPAN);
  linkSpan(spanListOf(sizeClass), span);
  addToCount(sizeClass, 1);
  return span;
}

/** A span that was full has enough free slots to be used again, or had so many before. */
function wakeSpan(span: usize): void {
  const list = spanListOf(read<Span>(span).sizeClass);
  if (!isListed(list, span)) linkSpan(list, span);
}

/** Lists all spans of a class that has none listed, however few slots they have; the first one, or 0. */
function wakeSpans(sizeClass: u32): usize {
  const list = spanListOf(sizeClass);
  const end = descriptorsEnd();
  for (let span = SPANS; span < end; span += SPAN_BYTES) {
    const reader = read<Span>(span);
    if (reader.address != 0 && reader.sizeClass == sizeClass && reader.free != 0) linkSpan(list, span);
  }
  return get<usize>(list);
}

function releaseEmptySpan(span: usize): void {
  const reader = read<Span>(span);
  if ((reader.next | reader.previous) != 0 && !isSpanWatched(reader)) unmakeSpan(span);
}

function unmakeSpan(span: usize): void {
  const reader = read<Span>(span);
  const sizeClass = reader.sizeClass;
  const frame = frameOf(reader.address);
  const blocks = reader.blocks;
  unlinkSpan(spanListOf(sizeClass), span);
  addToCount(sizeClass, -1);
  setPageEntries(frame, blocks, 0);
  giveDescriptor(span);
  giveBlocks(frame, blocks);
}

function isSpanWatched(reader: Span): bool {
  return anyWatched(blockOfAddress(reader.address), reader.blocks);
}

function addToCount(sizeClass: u32, difference: i32): void {
  const count = spanListOf(sizeClass) + 4;
  put<u32>(count, get<u32>(count) + difference);
}

// Runs

function allocRun(blocks: u32): usize {
  const frame = takeBlocks(blocks);
  if (frame == NO_FRAME) return OUT_OF_MEMORY;
  setRunLength(frame, blocks);
  setPageEntries(frame + 1, blocks - 1, (frame << 2) | RUN_REST);
  return addressOfFrame(frame);
}

function releaseRun(frame: u32, blocks: u32): u32 {
  if (anyWatched(HEAP_BLOCK + frame, blocks)) return BUSY;
  setPageEntries(frame, blocks, 0);
  giveBlocks(frame, blocks);
  return OK;
}

/** Makes a run longer or shorter where it is; false when it must move. */
function resizeRun(p: usize, blocks: u32, size: u32): bool {
  const frame = frameOf(p);
  const wanted = blocksFor(size);
  if (size <= CLASS_BYTES_MAX) return false;
  if (wanted > blocks) {
    if (!takeBlocksAt(frame + blocks, wanted - blocks)) return false;
    setPageEntries(frame + blocks, wanted - blocks, (frame << 2) | RUN_REST);
  } else if (wanted < blocks) {
    if (anyWatched(HEAP_BLOCK + frame + wanted, blocks - wanted)) return true;
    setPageEntries(frame + wanted, blocks - wanted, 0);
    giveBlocks(frame + wanted, blocks - wanted);
  }
  setRunLength(frame, wanted);
  return true;
}

// @ts-ignore: decorator
@inline
function blocksFor(size: u32): u32 {
  return (size >> BLOCK_SHIFT) + u32((size & (BLOCK_BYTES - 1)) != 0);
}

// Addresses

/** Why nothing starts at `p`: DOUBLE_FREE if something may have. */
function absenceAt(p: usize): u32 {
  if (p < HEAP || (p & (SLOT_ALIGN - 1)) != 0) return INVALID_ADDRESS;
  const frame = frameOf(p);
  const entry = pageEntry(frame);
  if (entry == 0) return frame < heapEnd() ? DOUBLE_FREE : INVALID_ADDRESS;
  if ((entry & KIND_MASK) != OF_SPAN) return INVALID_ADDRESS;
  const reader = read<Span>(entry & ~KIND_MASK);
  const slot = slotOf(reader, p);
  const isSlot = reader.address + slot * reader.slotBytes == p;
  return isSlot && slot < reader.fresh && !isLive(reader, slot) ? DOUBLE_FREE : INVALID_ADDRESS;
}

// @ts-ignore: decorator
@inline
function frameOf(address: usize): u32 {
  return <u32>((address - HEAP) >> BLOCK_SHIFT);
}

// @ts-ignore: decorator
@inline
function blockOfAddress(address: usize): u32 {
  return <u32>(address >> BLOCK_SHIFT);
}

// @ts-ignore: decorator
@inline
function isBlockStart(address: usize): bool {
  return (address & (BLOCK_BYTES - 1)) == 0;
}
