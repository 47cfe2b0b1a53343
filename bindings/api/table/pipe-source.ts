/**
 * A table as the source of a pipe: its rows in the order of their ids, from a page and slot on. The table's record counts the pipes that have a cursor on
 * it; while there is one, new rows get ids beyond all there were, so that none comes to lie behind a cursor.
 */
import { pause } from "../commits.js";
import type { Position, Reader, Start } from "../pipe/source.js";
import { Kind, Registry } from "../roots.js";
import type { Session } from "../session.js";
import type { TableHandle } from "./handle.js";
import { Scanner } from "./scan.js";
import { TABLE } from "./storage.js";

const SLOTS = 512;

/** Adds to the number of pipes that have a cursor on a table; nothing when there is no such table. */
export function countCursors(memory: Session, table: string, difference: number): void {
  const entry = new Registry(memory, Kind.Table).find(table);
  if (entry === null) return;
  const { engine } = memory;
  const at = entry.address + TABLE.cursors;
  engine.ensureWritable();
  engine.ensure(at, 4, true);
  engine.core.data.setUint32(at, engine.core.data.getUint32(at, true) + difference, true);
}

export class TableReader<R> implements Reader<R>, Position {
  private readonly scanner: Scanner;

  constructor(
    private readonly handle: TableHandle,
    private readonly start: Start,
  ) {
    handle.ensureCurrent();
    this.scanner = new Scanner(handle, start.offset * SLOTS + start.slot, handle.storage.end);
  }

  /** The page. */
  get offset(): number {
    return Math.floor(this.scanner.position / SLOTS);
  }

  get slot(): number {
    return this.scanner.position % SLOTS;
  }

  take(push: (record: R) => void, most: number): number {
    const { handle, scanner } = this;
    let taken = 0;
    while (taken < most && scanner.next()) {
      push(handle.rowAt(scanner.id, scanner.address) as R);
      taken++;
    }
    return taken;
  }

  more(signal: AbortSignal): boolean | Promise<boolean> {
    return this.start.follow ? this.grown(signal) : false;
  }

  private async grown(signal: AbortSignal): Promise<boolean> {
    const { handle, scanner } = this;
    const { memory } = handle;
    const committed = scanner.to;
    for (;;) {
      handle.ensureCurrent();
      scanner.to = handle.storage.end;
      if (scanner.to > committed) return true;
      if (signal.aborted) return false;
      await pause(memory, signal, (done) => {
        memory.addEventListener("commit", done);
        return () => memory.removeEventListener("commit", done);
      });
      memory.ensureOpen();
    }
  }

  /** As if every page had as many rows as the others. */
  remaining(): number {
    const { handle, scanner } = this;
    const { storage } = handle;
    handle.ensureCurrent();
    const first = storage.readU64(TABLE.first) * SLOTS;
    const all = Math.max(1, scanner.to - first);
    const ahead = Math.max(0, scanner.to - Math.max(first, scanner.position));
    return Math.round((storage.readU64(TABLE.rows) * ahead) / all);
  }

  fingerprint(): bigint {
    return 0n;
  }

  close(): void {}
}
