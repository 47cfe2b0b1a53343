/**
 * Every structure of the state file as a table of fields: the encoders, the decoders and the annotated dump all take their
 * offsets from here, and a test holds the tables in docs/FORMAT.md against them. A field is called in the document what it is
 * called here, with the words apart: `fileSlots` is "file slots".
 *
 * Fields of a *plain* type are read and written by `readFields` and `writeFields`; the others (preamble, reserved bytes, lists
 * and bodies) only say where something lies, and the file that owns the structure handles them.
 */
import { readU64, writeU64 } from "../base/bytes.js";
import { ENTRY_BYTES, NODE_ENTRY_BYTES, PLANE_BYTES } from "./constants.js";

/** Top of a tree. An empty one is all zeros. */
export interface Root {
  slot: number;
  digest: bigint;
  height: number;
}

export const EMPTY_ROOT: Root = Object.freeze({ slot: 0, digest: 0n, height: 0 });

/** Adjoining slots. */
export interface Run {
  slot: number;
  slots: number;
}

/** What the plain types are in JavaScript. */
export interface PlainTypes {
  u16: number;
  u32: number;
  /** Below 2⁵³. */
  u64: number;
  digest: bigint;
  /** 16 bytes. */
  id: Uint8Array;
  root: Root;
}
export type PlainType = keyof PlainTypes;

export interface Field {
  readonly offset: number;
  /** A plain type, or how the document calls it. */
  readonly type: PlainType | "preamble" | "runs" | "body" | `${number} bytes`;
  readonly meaning: string;
}

export interface Structure<F extends Record<string, Field> = Record<string, Field>> {
  readonly title: string;
  /** Of the fixed part. */
  readonly bytes: number;
  readonly fields: F;
  /** The plain fields, in order. */
  readonly plain: readonly (Field & { readonly key: string; readonly type: PlainType })[];
}

/** The plain fields of a structure as an object. */
export type Values<S> =
  S extends Structure<infer F>
    ? {
        -readonly [K in keyof F as F[K]["type"] extends PlainType ? K : never]: F[K]["type"] extends PlainType
          ? PlainTypes[F[K]["type"]]
          : never;
      }
    : never;

/** How long the plain types are in the file. */
export const plainBytes: Readonly<Record<PlainType, number>> = {
  u16: 2,
  u32: 4,
  u64: 8,
  digest: 8,
  id: 16,
  root: 24,
};

export function isPlain(type: string): type is PlainType {
  return Object.hasOwn(plainBytes, type);
}

function structure<const F extends Record<string, Field>>(
  title: string,
  bytes: number,
  fields: F,
): Structure<F> {
  const plain = Object.entries(fields).flatMap(([key, { offset, type, meaning }]) =>
    isPlain(type) ? [{ key, offset, type, meaning }] : [],
  );
  return { title, bytes, fields, plain };
}

export const PREAMBLE = structure("Preamble", 40, {
  magic: { offset: 0, type: "8 bytes", meaning: "\\x89PERDURE" },
  major: { offset: 8, type: "u16", meaning: "a reader refuses a greater one" },
  minor: { offset: 10, type: "u16", meaning: "a greater one is readable" },
  kind: { offset: 12, type: "u32", meaning: "1 superblock, 2 segment header, 3 forwarding" },
  digest: { offset: 16, type: "digest", meaning: "of the whole structure with this field as zero" },
  uuid: { offset: 24, type: "id", meaning: "of this file, drawn at creation" },
});

export const ROOT = structure("Root", 24, {
  slot: { offset: 0, type: "u64", meaning: "of the top node; 0 when the tree is empty" },
  digest: { offset: 8, type: "digest", meaning: "of its 4096 bytes" },
  height: { offset: 16, type: "u32", meaning: "the tree has room for 256^height leaves" },
  reserved: { offset: 20, type: "4 bytes", meaning: "" },
});

export const RUN = structure("Run", 12, {
  slot: { offset: 0, type: "u64", meaning: "the first" },
  slots: { offset: 8, type: "u32", meaning: "how many" },
});

export const SUPERBLOCK = structure("Superblock", 192, {
  preamble: { offset: 0, type: "preamble", meaning: "kind 1, the digest covers 4096 bytes" },
  generation: { offset: 40, type: "u64", meaning: "1, 2, 3 …" },
  sequence: { offset: 48, type: "u64", meaning: "of the last commit or record that the trees contain" },
  writer: { offset: 56, type: "u64", meaning: "number of the writer that wrote it" },
  time: { offset: 64, type: "u64", meaning: "milliseconds since 1970" },
  image: { offset: 72, type: "root", meaning: "the block map" },
  freeMap: { offset: 96, type: "root", meaning: "" },
  directory: { offset: 120, type: "root", meaning: "of snapshots" },
  fileSlots: { offset: 144, type: "u64", meaning: "the file has at least this many slots" },
  chainDigest: { offset: 152, type: "digest", meaning: "of the header with this sequence; 0 in a new file" },
  chainNext: { offset: 160, type: "u64", meaning: "slot of the header of sequence + 1" },
  runCount: { offset: 168, type: "u32", meaning: "1 … 256" },
  reserved: { offset: 172, type: "20 bytes", meaning: "" },
  runs: { offset: 192, type: "runs", meaning: "u64 first slot, u32 slots" },
});

export const FORWARDING = structure("Forwarding", 72, {
  preamble: { offset: 0, type: "preamble", meaning: "kind 3, the digest covers 4096 bytes" },
  nonce: { offset: 40, type: "id", meaning: "of the relocation" },
  writer: { offset: 56, type: "u64", meaning: "that set it" },
  time: { offset: 64, type: "u64", meaning: "milliseconds since 1970" },
});

export const HEADER = structure("Segment header", 128, {
  preamble: {
    offset: 0,
    type: "preamble",
    meaning: "kind 2, the digest covers the first slot and then the further slots",
  },
  sequence: { offset: 40, type: "u64", meaning: "that of the previous header + 1" },
  writer: { offset: 48, type: "u64", meaning: "not less than the superblock's" },
  previous: { offset: 56, type: "digest", meaning: "of the previous header" },
  lastFlushed: {
    offset: 64,
    type: "u64",
    meaning: "the last sequence written when the latest completed flush was issued",
  },
  time: { offset: 72, type: "u64", meaning: "milliseconds since 1970" },
  next: { offset: 80, type: "u64", meaning: "slot in which the next header begins" },
  operation: {
    offset: 88,
    type: "u32",
    meaning: "0 commit, 1 checkpoint, 2 + create snapshot, 3 + delete snapshot, 4 + restore",
  },
  bodyBytes: { offset: 92, type: "u32", meaning: "" },
  furtherSlot: { offset: 96, type: "u64", meaning: "where the header goes on; 0 when one slot is enough" },
  furtherSlots: { offset: 104, type: "u32", meaning: "how many" },
  reserved: { offset: 108, type: "20 bytes", meaning: "" },
  body: { offset: 128, type: "body", meaning: "3968 bytes of it here, the rest in the further slots" },
});

export const COMMIT_ENTRY = structure("Body of a commit, each block", ENTRY_BYTES, {
  block: { offset: 0, type: "u64", meaning: "" },
  slot: { offset: 8, type: "u64", meaning: "0 discards the block" },
  digest: { offset: 16, type: "digest", meaning: "of its 4096 bytes" },
});

/** Followed by the runs, for a restore the image root, and the name. */
export const RECORD = structure("Body of a record", 8, {
  runCount: { offset: 0, type: "u32", meaning: "1 … 256" },
  nameBytes: { offset: 4, type: "u32", meaning: "length of the snapshot's name" },
  runs: { offset: 8, type: "runs", meaning: "the new log runs" },
});

export const NODE_ENTRY = structure("Node, each of 256 entries", NODE_ENTRY_BYTES, {
  slot: { offset: 0, type: "u64", meaning: "0 when absent" },
  digest: { offset: 8, type: "digest", meaning: "of the 4096 bytes there" },
});

export const FREE_PAGE = structure("Free map, each leaf", 2 * PLANE_BYTES, {
  image: { offset: 0, type: "2048 bytes", meaning: "a bit for each slot that the block map reaches" },
  held: {
    offset: PLANE_BYTES,
    type: "2048 bytes",
    meaning: "a bit for each slot that some snapshot reaches",
  },
});

export const DIRECTORY = structure("Directory, the stream", 8, {
  streamBytes: { offset: 0, type: "u32", meaning: "with these eight" },
  snapshotCount: { offset: 4, type: "u32", meaning: "" },
});

/** Followed by the name. */
export const SNAPSHOT = structure("Directory, each snapshot", 42, {
  root: { offset: 0, type: "root", meaning: "of its block map" },
  sequence: { offset: 24, type: "u64", meaning: "of the commit that it shows" },
  time: { offset: 32, type: "u64", meaning: "milliseconds since 1970" },
  nameBytes: { offset: 40, type: "u16", meaning: "1 … 1024" },
});

export const STRUCTURES: readonly Structure[] = [
  PREAMBLE,
  ROOT,
  RUN,
  SUPERBLOCK,
  FORWARDING,
  NODE_ENTRY,
  FREE_PAGE,
  DIRECTORY,
  SNAPSHOT,
  HEADER,
  COMMIT_ENTRY,
  RECORD,
];

/** Writes the plain fields; what lies between them is left alone. */
export function writeFields<S extends Structure>(
  view: DataView,
  at: number,
  { plain }: S,
  values: Values<S>,
): void {
  const source = values as Record<string, never>;
  for (let i = 0; i < plain.length; i++) {
    const field = plain[i];
    writePlain(view, at + field.offset, field.type, source[field.key]);
  }
}

function writePlain(view: DataView, at: number, type: PlainType, value: never): void {
  if (type === "u64") writeU64(view, at, value);
  else if (type === "u32") view.setUint32(at, value, true);
  else if (type === "digest") view.setBigUint64(at, value, true);
  else if (type === "u16") view.setUint16(at, value, true);
  else if (type === "root") writeRoot(view, at, value);
  else writeId(view, at, value);
}

/**
 * Reads the plain fields. A u64 of 2⁵³ or more comes out as NaN, so that `firstProblem` finds it.
 */
export function readFields<S extends Structure>(view: DataView, at: number, { plain }: S): Values<S> {
  const values: Record<string, unknown> = {};
  for (let i = 0; i < plain.length; i++) {
    const field = plain[i];
    values[field.key] = readPlain(view, at + field.offset, field.type);
  }
  return values as Values<S>;
}

export function readPlain(view: DataView, at: number, type: PlainType): PlainTypes[PlainType] {
  if (type === "u64") return readU64(view, at);
  if (type === "u32") return view.getUint32(at, true);
  if (type === "digest") return view.getBigUint64(at, true);
  if (type === "u16") return view.getUint16(at, true);
  if (type === "root") return readRoot(view, at);
  return new Uint8Array(view.buffer, view.byteOffset + at, plainBytes.id).slice();
}

/** For some fields, what is wrong with the value; null when nothing is. Also given NaN, but not asked about it. */
export type Rules<V> = { readonly [K in keyof V]?: (values: V) => string | null };

/** What is wrong, field by field. */
export function fieldProblems<V extends object>(
  { plain }: Structure,
  values: V,
  rules: Rules<V>,
): Map<string, string> {
  const problems = new Map<string, string>();
  for (const { key, type } of plain) {
    const field = key as keyof V;
    const tooLarge = type === "u64" && Number.isNaN(values[field]);
    const problem = tooLarge ? `its ${fieldName(key)} is not below 2^53` : rules[field]?.(values);
    if (problem) problems.set(key, problem);
  }
  return problems;
}

/** The first thing that is wrong; null when nothing is. */
export function firstProblem<V extends object>(
  structure: Structure,
  values: V,
  rules: Rules<V> = {},
): string | null {
  for (const problem of fieldProblems(structure, values, rules).values()) return problem;
  return null;
}

export function writeRoot(view: DataView, at: number, { slot, digest, height }: Root): void {
  writeU64(view, at + ROOT.fields.slot.offset, slot);
  view.setBigUint64(at + ROOT.fields.digest.offset, digest, true);
  view.setUint32(at + ROOT.fields.height.offset, height, true);
}

export function readRoot(view: DataView, at: number): Root {
  return {
    slot: readU64(view, at + ROOT.fields.slot.offset),
    digest: view.getBigUint64(at + ROOT.fields.digest.offset, true),
    height: view.getUint32(at + ROOT.fields.height.offset, true),
  };
}

function writeId(view: DataView, at: number, id: Uint8Array): void {
  if (id.length !== plainBytes.id) throw new RangeError(`${id.length} bytes where 16 are stored`);
  for (let i = 0; i < plainBytes.id; i++) view.setUint8(at + i, id[i]);
}

/** What docs/FORMAT.md calls a field: `fileSlots` is "file slots". */
export function fieldName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** What docs/FORMAT.md calls a type. */
export function typeName(type: Field["type"]): string {
  if (type === "digest") return "u64";
  if (type === "id") return "16 bytes";
  if (type === "preamble") return `${PREAMBLE.bytes} bytes`;
  if (type === "runs") return `${RUN.bytes} bytes × run count`;
  return type === "body" ? "" : type;
}

/** The schemas as Markdown tables, in the columns of docs/FORMAT.md. */
export function describeSchema(): string {
  return STRUCTURES.map(({ title, bytes, fields }) => {
    const rows = Object.entries(fields).map(
      ([key, { offset, type, meaning }]) =>
        `| ${offset} | ${typeName(type)} | ${fieldName(key)} | ${meaning} |`,
    );
    const head = `### ${title} (${bytes} bytes)\n\n| offset | type | field | meaning |\n| --- | --- | --- | --- |`;
    return `${head}\n${rows.join("\n")}\n`;
  }).join("\n");
}
