/** Where blocks come from: a writer's pager, a reader, a snapshot. */
export interface Source {
  read(block: number, count: number, into: Uint8Array): void;
  /** Whether the last commit has the block; one it has not reads as zeros. */
  has(block: number): boolean;
  /** Those of `count` blocks that may be something else than zeros. */
  written(block: number, count: number): Iterable<{ readonly block: number; readonly count: number }>;
}
