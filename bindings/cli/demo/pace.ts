/** A source that has nothing at hand as long as its gate is closed: so a process can be made to wait between two commits, as for a peer that is slow. */
import type { Reader, Start } from "../../api/pipe/source.js";
import type { Source } from "../../index.js";

export class Gate {
  private opened: Promise<boolean> | null = null;
  private release: () => void = () => {};

  close(): void {
    this.opened ??= new Promise((resolve) => {
      this.release = () => resolve(true);
    });
  }

  open(): void {
    this.opened = null;
    this.release();
  }

  /** Resolves when it opens; null while it is open. */
  get opening(): Promise<boolean> | null {
    return this.opened;
  }
}

export function paced<T>(source: Source<T>, gate: Gate): Source<T> {
  const { kind, label } = source;
  return { kind, label, open: async (start: Start) => new PacedReader(await source.open(start), gate) };
}

class PacedReader<T> implements Reader<T> {
  constructor(
    private readonly reader: Reader<T>,
    private readonly gate: Gate,
  ) {}

  get offset(): number {
    return this.reader.offset;
  }

  get slot(): number {
    return this.reader.slot;
  }

  take(push: (record: T) => void, most: number): number {
    return this.gate.opening === null ? this.reader.take(push, most) : 0;
  }

  more(signal: AbortSignal): boolean | Promise<boolean> {
    return this.gate.opening ?? this.reader.more(signal);
  }

  remaining(records: number): number | undefined {
    return this.reader.remaining(records);
  }

  fingerprint(): bigint {
    return this.reader.fingerprint();
  }

  close(): void {
    this.reader.close();
  }
}
