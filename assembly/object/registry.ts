/*
 * The registries, one for each kind of thing that has a name: names, 1 to 1024 bytes, to an address and a layout hash.
 *
 * A request lies in the exchange area, laid out like an entry: address, layout hash, and from offset 32 the name, whose
 * length is the parameter. Entries are found through an open-addressed table of (hash u32, entry u32), probed linearly;
 * deleting moves the followers of a slot back, so no slot lies behind an empty one that its hash would have met first. The
 * table is resized from the hashes it has, so that entries are neither read nor dirtied. Entries are linked in
 * order of insertion, and an entry keeps its address for as long as its name exists.
 *
 *   entry   0   address u64, layout hash u64
 *           16  next u32, previous u32
 *           24  hash u32
 *           28  name bytes u16, reserved u16
 *           32  name
 */

import { INVALID_ARGUMENT, isCode, NOT_FOUND, OK } from "../base/codes";
import { EXCHANGE } from "../base/memory-map";
import { copyFromExchange, equalsExchange, get, put, read, Writable, write } from "../block/access";
import { hash } from "../block/hash-blocks";
import { REGISTRY_KINDS, Registry, registryOf, RegistryWriter } from "../block/header";
import { alloc, release } from "../heap/heap";

export const NAME_BYTES_MAX: u32 = 1024;
export const ENTRY_NAME: u32 = 32;

/** Entries have this alignment, so that their fields do not straddle blocks. */
const ENTRY_ALIGN: u32 = 64;
const SLOT_SHIFT: u32 = 3;
const SLOTS_MIN: u32 = 16;

@unmanaged
class Entry {
  readonly address: u64;
  readonly layout: u64;
  readonly next: usize;
  readonly previous: usize;
  readonly hash: u32;
  readonly nameBytes: u16;
  readonly reserved: u16;
}

@unmanaged
class EntryWriter extends Writable {
  address: u64;
  layout: u64;
  next: usize;
  previous: usize;
  hash: u32;
  nameBytes: u16;
  reserved: u16;
}

if (
  offsetof<Entry>() != ENTRY_NAME ||
  offsetof<EntryWriter>() != ENTRY_NAME ||
  offsetof<Entry>("hash") != 24 ||
  offsetof<EntryWriter>("hash") != 24
)
  ERROR("an entry is not as drawn");

/** The entry of a name, or 0. */
export function registryFind(kind: u32, nameBytes: u32): usize {
  if (!isRequest(kind, nameBytes)) return 0;
  const registry = registryOf(kind);
  return read<Registry>(registry).table == 0 ? 0 : entryIn(find(registry, nameHash(nameBytes), nameBytes));
}

/** Binds a name to the address and layout hash of the request. */
export function registrySet(kind: u32, nameBytes: u32): u32 {
  if (!isRequest(kind, nameBytes)) return INVALID_ARGUMENT;
  let entry = registryFind(kind, nameBytes);
  if (entry == 0) {
    entry = insert(registryOf(kind), nameBytes);
    if (isCode(entry)) return <u32>entry;
  }
  const writer = write<EntryWriter>(entry);
  writer.address = load<u64>(EXCHANGE);
  writer.layout = load<u64>(EXCHANGE, 8);
  return OK;
}

export function registryDelete(kind: u32, nameBytes: u32): u32 {
  const entry = registryFind(kind, nameBytes);
  if (entry == 0) return NOT_FOUND;
  const registry = registryOf(kind);
  const writer = write<RegistryWriter>(registry);
  closeGap(registry, find(registry, read<Entry>(entry).hash, nameBytes));
  unlink(registry, entry);
  writer.count -= 1;
  const code = release(entry);
  assert(code == OK);
  const slots = writer.slots;
  if (slots > SLOTS_MIN && writer.count < slots / 8) resize(registry, slots / 2);
  return OK;
}

/** The entry inserted after this one, or the first one for 0; 0 at the end. */
export function registryNext(kind: u32, entry: usize): usize {
  if (entry != 0) return read<Entry>(entry).next;
  return kind < REGISTRY_KINDS ? read<Registry>(registryOf(kind)).first : 0;
}

export function registryCount(kind: u32): u32 {
  return kind < REGISTRY_KINDS ? read<Registry>(registryOf(kind)).count : 0;
}

function isRequest(kind: u32, nameBytes: u32): bool {
  return kind < REGISTRY_KINDS && nameBytes - 1 < NAME_BYTES_MAX;
}

function insert(registry: usize, nameBytes: u32): usize {
  const header = read<Registry>(registry);
  const slots = header.slots;
  if ((header.count + 1) * 4 > slots * 3) {
    const code = resize(registry, slots == 0 ? SLOTS_MIN : slots * 2);
    if (code != OK) return code;
  }
  const entry = alloc(ENTRY_NAME + nameBytes, ENTRY_ALIGN, true);
  if (isCode(entry)) return entry;
  const writer = write<EntryWriter>(entry);
  writer.hash = nameHash(nameBytes);
  writer.nameBytes = <u16>nameBytes;
  copyFromExchange(ENTRY_NAME, entry + ENTRY_NAME, nameBytes);
  const slot = find(registry, writer.hash, nameBytes);
  put<u32>(slot, writer.hash);
  put<usize>(slot + 4, entry);
  link(registry, entry);
  write<RegistryWriter>(registry).count = header.count + 1;
  return entry;
}

// Order of insertion

function link(registry: usize, entry: usize): void {
  const writer = write<RegistryWriter>(registry);
  const last = writer.last;
  write<EntryWriter>(entry).previous = last;
  if (last != 0) write<EntryWriter>(last).next = entry;
  else writer.first = entry;
  writer.last = entry;
}

function unlink(registry: usize, entry: usize): void {
  const writer = write<RegistryWriter>(registry);
  const reader = read<Entry>(entry);
  if (reader.next != 0) write<EntryWriter>(reader.next).previous = reader.previous;
  else writer.last = reader.previous;
  if (reader.previous != 0) write<EntryWriter>(reader.previous).next = reader.next;
  else writer.first = reader.next;
}

// The table

function nameHash(nameBytes: u32): u32 {
  return <u32>hash(EXCHANGE + ENTRY_NAME, nameBytes);
}

// @ts-ignore: decorator
@inline
function entryIn(slot: usize): usize {
  return get<usize>(slot + 4);
}

/** The slot of the name in the request, or the empty one where it belongs. */
function find(registry: usize, hash: u32, nameBytes: u32): usize {
  const header = read<Registry>(registry);
  const table = header.table;
  const mask = header.slots - 1;
  let slot = table + ((hash & mask) << SLOT_SHIFT);
  let index = hash;
  while (true) {
    const entry = entryIn(slot);
    if (entry == 0 || (get<u32>(slot) == hash && isNamed(entry, nameBytes))) return slot;
    index++;
    slot = table + ((index & mask) << SLOT_SHIFT);
  }
}

function isNamed(entry: usize, nameBytes: u32): bool {
  if (read<Entry>(entry).nameBytes != nameBytes) return false;
  return equalsExchange(ENTRY_NAME, entry + ENTRY_NAME, nameBytes);
}

/** Empties a slot, and moves back every follower that would not be met any more. */
function closeGap(registry: usize, gap: usize): void {
  const header = read<Registry>(registry);
  const table = header.table;
  const mask = header.slots - 1;
  let hole = <u32>(gap - table) >> SLOT_SHIFT;
  for (let index = (hole + 1) & mask; ; index = (index + 1) & mask) {
    const slot = table + (index << SLOT_SHIFT);
    if (entryIn(slot) == 0) break;
    const distance = (index - get<u32>(slot)) & mask; // from where its hash would have it
    if (distance < ((index - hole) & mask)) continue;
    moveSlot(slot, table + (hole << SLOT_SHIFT));
    hole = index;
  }
  put<u64>(table + (hole << SLOT_SHIFT), 0);
}

// @ts-ignore: decorator
@inline
function moveSlot(from: usize, to: usize): void {
  put<u64>(to, get<u64>(from));
}

/** Another table for the same entries. When there is no memory for it, nothing changes. */
function resize(registry: usize, slots: u32): u32 {
  const table = alloc(slots << SLOT_SHIFT, 8, true);
  if (isCode(table)) return <u32>table;
  const header = read<Registry>(registry);
  const old = header.table;
  const oldEnd = old + (header.slots << SLOT_SHIFT);
  for (let slot: usize = old; slot < oldEnd; slot += 1 << SLOT_SHIFT) {
    if (entryIn(slot) == 0) continue;
    let index = get<u32>(slot) & (slots - 1);
    while (entryIn(table + (index << SLOT_SHIFT)) != 0) index = (index + 1) & (slots - 1);
    moveSlot(slot, table + (index << SLOT_SHIFT));
  }
  const writer = write<RegistryWriter>(registry);
  writer.table = table;
  writer.slots = slots;
  return old == 0 ? OK : release(old);
}
