/** Named commits that stay: each is the whole image as it was. */
import { PerdureError } from "../base/errors.js";
import type { Session } from "./session.js";

export interface SnapshotInfo {
  readonly name: string;
  /** Of the commit that it keeps. */
  readonly sequence: number;
  readonly createdAt: Date;
}

/** `M` is what a snapshot is opened as. */
export class Snapshots<M> {
  /** @internal */
  constructor(
    private readonly memory: Session,
    private readonly openOne: (name: string) => M,
  ) {}

  /** Commits, and keeps the commit under a name. Costs what changed since the last checkpoint, not what the image has. */
  create(name: string): void {
    const pager = this.writer("snapshots.create()");
    if (this.memory.engine.dirty) this.memory.commitNow(false);
    pager.createSnapshot(name);
  }

  /** Sorted by name. */
  list(): SnapshotInfo[] {
    this.memory.ensureOpen();
    const { pager, reader } = this.memory.origin;
    const entries = pager?.snapshots ?? reader?.snapshots ?? [];
    return entries
      .map(({ name, sequence, time }) => ({ name, sequence, createdAt: new Date(time) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Opens a snapshot for reading; close it when done. NOT_FOUND. */
  open(name: string): M {
    this.memory.ensureOpen();
    return this.openOne(name);
  }

  /** Makes the memory what it was then, as a new commit. What was not committed is dropped; all snapshots stay. NOT_FOUND. */
  restore(name: string): void {
    const pager = this.writer("snapshots.restore()");
    const { engine } = this.memory;
    try {
      pager.restoreSnapshot(name);
    } catch (error) {
      // What was spilled is dropped already, so the rest must be.
      if (!(error instanceof PerdureError) || error.code !== "NOT_FOUND") engine.rollback();
      throw error;
    }
    engine.showAnother();
  }

  /** Gives back what only this snapshot keeps. LOCKED while it is open. NOT_FOUND. */
  delete(name: string): void {
    this.writer("snapshots.delete()").deleteSnapshot(name);
  }

  private writer(what: string) {
    const { memory } = this;
    memory.ensureOpen();
    memory.refuseInside(what);
    if (memory.readOnly)
      throw new PerdureError("READ_ONLY", `${what}: this memory was opened for reading only`);
    if (what !== "snapshots.restore()") memory.engine.ensureWritable();
    return memory.engine.pager;
  }
}
