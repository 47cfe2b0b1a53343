/** Virtual addresses as programs give them. */
import type { TernaryAddress } from "../../trit/address.js";

/** In trytes. */
export type VirtualAddress = number | TernaryAddress;

export function toNumber(address: VirtualAddress): number {
  return typeof address === "number" ? address : integerOf(address);
}

/** NaN, which is no address, for what has none. */
function integerOf(address: { toInteger?(): number } | null | undefined): number {
  return typeof address?.toInteger === "function" ? address.toInteger() : Number.NaN;
}
