/**
 * The 40 bytes that superblocks, segment headers and the forwarding slot begin with, and the digest in them. The digest covers
 * its own field as zero: it is put aside, the bytes are hashed where they are, and it is put back, so nothing is copied.
 */
import { viewOf } from "../base/bytes.js";
import type { Hasher } from "../hash/hasher.js";
import { FORMAT_MAJOR, FORMAT_MINOR, Kind, SLOT_BYTES, UUID_BYTES } from "./constants.js";
import { type Decoded, damaged, decoded, type Failure } from "./decoded.js";
import { PREAMBLE } from "./schema.js";

const { major, minor, kind, digest, uuid } = PREAMBLE.fields;

/** `\x89PERDURE` as two little-endian words. */
const MAGIC_LOW = 0x52455089;
const MAGIC_HIGH = 0x45525544;

const foreign: Failure = Object.freeze({
  ok: false,
  reason: "foreign",
  message: "does not begin with the magic of a state file",
});

const kindNames: Record<number, string> = {
  [Kind.Superblock]: "a superblock",
  [Kind.Segment]: "a segment header",
  [Kind.Forwarding]: "a forwarding slot",
};

/** The digest that was put aside. */
const aside = new DataView(new ArrayBuffer(8));

export function hasMagic(view: DataView): boolean {
  return (
    view.byteLength >= 8 && view.getUint32(0, true) === MAGIC_LOW && view.getUint32(4, true) === MAGIC_HIGH
  );
}

/** Everything but the digest, which `sealDigest` fills in last. */
export function writePreamble(bytes: Uint8Array, view: DataView, ofKind: Kind, fileUuid: Uint8Array): void {
  if (fileUuid.length !== UUID_BYTES) throw new RangeError(`a uuid of ${fileUuid.length} bytes`);
  view.setUint32(0, MAGIC_LOW, true);
  view.setUint32(4, MAGIC_HIGH, true);
  view.setUint16(major.offset, FORMAT_MAJOR, true);
  view.setUint16(minor.offset, FORMAT_MINOR, true);
  view.setUint32(kind.offset, ofKind, true);
  bytes.set(fileUuid, uuid.offset);
}

/** Null when `view`, a whole first slot, begins with a preamble of this kind that this version can read. */
export function checkPreamble(view: DataView, expected: Kind): Failure | null {
  if (!hasMagic(view)) return foreign;
  if (view.byteLength < SLOT_BYTES) return damaged(`only ${view.byteLength} bytes of 4096`);
  const found = view.getUint16(major.offset, true);
  if (found > FORMAT_MAJOR) return newer(view);
  if (found !== FORMAT_MAJOR) return damaged(`major version ${found}`);
  const foundKind = view.getUint32(kind.offset, true);
  if (foundKind === expected) return null;
  return damaged(`${kindNames[foundKind] ?? `kind ${foundKind}`} instead of ${kindNames[expected]}`);
}

function newer(view: DataView): Failure {
  const version = `${view.getUint16(major.offset, true)}.${view.getUint16(minor.offset, true)}`;
  const message = `format ${version} is newer than ${FORMAT_MAJOR}.${FORMAT_MINOR}, the newest this version can read`;
  return { ok: false, reason: "version", message };
}

/** Computes the digest of `bytes` into its field. */
export function sealDigest(bytes: Uint8Array, view: DataView, hasher: Hasher): bigint {
  view.setBigUint64(digest.offset, 0n, true);
  hasher.digest(bytes, view, digest.offset);
  return view.getBigUint64(digest.offset, true);
}

/** Whether the digest is that of `bytes`, which are the same before and after. */
export function verifyDigest(bytes: Uint8Array, view: DataView, hasher: Hasher): boolean {
  const low = view.getUint32(digest.offset, true);
  const high = view.getUint32(digest.offset + 4, true);
  aside.setUint32(0, low, true);
  aside.setUint32(4, high, true);
  view.setBigUint64(digest.offset, 0n, true);
  try {
    return hasher.matches(bytes, aside, 0);
  } finally {
    view.setUint32(digest.offset, low, true);
    view.setUint32(digest.offset + 4, high, true);
  }
}

/** The view of a structure of exactly one slot whose preamble and digest are right. */
export function openSlot(bytes: Uint8Array, expected: Kind, hasher: Hasher): Decoded<DataView> {
  const slot = bytes.length > SLOT_BYTES ? bytes.subarray(0, SLOT_BYTES) : bytes;
  const view = viewOf(slot);
  const failure = checkPreamble(view, expected);
  if (failure !== null && failure.reason !== "version") return failure;
  // Only a digest that verifies tells a later format from flipped bits; its place is the same in every format.
  if (!verifyDigest(slot, view, hasher)) return damaged("its digest does not verify");
  return failure ?? decoded(view);
}
