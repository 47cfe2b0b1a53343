/**
 * The automatic commit: at the end of the event-loop turn that wrote, without a flush, which follows in the background. One flush is under way
 * at a time; what is committed meanwhile gets the next one.
 */
import { nextTurn } from "../base/turn.js";

export interface AutoCommitTarget {
  /** Whether there is anything to commit, and it may be. */
  readonly dirty: boolean;
  commitUnflushed(): void;
  flushed(): Promise<number>;
  /** A commit or flush that nobody called has failed. */
  failed(error: unknown): void;
}

export class AutoCommit {
  private scheduled = false;
  private holds = 0;
  private stopped = false;
  private flushing = false;
  private flushWanted = false;

  constructor(
    private readonly target: AutoCommitTarget,
    private readonly enabled: boolean,
    /** Whether each commit is flushed in the background. */
    private readonly flushes: boolean,
  ) {}

  /** Something was written. */
  schedule(): void {
    if (this.scheduled || !this.enabled || this.holds > 0 || this.stopped) return;
    this.scheduled = true;
    nextTurn().then(() => this.run());
  }

  hold(): Disposable {
    let held = true;
    this.holds++;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.holds--;
        if (this.holds === 0 && !this.stopped && this.target.dirty) this.schedule();
      },
    };
  }

  /** Whether it is suspended. */
  get held(): boolean {
    return this.holds > 0;
  }

  stop(): void {
    this.stopped = true;
  }

  private run(): void {
    this.scheduled = false;
    if (this.holds > 0 || this.stopped || !this.target.dirty) return;
    try {
      this.target.commitUnflushed();
    } catch (error) {
      this.target.failed(error);
      return;
    }
    if (this.flushes) this.flush();
  }

  private flush(): void {
    this.flushWanted = true;
    if (!this.flushing) void this.flushAll();
  }

  private async flushAll(): Promise<void> {
    this.flushing = true;
    try {
      while (this.flushWanted && !this.stopped) {
        this.flushWanted = false;
        await this.target.flushed();
      }
    } catch (error) {
      if (!this.stopped) this.target.failed(error);
    } finally {
      this.flushing = false;
    }
  }
}
