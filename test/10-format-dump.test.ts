// The annotated dump: each structure is recognised and told in full, damage is marked where it is, and no bytes make it throw.

import assert from "node:assert/strict";
import fc from "fast-check";
import { SLOT_BYTES } from "../bindings/format/constants.js";
import { encodeDirectory } from "../bindings/format/directory.js";
import { annotate, type DumpKind, recognise } from "../bindings/format/dump.js";
import { encodeForwarding } from "../bindings/format/forwarding.js";
import { Operation } from "../bindings/format/segment.js";
import { encodeLock, encodePin } from "../bindings/format/side-files.js";
import { EMPTY_ROOT, encodeSuperblock } from "../bindings/format/superblock.js";
import {
  breakages,
  broken,
  changed,
  hasher,
  reseal,
  sampleCommit,
  sampleRecord,
  sampleSuperblock,
  uuid,
} from "./support/format-samples.js";
import { seedFromEnv } from "./support/random.js";

const process = { machine: null, boot: "b", pidNamespace: null, pid: 4, startTime: null };
const superblock = encodeSuperblock(sampleSuperblock(), hasher);
const commit = sampleCommit([
  { block: 7, slot: 46 },
  { block: 8, slot: 0 },
]);
const restore = sampleRecord(Operation.Restore, {
  runs: [{ slot: 60, slots: 4 }],
  name: "früh",
  image: { slot: 5, digest: 7n, height: 1 },
});
const node = changed(changed(new Uint8Array(SLOT_BYTES), 32, 77), 40, 0x1234n);
const directory = encodeDirectory([{ name: "a\u001b[31m\u009b", root: EMPTY_ROOT, sequence: 3, time: 9 }])[0];
const freePage = new Uint8Array(SLOT_BYTES);
freePage.set([0xf8, 0xff, 0x01]);
freePage[2050] = 0x10;

const samples: Record<Exclude<DumpKind, "free page" | "data">, Uint8Array> = {
  superblock,
  forwarding: encodeForwarding({ uuid, nonce: uuid, writer: 1, time: 0 }, hasher),
  header: commit,
  node,
  directory,
  pin: encodePin({ superblock, commit: 17, snapshot: "s", process }),
  lock: encodeLock({ writer: 3, nonce: "ab", process }),
  zeros: new Uint8Array(SLOT_BYTES),
};
const kinds = [...Object.keys(samples), "free page", "data"] as DumpKind[];

const marked = (lines: string[]): string[] => lines.filter((line) => line.startsWith("!"));

/** The one line that is marked, which has to be that of `field`, and its reason. */
function onlyMark(bytes: Uint8Array, field: string, hint?: DumpKind): string {
  const marks = marked(annotate(bytes, hint, hasher));
  assert.equal(marks.length, 1, marks.join("\n"));
  assert.match(marks[0], new RegExp(` ${field} = `));
  return marks[0].split("<-- ")[1];
}

describe("format: annotated dump", () => {
  it("recognises what has a look of its own, and finds nothing wrong with it", () => {
    for (const [kind, bytes] of Object.entries(samples)) {
      assert.equal(recognise(bytes), kind);
      const lines = annotate(bytes, undefined, hasher);
      assert.equal(lines[0], `${kind}, ${bytes.length} bytes`);
      assert.deepEqual(marked(lines), [], kind);
    }
    assert.equal(recognise(restore), "header");
    assert.deepEqual(marked(annotate(restore, undefined, hasher)), []);
    assert.equal(recognise(new Uint8Array(SLOT_BYTES).fill(0x61)), "data");
  });

  it("tells every field with its offset and bytes", () => {
    const lines = annotate(superblock, undefined, hasher);
    const line = (start: string) =>
      lines.find((each) => each.startsWith(start)) ?? `no line begins with ${start}`;
    assert.match(line("      40 "), /^ {6}40 {2}04 00 00 00 00 00 00 00 +generation = 4 +1, 2, 3 …$/);
    assert.match(line("      64 "), /time = 1700000000000 \(2023-11-14T22:13:20\.000Z\)/);
    assert.match(line("      72 "), /image slot = 9 +the block map/);
    assert.match(line("      80 "), /ef cd ab 89 67 45 23 01 +image digest = 0123456789abcdef/);
    assert.match(line("     192 "), /run 0 = slots 30 … 49 +20 slots/);
    assert.match(line("     204 "), /run 1 = slots 100 … 163 +64 slots/);
  });

  it("tells entries, records, nodes, directories and pages of the free map", () => {
    assert.match(
      annotate(commit).join("\n"),
      /128 .* block 7 = slot 46 +digest 0{12}1111\n.* block 8 is discarded/,
    );
    const record = annotate(restore).join("\n");
    assert.match(record, /run 0 = slots 60 … 63/);
    assert.match(record, /148 .* image slot = 5/);
    assert.match(record, /172 .* name = "früh"/);
    assert.match(annotate(node).join("\n"), /32 .* entry 2 = slot 77 +digest 0{12}1234/);
    assert.match(annotate(directory).join("\n"), /name = "a\\u001b\[31m\\u009b"/);
    const page = annotate(freePage, "free page").join("\n");
    assert.match(page, /image = 14 slots .*\n +3 … 16\n/);
    assert.match(page, /held = 1 slots .*\n +20$/);
  });

  it("marks what is damaged, where it is", () => {
    assert.equal(onlyMark(changed(superblock, 4000, 1), "digest"), "does not verify");
    assert.match(onlyMark(reseal(changed(superblock, 40, 0)), "generation"), /generation 0/);
    assert.match(onlyMark(reseal(changed(superblock, 56, 2n ** 60n)), "writer"), /not below 2\^53/);
    assert.match(onlyMark(reseal(changed(superblock, 88, 9, 4)), "image slot"), /height 9/);
    assert.match(onlyMark(reseal(changed(superblock, 200, 0, 4)), "run 0"), /0 slots/);
    assert.match(onlyMark(reseal(changed(superblock, 8, 3, 2)), "major"), /does not know/);
    assert.match(onlyMark(reseal(changed(commit, 64, 99)), "last flushed"), /99/);
    assert.match(onlyMark(changed(node, 48, 2), "entry 3", "node"), /slot 2/);
  });

  it("shows what the hint says although the magic is gone, and what is cut off", () => {
    const faded = changed(superblock, 0, 0);
    const lines = marked(annotate(faded, "superblock", hasher)).join("\n");
    assert.match(lines, /not the magic/);
    assert.match(annotate(faded, "superblock").join("\n"), /generation = 4/);
    assert.match(
      annotate(superblock.subarray(0, 60)).join("\n"),
      /sequence = 17[^!]*\n! writer at 56: the bytes end at 60/,
    );
    assert.match(
      annotate(sampleCommit(manyEntries).subarray(0, SLOT_BYTES)).join("\n"),
      /of which 3968 are here/,
    );
  });
  const manyEntries = Array.from({ length: 200 }, (_, i) => ({ block: i, slot: 100 + i }));

  it("shows data as text and repeats nothing", () => {
    const bytes = new Uint8Array(SLOT_BYTES);
    bytes.set(new TextEncoder().encode("hello\u001b"), 100);
    const lines = annotate(bytes, "data");
    assert.ok(lines.length < 12);
    assert.match(lines.join("\n"), /96 .*68 65 6c 6c 6f 1b .*\.\.\.\.hello\./);
  });

  it("never throws, and leaves the bytes as they were", () => {
    const all = [...Object.values(samples), restore, freePage, sampleCommit(manyEntries)];
    const given = fc.oneof(fc.uint8Array({ maxLength: 5000, size: "max" }), breakages(all.length, 120));
    const hints = fc.constantFrom(undefined, ...kinds);
    const property = fc.property(given, hints, fc.boolean(), (bytesOrBreakage, hint, verify) => {
      const bytes = bytesOrBreakage instanceof Uint8Array ? bytesOrBreakage : broken(all, bytesOrBreakage);
      const before = bytes.slice();
      const lines = annotate(bytes, hint, verify ? hasher : undefined);
      assert.deepEqual(bytes, before);
      for (const line of lines) assert.doesNotMatch(line, /\p{Cc}|NaN|undefined/u);
    });
    fc.assert(property, { seed: seedFromEnv(), numRuns: 1000 });
  });
});
