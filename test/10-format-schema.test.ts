// The schemas and docs/FORMAT.md say the same: every table of offsets in the document is that of a schema, field by field, and
// the structures that the document describes in a sentence have the types of that sentence, in order.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as constants from "../bindings/format/constants.js";
import { describeSchema } from "../bindings/format/dump.js";
import { Plane } from "../bindings/format/free-map.js";
import {
  COMMIT_ENTRY,
  DIRECTORY,
  FORWARDING,
  FREE_PAGE,
  fieldName,
  HEADER,
  NODE_ENTRY,
  PREAMBLE,
  RECORD,
  ROOT,
  RUN,
  SNAPSHOT,
  STRUCTURES,
  type Structure,
  SUPERBLOCK,
  typeName,
} from "../bindings/format/schema.js";

const path = resolve(fileURLToPath(import.meta.url), "../../../docs/FORMAT.md");
const text = readFileSync(path, "utf8");
const flat = text.replace(/\s+/g, " ");

interface Table {
  section: string;
  rows: string[][];
}

/** The tables whose first column is "offset". */
function offsetTables(markdown: string): Table[] {
  const tables: Table[] = [];
  let section = "";
  let isOpen = false;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("## ")) section = line.slice(3);
    const cells = line.startsWith("|")
      ? line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim())
      : null;
    if (cells === null) isOpen = false;
    else if (cells[0] === "offset") {
      isOpen = true;
      tables.push({ section, rows: [] });
    } else if (isOpen && !/^-+$/.test(cells[0])) tables.at(-1)?.rows.push(cells);
  }
  return tables;
}

const schemaRows = ({ fields }: Structure): string[][] =>
  Object.entries(fields).map(([key, { offset, type }]) => [String(offset), typeName(type), fieldName(key)]);

function bytesOf(type: string): number {
  const sizes: Record<string, number> = { u16: 2, u32: 4, u64: 8, root: 24 };
  return sizes[type] ?? Number.parseInt(type, 10);
}

describe("format: schema", () => {
  const documented: [section: string, structure: Structure][] = [
    ["3. Preamble", PREAMBLE],
    ["4. Slots 0 and 1: superblocks", SUPERBLOCK],
    ["5. Slot 2: forwarding", FORWARDING],
    ["7. Segments", HEADER],
  ];
  const tables = offsetTables(text);

  it("the document has these tables of offsets and no others", () => {
    assert.deepEqual(
      tables.map(({ section }) => section),
      documented.map(([section]) => section),
    );
  });

  documented.forEach(([section, structure], i) => {
    it(`${section}: the table has the offsets, types and fields of the schema`, () => {
      // The third column may say more: "writer that set it" is the field "writer".
      const found = tables[i].rows.map(([offset, type, field], row) => {
        const name = schemaRows(structure)[row]?.[2] ?? field;
        return [offset, type, new RegExp(`^${name}\\b`).test(field) ? name : field];
      });
      assert.deepEqual(found, schemaRows(structure));
    });
  });

  it("the sentences of the document have the types of the schemas", () => {
    const sentences: [sentence: string, structure: Structure][] = [
      ["A **root** is 24 bytes: u64 slot, u64 digest, u32 height, u32 reserved.", ROOT],
      ["u64 first slot, u32 slots", RUN],
      ["256 entries of 16 bytes: u64 slot, u64 digest.", NODE_ENTRY],
      ["u32 bytes in the stream (with these eight), u32 number of snapshots, then", DIRECTORY],
      ["root (24 bytes), u64 sequence, u64 time, u16 length of the name, the name in UTF-8", SNAPSHOT],
      ["24 bytes for each block: u64 block, u64 slot, u64 digest of its 4096 bytes", COMMIT_ENTRY],
      ["u32 run count, u32 length of the name, the new log runs", RECORD],
      ["2048 bytes of bits *image* (the", FREE_PAGE],
      ["then 2048 bytes of bits *held* (some", FREE_PAGE],
    ];
    for (const [sentence, structure] of sentences) {
      assert.ok(flat.includes(sentence), `the document no longer says: ${sentence}`);
      if (structure === FREE_PAGE) continue;
      const types = sentence.match(/\b(?:u16|u32|u64|root(?= \())/g);
      const expected = schemaRows(structure)
        .map(([, type]) => (type === "4 bytes" ? "u32" : type))
        .filter((type) => !type.includes("run count"));
      assert.deepEqual(types, expected, sentence);
    }
  });

  it("the numbers of the document are those of the code", () => {
    const numbers: [sentence: string, value: number, expected: number][] = [
      ["0 ≤ block < 2⁴⁰", constants.MAX_BLOCK, 2 ** 40],
      ["2⁴⁸ slots", constants.MAX_FILE_SLOTS, 2 ** 48],
      ["1 … 256", constants.MAX_RUNS, 256],
      ["Height is at most 5", constants.MAX_HEIGHT, 5],
      ["slots `16384 p … 16384 p + 16383`", constants.FREE_PAGE_SLOTS, 16384],
      ["3968 bytes of it here", constants.FIRST_SLOT_BODY_BYTES, 3968],
      ["1024 bytes of UTF-8", constants.MAX_SNAPSHOT_NAME_BYTES, 1024],
      ["Format 1.0.", constants.FORMAT_MAJOR + constants.FORMAT_MINOR / 10, 1],
      ["A slot in a tree is at least 3", constants.FIRST_SLOT, 3],
    ];
    for (const [sentence, value, expected] of numbers) {
      assert.ok(flat.includes(sentence), `the document no longer says: ${sentence}`);
      assert.equal(value, expected, sentence);
    }
    assert.deepEqual(
      [Plane.Image, Plane.Held],
      [FREE_PAGE.fields.image.offset, FREE_PAGE.fields.held.offset],
    );
    assert.equal(constants.ENTRY_BYTES, COMMIT_ENTRY.bytes);
  });

  it("fields follow each other without gap or overlap, up to the size of the structure", () => {
    for (const { title, fields, bytes } of STRUCTURES) {
      let end = 0;
      for (const [key, { offset, type }] of Object.entries(fields)) {
        assert.equal(offset, end, `${title}, ${key}`);
        if (type !== "runs" && type !== "body") end += bytesOf(typeName(type));
      }
      assert.equal(end, bytes, title);
    }
  });

  it("describes itself in tables that have the same rows", () => {
    const described = describeSchema();
    const rows = offsetTables(described).map((table) => table.rows.map((cells) => cells.slice(0, 3)));
    assert.deepEqual(rows, STRUCTURES.map(schemaRows));
    for (const { title } of STRUCTURES) assert.ok(described.includes(`### ${title} (`));
  });
});
