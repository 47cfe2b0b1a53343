/*
 * The numbers of the ternary machine, which both sides of the border use.
 */

/** Trytes of a base page and of a frame: 3⁶. */
export const PAGE_TRYTES: u32 = 729;
/** Of a large page, three aligned base pages: 3⁷. */
export const LARGE_PAGE_TRYTES: u32 = 2187;
/** Of a page table, and values of nine trits: 3⁹. */
export const TABLE_ENTRIES: u32 = 19683;
/** The greatest tryte, six trits: (3⁶ − 1) / 2. */
export const TRYTE_MAX: i16 = 364;
