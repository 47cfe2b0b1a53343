// The lies. Each case builds a file and says how it must be found out: refused with a code, or reported by check().

import { headerSlots, Operation } from "../../bindings/format/segment.js";
import { EMPTY_ROOT, type Root, type Run } from "../../bindings/format/superblock.js";
import { credulous, HostileFile, nodeBytes, type Placed } from "./hostile-builder.js";
import { blockOf, SLOT } from "./hostile-samples.js";
import type { Random } from "./random.js";

export interface Lie {
  what: string;
  file: HostileFile;
  /** Code that opening for reading or writing throws; left out: it opens. */
  reader?: string;
  writer?: string;
  /** What check() must say when it opens; null: nothing is wrong that could be seen. */
  problem?: RegExp | null;
  /** Bytes that may be read, where it has to be more than usual. */
  readBytes?: number;
}

/** A lie about the honest file of eight blocks. */
function lie(what: string, change: (file: HostileFile) => void, found: Omit<Lie, "what" | "file"> = {}): Lie {
  const file = new HostileFile();
  change(file);
  return { what, file, ...found };
}

const refused = { reader: "CORRUPT", writer: "CORRUPT" };
/** Entries of the honest image with some replaced. */
function imageWith(
  file: HostileFile,
  entries: (honest: Map<number, Placed>) => Iterable<readonly [number, Placed]>,
): void {
  const honest = file.honestImage();
  file.image = file.root(file.node(new Map([...honest, ...entries(honest)])), 1);
}

/** Five levels of one node each, referenced 256 times. */
function bombOver(file: HostileFile, bottom: Placed, levels: number): Placed {
  let top = bottom;
  for (let i = 0; i < levels; i++) top = file.bomb(top);
  return top;
}

export function lyingTrees(): Lie[] {
  const bottomless = (file: HostileFile) => bombOver(file, file.node(new Map()), 4);
  const entryAt = (slot: number, digest = 5n) =>
    lie(`an entry that leads to slot ${slot}`, (file) => imageWith(file, () => [[20, { slot, digest }]]), {
      problem: /entry 20 lies in slot/,
    });
  const lies = [
    lie(
      "a block below 256^5 paths",
      (file) => {
        file.image = file.root(bombOver(file, file.block(1), 5), 5);
      },
      { problem: /twice|more nodes/ },
    ),
    lie(
      "a node without entries below 256^4 paths",
      (file) => {
        file.image = file.root(bottomless(file), 5);
      },
      { problem: /twice|more nodes/ },
    ),
    lie(
      "a free map of 256^4 paths to nothing",
      (file) => {
        file.honestImage();
        file.freeMap = file.root(bottomless(file), 5);
      },
      { problem: /the free map: .*more nodes/ },
    ),
    lie(
      "a free map of one page at 256^5 places",
      (file) => {
        file.honestImage();
        file.freeMap = file.root(bombOver(file, file.put(new Uint8Array(SLOT)), 5), 5);
      },
      { problem: /the free map: .*page 1/ },
    ),
    lie(
      "a directory of 256^4 paths to nothing",
      (file) => {
        file.honestImage();
        file.directory = file.root(bottomless(file), 5);
      },
      { problem: /directory|more nodes/ },
    ),
    lie(
      "a directory of one leaf at 256^5 places",
      (file) => {
        file.honestImage();
        const leaf = new Uint8Array(SLOT);
        new DataView(leaf.buffer).setUint32(0, 0xffffffff, true);
        file.directory = file.root(bombOver(file, file.put(leaf), 5), 5);
      },
      { problem: /directory/ },
    ),
    lie(
      "a snapshot of 256^4 paths to nothing",
      (file) => {
        file.honestImage();
        file.snapshots([{ name: "bomb", root: file.root(bottomless(file), 5), sequence: 1, time: 1 }]);
      },
      { problem: /twice|more nodes/ },
    ),
    lie(
      "an image that is said to be higher than it is",
      (file) => {
        file.honestImage();
        file.image = { ...file.image, height: 2 };
      },
      { problem: /map node/ },
    ),
    lie(
      "an image that is said to be lower than it is",
      (file) => {
        const leaf = file.node(file.honestImage());
        file.image = file.root(file.node(new Map([[0, leaf]])), 1);
      },
      { problem: /is lost/ },
    ),
    lie("two blocks in one slot", (file) => imageWith(file, (honest) => [[20, honest.get(3)!]]), {
      problem: /twice/,
    }),
    lie(
      "two nodes in one slot",
      (file) => {
        const leaf = file.node(file.honestImage());
        file.image = file.root(file.node(new Map([0, 7].map((i) => [i, leaf]))), 2);
      },
      { problem: /twice/ },
    ),
    lie(
      "a node that is a block as well",
      (file) => {
        const leaf = file.node(file.honestImage());
        const other = file.node(new Map([[5, leaf]]));
        file.image = file.root(
          file.node(
            new Map([
              [0, leaf],
              [1, other],
            ]),
          ),
          2,
        );
      },
      { problem: /twice/ },
    ),
    lie(
      "a block that is a node of a snapshot",
      (file) => {
        const honest = file.honestImage();
        const snapshot = file.honestSnapshot("s");
        file.image = file.root(file.node(new Map([...honest, [20, snapshot.root]])), 1);
        file.snapshots([snapshot]);
      },
      { problem: /does not belong/ },
    ),
    lie(
      "a block in the slot of the free map",
      (file) => {
        const page = file.put(new Uint8Array(SLOT).fill(255, 0, 4));
        file.freeMap = file.root(file.put(nodeBytes(new Map([[0, page]]))), 1);
        imageWith(file, () => [[20, page]]);
      },
      { problem: /belongs to the free map or the directory/ },
    ),
    ...[1, 2, 5000, 2 ** 31, 2 ** 47, 2 ** 48, 2 ** 53 - 1].map((slot) => entryAt(slot)),
    lie(
      "an entry in slot 2^53",
      (file) => {
        const bytes = nodeBytes(file.honestImage());
        new DataView(bytes.buffer).setBigUint64(16 * 9, 2n ** 53n, true);
        file.image = file.root(file.put(bytes), 1);
      },
      { problem: /entry 9/ },
    ),
    lie(
      "an entry without a slot but with a digest",
      (file) => imageWith(file, () => [[9, { slot: 0, digest: 3n }]]),
      { problem: /entry 9/ },
    ),
    lie(
      "an image beyond what the superblock says the file has",
      (file) => {
        file.honestImage();
        file.image = { ...file.image, slot: 100 };
      },
      refused,
    ),
    lie(
      "an image in slot 1",
      (file) => {
        file.image = { slot: 1, digest: 1n, height: 1 };
      },
      refused,
    ),
    lie(
      "a tree of height 6",
      (file) => {
        file.honestImage();
        file.image = { ...file.image, height: 6 };
      },
      refused,
    ),
    lie(
      "a file that needs more slots than it has",
      (file) => {
        file.honestImage();
        file.superblock.fileSlots = 129;
      },
      refused,
    ),
  ];
  return lies;
}

export function lyingFreeMaps(): Lie[] {
  const planes = (
    what: string,
    image: (file: HostileFile) => Iterable<number>,
    problem: RegExp,
    held: Iterable<number> = [],
  ) =>
    lie(
      what,
      (file) => {
        file.honestImage();
        file.freeMap = file.freeMapOf(image(file), held);
      },
      { problem },
    );
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  return [
    lie(
      "no free map at all",
      (file) => {
        file.honestImage();
        file.freeMap = EMPTY_ROOT;
      },
      { problem: /is reached, but the free map's image plane has it free/ },
    ),
    planes("some live slots free", (file) => [...file.imagePlane].slice(4), /is reached, but/),
    planes("all slots of the file live", () => range(0, 128), /is lost/),
    planes("slots live that the file does not have", () => range(0, 200), /the file does not have/),
    planes(
      "slots far behind the file live",
      (file) => [...file.imagePlane, 16384 * 200],
      /the file does not have/,
    ),
    planes("slots held that no snapshot has", (file) => file.imagePlane, /held plane has it/, range(20, 60)),
    lie(
      "a snapshot whose slots are free",
      (file) => {
        file.honestImage();
        file.snapshots([file.honestSnapshot("s")]);
        file.freeMap = file.freeMapOf(file.imagePlane, []);
        const honest = file.image;
        imageWith(file, () => []);
        file.image = honest;
      },
      { problem: /held plane has it free/ },
    ),
  ];
}

export function lyingDirectories(): Lie[] {
  const stream = (what: string, change: (bytes: Uint8Array, view: DataView) => void, problem = /directory/) =>
    lie(
      `a directory ${what}`,
      (file) => {
        file.honestImage();
        const entries = ["a", "b"].map((name) => file.honestSnapshot(name));
        const before = file.directory;
        file.snapshots(entries);
        const leaf = directoryBytes(
          entries.map(({ name, root }) => ({ name, slot: root.slot, digest: root.digest })),
        );
        change(leaf, new DataView(leaf.buffer));
        file.directory = before;
        file.directoryOf([leaf]);
      },
      { problem },
    );
  const snapshotAt = (what: string, slot: number, height = 1) =>
    lie(
      `a snapshot that lies in ${what}`,
      (file) => {
        file.honestImage();
        file.directoryOf([directoryBytes([{ name: "s", slot, digest: 7n, height }])]);
      },
      { problem: /snapshot|directory/ },
    );
  return [
    stream("of 4 GiB", (_, view) => view.setUint32(0, 0xffffffff, true)),
    stream("of 7 bytes", (_, view) => view.setUint32(0, 7, true)),
    stream("of 2^32 - 1 snapshots", (_, view) => view.setUint32(4, 0xffffffff, true)),
    stream("of no snapshots", (_, view) => view.setUint32(4, 0, true)),
    stream("with a name twice", (bytes) => bytes.set([97], 8 + 43 + 42)),
    stream("that is not in order", (bytes) => bytes.set([99], 8 + 42)),
    stream("with an empty name", (_, view) => view.setUint16(8 + 40, 0, true)),
    stream("with a name of 65535 bytes", (_, view) => view.setUint16(8 + 40, 65535, true)),
    stream("with a name that is not UTF-8", (bytes) => bytes.set([0xff], 8 + 42)),
    stream("with a hole", (bytes) => bytes.fill(0, 8)),
    lie(
      "a directory whose second leaf is missing",
      (file) => {
        file.honestImage();
        const leaf = directoryBytes([{ name: "s", slot: file.image.slot, digest: file.image.digest }]);
        const at = (index: number) => nodeBytes(new Map([[index, file.put(leaf)]]));
        file.directory = file.root(file.put(at(1)), 1);
      },
      { problem: /directory/ },
    ),
    lie(
      "names with odd characters",
      (file) => {
        file.honestImage();
        const names = [
          "../../etc/passwd",
          "a\nb",
          "\u0000",
          "\u202Eevil",
          "state.lock-1",
          "__proto__",
          "constructor",
          " ".repeat(1024),
        ];
        file.snapshots(names.map((name) => file.honestSnapshot(name)));
      },
      { problem: null },
    ),
    snapshotAt("a superblock", 0),
    snapshotAt("the forwarding slot", 2),
    snapshotAt("a block", 3),
    snapshotAt("a free slot", 120),
    snapshotAt("a slot that the file does not have", 5000),
    snapshotAt("slot 2^47", 2 ** 47),
    snapshotAt("a tree of height 200", 3, 200),
    lie(
      "forty thousand snapshots of one tree",
      (file) => {
        file.honestImage();
        file.size = 1600;
        file.superblock.runs = [{ slot: 1500, slots: 64 }];
        file.superblock.chainNext = 1500;
        const entry = file.honestSnapshot("");
        file.snapshots(Array.from({ length: 40_000 }, (_, i) => ({ ...entry, name: `s${i}` })));
      },
      { problem: null, readBytes: 512 * 2 ** 20 },
    ),
  ];
}

function directoryBytes(
  entries: { name: string; slot: number; digest: bigint; height?: number }[],
): Uint8Array {
  const bytes = new Uint8Array(SLOT);
  const view = new DataView(bytes.buffer);
  let at = 8;
  for (const { name, slot, digest, height = 1 } of entries) {
    const raw = new TextEncoder().encode(name);
    view.setBigUint64(at, BigInt(slot), true);
    view.setBigUint64(at + 8, digest, true);
    view.setUint32(at + 16, height, true);
    view.setUint16(at + 40, raw.length, true);
    bytes.set(raw, at + 42);
    at += 42 + raw.length;
  }
  view.setUint32(0, at, true);
  view.setUint32(4, entries.length, true);
  return bytes;
}

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
        file.size = 4096;
        file.superblock.runs = [{ slot: 64, slots: 4000 }];
        const entries = discards(100_000);
        for (let i = 0; i < 400; i++) {
          file.commit({ entries, header: { furtherSlot: 3000, next: 65 + i } });
        }
      },
      refused,
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

/** With a hash that accepts everything: cycles. */
export function bitingTails(): Lie[] {
  const biting = (what: string, change: (file: HostileFile) => void): Lie => {
    const file = new HostileFile(credulous);
    file.honestImage();
    change(file);
    return { what, file };
  };
  const cycle = (file: HostileFile, entries: number) => {
    const slot = file.take();
    return file.node(new Map(Array.from({ length: entries }, (_, i) => [i, { slot, digest: 1n }])), slot);
  };
  return [
    biting("an image that contains itself", (file) => {
      file.image = file.root(cycle(file, 256), 5);
    }),
    biting("a free map that contains itself", (file) => {
      file.freeMap = file.root(cycle(file, 256), 5);
    }),
    biting("a directory that contains itself", (file) => {
      file.directory = file.root(cycle(file, 256), 5);
    }),
    biting("a snapshot that contains itself", (file) => {
      file.snapshots([{ name: "s", root: file.root(cycle(file, 256), 5), sequence: 1, time: 1 }]);
    }),
    biting("a chain that comes back to its first header", (file) => {
      file.commit({ entries: [], header: { next: 64 } });
    }),
    biting("an image in its own log", (file) => {
      file.superblock.runs = [{ slot: 3, slots: 125 }];
      file.commit({ entries: [{ block: 0, slot: 64, digest: 1n }] });
    }),
  ];
}

/** Any of these lies and others, mixed: trees of random shape over the same few slots, planes, runs, chains. */
export function randomLie(random: Random): HostileFile {
  const file = new HostileFile(random.oneIn(3) ? credulous : undefined);
  const placed: Placed[] = [...file.honestImage().values()];
  const any = (): Placed => {
    if (random.oneIn(12)) return { slot: random.pick([1, 2, 64, 100, 127, 128, 2 ** 47]), digest: 1n };
    const one = random.pick(placed);
    return random.oneIn(12) ? { ...one, digest: one.digest ^ 1n } : one;
  };
  const entries = (): Map<number, Placed> =>
    new Map(
      Array.from({ length: random.pick([0, 1, 3, 256]) }, (_, i) => [
        random.oneIn(2) ? i : random.below(256),
        any(),
      ]),
    );
  for (let i = random.below(8); i > 0; i--)
    placed.push(random.oneIn(3) ? file.put(nodeBytes(entries())) : file.node(entries()));
  const root = (): Root => ({ ...any(), height: 1 + random.below(5) });
  if (random.oneIn(2)) file.image = root();
  if (random.oneIn(3)) file.directory = root();
  else if (random.oneIn(2))
    file.snapshots(
      [0, 1, 2].map((i) => ({ ...file.honestSnapshot(`s${i}`), ...(random.oneIn(2) && { root: root() }) })),
    );
  if (random.oneIn(3))
    file.freeMap = random.oneIn(2) ? root() : file.freeMapOf(file.imagePlane, [random.below(200)]);
  for (const slot of [...file.imagePlane]) if (random.oneIn(20)) file.imagePlane.delete(slot);
  if (random.oneIn(3))
    file.superblock = {
      chainNext: 20,
      runs: [
        { slot: 20, slots: 30 },
        { slot: 80, slots: 1 + random.below(60) },
      ],
    };
  if (random.oneIn(4)) file.fallback = { image: root(), freeMap: root(), directory: root() };
  if (random.oneIn(6)) file.put(blockOf(5), 2);
  for (let i = random.below(5); i > 0; i--) randomLink(file, random, any, root);
  return file;
}

function randomLink(file: HostileFile, random: Random, any: () => Placed, root: () => Root): void {
  const runs = [{ slot: 3 + random.below(100), slots: 4 + random.below(60) }];
  const header = random.oneIn(3) ? { next: 3 + random.below(120) } : {};
  const entries = Array.from({ length: random.below(4) }, (_, i) => ({
    block: 3 * i + random.below(3),
    ...any(),
  }));
  const name = `s${random.below(4)}`;
  if (random.oneIn(2)) file.commit({ entries, header });
  else if (random.oneIn(2)) file.record(Operation.Checkpoint, { name: "", image: null, runs });
  else if (random.oneIn(2)) file.record(Operation.Restore, { name, image: root(), runs });
  else
    file.record(random.pick([Operation.CreateSnapshot, Operation.DeleteSnapshot]), {
      name,
      image: null,
      runs,
    });
}
