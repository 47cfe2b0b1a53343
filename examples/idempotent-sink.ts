/**
 * Exactly once into another database: orders from a table go to SQLite as invoices, through a process that dies again and again.
 *
 *     npm install better-sqlite3                   or Node 22.13 and later, which has a SQLite of its own
 *     node build/examples/idempotent-sink.js       a thousand orders, a thousand invoices
 *     node build/examples/idempotent-sink.js       a thousand more
 *
 * What a pipe does to its own memory is committed with its cursor. What it does outside is not: after a crash, what was sent since the last checkpoint is sent
 * again. So the sink must know it again, and for that `tap` gives a key, pipe and sequence, which is the same whenever the same record comes again. Here it is
 * the primary key of the invoices, and a second one is ignored. Files: idempotent-sink.state and idempotent-sink.sqlite, in the current directory.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { openSync } from "perdure";

const WORKER = "worker";
const ORDERS = 1000;
const CHECKPOINT = 200;
/** A worker dies after one to so many invoices. */
const LIFE = 700;

/** What both SQLite modules have. */
interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): { run(...values: unknown[]): unknown; get(...values: unknown[]): unknown };
  close(): void;
}

const open = () => openSync("idempotent-sink.state", { autoCommit: false });
const ordersOf = (memory: ReturnType<typeof open>) =>
  memory.table("orders", { customer: "string", cents: "u32" });

if (process.argv[2] === WORKER) await work();
else await main();

/** Goes on behind the last checkpoint. */
async function work(): Promise<void> {
  using memory = open();
  const database = await openSqlite();
  const count = database.prepare("UPDATE calls SET n = n + 1");
  const insert = database.prepare(
    "INSERT INTO invoices (pipe, sequence, customer, cents) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  let left = Math.ceil(Math.random() * LIFE);
  await memory
    .pipe("invoices", ordersOf(memory))
    .tap(({ customer, cents }, { pipe, sequence }) => {
      count.run();
      insert.run(pipe, sequence, customer, cents);
      // Sent, but not checkpointed.
      if (--left === 0) process.kill(process.pid, "SIGKILL");
    })
    .checkpointAt(CHECKPOINT)
    .run();
  database.close();
}

async function main(): Promise<void> {
  const database = await openSqlite();
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  database.exec(
    "CREATE TABLE IF NOT EXISTS invoices (pipe TEXT, sequence INTEGER, customer TEXT, cents INTEGER, PRIMARY KEY (pipe, sequence))",
  );
  database.exec("CREATE TABLE IF NOT EXISTS calls (n INTEGER)");
  database.exec("INSERT INTO calls SELECT 0 WHERE NOT EXISTS (SELECT * FROM calls)");
  const expected = takeOrders();
  let deaths = 0;
  for (; !(await lives()); deaths++);
  const found = database
    .prepare("SELECT count(*) AS count, sum(cents) AS cents FROM invoices")
    .get() as typeof expected;
  const { n } = database.prepare("SELECT n FROM calls").get() as { n: number };
  database.close();
  if (found.count !== expected.count || found.cents !== expected.cents)
    throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
  console.log(
    `The worker died ${deaths} time${deaths === 1 ? "" : "s"}. ${n} invoices were sent in all, ${n - found.count} of them again.`,
  );
  console.log(
    `${found.count} orders, ${found.count} invoices, ${(found.cents / 100).toFixed(2)} euros in both.`,
  );
}

/** Puts new orders into the table; how many there are now, and what they come to. */
function takeOrders(): { count: number; cents: number } {
  using memory = open();
  const orders = ordersOf(memory);
  memory.transaction(() => {
    for (let i = 0; i < ORDERS; i++)
      orders.insert({ customer: `customer ${i % 37}`, cents: 100 + Math.floor(Math.random() * 10_000) });
  });
  let cents = 0;
  for (const order of orders) cents += order.cents;
  return { count: orders.count, cents };
}

/** Whether a worker comes to the end. */
async function lives(): Promise<boolean> {
  const worker = fork(fileURLToPath(import.meta.url), [WORKER]);
  const [code, signal] = await once(worker, "exit");
  if (signal === null && code !== 0) throw new Error(`the worker has failed with exit code ${code}`);
  return signal === null;
}

async function openSqlite(): Promise<Database> {
  const load = (name: string) => import(name).catch(() => null);
  const Sqlite = (await load("better-sqlite3"))?.default ?? (await load("node:sqlite"))?.DatabaseSync;
  if (Sqlite !== undefined) return new Sqlite("idempotent-sink.sqlite");
  console.log("There is no SQLite: npm install better-sqlite3, or use Node 22.13 or later.");
  process.exit();
}
