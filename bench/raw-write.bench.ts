// What the disk itself costs: one 4 KiB write into a file that was written in full before, with and without
// waiting for the device. The other durable workloads are judged against these figures.

import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Case, Workload } from "./harness.js";
import { scratchFolder } from "./harness.js";

const blockBytes = 4096;
const blockCount = 4096;

function rawWrite(name: string, flush: boolean): Case {
  const path = join(scratchFolder("raw-write"), flush ? "flush" : "no-flush");
  const block = Buffer.alloc(blockBytes, 0x5a);
  let file = -1;
  let next = 0;
  return {
    name,
    setup() {
      file = openSync(path, "w+");
      writeSync(file, Buffer.alloc(blockBytes * blockCount), 0, blockBytes * blockCount, 0);
      fsyncSync(file);
    },
    run(iterations) {
      for (let left = iterations; left > 0; left--) {
        writeSync(file, block, 0, blockBytes, next * blockBytes);
        next = (next + 1) % blockCount;
        if (flush) fdatasyncSync(file);
      }
    },
    teardown() {
      closeSync(file);
      rmSync(path);
    },
  };
}

const workload: Workload = {
  name: "raw 4 KiB write",
  unit: "ops/s",
  reference: "write + fdatasync",
  cases: [rawWrite("write + fdatasync", true), rawWrite("write", false)],
};

export default workload;
