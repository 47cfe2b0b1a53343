// The lies. Each case builds a file and says how it must be found out: refused with a code, or reported by check().

import { EMPTY_ROOT } from "../../bindings/format/superblock.js";
import { HostileFile, nodeBytes, type Placed } from "./hostile-builder.js";
import { SLOT } from "./hostile-samples.js";

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
export function lie(
  what: string,
  change: (file: HostileFile) => void,
  found: Omit<Lie, "what" | "file"> = {},
): Lie {
  const file = new HostileFile();
  change(file);
  return { what, file, ...found };
}

export const refused = { reader: "CORRUPT", writer: "CORRUPT" };
/** Entries of the honest image with some replaced. */
function imageWith(
  file: HostileFile,
  entries: (honest: Map<number, Placed>) => Iterable<readonly [number, Placed]>,
): void {
  const honest = file.honestImage();
  file.image = file.root(file.node(new Map([...honest, ...entries(honest)])), 1);
}

/** Five levels of one node each, referenced 256 times. */
export function bombOver(file: HostileFile, bottom: Placed, levels: number): Placed {
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
      "five thousand snapshots of one tree",
      (file) => {
        file.honestImage();
        file.size = 1600;
        file.superblock.runs = [{ slot: 1500, slots: 64 }];
        file.superblock.chainNext = 1500;
        const entry = file.honestSnapshot("");
        file.snapshots(Array.from({ length: 5000 }, (_, i) => ({ ...entry, name: `s${i}` })));
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
