// The books of child-vault.ts: half of the accounts are u64 in blocks of memory, half in a region of high memory.

import type { Memory, Ptr, Region } from "../../bindings/index.js";

export const ACCOUNTS = 4000;
const OPENING_BALANCE = 1000n;
const PER_BLOCK = 100;
const HALF = ACCOUNTS / 2;
/** Accounts in the region lie this far apart, so that they are in many clusters. */
const STRIDE = 400;

export interface Vault {
  readonly memory: Memory;
  readonly blocks: readonly Ptr[];
  readonly region: Region;
  transfers: number;
}

/** Finds the vault, or founds it. */
export function openVault(memory: Memory): Vault {
  const directory = memory.root("vault", () => {
    const made = memory.alloc(8 * (1 + HALF / PER_BLOCK));
    for (let i = 0; i < HALF / PER_BLOCK; i++) {
      const block = memory.alloc(8 * PER_BLOCK);
      for (let j = 0; j < PER_BLOCK; j++) block.add(8 * j).u64 = OPENING_BALANCE;
      made.add(8 * (i + 1)).ref = block;
    }
    const region = memory.region("vault", HALF * STRIDE);
    for (let i = 0; i < HALF; i++) region.setU64(i * STRIDE, OPENING_BALANCE);
    return made;
  });
  const blocks = Array.from({ length: HALF / PER_BLOCK }, (_, i) => directory.add(8 * (i + 1)).ref!);
  return {
    memory,
    blocks,
    region: memory.region("vault"),
    get transfers() {
      return Number(directory.u64);
    },
    set transfers(count) {
      directory.u64 = BigInt(count);
    },
  };
}

export function move(vault: Vault, from: number, to: number, amount: number): void {
  put(vault, from, balance(vault, from) - BigInt(amount));
  put(vault, to, balance(vault, to) + BigInt(amount));
}

/** What the sum of all accounts is too much. */
export function vaultError(vault: Vault): bigint {
  let sum = 0n;
  for (let account = 0; account < ACCOUNTS; account++) sum += balance(vault, account);
  return BigInt.asIntN(64, sum - BigInt(ACCOUNTS) * OPENING_BALANCE);
}

const place = ({ blocks }: Vault, account: number): Ptr =>
  blocks[Math.floor(account / PER_BLOCK)]!.add(8 * (account % PER_BLOCK));

function balance(vault: Vault, account: number): bigint {
  return account < HALF ? place(vault, account).u64 : vault.region.getU64((account - HALF) * STRIDE);
}

function put(vault: Vault, account: number, value: bigint): void {
  if (account < HALF) place(vault, account).u64 = value;
  else vault.region.setU64((account - HALF) * STRIDE, value);
}
