// Every rule of the protocol as a switch. All are on in the protocol; the mutant tests switch one off and expect that
// exploration finds a schedule in which something is lost, mixed or resurrected.

export const protocol = {
  // Walking a chain (FORMAT §7)
  /** A header belongs to the chain only when its `previous` is the digest of the header before it. */
  linkToPrevious: true,
  /** A header's writer is not less than the superblock's. */
  writerNumberInChain: true,
  /** The blocks of commits above the last flushed one are verified; the chain ends before the first that is not whole. */
  verifyUnflushedBlocks: true,
  /** After the walk the rest of the log runs is searched for proof that flushed commits are missing. */
  scanForLostHeaders: true,

  /** … and so are the runs that records found there name. */
  scanRunsOfLostRecords: true,
  /** Only when neither superblock is whole three times there is none. */
  readSuperblocksAgain: true,

  // Commit (§9)
  /** After writing and before acknowledging, the writer reads the forwarding slot. */
  forwardingBeforeAck: true,
  /** The header of a commit whose write failed is overwritten with zeros. */
  voidFailedHeader: true,
  /** … and flushed, before the failure is reported. */
  flushAfterVoid: true,
  /** … and the forwarding slot is read before the failure is reported. */
  forwardingAfterVoid: true,
  /** After a failed flush the handle writes nothing more. */
  poisonAfterFailedFlush: true,
  /** A flush in the background has a file description of its own. */
  ownDescriptor: true,
  /** `last flushed` is the last sequence written when the flush was issued, not when it completed. */
  lastFlushedAtIssue: true,

  // Checkpoint (§9)
  /** The record and the trees are flushed before the superblock is written. */
  flushBeforeSuperblock: true,
  /** The superblock is flushed before what only the one before the fallback reached is released. */
  flushAfterSuperblock: true,
  /** No commit is written between the record and the superblock. */
  noCommitBeforeSuperblock: true,
  /** A checkpoint writes its record into the chain before the superblock. */
  recordInChain: true,
  /** The newest superblock is read, and written again when it has rotted, before the other one is overwritten. */
  mendNewest: true,
  /** What the fallback reaches is not written. */
  protectFallbackReach: true,
  /** Log runs that a record names are part of a superblock's reach. */
  protectNamedRuns: true,
  /** Slots that commits of the chain name are part of a superblock's reach, even outside its log runs. */
  protectNamedBlocks: true,
  /** The slots of uncommitted spilled blocks are not handed out. */
  protectSpilled: true,
  /** Creating a snapshot marks the slots of the image as held. */
  holdSnapshots: true,

  // Opening for writing (§9)
  /** The newest superblock is written again first: an earlier process may have failed to flush it. */
  rewriteSuperblock: true,
  /** The segments above the last flushed one are written again, for the same reason. */
  rewriteAboveLastFlushed: true,
  /** A superblock that is not whole is overwritten with zeros, lest another torn write completes it. */
  clearTornSuperblock: true,
  /** Zeros are written where the header after the last commit lies or will lie, for the same reason. */
  clearNextHeader: true,
  /** All this is flushed before anything else is written. */
  flushAfterRewrite: true,
  /** … and so is the directory: the link or rename that brought the file its name may not be. */
  flushDirectoryWhenOpening: true,
  /** An opening that found something to replay ends with a checkpoint. */
  checkpointAfterReplay: true,
  /** The forwarding slot is read at the end of opening. */
  forwardingAfterOpening: true,

  // Readers (§9)
  /** The writer does not reuse what a pin reaches. */
  pinsProtect: true,
  /** A reader reads the superblocks again after writing its pin. */
  rereadSuperblockAfterPin: true,
  /** Who goes on along the chain looks after that whether the superblock is still the newest. */
  followThenLook: true,
  /** A reader says CORRUPT only after a second walk that ends at the same place under the same superblock. */
  secondWalkBeforeCorrupt: true,
  /** … and only about a slot that still does not verify then. */
  readAgainBeforeCorrupt: true,

  // The writer's lock (§9)
  /** The file is opened before the locks are listed again, and that open file is the one that is used. */
  openBeforeRecheck: true,
  /** After linking its record a writer lists the locks again. */
  recheckLocksAfterWinning: true,
  /** … and gives way to a higher number. */
  higherNumberWins: true,
  /** … and gives way when the superblock already carries its number. */
  rereadWriterNumber: true,
  /** … which is read after the locks were listed: who is not in the list has closed, and what it wrote is there. */
  listBeforeWriterNumber: true,
  /** Records of living processes are removed only after the relocation. */
  keepLivingRecords: true,

  // Relocation and compaction (§9)
  /** A relocation sets the forwarding slot before it copies. */
  fenceBeforeCopy: true,
  /** … and flushes it. */
  flushFence: true,
  /** … in the file that was opened under the lock, not in what the name leads to later. */
  fenceOpenedFile: true,
  /** Copies of others are removed after the fence. */
  removeNewFilesBeforeCopy: true,
  /** The file under the name must still carry the nonce after that. */
  nameStillCarriesNonce: true,
  /** Who copies begins again when the superblock has moved meanwhile. */
  readAgainWhenMoved: true,
  /** The new file is flushed before the rename. */
  flushNewFileBeforeRename: true,
  /** The nonce is read again before the rename. */
  rereadNonceBeforeRename: true,
  /** After the rename the name must lead to a file with the own writer number. */
  nameStillCarriesNumber: true,
  /** A compaction reads the forwarding slot after its copy, before it sets it. */
  forwardingBeforeOwnFence: true,
  /** A compaction sets the forwarding slot of the old file before the rename. */
  fenceAfterCompaction: true,
};

export type Rules = { readonly [Name in keyof typeof protocol]: boolean };
export type RuleName = keyof Rules;

export function without(name: RuleName): Rules {
  return { ...protocol, [name]: false };
}
