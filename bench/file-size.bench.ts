// How large the files of a store become while 20,000 live blocks are updated at random: the most that was seen, side files included.

import { DEFAULT_LIMITS } from "../bindings/pager/writer-state.js";
import { Random } from "../test/support/random.js";
import type { Case, Workload } from "./harness.js";
import { scratchFolder } from "./harness.js";
import {
  type BlockChange,
  blockBytes,
  blockMemory,
  emptyFolder,
  folderBytes,
  hasher,
  type OpenStore,
  openLevel,
  openLmdb,
  openPerdure,
  openSqlite,
  type Store,
} from "./stores.js";

const liveBlocks = 20_000;
const updatedBlocks = 5 * liveBlocks;
const fillBlocks = 1000;
/** The files are measured so often while the updates run. */
const samples = 100;
const barBytes = 2 * (liveBlocks + DEFAULT_LIMITS.chainSlots) * blockBytes;

let memory: Uint8Array = new Uint8Array(0);

function change(block: number): BlockChange {
  if (memory.buffer !== hasher.memory.buffer) memory = blockMemory(liveBlocks);
  return { block, count: 1, bytes: memory.subarray(block * blockBytes, (block + 1) * blockBytes) };
}

function sizeWorkload(title: string, sizes: readonly number[]): Workload {
  const build = (name: string, open: OpenStore): Case => sizeCase(name, open, sizes);
  return {
    name: `largest size of the files while ${liveBlocks.toLocaleString("en-US")} blocks (${toMebibytes(liveBlocks * blockBytes)} MiB) are updated, ${title}`,
    unit: "MiB",
    iterations: 1,
    rounds: 1,
    cases: [
      { ...build("perdure", openPerdure), bars: [{ mebibytesAtMost: toMebibytes(barBytes) }] },
      build("LMDB", openLmdb),
      build("SQLite, WAL", openSqlite),
      build("LevelDB", openLevel),
    ],
  };
}

/** Commits of `sizes` blocks in turn, until enough blocks were updated. */
function sizeCase(name: string, open: OpenStore, sizes: readonly number[]): Case {
  const folder = `file-size/${name.replace(/\W+/g, "-")}`;
  let store: Store | null = null;
  return {
    name,
    async setup() {
      store = await open(emptyFolder(scratchFolder(folder)), false);
      for (let block = 0; block < liveBlocks; block += fillBlocks) {
        await store.commit(Array.from({ length: fillBlocks }, (_, i) => change(block + i)));
      }
    },
    async run() {
      const random = new Random(1);
      let largest = 0;
      let due = 0;
      for (let done = 0, turn = 0; done < updatedBlocks; turn++) {
        const count = sizes[turn % sizes.length];
        const chosen = new Set<number>();
        while (chosen.size < count) chosen.add(random.below(liveBlocks));
        const changes = [...chosen].map(change);
        for (const { bytes } of changes) bytes[turn % 8]++;
        await store?.commit(changes);
        done += count;
        if (done < due) continue;
        largest = Math.max(largest, folderBytes(scratchFolder(folder)));
        due += updatedBlocks / samples;
      }
      return largest;
    },
    async teardown() {
      await store?.close();
      emptyFolder(scratchFolder(folder));
    },
  };
}

const toMebibytes = (bytes: number): number => bytes / 2 ** 20;

export default [
  sizeWorkload("8 in a commit", [8]),
  sizeWorkload("1,024 in a commit", [1024]),
  sizeWorkload("1 to 1,024 in a commit", [1, 1024, 8, 64, 3, 300]),
];
