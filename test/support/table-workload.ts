// Random operations on tables of a memory and on plain maps that they should be equal to, and the comparison of the two.

import assert from "node:assert/strict";
import {
  type Memory,
  type NewRow,
  PerdureError,
  type RowId,
  rowId,
  type Table,
} from "../../bindings/index.js";
import { expectCode } from "./expect-code.js";
import type { Random } from "./random.js";

export const schema = {
  id: "u32",
  big: "u64?",
  score: "f64?",
  rank: "i16",
  flag: "bool",
  name: "string",
  note: "string?",
  data: "bytes?",
  extra: "json?",
  ratio: "f32?",
} as const;

export const indexes = {
  byId: { on: "id", unique: true },
  byName: { on: ["name", "score"] },
  byRank: { on: "rank" },
  byRatio: { on: "ratio", unique: true },
} as const;

export type PlainRow = {
  id: number;
  big: bigint | null;
  score: number | null;
  rank: number;
  flag: boolean;
  name: string;
  note: string | null;
  data: Uint8Array | null;
  extra: unknown;
  ratio: number | null;
};

/** Rows by their ids. A row that is in it is never changed, only replaced. */
export type TableState = ReadonlyMap<RowId, PlainRow>;
export type TestTable = Table<PlainRow, NewRow<typeof schema>>;

export const openTable = (memory: Memory, name: string): TestTable =>
  memory.table(name, schema, memory.readOnly ? {} : { indexes }) as TestTable;

const NAMES = ["", "a", "ab", "abc", "b", "zoë", "ü", "日本", "😀", "\u0000", "x".repeat(40)];
const NOTE_BYTES = [0, 1, 10, 15, 16, 17, 100, 900, 1900, 2000, 2100, 5000];

export interface TableOptions {
  /** Most rows of a table, and most bytes of a value. */
  rows: number;
  valueBytes: number;
}

/** Does one random thing to a table; the state afterwards. */
export function changeTable(
  table: TestTable,
  state: TableState,
  random: Random,
  options: TableOptions,
): TableState {
  const rows = new Map(state);
  const ids = [...rows.keys()];
  const choice = random.below(100);
  if (ids.length < options.rows && (choice < 45 || ids.length === 0)) insert(table, rows, random, options);
  else if (choice < 70) update(table, rows, random, options);
  else if (choice < 88) {
    const id = random.oneIn(10) ? 512 + random.below(10_000) : random.pick(ids);
    const row = table.get(id);
    assert.equal(table.delete(id), rows.delete(id));
    if (row !== undefined) expectCode("NOT_FOUND", () => row.id);
  } else if (choice < 92 && ids.length >= options.rows) {
    // In the middle of a scan.
    for (const row of table.scan()) {
      if (random.oneIn(3)) continue;
      rows.delete(row[rowId]);
      table.delete(row[rowId]);
    }
  } else look(table, rows, random);
  return rows;
}

function insert(table: TestTable, rows: Map<RowId, PlainRow>, random: Random, options: TableOptions): void {
  const row = randomRow(random, options);
  if (isDuplicate(rows, row)) {
    expectCode("DUPLICATE", () => table.insert(asGiven(row, random)));
    return;
  }
  const id = table.insert(asGiven(row, random));
  assert.ok(!rows.has(id));
  rows.set(id, row);
}

function update(table: TestTable, rows: Map<RowId, PlainRow>, random: Random, options: TableOptions): void {
  const ids = [...rows.keys()];
  const id = random.pick(ids);
  const before = rows.get(id) as PlainRow;
  const fresh = randomRow(random, options);
  const names = Object.keys(schema) as (keyof PlainRow)[];
  const patch: Partial<PlainRow> = {};
  for (let i = 1 + random.below(3); i > 0; i--) {
    const name = random.pick(names);
    Object.assign(patch, { [name]: fresh[name] });
  }
  const after = { ...before, ...patch };
  const isRefused = isDuplicate(rows, after, id);
  // By update, or by assigning to a row.
  const bySetting = random.oneIn(2) && Object.keys(patch).length === 1;
  const act = () => {
    if (!bySetting) table.update(id, patch as never);
    else Object.assign(table.get(id) as PlainRow, patch);
  };
  if (isRefused) {
    expectCode("DUPLICATE", act);
    return;
  }
  act();
  rows.set(id, after);
}

function isDuplicate(rows: ReadonlyMap<RowId, PlainRow>, row: PlainRow, except = 0): boolean {
  for (const [id, other] of rows) {
    if (id === except) continue;
    if (other.id === row.id || (row.ratio !== null && other.ratio === row.ratio)) return true;
  }
  return false;
}

/** What is asked for by id, by key and in a range is what the rows say. */
function look(table: TestTable, rows: ReadonlyMap<RowId, PlainRow>, random: Random): void {
  const ids = [...rows.keys()].sort((a, b) => a - b);
  if (ids.length === 0) return;
  const id = random.pick(ids);
  const row = rows.get(id) as PlainRow;
  assert.deepEqual(plain(table.get(id)), row);
  assert.equal(table.rowIdOf(table.find("byId", row.id) as PlainRow), id);
  assert.equal(table.find("byId", 1e9), undefined);
  const named = table.find("byName", row.name);
  assert.equal(named?.name, row.name);
  const low = random.below(40) - 20;
  const found = [...table.range("byRank", low, low + 10)].map((each) => each[rowId]);
  const expected = ids.filter((each) => rankOf(rows, each) >= low && rankOf(rows, each) <= low + 10);
  expected.sort((a, b) => rankOf(rows, a) - rankOf(rows, b) || a - b);
  assert.deepEqual(found, expected);
  const from = random.pick(ids) + random.below(2);
  assert.deepEqual(
    [...table.scan(from)].map((each) => each[rowId]),
    ids.filter((each) => each >= from),
  );
}

const rankOf = (rows: ReadonlyMap<RowId, PlainRow>, id: RowId): number => (rows.get(id) as PlainRow).rank;

/** What a table has that is not in this state, or the other way round; null when they are the same. */
export function tableDifference(memory: Memory, name: string, state: TableState): string | null {
  let table: TestTable;
  try {
    table = openTable(memory, name);
  } catch (error) {
    return `table ${name}: ${error}`;
  }
  if (table.count !== state.size) return `table ${name} has ${table.count} rows, not ${state.size}`;
  const ids = [...state.keys()].sort((a, b) => a - b);
  let next = 0;
  for (const row of table) {
    const id = ids[next++];
    if (row[rowId] !== id) return `table ${name} has row ${row[rowId]} in place of ${id}`;
    try {
      assert.deepEqual(plain(row), state.get(id));
    } catch (error) {
      if (error instanceof PerdureError) throw error;
      return `table ${name}, row ${id}: ${(error as Error).message}`;
    }
  }
  for (const index of ["byName", "byRank", "byRatio"]) {
    const found = [...table.range(index)].map((row) => row[rowId]);
    if (found.length !== ids.length || new Set(found).size !== ids.length)
      return `table ${name}, index ${index}: ${found.length} rows`;
  }
  return null;
}

export const plain = (row: unknown): unknown => (row as { toObject(): unknown } | undefined)?.toObject();

/** A row with optional fields left out where they are null. */
function asGiven(row: PlainRow, random: Random): never {
  const entries = Object.entries(row).filter(([, value]) => value !== null || random.oneIn(2));
  return Object.fromEntries(entries) as never;
}

function randomRow(random: Random, { valueBytes }: TableOptions): PlainRow {
  const maybe = <T>(value: () => T): T | null => (random.oneIn(3) ? null : value());
  const length = () =>
    Math.min(
      random.oneIn(4) ? random.pick(NOTE_BYTES) : random.below(30),
      random.oneIn(20) ? valueBytes : 3000,
    );
  return {
    id: random.below(200),
    big: maybe(() => (BigInt(random.next()) << 32n) + BigInt(random.next())),
    score: maybe(() => random.pick([0, -1.5, 1e300, random.next() / 7])),
    rank: random.below(40) - 20,
    flag: random.oneIn(2),
    name: random.pick(NAMES),
    note: maybe(() => textOf(random, random.oneIn(30) ? valueBytes : length())),
    data: maybe(() => random.bytes(random.oneIn(30) ? valueBytes : length())),
    extra: maybe(() =>
      random.pick<unknown>([0, "é", [1, { a: null }], { deep: ["x".repeat(length())] }, false]),
    ),
    ratio: maybe(() => Math.fround(random.below(300) / 7)),
  };
}

function textOf(random: Random, length: number): string {
  const unit = random.pick(["a", "bc", "é", "日", "😀"]);
  return unit
    .repeat(Math.ceil(length / unit.length))
    .slice(0, length)
    .replace(/[\uD800-\uDBFF]$/, "");
}
