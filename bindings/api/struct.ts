/**
 * Structs: fields with names in a fixed layout, as C would lay them out. A struct that is a root carries the hash of its layout, so a program that
 * declares other fields than were stored is told.
 */
import { PerdureError } from "../base/errors.js";
import type { Memory } from "./memory.js";
import { Ptr, readRef, writeRef } from "./ptr.js";
import { layoutHash } from "./roots.js";

type NumberType = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64";
type ScalarType = NumberType | "u64" | "i64" | "bool" | "ptr";

/** A scalar, "char[n]" (n bytes of UTF-8), "T[n]" (n numbers), or another struct. */
export type FieldType = ScalarType | `char[${number}]` | `${NumberType}[${number}]` | Struct<Schema>;

export interface Schema {
  readonly [name: string]: FieldType;
}

type FieldValue<T> = T extends NumberType
  ? number
  : T extends "u64" | "i64"
    ? bigint
    : T extends "bool"
      ? boolean
      : T extends "ptr"
        ? Ptr | null
        : T extends `char[${number}]`
          ? string
          : T extends `${NumberType}[${number}]`
            ? NumberList
            : T extends Struct<infer S>
              ? Accessor<S>
              : never;

/** A live object on memory: reading a property loads, assigning one stores. */
export type Accessor<S> = { -readonly [Name in keyof S]: FieldValue<S[Name]> };

/** A live list of numbers in a struct. */
export interface NumberList extends Iterable<number> {
  readonly length: number;
  get(index: number): number;
  set(index: number, value: number): void;
  toJSON(): number[];
}

export interface Struct<S extends Schema> {
  /** Bytes, a multiple of `align`: an array of them has one after the other. */
  readonly size: number;
  readonly align: number;
  /** Field names and their offsets in bytes. */
  readonly offsets: { readonly [Name in keyof S]: number };
  /** The layout as text; two structs with the same text are the same. */
  readonly layout: string;
  /** The struct at `p`. INVALID_ALIGNMENT, INVALID_ADDRESS unless it lies in one live block. */
  at(memory: Memory, p: Ptr): Accessor<S>;
  /** A new one, zero-filled. */
  alloc(memory: Memory): Ptr;
  /** The root of that name, created zero-filled the first time (and given to `initialize`). LAYOUT when it was created with another layout. */
  root(memory: Memory, name: string, initialize?: (fields: Accessor<S>) => void): Accessor<S>;
}

interface Field {
  readonly bytes: number;
  readonly align: number;
  readonly text: string;
  define(target: object, name: string, offset: number): void;
}

/** Answers the object that it is given, so that a class derived from it puts its private fields there. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return object;
  }
}

/** Where an accessor object lies: in private fields of it, which no program sees. */
class Place extends Given {
  readonly #memory: Memory;
  readonly #address: number;

  constructor(accessor: object, memory: Memory, address: number) {
    super(accessor);
    this.#memory = memory;
    this.#address = address;
  }

  static memoryOf(accessor: object): Memory {
    return (accessor as Place).#memory;
  }

  static addressOf(accessor: object): number {
    return (accessor as Place).#address;
  }
}

const encoder = new TextEncoder();
/** A byte order mark at the front is part of the text. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Declares a struct. INVALID_ARGUMENT for a type that does not exist. */
export function struct<const S extends Schema>(fields: S): Struct<S> {
  const names = Object.keys(fields ?? {});
  if (names.length === 0) throw new PerdureError("INVALID_ARGUMENT", "a struct has at least one field");
  const prototype = {};
  const offsets: Record<string, number> = {};
  const texts: string[] = [];
  let end = 0;
  let align = 1;
  for (const name of names) {
    const field = fieldOf(name, fields[name]);
    const offset = Math.ceil(end / field.align) * field.align;
    field.define(prototype, name, offset);
    offsets[name] = offset;
    texts.push(`${JSON.stringify(name)}:${field.text}@${offset}`);
    end = offset + field.bytes;
    align = Math.max(align, field.align);
  }
  Object.defineProperty(prototype, "toJSON", {
    value(this: Record<string, unknown>) {
      return Object.fromEntries(names.map((name) => [name, jsonOf(this[name])]));
    },
  });
  const size = Math.ceil(end / align) * align;
  const layout = `{${texts.join(",")}}${size}`;
  const accessor = (memory: Memory, address: number): Accessor<S> => {
    const object = Object.create(prototype);
    new Place(object, memory, address);
    return object;
  };
  const self: Struct<S> = {
    size,
    align,
    offsets: offsets as { [Name in keyof S]: number },
    layout,
    at(memory, p) {
      if (!(p instanceof Ptr) || p.memory !== memory)
        throw new PerdureError("INVALID_ARGUMENT", "that is no pointer into this memory");
      if (p.address % align !== 0)
        throw new PerdureError("INVALID_ALIGNMENT", `${p} is not at a multiple of ${align} bytes`);
      const room = memory.roomAt(p.address);
      if (room < size)
        throw new PerdureError(
          "INVALID_ADDRESS",
          `the struct has ${size} bytes, the block at ${p} has ${room}`,
        );
      return accessor(memory, p.address);
    },
    alloc: (memory) => memory.alloc(size, { align }),
    root(memory, name, initialize) {
      const hash = layoutHash(memory.engine, layout);
      const known = memory.roots.get(name);
      if (known !== undefined) {
        if (memory.roots.layoutOf(name) === hash) return self.at(memory, known);
        throw new PerdureError(
          "LAYOUT",
          `root ${JSON.stringify(name)} was stored with another layout than ${layout}`,
        );
      }
      const made = self.alloc(memory);
      try {
        const fieldsOfIt = self.at(memory, made);
        initialize?.(fieldsOfIt);
        memory.roots.bind(name, made, hash);
        return fieldsOfIt;
      } catch (error) {
        if (memory.engine.halt === null) memory.release(made);
        throw error;
      }
    },
  };
  nested.set(self, (memory, address) => accessor(memory, address));
  return self;
}

/** How a struct that is a field of another one makes its accessor. */
const nested = new WeakMap<object, (memory: Memory, address: number) => object>();

function fieldOf(name: string, type: FieldType): Field {
  if (typeof type === "string") {
    if (Object.hasOwn(SCALARS, type)) return scalarField(type as ScalarType);
    const [, base, count] = /^(\w+)\[(\d+)\]$/.exec(type) ?? [];
    const length = Number(count);
    if (length >= 1 && length < 2 ** 31) {
      if (base === "char") return textField(length);
      if (isNumberType(base)) return listField(base, length);
    }
  } else if (nested.has(type ?? {})) {
    return structField(type);
  }
  throw new PerdureError(
    "INVALID_ARGUMENT",
    `field ${JSON.stringify(name)}: there is no type ${JSON.stringify(type)}`,
  );
}

/** JSON has no integers of 64 bits: they are decimal text there. */
const jsonOf = (value: unknown) => (typeof value === "bigint" ? String(value) : value);

interface Scalar<T> {
  readonly bytes: number;
  get(memory: Memory, address: number): T;
  set(memory: Memory, address: number, value: T): void;
}

const NUMBERS: { readonly [Type in NumberType]: Scalar<number> } = {
  u8: { bytes: 1, get: (m, at) => m.getU8(at), set: (m, at, value) => m.setU8(at, value) },
  i8: { bytes: 1, get: (m, at) => m.getI8(at), set: (m, at, value) => m.setI8(at, value) },
  u16: { bytes: 2, get: (m, at) => m.getU16(at), set: (m, at, value) => m.setU16(at, value) },
  i16: { bytes: 2, get: (m, at) => m.getI16(at), set: (m, at, value) => m.setI16(at, value) },
  u32: { bytes: 4, get: (m, at) => m.getU32(at), set: (m, at, value) => m.setU32(at, value) },
  i32: { bytes: 4, get: (m, at) => m.getI32(at), set: (m, at, value) => m.setI32(at, value) },
  f32: { bytes: 4, get: (m, at) => m.getF32(at), set: (m, at, value) => m.setF32(at, value) },
  f64: { bytes: 8, get: (m, at) => m.getF64(at), set: (m, at, value) => m.setF64(at, value) },
};

const SCALARS = {
  ...NUMBERS,
  u64: {
    bytes: 8,
    get: (m, at) => m.getU64(at),
    set: (m, at, value) => m.setU64(at, value),
  } as Scalar<bigint>,
  i64: {
    bytes: 8,
    get: (m, at) => m.getI64(at),
    set: (m, at, value) => m.setI64(at, value),
  } as Scalar<bigint>,
  bool: {
    bytes: 1,
    get: (m, at) => m.getU8(at) !== 0,
    set: (m, at, value) => m.setU8(at, value ? 1 : 0),
  } as Scalar<boolean>,
  ptr: { bytes: 8, get: readRef, set: writeRef } as Scalar<Ptr | null>,
};

const isNumberType = (type: string | undefined): type is NumberType =>
  type !== undefined && Object.hasOwn(NUMBERS, type);

function scalarField(type: ScalarType): Field {
  const scalar = SCALARS[type] as Scalar<unknown>;
  return property(scalar.bytes, scalar.bytes, type, scalar.get, scalar.set);
}

/** Text in a fixed number of bytes, filled up with zeros. LIMIT when it does not fit. */
function textField(length: number): Field {
  const get = (memory: Memory, at: number) => {
    const bytes = memory.read(at, length);
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  };
  const set = (memory: Memory, at: number, value: unknown) => {
    const bytes = new Uint8Array(length);
    const text = String(value);
    const { read } = encoder.encodeInto(text, bytes);
    if (read < text.length)
      throw new PerdureError("LIMIT", `${JSON.stringify(text)} has more than ${length} bytes of UTF-8`);
    memory.write(at, bytes);
  };
  return property(length, 1, `char[${length}]`, get, set);
}

function listField(type: NumberType, length: number): Field {
  const scalar = NUMBERS[type];
  const get = (memory: Memory, at: number): NumberList => {
    const addressOf = (index: number) => {
      if (Number.isInteger(index) && index >= 0 && index < length) return at + index * scalar.bytes;
      throw new PerdureError("INVALID_ARGUMENT", `${index} is no index of ${type}[${length}]`);
    };
    return {
      length,
      get: (index) => scalar.get(memory, addressOf(index)),
      set: (index, value) => scalar.set(memory, addressOf(index), value),
      *[Symbol.iterator]() {
        for (let i = 0; i < length; i++) yield scalar.get(memory, addressOf(i));
      },
      toJSON() {
        return [...this];
      },
    };
  };
  const set = (memory: Memory, at: number, values: unknown) => {
    const all = Array.from(values as Iterable<number>);
    if (all.length !== length)
      throw new PerdureError("INVALID_ARGUMENT", `${all.length} values for ${type}[${length}]`);
    for (let i = 0; i < length; i++) scalar.set(memory, at + i * scalar.bytes, all[i]);
  };
  return property(scalar.bytes * length, scalar.bytes, `${type}[${length}]`, get, set);
}

function structField(type: Struct<Schema>): Field {
  const make = nested.get(type) as (memory: Memory, address: number) => object;
  const get = (memory: Memory, at: number) => make(memory, at);
  const names = Object.keys(type.offsets);
  const set = (memory: Memory, at: number, values: Record<string, unknown>) => {
    if (typeof values !== "object" || values === null)
      throw new PerdureError("INVALID_ARGUMENT", "a struct is set from an object with its fields");
    const target = make(memory, at) as Record<string, unknown>;
    for (const name of names) if (name in values) target[name] = values[name];
  };
  return property(type.size, type.align, type.layout, get, set);
}

function property(
  bytes: number,
  align: number,
  text: string,
  get: (memory: Memory, address: number) => unknown,
  set: (memory: Memory, address: number, value: never) => void,
): Field {
  return {
    bytes,
    align,
    text,
    define(target, name, offset) {
      Object.defineProperty(target, name, {
        enumerable: true,
        get(this: object) {
          return get(Place.memoryOf(this), Place.addressOf(this) + offset);
        },
        set(this: object, value: unknown) {
          set(Place.memoryOf(this), Place.addressOf(this) + offset, value as never);
        },
      });
    },
  };
}
