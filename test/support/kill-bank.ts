// Kills the bank (child-bank.ts) again and again; whenever anybody looks the books must balance, and no acknowledged transfer is missing.

import assert from "node:assert/strict";
import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import { Reader } from "../../bindings/pager/reader.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import { readBank } from "./child-ledger.js";
import { Child } from "./child-run.js";
import { callToDieAt, type KillCounts } from "./kill-campaign.js";
import type { Random } from "./random.js";
import { temporaryDirectory } from "./temporary-directory.js";

const hasher = WasmHasher.create();

export async function killBank(random: Random, counts: KillCounts, kills: number): Promise<void> {
  const directory = temporaryDirectory();
  const place = new NodePlace(directory.path);
  const processes = new NodeProcesses(directory.path);
  const chainSlots = 16 << random.below(7);
  let acknowledged = 0;
  let attempted = 0;
  const balanced = (handle: Reader | ReturnType<typeof openPager>) => {
    const { transfers, error } = readBank(handle);
    assert.equal(error, 0, `the books do not balance after transfer ${transfers} in ${directory.path}`);
    return transfers;
  };
  const hear = (line: string) => {
    const [word, number] = line.split(" ");
    if (word === "a") attempted = Number(number);
    else {
      assert.ok(Number(number) >= acknowledged && Number(number) <= attempted, line);
      counts.steps += Number(number) - acknowledged;
      acknowledged = Number(number);
      attempted = acknowledged;
    }
  };
  for (let i = 0; i < kills; i++) {
    const killAt = random.oneIn(2) ? callToDieAt(random) : 0;
    const child = new Child("bank", [directory.path, random.bits(32), chainSlots, killAt]);
    const first = await child.line();
    if (first !== null) {
      hear(first);
      const reader = new Reader(place, "bank", hasher, processes);
      const until = setTimeout(() => child.kill("SIGKILL"), killAt > 0 ? 300 : random.below(100));
      // Looks from outside while the bank is at work.
      for (let over = false; !over; ) {
        reader.refresh();
        assert.ok(balanced(reader) >= acknowledged);
        over = await Promise.race([
          child.ended.then(() => true),
          new Promise<false>((r) => setTimeout(r, 2, false)),
        ]);
        for (const line of child.takeLines()) hear(line);
      }
      clearTimeout(until);
      reader.close();
    }
    const { signal } = await child.ended;
    assert.equal(signal, "SIGKILL");
    for (const line of child.takeLines()) hear(line);
    counts.kills++;
    if (!place.exists("bank") || random.oneIn(3)) continue;
    const pager = openPager(place, "bank", hasher, processes, { limits: { chainSlots } });
    if (pager.has(0)) {
      const transfers = balanced(pager);
      assert.ok(transfers === acknowledged || transfers === attempted, `${transfers}, not ${acknowledged}`);
      if (transfers > acknowledged) counts.unacknowledged++;
      acknowledged = transfers;
      attempted = transfers;
    } else assert.equal(attempted, 0);
    assert.deepEqual(pager.check(true).problems, []);
    if (random.oneIn(2)) pager.close();
    else pager.abandon();
  }
  directory.remove();
}
