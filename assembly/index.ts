/*
 * What the engine exports to the host: a flat list, no logic.
 */

export {
  ADDRESS_NOT_MAPPED,
  ALREADY_MAPPED,
  BUSY,
  CORRUPT,
  DOUBLE_FREE,
  DUPLICATE,
  INVALID_ADDRESS,
  INVALID_ALIGNMENT,
  INVALID_ARGUMENT,
  LIMIT,
  MUST_MOVE,
  MUST_TOUCH,
  NOT_FOUND,
  OK,
  OUT_OF_MEMORY,
  PERMISSION_DENIED,
  VERSION,
} from "./base/codes";
export {
  ADDRESS_MIN,
  CLUSTER_BLOCKS,
  CLUSTER_BYTES,
  COMMIT_COUNT,
  DIRTY_COUNT,
  DIRTY_LIST,
  DIRTY_WINDOWS,
  EXCHANGE,
  EXCHANGE_BYTES,
  GROWTH_LOCK,
  HASH_DIGESTS,
  HASH_DIGESTS_BYTES,
  HASH_STAGING,
  HASH_STAGING_BYTES,
  HEADER,
  HEAP,
  HEAP_BLOCKS,
  HEAP_BOUNDS,
  HEAP_LIMIT,
  LOW_IMAGE,
  MAP_END,
  PAGE_MAP,
  RECORD,
  SPANS,
  STATE_EPOCH,
  STATES,
  UNFLUSHED,
  WINDOW_DESCRIPTORS,
  WINDOW_EPOCH,
  WINDOW_LIMIT,
  WINDOWS,
} from "./base/memory-map";
export { hash, hashAbsorb, hashBegin, hashBlocks, hashFinish, hashTo } from "./block/hash-blocks";
export {
  ABSENT,
  CLEAN,
  DIRTY,
  DISCARDED,
  discard,
  EMPTY,
  fetch,
  forget,
  revert,
  settle,
  touch,
  unwatch,
  WATCHED,
  WATCHED_DIRTY,
  watch,
} from "./block/states";
export { REGISTRY_KINDS } from "./block/header";
export { WINDOWS_MAX } from "./block/window-table";
export {
  dropBlockNumbers as dropBlocks,
  dropClusterNumbers as dropClusters,
  windowOfNumber as windowOf,
} from "./block/windows";
export {
  createRegion,
  giveFrames,
  isFrameUsed,
  NO_FRAME,
  raiseEnd,
  takeFrames,
  takeFramesAt,
} from "./frame/frames";
export { frameStatistics } from "./frame/statistics";
export { treeCreate, treeDestroy, treeFind, treeFindFirst, treeReplace, treeSeek } from "./object/btree";
export { treeDelete } from "./object/btree-delete";
export { treeInsert } from "./object/btree-insert";
export {
  EXTENT_CLUSTERS,
  EXTENT_LENGTH,
  EXTENT_OWNER,
  EXTENT_OWNER_BYTES,
  extentCount,
  giveExtent,
  nextExtent,
  resizeExtentToNumber as resizeExtent,
  takeExtentOfNumber as takeExtent,
} from "./heap/extents";
export { alloc, blockOf, realloc, release, sizeOf, trim } from "./heap/heap";
export { heapStatistics } from "./heap/statistics";
export { format, mount } from "./object/image";
export {
  ENTRY_NAME,
  NAME_BYTES_MAX,
  registryCount,
  registryDelete,
  registryFind,
  registryNext,
  registrySet,
} from "./object/registry";
export {
  tableDelete,
  tableDropPage,
  tableFind,
  tableInsert,
  tablePage,
  tableTakeRun,
  tableUpdate,
} from "./object/table";
