// The books of child-bank.ts, for whoever reads them.

import { BLOCK_BYTES } from "./child-model.js";

export const ACCOUNT_BLOCKS = 60;
export const ACCOUNTS_PER_BLOCK = BLOCK_BYTES / 8;
export const OPENING_BALANCE = 1000;

const RIGHT_SUM = ACCOUNT_BLOCKS * ACCOUNTS_PER_BLOCK * OPENING_BALANCE;

export interface Bank {
  bytes: Uint8Array;
  /** The number of transfers, zeros up to the end of block 0, then the accounts. */
  balances: Float64Array;
  transfers: number;
  /** What the sum of all accounts is too much. */
  error: number;
}

export function readBank(handle: { read(block: number, count: number, into: Uint8Array): void }): Bank {
  const bytes = new Uint8Array((1 + ACCOUNT_BLOCKS) * BLOCK_BYTES);
  handle.read(0, 1 + ACCOUNT_BLOCKS, bytes);
  const balances = new Float64Array(bytes.buffer);
  const sum = balances.subarray(ACCOUNTS_PER_BLOCK).reduce((left, right) => left + right, 0);
  return { bytes, balances, transfers: balances[0], error: sum - RIGHT_SUM };
}
