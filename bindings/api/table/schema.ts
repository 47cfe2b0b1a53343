/**
 * Schemas of tables: what a program declares, and the definition that the image has. A definition is text (docs/TABLES.md §5), so that a
 * tool can list a table without the program that made it; fields keep their order in it, and those that were added later come last.
 */
import { PerdureError } from "../../base/errors.js";

export type NumberType = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64";
export type FixedType = NumberType | "u64" | "i64" | "bool";
export type VariableType = "string" | "bytes" | "json";
export type BaseType = FixedType | VariableType;

/** A type with "?" is optional: what was not given is null. */
export type ColumnType = BaseType | `${BaseType}?`;

/** The fields of a table and their types. */
export interface TableSchema {
  readonly [field: string]: ColumnType;
}

type ValueOf<T> = T extends NumberType
  ? number
  : T extends "u64" | "i64"
    ? bigint
    : T extends "bool"
      ? boolean
      : T extends "string"
        ? string
        : T extends "bytes"
          ? Uint8Array
          : T extends "json"
            ? // biome-ignore lint/suspicious/noExplicitAny: what JSON has, the program knows
              any
            : T extends `${infer B}?`
              ? ValueOf<B> | null
              : never;

type OptionalOf<S> = { [F in keyof S]: S[F] extends `${string}?` ? F : never }[keyof S];

/** A row of such a table, as it is read. */
export type Row<S> = { -readonly [F in keyof S]: ValueOf<S[F]> };

/** A row as it is given: optional fields may be left out. */
export type NewRow<S> = { [F in Exclude<keyof S, OptionalOf<S>>]: ValueOf<S[F]> } & {
  [F in OptionalOf<S>]?: ValueOf<S[F]> | undefined;
};

/** A field of a definition. */
export interface FieldDefinition {
  readonly name: string;
  readonly type: ColumnType;
}

/** What a table has: its first fields, and those that were added when it existed, in order. */
export interface Definition {
  readonly fields: readonly FieldDefinition[];
  readonly added: readonly FieldDefinition[];
}

export const FIXED_BYTES: { readonly [T in FixedType]: number } = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  f64: 8,
  u64: 8,
  i64: 8,
  bool: 1,
};

const VARIABLE_TYPES: readonly string[] = ["string", "bytes", "json"];
/** Names that rows have for something else. */
const RESERVED_NAMES: readonly string[] = ["__proto__", "constructor", "toJSON", "toObject"];

export const baseOf = (type: ColumnType): BaseType => type.replace("?", "") as BaseType;
export const isOptional = (type: ColumnType): boolean => type.endsWith("?");
export const isFixed = (type: BaseType): type is FixedType => Object.hasOwn(FIXED_BYTES, type);

/** The definition of a new table. INVALID_ARGUMENT names the field that is wrong. */
export function definitionOf(table: string, schema: TableSchema): Definition {
  const fields = Object.entries(schema ?? {}).map(([name, type]) => ({ name, type }));
  if (typeof schema !== "object" || fields.length === 0)
    throw new PerdureError("INVALID_ARGUMENT", `table ${quote(table)}: a schema has at least one field`);
  for (const { name, type } of fields) {
    const base = typeof type === "string" ? baseOf(type) : "";
    if (name === "" || RESERVED_NAMES.includes(name))
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `table ${quote(table)}: a field cannot be called ${quote(name)}`,
      );
    if (!(Object.hasOwn(FIXED_BYTES, base) || VARIABLE_TYPES.includes(base)))
      throw new PerdureError(
        "INVALID_ARGUMENT",
        `table ${quote(table)}, field ${quote(name)}: there is no type ${quote(type)}`,
      );
  }
  return { fields, added: [] };
}

export function textOf({ fields, added }: Definition): string {
  const pairs = (list: readonly FieldDefinition[]) => list.map(({ name, type }) => [name, type]);
  return JSON.stringify({ fields: pairs(fields), added: pairs(added) });
}

/** What a program would declare to get this definition. */
export function schemaOf({ fields, added }: Definition): TableSchema {
  return Object.fromEntries([...fields, ...added].map(({ name, type }) => [name, type]));
}

/** CORRUPT when it is none. */
export function definitionIn(text: string): Definition {
  try {
    const { fields, added } = JSON.parse(text) as { [part: string]: [string, ColumnType][] };
    const named = (list: [string, ColumnType][]) => list.map(([name, type]) => ({ name, type }));
    return { fields: named(fields), added: named(added) };
  } catch (cause) {
    throw new PerdureError("CORRUPT", "the definition of a table is damaged", { cause });
  }
}

/**
 * The stored definition with the optional fields that the program declares beyond it; the stored one itself when there are none. LAYOUT names
 * whatever else differs.
 */
export function extended(table: string, stored: Definition, schema: TableSchema): Definition {
  const known = new Map([...stored.fields, ...stored.added].map(({ name, type }) => [name, type]));
  const declared = definitionOf(table, schema).fields;
  const differences: string[] = [];
  const more: FieldDefinition[] = [];
  for (const { name, type } of declared) {
    const before = known.get(name);
    known.delete(name);
    if (before === type) continue;
    if (before !== undefined) differences.push(`${quote(name)} is ${quote(before)}, not ${quote(type)}`);
    else if (isOptional(type)) more.push({ name, type });
    else differences.push(`${quote(name)} is not in it, and only optional fields can be added`);
  }
  for (const [name, type] of known) differences.push(`${quote(name)} (${quote(type)}) is not declared`);
  if (differences.length > 0)
    throw new PerdureError("LAYOUT", `table ${quote(table)} was made otherwise: ${differences.join("; ")}`);
  return more.length === 0 ? stored : { fields: stored.fields, added: [...stored.added, ...more] };
}

export const quote = (value: unknown): string => JSON.stringify(value) ?? String(value);
