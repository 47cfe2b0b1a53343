/** The bytes of an image as its checks read them: by address, from blocks wherever they are. */

/** The 4096 bytes of a block of the image, or undefined when it reads as zeros. */
export type BlockSource = (block: number) => Uint8Array | undefined;

const blockBytes = 4096;

/** Addresses are bytes from the beginning of the image; beyond 4 GiB they are those of the high image. */
export class ImageReader {
  readonly #views = new Map<number, DataView>();

  constructor(private readonly source: BlockSource) {}

  u16 = (address: number): number => this.#block(address)?.getUint16(address % blockBytes, true) ?? 0;
  u32 = (address: number): number => this.#block(address)?.getUint32(address % blockBytes, true) ?? 0;
  u64 = (address: number): bigint => this.#block(address)?.getBigUint64(address % blockBytes, true) ?? 0n;

  bytes(address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      bytes[i] = this.#block(address + i)?.getUint8((address + i) % blockBytes) ?? 0;
    }
    return bytes;
  }

  isZero(address: number, length: number): boolean {
    for (let at = address; at < address + length; ) {
      const end = Math.min(address + length, at - (at % blockBytes) + blockBytes);
      const view = this.#block(at);
      if (view !== undefined) {
        for (; at < end; at++) if (view.getUint8(at % blockBytes) !== 0) return false;
      }
      at = end;
    }
    return true;
  }

  #block(address: number): DataView | undefined {
    const block = Math.floor(address / blockBytes);
    let view = this.#views.get(block);
    if (view === undefined) {
      const bytes = this.source(block);
      if (bytes === undefined) return undefined;
      view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.#views.set(block, view);
    }
    return view;
  }
}
