// For every rule a schedule in which something is lost, mixed or resurrected when the rule is switched off. A change of the model or of
// its plans moves them; exploration (explore.ts) finds new ones.

import type { Theme } from "./plans.js";
import type { RuleName } from "./rules.js";

/**
 * Theme and seed; "accounting" when what shows is a slot that is handed out although it may be needed; or the decisions of a shrunk
 * schedule, for what is very rare.
 */
export type Schedule = readonly [theme: Theme, seed: number, how?: "accounting" | readonly number[]];

/** Kept although nothing misses them: docs/adr/0008. */
export const redundant: readonly RuleName[] = ["writerNumberInChain"];

export const missed: Readonly<Partial<Record<RuleName, Schedule>>> = {
  linkToPrevious: ["torn", 1265],
  verifyUnflushedBlocks: ["crash", 6],
  scanForLostHeaders: ["inheritance", 138],
  scanRunsOfLostRecords: ["spilled", 44629],
  readSuperblocksAgain: [
    "glance",
    161191,
    [
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 2, 0,
      0, 0, 3, 1, 0, 0, 1, 0, 3, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 4, 0, 0, 0, 2, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0,
      3, 1,
    ],
  ],
  forwardingBeforeAck: ["dispute", 111],
  voidFailedHeader: ["everything", 224],
  flushAfterVoid: ["decay", 2896],
  forwardingAfterVoid: ["dispute", 8871],
  poisonAfterFailedFlush: ["doubt", 70],
  ownDescriptor: ["doubt", 1400],
  lastFlushedAtIssue: ["glimpse", 1335],
  flushBeforeSuperblock: ["torn", 44],
  flushAfterSuperblock: ["rot", 36187],
  noCommitBeforeSuperblock: ["doubt", 1030],
  recordInChain: ["inheritance", 250],
  mendNewest: ["rot", 37860],
  protectFallbackReach: ["spilled", 260],
  protectNamedRuns: ["torn", 60],
  protectNamedBlocks: ["spilled", 6, "accounting"],
  protectSpilled: ["spilled", 1153],
  holdSnapshots: ["snapshots", 63],
  rewriteSuperblock: ["decay", 14660],
  rewriteAboveLastFlushed: ["decay", 685],
  clearTornSuperblock: ["torn", 9144],
  clearNextHeader: ["torn", 5616],
  flushAfterRewrite: ["torn", 995],
  flushDirectoryWhenOpening: ["everything", 48],
  checkpointAfterReplay: ["spilled", 2126],
  forwardingAfterOpening: ["everything", 320],
  pinsProtect: ["readers", 16757],
  rereadSuperblockAfterPin: ["readers", 11125],
  followThenLook: ["readers", 510202491],
  secondWalkBeforeCorrupt: ["doubt", 374],
  readAgainBeforeCorrupt: ["glimpse", 331914],
  openBeforeRecheck: ["takeover", 190],
  recheckLocksAfterWinning: ["takeover", 1144],
  higherNumberWins: ["relay", 2746],
  rereadWriterNumber: ["relay", 19900],
  listBeforeWriterNumber: ["inheritance", 465167224],
  keepLivingRecords: ["takeover", 8],
  fenceBeforeCopy: ["takeover", 8],
  flushFence: ["relay", 112509],
  fenceOpenedFile: ["relay", 7734],
  removeNewFilesBeforeCopy: ["dispute", 9193],
  nameStillCarriesNonce: ["relay", 43],
  readAgainWhenMoved: ["inheritance", 9098],
  flushNewFileBeforeRename: ["dispute", 73],
  rereadNonceBeforeRename: ["takeover", 104],
  nameStillCarriesNumber: ["takeover", 30585],
  forwardingBeforeOwnFence: ["takeover", 3176],
  fenceAfterCompaction: ["takeover", 3261],
};
