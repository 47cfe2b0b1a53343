/** The spaces of a ternary memory by name, as the handles of spaces need them. */
export interface SpaceRegistry<Space> {
  /** The record of a space or table. NOT_FOUND. */
  find(name: string): number;
  /** Forks the space that has this record. */
  fork(record: number, name: string): Space;
  /** Of a space or table. */
  drop(name: string, record: number): void;
}
