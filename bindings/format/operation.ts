/** What a segment header does besides linking the chain. All but `Commit` are records, which a checkpoint begins with. */
export enum Operation {
  Commit = 0,
  Checkpoint = 1,
  CreateSnapshot = 2,
  DeleteSnapshot = 3,
  Restore = 4,
}
