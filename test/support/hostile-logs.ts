// Lies about where the log goes on and what it says, and about the numbers in superblocks.

import { headerSlots, Operation } from "../../bindings/format/segment.js";
import type { Run } from "../../bindings/format/superblock.js";
import { HostileFile, nodeBytes } from "./hostile-builder.js";
import { bombOver, type Lie, lie, refused } from "./hostile-files.js";
import { blockOf } from "./hostile-samples.js";

export function lyingSuperblocks(): Lie[] {
  const withRuns = (what: string, runs: Run[], next: number, found: Omit<Lie, "what" | "file">) =>
    lie(
      what,
      (file) => {
        file.honestImage();
        file.superblock = { runs, chainNext: next };
      },
      found,
    );
  const withField = (what: string, fields: HostileFile["superblock"], found: Omit<Lie, "what" | "file">) =>
    lie(
      what,
      (file) => {
        file.honestImage();
        Object.assign(file.superblock, fields);
      },
      found,
    );
  const most = 2 ** 53 - 1;
  const run = { slot: 64, slots: 64 };
  return [
    withRuns("log runs over everything that is live", [{ slot: 3, slots: 125 }], 3, {
      problem: /a log run has it/,
    }),
    withRuns("the next header over a block", [{ slot: 3, slots: 125 }], 5, { problem: /a log run has it/ }),
    withRuns("a log run of 2^32 - 1 slots", [{ slot: 64, slots: 0xffffffff }], 64, { writer: "CORRUPT" }),
    withRuns("log runs at 2^47", [run, { slot: 2 ** 47, slots: 64 }], 64, { writer: "CORRUPT" }),
    withRuns("a log run that ends at 2^48", [run, { slot: 2 ** 48 - 64, slots: 64 }], 64, {
      writer: "CORRUPT",
    }),
    withRuns("a log run just within what is allowed", [run, { slot: 128 + 2 ** 23 - 64, slots: 64 }], 64, {
      problem: null,
    }),
    withRuns("a log run that is as long as allowed", [{ slot: 64, slots: 64 + 2 ** 23 }], 64, {
      problem: null,
    }),
    withRuns("log runs that overlap", [run, { slot: 100, slots: 10 }], 64, refused),
    withRuns("a log run over the superblocks", [{ slot: 0, slots: 128 }], 64, refused),
    withRuns("the next header outside the log runs", [run], 20, refused),
    withRuns("one slot for the next header", [run], 127, refused),
    withRuns(
      "the next header across two log runs",
      [
        { slot: 64, slots: 4 },
        { slot: 68, slots: 60 },
      ],
      67,
      refused,
    ),
    withRuns(
      "256 log runs of one slot and one more",
      Array.from({ length: 256 }, (_, i) => ({ slot: 64 + 2 * i, slots: i === 0 ? 2 : 1 })),
      64,
      { problem: null },
    ),
    withField("the greatest generation", { generation: most }, { writer: "LIMIT", problem: null }),
    withField("the greatest sequence", { sequence: most }, { writer: "LIMIT", problem: null }),
    withField("the greatest writer", { writer: most }, { writer: "LIMIT", problem: null }),
    withField("the greatest time", { time: most }, { problem: null }),
    withField("a file of three slots", { fileSlots: 3 }, refused),
    withField("a file of 2^48 slots", { fileSlots: 2 ** 48 }, refused),
    lie(
      "a fallback that needs 2^48 slots",
      (file) => {
        file.honestImage();
        file.fallback = { fileSlots: 2 ** 48, image: { slot: 2 ** 47, digest: 1n, height: 5 } };
      },
      { problem: null },
    ),
    lie(
      "a fallback whose log runs lie at 2^47",
      (file) => {
        file.honestImage();
        file.fallback = { runs: [run, { slot: 2 ** 47, slots: 5 }] };
      },
      { problem: null },
    ),
    lie(
      "a fallback whose free map is a bomb",
      (file) => {
        file.honestImage();
        const bomb = bombOver(file, file.put(nodeBytes(new Map())), 4);
        for (const slot of [...file.imagePlane].slice(9)) file.imagePlane.delete(slot);
        file.fallback = { freeMap: file.root(bomb, 5) };
      },
      { problem: null },
    ),
    lie(
      "a fallback of another file",
      (file) => {
        file.honestImage();
        file.fallback = { uuid: new Uint8Array(16) };
      },
      refused,
    ),
    lie(
      "a fallback of the same generation as the newest",
      (file) => {
        file.honestImage();
        file.fallback = { generation: 4 };
        file.superblock.generation = 3;
      },
      { problem: null },
    ),
    lie(
      "a forwarding slot with garbage",
      (file) => {
        file.honestImage();
        file.put(blockOf(99), 2);
      },
      { problem: null },
    ),
    lie(
      "a forwarding slot in a file whose image does not verify",
      (file) => {
        const honest = file.honestImage();
        file.put(blockOf(99), 2);
        file.image = file.root(file.node(new Map([...honest, [9, { slot: 4, digest: 1n }]])), 1);
      },
      { writer: "CORRUPT" },
    ),
  ];
}

/** Chains; what they name lies in the log run from slot 64 on. */
export function lyingChains(): Lie[] {
  const chain = (what: string, change: (file: HostileFile) => void, found: Omit<Lie, "what" | "file"> = {}) =>
    lie(
      what,
      (file) => {
        file.honestImage();
        change(file);
      },
      found,
    );
  const commitOf = (
    what: string,
    entry: { slot: number; digest?: bigint },
    found: Omit<Lie, "what" | "file">,
  ) =>
    chain(
      what,
      (file) => {
        file.commit({ entries: [{ block: 20, digest: 5n, ...entry }] });
        // A second commit says that the first was flushed, so that its block is not looked at when the file is opened.
        file.commit({ entries: [] });
      },
      found,
    );
  const runs = [{ slot: 100, slots: 28 }];
  const plain = { name: "", image: null };
  return [
    commitOf("a commit to slot 1", { slot: 1 }, { ...refused }),
    commitOf("a flushed commit to a slot that the file does not have", { slot: 5000 }, refused),
    commitOf("a flushed commit to slot 2^47", { slot: 2 ** 47 }, refused),
    commitOf(
      "a flushed commit to a block of the image",
      { slot: 3, digest: hashOf(1) },
      { problem: /twice/ },
    ),
    commitOf("a flushed commit to the node of the image", { slot: 11 }, { problem: /./ }),
    commitOf(
      "a flushed commit to a free slot outside the log runs",
      { slot: 40 },
      { problem: /does not have the digest/ },
    ),
    chain(
      "a commit to 2^47 that is not flushed",
      (file) => file.commit({ entries: [{ block: 1, slot: 2 ** 47, digest: 1n }] }),
      { problem: null },
    ),
    chain(
      "a block twice in a commit",
      (file) => file.commit({ entries: [1, 1].map((block) => ({ block, slot: 0, digest: 0n })) }),
      { problem: null },
    ),
    chain(
      "a body of 4 GiB",
      (file) =>
        file.commit({
          entries: [],
          header: { bodyBytes: 4294967280, furtherSlot: 70, furtherSlots: 1048575 },
        }),
      { problem: null },
    ),
    chain(
      "a header that goes on in a superblock",
      (file) => file.commit({ entries: discards(300), header: { furtherSlot: 1 } }),
      { problem: null },
    ),
    chain(
      "a next header in a block of the image",
      (file) => file.commit({ entries: discards(1), header: { next: 5 } }),
      { problem: null },
    ),
    chain(
      "a record that goes on over live slots",
      (file) => {
        file.record(Operation.Checkpoint, { ...plain, runs: [{ slot: 3, slots: 60 }] });
      },
      { problem: /./ },
    ),
    chain(
      "a record that goes on at 2^47",
      (file) => file.record(Operation.Checkpoint, { ...plain, runs: [{ slot: 2 ** 47, slots: 8 }] }),
      { writer: "CORRUPT" },
    ),
    chain(
      "a record of 2^32 - 1 slots",
      (file) => file.record(Operation.Checkpoint, { ...plain, runs: [{ slot: 100, slots: 0xffffffff }] }),
      { writer: "CORRUPT" },
    ),
    chain(
      "a snapshot that is created twice",
      (file) => {
        for (const slot of [100, 114])
          file.record(Operation.CreateSnapshot, { name: "s", image: null, runs: [{ slot, slots: 14 }] });
      },
      refused,
    ),
    chain(
      "a snapshot that is deleted but never was",
      (file) => file.record(Operation.DeleteSnapshot, { name: "s", image: null, runs }),
      refused,
    ),
    chain(
      "a snapshot that is restored but never was",
      (file) => file.record(Operation.Restore, { name: "s", image: file.image, runs }),
      refused,
    ),
    ...[4, 120, 5000, 2 ** 47].map((slot) =>
      chain(
        `a snapshot restored from slot ${slot}`,
        (file) => {
          file.snapshots([file.honestSnapshot("s")]);
          file.record(Operation.Restore, { name: "s", image: { slot, digest: 9n, height: 3 }, runs });
        },
        { writer: "CORRUPT" },
      ),
    ),
    chain(
      "headers that share their further slots",
      (file) => {
        file.size = 1024;
        file.superblock.runs = [{ slot: 64, slots: 960 }];
        const entries = discards(20_000);
        for (let i = 0; i < 120; i++) file.commit({ entries, header: { furtherSlot: 800, next: 65 + i } });
      },
      { ...refused, readBytes: 40 * 2 ** 20 },
    ),
    chain(
      "thousands of blocks that all lie outside the log runs",
      (file) => {
        file.size = 9000;
        file.superblock.runs = [{ slot: 64, slots: 900 }];
        const entries = Array.from({ length: 8000 }, (_, i) => ({ block: i, slot: 1000 + i, digest: 1n }));
        file.commit({ entries });
        file.commit({ entries: [] });
      },
      { problem: /./ },
    ),
    chain(
      "hundreds of records that each name the whole file",
      (file) => {
        file.size = 4096;
        file.superblock.runs = [{ slot: 64, slots: 4000 }];
        for (let i = 0; i < 300; i++) {
          file.record(Operation.Checkpoint, { ...plain, runs: [{ slot: 65 + i, slots: 3900 - i }] });
        }
      },
      { problem: null },
    ),
    chain(
      "a log full of headers that do not verify and are long",
      (file) => {
        file.size = 2048;
        file.superblock.runs = [{ slot: 64, slots: 1900 }];
        for (let i = 0; i < 900; i++) {
          file.commit({
            entries: [],
            header: {
              sequence: 50 + i,
              lastFlushed: 40,
              bodyBytes: 24 * 165 * 800,
              furtherSlot: 1100,
              furtherSlots: headerSlots(24 * 165 * 800) - 1,
            },
          });
        }
      },
      { ...refused },
    ),
  ];
}

function discards(count: number): { block: number; slot: number; digest: bigint }[] {
  return Array.from({ length: count }, (_, i) => ({ block: 1000 + i, slot: 0, digest: 0n }));
}

const hashOf = (value: number): bigint => new HostileFile().digest(blockOf(value));
