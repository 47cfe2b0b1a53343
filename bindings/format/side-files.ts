/**
 * The small files beside a state file: who writes it, who reads it, and what is not the state yet. FORMAT.md §8.
 *
 * Records are JSON, so that people can read them, and decoding is tolerant: what is not a record is null, never an error,
 * and unknown properties are ignored. A process describes itself as well as its platform lets it: what it does not know is null,
 * and null proves nothing, so such a process counts as alive.
 */
import { SLOT_BYTES } from "./constants.js";

/** What tells one process from all others, as long as its machine is not reinstalled. */
export interface ProcessIdentity {
  machine: string | null;
  /** Drawn by the system when it booted. */
  boot: string | null;
  /** Within which `pid` means something. */
  pidNamespace: string | null;
  pid: number;
  /** As the system tells it; equal means the same start. */
  startTime: string | null;
  /** True when `boot` is the kernel's own and the file lies on a file system that only its machine can mount. */
  local?: boolean;
}

/** Content of `name.lock-<n>`. */
export interface LockRecord {
  /** The n of the name. */
  writer: number;
  nonce: string;
  process: ProcessIdentity;
}

/** Content of `name.pin-<nonce>`. */
export interface PinRecord {
  /** The slot that the reader reads from, for `decodeSuperblock`. */
  superblock: Uint8Array;
  /** The commit that the reader sees. */
  commit: number;
  /** The snapshot that it reads, or null. */
  snapshot: string | null;
  process: ProcessIdentity;
}

/** Longer than any record; what is longer is not read. */
export const MAX_RECORD_BYTES = 65536;

export function encodeLock({ writer, nonce, process }: LockRecord): Uint8Array {
  return encodeJson({ writer, nonce, process: identityFields(process) });
}

export function decodeLock(bytes: Uint8Array): LockRecord | null {
  const json = decodeJson(bytes);
  const process = decodeIdentity(json?.process);
  if (json === null || process === null) return null;
  const { writer, nonce } = json;
  return isCount(writer) && typeof nonce === "string" ? { writer, nonce, process } : null;
}

export function encodePin({ superblock, commit, snapshot, process }: PinRecord): Uint8Array {
  if (superblock.length !== SLOT_BYTES) throw new RangeError(`a superblock of ${superblock.length} bytes`);
  const json = encodeJson({ commit, snapshot, process: identityFields(process) });
  const bytes = new Uint8Array(SLOT_BYTES + json.length);
  bytes.set(superblock);
  bytes.set(json, SLOT_BYTES);
  return bytes;
}

export function decodePin(bytes: Uint8Array): PinRecord | null {
  if (bytes.length < SLOT_BYTES) return null;
  const json = decodeJson(bytes.subarray(SLOT_BYTES));
  const process = decodeIdentity(json?.process);
  if (json === null || process === null) return null;
  const { commit, snapshot } = json;
  if (!isCount(commit) || !isTextOrNull(snapshot)) return null;
  return { superblock: bytes.slice(0, SLOT_BYTES), commit, snapshot, process };
}

/** The lock of writer `n`. */
export function lockName(name: string, n: number): string {
  return `${name}.lock-${n}`;
}

export function pinName(name: string, nonce: string): string {
  return `${name}.pin-${nonce}`;
}

/** A state file being made. */
export function newName(name: string, nonce: string): string {
  return `${name}.new-${nonce}`;
}

/** A record before it is linked to its name. */
export function temporaryName(name: string, nonce: string): string {
  return `${name}.tmp-${nonce}`;
}

/** The n of a lock of `name`; null when `file` is not one. */
export function parseLockName(name: string, file: string): number | null {
  const digits = suffix(lockName(name, 0).slice(0, -1), file);
  if (digits === null || !/^(?:0|[1-9]\d{0,15})$/.test(digits)) return null;
  const n = Number(digits);
  return Number.isSafeInteger(n) ? n : null;
}

/** The nonce of a pin of `name`; null when `file` is not one. */
export function parsePinName(name: string, file: string): string | null {
  return nonceAfter(pinName(name, ""), file);
}

/** The nonce of a state file being made for `name`; null when `file` is not one. */
export function parseNewName(name: string, file: string): string | null {
  return nonceAfter(newName(name, ""), file);
}

/** The nonce of a record of `name` that has no name yet; null when `file` is not one. */
export function parseTemporaryName(name: string, file: string): string | null {
  return nonceAfter(temporaryName(name, ""), file);
}

function suffix(prefix: string, file: string): string | null {
  return file.startsWith(prefix) ? file.slice(prefix.length) : null;
}

function nonceAfter(prefix: string, file: string): string | null {
  const nonce = suffix(prefix, file);
  return nonce !== null && /^[0-9a-f]{32}$/.test(nonce) ? nonce : null;
}

function identityFields(identity: ProcessIdentity): ProcessIdentity {
  const { machine, boot, pidNamespace, pid, startTime, local } = identity;
  const fields = { machine, boot, pidNamespace, pid, startTime };
  return local === true ? { ...fields, local } : fields;
}

function decodeIdentity(json: unknown): ProcessIdentity | null {
  if (!isObject(json)) return null;
  const { machine, boot, pidNamespace, pid, startTime } = json;
  if (!isTextOrNull(machine) || !isTextOrNull(boot) || !isTextOrNull(pidNamespace)) return null;
  if (!isCount(pid) || !isTextOrNull(startTime)) return null;
  return identityFields({ machine, boot, pidNamespace, pid, startTime, local: json.local === true });
}

function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

function decodeJson(bytes: Uint8Array): Record<string, unknown> | null {
  if (bytes.length > MAX_RECORD_BYTES) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === "string";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
