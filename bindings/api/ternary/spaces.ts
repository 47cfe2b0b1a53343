/**
 * The address spaces of a ternary memory and its page tables by themselves: made, found again, forked and dropped by name. In the image's registry a name is that
 * of the memory's record, eight hexadecimal digits, and the name.
 */
import { PerdureError } from "../../base/errors.js";
import type { Engine } from "../../engine.js";
import { Kind, Registry } from "../roots.js";
import { AddressSpace } from "./address-space.js";
import { type TernaryFunctions, ternaryFunctions } from "./functions.js";
import type { Machine } from "./machine.js";
import { PageTable } from "./page-table.js";
import type { SpaceRegistry } from "./space-registry.js";

/** Of the record of a space: docs/ENGINE.md §16. */
const SPACE = { isTable: 8, bytes: 64 } as const;
const PREFIX_DIGITS = 8;

export class Spaces implements SpaceRegistry<AddressSpace> {
  private readonly engine: Engine;
  private readonly functions: TernaryFunctions;
  private readonly registry: Registry;
  /** Handles, one for each name as long as it leads to the same kind of thing. */
  private readonly known = new Map<string, PageTable>();

  constructor(private readonly machine: Machine) {
    this.engine = machine.memory.engine;
    this.functions = ternaryFunctions(this.engine);
    this.registry = new Registry(machine.memory, Kind.Space);
  }

  space(name: string): AddressSpace {
    this.open(name, false);
    return this.handle(name, false) as AddressSpace;
  }

  table(name: string): PageTable {
    this.open(name, true);
    return this.handle(name, true);
  }

  /** Address spaces, without page tables by themselves, in the order in which they were made. */
  list(): AddressSpace[] {
    const prefix = this.prefix();
    return this.registry
      .entries()
      .filter(({ name, address }) => name.startsWith(prefix) && !this.isTable(address))
      .map(({ name }) => this.handle(name.slice(PREFIX_DIGITS), false) as AddressSpace);
  }

  find(name: string): number {
    const entry = this.registry.find(this.fullName(name));
    if (entry === null)
      throw new PerdureError("NOT_FOUND", `there is no address space ${JSON.stringify(name)} any more`);
    return entry.address;
  }

  fork(record: number, name: string): AddressSpace {
    const { engine, functions } = this;
    if (this.registry.find(this.fullName(name)) !== null)
      throw new PerdureError("INVALID_ARGUMENT", `there is an address space ${JSON.stringify(name)} already`);
    this.add(name, () => engine.mutate(() => functions.forkSpace(record)));
    return this.handle(name, false) as AddressSpace;
  }

  drop(name: string, record: number): void {
    const { engine, functions } = this;
    engine.changeAll(() => {
      engine.mutate(() => {
        functions.dropSpace(record);
        return 0;
      });
      this.registry.delete(this.fullName(name));
    });
    if (this.machine.active?.name === name) this.machine.activate(null);
    this.known.delete(name);
    // Other handles of it look it up again.
    engine.generation++;
  }

  private open(name: string, isTable: boolean): void {
    const entry = this.registry.find(this.fullName(name));
    if (entry === null) {
      if (this.machine.memory.readOnly)
        throw new PerdureError("NOT_FOUND", `there is no address space ${JSON.stringify(name)}`);
      const { engine, functions } = this;
      const { record } = this.machine;
      this.add(name, () => engine.mutate(() => functions.createSpace(record, isTable ? 1 : 0)));
    } else if (this.isTable(entry.address) !== isTable) {
      const [is, not] = isTable ? ["an address space", "page table"] : ["a page table", "address space"];
      throw new PerdureError("LAYOUT", `${JSON.stringify(name)} is ${is}, not a ${not}`);
    }
  }

  /** Makes a space and its name, or neither. */
  private add(name: string, make: () => number): void {
    const { engine, functions } = this;
    const full = this.fullName(name);
    const made = make();
    if (engine.core.codeOf(made) !== null)
      throw new PerdureError(
        "OUT_OF_MEMORY",
        `there is no memory for the address space ${JSON.stringify(name)}`,
      );
    try {
      this.registry.set(full, made);
    } catch (error) {
      if (engine.halt === null)
        engine.mutate(() => {
          functions.dropSpace(made);
          return 0;
        });
      throw error;
    }
  }

  private handle(name: string, isTable: boolean): PageTable {
    const known = this.known.get(name);
    if (known !== undefined && known instanceof AddressSpace !== isTable) return known;
    const made = isTable
      ? new PageTable(this.machine, this, name)
      : new AddressSpace(this.machine, this, name);
    this.known.set(name, made);
    return made;
  }

  private isTable(record: number): boolean {
    this.engine.ensure(record, SPACE.bytes, false);
    return this.engine.core.data.getUint32(record + SPACE.isTable, true) !== 0;
  }

  private prefix(): string {
    return this.machine.record.toString(16).padStart(PREFIX_DIGITS, "0");
  }

  private fullName(name: string): string {
    if (typeof name !== "string" || name === "")
      throw new PerdureError("INVALID_ARGUMENT", "the name of an address space is 1 to 1016 bytes of UTF-8");
    return this.prefix() + name;
  }
}
