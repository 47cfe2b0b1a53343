/*
 * What the ternary module exports to the host: a flat list, no logic.
 */

export {
  KERNEL_RESULTS,
  KERNEL_RESULTS_BYTES,
  KERNEL_VECTOR,
  KERNEL_VECTOR_BYTES,
} from "./base/memory-map";
export { createMemory, destroyMemory, REGIONS_MAX } from "./page/create";
export { allocateFrames, deallocateFrame, frameAddress, frameOwners } from "./page/frames-host";
export { map, unmap } from "./page/mapper";
export {
  addMapping,
  copyFrame,
  dropMapping,
  holdFrame,
  isHeld,
  mappingsOf,
  passToHolder,
  takeFrame,
} from "./page/physical";
export { mapRegion, protect, unmapRegion } from "./page/ranges";
export { createSpace, dropSpace, forkSpace } from "./page/spaces";
export { memoryStatistics } from "./page/statistics";
export { spaceStatistics, sweep } from "./page/survey";
export { contextOf } from "./page/tlb";
export {
  cellsAt,
  describePage,
  loadTryte,
  NO_TRYTE,
  storeTryte,
  touchPage,
  translate,
} from "./page/translate";
export { packBytes, unpackBytes } from "./trit/bytes";
export { PAGE_TRYTES } from "./trit/constants";
export { multiplyBytes, multiplyFloats } from "./trit/products";
export { packRows, spreadTail, unpackRow } from "./trit/rows";
export { addTrytes, greaterTrytes, lesserTrytes, negateTrytes, subtractTrytes } from "./trit/trytes";
