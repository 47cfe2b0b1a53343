/*
 * The nodes of B+trees: a block each, with sorted slots in front and records behind. This file knows how entries lie in one
 * node, and nothing of the tree around it.
 *
 *   0   level u16, slots u16, bytes in use u16, start of the lowest record u16
 *   8   slot inserted last u16, reserved u16, first child u32
 *   16  next leaf u32, previous leaf u32, tree u32, reserved u32
 *   32  slots: prefix u64, word u64
 *
 *   word   bits 0 … 10 length of the key
 *          leaf: the value above, or where the record lies (value u64, rest of the key) if the key has more than 8 bytes
 *          inner: bits 11 … 23 where the record (rest of the key) lies, bits 32 … 63 child
 *
 * A key is passed as three numbers: its prefix, where the bytes from the ninth on lie, and its length. Whoever calls with
 * the address of a node has read or written it in this call, so that it is present.
 */

import { BLOCK_BYTES, PAGE_SCRATCH } from "../base/memory-map";
import { copyToScratch, moveInto, read, setField, Writable, write } from "../block/access";

export const KEY_BYTES_MAX: u32 = 1024;
export const SLOTS: u32 = 32;
export const SLOT_BYTES: u32 = 16;
/** Room of a node for slots and records. */
export const ROOM: u32 = BLOCK_BYTES - SLOTS;
export const NO_SLOT: u32 = 0xffff;

const SLOT_SHIFT: u32 = 4;
/** About the root of the slots that a node has. */
const STRIDE: u32 = 16;
const PREFIX_BYTES: u32 = 8;
const VALUE_BYTES: u32 = 8;
const LENGTH_BITS: u64 = 11;
const LENGTH_MASK: u64 = (1 << LENGTH_BITS) - 1;
const RECORD_MASK: u64 = 0x1fff;
const CHILD: usize = 12;

@unmanaged
export class Node {
  readonly level: u16;
  readonly count: u16;
  readonly used: u16;
  readonly start: u16;
  readonly last: u16;
  readonly reserved0: u16;
  readonly firstChild: usize;
  readonly next: usize;
  readonly previous: usize;
  readonly tree: usize;
  readonly reserved1: u32;
}

@unmanaged
export class NodeWriter extends Writable {
  level: u16;
  count: u16;
  used: u16;
  start: u16;
  last: u16;
  reserved0: u16;
  firstChild: usize;
  next: usize;
  previous: usize;
  tree: usize;
  reserved1: u32;
}

if (
  offsetof<Node>() != SLOTS ||
  offsetof<NodeWriter>() != SLOTS ||
  offsetof<Node>("firstChild") != 12 ||
  offsetof<NodeWriter>("firstChild") != 12 ||
  offsetof<Node>("tree") != 24 ||
  offsetof<NodeWriter>("tree") != 24 ||
  1 << SLOT_SHIFT != SLOT_BYTES
)
  ERROR("a node is not as drawn");

/** A node without entries. */
export function clearNode(node: usize, tree: usize, level: u32): void {
  const writer = write<NodeWriter>(node);
  writer.level = <u16>level;
  writer.count = 0;
  writer.used = 0;
  writer.start = <u16>BLOCK_BYTES;
  writer.last = <u16>NO_SLOT;
  writer.reserved0 = 0;
  writer.firstChild = 0;
  writer.next = 0;
  writer.previous = 0;
  writer.tree = tree;
  writer.reserved1 = 0;
}

// Slots

// @ts-ignore: decorator
@inline
function slotOffset(slot: u32): usize {
  return SLOTS + (slot << SLOT_SHIFT);
}

// @ts-ignore: decorator
@inline
export function prefixAt(node: usize, slot: u32): u64 {
  return load<u64>(node + slotOffset(slot));
}

// @ts-ignore: decorator
@inline
function wordAt(node: usize, slot: u32): u64 {
  return load<u64>(node + slotOffset(slot), 8);
}

// @ts-ignore: decorator
@inline
export function lengthAt(node: usize, slot: u32): u32 {
  return <u32>(wordAt(node, slot) & LENGTH_MASK);
}

/** Where a record lies in the node. A word without one has rubbish there. */
// @ts-ignore: decorator
@inline
function recordOf(word: u64): u32 {
  return <u32>((word >> LENGTH_BITS) & RECORD_MASK);
}

/** Where the key's bytes from the ninth on lie, if it has any. */
// @ts-ignore: decorator
@inline
export function restAt(node: usize, slot: u32, isLeaf: bool): usize {
  return node + recordOf(wordAt(node, slot)) + (isLeaf ? <usize>VALUE_BYTES : 0);
}

// @ts-ignore: decorator
@inline
export function valueAt(leaf: usize, slot: u32): u64 {
  const word = wordAt(leaf, slot);
  return (word & LENGTH_MASK) <= PREFIX_BYTES ? word >> LENGTH_BITS : load<u64>(leaf + recordOf(word));
}

export function setValue(leaf: usize, slot: u32, value: u64): void {
  const writer = write<NodeWriter>(leaf);
  const word = wordAt(leaf, slot);
  const length = word & LENGTH_MASK;
  if (length <= PREFIX_BYTES) setField<u64>(writer, slotOffset(slot) + 8, (value << LENGTH_BITS) | length);
  else setField<u64>(writer, recordOf(word), value);
}

/** Child `index` of an inner node: the first one, or that of the slot before. */
// @ts-ignore: decorator
@inline
export function childAt(node: usize, index: u32): usize {
  return index == 0 ? read<Node>(node).firstChild : load<usize>(node + slotOffset(index - 1) + CHILD);
}

/** Bytes of a record. */
// @ts-ignore: decorator
@inline
function recordBytes(isLeaf: bool, length: u32): u32 {
  return length <= PREFIX_BYTES ? 0 : isLeaf ? length - PREFIX_BYTES + VALUE_BYTES : length - PREFIX_BYTES;
}

/** Bytes that an entry needs. */
// @ts-ignore: decorator
@inline
export function entryBytes(isLeaf: bool, length: u32): u32 {
  return SLOT_BYTES + recordBytes(isLeaf, length);
}

// Keys

/** The prefix of a key that is cut to this length. */
// @ts-ignore: decorator
@inline
export function cutPrefix(prefix: u64, length: u32): u64 {
  if (length >= PREFIX_BYTES) return prefix;
  return length == 0 ? 0 : prefix & (~(<u64>0) << (64 - 8 * length));
}

/** The first slot whose key is not less than this one or, if `above`, greater. */
export function findSlot(
  node: usize,
  isLeaf: bool,
  prefix: u64,
  rest: usize,
  length: u32,
  above: bool,
): u32 {
  const count: u32 = read<Node>(node).count;
  let low = findPrefix(node, count, prefix);
  let high = count;
  // Seldom has more than one slot this prefix: so the first one is asked first.
  let slot = low;
  while (low < high) {
    if (prefixAt(node, slot) != prefix) high = slot;
    else {
      const order = compareRest(restAt(node, slot, isLeaf), lengthAt(node, slot), rest, length);
      if (above ? order <= 0 : order < 0) low = slot + 1;
      else high = slot;
    }
    slot = (low + high) >> 1;
  }
  return low;
}

/** Whether the slot has this key. */
// @ts-ignore: decorator
@inline
export function isKeyAt(leaf: usize, slot: u32, prefix: u64, rest: usize, length: u32): bool {
  return (
    slot < <u32>read<Node>(leaf).count &&
    prefixAt(leaf, slot) == prefix &&
    lengthAt(leaf, slot) == length &&
    (length <= PREFIX_BYTES || compareBytes(restAt(leaf, slot, true), rest, length - PREFIX_BYTES) == 0)
  );
}

/** Whether the slot's key begins with this one. */
export function isBegunAt(leaf: usize, slot: u32, prefix: u64, rest: usize, length: u32): bool {
  return (
    cutPrefix(prefixAt(leaf, slot), length) == prefix &&
    lengthAt(leaf, slot) >= length &&
    (length <= PREFIX_BYTES || compareBytes(restAt(leaf, slot, true), rest, length - PREFIX_BYTES) == 0)
  );
}

/** Bytes that two different keys, the second one greater, begin with alike. */
export function commonBytes(
  prefix: u64,
  rest: usize,
  length: u32,
  otherPrefix: u64,
  otherRest: usize,
  otherLength: u32,
): u32 {
  if (prefix != otherPrefix) return min(length, <u32>clz(prefix ^ otherPrefix) >> 3);
  const most = min(length, otherLength);
  let common = min(most, PREFIX_BYTES);
  while (common < most && load<u8>(rest + common - PREFIX_BYTES) == load<u8>(otherRest + common - PREFIX_BYTES))
    common++;
  return common;
}

/**
 * The first slot whose prefix is not less: every sixteenth is asked, and then the fifteen before the first of these that is not less. The loads of
 * either loop do not wait for each other. Halving asks a fourth as many, but each waits for the one before, and a node that is not in the
 * processor's caches takes as long as the longest chain of loads.
 */
// @ts-ignore: decorator
@inline
function findPrefix(node: usize, count: u32, prefix: u64): u32 {
  let low: u32 = 0;
  for (let slot: u32 = STRIDE - 1; slot < count; slot += STRIDE) low += u32(prefixAt(node, slot) < prefix);
  low *= STRIDE;
  const end = min(low + STRIDE - 1, count);
  for (let slot = low; slot < end; slot++) low += u32(prefixAt(node, slot) < prefix);
  return low;
}

/** Compares two keys that have the same prefix. */
// @ts-ignore: decorator
@inline
function compareRest(rest: usize, length: u32, otherRest: usize, otherLength: u32): i32 {
  const least = min(length, otherLength);
  if (least > PREFIX_BYTES) {
    const order = compareBytes(rest, otherRest, least - PREFIX_BYTES);
    if (order != 0) return order;
  }
  return length - otherLength;
}

/** Byte by byte, unsigned, but eight at a time. */
function compareBytes(a: usize, b: usize, bytes: u32): i32 {
  const end = a + (bytes & ~7);
  for (; a < end; a += 8, b += 8) {
    const x = load<u64>(a);
    const y = load<u64>(b);
    if (x != y) return bswap(x) < bswap(y) ? -1 : 1;
  }
  for (let left = bytes & 7; left > 0; left--, a++, b++) {
    const difference = <i32>load<u8>(a) - <i32>load<u8>(b);
    if (difference != 0) return difference;
  }
  return 0;
}

// Entries

/** Puts an entry where it belongs. There is room for it, and its key does not lie in this node. `payload` is a value or a child. */
export function insertEntry(
  node: usize,
  slot: u32,
  prefix: u64,
  rest: usize,
  length: u32,
  payload: u64,
): void {
  const writer = write<NodeWriter>(node);
  const isLeaf = writer.level == 0;
  const record = recordBytes(isLeaf, length);
  const count: u32 = writer.count;
  if (writer.start < slotOffset(count + 1) + record) compact(node);
  const at = slotOffset(slot);
  moveInto(writer, at + SLOT_BYTES, node + at, (count - slot) << SLOT_SHIFT);
  const start = writer.start - record;
  let word: u64 = length;
  if (!isLeaf) word |= payload << 32;
  else if (record == 0) word |= payload << LENGTH_BITS;
  if (record > 0) {
    word |= <u64>start << LENGTH_BITS;
    if (isLeaf) setField<u64>(writer, start, payload);
    moveInto(writer, start + (isLeaf ? VALUE_BYTES : 0), rest, length - PREFIX_BYTES);
  }
  setField<u64>(writer, at, prefix);
  setField<u64>(writer, at + 8, word);
  writer.start = <u16>start;
  writer.count = <u16>(count + 1);
  writer.used += <u16>(SLOT_BYTES + record);
  writer.last = <u16>slot;
}

export function removeEntry(node: usize, slot: u32): void {
  const writer = write<NodeWriter>(node);
  const used = writer.used - entryBytes(writer.level == 0, lengthAt(node, slot));
  const count: u32 = writer.count - 1;
  const at = slotOffset(slot);
  moveInto(writer, at, node + at + SLOT_BYTES, (count - slot) << SLOT_SHIFT);
  writer.count = <u16>count;
  setUsed(writer, used);
}

/** Moves the entries from a slot on behind those of another node of the same level, which has room for them. */
export function moveEntries(from: usize, slot: u32, to: usize): void {
  const source = write<NodeWriter>(from);
  const target = write<NodeWriter>(to);
  const isLeaf = source.level == 0;
  const end: u32 = source.count;
  let bytes: u32 = 0;
  for (let i = slot; i < end; i++) bytes += entryBytes(isLeaf, lengthAt(from, i));
  let at = slotOffset(target.count);
  if (target.start < at + bytes) compact(to);
  moveInto(target, at, from + slotOffset(slot), (end - slot) << SLOT_SHIFT);
  let start: u32 = target.start;
  for (let i = slot; i < end; i++, at += SLOT_BYTES) start = placeRecord(target, at, from, wordAt(from, i), start);
  target.start = <u16>start;
  target.count += <u16>(end - slot);
  target.used += <u16>bytes;
  target.last = <u16>NO_SLOT;
  source.count = <u16>slot;
  source.last = <u16>NO_SLOT;
  setUsed(source, source.used - bytes);
}

/** Moves the records together, so that all that is free lies between them and the slots. */
function compact(node: usize): void {
  const writer = write<NodeWriter>(node);
  copyToScratch(node);
  let start = BLOCK_BYTES;
  const end = slotOffset(writer.count);
  for (let at = slotOffset(0); at < end; at += SLOT_BYTES)
    start = placeRecord(writer, at, PAGE_SCRATCH, load<u64>(PAGE_SCRATCH + at, 8), start);
  writer.start = <u16>start;
}

/** Copies the record of a slot's word, which lies in the block `from`, to below `start`, and puts the word at `at`. Answers with where it begins. */
// @ts-ignore: decorator
@inline
function placeRecord(target: NodeWriter, at: usize, from: usize, word: u64, start: u32): u32 {
  const record = recordBytes(target.level == 0, <u32>(word & LENGTH_MASK));
  if (record == 0) return start;
  start -= record;
  moveInto(target, start, from + recordOf(word), record);
  setField<u64>(target, at + 8, (word & ~(RECORD_MASK << LENGTH_BITS)) | (<u64>start << LENGTH_BITS));
  return start;
}

// @ts-ignore: decorator
@inline
function setUsed(writer: NodeWriter, used: u32): void {
  writer.used = <u16>used;
  if (used == <u32>writer.count << SLOT_SHIFT) writer.start = <u16>BLOCK_BYTES;
}
