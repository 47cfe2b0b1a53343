// Tables against what programs use for the same: a million small rows in a Map, in SQLite and in LMDB. All of them have all rows in memory: the windows of the table
// are as large as it is, and the peers' files are in the system's cache. Rows are read as a program reads them, one field of each.

import { join } from "node:path";
import { type Memory, type NewRow, type Row, rowId, type Table } from "../bindings/index.js";
import { Random } from "../test/support/random.js";
import { letGo, openMemory } from "./engines.js";
import { type Bar, type Case, scratchFolder, type Workload } from "./harness.js";
import { peer } from "./peers.js";
import { emptyFolder } from "./stores.js";

const rowCount = 1_000_000;
const insertedRows = 200_000;
/** Rows of one run: so many that each run meets all of the table, and not what the last one has left in the caches. */
const pickedCount = 2 ** 18;
const windowBytes = 128 * 2 ** 20;

const schema = { key: "u32", score: "f64", name: "string" } as const;
type Plain = Row<typeof schema>;
type Rows = Table<Plain, NewRow<typeof schema>>;

const inATable = "a table";
const inAMap = "a Map of objects";
const inSqlite = "SQLite";
const inLmdb = "LMDB";

/** Keys are in no order. */
const keyOf = (i: number): number => Math.imul(i, 0x9e3779b1) >>> 0;
const rowOf = (i: number): Plain => ({ key: keyOf(i), score: i / 2, name: `name ${i % 1000}` });

interface Ground {
  memory: Memory;
  table: Rows;
  /** Of the rows that are picked. */
  ids: Float64Array;
  map: Map<number, Plain>;
  sqlite: Sqlite;
  lmdb: Lmdb;
  /** Numbers of rows, at random. */
  picked: Uint32Array;
}

interface Statement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): Plain;
  iterate(...values: unknown[]): Iterable<Plain>;
}

interface Sqlite {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): Statement;
  close(): void;
}

interface Lmdb {
  transactionSync<T>(action: () => T): T;
  putSync(key: number, value: unknown): void;
  get(key: number): Plain;
  getRange(): Iterable<{ value: Plain }>;
  close(): Promise<void>;
}

function openSqlite(folder: string): Sqlite {
  const Database = peer<new (path: string) => Sqlite>("better-sqlite3");
  const database = new Database(join(folder, "rows.db"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = OFF");
  database.pragma("cache_size = -262144");
  database.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, key INTEGER, score REAL, name TEXT)");
  database.exec("CREATE UNIQUE INDEX by_key ON rows (key)");
  return database;
}

function openLmdb(folder: string): Lmdb {
  const { open } = peer<{ open(options: object): Lmdb }>("lmdb");
  // Objects, as its default encoding has them: the fields are named once.
  return open({
    path: join(folder, "rows.mdb"),
    keyEncoding: "uint32",
    mapSize: 2 ** 31,
    noSync: true,
    sharedStructuresKey: 0xffff_ffff,
  });
}

const INSERT = "INSERT INTO rows (key, score, name) VALUES (?, ?, ?)";

function fillSqlite(database: Sqlite, count: number): void {
  const insert = database.prepare(INSERT);
  database.exec("BEGIN");
  for (let i = 0; i < count; i++) {
    const { key, score, name } = rowOf(i);
    insert.run(key, score, name);
  }
  database.exec("COMMIT");
}

function fillLmdb(database: Lmdb, count: number): void {
  database.transactionSync(() => {
    for (let i = 0; i < count; i++) database.putSync(i, rowOf(i));
  });
}

function openTable(folder: string, indexed: boolean): { memory: Memory; table: Rows } {
  const memory = openMemory(folder, { autoCommit: false, durability: "none", windowBytes });
  const indexes = indexed ? { byKey: { on: "key", unique: true } } : {};
  return { memory, table: memory.table("rows", schema, { indexes }) };
}

let ground: Ground | null = null;
let users = 0;

function prepare(): Ground {
  const folder = emptyFolder(scratchFolder("tables"));
  const { memory, table } = openTable(folder, true);
  const all = new Float64Array(rowCount);
  const map = new Map<number, Plain>();
  for (let i = 0; i < rowCount; i++) {
    all[i] = table.insert(rowOf(i));
    map.set(i, rowOf(i));
  }
  memory.commit();
  const sqlite = openSqlite(folder);
  fillSqlite(sqlite, rowCount);
  const lmdb = openLmdb(folder);
  fillLmdb(lmdb, rowCount);
  const random = new Random(1);
  const picked = Uint32Array.from({ length: pickedCount }, () => random.below(rowCount));
  const ids = Float64Array.from(picked, (row) => all[row]);
  return { memory, table, ids, map, sqlite, lmdb, picked };
}

async function release({ memory, sqlite, lmdb }: Ground): Promise<void> {
  letGo(memory);
  sqlite.close();
  await lmdb.close();
  emptyFolder(scratchFolder("tables"));
}

type Loop = (ground: Ground, iterations: number) => unknown;

/** A case on the million rows. */
function onRows(name: string, loop: Loop, bars: Bar[] = []): Case {
  return {
    name,
    bars,
    setup() {
      users++;
      ground ??= prepare();
    },
    run: (iterations) => loop(ground!, iterations),
    async teardown() {
      if (--users > 0 || ground === null) return;
      await release(ground);
      ground = null;
    },
  };
}

/** A case that inserts into something empty. */
function inserting<T>(
  name: string,
  open: (folder: string) => T,
  fill: (store: T) => void,
  close: (store: T) => unknown,
): Case {
  const folder = `tables/${name.replace(/\W+/g, "-")}`;
  let store: T | null = null;
  const drop = async (): Promise<void> => {
    if (store !== null) await close(store);
    store = null;
    emptyFolder(scratchFolder(folder));
  };
  return {
    name,
    async prepare() {
      await drop();
      store = open(scratchFolder(folder));
    },
    run: () => fill(store as T),
    teardown: drop,
  };
}

function fillTable({ memory, table }: { memory: Memory; table: Rows }): void {
  for (let i = 0; i < insertedRows; i++) table.insert(rowOf(i));
  memory.commit();
}

const mask = pickedCount - 1;

const workloads: Workload[] = [
  {
    name: `${insertedRows} rows inserted, with their commit`,
    unit: "ms",
    reference: inATable,
    iterations: 1,
    cases: [
      inserting(
        inATable,
        (folder) => openTable(folder, false),
        fillTable,
        ({ memory }) => letGo(memory),
      ),
      inserting(
        "a table with a unique index",
        (folder) => openTable(folder, true),
        fillTable,
        ({ memory }) => letGo(memory),
      ),
      inserting(
        inAMap,
        () => new Map<number, Plain>(),
        (map) => {
          for (let i = 0; i < insertedRows; i++) map.set(i, rowOf(i));
        },
        (map) => map.clear(),
      ),
      inserting(
        "SQLite with a unique index",
        openSqlite,
        (database) => fillSqlite(database, insertedRows),
        (database) => database.close(),
      ),
      inserting(
        inLmdb,
        openLmdb,
        (database) => fillLmdb(database, insertedRows),
        (database) => database.close(),
      ),
    ],
  },
  {
    name: "one field of one row among 10⁶, by its id",
    unit: "ns/op",
    reference: inATable,
    iterations: pickedCount,
    cases: [
      onRows(
        inATable,
        ({ table, ids }, iterations) => {
          let sum = 0;
          for (let i = 0; i < iterations; i++) sum += table.get(ids[i & mask])!.score;
          return sum;
        },
        [{ nanosecondsAtMost: 60 }],
      ),
      onRows(inAMap, ({ map, picked }, iterations) => {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += map.get(picked[i & mask])!.score;
        return sum;
      }),
      onRows(inSqlite, ({ sqlite, picked }, iterations) => {
        const select = sqlite.prepare("SELECT score FROM rows WHERE id = ?");
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += select.get(picked[i & mask] + 1).score;
        return sum;
      }),
      onRows(inLmdb, ({ lmdb, picked }, iterations) => {
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += lmdb.get(picked[i & mask]).score;
        return sum;
      }),
    ],
  },
  {
    name: "another value for one field of one row among 10⁶, by its id",
    unit: "ns/op",
    reference: inATable,
    iterations: pickedCount,
    cases: [
      onRows(
        inATable,
        ({ table, ids }, iterations) => {
          for (let i = 0; i < iterations; i++) table.update(ids[i & mask], { score: i });
        },
        [{ nanosecondsAtMost: 80 }],
      ),
      onRows("a table, assigned to the row", ({ table, ids }, iterations) => {
        for (let i = 0; i < iterations; i++) table.get(ids[i & mask])!.score = i;
      }),
      onRows("a Map, with a new object", ({ map, picked }, iterations) => {
        for (let i = 0; i < iterations; i++) {
          const key = picked[i & mask];
          map.set(key, { ...map.get(key)!, score: i });
        }
      }),
      onRows(inSqlite, ({ sqlite, picked }, iterations) => {
        const update = sqlite.prepare("UPDATE rows SET score = ? WHERE id = ?");
        sqlite.exec("BEGIN");
        for (let i = 0; i < iterations; i++) update.run(i, picked[i & mask] + 1);
        sqlite.exec("COMMIT");
      }),
      onRows(inLmdb, ({ lmdb, picked }, iterations) => {
        lmdb.transactionSync(() => {
          for (let i = 0; i < iterations; i++) {
            const key = picked[i & mask];
            lmdb.putSync(key, { ...lmdb.get(key), score: i });
          }
        });
      }),
    ],
  },
  {
    name: "one field of one row among 10⁶, by a unique key",
    unit: "ns/op",
    reference: inATable,
    iterations: pickedCount,
    cases: [
      onRows(
        inATable,
        ({ table, picked }, iterations) => {
          let sum = 0;
          for (let i = 0; i < iterations; i++) sum += table.find("byKey", keyOf(picked[i & mask]))!.score;
          return sum;
        },
        [{ nanosecondsAtMost: 250 }],
      ),
      onRows(inSqlite, ({ sqlite, picked }, iterations) => {
        const select = sqlite.prepare("SELECT score FROM rows WHERE key = ?");
        let sum = 0;
        for (let i = 0; i < iterations; i++) sum += select.get(keyOf(picked[i & mask])).score;
        return sum;
      }),
    ],
  },
  {
    name: "a row of a scan of 10⁶",
    unit: "ns/op",
    reference: inATable,
    iterations: rowCount,
    cases: [
      onRows(inATable, ({ table }) => {
        let sum = 0;
        for (const row of table.scan()) sum += row.score;
        return sum;
      }),
      onRows("a table, filtered, with ids and keys of some", ({ table }) => {
        let sum = 0;
        for (const row of table.scan()) if (row.score > 250_000) sum += row.key + row[rowId];
        return sum;
      }),
      onRows(inAMap, ({ map }) => {
        let sum = 0;
        for (const row of map.values()) sum += row.score;
        return sum;
      }),
      onRows(inSqlite, ({ sqlite }) => {
        let sum = 0;
        for (const { score } of sqlite.prepare("SELECT score FROM rows ORDER BY id").iterate()) sum += score;
        return sum;
      }),
      onRows(inLmdb, ({ lmdb }) => {
        let sum = 0;
        for (const { value } of lmdb.getRange()) sum += value?.score ?? 0;
        return sum;
      }),
    ],
  },
];

export default workloads;
