/**
 * Names of pointers, and of other things that a memory keeps by name: a thin layer over the engine's registry. Every kind of thing has names of
 * its own.
 */
import { viewOf } from "../base/bytes.js";
import { PerdureError } from "../base/errors.js";
import { isWellFormed } from "../base/text.js";
import type { Engine } from "../engine.js";
import { Ptr } from "./ptr.js";
import type { Session } from "./session.js";

/** What names can belong to. */
export const Kind = { Root: 0, Region: 1, Table: 2, Pipe: 3, Ternary: 4, Noun: 5, Space: 6 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface NamedEntry {
  readonly name: string;
  readonly address: number;
  /** Hash of the layout of what lies there; 0 for none. */
  readonly layout: bigint;
}

const encoder = new TextEncoder();
/** A byte order mark at the front is part of the text. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Offsets of an entry, and of a request in the exchange area. docs/ENGINE.md, "The registry". */
const LAYOUT = 8;
const NAME_LENGTH = 28;
const NAME = 32;

export class Registry {
  private readonly engine: Engine;

  constructor(
    private readonly memory: Session,
    private readonly kind: Kind,
  ) {
    this.engine = memory.engine;
  }

  find(name: string): NamedEntry | null {
    const { functions } = this.engine.core;
    const length = this.request(name);
    const entry = this.engine.ask(() => functions.registryFind(this.kind, length));
    return entry === 0 ? null : this.entryAt(entry);
  }

  set(name: string, address: number, layout = 0n): void {
    const { engine } = this;
    const { core } = engine;
    const length = this.request(name);
    engine.ensureWritable();
    const { EXCHANGE } = core.constants;
    core.data.setBigUint64(EXCHANGE, BigInt(address), true);
    core.data.setBigUint64(EXCHANGE + LAYOUT, layout, true);
    const code = core.codeOf(engine.mutate(() => core.functions.registrySet(this.kind, length)));
    if (code !== null)
      throw new PerdureError(code, `there is no memory for the name ${JSON.stringify(name)}`);
  }

  delete(name: string): boolean {
    const { engine } = this;
    const { core } = engine;
    const length = this.request(name);
    engine.ensureWritable();
    const code = core.codeOf(engine.mutate(() => core.functions.registryDelete(this.kind, length)));
    if (code !== null && code !== "NOT_FOUND")
      throw new PerdureError(code, `${JSON.stringify(name)} cannot be deleted`);
    return code === null;
  }

  get size(): number {
    this.memory.ensureOpen();
    const { functions } = this.engine.core;
    return this.engine.ask(() => functions.registryCount(this.kind));
  }

  /** All of them as they are now, in the order in which the names were first set. */
  entries(): NamedEntry[] {
    const { functions } = this.engine.core;
    const found: NamedEntry[] = [];
    let entry = 0;
    for (let left = this.size; left > 0; left--) {
      entry = this.engine.ask(() => functions.registryNext(this.kind, entry));
      if (entry === 0) break;
      found.push(this.entryAt(entry));
    }
    return found;
  }

  private entryAt(entry: number): NamedEntry {
    const { engine } = this;
    engine.ensure(entry, NAME, false);
    const length = engine.core.data.getUint16(entry + NAME_LENGTH, true);
    engine.ensure(entry, NAME + length, false);
    const { data, bytes } = engine.core;
    return {
      name: decoder.decode(bytes.subarray(entry + NAME, entry + NAME + length)),
      address: Number(data.getBigUint64(entry, true)),
      layout: data.getBigUint64(entry + LAYOUT, true),
    };
  }

  /** Puts the name into the exchange area and returns its bytes. INVALID_ARGUMENT unless it has 1 … 1024; CLOSED. */
  private request(name: string): number {
    this.memory.ensureOpen();
    const { bytes, constants } = this.engine.core;
    const text = typeof name === "string" ? encoder.encode(name) : new Uint8Array(0);
    if (text.length === 0 || text.length > constants.NAME_BYTES_MAX || !isWellFormed(name)) {
      const limit = constants.NAME_BYTES_MAX;
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `a name is well-formed text of 1 to ${limit} bytes of UTF-8`,
      );
    }
    bytes.set(text, constants.EXCHANGE + NAME);
    return text.length;
  }
}

/** The layout hash of a text: XXH3-64, never 0. */
export function layoutHash(engine: Engine, text: string): bigint {
  const out = viewOf(new Uint8Array(8));
  engine.core.hasher.digest(encoder.encode(text), out, 0);
  return out.getBigUint64(0, true) || 1n;
}

/**
 * Named pointers: the places from which a program finds its data again. Like a Map, in the order of insertion. An iteration goes over the names that
 * there are when it begins, and passes over those that are deleted meanwhile.
 */
export class Roots implements Iterable<[string, Ptr]> {
  private readonly registry: Registry;

  /** @internal */
  constructor(private readonly memory: Session) {
    this.registry = new Registry(memory, Kind.Root);
  }

  get size(): number {
    return this.registry.size;
  }

  get(name: string): Ptr | undefined {
    const entry = this.registry.find(name);
    return entry === null ? undefined : new Ptr(this.memory, entry.address);
  }

  has(name: string): boolean {
    return this.registry.find(name) !== null;
  }

  /** INVALID_ADDRESS when `p` does not lie in a live block of this memory. */
  set(name: string, p: Ptr): this {
    this.bind(name, p, 0n);
    return this;
  }

  /** True when there was such a name. What it pointed at is not released. */
  delete(name: string): boolean {
    return this.registry.delete(name);
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<Ptr> {
    for (const [, p] of this.entries()) yield p;
  }

  *entries(): IterableIterator<[string, Ptr]> {
    for (const { name } of this.registry.entries()) {
      const p = this.get(name);
      if (p !== undefined) yield [name, p];
    }
  }

  [Symbol.iterator](): IterableIterator<[string, Ptr]> {
    return this.entries();
  }

  /** The layout that was declared for a root, 0 for none; null when there is no such root. @internal */
  layoutOf(name: string): bigint | null {
    return this.registry.find(name)?.layout ?? null;
  }

  /** @internal */
  bind(name: string, p: Ptr, layout: bigint): void {
    if (!(p instanceof Ptr) || p.memory !== this.memory)
      throw new PerdureError("INVALID_ARGUMENT", "a root is a pointer into this memory");
    this.memory.roomAt(p.address);
    this.registry.set(name, p.address, layout);
  }
}
