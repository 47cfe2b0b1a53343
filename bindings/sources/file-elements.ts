/**
 * The elements of a file that is one JSON array. They are found by their quotation marks and brackets alone; whether one is JSON is for its parser to say. So a
 * malformed element costs itself, and an array that is malformed between elements is an error.
 *
 * Invariant: the offset is 0 or directly behind an element. What stands between two is looked at again by whoever goes on there.
 */
import { PerdureError } from "../base/errors.js";
import { FileRecords } from "./file-records.js";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [OPEN, CLOSE] = [0x5b, 0x5d];
const [OPEN_BRACE, CLOSE_BRACE] = [0x7b, 0x7d];
const BLANKS: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];
const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf];

/** What may come next between elements. */
type Expected = "[" | "an element or ]" | "an element" | ", or ]" | "nothing more";

export class FileElements extends FileRecords {
  readonly noun = "element";
  private expected: Expected | null = null;
  /** Bytes from `start` on to the element; −1 before it. */
  private lead = -1;
  /** Within an element: open brackets and braces, and whether this is within quotation marks, or behind a backslash in them. */
  private depth = 0;
  private inText = false;
  private isEscaped = false;

  next(): Uint8Array | null {
    this.expected ??= this.offset === 0 ? "[" : ", or ]";
    for (;;) {
      const end = this.lead < 0 && !this.begin() ? -1 : this.findEnd();
      if (end >= 0) {
        const from = this.start + this.lead;
        this.lead = -1;
        this.expected = ", or ]";
        return this.give(from, end, end);
      }
      if (this.fill()) continue;
      if (this.lead >= 0)
        throw this.error(`the file ends within the element at byte ${this.offset + this.lead}`);
      if (this.expected !== "nothing more") throw this.error(`expected ${this.expected}, but the file ends`);
      return null;
    }
  }

  /** Goes to the first byte of the next element; false when it is not at hand. */
  private begin(): boolean {
    for (let at = this.start + this.searched; at < this.end; at++) {
      const byte = this.buffer[at];
      const { expected } = this;
      if (BLANKS.includes(byte) || (expected === "[" && BYTE_ORDER_MARK.includes(byte))) continue;
      if (byte === OPEN && expected === "[") this.expected = "an element or ]";
      else if (byte === CLOSE && (expected === "an element or ]" || expected === ", or ]"))
        this.expected = "nothing more";
      else if (byte === COMMA && expected === ", or ]") this.expected = "an element";
      else if (expected?.startsWith("an element") && byte !== CLOSE && byte !== COMMA) {
        this.lead = at - this.start;
        this.searched = this.lead;
        return true;
      } else {
        const found = JSON.stringify(String.fromCharCode(byte));
        throw this.error(`expected ${expected} at byte ${this.offset + at - this.start}, not ${found}`);
      }
    }
    return false;
  }

  /** Where the element ends; −1 when that is not at hand. */
  private findEnd(): number {
    const { buffer, end } = this;
    const first = buffer[this.start + this.lead];
    const isText = first === QUOTE;
    const isNested = first === OPEN || first === OPEN_BRACE;
    let { depth, inText, isEscaped } = this;
    for (let at = this.start + this.searched; at < end; at++) {
      const byte = buffer[at];
      if (inText) {
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) {
          inText = false;
          if (isText) return this.found(at + 1);
        }
      } else if (byte === QUOTE) inText = true;
      else if (isNested) {
        if (byte === OPEN || byte === OPEN_BRACE) depth++;
        else if ((byte === CLOSE || byte === CLOSE_BRACE) && --depth === 0) return this.found(at + 1);
      } else if (byte === COMMA || byte === CLOSE || BLANKS.includes(byte)) return this.found(at);
    }
    Object.assign(this, { depth, inText, isEscaped });
    return -1;
  }

  private found(end: number): number {
    this.depth = 0;
    this.inText = false;
    this.isEscaped = false;
    return end;
  }

  private error(what: string): PerdureError {
    return new PerdureError("INVALID_ARGUMENT", `${this.path}: ${what}`);
  }
}
