/**
 * A ledger that survives kills: a child process moves money between accounts, one commit a transfer, and is killed with SIGKILL at
 * random instants; each next one goes on from the last commit. At the end the books must balance.
 *
 *     node build/examples/survive-kills.js
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WasmHasher } from "../bindings/hash/wasm-hasher.js";
import { openPager } from "../bindings/pager/open.js";
import type { Pager } from "../bindings/pager/pager.js";
import { NodePlace } from "../bindings/storage/node.js";
import { NodeProcesses } from "../bindings/storage/node-processes.js";

const ACCOUNTS = 64;
const OPENING_BALANCE = 1000;
const TRANSFERS = 20_000;
const KILLS = 8;
const NAME = "ledger.state";

/** Block 0 counts transfers; block 1 + n is account n. Balances are small so that every one fits a byte pair. */
function openLedger(directory: string): Pager {
  const pager = openPager(new NodePlace(directory), NAME, WasmHasher.create(), new NodeProcesses(directory));
  if (!pager.has(0)) {
    const blocks = new Uint8Array((1 + ACCOUNTS) * 4096);
    const view = new DataView(blocks.buffer);
    for (let account = 1; account <= ACCOUNTS; account++)
      view.setFloat64(account * 4096, OPENING_BALANCE, true);
    pager.commit([{ block: 0, count: 1 + ACCOUNTS, bytes: blocks }]);
  }
  return pager;
}

const block = new DataView(new ArrayBuffer(4096));

function readNumber(pager: Pager, at: number): number {
  pager.read(at, 1, new Uint8Array(block.buffer));
  return block.getFloat64(0, true);
}

function changed(at: number, value: number) {
  const bytes = new Uint8Array(4096);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return { block: at, count: 1, bytes };
}

function transferUntilDone(directory: string): void {
  const pager = openLedger(directory);
  process.send?.("open");
  for (let done = readNumber(pager, 0); done < TRANSFERS; done++) {
    const from = 1 + Math.floor(Math.random() * ACCOUNTS);
    const to = 1 + ((from + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS);
    const amount = Math.floor(Math.random() * 50);
    const fromBalance = readNumber(pager, from) - amount;
    const toBalance = readNumber(pager, to) + amount;
    pager.commit([changed(0, done + 1), changed(from, fromBalance), changed(to, toBalance)]);
  }
  pager.close();
  process.disconnect?.();
}

/** Starts a child and kills it `milliseconds` after it has opened the ledger; null lets it finish. True when it was done. */
function runChild(directory: string, milliseconds: number | null): Promise<boolean> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), ["--transfer", directory]);
    child.on("message", () => {
      if (milliseconds !== null) setTimeout(() => child.kill("SIGKILL"), milliseconds);
    });
    child.on("exit", (code) => resolve(code === 0));
  });
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "perdure-"));
  const found: number[] = [];
  let finished = false;
  while (!finished) {
    finished = await runChild(directory, found.length < KILLS ? Math.random() * 200 : null);
    const pager = openLedger(directory);
    found.push(readNumber(pager, 0));
    let sum = 0;
    for (let account = 1; account <= ACCOUNTS; account++) sum += readNumber(pager, account);
    const report = pager.check(true);
    pager.abandon();
    if (sum !== ACCOUNTS * OPENING_BALANCE || !report.ok) {
      throw new Error(`the books do not balance: ${sum}; ${report.problems.join("; ")}`);
    }
  }
  console.log(`${TRANSFERS} transfers between ${ACCOUNTS} accounts, each one a durable commit`);
  console.log(`killed ${found.length - 1} times; transfers found after each: ${found.join(", ")}`);
  console.log(
    `the sum of all accounts was ${ACCOUNTS * OPENING_BALANCE} every time, and every block had its digest`,
  );
  console.log(`the state file has ${statSync(join(directory, NAME)).size} bytes`);
  rmSync(directory, { recursive: true });
}

if (process.argv[2] === "--transfer") transferUntilDone(process.argv[3]);
else await main();
