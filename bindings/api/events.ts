/** What a memory tells its listeners. */

/** `commit`: something was committed. */
export class CommitEvent extends Event {
  constructor(readonly sequence: number) {
    super("commit");
  }
}

/** `error`: an automatic commit or its flush has failed. The next write throws the same error. */
export class MemoryErrorEvent extends Event {
  constructor(readonly error: unknown) {
    super("error");
  }
}
