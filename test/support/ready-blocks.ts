// What a memory remembers of blocks that are ready, which programs do not see.

import assert from "node:assert/strict";
import type { ReadyBlocks } from "../../bindings/api/ready-blocks.js";
import { HEAP } from "../../bindings/api/session.js";
import type { Memory } from "../../bindings/index.js";

const blockBytes = 4096;

export function readyBlocksOf(memory: Memory): { reading: ReadyBlocks; writing: ReadyBlocks } {
  return memory as unknown as ReturnType<typeof readyBlocksOf>;
}

/** Every block that is taken for ready is ready. */
export function assertReadyBlocks(memory: Memory): void {
  const { reading, writing } = readyBlocksOf(memory);
  const { states, bytes } = memory.engine.core;
  for (let block = HEAP / blockBytes; block < bytes.length / blockBytes; block++) {
    for (const ready of [reading, writing])
      if (ready.has(block * blockBytes)) assert.ok(states[block] >= ready.least, `block ${block}`);
  }
}
