/** The options of `open`, and what they must be. */
import { PerdureError } from "../base/errors.js";
import type { Storage } from "../storage/storage.js";

export type Durability = "flush" | "none";

export interface OpenOptions {
  /** Create the file when there is none (default); false: NOT_FOUND. */
  create?: boolean;
  /** Takes no lock and changes nothing; shows one commit until `refresh()`. */
  readOnly?: boolean;
  /** What `commit()` waits for by default: "flush" (the default), the device; "none", the operating system. */
  durability?: Durability;
  /** Commit at the end of the turn that wrote, and flush in the background. Default true. */
  autoCommit?: boolean;
  /** Bytes of the heap to reserve room for, so that views never stand in the way of growth. Default 256 MiB; costs no memory until used. */
  reserve?: number;
  /** The most bytes that the heap may have; beyond it OUT_OF_MEMORY. Default: all of linear memory, 3.69 GiB. */
  maxBytes?: number;
  /** Resident bound of high memory. Default 32 MiB. */
  windowBytes?: number;
  /** Take the writer's place although its owner is not proven dead. Safe even when it lives: it is shut out, never shared with. */
  takeover?: boolean;
  /** Every access must lie inside one live block. Finds use after release and overruns; several times slower. */
  checks?: boolean;
  /** Where the state is kept instead of a file; nobody else can open it meanwhile. */
  storage?: Storage;
  signal?: AbortSignal;
}

export interface Settings {
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly durability: Durability;
  readonly autoCommit: boolean;
  readonly reserve: number;
  readonly maxBytes: number;
  readonly windowBytes: number;
  readonly takeover: boolean;
  readonly checks: boolean;
}

const DEFAULT_RESERVE = 256 * 2 ** 20;
const DEFAULT_WINDOW_BYTES = 32 * 2 ** 20;

/** INVALID_ARGUMENT names the option that is not what it may be. */
export function settingsOf(options: OpenOptions): Settings {
  return {
    create: flag(options, "create", true),
    readOnly: flag(options, "readOnly", false),
    durability: durabilityOf(options.durability, "flush"),
    autoCommit: flag(options, "autoCommit", true),
    reserve: byteCount(options, "reserve", DEFAULT_RESERVE),
    maxBytes: byteCount(options, "maxBytes", 0),
    windowBytes: byteCount(options, "windowBytes", DEFAULT_WINDOW_BYTES),
    takeover: flag(options, "takeover", false),
    checks: flag(options, "checks", false),
  };
}

export function durabilityOf(value: unknown, otherwise: Durability): Durability {
  if (value === undefined) return otherwise;
  if (value === "flush" || value === "none") return value;
  throw new PerdureError("INVALID_ARGUMENT", `durability is "flush" or "none", not ${JSON.stringify(value)}`);
}

function flag(options: OpenOptions, name: keyof OpenOptions, otherwise: boolean): boolean {
  const value = options[name];
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return value;
  throw new PerdureError("INVALID_ARGUMENT", `the option ${name} is true or false`);
}

function byteCount(options: OpenOptions, name: keyof OpenOptions, otherwise: number): number {
  const value = options[name];
  if (value === undefined) return otherwise;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new PerdureError("INVALID_ARGUMENT", `the option ${name} is a number of bytes`);
}
