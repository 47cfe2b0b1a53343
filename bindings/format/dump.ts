/**
 * The annotated dump: a slot, or all slots of a header, as lines that say what each byte means, from the same schemas that encode
 * and decode. For people who look into a file that may be damaged, so it takes any bytes: what is wrong is shown and marked, and
 * nothing is thrown. What is in the bytes is printed as it is told, so names and texts are escaped.
 */
import { isZero, readU64, u64Text, viewOf } from "../base/bytes.js";
import type { Hasher } from "../hash/hasher.js";
import {
  ENTRY_BYTES,
  FORMAT_MAJOR,
  FREE_PAGE_SLOTS,
  HEADER_BODY_OFFSET,
  Kind,
  MAX_RUNS,
  NODE_ENTRIES,
  NODE_ENTRY_BYTES,
  SLOT_BYTES,
} from "./constants.js";
import { decodeDirectory } from "./directory.js";
import { DumpLines, hexLines } from "./dump-lines.js";
import { Plane, planeHas, planeOf } from "./free-map.js";
import { decodeName, quote } from "./names.js";
import { nodeEntryProblem, nodeSlot, validateNode } from "./node.js";
import { Operation } from "./operation.js";
import { hasMagic, verifyDigest } from "./preamble.js";
import { decodeRecordBody } from "./record.js";
import { readRuns, rootProblem, runProblem, runsProblem } from "./runs.js";
import {
  COMMIT_ENTRY,
  DIRECTORY,
  FORWARDING,
  FREE_PAGE,
  fieldProblems,
  HEADER,
  NODE_ENTRY,
  PREAMBLE,
  RECORD,
  ROOT,
  RUN,
  readFields,
  readRoot,
  SNAPSHOT,
  type Structure,
  SUPERBLOCK,
} from "./schema.js";
import { entriesProblem, entryProblem, headerRules, headerSlots } from "./segment.js";
import { decodeLock, decodePin } from "./side-files.js";
import { superblockRules } from "./superblock.js";

export { describeSchema } from "./schema.js";

/** What bytes can hold. Pages of the free map cannot be told from the bytes, so they need the hint. */
export type DumpKind =
  | "superblock"
  | "forwarding"
  | "header"
  | "node"
  | "directory"
  | "free page"
  | "pin"
  | "lock"
  | "zeros"
  | "data";

/**
 * Explains a slot, all slots of a header, the joined leaves of a directory, or a side file. `hint` says what it is meant to be;
 * without it the bytes decide. With a hasher the digests are verified too.
 */
export function annotate(bytes: Uint8Array, hint?: DumpKind, hasher?: Hasher): string[] {
  const kind = hint ?? recognise(bytes);
  const out = new DumpLines(bytes);
  out.title(`${kind}, ${bytes.length} bytes`);
  if (kind === "superblock") dumpSuperblock(out, hasher);
  else if (kind === "pin") dumpPin(out, hasher);
  else if (kind === "forwarding") dumpForwarding(out, hasher);
  else if (kind === "header") dumpHeader(out, hasher);
  else if (kind === "node") dumpNode(out);
  else if (kind === "directory") dumpDirectory(out);
  else if (kind === "free page") dumpFreePage(out);
  else if (kind === "lock") dumpLock(out);
  else if (kind === "data") out.lines.push(...hexLines(bytes));
  else if (!isZero(bytes)) out.damaged("bytes that are not zero");
  return out.lines;
}

/** What the bytes look like. A node or a directory has no magic, so data can pass for one, if hardly ever by accident. */
export function recognise(bytes: Uint8Array): DumpKind {
  const view = viewOf(bytes);
  if (hasMagic(view)) {
    const at = PREAMBLE.fields.kind.offset;
    const kind = bytes.length >= at + 4 ? view.getUint32(at, true) : 0;
    if (kind === Kind.Segment) return "header";
    if (kind === Kind.Forwarding) return "forwarding";
    return bytes.length > SLOT_BYTES ? "pin" : "superblock";
  }
  if (isZero(bytes)) return "zeros";
  if (decodeLock(bytes) !== null) return "lock";
  if (decodeDirectory(bytes).ok) return "directory";
  return validateNode(bytes) === null ? "node" : "data";
}

function dumpPreamble(out: DumpLines, expected: Kind, digestProblem: string | null): void {
  const { bytes, view } = out;
  const { magic, major, kind, uuid } = PREAMBLE.fields;
  if (bytes.length >= 8) {
    const text = quote(String.fromCharCode(...bytes.subarray(0, 8)));
    out.line(magic.offset, 8, `magic = ${text}`, magic.meaning, hasMagic(view) ? undefined : "not the magic");
  }
  const problems = new Map<string, string>();
  if (bytes.length >= uuid.offset) {
    const foundMajor = view.getUint16(major.offset, true);
    if (foundMajor !== FORMAT_MAJOR) problems.set("major", "a format that this version does not know");
    if (view.getUint32(kind.offset, true) !== expected) problems.set("kind", `${expected} is expected here`);
  }
  if (digestProblem !== null) problems.set("digest", digestProblem);
  out.structure(PREAMBLE, 0, problems);
}

/** What is wrong with the digest of the first `length` bytes; null when nothing is, or it cannot be told. */
function digestProblem({ bytes }: DumpLines, length: number, hasher: Hasher | undefined): string | null {
  if (hasher === undefined) return null;
  if (bytes.length < length) return `covers ${length} bytes, which are not all here`;
  const covered = bytes.subarray(0, length);
  return verifyDigest(covered, viewOf(covered), hasher) ? null : "does not verify";
}

function isWhole({ bytes }: DumpLines, structure: Structure): boolean {
  return bytes.length >= structure.bytes;
}

const wholeSlot = (out: DumpLines, hasher?: Hasher) => digestProblem(out, SLOT_BYTES, hasher);

function dumpSuperblock(out: DumpLines, hasher?: Hasher): void {
  dumpPreamble(out, Kind.Superblock, wholeSlot(out, hasher));
  if (!isWhole(out, SUPERBLOCK)) {
    out.structure(SUPERBLOCK, 0);
    return;
  }
  const fields = readFields(out.view, 0, SUPERBLOCK);
  out.structure(SUPERBLOCK, 0, fieldProblems(SUPERBLOCK, fields, superblockRules));
  dumpRuns(out, SUPERBLOCK.fields.runs.offset, fields.runCount, fields.chainNext);
}

function dumpRuns(out: DumpLines, at: number, runCount: number, next?: number): void {
  const present = Math.floor((out.bytes.length - at) / RUN.bytes);
  const shown = Math.max(0, Math.min(runCount, MAX_RUNS, present));
  const runs = readRuns(out.view, at, shown);
  runs.forEach((run, i) => {
    const text = `run ${i} = slots ${u64Text(run.slot)} … ${u64Text(run.slot + run.slots - 1)}`;
    out.line(at + i * RUN.bytes, RUN.bytes, text, `${run.slots} slots`, runProblem(run) ?? undefined);
  });
  if (shown < runCount) out.damaged(`${runCount} log runs, of which ${shown} are here`);
  if (shown === 0 || runs.some((run) => runProblem(run) !== null)) return;
  const problem = runsProblem(runs, next ?? runs[0].slot);
  if (problem !== null) out.damaged(problem);
}

function dumpForwarding(out: DumpLines, hasher?: Hasher): void {
  dumpPreamble(out, Kind.Forwarding, wholeSlot(out, hasher));
  const whole = isWhole(out, FORWARDING);
  const problems = whole ? fieldProblems(FORWARDING, readFields(out.view, 0, FORWARDING), {}) : undefined;
  out.structure(FORWARDING, 0, problems);
}

function dumpHeader(out: DumpLines, hasher?: Hasher): void {
  const { bytes, view } = out;
  if (!isWhole(out, HEADER)) {
    dumpPreamble(out, Kind.Segment, null);
    out.structure(HEADER, 0);
    return;
  }
  const fields = readFields(view, 0, HEADER);
  const { operation, bodyBytes } = fields;
  dumpPreamble(out, Kind.Segment, digestProblem(out, headerSlots(bodyBytes) * SLOT_BYTES, hasher));
  out.structure(HEADER, 0, fieldProblems(HEADER, fields, headerRules));
  const body = bytes.subarray(HEADER_BODY_OFFSET, HEADER_BODY_OFFSET + bodyBytes);
  if (operation === Operation.Commit) dumpEntries(out, body);
  else dumpRecord(out, operation, body);
  if (body.length < bodyBytes) out.damaged(`a body of ${bodyBytes} bytes, of which ${body.length} are here`);
}

function dumpEntries(out: DumpLines, body: Uint8Array): void {
  const count = Math.floor(body.length / ENTRY_BYTES);
  for (let i = 0; i < count; i++) {
    const at = HEADER_BODY_OFFSET + i * ENTRY_BYTES;
    const block = u64Text(readU64(out.view, at));
    const slot = readU64(out.view, at + COMMIT_ENTRY.fields.slot.offset);
    const digest = out.digest(at + COMMIT_ENTRY.fields.digest.offset);
    const text = slot === 0 ? `block ${block} is discarded` : `block ${block} = slot ${u64Text(slot)}`;
    out.line(at, ENTRY_BYTES, text, `digest ${digest}`, entryProblem(out.view, at) ?? undefined);
  }
  const problem = entriesProblem(body.subarray(0, count * ENTRY_BYTES));
  if (problem !== null) out.damaged(problem);
}

function dumpRecord(out: DumpLines, operation: number, body: Uint8Array): void {
  const start = HEADER_BODY_OFFSET;
  out.structure(RECORD, start);
  if (body.length < RECORD.bytes) return;
  const { runCount, nameBytes } = readFields(out.view, start, RECORD);
  dumpRuns(out, start + RECORD.fields.runs.offset, runCount);
  let at = start + RECORD.bytes + Math.min(runCount, MAX_RUNS) * RUN.bytes;
  if (operation === Operation.Restore) {
    if (at + ROOT.bytes <= out.bytes.length) {
      const problem = rootProblem(readRoot(out.view, at));
      out.root(at, "image", "the block map that is restored", problem ?? undefined);
    }
    at += ROOT.bytes;
  }
  if (nameBytes > 0) dumpName(out, at, nameBytes);
  const record = decodeRecordBody(operation, body);
  if (!record.ok) out.damaged(record.message);
}

/** A name as a quoted string, whatever is in it. */
function dumpName(out: DumpLines, at: number, length: number): void {
  if (!out.has(at, length, `a name of ${length} bytes`)) return;
  const bytes = out.bytes.subarray(at, at + length);
  const name = decodeName(bytes);
  const shown = name ?? String.fromCharCode(...bytes.subarray(0, 64));
  out.line(at, length, `name = ${quote(shown)}`, "", name === null ? "not a name in UTF-8" : undefined);
}

function dumpNode(out: DumpLines): void {
  const present = Math.min(NODE_ENTRIES, Math.floor(out.bytes.length / NODE_ENTRY_BYTES));
  for (let i = 0; i < present; i++) {
    const at = i * NODE_ENTRY_BYTES;
    const problem = nodeEntryProblem(out.view, i);
    if (problem === null && nodeSlot(out.view, i) === 0) continue;
    const text = `entry ${i} = slot ${u64Text(nodeSlot(out.view, i))}`;
    const digest = out.digest(at + NODE_ENTRY.fields.digest.offset);
    out.line(at, NODE_ENTRY_BYTES, text, `digest ${digest}`, problem ?? undefined);
  }
  if (out.bytes.length !== SLOT_BYTES) out.damaged(`${out.bytes.length} bytes instead of 4096`);
}

function dumpDirectory(out: DumpLines): void {
  out.structure(DIRECTORY, 0);
  if (isWhole(out, DIRECTORY)) {
    const { streamBytes } = readFields(out.view, 0, DIRECTORY);
    const end = Math.min(streamBytes, out.bytes.length);
    for (let at = DIRECTORY.bytes; at + SNAPSHOT.bytes <= end; ) {
      const { root, nameBytes } = readFields(out.view, at, SNAPSHOT);
      const problem = rootProblem(root);
      out.structure(SNAPSHOT, at, problem === null ? undefined : new Map([["root", problem]]));
      dumpName(out, at + SNAPSHOT.bytes, nameBytes);
      at += SNAPSHOT.bytes + nameBytes;
    }
  }
  const directory = decodeDirectory(out.bytes);
  if (!directory.ok) out.damaged(directory.message);
}

function dumpFreePage(out: DumpLines): void {
  if (!out.has(0, SLOT_BYTES, "a page of the free map")) return;
  for (const plane of [Plane.Image, Plane.Held]) {
    const bits = planeOf(out.bytes, plane);
    let count = 0;
    const extents: string[] = [];
    for (let slot = 0; slot < FREE_PAGE_SLOTS; slot++) {
      if (!planeHas(bits, slot)) continue;
      const first = slot;
      while (slot + 1 < FREE_PAGE_SLOTS && planeHas(bits, slot + 1)) slot++;
      count += slot - first + 1;
      extents.push(first === slot ? `${first}` : `${first} … ${slot}`);
    }
    const { meaning } = FREE_PAGE.fields[plane === Plane.Image ? "image" : "held"];
    out.line(plane, bits.length, `${Plane[plane].toLowerCase()} = ${count} slots`, meaning);
    for (const extent of extents) out.lines.push(`           ${extent}`);
  }
}

function dumpPin(out: DumpLines, hasher?: Hasher): void {
  const superblock = new DumpLines(out.bytes.subarray(0, SLOT_BYTES));
  dumpSuperblock(superblock, hasher);
  out.lines.push(...superblock.lines);
  dumpText(out, out.bytes.subarray(SLOT_BYTES));
  if (decodePin(out.bytes) === null) out.damaged("not the record of a reader");
}

function dumpLock(out: DumpLines): void {
  dumpText(out, out.bytes);
  if (decodeLock(out.bytes) === null) out.damaged("not the record of a writer");
}

/** The text of a record, as one JSON string when it holds anything a terminal would act on. */
function dumpText(out: DumpLines, bytes: Uint8Array): void {
  const text = new TextDecoder().decode(bytes.subarray(0, SLOT_BYTES)).trimEnd();
  out.lines.push(`  ${/[^\x20-\x7e]/.test(text) ? quote(text) : text}`);
}
