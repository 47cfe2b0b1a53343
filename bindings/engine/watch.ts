import { BLOCK_BYTES } from "../core.js";

/** A range of linear memory through which a program reads or writes unseen. */
export interface Watch {
  readonly address: number;
  readonly bytes: number;
  readonly writable: boolean;
  /** The memory behind it is gone. */
  lost(): void;
}

/** First and last block of its range; one of no bytes has the block that it points into. */
export function blocksOf({ address, bytes }: Watch): [first: number, last: number] {
  return [Math.floor(address / BLOCK_BYTES), Math.floor((address + Math.max(bytes, 1) - 1) / BLOCK_BYTES)];
}
