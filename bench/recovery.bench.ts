// Opening after a kill: the chain of commits since the last checkpoint is followed, verified and made durable again. A file as a
// kill leaves it is a copy made while its writer is open.

import fs from "node:fs";
import { join } from "node:path";
import type { Pager } from "../bindings/pager/pager.js";
import { Random } from "../test/support/random.js";
import type { Case, Workload } from "./harness.js";
import { scratchFolder } from "./harness.js";
import { blockBytes, blockMemory, emptyFolder, flushFile, openPerdurePager, stateName } from "./stores.js";

const liveBlocks = 4096;
/** How often a chain is tried to be made as long as wanted: log runs grow from one checkpoint to the next. */
const attempts = 20;

interface Chain {
  commits: number;
  /** Of each commit. */
  blocks: number;
  flushed: boolean;
}

function recoveryCase(name: string, chain: Chain): Case {
  const title = name.replace(/\W+/g, "-");
  const folder = `recovery/${title}`;
  let template = "";
  let pager: Pager | null = null;
  const drop = (): void => {
    pager?.abandon();
    pager = null;
    emptyFolder(scratchFolder(folder));
  };
  return {
    name,
    setup() {
      template = join(scratchFolder("recovery"), `${title}.template`);
      const writer = openPerdurePager(emptyFolder(scratchFolder(folder)));
      writeChain(writer, chain);
      fs.copyFileSync(join(scratchFolder(folder), stateName), template);
      writer.close();
    },
    prepare() {
      drop();
      const copy = join(scratchFolder(folder), stateName);
      fs.copyFileSync(template, copy);
      flushFile(copy);
    },
    run() {
      pager = openPerdurePager(scratchFolder(folder));
    },
    teardown() {
      drop();
      fs.rmSync(template, { force: true });
    },
  };
}

/** Leaves exactly `commits` commits after the last checkpoint. */
function writeChain(pager: Pager, { commits, blocks, flushed }: Chain): void {
  const memory = blockMemory(liveBlocks);
  const random = new Random(commits);
  const block = (at: number) => memory.subarray(at * blockBytes, (at + 1) * blockBytes);
  pager.commit([{ block: 0, count: liveBlocks, bytes: memory }]);
  for (let attempt = 0; attempt < attempts; attempt++) {
    pager.checkpoint();
    for (let i = 0; i < commits; i++) {
      const chosen = new Set<number>();
      while (chosen.size < blocks) chosen.add(random.below(liveBlocks));
      pager.commit(
        [...chosen].map((at) => ({ block: at, count: 1, bytes: block(at) })),
        flushed,
      );
    }
    if (pager.stats().chain.commits === commits) return;
  }
  throw new Error(`no chain of ${commits} commits of ${blocks} blocks came about`);
}

const workload: Workload = {
  name: `open after a kill, by the chain since the last checkpoint (commits of 1 block, ${(liveBlocks * blockBytes) / 2 ** 20} MiB live)`,
  unit: "ms",
  reference: "closed well",
  iterations: 1,
  rounds: 9,
  cases: [
    recoveryCase("closed well", { commits: 0, blocks: 0, flushed: true }),
    recoveryCase("1 commit", { commits: 1, blocks: 1, flushed: true }),
    recoveryCase("10 commits", { commits: 10, blocks: 1, flushed: true }),
    recoveryCase("100 commits", { commits: 100, blocks: 1, flushed: true }),
    recoveryCase("1,000 commits", { commits: 1000, blocks: 1, flushed: true }),
    recoveryCase("1,000 commits, not flushed", { commits: 1000, blocks: 1, flushed: false }),
    recoveryCase("4,000 commits", { commits: 4000, blocks: 1, flushed: true }),
    recoveryCase("4,000 commits, not flushed", { commits: 4000, blocks: 1, flushed: false }),
    recoveryCase("64 MiB in 250 commits", { commits: 250, blocks: 64, flushed: true }),
    recoveryCase("64 MiB in 250 commits, not flushed", { commits: 250, blocks: 64, flushed: false }),
  ],
};

export default workload;
