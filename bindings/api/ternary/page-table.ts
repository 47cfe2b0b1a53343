/**
 * Page tables: from virtual pages to frames, with what may be done with them and by whom. The work is done by assembly/page/; docs/ENGINE.md §13 … §15.
 */
import { type ErrorCode, PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import { PAGE_TRYTES } from "../../trit/address.js";
import type { Trit } from "../../trit/trit.js";
import { PageFlags } from "./enums.js";
import { type Frame, frameOf, numberOf } from "./frame.js";
import { type TernaryFunctions, ternaryFunctions } from "./functions.js";
import type { Machine } from "./machine.js";
import type { SpaceRegistry } from "./space-registry.js";
import { toNumber, type VirtualAddress } from "./virtual-address.js";

export type Access = "read" | "write" | "execute";

/** What a page table says of a page. All trits are −1, and the frame is 0, where nothing is. */
export interface PageTableEntry {
  /** +1 mapped, 0 promised: it gets a frame when it is touched. */
  readonly present: Trit;
  /** +1 read and write, 0 read, −1 read and execute. */
  readonly writable: Trit;
  /** +1 all modes, 0 supervisor and above, −1 kernel and hypervisor. */
  readonly user: Trit;
  /** +1 since the last sweep, 0 in the period before that, −1 not lately. Of this process; a rollback forgets it. */
  readonly accessed: Trit;
  /** +1 written since the last commit, 0 before it and the commit is not known to be durable, −1 clean. Of this process; a rollback forgets it. */
  readonly dirty: Trit;
  /** +1 in every space, 0 shared with a fork until it is written, −1 of this space. */
  readonly global: Trit;
  /** Its number. */
  readonly frame: number;
  /** Whether it is one of three pages that are one. */
  readonly large: boolean;
  /** All of it in 27 trits: the six trits, `present` lowest, and the frame above them. */
  readonly word: number;
}

export interface SpaceStatistics {
  /** Pages with a frame, without global ones. */
  mappedPages: number;
  /** Page tables, of 160 KB at most, those that a fork shares included. */
  tables: number;
  regions: number;
}

const ACCESSES: readonly Access[] = ["read", "write", "execute"];

export class PageTable {
  protected readonly engine: Engine;
  protected readonly functions: TernaryFunctions;
  /** Of the space, in mode 0: the mode is added to it. */
  private context = 0;
  private record = 0;
  private generation = -1;

  /** Made by `TernaryMemory.pageTable` and `space`. @internal */
  constructor(
    protected readonly machine: Machine,
    private readonly registry: SpaceRegistry<unknown>,
    readonly name: string,
  ) {
    this.engine = machine.memory.engine;
    this.functions = ternaryFunctions(this.engine);
  }

  /**
   * Maps the page that begins at `v`, a multiple of 729, to a frame. Without USER or KERNEL_ONLY it is for the supervisor and above. LARGE maps three pages, from a
   * multiple of 2187 on, to three frames from a multiple of 3 on. GLOBAL pages are in all spaces of the memory. INVALID_ADDRESS, also for a frame that
   * nobody has allocated; INVALID_ALIGNMENT, ALREADY_MAPPED, OUT_OF_MEMORY (for the tables); PERMISSION_DENIED for what the mode may not use itself, and
   * for WRITABLE with EXECUTE.
   */
  map(v: VirtualAddress, frame: Frame, flags: PageFlags = PageFlags.PRESENT): void {
    const { engine, functions } = this;
    const at = toNumber(v);
    const number = numberOf(frame);
    const context = this.contextNow();
    const code = engine.mutate(() => functions.map(context, at, number, flagsNumber(flags)));
    if (code !== 0) throw this.refusal(code, () => `map(${at}, frame ${number})`);
  }

  /**
   * Takes the page at `v` away; a large one as a whole. Its frame, the first of three, is yours to deallocate unless it is mapped elsewhere.
   * ADDRESS_NOT_MAPPED, also when it is only promised; PERMISSION_DENIED for what the mode may not use itself.
   */
  unmap(v: VirtualAddress): Frame {
    const { engine, functions } = this;
    const at = toNumber(v);
    const context = this.contextNow();
    let answer = 0;
    engine.mutate(() => {
      answer = functions.unmap(context, at);
      return 0;
    });
    if (answer < 0) throw this.refusal(-answer, () => `unmap(${at})`);
    return frameOf(answer);
  }

  /** The physical address, in trytes, that an access to `v` goes to. It touches the page as the access would. ADDRESS_NOT_MAPPED, PERMISSION_DENIED, OUT_OF_MEMORY. */
  translate(v: VirtualAddress, access: Access = "read"): number {
    const at = toNumber(v);
    const number = ACCESSES.indexOf(access);
    if (number < 0)
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `an access is read, write or execute, not ${String(access)}`,
      );
    let answer = this.look(at, number);
    if (answer === -this.engine.core.constants.MUST_TOUCH!) {
      this.touch(at, number);
      answer = this.look(at, number);
    }
    if (answer < 0) throw this.refusal(-answer, () => `translate(${at}, ${access})`);
    return answer;
  }

  /** What the table says of the page at `v`, whoever asks. It touches nothing. */
  entry(v: VirtualAddress): PageTableEntry {
    const { engine, functions } = this;
    const at = toNumber(v);
    const context = this.contextNow();
    engine.noteDurability();
    const code = engine.ask(() => functions.describePage(context, at));
    if (code !== 0) throw this.refusal(code, () => `entry(${at})`);
    const { EXCHANGE } = engine.core.constants;
    const { data } = engine.core;
    return decode(data.getUint32(EXCHANGE, true), data.getUint32(EXCHANGE + 4, true));
  }

  statistics(): SpaceStatistics {
    const { engine, functions } = this;
    const record = this.recordNow();
    engine.ask(() => {
      functions.spaceStatistics(record);
      return 0;
    });
    const { EXCHANGE } = engine.core.constants;
    const { data } = engine.core;
    return {
      mappedPages: data.getFloat64(EXCHANGE, true),
      tables: data.getUint32(EXCHANGE + 8, true),
      regions: data.getUint32(EXCHANGE + 12, true),
    };
  }

  /** Unmaps everything and frees the name. Frames that nobody has allocated or mapped besides become free. */
  drop(): void {
    this.registry.drop(this.name, this.recordNow());
  }

  // Inside

  /** Where its record lies. NOT_FOUND when it was dropped, or a rollback took it away. @internal */
  recordNow(): number {
    this.ensureCurrent();
    return this.record;
  }

  /** The space and the mode, as the engine wants them. */
  protected contextNow(): number {
    this.ensureCurrent();
    return this.context + 2 * this.machine.mode;
  }

  private ensureCurrent(): void {
    if (this.generation === this.engine.generation && this.machine.memory.isOpen) return;
    this.record = this.registry.find(this.name);
    this.context = this.functions.contextOf(this.record, 0) >>> 0;
    this.generation = this.engine.generation;
  }

  /** Where an access would go, or less a code. */
  protected look(at: number, access: number): number {
    const { functions } = this;
    const context = this.contextNow();
    let answer = 0;
    this.engine.ask(() => {
      answer = functions.translate(context, at, access);
      return 0;
    });
    return answer;
  }

  /** Makes a page ready for an access that the engine has put off. */
  protected touch(at: number, access: number): void {
    const { engine, functions } = this;
    const context = this.contextNow();
    const code = engine.mutate(() => functions.touchPage(context, at, access));
    if (code !== 0) throw this.refusal(code, () => `${ACCESSES[access]} at ${at}`);
  }

  /** The error that a code stands for. */
  protected refusal(result: number, what: () => string): PerdureError {
    const code: ErrorCode = this.engine.core.codeOf(result) ?? "CORRUPT";
    const reason = REFUSALS[code] ?? "refused";
    return new PerdureError(code, `${what()} in ${JSON.stringify(this.name)}: ${reason}`);
  }
}

const REFUSALS: { readonly [code in ErrorCode]?: string } = {
  OUT_OF_MEMORY: "no frame is free for the page, or there is no memory for its tables",
  INVALID_ALIGNMENT:
    "a page begins at a multiple of 729, a large one at a multiple of 2187 with its first frame at a multiple of 3, and is changed as a whole",
  INVALID_ADDRESS:
    "that is no virtual address, or reaches beyond the last one, or is a frame that nobody has",
  INVALID_ARGUMENT: "the flags contradict each other, or the length is not a whole number from 1 on",
  ADDRESS_NOT_MAPPED: "nothing is mapped there",
  ALREADY_MAPPED: "something is mapped there; unmap it first",
  PERMISSION_DENIED: "the mode or the page forbids it; nothing is ever writable and executable",
};

function decode(low: number, high: number): PageTableEntry {
  const trit = (i: number) => (((low >>> (2 * i)) & 3) - 1) as Trit;
  const trits = [trit(0), trit(1), trit(2), trit(3), trit(4), trit(5)] as const;
  const [present, writable, user, accessed, dirty, global] = trits;
  const frame = (low >>> 12) + 2 ** 20 * (high & 0x3fff);
  const flags = trits.reduceRight<number>((sum, each) => 3 * sum + each, 0);
  const large = ((high >>> 14) & 1) === 1;
  return {
    present,
    writable,
    user,
    accessed,
    dirty,
    global,
    frame,
    large,
    word: flags + PAGE_TRYTES * frame,
  };
}

/** What is no set of bits becomes one that the engine refuses. */
export function flagsNumber(flags: number): number {
  return Number.isInteger(flags) && flags >= 0 && flags < 2 ** 31 ? flags : 2 ** 31 - 1;
}
