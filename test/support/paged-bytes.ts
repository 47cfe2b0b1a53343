// A growable array of bytes whose copies are cheap: pages are shared until one side writes to them. The simulated
// disk keeps two of these a file and makes many more, one for each state that a crash may leave.
//
// Invariants: a page that is absent reads as zeros; bytes of the last page beyond the size are zero; a page is
// written to only by the one who owns it, and whoever owns a page shares it with nobody.

export const pageBytes = 4096;

export class PagedBytes {
  private bytes = 0;
  private pages: (Uint8Array | undefined)[] = [];
  private readonly owned = new Set<number>();

  get size(): number {
    return this.bytes;
  }

  /** A copy in O(pages); the next write to a page, on either side, copies that page. */
  clone(): PagedBytes {
    const copy = new PagedBytes();
    copy.bytes = this.bytes;
    copy.pages = this.pages.slice();
    if (this.owned.size > 0) this.owned.clear();
    return copy;
  }

  /** As `Storage.read`. */
  read(offset: number, into: Uint8Array): number {
    const count = Math.min(into.length, Math.max(0, this.bytes - offset));
    for (let done = 0; done < count; ) {
      const start = (offset + done) % pageBytes;
      const length = Math.min(count - done, pageBytes - start);
      const page = this.pages[Math.floor((offset + done) / pageBytes)];
      if (page === undefined) into.fill(0, done, done + length);
      else if (length === pageBytes) into.set(page, done);
      else into.set(page.subarray(start, start + length), done);
      done += length;
    }
    return count;
  }

  slice(start: number, end: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(end, this.bytes) - start));
    this.read(start, bytes);
    return bytes;
  }

  /** Writes `from`, growing when it ends past the end. */
  write(offset: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const start = (offset + done) % pageBytes;
      const length = Math.min(from.length - done, pageBytes - start);
      const index = Math.floor((offset + done) / pageBytes);
      const part = from.subarray(done, done + length);
      if (length === pageBytes) this.replace(index, part);
      else this.own(index).set(part, start);
      done += length;
    }
    if (from.length > 0) this.bytes = Math.max(this.bytes, offset + from.length);
  }

  resize(size: number): void {
    if (size < this.bytes) {
      const whole = Math.floor(size / pageBytes);
      if (this.pages[whole] !== undefined && size % pageBytes > 0) this.own(whole).fill(0, size % pageBytes);
      this.pages.length = Math.min(this.pages.length, Math.ceil(size / pageBytes));
      for (const index of this.owned) if (index >= this.pages.length) this.owned.delete(index);
    }
    this.bytes = size;
  }

  /** The 32-bit words of one whole, aligned part of a page; undefined where nothing was written. Read only. */
  words(offset: number, length: number): Uint32Array | undefined {
    const page = this.pages[Math.floor(offset / pageBytes)];
    return page === undefined ? undefined : new Uint32Array(page.buffer, offset % pageBytes, length / 4);
  }

  /** Copies a whole page in, without a look at what was there. */
  private replace(index: number, bytes: Uint8Array): void {
    if (this.owned.has(index)) this.pages[index]!.set(bytes);
    else this.pages[index] = new Uint8Array(bytes);
    this.owned.add(index);
  }

  private own(index: number): Uint8Array {
    const page = this.pages[index];
    if (page !== undefined && this.owned.has(index)) return page;
    const mine = page === undefined ? new Uint8Array(pageBytes) : page.slice();
    this.pages[index] = mine;
    this.owned.add(index);
    return mine;
  }
}
