// What becomes of a damaged or hostile file: it is opened for writing and for reading, everything in it is read and
// checked, and what comes out is held against the commits that it may show.

import assert from "node:assert/strict";
import { PerdureError } from "../../bindings/base/errors.js";
import type { CheckReport } from "../../bindings/pager/check.js";
import { openPager } from "../../bindings/pager/open.js";
import { Reader } from "../../bindings/pager/reader.js";
import type { MemoryPlace } from "../../bindings/storage/memory.js";
import { hasher } from "./hostile-hasher.js";
import {
  alone,
  blockOf,
  type Content,
  fileOf,
  type Moment,
  NAME,
  placeWith,
  SLOT,
} from "./hostile-samples.js";

/** `refused`: opening threw; `whole`: everything could be read; `damaged`: something could not, and `check` said so. */
export type Outcome = "refused" | "whole" | "damaged";

export interface Outcomes {
  writer: Outcome;
  reader: Outcome;
}

/** The codes that a damaged file may be refused with. */
const refusals = new Set(["CORRUPT", "VERSION"]);

/** Opens a file of these bytes for writing and for reading; fails unless what is read is one of the moments. */
export function outcomesOf(bytes: Uint8Array, moments: readonly Moment[]): Outcomes {
  return { writer: writerOutcome(bytes, moments), reader: readerOutcome(bytes, moments) };
}

/** What opening for writing gives. */
export function writerOutcome(bytes: Uint8Array, moments: readonly Moment[]): Outcome {
  return outcomeIn(placeWith(bytes), bytes, (place) => {
    const pager = openPager(place, NAME, hasher, alone);
    try {
      const readSnapshot = (name: string) => {
        const view = pager.openSnapshot(name);
        return (block: number, into: Uint8Array) => view.read(block, 1, into);
      };
      const names = () => pager.snapshots.map(({ name }) => name);
      const read = (block: number, into: Uint8Array) => pager.read(block, 1, into);
      const whole = readsMoment({ read, names, readSnapshot }, moments);
      compareWithCheck(whole, pager.check(true));
      return whole ? "whole" : "damaged";
    } finally {
      pager.abandon();
    }
  });
}

/** What opening for reading gives; the file is as it was in any case. */
export function readerOutcome(bytes: Uint8Array, moments: readonly Moment[]): Outcome {
  const place = placeWith(bytes);
  const outcome = outcomeIn(place, bytes, () => {
    const reader = new Reader(place, NAME, hasher, alone);
    try {
      const readSnapshot = (name: string) => (block: number, into: Uint8Array) =>
        reader.readSnapshot(name, block, 1, into);
      const names = () => reader.snapshots.map(({ name }) => name);
      const read = (block: number, into: Uint8Array) => reader.read(block, 1, into);
      return readsMoment({ read, names, readSnapshot }, moments) ? "whole" : "damaged";
    } finally {
      reader.close();
    }
  });
  assertUntouched(place, bytes, "read");
  return outcome;
}

/** Runs `open`, which may refuse the file; then nothing may have changed. */
function outcomeIn(place: MemoryPlace, bytes: Uint8Array, open: (place: MemoryPlace) => Outcome): Outcome {
  try {
    return open(place);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    assertUntouched(place, bytes, `refused (${error.message})`);
    return "refused";
  }
}

/** Only the state file is in the place, byte for byte as it was. */
export function assertUntouched(place: MemoryPlace, bytes: Uint8Array, done: string): void {
  assert.deepEqual(place.list(""), [NAME], `${done}, but a file was left behind`);
  assert.ok(Buffer.compare(fileOf(place), bytes) === 0, `${done}, but the file has changed`);
}

export function isRefusal(error: unknown): error is PerdureError {
  return error instanceof PerdureError && refusals.has(error.code);
}

interface Readable {
  read(block: number, into: Uint8Array): void;
  names(): string[];
  readSnapshot(name: string): (block: number, into: Uint8Array) => void;
}

/** Reads every block that any moment has, and neighbours; true when all could be read. Fails when no moment agrees with all of it. */
function readsMoment(file: Readable, moments: readonly Moment[]): boolean {
  let whole = true;
  const attempt = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (!isRefusal(error) || error.code !== "CORRUPT") throw error;
      whole = false;
      return null;
    }
  };
  let candidates = [...moments];
  const keep = (what: string, fits: (moment: Moment) => boolean) => {
    candidates = candidates.filter(fits);
    assert.ok(candidates.length > 0, `${what} is not that of any commit that the file may show`);
  };
  const into = new Uint8Array(SLOT);
  const readAll = (what: string, contentOf: (moment: Moment) => Content, read: Readable["read"]) => {
    for (const block of blocksOf(moments.map(contentOf))) {
      into.fill(0xee);
      if (attempt(() => read(block, into) ?? true) === null) continue;
      keep(`${what}, block ${block}`, (moment) => isBlock(into, contentOf(moment).get(block) ?? 0));
    }
  };
  readAll("the image", ({ image }) => image, file.read);
  const names = attempt(file.names);
  if (names === null) return whole;
  keep("the list of snapshots", ({ snapshots }) => sameNames(names, snapshots));
  for (const name of names) {
    const read = attempt(() => file.readSnapshot(name));
    if (read === null) continue;
    readAll(`snapshot ${name}`, ({ snapshots }) => snapshots.get(name) ?? new Map(), read);
  }
  return whole;
}

const sameNames = (names: readonly string[], snapshots: ReadonlyMap<string, Content>) =>
  names.length === snapshots.size && names.every((name) => snapshots.has(name));

/** All blocks that occur, and some that never do. */
function blocksOf(contents: readonly Content[]): Set<number> {
  return new Set([...contents.flatMap((content) => [...content.keys()]), 401, 65536, 2 ** 31, 2 ** 40 - 1]);
}

const blocks = new Map<number, Uint8Array>();

function isBlock(bytes: Uint8Array, value: number): boolean {
  let expected = blocks.get(value);
  if (expected === undefined) {
    expected = blockOf(value);
    blocks.set(value, expected);
  }
  return Buffer.compare(bytes, expected) === 0;
}

function compareWithCheck(whole: boolean, report: CheckReport): void {
  assert.equal(report.ok, report.problems.length === 0);
  if (!whole) assert.ok(!report.ok, "something cannot be read, but check() finds nothing wrong");
}
