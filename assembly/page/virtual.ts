/*
 * Virtual addresses: numbers from JavaScript, cut into pages of 729 trytes.
 *
 * Inside, an address is a position, 0 … 3³³ − 1: trytes from the first one of the lowest page on; and a page is its index, 0 …
 * 3²⁷ − 1, in ascending order of addresses. So the index is the page's number, ⌊address / 729⌋, plus (3²⁷ − 1) / 2, and its
 * digits in base 19,683 are the three balanced groups of nine trits, each plus 9841. The lower half of the indices is the kernel's.
 */

import { PAGE_TRYTES, TABLE_ENTRIES } from "../trit/constants";

/** 3²⁷. */
export const PAGES: u64 = 7625597484987;
/** The page that begins with address 0. */
export const FIRST_USER_PAGE: u64 = (PAGES - 1) / 2;
/** What `positionOf` answers for what is no address. */
export const NO_POSITION: u64 = -1;
/** Pages of a large page. */
export const LARGE_PAGES: u64 = 3;

/** 1.5 × 2⁵². */
const SHIFTER: f64 = 6755399441055744;
const SHIFTER_EXPONENT: u64 = 0x433;
const LOWEST_ADDRESS: i64 = -(<i64>FIRST_USER_PAGE * PAGE_TRYTES);
const POSITIONS: u64 = PAGES * PAGE_TRYTES;

/** The position of an address: a whole number, in a page with a number of 27 trits. */
export function positionOf(address: f64): u64 {
  const whole = <i64>address;
  const position = <u64>(whole - LOWEST_ADDRESS);
  return <f64>whole == address && position < POSITIONS ? position : NO_POSITION;
}

// The conversion of a float costs more than all the rest of an access. But when 1.5 × 2⁵² is added to a whole number from −2⁵¹ to 2⁵¹ − 1, the sum lies between
// 2⁵² and 2⁵³, where floats are whole numbers and their low bits count; subtracting it again shows whether it was one.

/** What makes the position of a usual address. */
// @ts-ignore: decorator
@inline
export function sumOf(address: f64): f64 {
  return address + SHIFTER;
}

/** Whether an address is a whole number of that kind: all that are addresses, but for those at both ends and for −0. */
// @ts-ignore: decorator
@inline
export function isUsual(address: f64, sum: f64): bool {
  const exponent = reinterpret<u64>(sum) >> 52;
  const difference = reinterpret<u64>(sum - SHIFTER) ^ reinterpret<u64>(address);
  return ((exponent ^ SHIFTER_EXPONENT) | difference) == 0;
}

// @ts-ignore: decorator
@inline
export function usualPosition(sum: f64): u64 {
  return reinterpret<u64>(sum) - (reinterpret<u64>(SHIFTER) + LOWEST_ADDRESS);
}

// @ts-ignore: decorator
@inline
export function pageOf(position: u64): u64 {
  return position / PAGE_TRYTES;
}

/** Trytes from the beginning of its page on. */
// @ts-ignore: decorator
@inline
export function offsetIn(page: u64, position: u64): u32 {
  return <u32>(position - page * PAGE_TRYTES);
}

// @ts-ignore: decorator
@inline
export function isPageStart(position: u64): bool {
  return position % PAGE_TRYTES == 0;
}

/** Where the large page begins that a page may be part of: its number is divisible by 3. */
// @ts-ignore: decorator
@inline
export function largeStartOf(page: u64): u64 {
  return page - (page + 2) % LARGE_PAGES;
}

// @ts-ignore: decorator
@inline
export function isKernelPage(page: u64): bool {
  return page < FIRST_USER_PAGE;
}

// Indices into the tables of the three levels

/** The number that the indices of the levels 3 and 2 make up. */
// @ts-ignore: decorator
@inline
export function upperOf(page: u64): u32 {
  return <u32>(page / TABLE_ENTRIES);
}

// @ts-ignore: decorator
@inline
export function index3(upper: u32): u32 {
  return upper / TABLE_ENTRIES;
}

// @ts-ignore: decorator
@inline
export function index2(upper: u32): u32 {
  return upper % TABLE_ENTRIES;
}

// @ts-ignore: decorator
@inline
export function index1(page: u64): u32 {
  return <u32>(page % TABLE_ENTRIES);
}

if (
  (<u64>TABLE_ENTRIES * TABLE_ENTRIES) * TABLE_ENTRIES != PAGES ||
  FIRST_USER_PAGE % LARGE_PAGES != 1 ||
  LOWEST_ADDRESS != -2779530283277397
)
  ERROR("virtual addresses are not as described");
