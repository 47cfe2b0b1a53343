/** The fixed numbers of the state file, docs/FORMAT.md. Changing one makes another format. */

export const FORMAT_MAJOR = 1;
export const FORMAT_MINOR = 0;

export const SLOT_BYTES = 4096;
/** Superblocks lie in slots 0 and 1; slot 2 says whether the file is still the state; the rest is data. */
export const FORWARDING_SLOT = 2;
export const FIRST_SLOT = 3;

/** Log runs that one superblock or record names. */
export const MAX_RUNS = 256;
/** Blocks of the image, and slots of the file: what lies at or above is refused. */
export const MAX_BLOCK = 2 ** 40;
export const MAX_FILE_SLOTS = 2 ** 48;

/** Generations, sequences and writer numbers above this are refused by writers: counting on from here never reaches 2⁵³. */
export const MAX_NUMBER = 2 ** 53 - 2 ** 48;

export const NODE_ENTRIES = 256;
export const NODE_ENTRY_BYTES = 16;
export const MAX_HEIGHT = 5;

/** Slots that one page of the free map describes, and the bytes of each of its two planes. */
export const FREE_PAGE_SLOTS = 16384;
export const PLANE_BYTES = FREE_PAGE_SLOTS / 8;

/** Where the body begins in a segment header, and what of it the first slot holds. */
export const HEADER_BODY_OFFSET = 128;
export const FIRST_SLOT_BODY_BYTES = SLOT_BYTES - HEADER_BODY_OFFSET;
/** One changed block in the header of a commit. */
export const ENTRY_BYTES = 24;

export const MAX_SNAPSHOT_NAME_BYTES = 1024;
export const UUID_BYTES = 16;

/** The third word of the preamble. */
export enum Kind {
  Superblock = 1,
  Segment = 2,
  Forwarding = 3,
}
