/**
 * A ternary machine's memory: frames, page tables and address spaces, all of it in the image. A handle has a mode, which is what the machine's processor
 * would have: it is a fact about this process, and nothing of it is kept.
 */
import { PerdureError } from "../../base/errors.js";
import { Kind, Registry } from "../roots.js";
import type { Session } from "../session.js";
import type { AddressSpace } from "./address-space.js";
import { Mode } from "./enums.js";
import { FrameAllocator } from "./frames.js";
import type { ActiveSpace, Machine } from "./machine.js";
import type { PageTable } from "./page-table.js";
import { Spaces } from "./spaces.js";
import type { VirtualAddress } from "./virtual-address.js";

/** What it takes to raise the mode. */
export class Gate {
  /** Made with a new ternary memory. @internal */
  constructor() {
    Object.freeze(this);
  }
}

export class TernaryMemory implements Machine {
  /** Its physical memory. */
  readonly frames: FrameAllocator;
  private chosen: ActiveSpace | null = null;
  private readonly all: Spaces;
  private readonly registry: Registry;
  private current = Mode.Kernel;
  private found = 0;
  private generation = -1;

  /** Made by `Memory.ternary`; the gate is for the handle that made the memory itself. @internal */
  constructor(
    readonly memory: Session,
    readonly name: string,
    private readonly ownGate: Gate | null,
  ) {
    this.registry = new Registry(memory, Kind.Ternary);
    this.frames = new FrameAllocator(this);
    this.all = new Spaces(this);
  }

  // Virtual memory

  /** The address space of that name: made, or found again as it was. NOT_FOUND in a reader when there is none; LAYOUT when it is a page table by itself. */
  space(name: string): AddressSpace {
    return this.all.space(name);
  }

  /** All address spaces, in the order in which they were made. */
  spaces(): AddressSpace[] {
    return this.all.list();
  }

  /** The page table of that name, by itself: made, or found again as it was. Errors as those of `space`. */
  pageTable(name: string): PageTable {
    return this.all.table(name);
  }

  /** The space that `loadTryte` and `storeTryte` go to, if one was activated. Of this process; nothing of it is kept. */
  get active(): AddressSpace | null {
    return this.chosen as AddressSpace | null;
  }

  /** The tryte at `v` in the active space. ADDRESS_NOT_MAPPED when none is; otherwise as `AddressSpace.loadTryte`. */
  loadTryte(v: VirtualAddress): number {
    return this.activeSpace().loadTryte(v);
  }

  /** As `AddressSpace.storeTryte`, in the active space. */
  storeTryte(v: VirtualAddress, value: number): void {
    this.activeSpace().storeTryte(v, value);
  }

  private activeSpace(): ActiveSpace {
    if (this.chosen === null)
      throw new PerdureError("ADDRESS_NOT_MAPPED", "no address space is active; call activate() on one");
    return this.chosen;
  }

  // Inside

  /** @internal */
  activate(space: ActiveSpace | null): void {
    this.chosen = space;
  }

  /** @internal */
  get record(): number {
    const { memory } = this;
    if (this.generation === memory.engine.generation && memory.isOpen) return this.found;
    memory.ensureOpen();
    const entry = this.registry.find(this.name);
    if (entry === null)
      throw new PerdureError("NOT_FOUND", `there is no ternary memory ${JSON.stringify(this.name)} any more`);
    this.found = entry.address;
    this.generation = memory.engine.generation;
    return this.found;
  }

  /** As whom this handle uses the memory; it begins as the kernel. */
  get mode(): Mode {
    return this.current;
  }

  /** To a mode that may do less. PERMISSION_DENIED for one that may do more. */
  lower(to: Mode): void {
    verifyMode(to);
    if (to < this.current)
      throw new PerdureError(
        "PERMISSION_DENIED",
        `${Mode[to]} is above ${Mode[this.current]}: raise() takes the gate`,
      );
    this.current = to;
  }

  /** To any mode. PERMISSION_DENIED without the gate of this handle. */
  raise(to: Mode, gate: Gate): void {
    verifyMode(to);
    if (this.ownGate === null || gate !== this.ownGate)
      throw new PerdureError("PERMISSION_DENIED", "that is not the gate of this handle");
    this.current = to;
  }

  /** What `raise` takes. PERMISSION_DENIED on a handle that did not make the memory, but found it. */
  get gate(): Gate {
    if (this.ownGate === null)
      throw new PerdureError("PERMISSION_DENIED", "only the handle that made a ternary memory has its gate");
    return this.ownGate;
  }

  /** @internal */
  require(mode: Mode, what: string): void {
    if (this.current > mode)
      throw new PerdureError(
        "PERMISSION_DENIED",
        `${what}: only for ${Mode[mode]} and above, not ${Mode[this.current]}`,
      );
  }
}

function verifyMode(mode: Mode): void {
  if (Mode[mode] === undefined || typeof mode !== "number")
    throw new PerdureError("INVALID_ARGUMENT", `a mode is one of Mode, not ${String(mode)}`);
}
