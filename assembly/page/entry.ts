/*
 * What one entry of a page table says, as a number. Nothing here knows where entries lie.
 *
 *   bits 0 … 11   six trits, two bits each, the trit plus one: present, writable, user, accessed, dirty, global
 *       12 … 45   the frame; in tables of the levels 3 and 2 the block of the table below, so that its address needs no shift
 *       46        large: one of three pages that are one
 *
 *             −                   0                            +
 *   present   nothing             promised                     mapped
 *   writable  read, execute       read                         read, write
 *   user      kernel modes        supervisor as well           all modes
 *   accessed, dirty: marks.ts has them; zeros in tables
 *   global    of this space       shared by a fork, to be      in every space
 *                                 copied when it is written
 *
 * Zeros are nothing. What is only promised has no entry either, so every entry that is not zero is mapped.
 */

import { BLOCK_SHIFT } from "../base/memory-map";

// Trits, as they are stored.
export const MINUS: u32 = 0;
export const ZERO: u32 = 1;
export const PLUS: u32 = 2;

const PRESENT: u64 = 0;
const WRITABLE: u64 = 2;
const USER: u64 = 4;
const ACCESSED: u64 = 6;
const DIRTY: u64 = 8;
const GLOBAL: u64 = 10;
const FRAME: u64 = 12;
const LARGE: u64 = 46;

const MAPPED: u64 = <u64>PLUS << PRESENT;
const FRAME_MASK: u64 = (1 << (LARGE - FRAME)) - 1;

if (FRAME != <u64>BLOCK_SHIFT || FRAME_MASK < 5230176601) ERROR("an entry is not as drawn");

// Modes, most to least privileged.
export const HYPERVISOR: u32 = 0;
export const KERNEL: u32 = 1;
export const USER_MODE: u32 = 3;

// What an access is for.
export const READ: u32 = 0;
export const WRITE: u32 = 1;
export const EXECUTE: u32 = 2;

/** The entry of a page. */
// @ts-ignore: decorator
@inline
export function pageEntry(frame: u64, writable: u32, user: u32, global: u32, large: bool): u64 {
  return (
    MAPPED |
    (<u64>writable << WRITABLE) |
    (<u64>user << USER) |
    (<u64>global << GLOBAL) |
    (frame << FRAME) |
    (<u64>large << LARGE)
  );
}

/** The entry of a table below. */
// @ts-ignore: decorator
@inline
export function tableEntry(table: usize): u64 {
  return MAPPED | table;
}

/** The table that an entry of a level above 1 leads to; 0 for none. */
// @ts-ignore: decorator
@inline
export function tableOf(entry: u64): usize {
  return <usize>entry & ~((1 << BLOCK_SHIFT) - 1);
}

// @ts-ignore: decorator
@inline
export function frameOf(entry: u64): u64 {
  return (entry >> FRAME) & FRAME_MASK;
}

// @ts-ignore: decorator
@inline
export function writableOf(entry: u64): u32 {
  return tritAt(entry, WRITABLE);
}

// @ts-ignore: decorator
@inline
export function userOf(entry: u64): u32 {
  return tritAt(entry, USER);
}

// @ts-ignore: decorator
@inline
export function globalOf(entry: u64): u32 {
  return tritAt(entry, GLOBAL);
}

// @ts-ignore: decorator
@inline
export function isLarge(entry: u64): bool {
  return ((entry >> LARGE) & 1) != 0;
}

// @ts-ignore: decorator
@inline
export function withWritable(entry: u64, writable: u32): u64 {
  return withTrit(entry, WRITABLE, writable);
}

// @ts-ignore: decorator
@inline
export function withGlobal(entry: u64, global: u32): u64 {
  return withTrit(entry, GLOBAL, global);
}

// @ts-ignore: decorator
@inline
export function withFrame(entry: u64, frame: u64): u64 {
  return (entry & ~(FRAME_MASK << FRAME)) | (frame << FRAME);
}

// @ts-ignore: decorator
@inline
export function asSmall(entry: u64): u64 {
  return entry & ~(<u64>1 << LARGE);
}

/** The same with the two trits that are not kept in tables, for who asks. */
// @ts-ignore: decorator
@inline
export function withMarks(entry: u64, accessed: u32, dirty: u32): u64 {
  return withTrit(withTrit(entry, ACCESSED, accessed), DIRTY, dirty);
}

/** What is said of a page that is promised. */
// @ts-ignore: decorator
@inline
export function promisedEntry(writable: u32, user: u32): u64 {
  return withTrit(pageEntry(0, writable, user, MINUS, false), PRESENT, ZERO);
}

/** Whether a mode may use such pages at all. */
// @ts-ignore: decorator
@inline
export function isOpenTo(user: u32, mode: u32): bool {
  return mode <= user + KERNEL;
}

/** Whether a mode may access such pages so. */
// @ts-ignore: decorator
@inline
export function isAllowed(writable: u32, user: u32, mode: u32, access: u32): bool {
  if (mode == HYPERVISOR) return true;
  if (!isOpenTo(user, mode)) return false;
  return access == READ || writable == (access == WRITE ? PLUS : MINUS);
}

// @ts-ignore: decorator
@inline
function tritAt(entry: u64, shift: u64): u32 {
  return <u32>(entry >> shift) & 3;
}

// @ts-ignore: decorator
@inline
function withTrit(entry: u64, shift: u64, trit: u32): u64 {
  return (entry & ~(<u64>3 << shift)) | (<u64>trit << shift);
}
