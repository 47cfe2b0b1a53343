/** Physical memory read and written by physical address, frame by frame: high frames are seen through windows. */
import { PerdureError } from "../../base/errors.js";
import { Mode } from "./enums.js";
import type { TernaryFunctions } from "./functions.js";
import type { Machine } from "./machine.js";
import { FRAME_BYTES, PAGE_TRYTES } from "./regions.js";
import { verifiedTrytes } from "./trytes.js";

export class PhysicalMemory {
  constructor(
    private readonly machine: Machine,
    private readonly functions: TernaryFunctions,
  ) {}

  read(address: number, trytes: number): Int16Array {
    this.verify(address, trytes);
    const into = new Int16Array(trytes);
    this.each(address, trytes, false, (part, done) => into.set(part, done));
    return into;
  }

  /** Over more than a frame an error may leave it half done: then the memory is SUSPENDED. */
  write(address: number, trytes: ArrayLike<number>): void {
    const from = verifiedTrytes(trytes);
    this.verify(address, from.length);
    const { engine } = this.machine.memory;
    engine.ensureWritable();
    let isBegun = false;
    const put = (part: Int16Array, done: number) => {
      isBegun = true;
      part.set(from.subarray(done, done + part.length));
    };
    try {
      this.each(address, from.length, true, put);
    } catch (error) {
      if (!isBegun) throw error;
      engine.changeAll(() => {
        throw error;
      });
    }
  }

  /** The linear address of frames that lie one behind the other. INVALID_ARGUMENT when they are of several regions. */
  addressOfRun(record: number, first: number, count: number): number {
    const address = this.addressOf(record, first);
    if (this.addressOf(record, first + count - 1) !== address + (count - 1) * FRAME_BYTES)
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `frames ${first} … ${first + count - 1} are not of one region`,
      );
    return address;
  }

  private addressOf(record: number, frame: number): number {
    const { engine } = this.machine.memory;
    const address = engine.ask(() => this.functions.frameAddress(record, frame));
    if (engine.core.codeOf(address) !== null)
      throw new PerdureError("INVALID_ADDRESS", `this memory has no frame ${frame}`);
    return address;
  }

  private each(
    address: number,
    trytes: number,
    write: boolean,
    visit: (part: Int16Array, done: number) => void,
  ): void {
    const { engine } = this.machine.memory;
    const { record } = this.machine;
    for (let done = 0; done < trytes; ) {
      const frame = Math.floor((address + done) / PAGE_TRYTES);
      const within = address + done - frame * PAGE_TRYTES;
      const count = Math.min(PAGE_TRYTES - within, trytes - done);
      const at = this.addressOf(record, frame) + 2 * within;
      engine.ensure(at, 2 * count, write);
      visit(new Int16Array(engine.core.bytes.buffer, at, count), done);
      done += count;
    }
  }

  /** The mode may do it, and all frames are in use. */
  private verify(address: number, trytes: number): void {
    this.machine.require(Mode.Kernel, "physical memory");
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(trytes) || address < 0 || trytes < 0)
      throw new PerdureError(
        "INVALID_ADDRESS",
        `${String(trytes)} trytes at ${String(address)} are no memory`,
      );
    const { engine } = this.machine.memory;
    const { record } = this.machine;
    const end = Math.ceil((address + trytes) / PAGE_TRYTES);
    for (let frame = Math.floor(address / PAGE_TRYTES); frame < end; frame++)
      if (engine.ask(() => this.functions.frameOwners(record, frame)) === 0)
        throw new PerdureError("INVALID_ADDRESS", `frame ${frame} is not in use`);
  }
}
