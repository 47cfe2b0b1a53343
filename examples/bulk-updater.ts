/**
 * A bulk update that does not care how often it is killed: every user's rank is raised by one, exactly once.
 *
 *     node build/examples/bulk-updater.js            a million users; every rank is raised by one
 *     node build/examples/bulk-updater.js 50000      the same with so many, where there are none yet
 *
 * The work is done by a process of its own, which the first one kills at random instants and starts again, until it comes to the end. The users live in
 * bulk-updater.state, in the current directory: a table of { id, rank, name }. A pipe goes through it and commits its cursor together with the ranks
 * that it has raised, every 10,000 users: so whichever commit a kill leaves, the next process goes on behind the last rank of it.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Memory, openSync } from "perdure";

const STATE = "bulk-updater.state";
const WORKER = "worker";
/** A worker is killed after one to so many commits, and up to so many milliseconds more. */
const LIFE = { commits: 15, milliseconds: 10 };

const open = () => openSync(STATE, { autoCommit: false });
const usersOf = (memory: Memory) => memory.table("users", { id: "u32", rank: "u32", name: "string" });
const raiseOf = (memory: Memory) =>
  memory
    .pipe("raise ranks", usersOf(memory))
    .map((user) => {
      user.rank++; // in place: the row is memory
      return user;
    })
    .checkpointAt(10_000);
const firstRank = (id: number) => (id * 2_654_435_761) % 1000;

if (process.argv[2] === WORKER) await work();
else await main(Number(process.argv[2] ?? 1_000_000));

/** Goes on where the pipe's cursor is. It knows nothing of kills; how far it is, it tells after each commit. */
async function work(): Promise<void> {
  using memory = open();
  const pipe = raiseOf(memory);
  process.send?.(pipe.cursor.records);
  memory.addEventListener("commit", () => process.send?.(pipe.cursor.records));
  await pipe.run();
  process.disconnect?.();
}

async function main(count: number): Promise<void> {
  const round = begin(count);
  const found: number[] = [];
  while (await isKilled(found));
  const kills = found.length - 1;
  console.log(
    `Killed ${kills} time${kills === 1 ? "" : "s"}; ranks raised when each worker began: ${found.join(", ")}.`,
  );
  verify(round);
}

/** Fills the table where there is none; begins a round unless one is under way. Returns how often every rank has been raised when it is done. */
function begin(count: number): number {
  using memory = open();
  const users = usersOf(memory);
  const rounds = memory.root("rounds", () => memory.alloc(4));
  const last = memory.pipes.list().find(({ name }) => name === "raise ranks");
  memory.transaction(() => {
    for (let id = users.count; users.count < count && rounds.u32 === 0; id++)
      users.insert({ id, rank: firstRank(id), name: `user ${id}` });
    if (last !== undefined && last.state !== "finished") return;
    raiseOf(memory).reset();
    rounds.u32++;
  });
  console.log(`Round ${rounds.u32}: ${users.count} users.`);
  return rounds.u32;
}

/** Starts a worker and kills it, unless it comes to the end before. `found` gets how far it finds the work. */
async function isKilled(found: number[]): Promise<boolean> {
  const worker = fork(fileURLToPath(import.meta.url), [WORKER]);
  found.push((await once(worker, "message"))[0] as number);
  let commits = Math.ceil(Math.random() * LIFE.commits);
  worker.on("message", () => {
    if (--commits === 0) setTimeout(() => worker.kill("SIGKILL"), Math.random() * LIFE.milliseconds);
  });
  const [code, signal] = await once(worker, "exit");
  if (signal === null && code !== 0) throw new Error(`the worker has failed with exit code ${code}`);
  return signal !== null;
}

/** Every rank is what it was at first, and one more for each round. */
function verify(rounds: number): void {
  using memory = open();
  let wrong = 0;
  let count = 0;
  for (const { id, rank } of usersOf(memory).scan()) {
    if (id !== count || rank !== firstRank(id) + rounds) wrong++;
    count++;
  }
  if (wrong > 0) throw new Error(`${wrong} of ${count} ranks are wrong`);
  console.log(`Each of the ${count} ranks was raised exactly ${rounds === 1 ? "once" : `${rounds} times`}.`);
}
