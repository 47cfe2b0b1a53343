/** The lines of a file. A line ends with a line feed or at the end of the file, and a carriage return before either is not part of it. */
import { FileRecords } from "./file-records.js";

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

export class FileLines extends FileRecords {
  readonly noun = "line";

  next(last: boolean): Uint8Array | null {
    for (;;) {
      const at = this.buffer.subarray(0, this.end).indexOf(LINE_FEED, this.start + this.searched);
      if (at >= 0) return this.line(at, at + 1);
      if (!this.fill()) return last && this.end > this.start ? this.line(this.end, this.end) : null;
    }
  }

  private line(end: number, next: number): Uint8Array {
    const { start, buffer } = this;
    return this.give(start, end > start && buffer[end - 1] === CARRIAGE_RETURN ? end - 1 : end, next);
  }
}
