/** Segment headers found by looking at every slot of a file, for when nothing leads to them any more. */
import { toHex, viewOf } from "../base/bytes.js";
import { Kind, SLOT_BYTES, UUID_BYTES } from "../format/constants.js";
import { hasMagic } from "../format/preamble.js";
import { HEADER, PREAMBLE } from "../format/schema.js";
import { CHUNK_SLOTS, type StateFile } from "../pager/state-file.js";
import { readSegment, type Segment } from "../pager/walk.js";

/** Further slots of headers are read up to this many times the file: a file full of forged headers is not read for ever. */
const MOST_READS = 2;

export interface FoundSegment extends Segment {
  /** Of the file that it was written to, in hexadecimal. */
  uuid: string;
}

/** Every header that verifies, in the order of slots. Yields the slots gone through. */
export function* scanHeaders(file: StateFile): Generator<number, FoundSegment[]> {
  const found: FoundSegment[] = [];
  const slots = file.slots();
  let reads = MOST_READS * slots;
  for (let from = 0; from < slots; from += CHUNK_SLOTS) {
    const count = Math.min(CHUNK_SLOTS, slots - from);
    const bytes = file.read(from, count);
    for (let i = 0; i < count && reads >= 0; i++) {
      const first = bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES);
      const view = viewOf(first);
      if (!hasMagic(view) || view.getUint32(PREAMBLE.fields.kind.offset, true) !== Kind.Segment) continue;
      const at = PREAMBLE.fields.uuid.offset;
      const uuid = first.slice(at, at + UUID_BYTES);
      reads -= Math.min(reads + 1, view.getUint32(HEADER.fields.furtherSlots.offset, true));
      const segment = readSegment(file, from + i, uuid);
      if (segment) found.push({ ...segment, uuid: toHex(uuid) });
    }
    yield from + count;
  }
  return found;
}

/** By sequence; of several with the same one the one that the next one names, or else the one written last. */
export function inOrder(segments: readonly FoundSegment[]): FoundSegment[] {
  const bySequence = new Map<number, FoundSegment[]>();
  for (const segment of segments) {
    const { sequence } = segment.header;
    bySequence.set(sequence, [...(bySequence.get(sequence) ?? []), segment]);
  }
  const sequences = [...bySequence.keys()].sort((a, b) => b - a);
  const chosen: FoundSegment[] = [];
  for (const sequence of sequences) {
    const candidates = bySequence.get(sequence)!;
    candidates.sort((a, b) => b.header.writer - a.header.writer || b.header.time - a.header.time);
    const next = chosen.at(-1);
    const named = candidates.find(
      ({ header }) => next?.header.sequence === sequence + 1 && next.header.previous === header.digest,
    );
    chosen.push(named ?? candidates[0]);
  }
  return chosen.reverse();
}

/** The sequences that are missing between `after` and the last of `segments`, as ranges. */
export function gapsIn(after: number, segments: readonly Segment[]): { first: number; last: number }[] {
  const gaps: { first: number; last: number }[] = [];
  let expected = after + 1;
  for (const { header } of segments) {
    if (header.sequence > expected) gaps.push({ first: expected, last: header.sequence - 1 });
    expected = header.sequence + 1;
  }
  return gaps;
}
