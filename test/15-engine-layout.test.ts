// What others depend on: the addresses that docs/ENGINE.md prints, the codes, and the list of exports.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { engineConstants, exportNames } from "./support/engine-harness.js";

const page = readFileSync(new URL("../../docs/ENGINE.md", import.meta.url), "utf8");

/** Every export of the module. One that is gone or renamed breaks the host; a new one is added here. */
const expectedExports = `
  ABSENT ADDRESS_MIN ADDRESS_NOT_MAPPED ALREADY_MAPPED BUSY CLEAN CLUSTER_BLOCKS CLUSTER_BYTES COMMIT_COUNT CORRUPT DIRTY DIRTY_COUNT DIRTY_LIST DIRTY_WINDOWS DISCARDED
  DOUBLE_FREE DUPLICATE EMPTY ENTRY_NAME EXCHANGE EXCHANGE_BYTES EXTENT_CLUSTERS EXTENT_LENGTH EXTENT_OWNER EXTENT_OWNER_BYTES
  GROWTH_LOCK HASH_DIGESTS HASH_DIGESTS_BYTES HASH_STAGING HASH_STAGING_BYTES HEADER HEAP HEAP_BLOCKS
  HEAP_BOUNDS HEAP_LIMIT INVALID_ADDRESS INVALID_ALIGNMENT INVALID_ARGUMENT LIMIT LOW_IMAGE MAP_END MUST_MOVE MUST_TOUCH
  NAME_BYTES_MAX NOT_FOUND NO_FRAME OK OUT_OF_MEMORY PAGE_MAP PERMISSION_DENIED RECORD REGISTRY_KINDS SPANS STATES STATE_EPOCH UNFLUSHED VERSION WATCHED WATCHED_DIRTY
  WINDOWS WINDOWS_MAX WINDOW_DESCRIPTORS WINDOW_EPOCH WINDOW_LIMIT
  alloc blockOf createRegion discard dropBlocks dropClusters extentCount fetch forget format frameStatistics giveExtent giveFrames
  hash hashAbsorb hashBegin hashBlocks hashFinish hashTo heapStatistics isFrameUsed mount nextExtent raiseEnd
  realloc registryCount registryDelete registryFind registryNext registrySet release resizeExtent revert settle
  sizeOf tableDelete tableDropPage tableFind tableInsert tablePage tableTakeRun tableUpdate takeExtent takeFrames
  takeFramesAt touch treeCreate treeDelete treeDestroy treeFind treeFindFirst treeInsert treeReplace treeSeek trim unwatch
  watch windowOf
`;

describe("engine: layout", () => {
  it("exports what it did", () => {
    assert.deepEqual([...exportNames].sort(), expectedExports.trim().split(/\s+/).sort());
  });

  it("has its areas where the page says", () => {
    const printed: Record<string, string> = {
      HASH_DIGESTS: "0x0001_1000",
      HASH_STAGING: "0x0002_0000",
      MAP_END: "0x0003_0000",
      DIRTY_COUNT: "0x0003_0000",
      EXCHANGE: "0x0003_1000",
      RECORD: "0x0003_3000",
      STATES: "0x0010_0000",
      DIRTY_LIST: "0x0020_0000",
      WINDOW_DESCRIPTORS: "0x0100_1000",
      WINDOWS: "0x0400_0000",
      LOW_IMAGE: "0x1000_0000",
      HEADER: "0x1000_0000",
      HEAP_BOUNDS: "0x1000_1000",
      PAGE_MAP: "0x1010_0000",
      SPANS: "0x1050_0000",
      HEAP: "0x1400_0000",
    };
    for (const [name, text] of Object.entries(printed)) {
      assert.equal(engineConstants[name], Number(text.replace("_", "")), name);
      assert.ok(page.includes(`| \`${text}\` |`), `${text} is not on the page`);
    }
    assert.equal(engineConstants.HEAP_LIMIT, (engineConstants.DIRTY_COUNT as number) + 8);
    assert.equal(engineConstants.GROWTH_LOCK, (engineConstants.DIRTY_COUNT as number) + 4);
    assert.equal(engineConstants.WINDOW_LIMIT, (engineConstants.DIRTY_COUNT as number) + 12);
    assert.equal(engineConstants.WINDOW_EPOCH, (engineConstants.DIRTY_COUNT as number) + 16);
    assert.equal(engineConstants.DIRTY_WINDOWS, (engineConstants.DIRTY_COUNT as number) + 20);
    assert.equal(engineConstants.WINDOWS_MAX, 4915);
    assert.equal(engineConstants.CLUSTER_BYTES, 40_960);
    assert.equal(engineConstants.HEAP_BLOCKS, 966_656);
  });

  it("numbers the states as the page does", () => {
    const names = ["ABSENT", "EMPTY", "DISCARDED", "CLEAN", "WATCHED", "DIRTY", "WATCHED_DIRTY"];
    for (const [number, name] of names.entries()) {
      assert.equal(engineConstants[name], number);
      assert.ok(page.includes(`| ${number} \`${name}\` |`), name);
    }
  });
});
